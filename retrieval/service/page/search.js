// Ask with a file or a track, and listen to what is found.

import { Deck, Pair } from "./player.js";
import { ask, asJson, byId, clock, key, make, percent, takesFiles, tempo, titleOf, tried } from "./tools.js";

const pair = new Pair(new Deck(byId("audio-a")), new Deck(byId("audio-b")));
const NS = "http://www.w3.org/2000/svg";
let found = null; // the last answer
let shown = null; // the alignment that is drawn
let sizes = [1, 1];
let turn = 0; // of what was asked; an answer to an older question is dropped

export function setUpSearch() {
  takesFiles(byId("file"), tried(searchFile));
  byId("words").addEventListener("input", tried(choices));
  byId("choose").addEventListener("submit", (event) => { event.preventDefault(); byId("choices").querySelector("button")?.click(); });
  byId("least").addEventListener("input", list);
  byId("both").addEventListener("click", () => pair.both());
  byId("switch").addEventListener("click", () => pair.switch());
  byId("plot").addEventListener("click", pointed);
  document.addEventListener("keydown", pressed);
  for (const deck of [pair.a, pair.b]) deck.audio.addEventListener("timeupdate", follow);
  for (const kind of ["play", "pause"]) document.addEventListener(kind, follow, true);
}

async function choices() {
  const text = byId("words").value.trim();
  const mine = (turn += 1);
  const told = text ? await ask(`tracks?limit=8&text=${encodeURIComponent(text)}`) : { tracks: [] };
  if (mine !== turn) return;
  byId("choices").replaceChildren(...told.tracks.map((track) => make("li", {},
    make("button", { type: "button", onclick: tried(() => searchTrack(track)) },
      [titleOf(track), track.artist, clock(track.duration_s)].filter(Boolean).join(" · ")))));
}

export async function searchTrack(track) {
  byId("choices").replaceChildren();
  byId("words").value = "";
  await answered(() => ask("search", asJson({ track_id: track.id, top: 25, everything: true })), {
    track_id: track.id, is_playable: track.is_playable,
  });
}

async function searchFile(file) {
  const form = new FormData();
  form.append("top", "25");
  form.append("everything", "true");
  form.append("file", file);
  await answered(() => ask("search", { method: "POST", body: form }), { file });
}

async function answered(question, source) {
  const mine = (turn += 1);
  pair.pause();
  byId("answer").hidden = false;
  byId("compare").hidden = true;
  byId("candidates").replaceChildren();
  byId("verdict").textContent = "";
  byId("asked").textContent = "Listening and searching…";
  try {
    const answer = await question();
    if (mine !== turn) return;
    found = answer;
  } catch (error) {
    byId("answer").hidden = true;
    throw error;
  }
  pair.a.open(source);
  byId("asked").textContent = found.query.name;
  byId("name-a").textContent = found.query.name;
  byId("verdict").textContent = { cover: "There are covers", "no cover": "Probably no cover here", unknown: "" }[found.verdict];
  list();
  const first = byId("candidates").querySelector("button");
  if (first) first.click();
}

function list() {
  const least = Number(byId("least").value) / 100;
  byId("level").textContent = percent(least);
  if (!found) return;
  const kept = found.candidates.filter((one) => (one.probability ?? 1) >= least);
  byId("candidates").replaceChildren(...kept.map(row));
  for (const format of ["m3u", "csv"]) {
    const wanted = new URLSearchParams({ query: found.query.id, format, top: 25, min_probability: least, everything: least === 0 });
    byId(format).href = `api/export?${wanted}`;
  }
}

function row(one) {
  const about = [one.artist, one.album, clock(one.duration_s), key(one.transposition), tempo(one.tempo),
    one.is_same_recording ? "same recording" : null, one.is_missing ? "file missing" : null].filter(Boolean).join(" · ");
  const isUnlikely = one.probability !== null && one.probability < 0.5;
  const chance = make("span", { class: "chance" }, percent(one.probability));
  if (one.probability !== null) chance.append(make("meter", { min: 0, max: 1, value: one.probability, "aria-hidden": "true" }));
  const button = make("button", { type: "button", class: `row${isUnlikely ? " unlikely" : ""}`, "aria-pressed": "false", title: one.path },
    chance, make("span", { class: "title" }, titleOf(one)), make("span", { class: "about" }, about));
  button.addEventListener("click", tried(() => compare(one, button)));
  return make("li", {}, button);
}

