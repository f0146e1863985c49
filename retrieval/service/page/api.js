// What the server's own OpenAPI document says, for people.

import { byId, make } from "./tools.js";

const told = await (await fetch("api/openapi.json")).json();
byId("paths-list").append(...Object.entries(told.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, one]) => make("section", { class: "group" },
  make("h2", {}, `${method.toUpperCase()} ${path}`), make("p", {}, one.description || one.summary || ""),
  make("ul", {}, ...(one.parameters || []).map((given) => make("li", {}, make("b", {}, given.name), make("span", {}, `${given.in}: ${JSON.stringify(given.schema)}`)))),
  one.requestBody ? make("pre", {}, JSON.stringify(one.requestBody.content, null, 1)) : null))));
