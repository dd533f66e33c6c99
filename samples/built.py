"""Scenes of things that people made: tables, streets, walls, shelves."""

from __future__ import annotations

import numpy as np
from canvas import Layer, View, blend, box, disc, lay, lay_box, lettering, polygon, relief, tint
from numpy.typing import NDArray
from outdoors import sky


def still_life(view: View) -> Layer:
    """Fruit and jars on a wooden table against a papered wall."""
    x, y = view.grid()
    paper = view.noise(0.3, gain=0.6, depth=0.4)
    canvas = blend([tint(view.place, 0.3, 0.5), tint(view.place, 0.5, 0.8)], paper)
    stripes = np.sin((x + view.pan * 0.4) * view.place.uniform(60, 120)) > 0.55
    lay(canvas, tint(view.place, 0.35, 0.8), stripes.astype(np.float32) * 0.35)
    canvas *= (1.15 - 0.6 * x)[..., None]
    grain = view.noise(0.5, stretch=22, gain=0.75, depth=1)
    wood = blend([(0.22, 0.12, 0.06), (0.45, 0.27, 0.14), (0.66, 0.45, 0.26)], grain)
    wood *= relief(grain, 1.5)[..., None]
    lay(canvas, wood, np.clip((y - 0.58) * view.height, 0, 1))
    for foot in np.sort(view.things.uniform(0.62, 0.97, view.things.integers(7, 11))):
        place_x = view.things.uniform(0.05, 0.95)
        if view.things.random() < 0.35:
            jar(view, canvas, place_x, foot)
        else:
            fruit(view, canvas, place_x, foot)
    return canvas


def fruit(view: View, canvas: Layer, x: float, foot: float) -> None:
    """A shaded ball with a mottled skin, its shadow to the right."""
    radius = view.things.uniform(0.045, 0.085) * (0.6 + 0.6 * foot)
    aspect = view.width / view.height
    y = foot - radius * aspect
    lay(canvas, (0.05, 0.03, 0.02), disc(view, x + radius * 0.6, foot, radius * 1.15, 0.3, 0.012) * 0.75)
    grid_x, grid_y = view.grid()
    dx, dy = (grid_x - x) / radius, (grid_y - y) / (radius * aspect)
    up = np.sqrt(np.clip(1 - dx**2 - dy**2, 0, 1))
    light = np.clip(-0.5 * dx - 0.55 * dy + 0.66 * up, 0, 1)
    skin = view.noise(0.03, gain=0.8, moving=True)
    ripe = [
        (0.80, 0.12, 0.08),
        (0.95, 0.60, 0.10),
        (0.55, 0.70, 0.15),
        (0.50, 0.10, 0.30),
        (0.93, 0.80, 0.25),
    ]
    base = np.array(ripe[view.things.integers(len(ripe))])
    layer = (
        blend([tuple(base * 0.6), tuple(np.minimum(base * 1.15, 1))], skin) * (0.18 + 0.95 * light)[..., None]
    )
    layer += (light**40 * 0.8)[..., None]
    lay(canvas, layer, disc(view, x, y, radius))


def jar(view: View, canvas: Layer, x: float, foot: float) -> None:
    """A turned jar with painted bands."""
    height, half = view.things.uniform(0.28, 0.48), view.things.uniform(0.045, 0.075)
    rows = np.linspace(0, 1, 40)
    profile = half * (0.62 + 0.4 * np.sin(np.pi * (rows * 1.1 + view.things.uniform(-0.1, 0.25))))
    right = np.stack([x + profile, foot - height * (1 - rows)], axis=1)
    left = np.stack([x - profile, foot - height * (1 - rows)], axis=1)[::-1]
    lay(canvas, (0.05, 0.03, 0.02), disc(view, x + half * 0.8, foot, half * 1.5, 0.3, 0.014) * 0.7)
    grid_x, grid_y = view.grid()
    across = np.clip((grid_x - x) / (half * 1.05), -1, 1)
    light = 0.25 + 0.8 * np.clip(np.cos((across + 0.4) * 1.3), 0, 1)
    bands = np.sin((grid_y - foot) * view.things.uniform(40, 110)) + 0.4 * np.sin(across * 14)
    glaze = blend([tint(view.things), tint(view.things), tint(view.things)], np.clip(bands * 0.6 + 0.5, 0, 1))
    glaze *= (0.85 + 0.3 * view.noise(0.02, gain=0.8, moving=True))[..., None]
    glaze = glaze * light[..., None] + (np.exp(-((across + 0.45) ** 2) * 60) * 0.45)[..., None]
    lay(canvas, glaze, polygon(view, np.concatenate([right, left])))


