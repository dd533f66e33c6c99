"""Local: keypoints, the one transform that they agree on, and the pixels that it lays over each other.

What whole-picture signals cannot see (a crop, a turn by any angle, a picture pasted into another) is
found by ORB keypoints: E. Rublee et al., "ORB: an efficient alternative to SIFT or SURF" (ICCV 2011).
Keypoints alone cannot tell a crop from a second photograph of the same castle: both agree on a
transform. The aligned pixels can: in a copy they agree tile by tile.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cvsim.features.base import SCALE_FACTOR, Keypoints, OverlayFeature, Search
from cvsim.features.evidence import (
    EVIDENCE,
    MIN_SHARE_TO_EXPLAIN,
    NEARLY_ALL,
    no_evidence,
    reversed_evidence,
    similarities,
)
from cvsim.features.orientation import N_ORIENTATIONS, turn
from cvsim.features.overlay.alignment import (
    OVERLAP_BLUR_PX,
    Colored,
    Overlap,
    coverage,
    inverted,
    lay_over,
    mapped_corners,
    outline_transform,
    rescaled,
    seam,
    surround,
)
from cvsim.features.overlay.appearance import grain
from cvsim.features.overlay.borders import Extent, content_box
from cvsim.features.overlay.recoloring import RECOLORING_PX
from cvsim.features.overlay.transforms import fit_transform
from cvsim.features.picture import Picture
from cvsim.features.resampling import shrunk
from cvsim.types import Comparison

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.features.overlay.transforms import Matrix
    from cvsim.types import RGB, Indices, Similarities

KEYPOINT_PX = 400
KEYPOINT_RASTER_PX = 192
KEYPOINT_GRID = 8
"""Cells a side of the grid that keypoints are spread over: a caption or a sticker covers some only."""
LEVEL_GROUPS = ((0, 3), (3, 8))
"""Pyramid levels that get equal shares of the keypoints: a crop, enlarged, shows the fine levels of its
original at its own coarse ones."""
N_DETECTED = 1600
FAST_THRESHOLD = 9
KEYPOINT_EDGE_PX = 19
N_PYRAMID_LEVELS = 8
MIN_KEYPOINTS = 12
MAX_DISTANCE_BITS = 64
OUTLINE_SIDE_PX = 16
MIN_OUTLINE_CORRELATION = 0.5
"""Of the shrunken pictures in their best orientation, from which laying outline over outline is tried."""
SUFFICIENT_SHARE = 0.5
"""Agreement of outlines from which keypoints are not asked: the whole pictures explain each other."""

KEYPOINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("angle", "u1"), ("level", "u1"), ("bits", "u1", (32,))])
"""Position in pixels of the working picture, angle in 1/256 of a turn, pyramid level, ORB descriptor."""


@dataclass(frozen=True, eq=False)
class LocalDescriptor:
    """Keypoints and the grey raster of one picture.

    Attributes
    ----------
    width_px, height_px : int
        Of the working picture, in which keypoint positions are given.
    keypoints : (n,) array of `KEYPOINT`
        The strongest of each grid cell in turn; none where the picture has too few.
    raster : (h, w) uint8
        The grey picture, its longer side 192 px, lightly blurred.
    colors : (32, 32, 3) uint8
        The whole picture as a small square, RGB.
    grain : float
        Noise and finest detail of the working picture, in grey levels, in steps of 0.01.
    """

    width_px: int
    height_px: int
    keypoints: NDArray[Any]
    raster: NDArray[np.uint8]
    colors: NDArray[np.uint8]
    grain: float

    @functools.cached_property
    def boxes(self) -> tuple[Extent, ...]:
        """What may be laid over another outline, in raster pixels: the whole, the part inside its borders."""
        whole = (0, 0, self.raster.shape[1], self.raster.shape[0])
        inner = content_box(self.raster)
        return (whole,) if inner is None else (whole, inner)

    @functools.cached_property
    def outlines(self) -> NDArray[np.float32]:
        """Each box as a small square of mean 0 and norm 1, (n_boxes, 256)."""
        return np.stack([_outline_square(self.raster, box).ravel() for box in self.boxes])

    @functools.cached_property
    def turned_outlines(self) -> NDArray[np.float32]:
        """`outlines` in the eight orientations, (n_boxes * 8, 256)."""
        side = (OUTLINE_SIDE_PX, OUTLINE_SIDE_PX)
        squares = [turn(o.reshape(side), k).ravel() for o in self.outlines for k in range(N_ORIENTATIONS)]
        return np.stack(squares)

    @functools.cached_property
    def colored(self) -> Colored:
        """The colours, to be looked up in raster pixels."""
        height, width = self.raster.shape
        return Colored(self.colors, (width, height), self.boxes[-1])

    @functools.cached_property
    def detail(self) -> float:
        """Mean step of the raster's second differences, relative to its deviation."""
        steps = np.abs(cv2.Laplacian(self.raster, cv2.CV_16S)).mean()
        return float((steps + 0.1) / (self.raster.std() + 1.0))

    @property
    def raster_scale(self) -> float:
        return float(max(self.raster.shape) / max(self.width_px, self.height_px))


