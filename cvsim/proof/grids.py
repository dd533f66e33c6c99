"""The kept picture on the copy's grid: the turn, the resampling filter, a mild global filter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from cvsim.features.orientation import N_ORIENTATIONS, turn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Plane = NDArray[np.float32]

ORIENTATION_PX = 48
_TIMES_FINER = 4
_UPRIGHT_BONUS = 1e-6
INVERSE = (0, 1, 2, 3, 4, 6, 5, 7)
"""Which orientation undoes each of the eight."""

_MIRRORINGS = {1: 1, 2: 0, 3: -1}
"""What OpenCV calls to mirror left to right, to flip top to bottom, and both."""
_FIT_PX = 5
_FIT_SAMPLES = 12_000
_BAND_PX = 96
_LEAST_PLACES = 500
_BUSY_SHARE = 0.15
_WORTH_FILTERING = 0.9
_GAIN_MIDDLE, _GAIN_TOP = (0.85, 1.18), (0.6, 1.5)
"""Least and most that a filter may scale half of, and all of, the highest frequency of the copy's grid. 
Wider, and a softened or sharpened picture would pass for a resampled one."""
_MOST_OFFSET = 1.5
_MOST_CONTRAST = 0.012


def turned(rgb: Pixels, orientation: int) -> Pixels:
    """The picture in one of the eight orientations, contiguous."""
    if orientation & 3:
        rgb = np.asarray(cv2.flip(rgb, _MIRRORINGS[orientation & 3]), np.uint8)
    return np.asarray(cv2.transpose(rgb), np.uint8) if orientation & 4 else rgb


def find_orientation(kept: Pixels, copy: Pixels, orientations: Sequence[int] | None = None) -> int | None:
    """Which turn or mirror of `kept` has the sides and is most like `copy`; None if no turn has its sides."""
    h, w = kept.shape[:2]
    asked = range(N_ORIENTATIONS) if orientations is None else orientations
    possible = [o for o in asked if same_shape((h, w) if not o & 4 else (w, h), copy.shape[:2])]
    if len(possible) < 2:
        return possible[0] if possible else None
    target, source = (shrunk(rgb, (ORIENTATION_PX, ORIENTATION_PX)) for rgb in (copy, kept))
    differences = {o: float(np.mean((turn(source, o) - target) ** 2)) for o in possible}
    if 0 in differences:
        differences[0] -= _UPRIGHT_BONUS
    return min(possible, key=differences.__getitem__)


def shrunk(rgb: Pixels, size: tuple[int, int]) -> Plane:
    """Means of areas, (h, w, 3) float32: by halves as far as that goes, which is fast."""
    while rgb.shape[1] >= 2 * _TIMES_FINER * size[0] and rgb.shape[0] >= 2 * _TIMES_FINER * size[1]:
        half = rgb.shape[1] // 2, rgb.shape[0] // 2
        even = rgb[: 2 * half[1], : 2 * half[0]]
        rgb = np.asarray(cv2.resize(even, half, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.float32)


def same_shape(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Whether two (height, width) are of one shape, but for the rounding of the smaller one by a pixel."""
    down, across = a[0] / b[0], a[1] / b[1]
    smallest_h, smallest_w = min(a[0], b[0]), min(a[1], b[1])
    return abs(np.log(down / across)) <= 1.05 * (1 / smallest_h + 1 / smallest_w) if a != b else True


def _by_pillow(method: Image.Resampling) -> Callable[[Pixels, tuple[int, int]], Pixels]:
    def resample(pixels: Pixels, size: tuple[int, int]) -> Pixels:
        if pixels.ndim == 2:
            return np.asarray(Image.fromarray(pixels).resize(size, method))
        # Channel by channel: Pillow would hold a large picture once more, in four bytes a pixel.
        return np.dstack([resample(np.ascontiguousarray(pixels[..., i]), size) for i in range(3)])

    return resample


def _by_opencv(method: int) -> Callable[[Pixels, tuple[int, int]], Pixels]:
    return lambda a, size: np.asarray(cv2.resize(a, size, interpolation=method), np.uint8)


_PILLOW_METHODS = {
    "lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
}
FILTERS: dict[str, Callable[[Pixels, tuple[int, int]], Pixels]] = {
    "area": _by_opencv(cv2.INTER_AREA),
    **{name: _by_pillow(method) for name, method in _PILLOW_METHODS.items()},
    "plain bilinear": _by_opencv(cv2.INTER_LINEAR),
    "plain bicubic": _by_opencv(cv2.INTER_CUBIC),
    "nearest": _by_opencv(cv2.INTER_NEAREST),
}


