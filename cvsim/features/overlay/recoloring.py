"""Whether one change of colours explains all of a picture, or a part of it has a colour of its own.

Editing a photograph changes its colours by one rule: brighter, paler, grey, sepia. Two colours of one
product, photographed alike or painted over by the seller, are alike in every fold, and only the product's
own tiles break the rule. A sticker breaks it as well, but there the edges break too. A rule that would
move colours that stayed where they are explains nothing: those tiles are odd under it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import cv2
import numpy as np

from cvsim.features.overlay.correlation import BROKEN, KEPT, cauchy_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[Any]
    Rows = NDArray[np.bool_]

RECOLORING_PX = 32
"""Side of the coloured square that is kept of a picture."""
CHROMA_TOLERANCE, CHROMA_SHARE = 10.0, 0.35
"""Distance in the plane of a and b that is explained, in units and as a share of the stronger chroma."""
MIN_TILE_CHROMA, MIN_COLORED = 6.0, 0.1
"""Distance from grey at which a tile has a colour, and the share of the tiles that must have one."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
LUMA_TOLERANCE = 32.0
UNCHANGED_LUMA, MOVED_LUMA = 3.0, 8.0
UNCHANGED_CHROMA, MOVED_CHROMA = 1.5, 4.0
"""A tile that differs by less than the first does not follow a rule that is off by more than the second."""
MIN_HUE_DIVERSITY = 0.1
"""See `_hue_diversity`: from which a turn of all hues can be told from another colour of one thing."""
MAX_CAST, MAX_TONE = 10.0, 28.0
"""Chroma of a colour cast, and of a toned (sepia) picture, at most."""
CLIPPED, DARK = 250.0, 8.0
"""A channel from which a colour may have been cut off, and L below which it cannot be told."""
WHITE = 235.0
"""Mean luma from which part of a tile may have been cut off."""
FAINT, STRUCTURED = 3.0, 11.0
"""Standard deviations in grey levels between which a tile's structure comes to count."""
SAME_EDGES = 0.4
"""From which a tile counts in full where a rule is fitted."""
MIN_STRUCTURED = 0.15
"""Share of the tiles that count as structured at least: a few of them are not the whole picture."""
EXPLAINED = 0.01
"""Share at which no other rule is tried."""
INEXCUSABLE = 3.0
N_FIT_ROUNDS = 4
TONE_POWERS = np.array([0.45, 0.65, 1.0, 1.5, 2.2], np.float32)
"""Of the tone curves that are tried."""
TONE_SCALES = (60.0, 30.0, 15.0, 10.0)
"""Distance from the tone curve, in levels, at which a tile pulls half as much, round by round."""


class Colors(NamedTuple):
    """Mean colours of the tiles of one side, (n, 3) each."""

    rgb: Floats
    lab: Floats

    @classmethod
    def of(cls, rgb: Floats) -> Self:
        """From (n, 3) float32 in 0 to 255."""
        return cls(rgb, _lab(rgb))

    @property
    def luma(self) -> Floats:
        """(n,) in 0 to 255."""
        return self.rgb @ LUMA

    @property
    def chroma(self) -> Floats:
        """a and b, (n, 2)."""
        return self.lab[:, 1:]

    @property
    def is_known(self) -> Rows:
        """Where no channel is cut off, and it is not too dark for a colour."""
        found: Rows = (self.rgb.max(axis=1) < CLIPPED) & (self.lab[:, 0] >= DARK)
        return found


def sample(colors: NDArray[np.uint8], x: Floats, y: Floats) -> Floats:
    """Colours at points of the unit square, (n, m) each, to (n, m, 3) float32 in 0 to 255."""
    maps = (x * RECOLORING_PX - 0.5).astype(np.float32), (y * RECOLORING_PX - 0.5).astype(np.float32)
    found = cv2.remap(colors, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32)


def is_changed(a: Colors, b: Colors) -> bool:
    """Whether any tile's colour is not what it was."""
    return bool(_changed(a, b).any())


def has_color(a: Colors, b: Colors) -> bool:
    """Whether enough tiles of both sides have a colour: equal greys are no equal colours."""
    colored = (np.minimum(np.hypot(*a.chroma.T), np.hypot(*b.chroma.T)) >= MIN_TILE_CHROMA).mean()
    return bool(colored >= MIN_COLORED)


