// The catalog's tracks and folders.

import { searchTrack } from "./search.js";
import { ask, byId, clock, ended, make, titleOf, tried } from "./tools.js";

const LENGTH = 50;
const COLUMNS = { title: "Title", artist: "Artist", album: "Album", duration_s: "Length", state: "State", work: "Work" };
const wanted = { offset: 0, sort: "path", descending: false };
let open = () => {};

export function setUpCatalog(openView) {
  open = openView;
  byId("columns").replaceChildren(...Object.entries(COLUMNS).map(([name, title]) => make("th", { scope: "col" },
    make("button", { type: "button", onclick: tried(() => sorted(name)) }, title))));
  byId("find").addEventListener("input", tried(() => { wanted.offset = 0; return list(); }));
  byId("before").addEventListener("click", tried(() => { wanted.offset = Math.max(0, wanted.offset - LENGTH); return list(); }));
  byId("after").addEventListener("click", tried(() => { wanted.offset += LENGTH; return list(); }));
}

export const showCatalog = tried(async () => {
  await Promise.all([list(), folders()]);
});

function sorted(name) {
  wanted.descending = wanted.sort === name && !wanted.descending;
  [wanted.sort, wanted.offset] = [name, 0];
  return list();
}

async function list() {
  const told = await ask(`tracks?${new URLSearchParams({ ...wanted, limit: LENGTH, text: byId("find").value })}`);
  byId("rows").replaceChildren(...told.tracks.map((track) => make("tr", {},
    make("td", {}, make("button", { type: "button", title: track.path, onclick: () => { open("search"); tried(searchTrack)(track); } }, titleOf(track))),
    ...["artist", "album"].map((name) => make("td", {}, track[name] || "")),
    make("td", {}, clock(track.duration_s)),
    ...["state", "work"].map((name) => make("td", {}, track[name] || "")))));
  byId("page-of").textContent = told.total ? `${wanted.offset + 1}–${Math.min(told.total, wanted.offset + LENGTH)} of ${told.total}` : "nothing";
  byId("before").disabled = wanted.offset === 0;
  byId("after").disabled = wanted.offset + LENGTH >= told.total;
}

async function folders() {
  const roots = await ask("roots");
  byId("roots").replaceChildren(...roots.map((root) => {
    const state = make("span", { role: "status", class: "hint" });
    const stop = make("button", { type: "button", hidden: true }, "Cancel");
    const start = make("button", { type: "button", onclick: tried(async () => {
      const job = await ask(`roots/${root.id}/index`, { method: "POST" });
      stop.hidden = false;
      stop.onclick = tried(() => ask(`jobs/${job.id}`, { method: "DELETE" }));
      try {
        const told = await ended(job, (now) => { state.textContent = now.total ? `${now.done} of ${now.total}` : "starting…"; });
        state.textContent = told.result ? `${told.result.added} added, ${told.result.unchanged} as they were` : told.state;
      } finally {
        stop.hidden = true;
      }
      await list();
    }) }, "Bring up to date");
    return make("li", {}, make("span", {}, root.path), start, stop, state);
  }));
}
