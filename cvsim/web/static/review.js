// The review page. The server holds the truth; this asks, shows, and passes decisions on one by one.
"use strict";

(() => {
  const PICTURES_AT_ONCE = 2;
  const SCORES = [0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995, 0.999, 0.9999];
  const $ = (id) => document.getElementById(id);
  const csrf = document.querySelector("meta[name=csrf]").content;
  const main = $("main");
  let groups = []; // numbers of the groups that pass the filters, as they were when the filters were set
  let page = 0;
  let pageRows = 50; // as many as the server gives at once
  let current = null; // number of the group on the stage
  let stage = null;
  let standing = { totals: null, undo: null };
  let queue = Promise.resolve(); // decisions go out one after the other, however fast the keys are

  // ---- Asking the server ----

  async function get(address) {
    return answered(await fetch(address, { headers: { accept: "*/*" } }));
  }

  // What will be asked for soon is asked for ahead, one answer an address.
  const ahead = new Map();

  function getAhead(address) {
    if (ahead.has(address)) return;
    if (ahead.size > 8) ahead.clear();
    const answer = get(address).then((response) => response.text());
    answer.catch(() => ahead.delete(address));
    ahead.set(address, answer);
  }

  async function getText(address) {
    const known = ahead.get(address);
    ahead.delete(address);
    return known || (await get(address)).text();
  }

  // What a decision may have changed is asked for anew.
  function forget({ group }) {
    for (const address of ahead.keys()) if (!group || `${address}/`.startsWith(`/group/${group}/`)) ahead.delete(address);
  }

  async function post(address, body = {}) {
    if (!body.dry && address !== "/open") forget(address === "/decide" ? body : {});
    const headers = { "content-type": "application/json", "x-cvsim-csrf": csrf };
    return (await answered(await fetch(address, { method: "POST", headers, body: JSON.stringify(body) }))).json();
  }

  async function answered(response) {
    if (response.ok) return response;
    let words = `The server said ${response.status}.`;
    try {
      words = (await response.json()).error || words;
    } catch {
      if (response.status === 403) words = "This page belongs to an earlier run of cvsim. Open the new address.";
    }
    throw new Error(words);
  }

  function say(words, isError = false) {
    const toast = $("toast");
    toast.textContent = words;
    toast.classList.toggle("error", isError);
    toast.hidden = false;
    clearTimeout(say.timer);
    say.timer = setTimeout(() => (toast.hidden = true), isError ? 8000 : 2500);
  }

  function failed(error) {
    const lost = error instanceof TypeError;
    say(lost ? "cvsim does not answer: is it still running? What you decided is saved." : error.message, true);
  }

  // One thing at a time, in order.
  function inTurn(action) {
    queue = queue.then(action).catch(failed);
    return queue;
  }

  // ---- The head ----

  function showStanding(now) {
    if (!now.totals) return;
    standing = now;
    const { groups: n, decided, done, open, files_words, bytes_words, files, gone } = now.totals;
    $("standing").textContent =
      `${count(decided + done)} of ${count(n)} decided` + (files ? ` · ${files_words}, ${bytes_words} will be freed` : "");
    $("track-done").style.width = `${(100 * done) / n}%`;
    $("track-decided").style.width = `${(100 * decided) / n}%`;
    $("undo").disabled = !now.undo;
    $("undo").title = now.undo ? `Take back: ${now.undo}` : "";
    $("apply-button").disabled = !files && !gone;
    $("bulk-button").disabled = !open;
  }

  const count = (n) => n.toLocaleString("en");

  // ---- The list ----

  function filters() {
    const { state, relation, folder, order, text } = Object.fromEntries(new FormData($("filters")));
    return { state, relation, folder, order, text };
  }

  async function loadList({ keepCurrent = false } = {}) {
    const at = keepCurrent && current !== null ? current : "";
    const found = JSON.parse(await getText(listAddress(at)));
    groups = found.groups;
    page = found.page;
    pageRows = found.rows_a_page;
    showStanding(found);
    $("nothing").hidden = groups.length > 0;
    showRows(found.rows);
    const wanted = at || groups[0];
    if (wanted !== undefined) await openGroup(wanted);
    else emptyStage();
  }

  const listAddress = (at) => `/groups?${new URLSearchParams({ ...filters(), at })}`;

  async function showPage() {
    const shown = groups.slice(page * pageRows, (page + 1) * pageRows);
    showRows(shown.length ? await getText(`/rows?numbers=${shown}`) : "");
  }

  function showRows(rows) {
    $("list").innerHTML = rows; // made by the server's template, which escapes every name
    $("list").scrollTop = 0;
    loadWhenSeen($("list"));
    const [first, last] = [page * pageRows, Math.min((page + 1) * pageRows, groups.length)];
    $("page-words").textContent = last ? `${count(first + 1)}–${count(last)} of ${count(groups.length)}` : "";
    $("page-back").disabled = page === 0;
    $("page-on").disabled = last >= groups.length;
    $("pager").hidden = groups.length <= pageRows;
    markRow();
  }

  // Small pictures are loaded when they are seen, few at a time: a browser has six connections to a server, and
  // what a person waits for must not stand in line behind fifty pictures.
  const waiting = [];
  let nLoading = 0;
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      waiting.push(target);
    }
    loadMore();
  }, { rootMargin: "200px" });

  function loadWhenSeen(part) {
    for (const image of part.querySelectorAll("img[data-src]")) seen.observe(image);
  }

  function loadMore() {
    while (nLoading < PICTURES_AT_ONCE && waiting.length) {
      const image = waiting.shift();
      if (!image.isConnected || image.src) continue;
      nLoading += 1;
      image.onload = image.onerror = () => {
        nLoading -= 1;
        loadMore();
      };
      image.src = image.dataset.src;
    }
  }

  function turnPage(step) {
    page += step;
    return showPage();
  }

  function markRow() {
    for (const row of $("list").children) {
      const isCurrent = Number(row.dataset.group) === current;
      row.classList.toggle("current", isCurrent);
      row.firstElementChild.setAttribute("aria-current", isCurrent);
      if (isCurrent) row.scrollIntoView({ block: "nearest" });
    }
  }

  async function refreshRow(number) {
    const row = $("list").querySelector(`[data-group="${number}"]`);
    if (!row) return;
    row.outerHTML = await getText(`/rows?numbers=${number}`);
    loadWhenSeen($("list"));
    markRow();
  }

  // ---- The group on the stage ----

  function emptyStage() {
    stage?.close();
    stage = null;
    current = null;
    const state = filters().state;
    const words = state === "open" && standing.totals && !standing.totals.open ? "Everything is decided." : "Nothing here.";
    main.replaceChildren(Object.assign(document.createElement("p"), { className: "blank", textContent: words }));
  }

  // What has the focus, named so that it is found again in the page that takes its place.
  function focused() {
    const own = main.contains(document.activeElement) && document.activeElement !== main ? document.activeElement : null;
    const name = own && ["do", "mode", "zoom", "pick", "grid", "chosen"].find((key) => key in own.dataset);
    return name ? `[data-${name}="${own.dataset[name]}"]` : "";
  }

  async function openGroup(number, file = null) {
    const focus = focused();
    const mode = stage?.mode || "side";
    const html = await getText(`/group/${number}`);
    stage?.close();
    current = number;
    if (location.hash !== `#${number}`) history.replaceState(null, "", `#${number}`);
    main.innerHTML = html; // made by the server's template, which escapes every name
    stage = new Stage($("stage"));
    for (const strip of main.querySelectorAll(".strip")) loadWhenSeen(strip);
    const others = panes();
    pick(others.find((pane) => pane.dataset.file === String(file)) || others[0]);
    stage.setMode(mode);
    pressMode(mode);
    const at = Math.floor(groups.indexOf(number) / pageRows);
    if (at >= 0 && at !== page) {
      page = at;
      await showPage();
    }
    if (focus && document.activeElement === document.body) (main.querySelector(focus) || main).focus({ preventScroll: true });
    markRow();
    closeList();
    lookAhead(number);
  }

  const panes = () => Array.from($("stage").querySelectorAll(".other"));

  async function pick(pane) {
    stage.pick(pane);
    for (const button of main.querySelectorAll("[data-pick]")) {
      const isPicked = button.dataset.pick === pane.dataset.file;
      button.setAttribute("aria-selected", isPicked);
      if (isPicked) showInStrip(button);
    }
    const toggle = main.querySelector("[data-do=toggle] span");
    toggle.textContent = pane.dataset.decision === "remove" ? "Leave it" : "Let it go";
    const isDone = main.querySelector(".group").dataset.state === "done";
    for (const button of main.querySelectorAll(".actions button")) button.disabled = isDone;
    const [own, number] = [stage, current];
    const isStill = () => own === stage && stage.other === pane;
    const slow = setTimeout(() => {
      if (!isStill()) return;
      const words = { className: "dim", textContent: "Comparing the two…" }; // and not what was said of others
      $("pair").replaceChildren(Object.assign(document.createElement("p"), words));
    }, 300);
    try {
      const html = await getText(`/group/${number}/${pane.dataset.file}`);
      if (!isStill()) return; // the person has gone on
      $("pair").innerHTML = html; // made by the server's template, which escapes every name
      const matrix = $("pair").querySelector("[data-matrix]").dataset.matrix;
      stage.setMatrix(matrix ? JSON.parse(matrix) : null);
    } catch (error) {
      failed(error);
    } finally {
      clearTimeout(slow);
    }
  }

  // Along the strip only: the page stays where it is.
  function showInStrip(button) {
    const strip = button.parentElement;
    const [left, right] = [button.offsetLeft - strip.offsetLeft, strip.clientWidth - button.offsetWidth];
    strip.scrollLeft = Math.min(Math.max(strip.scrollLeft, left - right), left);
  }

  // The next group's pictures, while the person looks at this one.
  async function lookAhead(number) {
    const next = groups[groups.indexOf(number) + 1];
    if (next === undefined) return;
    clearTimeout(lookAhead.timer);
    lookAhead.timer = setTimeout(async () => {
      try {
        getAhead(`/group/${next}`);
        const fragment = new DOMParser().parseFromString(await ahead.get(`/group/${next}`), "text/html");
        const first = Array.from(fragment.querySelectorAll(".pane")).slice(0, 2);
        for (const pane of first) new Image().src = `/picture/${pane.dataset.digest}/large`;
        getAhead(`/group/${next}/${first[1].dataset.file}`); // compared by the time it is opened
      } catch {
        // it will be asked for again when it is opened
      }
    }, 250);
  }

  function step(by) {
    const at = groups.indexOf(current);
    const next = groups[at < 0 ? 0 : at + by];
    if (next !== undefined) return openGroup(next);
    say(by > 0 ? "That was the last one." : "This is the first one.");
  }

  function stepPicture(by) {
    const all = panes();
    const next = all[all.indexOf(stage.other) + by];
    if (next) pick(next);
  }

  function pressMode(mode) {
    for (const button of main.querySelectorAll("[data-mode][aria-pressed]")) {
      button.setAttribute("aria-pressed", button.dataset.mode === mode);
    }
  }

  function setMode(mode) {
    if (!stage) return;
    showGrid(false);
    if (mode === "blink" && stage.mode === "blink") stage.showsOther = !stage.showsOther;
    else stage.setMode(mode);
    stage.draw();
    pressMode(mode);
  }

  // ---- Deciding ----

  const DID = {
    accept: "Accepted", keep: "Kept this one", "keep-both": "Both stay", "not-a-duplicate": "Not a duplicate",
    remove: "It will go", leave: "It stays",
  };

  function decide(name) {
    if (!stage || current === null) return;
    if (name === "skip") return inTurn(() => step(1));
    const pane = stage.other;
    const action = name === "toggle" ? (pane.dataset.decision === "remove" ? "leave" : "remove") : name;
    const [number, isPair] = [current, panes().length === 1];
    return inTurn(async () => {
      const now = await post("/decide", { group: number, file: Number(pane.dataset.file), action });
      showStanding(now);
      await refreshRow(number);
      say(DID[action]);
      const goesOn = action === "accept" || (now.state === "decided" && isPair && name !== "toggle");
      if (goesOn && groups.indexOf(number) + 1 < groups.length) await step(1);
      else await openGroup(number, action === "keep" ? null : pane.dataset.file);
      if (!now.totals.open && goesOn) say("Everything is decided. Apply when you are ready.");
    });
  }

  function undo() {
    return inTurn(async () => {
      const now = await post("/undo");
      showStanding(now);
      say("Taken back");
      if (!groups.includes(now.group)) {
        current = now.group; // after a rule for many the list is without them
        return loadList({ keepCurrent: true });
      }
      await showPage();
      await openGroup(now.group);
    });
  }

  // ---- Many at once ----

  function score() {
    return SCORES[Number($("bulk-score").value)];
  }

  // ---- All files of a group ----

  function showGrid(isShown = $("grid").hidden) {
    $("grid").hidden = !isShown;
    $("stage").hidden = isShown;
    main.querySelector("[data-grid]").setAttribute("aria-pressed", isShown);
    if (!isShown) return;
    pressMode("");
    loadWhenSeen($("grid"));
  }

  const chosenFiles = () => Array.from($("grid").querySelectorAll(":checked"), (box) => Number(box.value));

  function countChosen() {
    const n = chosenFiles().length;
    for (const button of $("grid").querySelectorAll("[data-chosen]")) button.disabled = !n;
    $("grid").querySelector("[data-count]").textContent = n ? `${count(n)} chosen` : "";
  }

  function decideChosen(action) {
    const [number, files] = [current, chosenFiles()];
    return inTurn(async () => {
      const now = await post("/decide", { group: number, files, action });
      showStanding(now);
      await refreshRow(number);
      await openGroup(number);
      showGrid(true);
      say(action === "remove" ? `${count(files.length)} will go` : `${count(files.length)} stay`);
    });
  }

  function own(action, pane) {
    const { file, path } = pane.dataset;
    if (action === "copy") return navigator.clipboard.writeText(path).then(() => say("Path copied"), () => say(path));
    const body = { group: current, file: Number(file), reveal: action === "reveal" };
    return post("/open", body).then(() => say(action === "open" ? "Opened" : "Shown in its folder"), failed);
  }

  // ---- A rule for many ----

  function bulkRule() {
    const { rule, under } = Object.fromEntries(new FormData($("bulk-form")));
    return { rule, under, min_score: rule === "sure" ? score() : 0 };
  }

  async function countBulk() {
    const asked = bulkRule();
    for (const part of $("bulk-form").querySelectorAll("[data-for]")) {
      part.hidden = !part.dataset.for.split(" ").includes(asked.rule);
    }
    $("bulk-words").textContent = `${(score() * 100).toFixed(score() > 0.999 ? 2 : 1)} %`;
    $("bulk-go").disabled = true;
    $("bulk-frees").textContent = "";
    if (asked.rule.endsWith("-under") && !asked.under) return void ($("bulk-count").textContent = "");
    $("bulk-count").textContent = "Counting…";
    const isStill = () => $("bulk").open && JSON.stringify(asked) === JSON.stringify(bulkRule());
    const ticking = setInterval(async () => {
      const { counting } = await (await get("/work")).json();
      if (counting && isStill()) $("bulk-count").textContent = `Compared ${count(counting[0])} of ${count(counting[1])} groups…`;
    }, 500);
    let found;
    try {
      found = await post("/bulk", { ...asked, dry: true, ...filters() });
    } catch (error) {
      if (!isStill()) return; // another rule was chosen meanwhile
      throw error;
    } finally {
      clearInterval(ticking);
    }
    if (!isStill()) return;
    $("bulk-count").textContent = found.n ? found.groups_words : "No group";
    $("bulk-frees").textContent = found.n ? `${found.files_words} would go, which frees ${found.bytes_words}` : "";
    $("bulk-go").disabled = !found.n;
  }

  function decideMany() {
    const asked = bulkRule();
    $("bulk").close();
    return inTurn(async () => {
      const now = await post("/bulk", { ...asked, ...filters() });
      showStanding(now);
      await loadList();
      say(`Decided about ${now.groups_words}`);
    });
  }

  // ---- Carrying out ----

  function askToApply() {
    const { files, files_words, bytes_words, gone } = standing.totals;
    $("apply-ask").hidden = !files;
    $("apply-run").hidden = true;
    $("apply-count").textContent = `${files_words}, ${bytes_words}`;
    $("apply-back").hidden = !gone;
    $("apply-back").firstElementChild.textContent = gone === 1 ? "1 file was removed." : `${count(gone)} files were removed.`;
    $("apply").showModal();
  }

  function apply(dryRun) {
    const { action } = Object.fromEntries(new FormData($("apply-form")));
    const body = { action, folder: $("apply-folder").value, n_files: standing.totals.files, dry_run: dryRun };
    return watch(() => post("/apply", body), dryRun ? "check" : "apply");
  }

  const restore = (body) => watch(() => post("/restore", body), "restore");

  // Start a piece of work and follow it until it has ended.
  async function watch(start, kind) {
    try {
      await start();
    } catch (error) {
      return failed(error);
    }
    if (!$("apply").open) $("apply").showModal();
    $("apply-ask").hidden = true;
    $("apply-back").hidden = true;
    $("apply-run").hidden = false;
    $("apply-after").hidden = true;
    $("apply-notes").replaceChildren();
    $("apply-bar").hidden = false;
    for (;;) {
      let now;
      try {
        now = await (await get("/work")).json();
      } catch (error) {
        return failed(error);
      }
      if (now.state !== "running") return ended(now, kind);
      $("apply-words").textContent = `${count(now.done)} of ${count(now.total)}`;
      if (now.total) Object.assign($("apply-bar"), { max: now.total, value: now.done });
      else $("apply-bar").removeAttribute("value");
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  async function ended(now, kind) {
    $("apply-bar").hidden = true;
    $("apply-words").textContent = now.ended.headline;
    $("apply-notes").replaceChildren(...now.ended.notes.map(([path, reason]) => {
      const item = document.createElement("li");
      const name = Object.assign(document.createElement("bdi"), { textContent: path });
      item.append(name, reason ? `: ${reason}` : "");
      return item;
    }));
    $("apply-after").hidden = false;
    ahead.clear();
    $("apply-undo").hidden = kind !== "apply" || !now.totals.gone;
    $("apply-ask").hidden = kind !== "check"; // it was only a look: the question stands
    showStanding(now);
    await inTurn(() => loadList({ keepCurrent: true }));
  }

  // ---- Events ----

  function openList() {
    document.body.classList.add("list-open");
    $("open-list").setAttribute("aria-expanded", "true");
  }

  function closeList() {
    document.body.classList.remove("list-open");
    $("open-list").setAttribute("aria-expanded", "false");
  }

  const KEYS = {
    j: () => inTurn(() => step(1)), ArrowDown: () => inTurn(() => step(1)),
    k: () => inTurn(() => step(-1)), ArrowUp: () => inTurn(() => step(-1)),
    ArrowRight: () => stepPicture(1), ArrowLeft: () => stepPicture(-1),
    Enter: () => decide("accept"), t: () => decide("keep"), b: () => decide("keep-both"),
    n: () => decide("not-a-duplicate"), x: () => decide("toggle"), s: () => decide("skip"), u: undo,
    1: () => setMode("side"), 2: () => setMode("blink"), 3: () => setMode("slide"), 4: () => setMode("difference"),
    5: () => showGrid(),
    "+": () => stage.zoom(1.5), "=": () => stage.zoom(1.5), "-": () => stage.zoom(1 / 1.5), 0: () => stage.fit(),
    d: () => stage.toggleBoxes(),
    "?": () => $("help").showModal(), Escape: closeList,
    "/": () => { openList(); $("more-filters").open = true; $("filters").elements.text.focus(); },
  };
  const NEEDS_STAGE = new Set(["5", "ArrowRight", "ArrowLeft", "Enter", "d", "+", "=", "-", "0"]);

  // Single keys may get in the way of other programs that listen: of speech control, above all.
  let keysOn = localStorage.getItem("cvsim-keys") !== "off";
  $("keys-on").checked = keysOn;
  $("keys-on").addEventListener("change", (event) => {
    keysOn = event.target.checked;
    localStorage.setItem("cvsim-keys", keysOn ? "on" : "off");
  });

  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (!keysOn && event.key !== "Escape") return;
    if (event.target.matches("input[type=search], input[type=text], select")) {
      if (event.key === "Escape") {
        event.preventDefault(); // a browser would empty the field, and tell nobody
        event.target.blur();
      }
      return;
    }
    // Enter on a button or a link presses that.
    if (event.key === "Enter" && event.target.matches("button, a, summary, input")) return;
    const action = KEYS[event.key];
    if (!action || (NEEDS_STAGE.has(event.key) && !stage)) return;
    event.preventDefault();
    action();
  });

  // Errors of pictures do not bubble; a picture that cannot be had leaves its place empty.
  document.addEventListener("error", (event) => {
    if (event.target.matches?.(".thumbs img, .strip img")) event.target.classList.add("broken");
  }, true);

  main.addEventListener("change", countChosen);
  document.querySelector(".to-main").addEventListener("click", (event) => {
    event.preventDefault(); // the address names the group
    main.focus();
  });
  main.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const { mode, zoom, pick: file, do: name, chosen, own: way } = button.dataset;
    if (way) own(way, button.closest(".pane"));
    else if (chosen) decideChosen(chosen);
    else if ("grid" in button.dataset) showGrid();
    else if (mode) setMode(mode);
    else if (zoom === "fit") stage.fit();
    else if (zoom) stage.zoom(zoom === "in" ? 1.5 : 1 / 1.5);
    else if (file) pick(panes().find((pane) => pane.dataset.file === file));
    else if (name === "restore") restore({ group: current });
    else if (name) decide(name);
    // After the mouse, or Enter would press it again instead of going on; by keyboard the focus stays.
    if (event.detail) button.blur();
  });

  $("list").addEventListener("click", (event) => {
    const row = event.target.closest(".row");
    if (!row) return;
    event.preventDefault();
    if (event.detail) event.target.closest("a").blur();
    inTurn(() => openGroup(Number(row.dataset.group)));
  });

  let typing = 0;
  $("filters").addEventListener("input", (event) => {
    clearTimeout(typing);
    typing = setTimeout(() => inTurn(() => loadList()), event.target.name === "text" ? 250 : 0);
    if (event.target.type === "radio") event.target.blur();
  });
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("page-back").addEventListener("click", () => inTurn(() => turnPage(-1)));
  $("page-on").addEventListener("click", () => inTurn(() => turnPage(1)));
  $("undo").addEventListener("click", undo);
  $("help-button").addEventListener("click", () => $("help").showModal());
  $("open-list").addEventListener("click", () => (document.body.classList.contains("list-open") ? closeList() : openList()));
  $("bulk-button").addEventListener("click", () => { $("bulk").showModal(); countBulk().catch(failed); });
  $("bulk-form").addEventListener("input", () => countBulk().catch(failed));
  $("bulk-form").addEventListener("submit", (event) => event.preventDefault());
  $("bulk-go").addEventListener("click", decideMany);
  $("apply-button").addEventListener("click", askToApply);
  $("apply-form").addEventListener("input", () => ($("apply-folder").hidden = $("apply-form").elements.action.value !== "move"));
  $("apply-form").addEventListener("submit", (event) => event.preventDefault());
  $("apply-dry").addEventListener("click", () => apply(true));
  $("apply-go").addEventListener("click", () => apply(false));
  $("apply-undo").addEventListener("click", () => restore({}));
  $("restore-all").addEventListener("click", () => restore({}));
  $("apply-close").addEventListener("click", () => $("apply").close());
  // The focus would be back on the button, and Enter, which accepts, would open it again.
  for (const id of ["apply", "bulk"]) $(id).addEventListener("close", () => main.focus({ preventScroll: true }));
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close(); // beside it
    });
  }

  // Where the person was before the page was loaded again.
  const last = Number(location.hash.slice(1));
  const [first, file] = main.dataset.first.split(" ");
  // What the server had ready came with the page, by the address that it answers: used now, or not at all.
  const ready = last ? {} : JSON.parse($("answers").textContent);
  for (const [address, text] of Object.entries(ready)) ahead.set(address, text);
  getAhead(listAddress(last || ""));
  if (last || first) getAhead(`/group/${last || first}`);
  if (!last && file) getAhead(`/group/${first}/${file}`);
  inTurn(async () => {
    if (!last) return loadList();
    current = last;
    try {
      await loadList({ keepCurrent: true });
    } catch {
      current = null;
      await loadList();
    }
  });
})();
