// The page: its parts, and which of them is shown.

import { setUpCatalog, showCatalog } from "./catalog.js";
import { setUpGroups, showGroups } from "./groups.js";
import { setUpSearch } from "./search.js";
import { setUpSetlist } from "./setlist.js";
import { ask, byId, tried } from "./tools.js";

const VIEWS = { search: () => {}, groups: showGroups, setlist: () => {}, catalog: showCatalog };

function open(view) {
  for (const name of Object.keys(VIEWS)) byId(name).hidden = name !== view;
  for (const button of document.querySelectorAll("nav button")) {
    if (button.dataset.view === view) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
  }
  if (location.hash.slice(1) !== view) history.replaceState(null, "", `#${view}`);
  VIEWS[view]();
}

for (const button of document.querySelectorAll("nav button")) {
  button.addEventListener("click", () => open(button.dataset.view));
}
for (const kind of ["dragover", "drop"]) { // a file beside the place for it must not replace the page
  addEventListener(kind, (event) => event.preventDefault());
}
setUpSearch();
setUpGroups();
setUpSetlist();
setUpCatalog(open);
open(location.hash.slice(1) in VIEWS ? location.hash.slice(1) : "search");
tried(async () => {
  const health = await ask("health");
  byId("health").textContent = `${health.tracks} tracks · ${health.embedder.split("@")[0]}`;
})();
