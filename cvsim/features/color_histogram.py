"""Colour: histograms of CIE Lab in three rings around the picture's centre.

Rings are a spatial layout that turning and mirroring leave alone. Compared by the Bhattacharyya
coefficient (A. Bhattacharyya, 1943). A picture with next to no colour gives no evidence: its copy may be
the coloured original.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cvsim.features.base import Feature
from cvsim.features.ground import compare_cut_outs
from cvsim.features.picture import Picture
from cvsim.types import Comparison

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.types import RGB, Indices, Similarities

HISTOGRAM_PX = 64
N_LIGHTNESS, N_CHROMA = 4, 7
"""Bins of L, and of a and b each; those of a and b are narrow around grey, where colours crowd."""
CHROMA_EDGES = np.array([-36.0, -16.0, -5.0, 5.0, 16.0, 36.0], np.float32)
N_BINS = N_LIGHTNESS * N_CHROMA * N_CHROMA
MIN_CHROMA = 4.0
"""Mean distance from grey, in units of a and b, below which a picture counts as grey."""

HALF_SEEN = 128
"""Alpha from which a pixel of a cut-out counts as its own."""
MIN_COLOR_DEVIATION = 3.0
"""Of L, a or b: pictures of one colour are no evidence for each other."""


def _ring_of_pixels() -> NDArray[np.int64]:
    """Ring 0, 1 or 2 of each pixel of the square, of equal areas, (SIDE_PX * SIDE_PX,)."""
    offset = np.abs(np.arange(HISTOGRAM_PX) - (HISTOGRAM_PX - 1) / 2)
    reach = np.maximum(offset[:, None], offset[None, :]).ravel()
    thirds = np.sort(reach)[[(len(reach) - 1) // 3, (len(reach) - 1) * 2 // 3]]
    found: NDArray[np.int64] = np.digitize(reach, thirds, right=True)
    return found


N_RINGS = 3
_RING = _ring_of_pixels()
_RING_SIZES = np.bincount(_RING)
_FIRST_BIN = (_RING * N_BINS).astype(np.uint16).reshape(HISTOGRAM_PX, HISTOGRAM_PX)


def _channel_bins() -> NDArray[np.uint8]:
    """What each value of L, a and b adds to a pixel's bin, (1, 256, 3), as `cv2.LUT` wants it.

    Of the 8-bit Lab that OpenCV makes: L in 0 to 255, a and b moved by 128.
    """
    values = np.arange(256)
    lightness = values * N_LIGHTNESS // 256 * N_CHROMA * N_CHROMA
    chroma = np.searchsorted(CHROMA_EDGES, values - 128)
    return np.stack([lightness, N_CHROMA * chroma, chroma], axis=-1).astype(np.uint8)[None]


_CHANNEL_BINS = _channel_bins()


def _roots_of_counts() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """A bin's value by its count, for one size of ring after the other; and where each bin's values begin."""
    roots = [np.rint(np.sqrt(np.arange(n + 1) / n) * 255) for n in _RING_SIZES]
    starts = np.cumsum([0, *(_RING_SIZES[:-1] + 1)])
    return np.concatenate(roots).astype(np.uint8), np.repeat(starts, N_BINS)


_ROOTS, _ROOTS_START = _roots_of_counts()


class ColorHistogram(Feature["NDArray[np.uint8]"]):
    """Mean Bhattacharyya coefficient of the rings' histograms.

    A descriptor is (3 * 196,) uint8: square roots of the bins' shares, scaled to 255. That of a cut-out
    goes on with the counts of what is opaque, and of what is not by ring, as uint16: beside an opaque
    picture, its ground is given the colour that lies most around that one. Then come the roots without its
    alpha, where that hides colours.
    """

    name = "color"
    version = 2

    @property
    def params(self) -> Mapping[str, Any]:
        return {
            "side_px": HISTOGRAM_PX,
            "bins": [N_LIGHTNESS, N_CHROMA],
            "min": [MIN_CHROMA, MIN_COLOR_DEVIATION],
        }

    def extract(self, rgb: RGB) -> NDArray[np.uint8] | None:
        return self.extract_from(Picture(rgb))

    def extract_from(self, picture: Picture) -> NDArray[np.uint8] | None:
        lab = cv2.cvtColor(picture.color_square(HISTOGRAM_PX), cv2.COLOR_RGB2LAB)
        if not _is_colorful(lab):
            return None
        bin_, a, b = cv2.split(cv2.LUT(lab, _CHANNEL_BINS))
        bin_ += a
        bin_ += b
        counts = np.bincount((_FIRST_BIN + bin_).ravel(), minlength=N_RINGS * N_BINS)
        found: NDArray[np.uint8] = _ROOTS[_ROOTS_START + counts]
        alpha = picture.alpha_square(HISTOGRAM_PX)
        if alpha is None:
            return found
        bare = None if picture.bare is None else self.extract_from(picture.bare)
        is_seen = (alpha >= HALF_SEEN).ravel()
        counts = np.bincount((_FIRST_BIN + bin_).ravel()[is_seen], minlength=N_RINGS * N_BINS)
        unseen = np.bincount(_RING[~is_seen], minlength=N_RINGS)
        own = np.concatenate([counts, unseen]).astype("<u2").view(np.uint8)
        return np.concatenate([found, own] if bare is None else [found, own, bare])

    def compare(self, a: NDArray[np.uint8] | None, b: NDArray[np.uint8] | None) -> tuple[Comparison, ...]:
        if a is None or b is None:
            return (Comparison(self.name, None),)
        if _is_cut_out(a) != _is_cut_out(b):
            cut_out, other = (a, b) if _is_cut_out(a) else (b, a)
            sides = _as_shown_beside(cut_out, other)
            return (Comparison(self.name, float(_coefficients(sides, np.stack([other] * len(sides))).max())),)
        return (Comparison(self.name, float(_coefficients(a[None, :_N_ROOTS], b[None, :_N_ROOTS])[0])),)

    def pack(self, descriptors: Sequence[NDArray[np.uint8] | None]) -> Any:
        known = np.array([d is not None for d in descriptors], bool)
        packed = np.zeros((len(descriptors), _N_ROOTS), np.uint8)
        cut_out: dict[int, NDArray[np.uint8]] = {}
        for i, d in enumerate(descriptors):
            if d is not None:
                packed[i] = d[:_N_ROOTS]
                if _is_cut_out(d):
                    cut_out[i] = d
        return packed, known, cut_out

    def compare_many(self, packed: Any, a: Indices, b: Indices) -> dict[str, Similarities]:
        histograms, known, cut_out = packed
        similarity = np.empty(len(a), np.float32)
        for start in range(0, len(a), 4096):
            part = slice(start, start + 4096)
            similarity[part] = _coefficients(histograms[a[part]], histograms[b[part]])
        compare_cut_outs(self.compare, histograms, known, cut_out, a, b, similarity)
        return {self.name: np.where(known[a] & known[b], similarity, np.float32(np.nan))}

    def has_color(self, packed: Any) -> NDArray[np.bool_] | None:
        found: NDArray[np.bool_] = packed[1]
        return found

    def to_bytes(self, descriptor: NDArray[np.uint8]) -> bytes:
        return descriptor.tobytes()

    def from_bytes(self, data: bytes) -> NDArray[np.uint8]:
        return np.frombuffer(data, np.uint8)


_N_ROOTS = N_RINGS * N_BINS


def _is_cut_out(descriptor: NDArray[np.uint8]) -> bool:
    return len(descriptor) > _N_ROOTS


def _as_shown_beside(cut_out: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A cut-out's histograms, (n, 588): on white, on what lies most around the other one, perhaps bare."""
    n_bytes = 2 * (_N_ROOTS + N_RINGS)
    own, bare = cut_out[_N_ROOTS : _N_ROOTS + n_bytes], cut_out[_N_ROOTS + n_bytes :]
    counts = np.ascontiguousarray(own).view("<u2").astype(np.int64)
    rings, unseen = counts[:_N_ROOTS].reshape(N_RINGS, N_BINS), counts[_N_ROOTS:]
    rings[:, int(other.reshape(N_RINGS, N_BINS)[-1].argmax())] += unseen
    laid = _ROOTS[_ROOTS_START + rings.ravel()]
    return np.stack([side for side in (cut_out[:_N_ROOTS], laid, bare) if len(side)])


