"""Pictures that are made, not taken: detailed enough that hashes and keypoints treat them as photographs.

`scene` is the one maker; the sample folder and every test draw from it. A picture is built from a *place*
(terrain, walls, light: fixed by the seed) and *things* in it (fixed by the seed and the arrangement), so that
``scene(7)`` and ``scene(7, arrangement=1)`` are two photographs of one spot: the camera has moved a
little, near parts more than far ones, and the things stand elsewhere. They are near misses, not copies.

Layers are (H, W, 3) float32 in [0, 1], red first; masks are (H, W) float32 in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Layer = NDArray[np.float32]
Mask = NDArray[np.float32]
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class View:
    """What a scene is drawn with: its size, its two sources of chance, and where the camera stands."""

    width: int
    height: int
    place: np.random.Generator
    things: np.random.Generator
    pan: float
    """How far the camera has moved sideways, in picture widths at the foreground."""

    def grid(self) -> tuple[Mask, Mask]:
        """(x, y) in units of the picture's width and height, from 0 to 1."""
        x = np.linspace(0, 1, self.width, dtype=np.float32)[None, :]
        y = np.linspace(0, 1, self.height, dtype=np.float32)[:, None]
        return np.broadcast_to(x, (self.height, self.width)), np.broadcast_to(y, (self.height, self.width))

    def noise(
        self,
        cell: float,
        *,
        stretch: float = 1.0,
        gain: float = 0.55,
        depth: float = 0.0,
        moving: bool = False,
    ) -> Mask:
        """Fractal noise whose largest blobs are `cell` widths across, `stretch` times as wide as high.

        `depth` (0 far, 1 near) is how much of the camera's movement shows; `moving` noise (clouds, waves)
        belongs to the things, the rest to the place.
        """
        margin = int(0.25 * self.width)
        rng = self.things if moving else self.place
        wide = fractal(rng, self.height, self.width + margin, cell * self.width, stretch, gain)
        start = margin // 2 + round(self.pan * depth * self.width)
        return wide[:, start : start + self.width]


def fractal(
    rng: np.random.Generator, height: int, width: int, cell_px: float, stretch: float, gain: float
) -> Mask:
    """Sum of ever finer random grids, scaled to [0, 1]."""
    total = np.zeros((height, width), np.float32)
    amplitude = 1.0
    while cell_px >= 1.5:
        rows = max(2, int(np.ceil(height / cell_px * stretch)) + 1)
        columns = max(2, int(np.ceil(width / cell_px)) + 1)
        grid = rng.random((rows, columns), np.float32)
        total += amplitude * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        amplitude *= gain
        cell_px /= 2
    low, high = (float(level) for level in np.percentile(total, (0.5, 99.5)))
    return np.clip((total - low) / max(high - low, 1e-6), 0, 1)


def relief(height: Mask, strength: float, light: tuple[float, float] = (-0.7, -0.7)) -> Mask:
    """Brightness around 1 of a surface of this height, lit from `light` (x, y)."""
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3)
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3)
    return np.clip(1 + strength * (light[0] * slope_x + light[1] * slope_y), 0.25, 1.8)