async function compare(one, button) {
  for (const other of document.querySelectorAll("#candidates button")) other.setAttribute("aria-pressed", String(other === button));
  const told = await ask(`alignments/${found.query.id}/${one.track_id}`);
  if (button.getAttribute("aria-pressed") !== "true") return;
  shown = told;
  pair.pause();
  [pair.spans, pair.chosen, pair.active, pair.isBoth] = [told.spans, told.spans[0] || null, pair.a, false];
  pair.b.open({ track_id: one.track_id, is_playable: one.is_playable });
  byId("name-b").textContent = titleOf(one);
  byId("compare").hidden = false;
  byId("spans").replaceChildren(...told.spans.map((span, place) => make("li", {},
    make("button", { type: "button", "aria-pressed": "false", onclick: () => playSpan(place) },
      `${clock(span.query_start_s)}–${clock(span.query_end_s)} = ${clock(span.start_s)}–${clock(span.end_s)}, ${key(span.transposition)}, ${tempo(span.tempo)}`))));
  await draw(told);
}

async function draw(told) {
  const picture = byId("picture");
  byId("paths").replaceChildren();
  const answer = await fetch(told.picture.slice(1));
  byId("plot").hidden = !answer.ok;
  if (!answer.ok) return;
  sizes = ["x-query-seconds", "x-candidate-seconds"].map((name) => Number(answer.headers.get(name)));
  if (picture.src) URL.revokeObjectURL(picture.src);
  picture.src = URL.createObjectURL(await answer.blob());
  byId("paths").setAttribute("viewBox", `0 0 ${sizes[0]} ${sizes[1]}`);
  const line = (x1, y1, x2, y2, name) => {
    const made = document.createElementNS(NS, "line");
    const places = { x1, y1: sizes[1] - y1, x2, y2: sizes[1] - y2, class: name };
    for (const [attribute, value] of Object.entries(places)) made.setAttribute(attribute, value);
    return made;
  };
  byId("paths").replaceChildren(
    ...told.spans.map((span) => line(span.query_start_s, span.start_s, span.query_end_s, span.end_s, "span")),
    line(0, 0, 0, sizes[1], "at"), line(0, 0, sizes[0], 0, "at"));
}

function playSpan(place) {
  const span = pair.spans[place];
  if (span) pair.play(span).then(follow);
  mark();
}

function mark() {
  const at = pair.spans.indexOf(pair.chosen);
  [...byId("spans").querySelectorAll("button")].forEach((button, place) => button.setAttribute("aria-pressed", String(place === at)));
  [...byId("paths").querySelectorAll(".span")].forEach((line, place) => line.classList.toggle("chosen", place === at));
}

/** Play where the picture was clicked: on a span that is near, exactly along it. */
function pointed(event) {
  const box = byId("plot").getBoundingClientRect();
  const x = ((event.clientX - box.left) / box.width) * sizes[0];
  const y = (1 - (event.clientY - box.top) / box.height) * sizes[1];
  const near = pair.spans.find((span) => {
    const share = (x - span.query_start_s) / (span.query_end_s - span.query_start_s);
    const there = span.start_s + share * (span.end_s - span.start_s);
    return share >= 0 && share <= 1 && Math.abs(there - y) < sizes[1] * 0.04;
  });
  if (near) pair.play(near, (x - near.query_start_s) / (near.query_end_s - near.query_start_s)).then(follow);
  else pair.playAt(x, y).then(follow);
  mark();
}

function pressed(event) {
  const isTyping = event.target.closest("input:not([type=range]), select, textarea");
  if (!shown || isTyping || byId("compare").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === " " && !event.target.closest("button, a, audio")) { event.preventDefault(); pair.toggle(); }
  else if (event.key === "x") pair.switch();
  else if (event.key === "b") pair.both();
  else if (/^[1-8]$/.test(event.key)) playSpan(Number(event.key) - 1);
}

function follow() {
  for (const deck of [pair.a, pair.b]) deck.audio.closest("figure").classList.toggle("playing", !deck.audio.paused);
  if (!shown) return;
  byId("where").textContent = `query ${clock(pair.a.at)} · candidate ${clock(pair.b.at)}`;
  const [upright, level] = byId("paths").querySelectorAll(".at");
  if (!upright) return;
  for (const end of ["x1", "x2"]) upright.setAttribute(end, pair.a.at);
  for (const end of ["y1", "y2"]) level.setAttribute(end, sizes[1] - pair.b.at);
  mark();
}
