// The search page: pictures go out as bytes, hits come back as JSON. Everything from outside becomes text
// nodes, never markup.
"use strict";

const byId = (id) => document.getElementById(id);
const csrf = document.querySelector("meta[name=csrf]").content;
const maxBytes = Number(document.body.dataset.maxBytes);
const PAGE = 12;
const queries = [];
let shown = null;
let opened = -1;
let stage = null;

const RELATIONS = {
  "identical-file": "the same file", "identical-pixels": "the same pixels", "re-encoded": "saved again",
  "resized": "resized", "recolored": "other colours", "edited": "edited", "cropped": "cropped",
  "pasted": "pasted", "rotated": "turned", "mirrored": "mirrored", "similar": "similar",
};

function say(words, bad = false, canRetry = false) {
  byId("status").textContent = words;
  byId("status").classList.toggle("bad", bad);
  byId("again").hidden = !canRetry;
}

function percent(score) {
  if (score >= 1) return "100 %";
  if (score > 0.999) return "> 99.9 %";
  return (Math.floor(score * 1000 + 1e-9) / 10).toFixed(1) + " %";
}

// ---- Asking ----

// A query: what it is called, what is shown of it, and how it is sent first; later its digest is enough.
class Query {
  constructor(name, picture, send) {
    Object.assign(this, { name, picture, send, hits: [], digest: null, more: false, problem: null, seconds: 0 });
  }

  async ask(offset) {
    const wanted = { k: PAGE, offset, label: byId("label").value, folder: byId("folder").value };
    this.problem = null;
    const answer = this.digest ? await this.again(wanted) : await this.send(wanted);
    if (answer.error) {
      this.problem = answer;
      return;
    }
    this.digest = answer.query_digest;
    this.more = answer.more;
    this.seconds = answer.seconds;
    this.hits = offset ? [...this.hits, ...answer.hits] : answer.hits;
  }

  async again(wanted) {
    const answer = await post("/api/search-like", "application/json", JSON.stringify({ digest: this.digest, ...wanted }));
    return answer.status === 404 ? this.send(wanted) : answer;
  }
}

async function post(path, type, body) {
  try {
    const response = await fetch(path, { method: "POST", body, headers: { "content-type": type, "x-cvsim-csrf": csrf } });
    const answer = await response.json();
    return response.ok ? answer : { ...answer, status: response.status, after: response.headers.get("retry-after") };
  } catch {
    return { error: "cvsim does not answer. Is it still running? Start cvsim serve again and open its new address.", status: 0 };
  }
}

function fileQuery(file) {
  return new Query(file.name || "pasted picture", URL.createObjectURL(file), (wanted) => {
    if (file.size > maxBytes) {
      const limit = (maxBytes / 1e6).toFixed(0);
      return { error: `${file.name} is over the limit of ${limit} MB. Save it smaller, or start cvsim serve with a larger --max-upload.`, status: 413 };
    }
    const given = Object.entries(wanted).filter(([, value]) => value !== "");
    return post("/api/search?" + new URLSearchParams(given), "application/octet-stream", file);
  });
}

function urlQuery(url) {
  return new Query(url, null, (wanted) => post("/api/search-url", "application/json", JSON.stringify({ url, ...wanted })));
}

function hitQuery(hit) {
  const query = new Query(nameOf(hit.path), `/api/picture/${hit.digest}`, (wanted) => query.again(wanted));
  query.digest = hit.digest;
  return query;
}

async function add(...made) {
  if (!made.length) return;
  queries.push(...made);
  while (queries.length > 40) {
    const old = queries.shift();
    if (old.picture?.startsWith("blob:")) URL.revokeObjectURL(old.picture);
  }
  show(made[0]);
  for (const query of made) await run(query);  // one after the other: the server takes a few at once
}

async function run(query, offset = 0) {
  query.busy = true;
  if (query === shown) show(query);
  await query.ask(offset);
  query.busy = false;
  if (query === shown) show(query);
  else drawQueries();
}

// ---- Showing ----

