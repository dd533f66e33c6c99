"use strict";
(() => {
  const tools = document.getElementById("tools");
  if (!tools) return;
  const list = document.getElementById("groups");
  const groups = Array.from(list.querySelectorAll("article"), (element) => ({
    element,
    id: Number(element.dataset.id),
    bytes: Number(element.dataset.bytes),
    sure: Number(element.dataset.sure),
    pictures: element.querySelectorAll("figure").length,
    relations: element.dataset.relations.split(" "),
    noted: "noted" in element.dataset,
    text: Array.from(element.querySelectorAll("figure .name"), (name) => name.title).join("\n").toLowerCase(),
  }));
  const orders = {
    bytes: (a, b) => b.bytes - a.bytes || a.id - b.id,
    doubt: (a, b) => a.sure - b.sure || a.id - b.id,
    size: (a, b) => b.pictures - a.pictures || a.id - b.id,
    path: (a, b) => a.id - b.id,
  };
  const control = (id) => document.getElementById(id);

  function filter() {
    const wanted = new Set(Array.from(tools.querySelectorAll("[name=relation]:checked"), (box) => box.value));
    const sure = Number(control("sure").value);
    const text = control("text").value.trim().toLowerCase();
    const noted = control("noted").checked;
    let shown = 0;
    for (const group of groups) {
      const fits =
        group.relations.some((relation) => wanted.has(relation)) &&
        group.sure < sure &&
        (!noted || group.noted) &&
        (!text || group.text.includes(text));
      group.element.hidden = !fits;
      shown += fits;
    }
    control("shown").value = shown === groups.length ? "" : `${shown} of ${groups.length} groups`;
    control("none").hidden = shown > 0;
  }

  function sort() {
    const page = document.createDocumentFragment();
    groups.sort(orders[control("order").value]).forEach((group) => page.append(group.element));
    list.append(page);
  }

  tools.addEventListener("submit", (event) => event.preventDefault());
  tools.addEventListener("input", (event) => (event.target.id === "order" ? sort() : filter()));
  control("noted").closest("label").hidden = !groups.some((group) => group.noted);
  tools.hidden = false;
  sort();
  filter();
})();
