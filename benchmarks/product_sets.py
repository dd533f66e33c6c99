"""Drawn and rendered products with answers, some with few photos a product, some with many.

    python benchmarks/product_sets.py FOLDER [--kind KIND] [--seed N]

Writes ``FOLDER/KIND/images`` and ``FOLDER/KIND/labels.csv``. Nothing in them is a photograph. Constants of
the package were chosen on ``catalogue-page`` and ``stall`` beside photographs; no constant was chosen on the
others: they show whether what was chosen holds on other kinds.

- ``turntable``: 24 objects on black, seen every 5 degrees: 72 pictures each.
- ``shop``: 40 products with 3 to 100 pictures each from anywhere in front of them, in other light, on
  cluttered ground. Every fourth product is another flavour of the one before: its colours are others.
- ``webshop``: 120 products on white, 2 to 7 pictures each, from the front, the sides and behind.
- ``catalogue-page``: 100 flat goods of four kinds (shirts, mugs, bags, shoes) on plain grounds, 2 to 7
  pictures each, some of them of the back, which has no print.
- ``stall``: 16 such goods with 12 to 90 pictures each, on cluttered ground.
- ``counter``: 24 products, each seen at 2 to 8 moments with 2 to 8 pictures that are nearly the same.
- ``mixture``: 60 flat goods on plain grounds, some with 2 pictures and some with 60.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

SIDE_PX = 256
KINDS = ("turntable", "shop", "webshop", "catalogue-page", "stall", "counter", "mixture")


@dataclass(frozen=True)
class Mesh:
    """Faces of four corners, (n, 4, 3), and the colour of each, (n, 3)."""

    faces: np.ndarray
    colors: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for kind in options.kind or KINDS:
        print(f"{kind}: {make_set(options.folder / kind, kind, options.seed)} pictures", flush=True)


def make_set(folder: Path, kind: str, seed: int = 0) -> int:
    """Write the set of that kind; say how many pictures it has."""
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    makers = (turntable, shop, webshop, catalogue_page, stall, counter, mixture)
    pictures = dict(zip(KINDS, makers, strict=True))[kind](rng)
    rows = []
    for product, rgb in pictures:
        rows.append((f"{rng.integers(1 << 48):012x}.jpg", f"product {product}"))
        cv2.imwrite(str(images / rows[-1][0]), rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    with open(folder / "labels.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("file", "label"))
        writer.writerows(sorted(rows))
    return len(rows)


def turntable(rng, n_objects=24, n_views=72):
    for product in range(n_objects):
        mesh = object_of_parts(rng)
        for view in range(n_views):
            yield (
                product,
                render(mesh, np.zeros((SIDE_PX, SIDE_PX, 3)), 2 * np.pi * view / n_views, 0.35, 0.9),
            )


def shop(rng, n_products=40):
    sizes = np.exp(rng.uniform(np.log(3), np.log(101), n_products)).astype(int)
    mesh = None
    for product, n_pictures in enumerate(sizes):
        mesh = recolored(mesh, rng) if product % 4 == 3 else product_of(rng)
        for _ in range(n_pictures):
            yaw, pitch = rng.uniform(-0.9, 0.9), rng.uniform(-0.1, 0.5)
            shift = rng.uniform(-0.15, 0.15, 2)
            light = rng.uniform(0.6, 1.25) * rng.uniform(0.9, 1.1, 3)
            rgb = render(mesh, clutter(rng), yaw, pitch, rng.uniform(0.6, 1.0), shift)
            noise = rng.normal(0, 4, rgb.shape)
            yield product, np.clip(rgb * light + noise, 0, 255).astype(np.uint8)


def webshop(rng, n_products=120):
    mesh = None
    for product in range(n_products):
        mesh = recolored(mesh, rng) if product % 4 == 3 else product_of(rng)
        yaws = rng.permutation([0.0, 0.5, -0.5, 1.2, -1.2, 3.1, 0.25])[: rng.integers(2, 8)]
        for yaw in yaws:
            white = np.full((SIDE_PX, SIDE_PX, 3), 255.0)
            yield product, render(mesh, white, yaw, rng.uniform(0, 0.3), rng.uniform(0.75, 1.0))


def catalogue_page(rng, n_products=100):
    for product in range(n_products):
        front, back = flat_good(rng)
        for view in range(rng.integers(2, 8)):
            shade = rng.uniform(225, 255)
            shown = back if view and rng.random() < 0.25 else front
            yield product, laid(shown, np.full((SIDE_PX, SIDE_PX, 3), shade), rng, 0.12)


def stall(rng, n_products=16):
    for product, n_pictures in enumerate(np.exp(rng.uniform(np.log(12), np.log(91), n_products)).astype(int)):
        front, _ = flat_good(rng)
        for _ in range(n_pictures):
            light = rng.uniform(0.6, 1.2) * rng.uniform(0.9, 1.1, 3)
            rgb = laid(front, clutter(rng), rng, 0.3) * light + rng.normal(0, 4, (SIDE_PX, SIDE_PX, 3))
            yield product, np.clip(rgb, 0, 255).astype(np.uint8)


def counter(rng, n_products=24):
    for product in range(n_products):
        mesh = product_of(rng)
        for _ in range(rng.integers(2, 9)):
            ground = cv2.GaussianBlur(clutter(rng), (0, 0), 8)
            yaw, pitch, scale = rng.uniform(-0.8, 0.8), rng.uniform(-0.1, 0.4), rng.uniform(0.8, 1.1)
            light = rng.uniform(0.7, 1.2)
            for _ in range(rng.integers(2, 9)):
                turned_by, tilted_by, shift = (
                    rng.normal(0, 0.15),
                    rng.normal(0, 0.08),
                    rng.uniform(-0.06, 0.06, 2),
                )
                size = scale * rng.uniform(0.92, 1.08)
                rgb = render(mesh, ground, yaw + turned_by, pitch + tilted_by, size, shift)
                yield product, np.clip(rgb * light + rng.normal(0, 4, rgb.shape), 0, 255).astype(np.uint8)


def mixture(rng, n_products=60):
    for product in range(n_products):
        front, back = flat_good(rng)
        for view in range(int(np.exp(rng.uniform(np.log(2), np.log(61))))):
            shade = rng.uniform(200, 255)
            shown = back if view and rng.random() < 0.15 else front
            yield product, laid(shown, np.full((SIDE_PX, SIDE_PX, 3), shade), rng, 0.15)


OUTLINES = {
    "shirt": [20, 20, 38, 14, 62, 14, 80, 20, 98, 42, 84, 52, 76, 44, 76, 92, 24, 92, 24, 44, 16, 52, 2, 42],
    "mug": [18, 20, 70, 20, 70, 34, 90, 34, 90, 66, 70, 66, 68, 84, 20, 84],
    "bag": [10, 38, 30, 38, 38, 10, 62, 10, 70, 38, 90, 38, 96, 92, 4, 92],
    "shoe": [6, 34, 34, 30, 52, 48, 90, 56, 96, 76, 4, 76],
}
"""Corners x, y of each kind of goods, in a square of 100."""


def flat_good(rng) -> tuple[np.ndarray, np.ndarray]:
    """Front and back of a good as (200, 200, 4): colours, and where it is."""
    kind = list(OUTLINES)[rng.integers(len(OUTLINES))]
    corners = np.array(OUTLINES[kind]).reshape(-1, 2)
    outline = (corners * 2 * 16 + rng.normal(0, 24, corners.shape)).astype(np.int32)
    inside = np.zeros((200, 200), np.uint8)
    cv2.fillPoly(inside, [outline], 255, cv2.LINE_AA, 4)
    ground, ink, other = rng.uniform(20, 250, (3, 3))
    back = np.tile(ground, (200, 200, 1)).astype(np.uint8)
    front = back.copy()
    for _ in range(rng.integers(1, 5)):
        x, y = rng.integers(50, 150, 2).tolist()
        color = (ink if rng.random() < 0.6 else other).tolist()
        shape, size = rng.integers(4), int(rng.integers(8, 45))
        if shape == 0:
            cv2.circle(front, (x, y), size, color, -1)
        elif shape == 1:
            cv2.rectangle(front, (x - size, y - size // 2), (x + size, y + size // 2), color, -1)
        elif shape == 2:
            for offset in range(0, 200, max(8, size)):
                cv2.line(front, (0, offset), (199, offset), color, 4)
        else:
            word = "".join(chr(65 + c) for c in rng.integers(0, 26, 4))
            cv2.putText(front, word, (x - 45, y), cv2.FONT_HERSHEY_SIMPLEX, 1 + size / 40, color, 5)
    return tuple(np.dstack([side, inside]) for side in (front, back))


def laid(good: np.ndarray, ground: np.ndarray, rng, most: float) -> np.ndarray:
    """The good over the ground, from another angle, size and place each time."""
    corners = np.array([[0, 0], [199, 0], [199, 199], [0, 199]], np.float32)
    scale, turn = rng.uniform(0.75, 1.1), rng.normal(0, most)
    around = (corners - 100) * scale @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = SIDE_PX / 2 + rng.uniform(-most, most, 2) * 60
    seen = around * rng.uniform(1 - most, 1, 2) + middle + rng.normal(0, most * 40, (4, 2))
    view = cv2.getPerspectiveTransform(corners, seen.astype(np.float32))
    found = cv2.warpPerspective(good.astype(np.float32), view, (SIDE_PX, SIDE_PX), flags=cv2.INTER_LINEAR)
    share = found[..., 3:] / 255
    return np.clip(ground * (1 - share) + found[..., :3] * share, 0, 255).astype(np.uint8)


def object_of_parts(rng) -> Mesh:
    """Two to four solids on top of each other and beside each other, in colours that go together."""
    parts, base = [], rng.uniform(0, 255, (3, 3))
    bottom = -0.7
    for _ in range(rng.integers(2, 5)):
        height, radius = rng.uniform(0.25, 0.7), rng.uniform(0.15, 0.5)
        x, z = rng.uniform(-0.25, 0.25, 2)
        part = solid(rng, radius, height, base)
        parts.append(Mesh(part.faces + np.array([x, bottom + height / 2, z]), part.colors))
        bottom += height * rng.uniform(0.3, 1.0)
    return joined(parts)


def product_of(rng) -> Mesh:
    """A package: a printed box, a bottle with a label and a cap, or an object of parts."""
    kind = rng.integers(3)
    if kind == 2:
        return object_of_parts(rng)
    size = rng.uniform(0.35, 0.75, 3) * [0.8, 1.1, 0.6]
    prints = rng.uniform(0, 255, (4, 3))
    if kind == 0:
        return printed(box(size, 9), prints, rng)
    radius, height = size[0] * 0.6, size[1] * 1.5
    body = printed(turned(np.full(9, radius), height, 20), prints, rng)
    cap = turned(np.full(2, radius * rng.uniform(0.3, 0.9)), height * 0.2, 20)
    cap = Mesh(cap.faces + np.array([0, height * 0.6, 0]), np.tile(prints[3], (len(cap.faces), 1)))
    return joined([body, cap])


def solid(rng, radius, height, base) -> Mesh:
    kind = rng.integers(4)
    if kind == 0:
        mesh = box(np.array([radius, height / 2, radius * rng.uniform(0.4, 1)]), 3)
    else:
        t = np.linspace(0, 1, 7)
        profile = (np.full(7, 1.0), 1.02 - t, np.sqrt(np.clip(1 - (2 * t - 1) ** 2, 0.01, 1)))[kind - 1]
        mesh = turned(radius * profile, height, 18)
    a, b = base[rng.integers(3)], base[rng.integers(3)]
    stripes = (np.arange(len(mesh.faces)) // rng.integers(1, 7)) % 2
    return Mesh(mesh.faces, np.where(stripes[:, None] == 1, a, b) + rng.normal(0, 8, (len(mesh.faces), 3)))


def box(half, n) -> Mesh:
    """A box, each side of which has n by n faces."""
    grid = np.linspace(-1, 1, n + 1)
    faces = []
    for axis in range(3):
        for side in (-1, 1):
            for i in range(n):
                for j in range(n):
                    u = grid[[i, i + 1, i + 1, i]]
                    v = grid[[j, j, j + 1, j + 1]]
                    corner = np.empty((4, 3))
                    corner[:, axis], corner[:, (axis + 1) % 3], corner[:, (axis + 2) % 3] = side, u, v
                    faces.append(corner * half)
    faces = np.array(faces)
    return Mesh(faces, np.full((len(faces), 3), 128.0))


def turned(radii, height, n) -> Mesh:
    """A solid of revolution with rings of these radii, and a lid at either end."""
    angle = np.linspace(0, 2 * np.pi, n + 1)
    ys = np.linspace(-height / 2, height / 2, len(radii))
    radii, ys = np.concatenate([[1e-3], radii, [1e-3]]), np.concatenate([ys[:1], ys, ys[-1:]])
    ring = np.stack([np.cos(angle), np.zeros(n + 1), np.sin(angle)], axis=1)
    points = ring[None] * radii[:, None, None] + np.array([0, 1, 0]) * ys[:, None, None]
    faces = np.stack([points[:-1, :-1], points[:-1, 1:], points[1:, 1:], points[1:, :-1]], axis=2)
    return Mesh(faces.reshape(-1, 4, 3), np.full((faces.shape[0] * n, 3), 128.0))


def printed(mesh, prints, rng) -> Mesh:
    """Faces coloured by where they are: a ground, a band and patches, as on a package."""
    middle = mesh.faces.mean(axis=1)
    low, high = np.sort(rng.uniform(-0.6, 0.6, 2))
    colors = np.tile(prints[0], (len(middle), 1))
    colors[(middle[:, 1] > low * 0.6) & (middle[:, 1] < high * 0.6)] = prints[1]
    for _ in range(rng.integers(2, 6)):
        spot = rng.uniform(-0.5, 0.5, 3)
        near = np.abs(middle - spot).max(axis=1) < rng.uniform(0.12, 0.35)
        colors[near] = prints[rng.integers(1, 4)]
    return Mesh(mesh.faces, colors)


def recolored(mesh: Mesh, rng) -> Mesh:
    """Another flavour: hues turned, shapes and prints as they were."""
    colors = np.clip(mesh.colors, 0, 255).astype(np.uint8)[None]
    hsv = cv2.cvtColor(colors, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + int(rng.integers(40, 140))) % 180
    return Mesh(mesh.faces, cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0].astype(float))


def joined(parts) -> Mesh:
    return Mesh(np.concatenate([p.faces for p in parts]), np.concatenate([p.colors for p in parts]))


def clutter(rng) -> np.ndarray:
    """A shelf: a ground that fades, and blurred things on it."""
    ground = cv2.resize(rng.uniform(60, 200, (3, 3, 3)), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)
    for _ in range(rng.integers(4, 14)):
        x, y = rng.integers(0, SIDE_PX, 2).tolist()
        w, h = rng.integers(10, 90, 2).tolist()
        cv2.rectangle(ground, (x, y), (x + w, y + h), rng.uniform(20, 235, 3).tolist(), -1)
    return cv2.GaussianBlur(ground, (0, 0), float(rng.uniform(1, 3)))


def render(mesh: Mesh, ground, yaw, pitch, scale, shift=(0.0, 0.0)) -> np.ndarray:
    """The mesh over the ground, (h, w, 3) uint8: perspective, one light, faces from far to near."""
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    turn = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]]) @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    points = mesh.faces @ turn.T
    normals = np.cross(points[:, 1] - points[:, 0], points[:, 3] - points[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    light = 0.45 + 0.55 * np.abs(normals @ (np.array([0.4, 0.6, 0.7]) / 1.005))
    colors = np.clip(mesh.colors * light[:, None], 0, 255)
    depth = 4.0 - points[..., 2]
    flat = points[..., :2] / depth[..., None] * [1, -1] * (1.35 * scale * SIDE_PX)
    flat = flat + (np.array([0.5, 0.5]) + shift) * SIDE_PX
    canvas = np.ascontiguousarray(ground, np.float64).copy()
    for face in np.argsort(-depth.mean(axis=1)):
        corners = np.round(flat[face] * 16).astype(np.int32)
        cv2.fillConvexPoly(canvas, corners, colors[face].tolist(), cv2.LINE_8, 4)
    return np.clip(cv2.GaussianBlur(canvas, (0, 0), 0.6), 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