def blend(colours: list[Colour], amount: Mask) -> Layer:
    """A colour ramp: the first colour where `amount` is 0, the last where it is 1."""
    stops = np.linspace(0, 1, len(colours))
    channels = [np.interp(amount, stops, [colour[i] for colour in colours]) for i in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def lay(canvas: Layer, layer: Layer | Colour, mask: Mask) -> None:
    """Put `layer` over `canvas` where `mask` is 1."""
    left, top, width, height = cv2.boundingRect((mask > 0).astype(np.uint8))
    window = (slice(top, top + height), slice(left, left + width))
    paint = np.asarray(layer, np.float32)
    paint = paint[window] if paint.ndim == 3 else paint
    canvas[window] += mask[window][..., None] * (paint - canvas[window])


def polygon(view: View, points: NDArray[np.float64], soften: float = 0.0) -> Mask:
    """The inside of a polygon of (x, y) points in units of the picture."""
    mask = np.zeros((view.height, view.width), np.uint8)
    corners = np.round(points * (view.width * 16, view.height * 16)).astype(np.int32)
    cv2.fillPoly(mask, [corners], 255, cv2.LINE_AA, shift=4)
    inside = mask.astype(np.float32) / 255
    return cv2.GaussianBlur(inside, (0, 0), soften * view.width) if soften else inside


def box(left: float, top: float, right: float, bottom: float) -> NDArray[np.float64]:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def tint(rng: np.random.Generator, low: float = 0.15, high: float = 0.9) -> Colour:
    """A random colour, half way to grey: paint and stone are seldom pure."""
    colour = rng.uniform(low, high, 3)
    red, green, blue = 0.58 * colour + 0.42 * colour.mean()
    return float(red), float(green), float(blue)


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


# --- the scenes --------------------------------------------------------------------------------------------


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


def lay_box(view: View, canvas: Layer, corners: NDArray[np.float64], colour: Colour) -> None:
    """`lay` of a plain box, without a mask the size of the picture."""
    left, top = np.round(corners[0] * (view.width, view.height)).astype(int)
    right, bottom = np.round(corners[2] * (view.width, view.height)).astype(int)
    part = canvas[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    fade = np.linspace(1.12, 0.8, len(part), dtype=np.float32)[:, None, None]
    part[:] = np.asarray(colour, np.float32) * fade


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


def disc(view: View, x: float, y: float, radius: float, squash: float = 1.0, soften: float = 0.0) -> Mask:
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    aspect = view.width / view.height
    points = np.stack([x + radius * np.cos(turn), y + radius * aspect * squash * np.sin(turn)], axis=1)
    return polygon(view, points, soften)


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


def lettering(text: str, size_px: int) -> Mask:
    """A line of text, as high and as wide as its letters need."""
    font = ImageFont.load_default(max(size_px, 6))
    left, top, right, bottom = (int(edge) for edge in font.getbbox(text))
    sheet = Image.new("L", (max(right - left, 1), max(bottom - top, 1)))
    ImageDraw.Draw(sheet).text((-left, -top), text, fill=255, font=font)
    return np.asarray(sheet, np.float32) / 255


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


SCENES: tuple[Callable[[View], Layer], ...] = (
    mountains, still_life, city, field, pebbles, harbour, wall, forest, shelf, aerial,
)  # fmt: skip

LETTERED = (wall, shelf)


def scene(seed: int, width: int = 640, height: int = 480, *, arrangement: int = 0) -> NDArray[np.uint8]:
    """Make a picture.

    Parameters
    ----------
    seed : int
        The kind of scene is ``seed % 10``; every seed is another picture.
    width, height : int
        Size in pixels. The same seed at another size is another picture: resize one to make a copy.
    arrangement : int
        0, or the number of another photograph of the same spot.

    Returns
    -------
    ndarray
        (height, width, 3) uint8, red first.
    """
    place = np.random.default_rng([seed, 1])
    things = np.random.default_rng([seed, 2, arrangement])
    pan = float(things.uniform(0.03, 0.08)) * (arrangement > 0)
    draw = SCENES[seed % len(SCENES)]
    layer = draw(View(width, height, place, things, pan)) * place.uniform(0.88, 1.1, 3)
    if place.random() < 0.5 and draw not in LETTERED:
        layer = layer[:, ::-1]
    return develop(layer, things)


def develop(layer: Layer, rng: np.random.Generator) -> NDArray[np.uint8]:
    """What a camera adds: a tone curve, darker corners, a grain that is a little soft."""
    height, width = layer.shape[:2]
    x, y = np.linspace(-1, 1, width)[None, :], np.linspace(-1, 1, height)[:, None]
    exposed = np.clip(layer, 0, 1) * (1.02 - 0.16 * (x**2 + y**2))[..., None]
    curve = np.clip(exposed, 0, 1) ** 0.92
    grain = cv2.GaussianBlur(rng.normal(0, 0.022, layer.shape).astype(np.float32), (0, 0), 0.7)
    return np.round(np.clip(curve + grain, 0, 1) * 255).astype(np.uint8)