def city(view: View) -> Layer:
    """Blocks of flats with lit and dark windows, a street in front."""
    canvas = sky(view, 0.75)
    for depth in (0.25, 0.55, 1.0):
        x = -0.05 + view.pan * depth
        while x < 1.05:
            width = view.place.uniform(0.09, 0.2) * (0.6 + 0.5 * depth)
            top = view.place.uniform(0.12, 0.5) + 0.22 * depth
            facade(view, canvas, box(x, top, x + width, 0.9), depth)
            x += width * view.place.uniform(0.98, 1.25)
    _, y = view.grid()
    asphalt = blend([(0.16, 0.16, 0.18), (0.38, 0.37, 0.36)], view.noise(0.05, stretch=3, gain=0.8, depth=1))
    lay(canvas, asphalt, np.clip((y - 0.88) * view.height, 0, 1))
    for _ in range(9):
        car(view, canvas)
    return canvas


def facade(view: View, canvas: Layer, corners: NDArray[np.float64], depth: float) -> None:
    """One house front. Rows and columns of windows, each with its own light."""
    (left, top), (right, bottom) = corners[0], corners[2]
    wall = blend(
        [tint(view.place, 0.25, 0.55), tint(view.place, 0.45, 0.85)], view.noise(0.06, gain=0.8, depth=depth)
    )
    haze = 0.45 * (1 - depth)
    lay(canvas, wall * (1 - haze) + 0.7 * haze, polygon(view, corners))
    lay(canvas, (0.2, 0.2, 0.22), polygon(view, box(left, top - 0.012, right, top)) * 0.8)
    n_columns, n_rows = view.place.integers(3, 8), view.place.integers(5, 13)
    step_x, step_y = (right - left) / n_columns, (bottom - top) / n_rows
    for row in range(n_rows):
        for column in range(n_columns):
            lit = view.place.random() < 0.3
            glass = (0.95, view.place.uniform(0.7, 0.9), 0.45) if lit else tint(view.place, 0.08, 0.4)
            x, y = left + (column + 0.22) * step_x, top + (row + 0.25) * step_y
            frame = box(x, y, x + 0.56 * step_x, y + 0.55 * step_y)
            lay_box(view, canvas, frame, tuple(c * (1 - haze) + 0.7 * haze for c in glass))


def car(view: View, canvas: Layer) -> None:
    x, y = view.things.uniform(0, 0.95), view.things.uniform(0.89, 0.95)
    size = 0.05 + (y - 0.88) * 0.7
    paint = tint(view.things, 0.1, 0.95)
    body = [
        (0, 0),
        (0.08, -0.3),
        (0.28, -0.34),
        (0.4, -0.62),
        (0.75, -0.62),
        (0.9, -0.32),
        (1, -0.28),
        (1, 0),
    ]
    pane = [(0.34, -0.36), (0.43, -0.56), (0.72, -0.56), (0.82, -0.36)]
    lay(
        canvas,
        (0.05, 0.05, 0.05),
        polygon(view, np.array(body) * (size, size * 0.9) + (x, y + size * 0.12), 0.004),
    )
    lay(canvas, paint, polygon(view, np.array(body) * (size, size * 0.9) + (x, y)))
    lay(canvas, (0.6, 0.7, 0.78), polygon(view, np.array(pane) * (size, size * 0.9) + (x, y)))
    for wheel in (0.22, 0.78):
        lay(canvas, (0.06, 0.06, 0.07), disc(view, x + wheel * size, y + 0.01, 0.1 * size))


def wall(view: View) -> Layer:
    """A brick wall in slanting light, with windows and torn posters."""
    x, y = view.grid()
    n_rows = int(view.place.integers(22, 34))
    row = np.floor(y * n_rows)
    across = (x + view.pan * 0.6) * n_rows * 0.55 + (row % 2) * 0.5
    joint = np.minimum.reduce([(y * n_rows) % 1 * 2.2, across % 1 * 5]) < 0.28
    brick_id = (row * 131 + np.floor(across) * 17).astype(np.int64) % 512
    shades = view.place.uniform(0.65, 1.25, 512).astype(np.float32)[brick_id]
    grit = view.noise(0.04, gain=0.85, depth=0.6)
    canvas = blend([(0.30, 0.13, 0.09), (0.62, 0.32, 0.22)], grit) * shades[..., None]
    lay(canvas, blend([(0.45, 0.42, 0.38), (0.68, 0.65, 0.6)], grit), joint.astype(np.float32))
    stain = view.noise(0.4, stretch=0.5, gain=0.6, depth=0.6)
    canvas *= relief(grit, 1.4)[..., None] * (0.55 + 0.65 * stain)[..., None]
    for column in range(int(view.place.integers(1, 4))):
        left = 0.08 + 0.31 * column + view.pan * 0.6
        window(view, canvas, box(left, 0.1, left + 0.17, 0.52))
    for _ in range(view.things.integers(3, 7)):
        poster(view, canvas)
    shadow = np.clip((y - 1.1 * x + view.place.uniform(-0.2, 0.3)) * 14, 0, 1)
    canvas *= (0.55 + 0.5 * shadow)[..., None]
    return canvas