class Local(OverlayFeature[LocalDescriptor]):
    """ORB keypoints and aligned pixels: one transform, four comparisons.

    ``keypoints``: 0.2 + 0.8 n / (n + 8) for n spread, one-to-one matches that agree on one plausible
    transform; 0.2 where they agree on none, towards 0 where many agree on one that the pixels do not bear
    out; None where a picture has too few, or where the outlines already explain the pair.

    ``pixels``: the share of the overlap whose tiles agree (`correlation.tile_agreement`), less where the
    overlap is a small part of both pictures; None without a transform or where the overlap is flat.

    ``registration``: how exactly what is alike in the overlap lies in one place: 1 - d / 0.5 for a median
    displacement of d raster pixels. What is painted over a copy leaves the rest exactly where it was; a
    second photograph of the same thing does not. Trusted like ``pixels``, and where little is alike, less.

    ``coloring``: 1 where one rule explains the colours of all that is alike in the overlap, less by the share
    of tiles that have the other's structure but a colour of their own (`recoloring.recolored_share`), 0 from
    a share of 0.1: one product in two colours is not one picture. None where nothing is alike.

    Parameters
    ----------
    name : str
    n_keypoints : int
    """

    version = 5
    search: Search = "words"

    def __init__(self, name: str = "local", n_keypoints: int = 300) -> None:
        self.name = name
        self.n_keypoints = n_keypoints
        self._scratch = threading.local()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self.n_keypoints), {"working_px": self.working_px}

    @property
    def signals(self) -> tuple[str, ...]:
        return ("keypoints", "pixels", "registration", "coloring")

    @property
    def params(self) -> Mapping[str, Any]:
        return {
            "n_keypoints": self.n_keypoints,
            "working_px": KEYPOINT_PX,
            "raster_px": KEYPOINT_RASTER_PX,
            "detector": [
                N_DETECTED,
                FAST_THRESHOLD,
                KEYPOINT_EDGE_PX,
                N_PYRAMID_LEVELS,
                SCALE_FACTOR,
                KEYPOINT_GRID,
                *LEVEL_GROUPS,
            ],
        }

    def extract(self, rgb: RGB) -> LocalDescriptor | None:
        return self.extract_from(Picture(rgb))

    def extract_from(self, picture: Picture) -> LocalDescriptor | None:
        whole = picture.gray
        raster = cv2.GaussianBlur(shrunk(whole, KEYPOINT_RASTER_PX), (0, 0), OVERLAP_BLUR_PX)
        gray = shrunk(whole, KEYPOINT_PX)
        height, width = gray.shape
        found: Sequence[Any] = ()
        bits = None
        if min(gray.shape) > 2 * KEYPOINT_EDGE_PX:  # in a smaller picture no keypoint has room
            detector = self._detector()
            found = spread(detector.detect(gray, None), width, height, self.n_keypoints)
            found, bits = detector.compute(gray, found)
        if bits is None or len(found) < MIN_KEYPOINTS:
            found, bits = (), np.zeros((0, 32), np.uint8)
        keypoints = np.zeros(len(found), KEYPOINT)
        keypoints["x"] = [k.pt[0] for k in found]
        keypoints["y"] = [k.pt[1] for k in found]
        keypoints["angle"] = np.round(np.array([k.angle for k in found]) * (256 / 360)).astype(np.int64) % 256
        keypoints["level"] = [k.octave for k in found]
        keypoints["bits"] = bits
        noise = round(grain(whole), 2)
        colors = picture.color_square(RECOLORING_PX)
        return LocalDescriptor(width, height, keypoints, raster, colors, noise)

    def _detector(self) -> Any:
        # cv2 detectors keep scratch state: one for each thread.
        if not hasattr(self._scratch, "orb"):
            self._scratch.orb = cv2.ORB.create(
                nfeatures=N_DETECTED,
                scaleFactor=SCALE_FACTOR,
                nlevels=N_PYRAMID_LEVELS,
                edgeThreshold=KEYPOINT_EDGE_PX,
                fastThreshold=FAST_THRESHOLD,
            )
        return self._scratch.orb

    def evidence(self, a: LocalDescriptor, b: LocalDescriptor) -> NDArray[Any]:
        """All that is known of the pair, a 0-d array of `EVIDENCE`.

        Rounding and refinement are not the same both ways, so one way is chosen by the pictures themselves:
        a link must not depend on how two files are named.
        """
        if a.raster.tobytes() > b.raster.tobytes():
            return reversed_evidence(self._evidence_of(b, a))
        return self._evidence_of(a, b)

    def _evidence_of(self, a: LocalDescriptor, b: LocalDescriptor) -> NDArray[Any]:
        n_inliers = -1
        best = _lay_outlines(a, b)
        if best is None or best.agreement.share < SUFFICIENT_SHARE:
            n_inliers, aligned = self._lay_keypoints(a, b)
            if aligned is not None and (best is None or aligned.agreement.share > best.agreement.share):
                best = aligned
        return _evidence(a, b, best, n_inliers)

    def matches(self, a: LocalDescriptor, b: LocalDescriptor) -> tuple[Indices, Indices, Matrix] | None:
        """Matched keypoints that agree, and their transform in working pixels: what a picture shows."""
        i, j = match(a.keypoints["bits"], b.keypoints["bits"])
        proposal = fit_transform(a.keypoints[i], b.keypoints[j])
        return None if proposal is None else (i[proposal.inliers], j[proposal.inliers], proposal.matrix)

    def _lay_keypoints(self, a: LocalDescriptor, b: LocalDescriptor) -> tuple[int, Overlap | None]:
        if not len(a.keypoints) or not len(b.keypoints):
            return -1, None
        i, j = match(a.keypoints["bits"], b.keypoints["bits"])
        proposal = fit_transform(a.keypoints[i], b.keypoints[j])
        if proposal is None:
            return 0, None
        matrix = rescaled(proposal.matrix, a.raster_scale, b.raster_scale)
        return proposal.n_spread, lay_over(a.raster, b.raster, matrix)

    def compare(self, a: LocalDescriptor | None, b: LocalDescriptor | None) -> tuple[Comparison, ...]:
        if a is None or b is None:
            return tuple(Comparison(signal, None) for signal in self.signals)
        evidence = self.evidence(a, b)
        found = {name: None if np.isnan(s) else float(s) for name, s in similarities(evidence).items()}
        detail: dict[str, dict[str, Any]] = {signal: {} for signal in self.signals}
        if found["keypoints"] is not None:
            detail["keypoints"]["n_inliers"] = int(evidence["n_inliers"])
        if found["pixels"] is not None:
            detail["pixels"]["correlation"] = round(float(evidence["correlation"]), 4)
        if found["registration"] is not None:
            detail["registration"]["shift_px"] = round(float(evidence["shift_px"]), 3)
        if found["coloring"] is not None:
            detail["coloring"]["recolored"] = round(float(evidence["recolored"]), 4)
        return tuple(Comparison(signal, found[signal], detail=detail[signal]) for signal in self.signals)

    def pack(self, descriptors: Sequence[LocalDescriptor | None]) -> Sequence[LocalDescriptor | None]:
        return descriptors

    def compare_many(self, packed: Any, a: Indices, b: Indices) -> dict[str, Similarities]:
        rows = np.array(
            [self.evidence_or_none(packed[i], packed[j]) for i, j in zip(a, b, strict=True)], EVIDENCE
        )
        return similarities(rows)

    def evidence_or_none(self, a: LocalDescriptor | None, b: LocalDescriptor | None) -> NDArray[Any]:
        return no_evidence() if a is None or b is None else self.evidence(a, b)

    def word_keys(self, packed: Any, rows: Indices) -> Keypoints | None:
        # Into arrays for as many as there can be, of which only what is filled takes memory: each descriptor
        # is freed before the next one is fetched.
        n_most = len(rows) * self.n_keypoints
        owner, bits = np.empty(n_most, np.int64), np.empty((n_most, 4), np.uint64)
        angle, level = np.empty(n_most, np.uint8), np.empty(n_most, np.uint8)
        position = np.empty(n_most, np.complex64)
        n = 0
        for row in rows.tolist():
            descriptor = packed[row]
            if descriptor is None:
                continue
            points = descriptor.keypoints
            part = slice(n, n + len(points))
            owner[part] = row
            bits[part] = np.ascontiguousarray(points["bits"]).view(np.uint64)
            angle[part], level[part] = points["angle"], points["level"]
            centre = complex(descriptor.width_px, descriptor.height_px) / 2
            position[part] = points["x"] + 1j * points["y"] - centre
            n = part.stop
        return Keypoints(owner[:n], bits[:n], angle[:n], level[:n], position[:n]) if n else None

    def to_bytes(self, descriptor: LocalDescriptor) -> bytes:
        h, w = descriptor.raster.shape
        n = len(descriptor.keypoints)
        grain_steps = min(round(descriptor.grain * 100), 65535)
        head = np.array([descriptor.width_px, descriptor.height_px, n, w, h, grain_steps], "<u2")
        arrays = (head, descriptor.keypoints, descriptor.raster, descriptor.colors)
        return b"".join(array.tobytes() for array in arrays)

    def from_bytes(self, data: bytes) -> LocalDescriptor:
        width, height, n, w, h, grain_steps = np.frombuffer(data, "<u2", 6).tolist()
        keypoints = np.frombuffer(data, KEYPOINT, n, offset=12)
        pixels = np.frombuffer(data, np.uint8, offset=12 + n * KEYPOINT.itemsize)
        raster, colors = (
            pixels[: w * h].reshape(h, w),
            pixels[w * h :].reshape(RECOLORING_PX, RECOLORING_PX, 3),
        )
        return LocalDescriptor(width, height, keypoints, raster, colors, grain_steps / 100)