function show(query) {
  shown = query;
  drawQueries();
  const copies = query.hits.filter((hit) => hit.profile === "copy");
  const sizes = new Map();
  for (const hit of query.hits) sizes.set(hit.group, (sizes.get(hit.group) || 0) + 1);
  for (const hit of query.hits) hit.together = sizes.get(hit.group);
  fill("copies", copies);
  fill("alike", query.hits.filter((hit) => hit.profile !== "copy"));
  byId("more").hidden = !query.more || query.busy;
  if (query.busy) return say("Looking…");
  if (query.problem) {
    const { error, status, after } = query.problem;
    const wait = status === 429 ? ` Try again in ${after || 5} s.` : "";
    return say(error + wait, true, status === 0 || status === 429 || status === 503 || status === 408);
  }
  const n = copies.length;
  const narrowed = byId("label").value || byId("folder").value;
  if (!query.hits.length) {
    return say(narrowed ? "Nothing is found there. Choose another label or folder, or any." : "Nothing is found that looks like it.");
  }
  say(`${n === 0 ? "No copy" : n === 1 ? "One copy" : n + " copies"} found in ${query.seconds.toFixed(2)} s`);
}

function drawQueries() {
  byId("queries").hidden = queries.length === 0;
  byId("queries").replaceChildren(...queries.map((query) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    const image = document.createElement("img");
    const words = document.createElement("span");
    image.alt = "";
    const source = query.picture || (query.digest && `/api/thumbnail/${query.digest}`);
    if (source) image.src = source;
    image.onerror = () => {  // a format that the browser does not know; cvsim may
      image.onerror = null;
      if (query.digest) image.src = query.picture = `/api/thumbnail/${query.digest}`;
    };
    words.textContent = query.busy ? "…" : query.problem ? "failed" : query.name;
    button.title = query.name;
    button.setAttribute("aria-label", `Query ${query.name}`);
    button.setAttribute("aria-current", String(query === shown));
    button.append(image, words);
    button.addEventListener("click", () => show(query));
    item.append(button);
    return item;
  }));
}

function fill(id, hits) {
  const section = byId(id);
  section.hidden = hits.length === 0;
  section.querySelector("h2 span").textContent = hits.length;
  section.querySelector("ol").replaceChildren(...hits.map((hit, k) => item(hit, k + 1)));
}

const nameOf = (path) => path.split("/").pop();

function relationOf(hit) {
  const part = { a: ", shows more than the query", b: ", shows less than the query" }[hit.contained] || "";
  return hit.profile === "copy" ? (RELATIONS[hit.relation] || hit.relation) + part : "";
}

function factsOf(hit) {
  const facts = [`${hit.width_px} × ${hit.height_px}`, ...hit.labels];
  if (hit.together > 1) facts.push(`group ${hit.group}: ${hit.together} copies of one picture`);
  return facts.join(" · ");
}

function item(hit, rank) {
  const node = byId("hit").content.cloneNode(true);
  const name = nameOf(hit.path);
  const image = node.querySelector("img");
  image.src = `/api/thumbnail/${hit.digest}`;
  node.querySelector(".open").setAttribute("aria-label", `Open ${name}`);
  node.querySelector(".open").addEventListener("click", () => openHit(shown.hits.indexOf(hit)));
  // Of a copy it is a probability. Of what merely looks alike it is a similarity, and no per cent of anything.
  const isCopy = hit.profile === "copy";
  node.querySelector(".score strong").textContent = isCopy ? percent(hit.score) : `${rank}.`;
  node.querySelector(".score span").textContent = isCopy ? relationOf(hit) : `similarity ${hit.score.toFixed(2)}`;
  const named = node.querySelector(".name");
  named.textContent = name;
  named.title = hit.path;
  node.querySelector(".facts").textContent = factsOf(hit);
  node.querySelector("tbody").replaceChildren(...hit.signals.map((signal) => row(signal, hit.profile)));
  return node;
}

function row(signal, profile) {
  const line = document.createElement("tr");
  const weight = profile === "copy" ? (signal.weight > 0 ? "+" : "") + signal.weight.toFixed(1) : "";
  const value = signal.similarity === null ? "no evidence" : signal.similarity.toFixed(2);
  for (const text of [signal.name, value, weight]) {
    line.insertCell().textContent = text;
  }
  return line;
}

// ---- The viewer: query and hit side by side, on the stage of the review page ----

