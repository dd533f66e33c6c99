const element = (id) => document.getElementById(id);
const canvas = element("map"), pen = canvas.getContext("2d"), tip = element("tip"), big = element("big");
const images = DATA.images.map((source) => {
  if (!source) return null;
  const image = new Image();
  image.onload = () => requestAnimationFrame(draw);
  image.src = source;
  return image;
});
const NAMES = {tsne: "t-SNE", pca: "PCA"}, STEP = 1.3, MOST_MOVED_PX = 6;
let points = Object.values(DATA.maps)[0], zoom = 1, left = 0, top_ = 0, chosen = -1;

for (const [how, positions] of Object.entries(DATA.maps)) {
  const button = document.createElement("button");
  button.textContent = NAMES[how] || how;
  button.setAttribute("aria-pressed", positions === points);
  button.onclick = () => {
    points = positions;
    for (const other of element("layouts").children) other.setAttribute("aria-pressed", other === button);
    choose(chosen);
  };
  element("layouts").append(button);
}

function place(i) {
  return [left + innerWidth * (0.05 + points[i][0] * 0.9 * zoom),
          top_ + innerHeight * (0.05 + (1 - points[i][1]) * 0.9 * zoom)];
}
function half() {
  const most = Math.min(innerWidth, innerHeight) / 6;
  return Math.max(4, Math.min(64, most, 10 * Math.sqrt(zoom * (400 / points.length + 0.3))));
}
function draw() {
  const ratio = devicePixelRatio || 1;
  canvas.width = innerWidth * ratio; canvas.height = innerHeight * ratio;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  points.forEach((_, i) => { if (i !== chosen) drawPicture(i); });
  if (chosen >= 0) drawPicture(chosen);  // on top of those around it
}
function drawPicture(i) {
  const r = half(), [x, y] = place(i), image = images[i];
  if (x < -r || y < -r || x > innerWidth + r || y > innerHeight + r) return;
  let w = Math.min(2 * r, 12), h = w;
  pen.fillStyle = DATA.colors[i];
  if (image && image.complete && image.naturalWidth) {
    const scale = 2 * r / Math.max(image.naturalWidth, image.naturalHeight);
    w = image.naturalWidth * scale; h = image.naturalHeight * scale;
    pen.fillRect(x - w / 2 - 2, y - h / 2 - 2, w + 4, h + 4);
    pen.drawImage(image, x - w / 2, y - h / 2, w, h);
  } else { pen.beginPath(); pen.arc(x, y, w / 2, 0, 7); pen.fill(); }
  if (i === chosen) {
    pen.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--mark"); pen.lineWidth = 4;
    pen.strokeRect(x - w / 2 - 4, y - h / 2 - 4, w + 8, h + 8);
  }
}

