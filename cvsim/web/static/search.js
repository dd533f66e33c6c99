// The search page: a picture goes out as bytes, hits come back as JSON. Everything from outside becomes text
// nodes, never markup.
"use strict";

const csrf = document.querySelector("meta[name=csrf]").content;
const maxBytes = Number(document.body.dataset.maxBytes);
const status = document.getElementById("status");
const drop = document.getElementById("drop");
const file = document.getElementById("file");
let asked = 0;

const RELATIONS = {
  "identical-file": "the same file", "identical-pixels": "the same pixels", "re-encoded": "saved again",
  "resized": "resized", "recolored": "other colours", "edited": "edited", "cropped": "cropped",
  "pasted": "pasted", "rotated": "turned", "mirrored": "mirrored", "similar": "similar",
};

function say(words, bad = false) {
  status.textContent = words;
  status.classList.toggle("bad", bad);
}

function percent(score) {
  if (score >= 1) return "100 %";
  if (score > 0.999) return "> 99.9 %";
  return (Math.floor(score * 1000 + 1e-9) / 10).toFixed(1) + " %";
}

async function ask(path, type, body) {
  const number = ++asked;
  show([]);
  say("Looking…");
  let answer;
  try {
    const response = await fetch(path, {
      method: "POST", body, headers: { "content-type": type, "x-cvsim-csrf": csrf },
    });
    answer = await response.json();
  } catch {
    answer = { error: "cvsim does not answer: is it still running?" };
  }
  if (number !== asked) return;
  if (answer.error) return say(answer.error, true);
  const n = answer.hits.filter((hit) => hit.profile === "copy").length;
  say(`${n === 0 ? "No copy" : n === 1 ? "One copy" : n + " copies"} found in ${answer.seconds.toFixed(2)} s`);
  show(answer.hits);
}

function show(hits) {
  const sizes = new Map();
  for (const hit of hits) sizes.set(hit.group, (sizes.get(hit.group) || 0) + 1);
  for (const hit of hits) hit.together = sizes.get(hit.group);
  fill("copies", hits.filter((hit) => hit.profile === "copy"));
  fill("alike", hits.filter((hit) => hit.profile !== "copy"));
}

function fill(id, hits) {
  const section = document.getElementById(id);
  section.hidden = hits.length === 0;
  section.querySelector("h2 span").textContent = hits.length;
  section.querySelector("ol").replaceChildren(...hits.map(item));
}

function item(hit) {
  const node = document.getElementById("hit").content.cloneNode(true);
  const name = hit.path.split("/").pop();
  const image = node.querySelector("img");
  image.src = `/api/thumbnail/${hit.digest}`;
  image.alt = name;
  node.querySelector(".score strong").textContent = percent(hit.score);
  const words = hit.profile === "copy" ? RELATIONS[hit.relation] || hit.relation : "";
  const part = { a: ", shows more than the query", b: ", shows less than the query" }[hit.contained] || "";
  node.querySelector(".score span").textContent = words + part;
  const named = node.querySelector(".name");
  named.textContent = name;
  named.title = hit.path;
  const facts = [`${hit.width_px} × ${hit.height_px}`, ...hit.labels];
  if (hit.together > 1) facts.push(`group ${hit.group}: ${hit.together} copies of one picture`);
  node.querySelector(".facts").textContent = facts.join(" · ");
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

async function askFile(chosen) {
  if (!chosen) return;
  if (chosen.size > maxBytes) {
    show([]);
    return say(`That file is over the limit of ${(maxBytes / 1e6).toFixed(0)} MB.`, true);
  }
  preview(chosen);
  await ask("/api/search", "application/octet-stream", chosen);
}

async function preview(chosen) {
  const canvas = document.getElementById("preview");
  canvas.hidden = true;
  try {
    const bitmap = await createImageBitmap(chosen);
    const scale = Math.min(1, 440 / Math.max(bitmap.width, bitmap.height));
    canvas.width = Math.max(1, bitmap.width * scale);
    canvas.height = Math.max(1, bitmap.height * scale);
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    canvas.hidden = false;
  } catch { /* a format that the browser does not know; cvsim may */ }
}

file.addEventListener("change", () => askFile(file.files[0]).finally(() => { file.value = ""; }));
for (const name of ["dragenter", "dragover"]) {
  addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
}
addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  askFile(event.dataTransfer.files[0]);
});
addEventListener("paste", (event) => {
  const chosen = [...event.clipboardData.files][0];
  if (chosen) askFile(chosen);
});
document.getElementById("by-url").addEventListener("submit", (event) => {
  event.preventDefault();
  const url = document.getElementById("url").value.trim();
  document.getElementById("preview").hidden = true;
  if (url) ask("/api/search-url", "application/json", JSON.stringify({ url }));
});
