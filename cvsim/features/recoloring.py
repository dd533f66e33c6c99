"""Whether one change of colours explains all of a picture, or a part of it has a colour of its own.

Editing a photograph changes its colours by one rule: brighter, paler, grey, sepia. Two colours of one
product, photographed alike or painted over by the seller, are alike in every fold, and only the product's
own tiles break the rule. A sticker breaks it as well, but there the structure breaks too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[Any]
    Rows = NDArray[np.bool_]

SIDE_PX = 32
"""Side of the coloured square that is kept of a picture."""
CHROMA_TOLERANCE, CHROMA_SHARE = 10.0, 0.35
"""Distance in the plane of a and b that is explained, in units and as a share of the stronger chroma."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
LUMA_TOLERANCE = 32.0
MAX_CAST, MAX_TONE = 10.0, 28.0
"""Chroma of a colour cast, and of a toned (sepia) picture, at most."""
CLIPPED, DARK = 250.0, 8.0
"""A channel from which a colour may have been cut off, and L below which it can not be told."""
FAINT, STRUCTURED = 3.0, 11.0
"""Standard deviations in grey levels between which a tile's structure comes to count."""
MIN_STRUCTURED = 0.15
"""Share of the tiles that count as structured at least: a few of them are not the whole picture."""
EXPLAINED = 0.01
"""Share at which no other rule is tried."""
N_ROUNDS = 4
POWERS = np.array([0.45, 0.65, 1.0, 1.5, 2.2], np.float32)
"""Of the tone curves that are tried."""
TONE_SCALES = (60.0, 30.0, 15.0, 10.0)
"""Distance from the tone curve, in levels, at which a tile pulls half as much, round by round."""


class Colors(NamedTuple):
    """Mean colours of the tiles of one side, (n, 3) each."""

    rgb: Floats
    lab: Floats

    @property
    def chroma(self) -> Floats:
        """a and b, (n, 2)."""
        return self.lab[:, 1:]


def sample(colors: NDArray[np.uint8], x: Floats, y: Floats) -> Floats:
    """Colours at points of the unit square, (n, m) each, to (n, m, 3) float32 in 0 to 255."""
    maps = (x * SIDE_PX - 0.5).astype(np.float32), (y * SIDE_PX - 0.5).astype(np.float32)
    found = cv2.remap(colors, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32)


def recolored_share(rgb_a: Floats, rgb_b: Floats, deviation: Floats, correlation: Floats) -> float:
    """Share of the tiles that have the other's structure but a colour that no common rule explains.

    Parameters
    ----------
    rgb_a, rgb_b : (n, 3) float32
        Mean colours of the tiles of two aligned pictures, in 0 to 255.
    deviation, correlation : (n,) float32
        Standard deviation of the clearer side's grey values, and how the two sides correlate.

    Returns
    -------
    float
        In [0, 1], under the rule that leaves least, or the first that leaves next to nothing. Copies stay
        under 0.03, also recoloured ones; two colours of a product are mostly above.
    """
    a, b = (Colors(rgb, _lab(rgb)) for rgb in (rgb_a, rgb_b))
    weight = 0.1 + np.clip((deviation - 4) / 12, 0, 1) * (np.abs(correlation) > 0.5)
    structure = _Structure.of(deviation, correlation)
    no_tile = np.zeros(len(rgb_a), bool)
    _, odd_luma = _least(structure, no_tile, _odd_luma(rgb_a @ LUMA, rgb_b @ LUMA, weight))
    return _least(structure, odd_luma, _odd_chroma(a, b, weight))[0]


def _least(structure: _Structure, others: Rows, found: Iterable[Rows]) -> tuple[float, Rows]:
    """The smallest share of what is odd by one rule or among the `others`, and the tiles."""
    least, best = np.inf, others
    for odd in found:
        share = structure.kept_share(odd | others)
        if share < least:
            least, best = share, odd
        if least < EXPLAINED:
            break
    return least, best


