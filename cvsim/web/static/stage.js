// The stage: two pictures side by side, or laid over each other by the transform that was found.
// Positions are in the unit square of the kept picture; the other one follows by the affine map.
"use strict";

class Stage {
  constructor(root) {
    this.root = root;
    this.kept = root.querySelector(".kept");
    this.laid = root.querySelector("#laid");
    this.canvas = this.laid.querySelector("canvas");
    this.words = this.laid.querySelector("#laid-words");
    this.mode = "side";
    this.matrix = null;
    this.scale = 1;
    this.center = [0.5, 0.5];
    this.split = 0.5;
    this.showsOther = false;
    this.timer = 0;
    this.fingers = new Map(); // pointers that are down, and where
    this.still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.show(this.kept);
    root.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    root.addEventListener("pointerdown", (event) => this.onDown(event));
    this.resize = new ResizeObserver(() => this.draw());
    this.resize.observe(root);
  }

  close() {
    clearInterval(this.timer);
    this.resize.disconnect();
  }

  // Show another file of the group beside the kept one.
  pick(pane) {
    for (const other of this.root.querySelectorAll(".other")) other.hidden = other !== pane;
    this.other = pane;
    this.matrix = null;
    this.show(pane);
    this.fit();
  }

  show(pane, size = "large") {
    const image = pane.querySelector("img");
    // A page may say itself where a picture is; else it is asked for by its digest, in some size.
    const address = pane.dataset.address || `/picture/${pane.dataset.digest}/${size}`;
    if (image.dataset.size === "huge" || image.dataset.size === size) return;
    image.dataset.size = size;
    const next = new Image();
    next.onload = () => {
      image.src = address;
      image.decode().catch(() => {}).then(() => this.draw());
    };
    next.src = address;
    if (image.src) return;
    // The small one at once, and for good where the file itself is gone.
    image.onerror = () => pane.classList.add("no-picture");
    image.onload = () => pane.classList.remove("no-picture");
    image.src = pane.dataset.address || `/picture/${pane.dataset.digest}/small`;
  }

  // Show or hide where the other picture differs.
  toggleBoxes() {
    this.root.classList.toggle("no-boxes");
  }

  setMatrix(matrix) {
    this.matrix = matrix;
    this.draw();
  }

  setMode(mode) {
    this.mode = mode;
    this.root.dataset.mode = mode;
    this.laid.hidden = mode === "side";
    clearInterval(this.timer);
    this.showsOther = false;
    if (mode === "blink" && !this.still) {
      this.timer = setInterval(() => {
        this.showsOther = !this.showsOther;
        this.draw();
      }, 600);
    }
    this.draw();
  }

  zoom(factor, at = this.center) {
    const scale = Math.min(Math.max(this.scale * factor, 1), 24);
    const ratio = this.scale / scale;
    this.center = this.center.map((c, i) => at[i] + (c - at[i]) * ratio);
    this.scale = scale;
    if (scale > 1.2) for (const pane of [this.kept, this.other]) if (pane) this.show(pane, "huge");
    this.draw();
  }

  fit() {
    this.scale = 1;
    this.center = [0.5, 0.5];
    this.draw();
  }

  draw() {
    const free = 0.5 / this.scale;
    this.center = this.center.map((c) => Math.min(Math.max(c, free), 1 - free));
    this.root.classList.toggle("fitted", this.scale === 1);
    const words = document.getElementById("zoom-words");
    if (words) words.textContent = this.scale === 1 ? "Fit" : `${this.scale.toFixed(1)} ×`;
    if (this.mode === "side") {
      this.place(this.kept, this.center);
      if (this.other) this.place(this.other, this.clamped(mapped(this.matrix, this.center)));
    } else {
      this.drawLaid();
    }
  }

  clamped(point) {
    const free = 0.5 / this.scale;
    return point.map((c) => Math.min(Math.max(c, free), 1 - free));
  }

  place(pane, center) {
    const image = pane.querySelector("img");
    const [w, h] = shares(image);
    const [x, y] = [(0.5 - center[0]) * 100 * this.scale * w, (0.5 - center[1]) * 100 * this.scale * h];
    const transform = `translate(${x}%, ${y}%) scale(${this.scale})`;
    image.style.transform = transform;
    const boxes = pane.querySelector(".boxes");
    if (boxes) boxes.style.transform = transform;
  }

  // Which picture is the frame: the one that shows more; the other is drawn where it lies in it.
  layers() {
    const kept = this.kept.querySelector("img");
    const other = this.other.querySelector("img");
    const matrix = this.matrix || [[1, 0, 0], [0, 1, 0]];
    const area = Math.abs(matrix[0][0] * matrix[1][1] - matrix[0][1] * matrix[1][0]);
    return area >= 0.999
      ? { frame: kept, placed: other, at: inverse(matrix), keptIsFrame: true }
      : { frame: other, placed: kept, at: matrix, keptIsFrame: false };
  }