def _evidence(a: LocalDescriptor, b: LocalDescriptor, best: Overlap | None, n_inliers: int) -> NDArray[Any]:
    row = no_evidence()
    row["n_inliers"] = n_inliers
    (ha, wa), (hb, wb) = a.raster.shape, b.raster.shape
    row["aspect_a"], row["aspect_b"] = wa / ha, wb / hb
    row["grain_a"], row["grain_b"] = a.grain, b.grain
    row["detail"] = np.log(b.detail / a.detail)
    if best is None:
        return row
    row["share"], row["correlation"] = best.agreement.share, best.agreement.correlation
    row["shift_px"] = best.agreement.shift_px
    row["matrix"] = best.matrix * np.array([[wa / wb, ha / wb, 1 / wb], [wa / hb, ha / hb, 1 / hb]])
    if best.agreement.share < MIN_SHARE_TO_EXPLAIN:
        return row
    row["coverage_a"], row["coverage_b"] = coverage(a.boxes[0], b.boxes[0], best.matrix)
    row["content_a"], row["content_b"] = coverage(a.boxes[-1], b.boxes[-1], best.matrix)
    if min(row["coverage_a"], row["coverage_b"]) < NEARLY_ALL:
        if row["coverage_a"] > row["coverage_b"]:
            container, outline = b.raster, mapped_corners(wa, ha, best.matrix)
        else:
            container, outline = a.raster, mapped_corners(wb, hb, inverted(best.matrix))
        row["seam"], row["surround"] = seam(container, outline), surround(container, outline)
    appearance = best.appearance()
    row["tone_shift"], row["outliers"] = appearance.tone_shift, appearance.outliers
    row["recolored"] = best.recolored(a.colored, b.colored)
    return row