def _is_colorful(lab: NDArray[np.uint8]) -> bool:
    """Whether there is more than one colour, and more than grey; of 8-bit Lab, (h, w, 3)."""
    mean, deviation = (moment.ravel().tolist() for moment in cv2.meanStdDev(lab))
    if max(deviation[0] * 100 / 255, *deviation[1:]) < MIN_COLOR_DEVIATION:
        return False
    if math.hypot(mean[1] - 128, mean[2] - 128) >= MIN_CHROMA:
        return True  # a mean distance is no less than the distance of the mean
    _, a, b = cv2.split(lab)
    return bool(cv2.magnitude(*(c.astype(np.float32) - 128 for c in (a, b))).mean() >= MIN_CHROMA)


def _coefficients(x: NDArray[np.uint8], y: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean over the rings, (n, 3 * 196) twice to (n,); normalised, for rounding takes a little."""
    x = x.reshape(-1, N_RINGS, N_BINS).astype(np.float32)
    y = y.reshape(-1, N_RINGS, N_BINS).astype(np.float32)
    norm = np.sqrt(np.einsum("nrb,nrb->nr", x, x) * np.einsum("nrb,nrb->nr", y, y))
    found: NDArray[np.float32] = np.clip(np.einsum("nrb,nrb->nr", x, y) / np.maximum(norm, 1), 0, 1).mean(
        axis=1
    )
    return found