function nearest(x, y) {
  let best = -1, distance = Math.max(half() * 1.3, 12);
  points.forEach((_, i) => {
    const [px, py] = place(i), d = Math.max(Math.abs(px - x), Math.abs(py - y));
    if (d <= distance) { best = i; distance = d; }
  });
  return best;
}
function show(i, x, y) {
  tip.hidden = i < 0;
  if (i < 0) return;
  big.hidden = !DATA.images[i];
  if (DATA.images[i]) big.src = DATA.images[i];
  element("name").textContent = DATA.names[i];
  element("label").textContent = DATA.labels[i];
  tip.style.left = Math.max(8, Math.min(x + 14, innerWidth - 280)) + "px";
  tip.style.top = Math.max(8, Math.min(y + 14, innerHeight - 280)) + "px";
}
function choose(i) {
  chosen = i;
  if (i >= 0) {
    const [x, y] = place(i), rim = 2 * half();
    left += Math.max(0, rim - x) - Math.max(0, x - innerWidth + rim);
    top_ += Math.max(0, rim + 56 - y) - Math.max(0, y - innerHeight + rim);
    show(i, ...place(i));
    element("said").textContent = [DATA.names[i], DATA.labels[i]].filter(Boolean).join(", ");
  } else { tip.hidden = true; element("said").textContent = ""; }
  draw();
}
/** The picture to go to from the chosen one: near, and rather straight ahead than to the side. */
function next(dx, dy) {
  if (chosen < 0) return nearestOfAll(innerWidth / 2, innerHeight / 2);
  const [x, y] = place(chosen);
  let best = chosen, least = Infinity;
  points.forEach((_, i) => {
    const [px, py] = place(i), ahead = (px - x) * dx + (py - y) * dy;
    const aside = Math.abs((px - x) * dy) + Math.abs((py - y) * dx), cost = ahead + 3 * aside;
    if (i !== chosen && ahead > 0 && cost < least) { best = i; least = cost; }
  });
  return best;
}
function nearestOfAll(x, y) {
  const distances = points.map((_, i) => Math.hypot(place(i)[0] - x, place(i)[1] - y));
  return distances.indexOf(Math.min(...distances));
}
function zoomAt(factor, x, y) {
  const before = zoom, fromLeft = x - innerWidth * 0.05, fromTop = y - innerHeight * 0.05;
  zoom = Math.max(0.5, Math.min(60, zoom * factor));
  left = fromLeft - (fromLeft - left) * zoom / before; top_ = fromTop - (fromTop - top_) * zoom / before;
  draw();
}
const zoomMiddle = (factor) => {
  zoomAt(factor, ...(chosen < 0 ? [innerWidth / 2, innerHeight / 2] : place(chosen)));
  if (chosen >= 0) choose(chosen);
};
function fit() { zoom = 1; left = top_ = 0; choose(chosen); }
element("closer").onclick = () => zoomMiddle(STEP);
element("farther").onclick = () => zoomMiddle(1 / STEP);
element("fit").onclick = fit;

const fingers = new Map();
let moved = 0;
canvas.onpointerdown = (e) => {
  if (!fingers.size) moved = 0;
  fingers.set(e.pointerId, [e.clientX, e.clientY]);
  canvas.setPointerCapture(e.pointerId);
};
canvas.onpointermove = (e) => {
  const before = fingers.get(e.pointerId);
  if (!before) { if (e.pointerType === "mouse") show(nearest(e.clientX, e.clientY), e.clientX, e.clientY); return; }
  const others = [...fingers].filter(([id]) => id !== e.pointerId).map(([, at]) => at);
  fingers.set(e.pointerId, [e.clientX, e.clientY]);
  moved += Math.hypot(e.clientX - before[0], e.clientY - before[1]);
  if (others.length) {  // two fingers: their distance is the zoom, and what lies between them stays there
    const [other] = others, middle = [(other[0] + e.clientX) / 2, (other[1] + e.clientY) / 2];
    const apart = ([x, y]) => Math.max(1, Math.hypot(x - other[0], y - other[1]));
    left += (e.clientX - before[0]) / 2; top_ += (e.clientY - before[1]) / 2;
    zoomAt(apart([e.clientX, e.clientY]) / apart(before), ...middle);
  } else { left += e.clientX - before[0]; top_ += e.clientY - before[1]; draw(); }
  tip.hidden = true;
};
canvas.onpointerup = (e) => {
  fingers.delete(e.pointerId);
  if (moved <= MOST_MOVED_PX) choose(nearest(e.clientX, e.clientY));
};
canvas.onpointercancel = (e) => fingers.delete(e.pointerId);
canvas.onpointerleave = (e) => { if (e.pointerType === "mouse" && chosen < 0) tip.hidden = true; };
canvas.addEventListener("wheel", (e) => {
  e.preventDefault();
  zoomAt(Math.exp(-e.deltaY / 400), e.clientX, e.clientY);
}, {passive: false});

const KEYS = {
  ArrowLeft: () => choose(next(-1, 0)), ArrowRight: () => choose(next(1, 0)),
  ArrowUp: () => choose(next(0, -1)), ArrowDown: () => choose(next(0, 1)),
  "+": () => zoomMiddle(STEP), "=": () => zoomMiddle(STEP), "-": () => zoomMiddle(1 / STEP),
  "0": fit, Escape: () => choose(-1),
};
canvas.onkeydown = (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || !KEYS[e.key]) return;
  e.preventDefault();
  KEYS[e.key]();
};
onresize = draw;
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
draw();
