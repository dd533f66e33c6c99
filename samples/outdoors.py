"""Scenes of land and water: mountains, fields, harbours, pebbles, woods, farmland from above."""

from __future__ import annotations

import cv2
import numpy as np
from canvas import Colour, Layer, Mask, View, blend, box, lay, lay_box, polygon, relief, tint
from numpy.typing import NDArray


def sky(view: View, horizon: float) -> Layer:
    """A gradient with clouds that thicken upwards; the hour is part of the place."""
    _, y = view.grid()
    hours: list[list[Colour]] = [
        [(0.20, 0.42, 0.78), (0.55, 0.74, 0.93), (0.88, 0.92, 0.95)],
        [(0.18, 0.22, 0.45), (0.75, 0.48, 0.50), (1.0, 0.80, 0.52)],
        [(0.45, 0.52, 0.60), (0.66, 0.71, 0.75), (0.86, 0.86, 0.84)],
    ]
    colours = hours[view.place.integers(len(hours))]
    canvas = blend(colours, np.clip(y / horizon, 0, 1))
    clouds = view.noise(0.35, stretch=2.2, gain=0.55, moving=True)
    shade = relief(cv2.GaussianBlur(clouds, (0, 0), 0.006 * view.width), 4.0, (-0.2, -0.9))
    body = blend([(0.62, 0.62, 0.68), (1.0, 0.98, 0.96)], np.clip(shade - 0.4, 0, 1))
    lay(canvas, body, np.clip((clouds - 0.52) * 3.2, 0, 0.95) * np.clip(1.25 - y / horizon, 0, 1))
    return canvas


