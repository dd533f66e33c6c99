"""What happens to pictures on their way through the world, one function a kind.

Each takes a picture, (H, W, 3) uint8 with red first, and a source of chance for its strength and place, and
returns the altered picture. `altered` calls them by name.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scenes import scene

RGB = NDArray[np.uint8]
Chance = np.random.Generator
Alteration = Callable[[RGB, Chance], RGB]


def encoded(rgb: RGB, image_format: str, **options: int) -> bytes:
    """The bytes of a file that holds this picture."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, image_format, **options)
    return buffer.getvalue()


def reencoded(rgb: RGB, image_format: str, **options: int) -> RGB:
    return np.asarray(Image.open(io.BytesIO(encoded(rgb, image_format, **options))).convert("RGB"))


def resized(rgb: RGB, width: int, height: int) -> RGB:
    smaller = width < rgb.shape[1]
    return cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def scaled(rgb: RGB, factor: float) -> RGB:
    return resized(rgb, round(rgb.shape[1] * factor), round(rgb.shape[0] * factor))


def cropped(rgb: RGB, share: float, rng: Chance) -> RGB:
    """A window with this share of the area, anywhere in the picture."""
    height, width = (round(side * share**0.5) for side in rgb.shape[:2])
    top = int(rng.integers(rgb.shape[0] - height + 1))
    left = int(rng.integers(rgb.shape[1] - width + 1))
    return rgb[top : top + height, left : left + width].copy()


def toned(rgb: RGB, gain: float = 1.0, lift: float = 0.0, gamma: float = 1.0) -> RGB:
    """``gain * rgb ** gamma + lift``, on a scale from 0 to 1."""
    tone = np.clip(gain * (rgb / 255.0) ** gamma + lift, 0, 1)
    return np.round(tone * 255).astype(np.uint8)


def tilted(rgb: RGB, degrees: float) -> RGB:
    """Turned on a canvas of the same size; the corners are black."""
    height, width = rgb.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    return cv2.warpAffine(rgb, turn, (width, height), flags=cv2.INTER_LINEAR)


def framed(rgb: RGB, rows: int, columns: int, colour: tuple[int, int, int]) -> RGB:
    return cv2.copyMakeBorder(rgb, rows, rows, columns, columns, cv2.BORDER_CONSTANT, value=colour)


