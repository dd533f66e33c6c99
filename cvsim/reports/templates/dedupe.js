"use strict";
// This stands before the groups: the first of them are on the screen long before the last one is read.
document.getElementById("tools").hidden = false;
document.addEventListener("DOMContentLoaded", () => {
  const tools = document.getElementById("tools");
  const PER_PAGE = 50;
  const list = document.getElementById("groups");
  // Most groups stand in the page as text: thousands of them would take a browser many seconds to build.
  const groups = Array.from(list.querySelectorAll(":scope > [data-id]"), (held) => ({
    held,
    id: Number(held.dataset.id),
    bytes: Number(held.dataset.bytes),
    sure: Number(held.dataset.sure),
    pictures: Number(held.dataset.pictures),
    relations: held.dataset.relations.split(" "),
    noted: "noted" in held.dataset,
    names: held.dataset.names.toLowerCase(),
  }));
  const orders = {
    bytes: (a, b) => b.bytes - a.bytes || a.id - b.id,
    doubt: (a, b) => a.sure - b.sure || a.id - b.id,
    size: (a, b) => b.pictures - a.pictures || a.id - b.id,
    path: (a, b) => a.id - b.id,
  };
  const control = (id) => document.getElementById(id);
  const number = (value) => value.toLocaleString("en");
  let fitting = groups;
  let page = 0;

  function built(group) {
    if (group.held.localName !== "script") return group.held;
    const holder = document.createElement("template");
    holder.innerHTML = group.held.textContent;
    return holder.content.firstElementChild;
  }

  function show() {
    const first = page * PER_PAGE;
    const shown = fitting.slice(first, first + PER_PAGE);
    list.replaceChildren(...shown.map(built));
    const n_pages = Math.max(1, Math.ceil(fitting.length / PER_PAGE));
    for (const pages of document.querySelectorAll(".pages")) {
      pages.hidden = n_pages === 1;
      pages.querySelector(".place").textContent = `${number(page + 1)} of ${number(n_pages)}`;
      pages.querySelector("[data-turn='-1']").disabled = page === 0;
      pages.querySelector("[data-turn='1']").disabled = page === n_pages - 1;
    }
    const all = fitting.length === groups.length;
    control("shown").value = all ? "" : `${number(fitting.length)} of ${number(groups.length)} groups`;
    control("none").hidden = fitting.length > 0;
  }

  function filter() {
    const wanted = new Set(Array.from(tools.querySelectorAll("[name=relation]:checked"), (box) => box.value));
    const sure = Number(control("sure").value);
    const text = control("text").value.trim().toLowerCase();
    const noted = control("noted").checked;
    fitting = groups.filter(
      (group) =>
        (!wanted.size || group.relations.some((relation) => wanted.has(relation))) &&
        group.sure < sure &&
        (!noted || group.noted) &&
        (!text || group.names.includes(text)),
    );
    control("all").hidden = !(wanted.size || noted || text || sure < 2);
    page = 0;
    show();
  }

  function sort() {
    groups.sort(orders[control("order").value]);
    filter();
  }

  function turn(event) {
    const button = event.target.closest("[data-turn]");
    if (!button) return;
    page += Number(button.dataset.turn);
    show();
    list.firstElementChild.scrollIntoView();
    // The button at the end of the page is out of sight now; that of the tools stays where it is.
    if (!tools.contains(button) || button.disabled) list.focus({ preventScroll: true });
  }

  function follow() {
    const id = Number(/^#g(\d+)$/.exec(location.hash)?.[1]);
    if (!id) return;
    let place = fitting.findIndex((group) => group.id === id);
    if (place < 0 && groups.some((group) => group.id === id)) {
      tools.reset();
      place = fitting.findIndex((group) => group.id === id);
    }
    if (place < 0) return;
    page = Math.floor(place / PER_PAGE);
    show();
    document.getElementById(`g${id}`)?.scrollIntoView();
  }

  tools.addEventListener("submit", (event) => event.preventDefault());
  tools.addEventListener("input", (event) => (event.target.id === "order" ? sort() : filter()));
  tools.addEventListener("reset", () => {
    const order = control("order").value;
    for (const field of tools.elements) {
      if (field.type === "checkbox") field.checked = false;
      else if (field.id === "text") field.value = "";
      else if (field.id === "sure") field.value = "2";
    }
    filter();
    control("text").focus({ preventScroll: true });
    // What the browser itself resets, after this: the order is no filter.
    setTimeout(() => (control("order").value = order));
  });
  document.addEventListener("click", turn);
  addEventListener("hashchange", follow);
  // On paper there are no pages to turn.
  addEventListener("beforeprint", () => list.replaceChildren(...fitting.map(built)));
  addEventListener("afterprint", show);
  control("noted").closest("label").hidden = !groups.some((group) => group.noted);
  sort();
  follow();
});
