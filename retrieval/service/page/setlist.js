// A long recording as a line of time.

import { ask, byId, clock, ended, key, make, percent, takesFiles, titleOf, tried } from "./tools.js";

let url = null;
let running = null;

export function setUpSetlist() {
  takesFiles(byId("long"), tried(recognise));
  byId("stop").addEventListener("click", tried(() => running && ask(`jobs/${running}`, { method: "DELETE" })));
}

async function recognise(file) {
  const form = new FormData();
  form.append("file", file);
  byId("timeline").replaceChildren();
  byId("entries").replaceChildren();
  byId("progress").textContent = "Sending…";
  const audio = byId("long-audio");
  if (url) URL.revokeObjectURL(url);
  url = URL.createObjectURL(file);
  audio.src = url;
  audio.hidden = false;
  try {
    const job = await ask("setlists", { method: "POST", body: form });
    running = job.id;
    byId("stop").hidden = false;
    byId("progress").textContent = "Listening…";
    const told = await ended(job, (now) => {
      byId("progress").textContent = now.done ? `Listening… ${clock(now.done)}` : "Listening…";
    });
    byId("progress").textContent = told.state === "cancelled" ? "Cancelled." : "";
    if (told.result) draw(told.result);
  } catch (error) {
    byId("progress").textContent = "";
    throw error;
  } finally {
    running = null;
    byId("stop").hidden = true;
  }
}

function draw(setlist) {
  const audio = byId("long-audio");
  const play = (entry) => () => { audio.currentTime = entry.start_s; audio.play().catch(() => {}); };
  const name = (entry) => (entry.path ? titleOf(entry) : "unknown");
  byId("timeline").replaceChildren(...setlist.entries.map((entry) => {
    const made = make("button", { type: "button", class: entry.path ? "" : "unknown", onclick: play(entry),
      title: `${clock(entry.start_s)}–${clock(entry.end_s)} ${name(entry)}` }, name(entry));
    made.style.flexGrow = entry.end_s - entry.start_s;
    made.style.flexBasis = "0";
    return made;
  }));
  byId("entries").replaceChildren(...setlist.entries.map((entry) => make("li", {},
    make("button", { type: "button", class: "row", onclick: play(entry) },
      make("span", { class: "chance" }, clock(entry.start_s)),
      make("span", { class: "title" }, name(entry)),
      make("span", { class: "about" }, [entry.artist, entry.path ? percent(entry.probability) : null, key(entry.transposition), `until ${clock(entry.end_s)}`].filter(Boolean).join(" · "))))));
}
