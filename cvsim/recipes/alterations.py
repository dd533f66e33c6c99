"""What happens to pictures on their way through the world: copies made to see whether they are found again.

Each function takes (H, W, 3) uint8 RGB and a source of chance for its strength and place, and returns the
altered picture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from cvsim.types import RGB

    Generator = np.random.Generator
    Alteration = Callable[[RGB, Generator], RGB]

MAX_PX = 1024
"""Longer side of the pictures that are altered: more than any signal looks at."""
_TEXTS = ("SAMPLE PHOTO", "HELLO THERE", "50% OFF TODAY", "SUMMER", "ALL RIGHTS RESERVED")


def altered(rgb: RGB, kind: str, seed: int) -> RGB:
    """The picture altered as `ALTERATIONS` says; the same seed gives the same strength and place."""
    rng = np.random.default_rng([seed, *kind.encode()])
    return np.ascontiguousarray(ALTERATIONS[kind](rgb, rng))


def jpeg_bytes(rgb: RGB, quality: int = 90) -> bytes:
    """The picture as a JPEG file."""
    return cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def pasted(rgb: RGB, background: RGB, share: float, seed: int) -> RGB:
    """Laid somewhere into another picture, which is scaled to its size, over this share of its area."""
    rng = np.random.default_rng([seed, int(share * 100)])
    height, width = rgb.shape[:2]
    whole: RGB = cv2.resize(background, (width, height), interpolation=cv2.INTER_AREA)
    small = _resized(rgb, share**0.5, share**0.5)[:height, :width]
    top = int(rng.integers(height - small.shape[0] + 1))
    left = int(rng.integers(width - small.shape[1] + 1))
    whole[top : top + small.shape[0], left : left + small.shape[1]] = small
    return whole


def _resized(rgb: RGB, across: float, down: float) -> RGB:
    size = max(8, round(rgb.shape[1] * across)), max(8, round(rgb.shape[0] * down))
    method = cv2.INTER_AREA if across * down < 1 else cv2.INTER_CUBIC
    changed: RGB = cv2.resize(rgb, size, interpolation=method)
    return changed


def _cropped(share: float) -> Alteration:
    def crop(rgb: RGB, rng: Generator) -> RGB:
        height, width = (max(8, round(side * share**0.5)) for side in rgb.shape[:2])
        top = int(rng.integers(max(rgb.shape[0] - height, 0) + 1))
        left = int(rng.integers(max(rgb.shape[1] - width, 0) + 1))
        return rgb[top : top + height, left : left + width]

    return crop


def _tilted(degrees: float) -> Alteration:
    def tilt(rgb: RGB, rng: Generator) -> RGB:
        height, width = rgb.shape[:2]
        angle = degrees if rng.random() < 0.5 else -degrees
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
        changed: RGB = cv2.warpAffine(rgb, turn, (width, height), flags=cv2.INTER_LINEAR)
        return changed

    return tilt


def _toned(gain: float, lift: float = 0.0, gamma: float = 1.0) -> Alteration:
    def tone(rgb: RGB, rng: Generator) -> RGB:
        values = gain * (np.arange(256) / 255.0) ** gamma + lift
        changed: RGB = cv2.LUT(rgb, np.round(255 * np.clip(values, 0, 1)).astype(np.uint8))
        return changed

    return tone


def _gray(rgb: RGB, rng: Generator) -> RGB:
    changed: RGB = cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return changed


def _sepia(rgb: RGB, rng: Generator) -> RGB:
    gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None]
    changed: RGB = np.clip(gray * np.array([1.2, 1.05, 0.85]), 0, 255).astype(np.uint8)
    return changed


def _noisy(rgb: RGB, rng: Generator) -> RGB:
    return np.clip(rgb + rng.normal(0, 22, rgb.shape), 0, 255).astype(np.uint8)


def _blurred(rgb: RGB, rng: Generator) -> RGB:
    changed: RGB = cv2.GaussianBlur(rgb, (0, 0), 0.007 * max(rgb.shape))
    return changed


def _captioned(rgb: RGB, rng: Generator) -> RGB:
    height, width = rgb.shape[:2]
    captioned = rgb.copy()
    scale, thickness = width / 300, max(1, round(width / 130))
    for row in (0.3, 0.6, 0.9):
        text = _TEXTS[int(rng.integers(len(_TEXTS)))]
        at = round(width * 0.04), round(height * row)
        cv2.putText(captioned, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, (255,) * 3, thickness, cv2.LINE_AA)
    return captioned


def _stickered(rgb: RGB, rng: Generator) -> RGB:
    height, width = rgb.shape[:2]
    radius = max(2, round((0.14 * height * width / np.pi) ** 0.5))
    centre = int(rng.integers(width)), int(rng.integers(height))
    colour = tuple(int(level) for level in rng.integers(0, 256, 3))
    changed: RGB = cv2.circle(rgb.copy(), centre, radius, colour, -1, cv2.LINE_AA)
    return changed


def _framed(rows: float, columns: float, level: int) -> Alteration:
    def frame(rgb: RGB, rng: Generator) -> RGB:
        down, across = round(rgb.shape[0] * rows), round(rgb.shape[1] * columns)
        changed: RGB = cv2.copyMakeBorder(
            rgb, down, down, across, across, cv2.BORDER_CONSTANT, value=(level,) * 3
        )
        return changed

    return frame


ALTERATIONS: Mapping[str, Alteration] = {
    "smaller": lambda rgb, rng: _resized(rgb, 0.25, 0.25),
    "larger": lambda rgb, rng: _resized(rgb, 2.0, 2.0),
    "squeezed": lambda rgb, rng: _resized(rgb, 0.5, 1.0),
    "brighter": _toned(1.3, 0.1),
    "darker": _toned(1.0, gamma=2.0),
    "low-contrast": _toned(0.4, 0.3),
    "gray": _gray,
    "sepia": _sepia,
    "noisy": _noisy,
    "blurred": _blurred,
    "captioned": _captioned,
    "stickered": _stickered,
    "bordered": _framed(0.1, 0.1, 0),
    "letterboxed": _framed(0.25, 0.0, 255),
    "crop90": _cropped(0.9),
    "crop80": _cropped(0.8),
    "crop50": _cropped(0.5),
    "crop25": _cropped(0.25),
    "tilted3": _tilted(3),
    "tilted15": _tilted(15),
    "turned90": lambda rgb, rng: np.rot90(rgb),
    "turned180": lambda rgb, rng: np.rot90(rgb, 2),
    "mirrored": lambda rgb, rng: rgb[:, ::-1],
}
"""Every kind by name. All show the same photograph; what is pasted takes a second picture: see `pasted`."""

JPEG_QUALITIES: Mapping[str, int] = {"jpeg10": 10, "jpeg40": 40}
"""Kinds that are nothing but saving again, and the quality."""
PASTED_SHARES: Mapping[str, float] = {"pasted50": 0.5, "pasted25": 0.25}
