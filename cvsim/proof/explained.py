"""Whether everything visible in a copy is explained by the picture that would be kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from cvsim.proof.detail import Detail
from cvsim.proof.grids import INVERSE, find_orientation, on_grid_of, shrunk, turned
from cvsim.proof.leaning import leaning
from cvsim.proof.noise import Bounds
from cvsim.proof.picture import ProofPicture, proof_picture
from cvsim.proof.residual import GRID_PX, PLANE_NAMES, Kind, PairOnGrid, Residual, Tile, tiles, with_margin
from cvsim.proof.scan import MOST_BOXES, Noise, Samples, Spot, excess, is_seen, merged, spots
from cvsim.proof.standout import LargestDifferences

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.types import Box

__all__ = ["Explanation", "ProofPicture", "explain", "proof_picture"]

State = Literal["same-pixels", "explained", "differs", "poorer-kept"]

# Chosen on one half of the photographs of metadata-extractor-images and on rendered pages, changed in 18 ways
# and encoded in 40; measured on the other half by benchmarks/proof.py.
MOST_UNEXPLAINED, MOST_UNEXPLAINED_WIDELY = 0.6, 0.8
LEAST_FINENESS = {0.08: 0.82, 0.02: 0.7}
"""Least fine detail of the kept picture, encoded like the copy, over the copy's, by what share of that is
left unexplained at least."""
MOST_FINENESS, MOST_FINE_LEFT = 3.0, 0.4
"""Where the copy's encoder is known."""
LEAST_SHARED_GRAIN, LEAST_SHARED_GRAIN_LOSSY = 0.45, 0.35
"""Correlation of the grain of both, where the copy's encoder is known and where it may have made its own."""
FLOOR, EXACT_FLOOR, ENCODED_FLOOR = 0.6, 0.35, 1.15
"""Times what one sees, that a difference must have to count; where a pair is exact otherwise; and where the
steps of quantisation are not forgiven."""
EXACT = 0.5
"""Grey levels that hardly any 3 x 3 pixels of an exact pair differ by."""
_LOOK_PX, _LOOK_DIFFERENCE = 64, 40.0
_WHOLE_PIXELS, _FEW_PIXELS = 1_400_000, 40_000
_SAMPLE_PX = 256
_JPEG_BOUNDS = Bounds(2.0, 0.25, 7.0)
"""What quantisation moves is taken out by its tables; what is left is of earlier encoding or resampling."""
_LOSSLESS_BOUNDS = Bounds(3.0, 0.3, 9.0)
_LOSSY_BOUNDS = Bounds(4.0, 0.4, 13.0)
_LOSSY_FORMATS = frozenset(("webp", "avif", "heic", "jpeg2000", "gif"))


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a proof found.

    Attributes
    ----------
    state : {"same-pixels", "explained", "differs", "poorer-kept"}
        Only the first two say that nothing visible would be lost.
    boxes : tuple of (x, y, width, height)
        Where it differs, in pixels of the copy as it is shown; largest difference first, at most 16.
    margin : float
        Largest difference over what is allowed there: below 1 all is explained.
    measures : dict of float
        What the margin is the largest of, by name, and what it was made from; for benchmarks.
    """

    state: State
    boxes: tuple[Box, ...] = ()
    margin: float = 0.0
    measures: dict[str, float] = field(default_factory=dict, compare=False)


def explain(
    copy: ProofPicture, kept: ProofPicture, *, orientations: Sequence[int] | None = None
) -> Explanation:
    """Decide whether all one sees in `copy` is in `kept`, up to encoding, resampling, a turn or a mirror.

    Parameters
    ----------
    copy, kept : ProofPicture
        At full resolution. Transparency is the caller's: it compares alpha itself, or passes both pictures
        laid on one ground.
    orientations : sequence of int, optional
        Those of `cvsim.features.orientation` that turn `kept` as `copy` shows it; found here if not given.

    Returns
    -------
    Explanation
        ``differs`` whenever there is doubt.
    """
    if _are_equal(copy.rgb, kept.rgb):
        return Explanation("same-pixels")
    if min(*copy.rgb.shape[:2], *kept.rgb.shape[:2]) < 8:
        return Explanation("differs", _whole(copy.rgb), np.inf)
    orientation = find_orientation(kept.rgb, copy.rgb, orientations)
    if orientation is None:
        return Explanation("differs", _whole(copy.rgb), np.inf)
    upright = turned(kept.rgb, orientation)
    if _are_equal(upright, copy.rgb):
        return Explanation("explained")
    refused = _first_look(copy.rgb, upright) if copy.n_colors is None else None
    if refused is not None:
        return refused
    shown = turned(copy.rgb, copy.stored_as)
    source = turned(upright, copy.stored_as)
    fitted = on_grid_of(shown, source)
    lies_alike = fitted is source and orientation == 0 and kept.stored_as == copy.stored_as
    explainer = PairOnGrid(shown, fitted, copy.jpeg, kept.jpeg if lies_alike else None, copy.n_colors)
    if explainer.marks:
        boxes = (_shown(mark, copy.stored_as, *copy.rgb.shape[1::-1]) for mark in explainer.marks)
        return Explanation("differs", tuple(boxes)[:MOST_BOXES], np.inf)
    found = _Proof(explainer, copy)
    return found.explanation(copy.stored_as, copy.rgb.shape[1], copy.rgb.shape[0])


def _are_equal(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> bool:
    rows = slice(None, None, 1 + a.shape[0] // 16)  # pictures that differ nearly always do somewhere in these
    return a.shape == b.shape and np.array_equal(a[rows], b[rows]) and np.array_equal(a, b)


def _whole(rgb: NDArray[np.uint8]) -> tuple[Box, ...]:
    return ((0, 0, rgb.shape[1], rgb.shape[0]),)


def _first_look(copy: NDArray[np.uint8], kept: NDArray[np.uint8]) -> Explanation | None:
    """Refuse what differs plainly even when it is small."""
    h, w = copy.shape[:2]
    size = min(_LOOK_PX, w), min(_LOOK_PX, h)
    small = [shrunk(a, size) for a in (copy, kept)]
    difference = cv2.blur(np.abs(small[0] - small[1]).max(2), (3, 3))
    if float(difference.max()) < _LOOK_DIFFERENCE:
        return None
    ratio = cv2.resize(difference / _LOOK_DIFFERENCE, size, interpolation=cv2.INTER_NEAREST)
    fx, fy = w / size[0], h / size[1]
    found = merged(spots(ratio, 0, 0, cell_px=2), gap_px=2)[:MOST_BOXES]
    boxes = tuple(
        (int(s.x * fx), int(s.y * fy), -int(-s.width * fx // 1), -int(-s.height * fy // 1)) for s in found
    )
    return Explanation("differs", boxes, float(ratio.max()))


class _Proof:
    """The tiles of one pair: what one would see there, and whether the pair's noise explains it."""

    def __init__(self, explainer: PairOnGrid, copy: ProofPicture) -> None:
        self._has_palette = copy.n_colors is not None
        lost = _is_lossy(copy) or explainer.is_of_palette
        self._bounds, self._knows_encoder = _bounds(copy, lost), not lost
        self._is_of_palette = explainer.is_of_palette
        self._detail = Detail()
        self._spots: list[Spot] = []
        self._largest = LargestDifferences()
        self._most = 0.0
        self._by: dict[str, float] = {}
        self._noises: dict[tuple[int, Kind], Noise] = {}
        self._places: dict[int, Samples] = {}
        h, w = explainer.size
        is_whole = h * w <= _WHOLE_PIXELS
        windows = [with_margin(0, 0, h, w, h, w)] if is_whole else _samples(h, w)
        found = (explainer.residual(window, whole=True) for window in windows)
        self._sample = [residual for residual in found if residual is not None]
        self._detail.add_nothing(sum(map(_area, windows)))
        for residual in self._sample:
            unexplained = residual.plane(0, residual.kinds(0)[-1])
            self._detail.add(
                residual.copy[0], residual.kept[0], residual.as_shown, unexplained, residual.tile.inner
            )
        if is_whole:
            for residual in self._sample:
                self._look(residual)
            return
        for tile in tiles(h, w):
            left = explainer.residual(tile)
            if left is not None:
                self._look(left)

    def _noise(self, channel: int, kind: Kind) -> Noise:
        key = channel, kind
        if key not in self._noises:
            if channel not in self._places:
                self._places[channel] = Samples([r.active(channel) for r in self._sample])
            bounds = _LOSSY_BOUNDS if kind == "as encoded" else self._bounds
            residuals = [r.plane(channel, kind) for r in self._sample]
            self._noises[key] = Noise(residuals, self._places[channel], bounds)
        return self._noises[key]

    def _floor(self, channel: int, kind: Kind) -> float:
        """What counts as visible: least where the pair is exact but for some spot, which then is a change."""
        if kind == "as encoded":
            return ENCODED_FLOOR
        strictest = self._sample[0].kinds(channel)[0] if self._sample else kind
        if not self._has_palette and self._noise(channel, strictest).tail < EXACT:
            return EXACT_FLOOR
        return min(1.0, FLOOR + 0.2 * self._noise(channel, kind).typical)

    @cached_property
    def _is_refused(self) -> bool:
        """Whether the sample shows that too little is explained all over: nothing can change that."""
        return max(self._wide, _softness(self._detail)) >= 1

    @cached_property
    def _wide(self) -> float:
        """1 or more if too much is left unexplained, of the whole or of a tenth of it."""
        left, widely = self._detail.unexplained, self._detail.unexplained_widely
        return max(left / MOST_UNEXPLAINED, widely / MOST_UNEXPLAINED_WIDELY)

    def _asked(self, residual: Residual) -> Iterator[tuple[int, str, tuple[Kind, ...]]]:
        """Planes to look at, and the kinds of each; of what is refused one shows where it differs most."""
        for channel, name in enumerate(PLANE_NAMES[:1] if self._is_refused else PLANE_NAMES):
            kinds = residual.kinds(channel)
            yield channel, name, kinds[-1:] if self._is_refused else kinds

    def _look(self, residual: Residual) -> None:
        ratio = np.zeros(residual.copy[0].shape, np.float32)
        tile = residual.tile
        left, top = tile.left + tile.inner[1].start, tile.top + tile.inner[0].start
        for channel, name, kinds in self._asked(residual):
            likeliest = residual.likeliest(channel)
            if not is_seen(likeliest, EXACT_FLOOR):
                continue  # whatever the floors are: they take the noise to be measured
            floors = {kind: self._floor(channel, kind) for kind in kinds}
            is_worth_it = is_seen(likeliest, min(floors.values()))
            if not channel:
                strict = residual.plane(0, residual.kinds(0)[0]) if is_worth_it else likeliest
                self._largest.add(strict, tile.inner, left, top)
            if not is_worth_it:
                continue
            for kind, floor in floors.items():
                noise, active = self._noise(channel, kind), residual.active(channel)
                found = excess(residual.plane(channel, kind), active, noise, floor)
                if found is None:
                    continue
                key = f"{name} {kind}"
                self._by[key] = max(self._by.get(key, 0.0), float(found.max()))
                if channel:
                    size = residual.copy[0].shape[1], residual.copy[0].shape[0]
                    found = np.asarray(cv2.resize(found, size, interpolation=cv2.INTER_NEAREST), np.float32)
                np.maximum(ratio, found, out=ratio)
        part = np.ascontiguousarray(ratio[tile.inner])
        self._most = max(self._most, float(part.max()))
        self._spots += spots(part, left, top)

    def _excess_detail(self) -> float:
        """1 or more if an encoder that is known can neither have made nor taken away so much fine detail."""
        if not self._knows_encoder:
            return 0.0
        return max(self._detail.fineness / MOST_FINENESS, self._detail.fine_unexplained / MOST_FINE_LEFT)

    def _grain_of_its_own(self) -> float:
        """1 or more if the copy has the noise of another frame."""
        least = LEAST_SHARED_GRAIN if self._knows_encoder else LEAST_SHARED_GRAIN_LOSSY
        return least / max(self._detail.shared_grain, 0.01)

    def _leaning(self) -> float:
        """1 or more if a plane that is small, and that no palette explains, is of another tint."""
        if self._is_of_palette:
            return 0.0
        planes = ((r, channel) for r in self._sample for channel in range(len(PLANE_NAMES)))
        return leaning(r.plane(channel, r.kinds(channel)[-1]) for r, channel in planes)

    def explanation(self, stored_as: int, width: int, height: int) -> Explanation:
        """The verdict, its boxes in the copy as it is shown."""
        detail = self._detail
        wide, soft = self._wide, _softness(detail)
        lean = self._leaning()
        alone = self._largest.margin
        margin = max(self._most, alone, wide, soft, lean, self._excess_detail(), self._grain_of_its_own())
        measures = {
            "spot": self._most,
            "alone": alone,
            "wide": wide,
            "leaning": lean,
            "fineness": detail.fineness,
            "unexplained": detail.unexplained,
            "fine unexplained": detail.fine_unexplained,
            "grain": detail.shared_grain,
            **self._by,
        }
        if margin < 1:
            return Explanation("explained", (), margin, measures)
        boxes = tuple(
            _shown((s.x, s.y, s.width, s.height), stored_as, width, height)
            for s in merged(self._spots + self._largest.spots())[:MOST_BOXES]
        )
        state: State = "poorer-kept" if soft >= 1 else "differs"
        return Explanation(state, boxes or ((0, 0, width, height),), margin, measures)