def luma(rgb: Pixels) -> Pixels:
    """(H, W) uint8 of BT.601, as JPEG has it."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)


def on_grid_of(copy: Pixels, kept: Pixels) -> Pixels:
    """`kept` (turned already) resampled to the size of `copy`, by the filter that leaves least.

    A global linear filter of 5 x 5 pixels then takes up what another implementation does otherwise, or a
    shift of less than a pixel, if it is a mild one: never a tone curve, never anything local.
    """
    size = (copy.shape[1], copy.shape[0])
    if (kept.shape[1], kept.shape[0]) == size:
        return kept
    target, source = luma(copy), luma(kept)
    bands = _bands(size[1])
    wanted_rows = np.concatenate([target[rows] for rows in bands])
    tried = {name: _in_bands(name, source, size, bands) for name in FILTERS}
    places = _busy_places(tried["area"])
    wanted = wanted_rows.ravel()[places].astype(np.float32)
    errors = {name: _trimmed(found.ravel()[places] - wanted) for name, found in tried.items()}
    name = min(errors, key=errors.__getitem__)
    resampled = FILTERS[name](kept, size)
    taps = fitted_filter(tried[name], wanted_rows, places)
    if taps is None or taps[1] > _WORTH_FILTERING * errors[name]:
        return resampled
    return np.asarray(cv2.filter2D(resampled, -1, taps[0], borderType=cv2.BORDER_REPLICATE), np.uint8)


def _bands(height: int) -> list[slice]:
    """Rows to choose a filter by: all of them, or three bands."""
    if height <= 4 * _BAND_PX:
        return [slice(0, height)]
    starts = [(height - _BAND_PX) * i // 4 for i in (1, 2, 3)]
    return [slice(y, y + _BAND_PX) for y in starts]


def _in_bands(name: str, source: Pixels, size: tuple[int, int], bands: list[slice]) -> Pixels:
    """Bands, one below the other, of what a filter makes of `source` (h, w)."""
    method = _PILLOW_METHODS.get(name)
    if method is None or len(bands) == 1:
        whole = FILTERS[name](source, size)
        return np.concatenate([whole[rows] for rows in bands])
    picture, scale = Image.fromarray(source), source.shape[0] / size[1]
    parts = []
    for rows in bands:
        around = 0, rows.start * scale, source.shape[1], rows.stop * scale
        parts.append(np.asarray(picture.resize((size[0], rows.stop - rows.start), method, box=around)))
    return np.concatenate(parts)


def _busy_places(plane: Pixels) -> NDArray[np.intp]:
    """Flat positions of strong gradients, at most some ten thousands.

    There the filter shows. Elsewhere the copy's encoder has taken detail away, and the filter that leaves
    least would be one that blurs.
    """
    across = cv2.Sobel(plane, cv2.CV_32F, 1, 0, ksize=3)
    down = cv2.Sobel(plane, cv2.CV_32F, 0, 1, ksize=3)
    strength = cv2.magnitude(across, down)
    rim = _FIT_PX // 2
    inner = np.zeros_like(strength)
    inner[rim:-rim, rim:-rim] = strength[rim:-rim, rim:-rim] + 1
    flat = inner.ravel()
    least = np.quantile(flat[:: 1 + flat.size // 200_000], 1 - _BUSY_SHARE)
    places = np.flatnonzero(flat >= max(least, 1))
    return places[:: 1 + len(places) // _FIT_SAMPLES]


def _trimmed(difference: Plane) -> float:
    """Mean size of the differences but for the largest 5 %: a local change must not choose the filter."""
    sizes = np.sort(np.abs(difference))
    return float(sizes[: max(1, int(0.95 * len(sizes)))].mean())


def fitted_filter(source: Pixels, target: Pixels, places: NDArray[np.intp]) -> tuple[Plane, float] | None:
    """The 5 x 5 filter that makes `target` of `source` (robust least squares), or None if it is not mild.

    Parameters
    ----------
    source, target : (h, w) uint8
    places : (n,) int
        Flat positions to learn from, at least two pixels from the rim.

    Returns
    -------
    (5, 5) float32 and what it leaves (see `_trimmed`), or None
    """
    n = _FIT_PX
    if len(places) < _LEAST_PLACES:
        return None
    w = target.shape[1]
    pixels = source.ravel()
    reach = range(-(n // 2), n // 2 + 1)
    shifted = [pixels[places + (i * w + j)].astype(np.float32) for i in reach for j in reach]
    known = np.stack([*shifted, np.full(len(places), 255, np.float32)], axis=1)
    wanted = target.ravel()[places].astype(np.float32)
    prior = np.zeros(known.shape[1], np.float32)
    prior[n * n // 2] = 1
    ridge = np.eye(len(prior), dtype=np.float32) * np.float32(1e-5 * (known**2).sum() / len(prior))
    weights = np.ones(len(wanted), np.float32)
    solution: Plane = prior
    for _ in range(3):
        weighted = known * weights[:, None]
        step = np.linalg.solve(weighted.T @ known + ridge, weighted.T @ (wanted - known @ prior))
        solution = np.asarray(prior + step, np.float32)
        left = wanted - known @ solution
        scale = 1.4826 * float(np.median(np.abs(left))) + 0.5
        weights = np.asarray(1 / (1 + (left / (2.5 * scale)) ** 2), np.float32)
    taps = solution[:-1].reshape(n, n).astype(np.float32)
    if not _is_mild(taps, float(solution[-1]) * 255):
        return None
    return taps, _trimmed(np.asarray(wanted - known @ solution, np.float32))


def _is_mild(taps: Plane, offset: float) -> bool:
    total = float(taps.sum())
    if abs(total - 1) > _MOST_CONTRAST or abs(offset) > 255 * _MOST_CONTRAST + _MOST_OFFSET:
        return False
    at = np.arange(_FIT_PX) - _FIT_PX // 2
    for share, (least, most) in ((0.5, _GAIN_MIDDLE), (1.0, _GAIN_TOP)):
        wave = np.exp(-1j * np.pi * share * at)
        one = np.ones(_FIT_PX)
        for gain in (abs(one @ taps @ wave), abs(wave @ taps @ one)):
            if not least <= gain <= most:
                return False
    return True
