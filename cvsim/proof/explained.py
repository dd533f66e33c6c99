"""Whether everything visible in a copy is explained by the picture that would be kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

from cvsim.proof.detail import Detail
from cvsim.proof.grids import INVERSE, find_orientation, on_grid_of, turned
from cvsim.proof.noise import Bounds, NoiseCurve, noise_curve
from cvsim.proof.picture import ProofPicture, proof_picture
from cvsim.proof.residual import GRID_PX, Explainer, Residual, Tile, tiles, with_margin
from cvsim.proof.scan import MOST_BOXES, Scales, Spot, excess, measured_scales, merged, spots

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Explanation", "ProofPicture", "explain", "proof_picture"]

State = Literal["same-pixels", "explained", "differs", "poorer-kept"]
Box = tuple[int, int, int, int]

MOST_UNEXPLAINED, MOST_UNEXPLAINED_WIDELY = 0.6, 0.8
LEAST_FINENESS = 0.8
_LOOK_PX = 64
_LOOK_DIFFERENCE = 40.0
_WHOLE_PIXELS = 1_400_000
_SAMPLE_PX = 256
_LOSSY = Bounds(4.0, 0.6, 16.0)


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
    """

    state: State
    boxes: tuple[Box, ...] = ()
    margin: float = 0.0
    measures: dict[str, Any] = field(default_factory=dict, compare=False)


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
    if copy.rgb.shape == kept.rgb.shape and np.array_equal(copy.rgb, kept.rgb):
        return Explanation("same-pixels")
    if min(*copy.rgb.shape[:2], *kept.rgb.shape[:2]) < 8:
        return Explanation("differs", _whole(copy.rgb), np.inf)
    orientation = find_orientation(kept.rgb, copy.rgb, orientations)
    if orientation is None:
        return Explanation("differs", _whole(copy.rgb), np.inf)
    upright = turned(kept.rgb, orientation)
    if upright.shape == copy.rgb.shape and np.array_equal(upright, copy.rgb):
        return Explanation("explained")
    refused = _first_look(copy.rgb, upright)
    if refused is not None:
        return refused
    shown = turned(copy.rgb, copy.stored_as)
    source = turned(upright, copy.stored_as)
    fitted = on_grid_of(shown, source)
    lies_alike = fitted is source and orientation == 0 and kept.stored_as == copy.stored_as
    explainer = Explainer(shown, fitted, copy.jpeg, kept.jpeg if lies_alike else None, copy.n_colors)
    found = _Proof(explainer)
    return found.explanation(copy.stored_as, copy.rgb.shape[1], copy.rgb.shape[0])


def _whole(rgb: NDArray[np.uint8]) -> tuple[Box, ...]:
    return ((0, 0, rgb.shape[1], rgb.shape[0]),)


def _first_look(copy: NDArray[np.uint8], kept: NDArray[np.uint8]) -> Explanation | None:
    """Refuse what differs plainly even when it is small."""
    h, w = copy.shape[:2]
    size = min(_LOOK_PX, w), min(_LOOK_PX, h)
    small = [cv2.resize(a, size, interpolation=cv2.INTER_AREA).astype(np.float32) for a in (copy, kept)]
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
    """The tiles of one pair, looked at twice: for the noise they have, and for what exceeds it."""

    def __init__(self, explainer: Explainer) -> None:
        self._explainer = explainer
        self._detail = Detail()
        self._spots: list[Spot] = []
        self._most = 0.0
        h, w = explainer.size
        if h * w <= _WHOLE_PIXELS:
            tile = with_margin(0, 0, h, w, h, w)
            residual = explainer.residual(tile)
            self._learn([residual])
            self._look(tile, residual)
            return
        self._learn([explainer.residual(tile) for tile in _samples(h, w)])
        for tile in tiles(h, w):
            self._look(tile, explainer.residual(tile))

    def _learn(self, sample: list[Residual]) -> None:
        planes = (
            [(r.luma, r.active) for r in sample],
            *([(r.chroma[i], r.chroma_active[i]) for r in sample] for i in (0, 1)),
        )
        self._models: list[tuple[NoiseCurve, Scales]] = []
        for pieces in planes:
            values = np.concatenate([p[0].ravel() for p in pieces])
            places = np.concatenate([p[1].ravel() for p in pieces])
            curve = noise_curve(values, places, _LOSSY)
            scales = [measured_scales(p, curve.at(a)) for p, a in pieces]
            self._models.append((curve, _typical(scales)))

    def _look(self, tile: Tile, residual: Residual) -> None:
        inner = tile.inner
        (curve, scales), *chroma = self._models
        ratio = excess(residual.luma, curve.at(residual.active), scales)
        for plane, active, (c, s) in zip(residual.chroma, residual.chroma_active, chroma, strict=True):
            half = excess(plane, c.at(active), s)
            if float(half.max()) > 0:
                size = ratio.shape[1], ratio.shape[0]
                ratio = np.maximum(ratio, cv2.resize(half, size, interpolation=cv2.INTER_NEAREST))
        part = np.ascontiguousarray(ratio[inner])
        self._most = max(self._most, float(part.max()))
        self._spots += spots(part, tile.left + inner[1].start, tile.top + inner[0].start)
        self._detail.add(residual.copy, residual.kept, residual.luma, inner)

    def explanation(self, stored_as: int, width: int, height: int) -> Explanation:
        """The verdict, its boxes in the copy as it is shown."""
        detail = self._detail
        wide = max(detail.unexplained / MOST_UNEXPLAINED, detail.unexplained_widely / MOST_UNEXPLAINED_WIDELY)
        soft = LEAST_FINENESS / detail.fineness
        margin = max(self._most, wide, soft)
        measures = {"spot": self._most, "wide": wide, "fineness": detail.fineness, "ua": detail.unexplained}
        if margin < 1:
            return Explanation("explained", (), margin, measures)
        boxes = tuple(
            _shown((s.x, s.y, s.width, s.height), stored_as, width, height)
            for s in merged(self._spots)[:MOST_BOXES]
        )
        state: State = "poorer-kept" if soft >= 1 else "differs"
        return Explanation(state, boxes or ((0, 0, width, height),), margin, measures)


def _samples(h: int, w: int) -> list[Tile]:
    """Windows spread over the picture, about a megapixel in all."""
    found = []
    for i in range(4):
        for j in range(4):
            y = int((h - _SAMPLE_PX) * (i + 0.5) / 4) // GRID_PX * GRID_PX
            x = int((w - _SAMPLE_PX) * (j + 0.5) / 4) // GRID_PX * GRID_PX
            found.append(Tile(y, x, y + _SAMPLE_PX, x + _SAMPLE_PX, (slice(None), slice(None))))
    return found


def _typical(scales: list[Scales]) -> Scales:
    means = {side: float(np.median([s.means[side] for s in scales])) for side in scales[0].means}
    energies = {side: float(np.median([s.energies[side] for s in scales])) for side in scales[0].energies}
    return Scales(means, energies)


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