def captioned(rgb: RGB, text: str) -> RGB:
    """White letters with a dark edge across the lower part, as memes and stock previews have."""
    image = Image.fromarray(rgb)
    size_px = max(10, image.width // 13)
    font = ImageFont.load_default(size_px)
    at = (image.width / 2, image.height * 0.88)
    ImageDraw.Draw(image).text(
        at,
        text,
        fill="white",
        font=font,
        anchor="mm",
        stroke_width=max(1, size_px // 12),
        stroke_fill="black",
    )
    return np.asarray(image)


def pasted(rgb: RGB, background: RGB, share: float, rng: Chance) -> RGB:
    """Scaled to this share of another picture's area and laid somewhere into it."""
    factor = (share * background[..., 0].size / rgb[..., 0].size) ** 0.5
    width = min(round(rgb.shape[1] * factor), background.shape[1])
    height = min(round(rgb.shape[0] * factor), background.shape[0])
    top = int(rng.integers(background.shape[0] - height + 1))
    left = int(rng.integers(background.shape[1] - width + 1))
    whole = background.copy()
    whole[top : top + height, left : left + width] = resized(rgb, width, height)
    return whole


def _grey(rgb: RGB, rng: Chance) -> RGB:
    return np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def _sepia(rgb: RGB, rng: Chance) -> RGB:
    gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None]
    return np.clip(gray * np.array([1.07, 0.92, 0.70]) + 8, 0, 255).astype(np.uint8)


def _noisy(rgb: RGB, rng: Chance) -> RGB:
    return np.clip(rgb + rng.normal(0, rng.uniform(6, 14), rgb.shape), 0, 255).astype(np.uint8)


def _blurred(rgb: RGB, rng: Chance) -> RGB:
    return cv2.GaussianBlur(rgb, (0, 0), rng.uniform(0.002, 0.004) * rgb.shape[1])


def _sharpened(rgb: RGB, rng: Chance) -> RGB:
    return cv2.addWeighted(rgb, 1.8, cv2.GaussianBlur(rgb, (0, 0), 1.5), -0.8, 0)


def _bordered(rgb: RGB, rng: Chance) -> RGB:
    margin = round(rng.uniform(0.03, 0.08) * rgb.shape[1])
    red, green, blue = (int(level) for level in rng.integers(0, 256, 3))
    return framed(rgb, margin, margin, (red, green, blue))


def _letterboxed(rgb: RGB, rng: Chance) -> RGB:
    return framed(rgb, round(rng.uniform(0.1, 0.2) * rgb.shape[0]), 0, (0, 0, 0))


def _squeezed(rgb: RGB, rng: Chance) -> RGB:
    return resized(rgb, round(rgb.shape[1] * rng.uniform(0.7, 0.85)), rgb.shape[0])


def _pasted(rgb: RGB, rng: Chance) -> RGB:
    background = scene(int(rng.integers(10**6, 10**9)), rgb.shape[1], rgb.shape[0])
    return pasted(rgb, background, rng.uniform(0.3, 0.5), rng)


def _stickered(rgb: RGB, rng: Chance) -> RGB:
    """A round logo that hides a part of the picture."""
    height, width = rgb.shape[:2]
    radius = round(rng.uniform(0.08, 0.14) * width)
    centre = (int(rng.integers(radius, width - radius)), int(rng.integers(radius, height - radius)))
    marked = rgb.copy()
    cv2.circle(marked, centre, radius, (250, 215, 40), -1, cv2.LINE_AA)
    cv2.circle(marked, centre, round(radius * 0.75), (30, 30, 40), max(2, radius // 10), cv2.LINE_AA)
    return marked


KINDS: dict[str, Alteration] = {
    "jpeg": lambda rgb, rng: reencoded(rgb, "JPEG", quality=int(rng.integers(55, 90))),
    "jpeg-low": lambda rgb, rng: reencoded(rgb, "JPEG", quality=int(rng.integers(12, 25))),
    "webp": lambda rgb, rng: reencoded(rgb, "WEBP", quality=int(rng.integers(30, 80))),
    "half": lambda rgb, rng: scaled(rgb, 0.5),
    "smaller": lambda rgb, rng: scaled(rgb, rng.uniform(0.28, 0.9)),
    "larger": lambda rgb, rng: scaled(rgb, rng.uniform(1.2, 2.0)),
    "brighter": lambda rgb, rng: toned(rgb, gain=rng.uniform(1.1, 1.25)),
    "darker": lambda rgb, rng: toned(rgb, gain=rng.uniform(0.65, 0.85)),
    "gamma": lambda rgb, rng: toned(rgb, gamma=rng.uniform(1.4, 2.0)),
    "low-contrast": lambda rgb, rng: toned(rgb, gain=0.6, lift=0.2),
    "grey": _grey,
    "sepia": _sepia,
    "noisy": _noisy,
    "blurred": _blurred,
    "sharpened": _sharpened,
    "captioned": lambda rgb, rng: captioned(rgb, "WISH YOU WERE HERE"),
    "bordered": _bordered,
    "letterboxed": _letterboxed,
    "squeezed": _squeezed,
    "crop90": lambda rgb, rng: cropped(rgb, 0.9, rng),
    "crop80": lambda rgb, rng: cropped(rgb, 0.8, rng),
    "crop50": lambda rgb, rng: cropped(rgb, 0.5, rng),
    "crop25": lambda rgb, rng: cropped(rgb, 0.25, rng),
    "rotated90": lambda rgb, rng: np.ascontiguousarray(np.rot90(rgb)),
    "rotated180": lambda rgb, rng: np.ascontiguousarray(np.rot90(rgb, 2)),
    "rotated270": lambda rgb, rng: np.ascontiguousarray(np.rot90(rgb, 3)),
    "tilted": lambda rgb, rng: tilted(rgb, rng.uniform(3, 12) * rng.choice([-1, 1])),
    "mirrored": lambda rgb, rng: np.ascontiguousarray(rgb[:, ::-1]),
    "upside-down": lambda rgb, rng: np.ascontiguousarray(rgb[::-1]),
    "pasted": _pasted,
    "stickered": _stickered,
}
"""Every kind by name. All show the same photograph as the original."""

LIGHT_KINDS: tuple[str, ...] = (
    "jpeg", "jpeg-low", "webp", "half", "smaller", "larger", "brighter", "darker", "gamma", "low-contrast",
    "grey", "sepia", "noisy", "blurred", "sharpened", "captioned", "squeezed",
)  # fmt: skip
"""The kinds that keep the whole picture in its place: perceptual hashes hold through them."""


def altered(rgb: RGB, kind: str, seed: int = 0) -> RGB:
    """Alter a picture.

    Parameters
    ----------
    rgb : ndarray
        (H, W, 3) uint8, red first; it is not changed.
    kind : str
        One of `KINDS`.
    seed : int
        The same seed gives the same strength and place.

    Returns
    -------
    ndarray
        (H', W', 3) uint8.
    """
    return KINDS[kind](rgb, np.random.default_rng([seed, *kind.encode()]))
