"""What scenes are painted with: noise, light, colour ramps, shapes and letters.

Places are in units of the picture's width and height, from 0 to 1, with y down.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Layer = NDArray[np.float32]
"""(H, W, 3) in [0, 1], red first."""
Mask = NDArray[np.float32]
"""(H, W) in [0, 1]."""
Colour = tuple[float, float, float]
"""Red, green, blue in [0, 1]."""


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


def disc(view: View, x: float, y: float, radius: float, squash: float = 1.0, soften: float = 0.0) -> Mask:
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    aspect = view.width / view.height
    points = np.stack([x + radius * np.cos(turn), y + radius * aspect * squash * np.sin(turn)], axis=1)
    return polygon(view, points, soften)


def lay_box(view: View, canvas: Layer, corners: NDArray[np.float64], colour: Colour) -> None:
    """`lay` of a plain box, without a mask the size of the picture."""
    left, top = np.round(corners[0] * (view.width, view.height)).astype(int)
    right, bottom = np.round(corners[2] * (view.width, view.height)).astype(int)
    part = canvas[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    fade = np.linspace(1.12, 0.8, len(part), dtype=np.float32)[:, None, None]
    part[:] = np.asarray(colour, np.float32) * fade


def lettering(text: str, size_px: int) -> Mask:
    """A line of text, as high and as wide as its letters need."""
    font = ImageFont.load_default(max(size_px, 6))
    left, top, right, bottom = (int(edge) for edge in font.getbbox(text))
    sheet = Image.new("L", (max(right - left, 1), max(bottom - top, 1)))
    ImageDraw.Draw(sheet).text((-left, -top), text, fill=255, font=font)
    return np.asarray(sheet, np.float32) / 255


def tint(rng: np.random.Generator, low: float = 0.15, high: float = 0.9) -> Colour:
    """A random colour, half way to grey: paint and stone are seldom pure."""
    colour = rng.uniform(low, high, 3)
    red, green, blue = 0.58 * colour + 0.42 * colour.mean()
    return float(red), float(green), float(blue)