def _softness(detail: Detail) -> float:
    """1 or more if the kept picture lacks fine detail that the copy has."""
    least = [f for left, f in LEAST_FINENESS.items() if detail.fine_unexplained >= left]
    return max(least, default=0.0) / detail.fineness


def _area(tile: Tile) -> int:
    return (tile.bottom - tile.top) * (tile.right - tile.left)


def _is_lossy(copy: ProofPicture) -> bool:
    """Whether its encoder loses something, and nothing says what."""
    if copy.jpeg is not None and copy.jpeg.is_simulable:
        return False
    return copy.format in _LOSSY_FORMATS or copy.format == "jpeg"


def _bounds(copy: ProofPicture, lost: bool) -> Bounds:
    """How much noise a copy of its format can have; less in a small one: it has few places to ask."""
    exact = _LOSSLESS_BOUNDS if copy.jpeg is None else _JPEG_BOUNDS
    bounds = _LOSSY_BOUNDS if lost else exact
    if copy.rgb.shape[0] * copy.rgb.shape[1] >= _FEW_PIXELS:
        return bounds
    return Bounds(bounds.flat / 2, bounds.slope / 2, bounds.top / 2)


def _samples(h: int, w: int) -> list[Tile]:
    """Windows spread over the picture, about a megapixel in all."""
    found = []
    for i in range(4):
        for j in range(4):
            y = int((h - _SAMPLE_PX) * (i + 0.5) / 4) // GRID_PX * GRID_PX
            x = int((w - _SAMPLE_PX) * (j + 0.5) / 4) // GRID_PX * GRID_PX
            found.append(
                Tile(y, x, y + _SAMPLE_PX, x + _SAMPLE_PX, (slice(0, _SAMPLE_PX), slice(0, _SAMPLE_PX)))
            )
    return found


def _shown(box: Box, stored_as: int, width: int, height: int) -> Box:
    """A box of the stored order as it lies in the picture that is shown (`width` x `height`)."""
    x, y, w, h = box
    undo = INVERSE[stored_as]
    stored_w, stored_h = (height, width) if stored_as & 4 else (width, height)
    if undo & 1:
        x = stored_w - x - w
    if undo & 2:
        y = stored_h - y - h
    return (y, x, h, w) if undo & 4 else (x, y, w, h)