function openHit(number) {
  const hit = shown.hits[number];
  if (!hit) return;
  opened = number;
  const root = byId("stage");
  const [kept, other] = [root.querySelector(".kept"), root.querySelector(".other")];
  kept.dataset.address = shown.picture || `/api/thumbnail/${shown.digest}`;
  other.dataset.address = `/api/picture/${hit.digest}`;
  for (const [pane, small] of [[kept, kept.dataset.address], [other, `/api/thumbnail/${hit.digest}`]]) {
    const image = pane.querySelector("img");
    image.src = small;  // at once, and for good where the file itself is gone
    delete image.dataset.size;
  }
  byId("viewer-title").textContent = nameOf(hit.path);
  byId("viewer-path").textContent = hit.path;
  const words = hit.profile === "copy" ? `${percent(hit.score)} ${relationOf(hit)}` : `looks alike, similarity ${hit.score.toFixed(2)}`;
  byId("viewer-facts").textContent = `${words} · ${factsOf(hit)}`;
  byId("copy").textContent = "Copy path";
  byId("back").disabled = number === 0;
  byId("on").disabled = number === shown.hits.length - 1;
  if (!byId("viewer").open) byId("viewer").showModal();
  stage?.close();
  stage ??= new Stage(root);
  stage.resize.observe(root);
  stage.show(kept);
  stage.pick(other);
}

async function copyPath() {
  try {
    await navigator.clipboard.writeText(byId("viewer-path").textContent);
    byId("copy").textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(byId("viewer-path"));
    byId("copy").textContent = "Selected: press Ctrl-C";
  }
}

function searchWithThis() {
  const hit = shown.hits[opened];
  byId("viewer").close();
  add(hitQuery(hit));
  scrollTo(0, 0);
  byId("results").focus({ preventScroll: true });
}

byId("viewer").addEventListener("close", () => {
  stage?.close();
  const buttons = document.querySelectorAll("#results .open");
  const hit = shown?.hits[opened];
  for (const button of buttons) if (hit && button.getAttribute("aria-label") === `Open ${nameOf(hit.path)}`) return button.focus();
});
byId("viewer").addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const act = {
    ArrowLeft: () => openHit(opened - 1), ArrowRight: () => openHit(opened + 1), c: copyPath, s: searchWithThis,
    "+": () => stage.zoom(1.5), "=": () => stage.zoom(1.5), "-": () => stage.zoom(1 / 1.5), 0: () => stage.fit(),
  }[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});
for (const button of document.querySelectorAll("[data-zoom]")) {
  button.addEventListener("click", () => ({ in: () => stage.zoom(1.5), out: () => stage.zoom(1 / 1.5), fit: () => stage.fit() })[button.dataset.zoom]());
}
byId("close").addEventListener("click", () => byId("viewer").close());
byId("back").addEventListener("click", () => openHit(opened - 1));
byId("on").addEventListener("click", () => openHit(opened + 1));
byId("copy").addEventListener("click", copyPath);
byId("with-this").addEventListener("click", searchWithThis);

// ---- What people do ----

function take(input) {
  const made = [...input.files].map(fileQuery);
  input.value = "";
  add(...made);
}

for (const input of [byId("file"), byId("camera")]) {
  input.addEventListener("change", () => take(input));
  take(input);  // what was picked before this script ran, on a slow line or machine, told nobody of it
}
for (const name of ["dragenter", "dragover"]) {
  addEventListener(name, (event) => { event.preventDefault(); byId("drop").classList.add("over"); });
}
addEventListener("dragleave", (event) => { if (!event.relatedTarget) byId("drop").classList.remove("over"); });
addEventListener("drop", (event) => {
  event.preventDefault();
  byId("drop").classList.remove("over");
  add(...[...event.dataTransfer.files].map(fileQuery));
});
addEventListener("paste", (event) => add(...[...event.clipboardData.files].map(fileQuery)));
byId("by-url").addEventListener("submit", (event) => {
  event.preventDefault();
  const url = byId("url").value.trim();
  if (url) add(urlQuery(url));
});
byId("more").addEventListener("click", () => run(shown, shown.hits.length));
byId("again").addEventListener("click", () => run(shown));
for (const id of ["label", "folder"]) byId(id).addEventListener("change", () => { if (shown) run(shown); });

async function offerFilters() {
  const answer = await fetch("/api/filters").then((response) => response.json()).catch(() => ({}));
  const fillIn = (id, rows) => {
    byId(id).append(...(rows || []).map(({ value, n }) => new Option(`${value} (${n.toLocaleString("en")})`, value)));
    byId(id).closest("label").hidden = byId(id).options.length < 2;
  };
  fillIn("label", answer.labels?.map(({ name, n }) => ({ value: name, n })));
  fillIn("folder", answer.folders?.map(({ path, n }) => ({ value: path, n })));
}
if (document.body.dataset.images === "0") say("Nothing is indexed yet. Run cvsim index PATH --store and the place of this index, then reload this page.");
offerFilters();
