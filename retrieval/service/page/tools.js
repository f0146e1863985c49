// What the parts of the page share: asking the API, making elements, saying times.

export const byId = (id) => document.getElementById(id);

/** Make an element; texts become text and never markup. */
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Ask the API; what it refuses is shown as its one sentence. */
export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(`api/${path}`, options);
  } catch {
    throw new Error("the server does not answer: is `pemr serve` still running?");
  }
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.detail || `the server answered ${answer.status}`);
  return told;
}

export const asJson = (body) => ({
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
});

export function complain(error) {
  const place = byId("message");
  place.hidden = !error;
  place.textContent = error ? error.message || String(error) : "";
}

/** Run something that asks; tell what goes wrong. */
export const tried = (work) => async (...given) => {
  complain(null);
  try {
    return await work(...given);
  } catch (error) {
    complain(error);
    return undefined;
  }
};

export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const end = `${String(m).padStart(h ? 2 : 1, "0")}:${String(s).padStart(2, "0")}`;
  return h ? `${h}:${end}` : end;
}

export const percent = (share) => (share === null || share === undefined ? "–" : `${Math.round(share * 100)}\u00a0%`);

export function key(semitones) {
  if (semitones === null || semitones === undefined) return "";
  if (semitones === 0) return "same key";
  return `${semitones > 0 ? "+" : "−"}${Math.abs(semitones)} semitone${Math.abs(semitones) === 1 ? "" : "s"}`;
}

export const tempo = (factor) => (factor ? `${factor.toFixed(2)}× tempo` : "");

export const titleOf = (track) => track.title || track.path.split("/").pop();

/** Follow a job to its end. */
export async function ended(job, tell = () => {}) {
  let told = job;
  while (told.state === "running") {
    tell(told);
    await new Promise((done) => setTimeout(done, 400));
    told = await ask(`jobs/${job.id}`);
  }
  if (told.state === "failed") throw new Error(told.error);
  return told;
}

/** Let a file be picked or dropped. */
export function takesFiles(input, use) {
  const place = input.closest(".pick");
  input.addEventListener("change", () => input.files.length && use(input.files[0]));
  for (const kind of ["dragenter", "dragover"]) {
    place.addEventListener(kind, (event) => { event.preventDefault(); place.classList.add("over"); });
  }
  for (const kind of ["dragleave", "drop"]) {
    place.addEventListener(kind, (event) => { event.preventDefault(); place.classList.remove("over"); });
  }
  place.addEventListener("drop", (event) => event.dataTransfer.files.length && use(event.dataTransfer.files[0]));
}