  drawLaid() {
    if (!this.other) return;
    const { frame, placed, at, keptIsFrame } = this.layers();
    if (!frame.naturalWidth || !placed.naturalWidth) return;
    const box = this.laid.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
    if (!width || !height) return;
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const fit = Math.min(width / frame.naturalWidth, height / frame.naturalHeight);
    const [w, h] = [frame.naturalWidth * fit * this.scale, frame.naturalHeight * fit * this.scale];
    const origin = [width / 2 - this.center[0] * w, height / 2 - this.center[1] * h];
    const base = [w, 0, 0, h, ...origin];
    const over = [w * at[0][0], h * at[1][0], w * at[0][1], h * at[1][1], origin[0] + w * at[0][2], origin[1] + h * at[1][2]];
    const pen = this.canvas.getContext("2d");
    const put = (image, transform) => {
      pen.setTransform(...transform);
      pen.drawImage(image, 0, 0, 1, 1);
    };
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, width, height);
    this.canvas.classList.toggle("amplified", this.mode === "difference");
    this[`draw_${this.mode}`]({ pen, put, frame, placed, base, over, width, height, keptIsFrame });
    pen.globalCompositeOperation = "source-over";
    pen.globalAlpha = 1;
  }

  draw_blink({ put, pen, frame, placed, base, over, keptIsFrame }) {
    const showsFrame = this.showsOther !== keptIsFrame;
    pen.globalAlpha = showsFrame ? 1 : 0.18;
    put(frame, base);
    pen.globalAlpha = 1;
    if (!showsFrame) put(placed, over);
    this.words.textContent = (this.showsOther ? "This one" : "The kept one") + (this.still ? " – press 2 to change" : "");
  }

  draw_slide({ pen, put, frame, placed, base, over, width, height, keptIsFrame }) {
    const edge = Math.round(width * this.split);
    put(frame, base);
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.save();
    pen.beginPath();
    pen.rect(keptIsFrame ? edge : 0, 0, keptIsFrame ? width - edge : edge, height);
    pen.clip();
    pen.clearRect(0, 0, width, height);
    pen.globalAlpha = 0.18;
    put(frame, base);
    pen.globalAlpha = 1;
    put(placed, over);
    pen.restore();
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.fillStyle = "#fff";
    pen.fillRect(edge - 1, 0, 3, height);
    pen.fillStyle = "#0006";
    pen.fillRect(edge - 2, 0, 1, height);
    pen.fillRect(edge + 2, 0, 1, height);
    this.words.textContent = "Left: the kept one. Right: this one. Drag";
  }

  draw_difference({ pen, put, frame, placed, base, over }) {
    pen.globalAlpha = 0.12;
    put(frame, base);
    pen.globalAlpha = 1;
    pen.save();
    pen.setTransform(...over);
    pen.beginPath();
    pen.rect(0, 0, 1, 1);
    pen.clip();
    put(frame, base);
    pen.globalCompositeOperation = "difference";
    put(placed, over);
    pen.restore();
    this.words.textContent = this.matrix
      ? "Black where they agree; differences are shown four times as strong"
      : "Laid over each other by their outlines: no better alignment was found";
  }

  onWheel(event) {
    if (!event.target.closest(".frame, #laid")) return;
    event.preventDefault();
    this.zoom(event.deltaY < 0 ? 1.25 : 0.8, this.at(event));
  }

  // Where the pointer is, in the unit square of the picture under it.
  at(event) {
    const image = event.target.closest(".frame")?.querySelector("img");
    if (!image) return this.center;
    const box = image.getBoundingClientRect();
    const [w, h] = shares(image);
    const point = [
      0.5 + ((event.clientX - box.left) / box.width - 0.5) / w,
      0.5 + ((event.clientY - box.top) / box.height - 0.5) / h,
    ];
    return point.map((c) => Math.min(Math.max(c, 0), 1));
  }

  onDown(event) {
    const target = event.target.closest(".frame, #laid");
    if (!target || event.button) return;
    if (event.pointerType !== "touch") event.preventDefault();
    this.fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.fingers.size > 1) return; // who follows the first follows the second, too
    const box = (target.querySelector("img") || this.canvas).getBoundingClientRect();
    const move = (next) => {
      const last = this.fingers.get(next.pointerId);
      if (!last) return;
      const before = [...this.fingers.values()];
      this.fingers.set(next.pointerId, [next.clientX, next.clientY]);
      if (before.length === 2) this.pinch(target, before, [...this.fingers.values()]);
      else this.drag(box, last, next);
    };
    const up = (next) => {
      this.fingers.delete(next.pointerId);
      if (this.fingers.size) return;
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", up);
      removeEventListener("pointercancel", up);
    };
    if (this.mode === "slide") move(event);
    addEventListener("pointermove", move);
    addEventListener("pointerup", up);
    addEventListener("pointercancel", up);
  }

  drag(box, last, next) {
    if (this.mode === "slide" && this.scale === 1) {
      this.split = Math.min(Math.max((next.clientX - box.left) / box.width, 0), 1);
    } else {
      const size = this.mode === "side" ? 1 : this.scale;
      this.center = [
        this.center[0] - (next.clientX - last[0]) / (box.width * size),
        this.center[1] - (next.clientY - last[1]) / (box.height * size),
      ];
    }
    this.draw();
  }

  // Two fingers: what lies between them stays there.
  pinch(target, before, after) {
    const apart = ([[x, y], [u, v]]) => Math.hypot(x - u, y - v) || 1;
    const [[x, y], [u, v]] = after;
    const between = { target: target.querySelector("img") || target, clientX: (x + u) / 2, clientY: (y + v) / 2 };
    this.zoom(apart(after) / apart(before), this.at(between));
  }
}

// How much of its box a picture fills, across and down: it is fitted into it.
function shares(image) {
  const [width, height] = [image.offsetWidth, image.offsetHeight];
  if (!image.naturalWidth || !width || !height) return [1, 1];
  const fit = Math.min(width / image.naturalWidth, height / image.naturalHeight);
  return [(image.naturalWidth * fit) / width, (image.naturalHeight * fit) / height];
}

function mapped(matrix, [x, y]) {
  if (!matrix) return [x, y];
  return matrix.map(([a, b, c]) => a * x + b * y + c);
}

function inverse([[a, b, c], [d, e, f]]) {
  const det = a * e - b * d;
  if (!det) return [[1, 0, 0], [0, 1, 0]];
  return [
    [e / det, -b / det, (b * f - c * e) / det],
    [-d / det, a / det, (c * d - a * f) / det],
  ];
}