class _Structure(NamedTuple):
    """Of each tile, (n,) in [0, 1]: whether it has structure, and whether the other side's is the same."""

    structured: Floats
    kept: Floats
    broken: Floats

    @classmethod
    def of(cls, deviation: Floats, correlation: Floats) -> _Structure:
        # Inverted structure is structure: a white shirt's outline against the wall, and a black one's.
        likeness = np.abs(correlation)
        structured = np.clip((deviation - FAINT) / (STRUCTURED - FAINT), 0, 1)
        return cls(structured, np.clip((likeness - 0.5) / 0.3, 0, 1), np.clip((0.7 - likeness) / 0.3, 0, 1))

    def kept_share(self, odd: Rows) -> float:
        """Share of the structure that is both odd and kept; less where what is odd is mostly broken."""
        visible = odd * self.structured
        kept, broken = float((visible * self.kept).sum()), float((visible * self.broken).sum())
        is_structure_kept = min(1.0, max(0.0, 2 * (kept - broken / 2) / (kept + broken + 1e-9)))
        total = max(float(self.structured.sum()), MIN_STRUCTURED * len(odd))
        return min(1.0, kept / total) * is_structure_kept


def _odd_chroma(a: Colors, b: Colors, weight: Floats) -> Iterator[Rows]:
    """Tiles whose chroma does not follow, by rule: unchanged, one tone curve, paler or stronger, one hue."""
    known_a, known_b = _is_known(a), _is_known(b)
    yield _is_far(a.chroma, b.chroma) & (known_a | known_b)
    far_a = _is_far(_graded(b, a, weight), a.chroma) | ~known_b
    far_b = _is_far(_graded(a, b, weight), b.chroma) | ~known_a
    yield far_a & far_b & (known_a | known_b)
    for rule in (_cast, _toned):
        for source, target in ((a, b), (b, a)):
            yield _is_far(rule(source, target, weight), target.chroma) & known_a & known_b


def _is_known(side: Colors) -> Rows:
    """Where no channel is cut off, and it is not too dark for a colour."""
    return (side.rgb.max(axis=1) < CLIPPED) & (side.lab[:, 0] >= DARK)


def _lab(rgb: Floats) -> Floats:
    """(n, 3) in 0 to 255 to L, a, b."""
    return np.asarray(cv2.cvtColor((rgb / 255).astype(np.float32)[None], cv2.COLOR_RGB2LAB)[0])


def _is_far(x: Floats, y: Floats) -> Rows:
    distance = np.hypot(x[:, 0] - y[:, 0], x[:, 1] - y[:, 1])
    stronger = np.maximum(np.hypot(x[:, 0], x[:, 1]), np.hypot(y[:, 0], y[:, 1]))
    return distance > np.maximum(CHROMA_TOLERANCE, CHROMA_SHARE * stronger)


def _graded(source: Colors, target: Colors, weight: Floats) -> Floats:
    """a and b of the target from the source by one tone curve, the same for all channels.

    The curve is a power, a gain and an offset, cut off at black and white: gamma, brightness and contrast.
    """
    x = 255 * (np.maximum(source.rgb, 0).ravel() / 255) ** POWERS[:, None]
    y, base = target.rgb.ravel(), np.repeat(weight, 3)
    found = np.broadcast_to(source.rgb.ravel(), x.shape)
    for scale in TONE_SCALES:  # ever narrower: what was painted over does not pull in the end
        trust = base / (1 + ((y - found) / scale) ** 2)
        total = trust.sum(axis=1, keepdims=True)
        mean_x, mean_y = (trust * x).sum(axis=1, keepdims=True) / total, trust @ y[:, None] / total
        u, v = x - mean_x, y - mean_y
        slope = ((trust * u * v).sum(axis=1, keepdims=True) + 20 * total) / (
            (trust * u * u).sum(axis=1, keepdims=True) + 20 * total
        )
        found = np.clip(mean_y + np.clip(slope, 0.2, 5.0) * u, 0, 255)
    best = int((base / (1 + ((y - found) / TONE_SCALES[-1]) ** 2)).sum(axis=1).argmax())
    return _lab(found[best].reshape(-1, 3).astype(np.float32))[:, 1:]