def mountains(view: View) -> Layer:
    """Ridge behind ridge into the haze, firs in front."""
    canvas = sky(view, 0.6)
    _, y = view.grid()
    haze = canvas[int(0.5 * view.height)].mean(axis=0)
    rock: list[Colour] = [tint(view.place, 0.15, 0.4), tint(view.place, 0.3, 0.6)]
    n_ridges = 5
    for i in range(n_ridges):
        near = (i + 1) / n_ridges
        line = view.noise(0.5 / (1 + i * 0.4), gain=0.45, depth=near)[view.height // 2]
        crest = 0.22 + 0.13 * i + (0.34 - 0.05 * i) * (1 - line) - 0.1
        inside = np.clip((y - crest[None, :]) * view.height, 0, 1)
        height = view.noise(0.12, stretch=0.8, gain=0.7, depth=near)
        colour = blend(rock if i < 3 else [(0.10, 0.20, 0.07), (0.42, 0.46, 0.18)], height)
        if i < 2:
            snow = np.clip((0.22 - (y - crest[None, :])) * 5 - height * 0.9, 0, 1)
            lay(colour, (0.95, 0.96, 1.0), snow)
        colour *= relief(height, 2.6)[..., None]
        lay(canvas, colour * near + haze * (1 - near), inside)
    for _ in range(45):
        x, foot = view.things.uniform(-0.02, 1.02), view.things.uniform(0.82, 1.05)
        fir(view, canvas, x, foot, 0.42 * (foot - 0.6))
    return canvas


def fir(view: View, canvas: Layer, x: float, foot: float, size: float) -> None:
    """One fir: ragged tiers, darker low down."""
    n_tiers = 9
    green = np.add(tint(view.things, 0.03, 0.12), (0.0, 0.08, 0.02))
    sides = []
    for i in range(n_tiers):
        half = size * 0.28 * (i + 1) / n_tiers * view.things.uniform(0.7, 1.1)
        top = foot - size + size * i / n_tiers
        sides += [(half * 0.45, top), (half, top + size / n_tiers)]
    right = [(x + dx, row) for dx, row in sides]
    left = [(x - dx * view.things.uniform(0.85, 1.15), row) for dx, row in reversed(sides)]
    lay(canvas, tuple(green), polygon(view, np.array([(x, foot - size * 1.05), *right, *left])))


def field(view: View) -> Layer:
    """Rows of crops running to the horizon, flowers, a barn and a line of trees."""
    horizon = view.place.uniform(0.36, 0.46)
    canvas = sky(view, horizon)
    x, y = view.grid()
    far = np.clip((y - horizon) / (1 - horizon), 1e-3, 1)
    across = (x - view.place.uniform(0.3, 0.7) - view.pan) / far
    rows = np.sin(across * view.place.uniform(9, 15) + 1.2 * (view.noise(0.2, depth=1) - 0.5)) * 0.5 + 0.5
    leaf = view.noise(0.03, gain=0.85, depth=1)
    soil = blend([(0.20, 0.13, 0.08), (0.48, 0.34, 0.22)], leaf)
    crop = blend([(0.08, 0.20, 0.04), (0.36, 0.52, 0.12), (0.72, 0.72, 0.30)], leaf)
    lay(soil, crop, np.clip((rows - 0.35) * 4, 0, 1))
    lay(canvas, soil * relief(leaf, 1.6)[..., None], np.clip((y - horizon) * view.height, 0, 1))
    hedge = horizon - 0.07 * view.noise(0.08, gain=0.6, depth=0.3)[view.height // 3]
    trees = blend([(0.04, 0.09, 0.04), (0.22, 0.32, 0.14)], view.noise(0.03, gain=0.8, depth=0.3))
    lay(
        canvas,
        trees,
        np.clip((y - hedge) * view.height, 0, 1) * np.clip((horizon + 0.012 - y) * view.height, 0, 1),
    )
    barn(view, canvas, view.place.uniform(0.1, 0.75) + view.pan * 0.4, horizon + 0.02)
    flowers(view, canvas, horizon)
    return canvas


def barn(view: View, canvas: Layer, x: float, foot: float) -> None:
    planks = view.noise(0.05, stretch=0.1, gain=0.8, depth=0.4)
    wall = blend([(0.35, 0.08, 0.06), (0.66, 0.22, 0.15)], planks)
    lay(
        canvas,
        wall,
        polygon(
            view,
            np.array(
                [
                    (x, foot),
                    (x, foot - 0.12),
                    (x + 0.05, foot - 0.19),
                    (x + 0.1, foot - 0.12),
                    (x + 0.1, foot),
                ]
            ),
        ),
    )
    lay(canvas, wall * 0.6, polygon(view, box(x + 0.1, foot - 0.12, x + 0.24, foot)))
    lay(
        canvas,
        (0.42, 0.41, 0.42),
        polygon(
            view,
            np.array(
                [
                    (x + 0.05, foot - 0.19),
                    (x + 0.19, foot - 0.19),
                    (x + 0.245, foot - 0.115),
                    (x + 0.1, foot - 0.115),
                ]
            ),
        ),
    )
    lay(canvas, (0.9, 0.88, 0.82), polygon(view, box(x + 0.03, foot - 0.08, x + 0.07, foot)))


def flowers(view: View, canvas: Layer, horizon: float) -> None:
    bloom = tint(view.things, 0.5, 1.0)
    for _ in range(160):
        near = view.things.random() ** 1.5
        x, y = view.things.random(), horizon + 0.06 + (1 - horizon) * near
        colour = np.clip(np.array(bloom) * view.things.uniform(0.7, 1.3), 0, 1)
        centre = int(x * view.width), int(min(y, 1) * view.height)
        cv2.circle(
            canvas, centre, max(1, int((0.002 + 0.008 * near) * view.width)), colour.tolist(), -1, cv2.LINE_AA
        )


def harbour(view: View) -> Layer:
    """Sailing boats on water that mirrors the sky, a far shore."""
    horizon = view.place.uniform(0.38, 0.5)
    canvas = sky(view, horizon)
    _, y = view.grid()
    shore = horizon - 0.09 * view.noise(0.4, gain=0.5, depth=0.15)[view.height // 3]
    hills = blend([(0.16, 0.22, 0.24), (0.40, 0.44, 0.36)], view.noise(0.06, gain=0.75, depth=0.15))
    lay(canvas, hills, np.clip((y - shore) * view.height, 0, 1))
    far = np.clip((y - horizon) / (1 - horizon), 0, 1)
    mirror = canvas[np.clip((2 * horizon - y[:, 0]) * view.height, 0, view.height - 1).astype(int)]
    fine, coarse = (view.noise(c, stretch=s, gain=0.7, moving=True) for c, s in ((0.06, 7), (0.2, 5)))
    waves = fine * (1 - far) + coarse * far
    water = blend([(0.04, 0.14, 0.20), (0.20, 0.38, 0.44), (0.75, 0.82, 0.84)], waves)
    lay(water, mirror, np.clip(0.75 - 0.6 * far, 0, 1) * waves)
    water *= relief(waves, 2.0)[..., None]
    lay(canvas, water, np.clip((y - horizon) * view.height, 0, 1))
    for near in np.sort(view.things.uniform(0.05, 0.85, view.things.integers(5, 9))):
        boat(view, canvas, view.things.uniform(0.04, 0.96), horizon + (1 - horizon) * near, 0.1 + 0.3 * near)
    return canvas


def boat(view: View, canvas: Layer, x: float, y: float, size: float) -> None:
    hull = np.array([(-0.5, -0.12), (0.55, -0.14), (0.4, 0.06), (-0.38, 0.06)]) * (size * 0.55, size) + (x, y)
    mast = y - size * 1.5
    foot, tip = y - 0.2 * size, mast + 0.2 * size
    main = np.array([(x + 0.01 * size, mast), (x + 0.3 * size, foot), (x + 0.01 * size, foot)])
    fore = np.array([(x - 0.02 * size, tip), (x - 0.28 * size, foot), (x - 0.02 * size, foot)])
    reflection = hull * (1, -0.5) + (0, 1.5 * y)
    lay(canvas, (0.1, 0.15, 0.18), polygon(view, reflection, 0.004) * 0.7)
    sail, paint = tint(view.things, 0.65, 1.0), tint(view.things, 0.1, 0.8)
    folds = 0.75 + 0.35 * view.noise(0.08, stretch=0.3, moving=True)
    lay(canvas, np.asarray(sail, np.float32) * folds[..., None], polygon(view, main))
    lay(canvas, np.asarray(tint(view.things, 0.5, 1.0), np.float32) * folds[..., None], polygon(view, fore))
    lay(canvas, np.asarray(paint, np.float32) * folds[..., None], polygon(view, hull))
    rail = hull[[0, 1, 1, 0]] + np.array([(0, 0), (0, 0), (0, 0.012), (0, 0.012)])
    lay(canvas, (0.95, 0.95, 0.95), polygon(view, rail))
    lay(canvas, (0.2, 0.14, 0.1), polygon(view, box(x - 0.012 * size, mast, x + 0.012 * size, y)))


def pebbles(view: View) -> Layer:
    """A beach of stones from above."""
    canvas = blend([(0.25, 0.22, 0.18), (0.5, 0.45, 0.38)], view.noise(0.02, gain=0.9, depth=1))
    warm = tint(view.place, 0.4, 0.8)
    aspect = view.width / view.height
    texture = view.noise(0.08, gain=0.75, depth=1)
    for size in np.sort(view.place.gamma(2.2, 0.017, 420).clip(0.012, 0.12)):
        moved = view.things.uniform(-0.03, 0.03, 2) * (view.pan != 0)
        x, y = view.place.uniform(-0.05, 1.05, 2) + moved + np.array((view.pan, 0))
        base = np.array(warm) * view.place.uniform(0.35, 1.15) + view.place.uniform(-0.07, 0.07, 3)
        stone(
            view,
            canvas,
            (x, y),
            (size, size * view.place.uniform(0.55, 0.95) * aspect),
            view.place.uniform(0, np.pi),
            base,
            texture,
        )
    return canvas


def stone(
    view: View,
    canvas: Layer,
    centre: tuple[float, float],
    radii: tuple[float, float],
    turn: float,
    base: NDArray[np.float64],
    texture: Mask,
) -> None:
    """One domed stone with a shadow, drawn within its own window of the picture."""
    reach = max(radii[0] * view.width, radii[1] * view.height) * 1.5
    cx, cy = centre[0] * view.width, centre[1] * view.height
    top, bottom = int(max(cy - reach, 0)), int(min(cy + reach, view.height))
    left, right = int(max(cx - reach, 0)), int(min(cx + reach, view.width))
    if top >= bottom or left >= right:
        return
    grid_y, grid_x = np.mgrid[top:bottom, left:right].astype(np.float32)

    def distance(dx: float, dy: float) -> Mask:
        x, y = grid_x - cx - dx, grid_y - cy - dy
        u = (x * np.cos(turn) + y * np.sin(turn)) / (radii[0] * view.width)
        v = (-x * np.sin(turn) + y * np.cos(turn)) / (radii[1] * view.height)
        return np.asarray(np.sqrt(u * u + v * v), np.float32)

    part = canvas[top:bottom, left:right]
    shift = reach * 0.12
    lay(part, (0.03, 0.03, 0.03), np.clip((1.25 - distance(shift, shift)) * 3, 0, 0.75))
    rim = distance(0, 0)
    dome = np.sqrt(np.clip(1 - rim**2, 0, 1))
    lean = (grid_x - cx + grid_y - cy) / reach
    mottled = 0.7 + 0.6 * texture[top:bottom, left:right]
    layer = (
        np.clip(base, 0.05, 1).astype(np.float32) * (mottled * (0.35 + 0.6 * dome - 0.35 * lean))[..., None]
    )
    lay(part, layer, np.clip((1 - rim) * reach * 0.5, 0, 1))


def forest(view: View) -> Layer:
    """Trunks fading into mist above a floor of leaves."""
    x, y = view.grid()
    mist = tint(view.place, 0.55, 0.85)
    canvas = blend([mist, (0.35, 0.45, 0.25), (0.12, 0.2, 0.08)], view.noise(0.14, gain=0.8, depth=0.3))
    litter = view.noise(0.025, gain=0.9, depth=1)
    floor = (
        blend([(0.15, 0.09, 0.05), (0.52, 0.30, 0.12), (0.80, 0.58, 0.25)], litter)
        * relief(litter, 1.4)[..., None]
    )
    lay(canvas, floor, np.clip((y - 0.68 - 0.1 * view.noise(0.4, depth=0.8)[0][None, :]) * 12, 0, 1))
    bark = view.noise(0.06, stretch=0.12, gain=0.8, depth=0.8)
    for near in np.sort(view.place.uniform(0.1, 1, view.place.integers(14, 22))):
        half, lean = 0.008 + 0.035 * near**2, view.place.uniform(-0.05, 0.05)
        foot_x, foot = view.place.uniform(-0.02, 1.02) + view.pan * near, 0.7 + 0.26 * near
        trunk = np.array(
            [
                (foot_x - half * 1.5, foot),
                (foot_x - half, foot - 0.1),
                (foot_x - half * 0.8 + lean, -0.01),
                (foot_x + half * 0.8 + lean, -0.01),
                (foot_x + half, foot - 0.1),
                (foot_x + half * 1.5, foot),
            ]
        )
        round_ = np.clip(1.15 - np.abs((x - foot_x - lean * (1 - y)) / half + 0.35) * 0.5, 0.2, 1.2)
        layer = (
            blend([(0.08, 0.06, 0.05), (0.42, 0.33, 0.25)], bark)
            * relief(bark, 2.5)[..., None]
            * round_[..., None]
        )
        lay(canvas, layer * near + np.asarray(mist, np.float32) * (1 - near), polygon(view, trunk))
    crown = view.noise(0.1, gain=0.85, moving=True)
    leaves = blend(
        [(0.08, 0.16, 0.03), (0.35, 0.5, 0.1), (0.85, 0.85, 0.4)], view.noise(0.02, gain=0.9, moving=True)
    )
    lay(canvas, leaves, np.clip((crown - 0.35 - 1.3 * y) * 8, 0, 1))
    return canvas


def aerial(view: View) -> Layer:
    """Farmland from above: patches of crops, a river, roads and roofs."""
    x, y = view.grid()
    n_patches = 46
    seeds = view.place.random((n_patches, 2)) * 1.3 - np.array((0.15 - view.pan, 0.15))
    warp = view.noise(0.3, gain=0.5, depth=1) * 0.08
    cell = np.argmin([np.abs(x + warp - sx) + np.abs(y - sy) for sx, sy in seeds.astype(np.float32)], axis=0)
    crops = view.place.uniform((0.25, 0.3, 0.08), (0.75, 0.68, 0.4), (n_patches, 3)).astype(np.float32)
    turns = view.place.uniform(0, np.pi, n_patches)[cell]
    furrows = np.sin((x * np.cos(turns) + y * np.sin(turns)) * 420) * 0.06
    soil = view.noise(0.06, gain=0.8, depth=1)
    canvas = (crops[cell] * (0.75 + 0.45 * soil + furrows)[..., None]).astype(np.float32)
    edges = cv2.dilate(
        cv2.morphologyEx(cell.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)), None
    )
    lay(canvas, (0.10, 0.18, 0.06), (edges > 0) * soil)
    bend = view.noise(0.5, gain=0.45, depth=1)[:, view.width // 2]
    river = np.abs(x - 0.25 - 0.5 * bend[:, None]) * view.width / (0.022 * view.width)
    lay(canvas, blend([(0.12, 0.24, 0.28), (0.34, 0.44, 0.42)], soil), np.clip((1.4 - river) * 3, 0, 1))
    for _ in range(4):
        ends = view.place.uniform(-0.1, 1.1, 2)
        cv2.line(
            canvas,
            (int((ends[0] + view.pan) * view.width), 0),
            (int((ends[1] + view.pan) * view.width), view.height),
            (0.72, 0.68, 0.6),
            max(1, view.width // 160),
            cv2.LINE_AA,
        )
    for _ in range(60):
        at = view.things.random(2)
        size = view.things.uniform(0.008, 0.022)
        roof = box(-size, -size * 0.7, size, size * 0.7) + at
        lay_box(view, canvas, roof + np.array((0.006, 0.008)), (0.06, 0.07, 0.05))
        lay_box(view, canvas, roof, tint(view.things, 0.4, 0.85))
    return canvas