def recolored_share(a: Colors, b: Colors, deviation: Floats, likeness: Floats) -> float:
    """Share of the tiles that have the other's structure but a colour that no common rule explains.

    Parameters
    ----------
    a, b : Colors
        Of the tiles of two aligned pictures.
    deviation, likeness : (n,) float32
        Standard deviation of the clearer side's grey values; see `correlation.edge_likeness`.

    Returns
    -------
    float
        In [0, 1], under the rule that leaves least, or the first that leaves next to nothing. If that rule is
        that nothing was done, it cannot be inexact, and what is odd counts `INEXCUSABLE` times. Copies stay
        under 0.03, also recoloured ones; two colours of a product are mostly above.
    """
    weight = 0.1 + np.clip((deviation - 4) / 12, 0, 1) * (likeness > SAME_EDGES)
    structure = _Structure.of(deviation, likeness)
    no_tile = np.zeros(len(a.rgb), bool)
    _, odd_luma = _least(structure, no_tile, _odd_luma(a, b, weight))
    share, _ = _least(structure, odd_luma, _odd_chroma(a, b, weight))
    untouched = structure.kept_share(_changed(a, b))
    return min(1.0, INEXCUSABLE * untouched) if untouched <= share else share


def kept_share(odd: Rows, deviation: Floats, likeness: Floats) -> float:
    """Share of the structure that both sides have and that lies in these tiles; see `recolored_share`."""
    return _Structure.of(deviation, likeness).kept_share(odd)


def _changed(a: Colors, b: Colors) -> Rows:
    """Tiles that are odd if nothing was done."""
    return _changed_luma(a, b) | _changed_chroma(a, b)


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
    """Of each tile, (n,) in [0, 1]: whether it has structure, and whether the other side's is the same.

    Where edges lie and which way they run says so, whichever side of them is the brighter one: yellow cloth
    is brighter than skin, and blue cloth is darker.
    """

    structured: Floats
    kept: Floats
    broken: Floats

    @classmethod
    def of(cls, deviation: Floats, likeness: Floats) -> _Structure:
        structured = np.clip((deviation - FAINT) / (STRUCTURED - FAINT), 0, 1)
        kept = np.clip((likeness - KEPT[0]) / (KEPT[1] - KEPT[0]), 0, 1)
        return cls(structured, kept, np.clip((BROKEN[1] - likeness) / (BROKEN[1] - BROKEN[0]), 0, 1))

    def kept_share(self, odd: Rows) -> float:
        """Share of the structure that is both odd and kept; less where what is odd is mostly broken."""
        visible = odd * self.structured
        kept, broken = float((visible * self.kept).sum()), float((visible * self.broken).sum())
        is_structure_kept = min(1.0, max(0.0, 2 * (kept - broken / 2) / (kept + broken + 1e-9)))
        total = max(float(self.structured.sum()), MIN_STRUCTURED * len(odd))
        return min(1.0, kept / total) * is_structure_kept


def _odd_chroma(a: Colors, b: Colors, weight: Floats) -> Iterator[Rows]:
    """Tiles whose chroma does not follow, by rule: unchanged, one tone curve, paler or stronger, one hue."""
    yield _changed_chroma(a, b)
    still = _distance(a.chroma, b.chroma) < UNCHANGED_CHROMA
    odd_a = _is_odd_chroma(_graded(b, a, weight), a.chroma, still) | ~b.is_known
    odd_b = _is_odd_chroma(_graded(a, b, weight), b.chroma, still) | ~a.is_known
    yield odd_a & odd_b & (a.is_known | b.is_known)
    for rule in (_cast, _toned, _hue_turned):
        for source, target in ((a, b), (b, a)):
            odd = _is_odd_chroma(rule(source, target, weight), target.chroma, still)
            yield odd & a.is_known & b.is_known


def _changed_chroma(a: Colors, b: Colors) -> Rows:
    return is_far_chroma(a.chroma, b.chroma) & (a.is_known | b.is_known)


def _is_odd_chroma(found: Floats, wanted: Floats, still: Rows) -> Rows:
    return is_far_chroma(found, wanted) | (still & (_distance(found, wanted) > MOVED_CHROMA))