def _cast(origin: Colors, target: Colors, weight: Floats) -> Floats:
    """a and b of the target from the source's by one factor and one small shift."""
    source, wanted = origin.chroma, target.chroma
    factor, shift = 1.0, np.zeros(2)
    for _ in range(N_ROUNDS):
        trust = _trust(wanted - factor * source - shift, weight, 6.0)
        total = trust.sum()
        mean_s, mean_w = trust @ source / total, trust @ wanted / total
        s, w = source - mean_s, wanted - mean_w
        factor = float((trust @ (s * w).sum(axis=1)) / (trust @ (s * s).sum(axis=1) + 2.5 * total))
        factor = min(max(factor, 0.0), 3.0)
        shift = mean_w - factor * mean_s
        shift *= min(1.0, MAX_CAST * min(1.0, factor) / max(float(np.hypot(*shift)), 1e-9))
    return factor * source + shift


def _toned(_source: Colors, target: Colors, weight: Floats) -> Floats:
    """a and b of the target from its own lightness: one hue, its chroma a curve of L; 0 where it is grey."""
    level, wanted = target.lab[:, 0] / 100, target.chroma
    columns = np.stack([np.ones_like(level), level, level * level], axis=1)
    trust, tone = weight, np.zeros_like(wanted)
    for _ in range(N_ROUNDS):
        weighted = trust[:, None] * columns
        tone = columns @ np.linalg.solve(columns.T @ weighted + 0.02 * np.eye(3), weighted.T @ wanted)
        trust = _trust(wanted - tone, weight, 5.0)
    hue = trust @ tone
    hue = hue / max(float(np.hypot(*hue)), 1e-9)
    return np.clip(tone @ hue, 0, MAX_TONE)[:, None] * hue


def _trust(residual: Floats, weight: Floats, scale: float) -> Floats:
    """Cauchy weights: what does not fit does not pull."""
    return weight / (1 + (residual * residual).sum(axis=1) / scale**2)


def _odd_luma(a: Floats, b: Floats, weight: Floats) -> Iterator[Rows]:
    """Tiles whose luma does not follow, by rule: unchanged, a gain with an offset, a gamma, either way."""
    yield np.abs(a - b) > LUMA_TOLERANCE
    for source, wanted in ((a, b), (b, a)):
        for bend in (_straight, _logarithmic):
            for start in (source, wanted):  # from no change, and from all tiles
                explained = _line(source, wanted, start, weight, bend)
                yield np.abs(wanted - explained) > LUMA_TOLERANCE


def _straight(luma: Floats) -> Floats:
    return luma


def _logarithmic(luma: Floats) -> Floats:
    """What makes a straight line of a gamma, in units of about a grey level in the middle."""
    return 64 * np.log((np.maximum(luma, 0) + 8) / 8)


def _line(
    source: Floats, wanted: Floats, start: Floats, weight: Floats, bend: Callable[[Floats], Floats]
) -> Floats:
    """`wanted` from `source` by a straight line after bending both, robustly fitted."""
    x, y = bend(source), bend(wanted)
    slope, level, found = 1.0, 0.0, start
    for _ in range(N_ROUNDS):
        trust = _trust((wanted - found)[:, None], weight, 15.0)
        total = trust.sum()
        mean_x, mean_y = trust @ x / total, trust @ y / total
        u, v = x - mean_x, y - mean_y
        slope = float((trust @ (u * v) + 20 * total) / (trust @ (u * u) + 20 * total))
        slope = min(max(slope, 0.2), 5.0)
        level = mean_y - slope * mean_x
        bent = slope * x + level
        found = bent if bend is _straight else 8 * np.exp(np.minimum(bent, 224) / 64) - 8
        found = np.clip(found, 0, 255)
    return found