def _outline_square(raster: NDArray[np.uint8], box: Extent) -> NDArray[np.float32]:
    """The box as a small square of mean 0 and norm 1."""
    x0, y0, x1, y1 = box
    side = (OUTLINE_SIDE_PX, OUTLINE_SIDE_PX)
    square = cv2.resize(raster[y0:y1, x0:x1], side, interpolation=cv2.INTER_AREA).astype(np.float32)
    square -= square.mean()
    found: NDArray[np.float32] = square / max(float(np.linalg.norm(square)), 1.0)
    return found


def _lay_outlines(a: LocalDescriptor, b: LocalDescriptor) -> Overlap | None:
    """The whole pictures, or what is inside their borders, laid over each other in the best orientation."""
    correlation = a.turned_outlines @ b.outlines.T
    best = int(correlation.argmax())
    if correlation.flat[best] <= MIN_OUTLINE_CORRELATION:
        return None
    turned, box_b = divmod(best, len(b.boxes))
    box_a, orientation = divmod(turned, N_ORIENTATIONS)
    matrix = outline_transform(a.boxes[box_a], b.boxes[box_b], orientation)
    return lay_over(a.raster, b.raster, matrix)


def spread(keypoints: Sequence[Any], width: int, height: int, n: int) -> list[Any]:
    """The strongest keypoint of each grid cell, then the second of each, and so on, until there are `n`.

    Each group of levels gets its share of `n`.
    """
    if len(keypoints) <= n:
        return list(keypoints)
    x, y = np.asarray(cv2.KeyPoint.convert(keypoints), np.float64).T
    # Of one or two bytes, for such numbers are sorted by their digits, five times as fast.
    cell = (y * KEYPOINT_GRID // height).astype(np.uint8) * KEYPOINT_GRID + (
        x * KEYPOINT_GRID // width
    ).astype(np.uint8)
    level = np.array([k.octave for k in keypoints], np.uint8)
    strongest = np.argsort(-np.array([k.response for k in keypoints]), kind="stable")
    level = level[strongest]
    chosen: list[int] = []
    for low, high in LEVEL_GROUPS:
        rows = strongest[(level >= low) & (level < high)]
        rank = _rank_within(cell[rows], KEYPOINT_GRID**2)
        chosen += rows[np.argsort(rank, kind="stable")[: n // len(LEVEL_GROUPS)]].tolist()
    return [keypoints[i] for i in chosen]


def _rank_within(groups: NDArray[np.uint8], n_groups: int) -> NDArray[np.uint16]:
    """Of each row, how many before it are of its group; for fewer than 65,536 rows."""
    order = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups, minlength=n_groups)
    rank = np.empty(len(groups), np.uint16)
    rank[order] = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return rank


def match(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> tuple[Indices, Indices]:
    """Mutual nearest neighbours within `MAX_DISTANCE_BITS`: positions in `a` and in `b`."""
    x, y = (np.ascontiguousarray(np.ascontiguousarray(side).view(np.uint64).T) for side in (a, b))
    distance = np.zeros((len(a), len(b)), np.uint8)
    for word in range(4):
        distance += np.bitwise_count(x[word, :, None] ^ y[word])
    nearest = distance.argmin(axis=1)
    i = np.flatnonzero(distance[np.arange(len(a)), nearest] <= MAX_DISTANCE_BITS)
    j = nearest[i]
    mutual = distance[:, j].argmin(axis=0) == i
    return i[mutual], j[mutual]
