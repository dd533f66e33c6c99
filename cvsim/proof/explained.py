"""Whether everything visible in a copy is explained by the picture that would be kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np

from cvsim.proof.detail import Detail
from cvsim.proof.grids import INVERSE, find_orientation, on_grid_of, turned
from cvsim.proof.noise import Bounds
from cvsim.proof.picture import ProofPicture, proof_picture
from cvsim.proof.residual import GRID_PX, Explainer, Residual, Tile, tiles, with_margin
from cvsim.proof.scan import MOST_BOXES, Noise, Spot, excess, measured_noise, merged, spots

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Explanation", "ProofPicture", "explain", "proof_picture"]

State = Literal["same-pixels", "explained", "differs", "poorer-kept"]
Box = tuple[int, int, int, int]

MOST_UNEXPLAINED, MOST_UNEXPLAINED_WIDELY = 0.6, 0.8
LEAST_FINENESS = 0.8
LEAST_FINE_LEFT = 0.1
FLOOR = float(__import__("os").environ.get("FLOOR", 0.6))
_LOOK_PX = 64
_LOOK_DIFFERENCE = 40.0
_WHOLE_PIXELS = 1_400_000
_SAMPLE_PX = 256
_JPEG_BOUNDS = Bounds(2.0, 0.25, 7.0)
"""What quantisation moves is taken out by its tables; what remains is of an encoding before, or of resampling."""
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
    refused = _first_look(copy.rgb, upright) if copy.n_colors is None else None
    if refused is not None:
        return refused
    shown = turned(copy.rgb, copy.stored_as)
    source = turned(upright, copy.stored_as)
    fitted = on_grid_of(shown, source)
    lies_alike = fitted is source and orientation == 0 and kept.stored_as == copy.stored_as
    explainer = Explainer(shown, fitted, copy.jpeg, kept.jpeg if lies_alike else None, copy.n_colors)
    found = _Proof(explainer, _bounds(copy))
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

    def __init__(self, explainer: Explainer, bounds: Bounds) -> None:
        self._bounds = bounds
        self._detail = Detail()
        self._spots: list[Spot] = []
        self._most = 0.0
        self._by: dict[str, float] = {}
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
        self._noises: dict[str, tuple[Noise, float]] = {}
        for same in zip(*(r.looks() for r in sample), strict=True):
            name = same[0][0]
            as_encoded = name.endswith("as encoded")
            bounds = _LOSSY_BOUNDS if as_encoded else self._bounds
            noise = measured_noise([(plane, active) for _, plane, active in same], bounds)
            self._noises[name] = noise, 1.0 if as_encoded else _floor(noise)

    def _look(self, tile: Tile, residual: Residual) -> None:
        inner = tile.inner
        ratio = np.zeros_like(residual.luma)
        for name, plane, active in residual.looks():
            noise, floor = self._noises[name]
            found = excess(plane, active, noise, floor)
            if found is None:
                continue
            self._by[name] = max(self._by.get(name, 0.0), float(found.max()))
            if found.shape != ratio.shape:
                size = ratio.shape[1], ratio.shape[0]
                found = np.asarray(cv2.resize(found, size, interpolation=cv2.INTER_NEAREST), np.float32)
            np.maximum(ratio, found, out=ratio)
        part = np.ascontiguousarray(ratio[inner])
        self._most = max(self._most, float(part.max()))
        self._spots += spots(part, tile.left + inner[1].start, tile.top + inner[0].start)
        self._detail.add(residual.copy, residual.kept, residual.luma, inner)

    def explanation(self, stored_as: int, width: int, height: int) -> Explanation:
        """The verdict, its boxes in the copy as it is shown."""
        detail = self._detail
        wide = max(detail.unexplained / MOST_UNEXPLAINED, detail.unexplained_widely / MOST_UNEXPLAINED_WIDELY)
        soft = LEAST_FINENESS / detail.fineness if detail.fine_unexplained >= LEAST_FINE_LEFT else 0.0
        margin = max(self._most, wide, soft)
        measures = {
            "spot": self._most,
            "wide": wide,
            "fineness": detail.fineness,
            "ua": detail.unexplained,
            "fl": detail.fine_unexplained,
            **self._by,
            "t0": self._noises["luma"][0].pixels.deviations.max(),
        }
        if margin < 1:
            return Explanation("explained", (), margin, measures)
        boxes = tuple(
            _shown((s.x, s.y, s.width, s.height), stored_as, width, height)
            for s in merged(self._spots)[:MOST_BOXES]
        )
        state: State = "poorer-kept" if soft >= 1 else "differs"
        return Explanation(state, boxes or ((0, 0, width, height),), margin, measures)


def _floor(noise: Noise) -> float:
    """What counts as visible, lower where the pair is all but free of noise."""
    return min(1.0, FLOOR + 0.2 * noise.typical)


def _bounds(copy: ProofPicture) -> Bounds:
    """How much noise the format of the copy can have left."""
    if copy.jpeg is not None and copy.jpeg.is_simulable:
        return _JPEG_BOUNDS
    if copy.format in _LOSSY_FORMATS or copy.format == "jpeg" or copy.n_colors is not None:
        return _LOSSY_BOUNDS
    return _LOSSLESS_BOUNDS


def _samples(h: int, w: int) -> list[Tile]:
    """Windows spread over the picture, about a megapixel in all."""
    found = []
    for i in range(4):
        for j in range(4):
            y = int((h - _SAMPLE_PX) * (i + 0.5) / 4) // GRID_PX * GRID_PX
            x = int((w - _SAMPLE_PX) * (j + 0.5) / 4) // GRID_PX * GRID_PX
            found.append(Tile(y, x, y + _SAMPLE_PX, x + _SAMPLE_PX, (slice(None), slice(None))))
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