def window(view: View, canvas: Layer, corners: NDArray[np.float64]) -> None:
    (left, top), (right, bottom) = corners[0], corners[2]
    lay(
        canvas, (0.80, 0.78, 0.72), polygon(view, box(left - 0.015, top - 0.02, right + 0.015, bottom + 0.03))
    )
    glass = blend(
        [(0.06, 0.08, 0.1), (0.35, 0.45, 0.55), (0.75, 0.8, 0.85)], view.noise(0.15, gain=0.6, depth=0.2)
    )
    for i in range(2):
        for j in range(3):
            width, height = (right - left) / 2, (bottom - top) / 3
            x, y = left + i * width, top + j * height
            lay(
                canvas, glass, polygon(view, box(x + 0.006, y + 0.008, x + width - 0.006, y + height - 0.008))
            )


def poster(view: View, canvas: Layer) -> None:
    """A sheet of paper with a motif and a few words, a little askew."""
    width, height = view.things.uniform(0.1, 0.2), view.things.uniform(0.2, 0.34)
    centre = np.array([view.things.uniform(0.1, 0.9), view.things.uniform(0.4, 0.88)])
    turn = view.things.uniform(-0.12, 0.12)
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    sheet = (box(-width / 2, -height / 2, width / 2, height / 2) @ spin.T) + centre
    lay(canvas, tint(view.things, 0.4, 1.0), polygon(view, sheet))
    for _ in range(6):
        shape = (
            view.things.uniform(-0.45, 0.45, (view.things.integers(3, 6), 2)) * (width, height * 0.6)
        ) @ spin.T
        lay(canvas, tint(view.things, 0.05, 0.95), polygon(view, shape + centre + (0, -height * 0.12)))
    word = "".join(view.things.choice(list("ABDEGHKLMNOPRSTUVZ"), 6))
    letters = lettering(word, round(width * 0.2 * view.width))
    left, top = (
        int(v) for v in (centre + np.array((-width * 0.4, height * 0.26))) * (view.width, view.height)
    )
    part = canvas[max(top, 0) : top + len(letters), max(left, 0) : left + letters.shape[1]]
    lay(part, (0.08, 0.08, 0.1), letters[: part.shape[0], : part.shape[1]])


def shelf(view: View) -> Layer:
    """Rows of books and boxes with lettering."""
    grain = view.noise(0.4, stretch=18, gain=0.75, depth=0.5)
    wood = [tint(view.place, 0.08, 0.25), tint(view.place, 0.3, 0.5)]
    canvas = blend([wood[0], wood[1]], grain) * 0.5
    n_rows = int(view.place.integers(3, 5))
    for row in range(n_rows):
        floor = (row + 1) / n_rows - 0.02
        x = view.pan - 0.02
        while x < 1:
            width = view.things.uniform(0.015, 0.06)
            if view.things.random() < 0.1:
                x += width
                continue
            book(view, canvas, x, floor, width, view.things.uniform(0.6, 0.88) / n_rows)
            x += width
        lay_box(view, canvas, box(0, floor, 1, floor + 0.03), wood[1])
    light = view.noise(0.8, gain=0.4, depth=0)
    return canvas * (0.65 + 0.5 * light)[..., None] * (0.9 + 0.2 * grain)[..., None]


def book(view: View, canvas: Layer, x: float, floor: float, width: float, height: float) -> None:
    """A spine: rounded by shading, with bands and a title that runs upwards."""
    left, right = int(max(x, 0) * view.width), int(min(x + width, 1) * view.width)
    top, bottom = int((floor - height) * view.height), int(floor * view.height)
    if right - left < 3:
        return
    spine = np.empty((bottom - top, right - left, 3), np.float32)
    spine[:] = tint(view.things, 0.08, 0.85)
    ink = tint(view.things, 0.6, 1.0) if spine.mean() < 0.5 else tint(view.things, 0.0, 0.3)
    for at in view.things.uniform(0.04, 0.95, view.things.integers(1, 4)):
        row = int(at * len(spine))
        spine[row : row + max(2, len(spine) // 40)] = ink
    if right - left > 12:
        title = "".join(view.things.choice(list("ACDEFGHIKLMNORSTUY "), 12))
        letters = np.rot90(lettering(title, round((right - left) * 0.62)))[-int(len(spine) * 0.8) :]
        foot, indent = len(spine) - len(spine) // 10, (right - left - letters.shape[1]) // 2
        lay(spine[foot - len(letters) : foot, indent : indent + letters.shape[1]], ink, letters)
    curve = 1.1 - 0.75 * np.abs(np.linspace(-0.9, 1, right - left, dtype=np.float32)) ** 3
    canvas[top:bottom, left:right] = spine * curve[None, :, None]