def is_far_chroma(x: Floats, y: Floats) -> Rows:
    """Where a and b, (n, 2), of one colour are not those of the other one."""
    stronger = np.maximum(np.hypot(*x.T), np.hypot(*y.T))
    found: Rows = _distance(x, y) > np.maximum(CHROMA_TOLERANCE, CHROMA_SHARE * stronger)
    return found


def _distance(x: Floats, y: Floats) -> Floats:
    found: Floats = np.hypot(*(x - y).T)
    return found


def _lab(rgb: Floats) -> Floats:
    """(n, 3) in 0 to 255 to L, a, b."""
    return np.asarray(cv2.cvtColor((rgb / 255).astype(np.float32)[None], cv2.COLOR_RGB2LAB)[0])


def _graded(source: Colors, target: Colors, weight: Floats) -> Floats:
    """a and b of the target from the source by one tone curve, the same for all channels.

    The curve is a power, a gain and an offset, cut off at black and white: gamma, brightness and contrast.
    """
    x = 255 * (np.maximum(source.rgb, 0).ravel() / 255) ** TONE_POWERS[:, None]
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
    for _ in range(N_FIT_ROUNDS):
        trust = cauchy_weights(wanted - factor * source - shift, weight, 6.0)
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
    for _ in range(N_FIT_ROUNDS):
        weighted = trust[:, None] * columns
        tone = columns @ np.linalg.solve(columns.T @ weighted + 0.02 * np.eye(3), weighted.T @ wanted)
        trust = cauchy_weights(wanted - tone, weight, 5.0)
    hue = trust @ tone
    hue = hue / max(float(np.hypot(*hue)), 1e-9)
    return np.clip(tone @ hue, 0, MAX_TONE)[:, None] * hue


def _hue_turned(origin: Colors, target: Colors, weight: Floats) -> Floats:
    """a and b of the target from the source's by one turn of all hues and one factor.

    Only where there are several hues to turn: of a picture with one coloured thing on white, any other colour
    of that thing is a turn of its hue.
    """
    source = origin.chroma @ np.array([1, 1j])
    wanted = target.chroma @ np.array([1, 1j])
    if min(_hue_diversity(source, weight), _hue_diversity(wanted, weight)) < MIN_HUE_DIVERSITY:
        return origin.chroma
    turn, trust = 1 + 0j, weight
    for _ in range(N_FIT_ROUNDS):
        turn = complex((trust * wanted) @ source.conj() / (trust @ np.abs(source) ** 2 + 1e-6))
        residual = wanted - turn * source
        trust = cauchy_weights(np.stack([residual.real, residual.imag], axis=1), weight, 6.0)
    found = turn * source
    return np.stack([found.real, found.imag], axis=1)


def _hue_diversity(chroma: Floats, weight: Floats) -> float:
    """Smaller to larger eigenvalue of the second moments of a and b, from a + ib: 0 for a single hue."""
    square, twice = weight @ np.abs(chroma) ** 2, abs(weight @ chroma**2)
    return float((square - twice) / (square + twice + 1e-9))


def _odd_luma(a: Colors, b: Colors, weight: Floats) -> Iterator[Rows]:
    """Tiles whose luma does not follow, by rule: unchanged, a gain with an offset, a gamma, either way."""
    yield _changed_luma(a, b)
    still = np.abs(a.luma - b.luma) < UNCHANGED_LUMA
    is_white = np.minimum(a.luma, b.luma) > WHITE  # and stays so, whatever became of the rest
    for source, wanted in ((a.luma, b.luma), (b.luma, a.luma)):
        for bend in (_straight, _logarithmic):
            for start in (source, wanted):  # from no change, and from all tiles
                off = np.abs(wanted - _line(source, wanted, start, weight, bend))
                yield ((off > LUMA_TOLERANCE) | (still & (off > MOVED_LUMA))) & ~is_white


def _changed_luma(a: Colors, b: Colors) -> Rows:
    found: Rows = np.abs(a.luma - b.luma) > LUMA_TOLERANCE
    return found


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
    for _ in range(N_FIT_ROUNDS):
        trust = cauchy_weights((wanted - found)[:, None], weight, 15.0)
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
