"""Laying one described picture over another: by outlines or keypoints, mirrored, inverted, in perspective."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.features.ground import ground_of
from cvsim.features.orientation import N_ORIENTATIONS
from cvsim.features.overlay.alignment import (
    CLEAR_SHARE,
    Overlap,
    composed,
    lay_over,
    outline_transform,
    rescaled,
)
from cvsim.features.overlay.perspective import (
    bend_px,
    fit_homography,
    mapped,
    rectified,
    rescaled_homography,
)
from cvsim.features.overlay.recoloring import RECOLORING_PX
from cvsim.features.overlay.transforms import MIN_INLIERS, Hypothesis, fit_by_pairs, fit_transform

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.features.local_descriptor import LocalDescriptor
    from cvsim.features.overlay.perspective import Homography
    from cvsim.types import Indices

MAX_DISTANCE_BITS = 64
MIN_NEGATIVE_CORRELATION = 0.7
MIN_OUTLINE_CORRELATION = 0.5
"""Of the shrunken pictures in their best orientation, from which laying outline over outline is tried."""
OUTVOTED_SHARE, NARROW_SHARE = 0.25, 0.75
"""Agreement of pixels below which the transform of most matches is doubted, and from which the one that two
of them define is believed; the latter where its followers lie on few spots. By hand, as the limits of
`fit_by_pairs`; strangers among charts reach 0.73."""
LEAST_BEND_PX = 2.0
"""Of the corners, in raster pixels, off an affine map: what bends less is no perspective, but keypoints that
lie a little beside each other. Pictures in perspective among the real-world kinds bend by 60 and more,
photographs of a screen by 3 and 11."""
BLACK = np.zeros(3, np.float32)
UNSEEN_DEVIATION = 0.5
"""Of a raster, in grey levels, below which a cut-out shows nothing on white."""


@dataclass(frozen=True, eq=False)
class Laying:
    """Two pictures laid over each other, one of them perhaps inverted or rectified before.

    Attributes
    ----------
    a, b : LocalDescriptor
        As they were laid.
    overlap : Overlap
    is_negative : bool
        `a` is inverted.
    homography : (3, 3) float64 or None
        From raster pixels of the first to those of the second, under which one of them was rectified.
    """

    a: LocalDescriptor
    b: LocalDescriptor
    overlap: Overlap
    is_negative: bool = False
    homography: Homography | None = None

    @property
    def share(self) -> float:
        """See `correlation.Agreement`."""
        return self.overlap.agreement.share


def on_one_ground(a: LocalDescriptor, b: LocalDescriptor) -> tuple[LocalDescriptor, LocalDescriptor]:
    """Both, a cut-out as an opaque one may show it: on its ground, if that has one, or bare.

    Of two cut-outs that show nothing on white, both on black.
    """
    if a.alpha is not None and b.alpha is not None:
        is_unseen = max(float(a.raster.std()), float(b.raster.std())) < UNSEEN_DEVIATION
        return (a.on(0, BLACK), b.on(0, BLACK)) if is_unseen else (a, b)
    if a.alpha is None and b.alpha is None:
        return a, b
    if a.alpha is None:
        laid, opaque = on_one_ground(b, a)
        return opaque, laid
    gray, color = ground_of(b.raster), ground_of(b.colors)
    laid = a if gray is None or color is None else a.on(float(gray[0]), color)
    shown = [laid] if a.bare is None else [laid, a.bare]
    return max(shown, key=lambda one: float((one.turned_outlines @ b.outlines.T).max())), b


def lay_outlines(a: LocalDescriptor, b: LocalDescriptor) -> Laying | None:
    """The whole pictures, or what is inside their borders, laid over each other in the best orientation.

    One of the two as its negative, where that is what the other one is like.
    """
    correlation = a.turned_outlines @ b.outlines.T
    is_negative = bool(-correlation.min() > max(float(correlation.max()), MIN_NEGATIVE_CORRELATION))
    if is_negative:
        correlation = -correlation
    best = int(correlation.argmax())
    if correlation.flat[best] <= MIN_OUTLINE_CORRELATION:
        return None
    turned, box_b = divmod(best, len(b.boxes))
    box_a, orientation = divmod(turned, N_ORIENTATIONS)
    matrix = outline_transform(a.boxes[box_a], b.boxes[box_b], orientation)
    if is_negative:
        a = replace(a, raster=255 - a.raster, colors=255 - a.colors)
    # Of what is laid by the inside of its borders their blur is no part: it outweighs pale content.
    raster_a, raster_b = (p.unbordered if box else p.raster for p, box in ((a, box_a), (b, box_b)))
    overlap = lay_over(raster_a, raster_b, matrix)
    return None if overlap is None else Laying(a, b, overlap, is_negative)


def _lay_in_perspective(
    a: LocalDescriptor, b: LocalDescriptor, p: NDArray[Any], q: NDArray[Any], proposal: Hypothesis
) -> Laying | None:
    """The pictures laid over each other after the one that shows more was rectified.

    None where no homography explains more matches than the affine map, or hardly bends.
    """
    at_p, at_q = (np.stack([side["x"], side["y"]], axis=1).astype(np.float64) for side in (p, q))
    found = fit_homography(at_p, at_q, proposal.matrix, (a.width_px, a.height_px))
    if found is None:
        return None
    matrix = rescaled_homography(found, a.raster_scale, b.raster_scale)
    if bend_px(matrix, *a.raster.shape[::-1]) < LEAST_BEND_PX:
        return None
    back = np.linalg.inv(matrix).astype(np.float64)
    if _share_inside(matrix, a.raster, b.raster) >= _share_inside(back, b.raster, a.raster):
        b = _rectified(b, a, back)
    else:
        a = _rectified(a, b, matrix)
    overlap = lay_over(a.raster, b.raster, np.eye(2, 3))
    return None if overlap is None else Laying(a, b, overlap, homography=matrix)


def _share_inside(matrix: Homography, source: NDArray[np.uint8], target: NDArray[np.uint8]) -> float:
    """Share of a grid of points of the source that lie in the target."""
    y, x = (np.linspace(0, n, 9) for n in source.shape)
    points = mapped(matrix, np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2))
    height, width = target.shape
    return float(((points >= 0) & (points <= (width, height))).all(axis=1).mean())


def _rectified(picture: LocalDescriptor, frame: LocalDescriptor, matrix: Homography) -> LocalDescriptor:
    """One picture seen in the frame of another, under its map into that frame, in raster pixels."""
    (height, width), (h, w) = frame.raster.shape, picture.raster.shape
    of_colors = (
        np.diag([RECOLORING_PX / width, RECOLORING_PX / height, 1])
        @ matrix
        @ np.diag([w / RECOLORING_PX, h / RECOLORING_PX, 1])
    )
    return replace(
        picture,
        raster=rectified(picture.raster, matrix, (width, height)),
        colors=rectified(picture.colors, of_colors, (RECOLORING_PX, RECOLORING_PX)),
    )


def lay_keypoints(a: LocalDescriptor, b: LocalDescriptor) -> tuple[int, Laying | None]:
    """How many keypoints agree on a transform, and what it lays over each other.

    Only where they agree on none are those of the mirrored picture asked.
    """
    if not len(a.keypoints) or not len(b.keypoints):
        return -1, None
    i, j = match(a.keypoints["bits"], b.keypoints["bits"])
    p, q = a.keypoints[i], b.keypoints[j]
    proposal = fit_transform(p, q)
    plain = None if proposal is None else _laid_by(proposal, a, b)
    if plain is None or plain.share < OUTVOTED_SHARE:
        proposal, plain = _outvoted(a, b, p, q) or (proposal, plain)
    if proposal is None:
        return _lay_mirrored(a, b)
    if plain is not None and plain.share < CLEAR_SHARE:
        tilted = _lay_in_perspective(a, b, p, q, proposal)
        plain = tilted if tilted is not None and tilted.share > plain.share else plain
    return proposal.n_spread if proposal.n_spread >= MIN_INLIERS else 0, plain


def _outvoted(
    a: LocalDescriptor, b: LocalDescriptor, p: NDArray[Any], q: NDArray[Any]
) -> tuple[Hypothesis, Laying] | None:
    """What two of the matches define, if the pixels bear it out."""
    exact = fit_by_pairs(p, q)
    laid = None if exact is None else _laid_by(exact, a, b)
    if exact is None or laid is None:
        return None
    least = OUTVOTED_SHARE if exact.n_spread >= MIN_INLIERS else NARROW_SHARE
    return (exact, laid) if laid.share >= least else None


def _laid_by(proposal: Hypothesis, a: LocalDescriptor, b: LocalDescriptor) -> Laying | None:
    matrix = rescaled(proposal.matrix, a.raster_scale, b.raster_scale)
    overlap = lay_over(a.raster, b.raster, matrix)
    return None if overlap is None else Laying(a, b, overlap)


def _lay_mirrored(a: LocalDescriptor, b: LocalDescriptor) -> tuple[int, Laying | None]:
    if not len(b.mirrored):
        return 0, None
    i, j = match(a.keypoints["bits"], b.mirrored["bits"])
    proposal = fit_transform(a.keypoints[i], b.mirrored[j])
    if proposal is None:
        return 0, None
    back = np.array([[-1.0, 0.0, b.raster.shape[1]], [0.0, 1.0, 0.0]])
    matrix = composed(back, rescaled(proposal.matrix, a.raster_scale, b.raster_scale))
    overlap = lay_over(a.raster, b.raster, matrix)
    return proposal.n_spread, None if overlap is None else Laying(a, b, overlap)


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
