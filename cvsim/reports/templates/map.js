const canvas = document.getElementById("map"), pen = canvas.getContext("2d");
const tip = document.getElementById("tip"), big = document.getElementById("big");
const images = DATA.images.map((source) => {
  if (!source) return null;
  const image = new Image();
  image.onload = () => requestAnimationFrame(draw);
  image.src = source;
  return image;
});
let points = Object.values(DATA.maps)[0], zoom = 1, left = 0, top_ = 0, grabbed = null;
for (const [how, positions] of Object.entries(DATA.maps)) {
  const button = document.createElement("button");
  button.textContent = {tsne: "t-SNE", pca: "PCA"}[how] || how;
  button.onclick = () => { points = positions; draw(); };
  document.getElementById("bar").append(button);
}
function place(i) {
  return [left + innerWidth * (0.05 + points[i][0] * 0.9 * zoom),
          top_ + innerHeight * (0.05 + (1 - points[i][1]) * 0.9 * zoom)];
}
function half() {
  return Math.max(4, Math.min(64, 10 * Math.sqrt(zoom * (400 / points.length + 0.3))));
}
function draw() {
  const ratio = devicePixelRatio || 1;
  canvas.width = innerWidth * ratio; canvas.height = innerHeight * ratio;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  const r = half();
  points.forEach((_, i) => {
    const [x, y] = place(i), image = images[i];
    if (x < -r || y < -r || x > innerWidth + r || y > innerHeight + r) return;
    pen.fillStyle = DATA.colors[i];
    if (image && image.complete && image.naturalWidth) {
      const scale = 2 * r / Math.max(image.naturalWidth, image.naturalHeight);
      const w = image.naturalWidth * scale, h = image.naturalHeight * scale;
      pen.fillRect(x - w / 2 - 2, y - h / 2 - 2, w + 4, h + 4);
      pen.drawImage(image, x - w / 2, y - h / 2, w, h);
    } else { pen.beginPath(); pen.arc(x, y, Math.min(r, 6), 0, 7); pen.fill(); }
  });
}
function nearest(x, y) {
  let best = -1, distance = half() * 1.3;
  points.forEach((_, i) => {
    const [px, py] = place(i), d = Math.max(Math.abs(px - x), Math.abs(py - y));
    if (d <= distance) { best = i; distance = d; }
  });
  return best;
}
canvas.onmousedown = (e) => { grabbed = [e.clientX - left, e.clientY - top_]; };
onmouseup = () => { grabbed = null; };
canvas.onmousemove = (e) => {
  if (grabbed) { left = e.clientX - grabbed[0]; top_ = e.clientY - grabbed[1]; draw(); }
  const i = nearest(e.clientX, e.clientY);
  tip.hidden = i < 0;
  if (i < 0) return;
  big.hidden = !DATA.images[i];
  if (DATA.images[i]) big.src = DATA.images[i];
  document.getElementById("name").textContent = DATA.names[i];
  document.getElementById("label").textContent = DATA.labels[i];
  tip.style.left = Math.min(e.clientX + 14, innerWidth - 280) + "px";
  tip.style.top = Math.min(e.clientY + 14, innerHeight - 280) + "px";
};
canvas.addEventListener("wheel", (e) => {
  e.preventDefault();
  const before = zoom;
  zoom = Math.max(0.5, Math.min(60, zoom * Math.exp(-e.deltaY / 400)));
  const x = e.clientX - innerWidth * 0.05, y = e.clientY - innerHeight * 0.05;
  left = x - (x - left) * zoom / before; top_ = y - (y - top_) * zoom / before;
  draw();
}, {passive: false});
onresize = draw;
draw();
