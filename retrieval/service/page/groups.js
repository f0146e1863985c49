// Groups of tracks that are probably of one work: confirmed or rejected, and stored as labels.

import { ask, asJson, byId, clock, ended, make, percent, titleOf, tried } from "./tools.js";

let isLoaded = false;

export function setUpGroups() {
  byId("group-least").addEventListener("change", tried(load));
}

export async function showGroups() {
  if (!isLoaded) await tried(load)();
}

async function load() {
  isLoaded = true;
  const place = byId("group-list");
  const tell = (job) => { place.textContent = `Comparing tracks… ${job.done}${job.total ? ` of ${job.total}` : ""}`; };
  place.textContent = "Looking for groups…";
  let told;
  try {
    told = await ask(`groups?min_probability=${byId("group-least").value}`);
  } catch (error) {
    place.textContent = "";
    isLoaded = false;
    throw error;
  }
  const rows = told.groups || (await ended(told.job, tell)).result || [];
  const groups = new Map();
  for (const row of rows) groups.set(row.group, [...(groups.get(row.group) || []), row]);
  place.replaceChildren(...[...groups.values()].map(card));
  if (!groups.size) place.textContent = "No two tracks are likely to be of one work.";
}

function card(tracks) {
  const labels = [...new Set(tracks.map((track) => track.work).filter(Boolean))];
  const name = make("input", { "aria-label": "Name of the work", value: labels[0] || titleOf(tracks[0]) });
  const state = make("span", { role: "status" }, labels.length ? "labelled" : "");
  const out = new Set();
  const made = make("div", { class: "group" });
  const items = tracks.map((track) => {
    const item = make("li", {}, make("span", { class: "num" }, percent(track.probability)),
      make("span", {}, [titleOf(track), track.artist, clock(track.duration_s)].filter(Boolean).join(" · "), track.is_representative ? " ★" : ""),
      make("audio", { controls: true, preload: "none", src: `api/tracks/${track.track_id}/audio` }),
      make("button", { type: "button", "aria-pressed": "false", onclick: (event) => {
        const isOut = !out.has(track.track_id);
        if (isOut) out.add(track.track_id); else out.delete(track.track_id);
        item.classList.toggle("out", isOut);
        event.target.setAttribute("aria-pressed", String(isOut));
      } }, "Not this one"));
    return item;
  });
  const store = (rejected) => tried(async () => {
    const work = name.value.trim() || titleOf(tracks[0]);
    const alone = (track) => `${titleOf(track)} (${track.track_id})`;
    await ask("labels", asJson({ labels: tracks.map((track) => ({
      track_id: track.track_id,
      work: rejected || out.has(track.track_id) ? alone(track) : work,
    })) }));
    state.textContent = rejected ? "rejected" : "confirmed";
    made.classList.toggle("done", !rejected);
  });
  made.append(make("div", { class: "head" }, name,
    make("button", { type: "button", class: "confirm", onclick: store(false) }, "Confirm"),
    make("button", { type: "button", class: "reject", onclick: store(true) }, "Reject"), state),
  make("ul", {}, ...items));
  return made;
}
