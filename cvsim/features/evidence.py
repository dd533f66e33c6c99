"""What is known of a pair once one picture lies over the other, and what it says as similarities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.arrays import ramp
from cvsim.features.overlay.alignment import inverted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.types import Similarities

EVIDENCE = np.dtype(
    [
        ("n_inliers", "<i2"),  # -1: keypoints were not asked, or one side has too few
        ("n_asked", "<i2"),  # keypoints that a picture may have
        ("share", "<f4"),  # NaN: nothing was laid over
        ("correlation", "<f4"),
        ("shift_px", "<f4"),  # see correlation.Agreement
        ("coverage_a", "<f4"),
        ("coverage_b", "<f4"),
        ("content_a", "<f4"),  # coverage of what is inside the borders
        ("content_b", "<f4"),
        ("matrix", "<f4", (2, 3)),  # unit square of a to unit square of b
        ("aspect_a", "<f4"),  # width / height
        ("aspect_b", "<f4"),
        ("seam", "<f4"),  # of the contained picture's outline inside the other; 0 if neither is contained
        ("tone_shift", "<f4"),  # see appearance.Appearance
        ("outliers", "<f4"),
        ("grain_a", "<f4"),  # see LocalDescriptor
        ("grain_b", "<f4"),
        ("drawn", "<f4"),  # of the side that is less so; see LocalDescriptor
        ("detail", "<f4"),  # log-ratio of the rasters' detail, b to a: blurred below 0, sharpened above
        ("surround", "<f4"),  # deviation of what surrounds the contained picture, in grey levels
        ("recolored", "<f4"),  # see recoloring.recolored_share; NaN: there is no colour
        ("inner_share", "<f4"),  # see structure.Structure, as the next seven
        ("inner_shift_px", "<f4"),
        ("n_kept", "<f4"),
        ("broken", "<f4"),
        ("unlike", "<f4"),
        ("exchanged", "<f4"),
        ("spread", "<f4"),
        ("contradicted", "<f4"),
        ("rewritten", "<f4"),  # see writing.rewritten
        ("unruled", "<f4"),  # see color_function.unruled_share
        ("negative", "u1"),  # one side is the other's negative
        ("perspective", "u1"),  # one side was rectified under a homography
    ]
)
"""All that is known of a pair, 142 bytes: what a store keeps of a verified pair."""
EVIDENCE_VERSION = 37
"""Raised whenever two descriptors would give other evidence."""
UNREGISTERED_PX = 0.5
"""Median displacement, in raster pixels, at which nothing is left of the registration."""
REGISTERED = (0.1, 0.25)
"""Agreement up to which the registration says nothing, and from which it counts in full: a caption that two
strangers share is registered exactly."""
USUAL_KEYPOINTS = 300
"""Of a picture; where more are taken, as many more of them agree, of the same pictures as of others."""
MANY_KEYPOINTS, BORNE_OUT = (16, 24), (0.45, 0.65)
"""From how many keypoints on the aligned pixels must agree, and by how much."""
NONE_SHARED = 0.2
"""Similarity of keypoints that agree on nothing. Below are those whose agreement the pixels do not bear out:
a second photograph of the same place."""
LEAST_TRUST, FULLY_SHOWN = 0.4, 0.9
"""An overlap that is a small part of both pictures counts less: two strangers may share a caption."""
SIGNALS = (
    *("keypoints", "pixels", "registration", "coloring"),
    *("structure", "consistency", "writing", "content", "spread", "coverage"),
)
AMOUNTS = ("content", "spread", "coverage")
NEARLY_ALL = 0.98
"""Coverage of both sides from which neither has anything around the other."""
HALF_RECOLORED = 0.1
"""Share of tiles of a colour of their own at which `coloring` is a half."""
HALF_CONTENT, FULL_CONTENT = 8.0, 40.0
"""Tiles of full contrast in the middle with the same edges on both sides: so many bend the curve of
`content`, and so many are all that anybody could ask for."""
ONE_DETAIL, ONE_TONE, ONE_PLACE = (0.03, 0.12), (9.0, 16.0), (0.1, 0.2)
"""Difference of detail (as a logarithm), tone curve (in grey levels) and place (in raster pixels) up to which
none of them, and from which each, explains that tiles differ: blurring, highlights that are cut off, a
transform that is not quite met. Chosen by hand on altered copies of nine sorts of pictures and on drawn
forms, codes and tickets (parts a and b of benchmarks/drawn_sorts.py); tried on part c."""
CELLS, CELLS_WORTH, ALL_EDGES = (0.11, 0.2), 0.38, (0.76, 0.86)
"""Share of the tiles whose colour follows no rule up to which none of them, and from which all of them, are
cells of another content, whatever else was done; what they then count beside tiles that differ; and the
spread of equal edges from which they come to be another scheme of colours, which keeps all edges, while there
is none between two cells that happen to be alike. By hand on drawn heat maps and crosswords (a share of 0.16
to 0.4 and a spread of 0.48 to 0.86 in nine of ten pairs), screens in schemes of colours (0.12 to 0.26, 0.80
to 0.96) and photographs in other tones and hues (beyond 0.12 one pair in ten, of these half above 0.9); tried
on altered copies of eight sorts of pictures, which are found as before."""
EXCHANGED = (0.01, 0.03)
"""Share of the edges of two drawings that each has where the other has none, up to which all of them, and
from which none, may be what was done to a copy: two positions of a game have pieces of their own. Worth as
much as cells. Only of what lies exactly over each other: other hues give other edges, which seem shifted. By
hand on drawn chess boards, sudokus, heat maps and bingo cards (0.01 to 0.15 in nine of ten pairs) and on
stickers, black bars and large words over fourteen sorts of drawings (up to 0.008 in nine of ten); tried on
part g of benchmarks/drawn_sorts.py, drawn afterwards, and on the altered copies of 22 sorts."""
NEARLY_ONE = (0.2, 0.3)
"""Share of the contrast that does not agree up to which none of the letters, and from which all of them, may
be other ones: small print that is drawn at another size is not the same at 192 pixels, but all around it is.
Chosen by hand with the limits of `writing`, on its data."""
DRAWN, DRAWN_ALIKE = 0.65, 0.7
"""Share of a picture without any grain from which it was drawn, and agreement of pixels from which two such
pictures are the same but for what was done to them. By hand on drawn bar codes, comics, confusion matrices,
crosswords, heat maps, spreadsheets and sudokus (a share of 0.8 to 0.99; strangers agree by 0.01 to 0.66,
copies by 0.7 and more but for large captions), and on photographs, framed ones among them (up to 0.64);
tried on the ten sorts of the domain sets, whose copies are found as before, and on parts e and f of
benchmarks/drawn_sorts.py."""
MIN_SHARE_TO_LOOK = 0.05
"""Agreement below which the structure is not looked at: nothing is the same."""
MIN_SHARE_TO_EXPLAIN = 0.1
"""Agreement below which nobody asks what happened between the two."""


def similarities(evidence: NDArray[Any]) -> dict[str, Similarities]:
    """Similarities of the ten signals from `EVIDENCE` rows of any shape, NaN for none."""
    is_laid = ~np.isnan(evidence["share"])
    share = np.where(is_laid, evidence["inner_share"], 0.0)
    is_alike = (share >= MIN_SHARE_TO_EXPLAIN) & (np.nan_to_num(evidence["share"]) >= MIN_SHARE_TO_EXPLAIN)
    shown = np.maximum(evidence["coverage_a"], evidence["coverage_b"])
    trust = np.minimum(1.0, LEAST_TRUST + (1 - LEAST_TRUST) * shown / FULLY_SHOWN)
    pixels = np.where(is_laid, share * trust, np.nan)
    registration = 1 - np.minimum(evidence["inner_shift_px"] / UNREGISTERED_PX, 1.0)
    registration = np.where(is_alike, registration * trust * _ramp(share, *REGISTERED), np.nan)
    coloring = np.where(is_alike, HALF_RECOLORED / (HALF_RECOLORED + evidence["recolored"]), np.nan)
    structure = 1.0 - np.minimum(evidence["broken"], evidence["unlike"])
    unexplained = evidence["contradicted"] * (1 - _ramp(np.abs(evidence["detail"]), *ONE_DETAIL))
    unexplained = unexplained * (1 - _ramp(evidence["tone_shift"], *ONE_TONE))
    in_place = 1 - _ramp(evidence["inner_shift_px"], *ONE_PLACE)
    unexplained = unexplained * in_place
    cells = _ramp(evidence["unruled"], *CELLS) * (1 - _ramp(evidence["spread"], *ALL_EDGES))
    pieces = _ramp(evidence["exchanged"], *EXCHANGED) * (evidence["drawn"] >= DRAWN) * in_place
    unexplained = np.maximum(unexplained, CELLS_WORTH * np.maximum(cells, pieces))
    rewritten = evidence["rewritten"] * _ramp(1 - share, *NEARLY_ONE)
    n_kept = evidence["n_kept"]
    content = np.minimum(1.0, (1 + HALF_CONTENT / FULL_CONTENT) * n_kept / (n_kept + HALF_CONTENT))
    covered = np.minimum(evidence["coverage_a"], evidence["coverage_b"])
    n = evidence["n_inliers"] * (USUAL_KEYPOINTS / np.maximum(evidence["n_asked"], 1).astype(np.float32))
    # Many keypoints on a transform under which the pixels differ: a background or a caption in common.
    doubt = np.where(is_laid, 1 - _ramp(share * trust, *BORNE_OUT), 0.0)
    borne_out = 1 - _ramp(n, *MANY_KEYPOINTS) * doubt
    keypoints = (NONE_SHARED + (1 - NONE_SHARED) * n / (np.maximum(n, 0) + 8)) * borne_out
    keypoints = np.where(n < 0, np.nan, keypoints)
    found = {
        "keypoints": keypoints,
        "pixels": pixels,
        "registration": registration,
        "coloring": coloring,
        "structure": np.where(is_laid, structure, np.nan),
        "consistency": np.where(is_alike, 1 - unexplained, np.nan),
        "writing": np.where(is_alike, 1 - rewritten, np.nan),
        "content": np.where(is_laid, content, np.nan),
        "spread": np.where(is_laid, evidence["spread"], np.nan),
        "coverage": np.where(is_laid, covered, np.nan),
    }
    return {signal: np.asarray(values, np.float32) for signal, values in found.items()}


def without_drawn(texture: Similarities, pixels: Similarities, drawn: NDArray[Any]) -> Similarities:
    """The texture of pairs, of which drawings have none, however many lines they have.

    Lines shrink to greys in which nothing is even, and so dense ones, as of a form, a table or a code, look
    like the texture of a photograph. Where much of two such pictures does not agree, what does may all be
    their template.

    Parameters
    ----------
    texture, pixels : (n,) float32
    drawn : (n,) float
        As in `EVIDENCE`.
    """
    is_cheap = (drawn >= DRAWN) & (np.nan_to_num(pixels) < DRAWN_ALIKE)
    return np.asarray(np.where(is_cheap, np.fmin(texture, 1 - drawn), texture), np.float32)


def _ramp(values: Any, low: float, high: float) -> NDArray[np.float64]:
    """`ramp` of what is kept in single precision, in double."""
    return ramp(np.asarray(values, np.float64), low, high)


def no_evidence() -> NDArray[Any]:
    """The `EVIDENCE` of a pair of which nothing is known."""
    row = np.zeros((), EVIDENCE)
    row["n_inliers"], row["n_asked"], row["share"] = -1, USUAL_KEYPOINTS, np.nan
    return row


def reversed_evidence(row: NDArray[Any]) -> NDArray[Any]:
    """The `EVIDENCE` of the pair (b, a) from that of (a, b)."""
    back = row.copy()
    back["coverage_a"], back["coverage_b"] = row["coverage_b"], row["coverage_a"]
    back["content_a"], back["content_b"] = row["content_b"], row["content_a"]
    back["aspect_a"], back["aspect_b"] = row["aspect_b"], row["aspect_a"]
    back["detail"] = -row["detail"]
    back["grain_a"], back["grain_b"] = row["grain_b"], row["grain_a"]
    if not np.isnan(row["share"]):
        back["matrix"] = inverted(row["matrix"].astype(np.float64))
    return back
