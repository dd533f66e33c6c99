"""What happened between two pictures that are the same, in words, and which side is a part.

An edge is called by the change that loses or adds most: a part of the other (cropped, or pasted if the other
shows something foreign around it), painted over, recoloured, turned, mirrored, resized, encoded again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from cvsim.scoring.model import FusionModel
    from cvsim.types import Proof, Relation, Side, Similarities

# All bounds below were chosen by hand while looking at labelled copies; none is the outcome of a search. How
# often the relation is the one that the kind of a copy asks for is measured by `benchmarks/accuracy.py` (see
# "Relations" in benchmarks/README.md). They decide what a pair is called and which side is a part, no score.
MIN_CONTAINED = 0.94
"""Share of a part that lies inside its container."""
MAX_SHOWN = 0.965
"""Share of the container that its part shows; above, the two show the same."""
MIN_SEAM = 1.15
"""See `cvsim.features.overlay.alignment.seam`. Of crops of 14 sets of drawings and photographs 12 of 245 come
to more, and all of 19 collages of real kinds, as do 1 of 272 crops and 139 of 139 pictures in another one of
part b; these chose it. Tried on crops of 19 other sorts (11 of 368), and on collages of distractors (247 of
259) and of photographs (187 of 195)."""
MIN_TURN_DEG = 1.2
"""A smaller turn is the inexactness of the alignment."""
SAME_COVERAGE = 0.06
"""Difference of the two coverages up to which neither side is the smaller part."""
MAX_BORDER_DEVIATION = 6.0
"""Grey levels; what surrounds a picture with less is a painted border, not another picture."""
MAX_OUTLIERS = 0.008
"""Share of spots off the tone curve that encoding alone leaves."""
MIN_TONE_SHIFT = 5.0
"""Grey levels by which the tone curve changes a pixel, on average."""
MIN_COLOR, MIN_ALIGNED_COLOR = 0.95, 0.88
"""Similarity of the colour histograms below which the colours were changed. It is lower where aligned pixels
say more about that: noise and strong compression change the histogram, too."""
MAX_RECOLORED = 0.01
"""See `cvsim.features.overlay.recoloring.recolored_share`."""
MANY_RECOLORED, HARDLY_BROKEN = 0.03, 0.1
"""Share of recoloured tiles from which, of broken ones up to which, tones that are off are colours: of the
filtered pictures of `make_real.py` three in four, and of the captioned ones none."""
OTHER_COLORS, NOT_BROKEN = 0.8, 0.01
"""See `MIN_COLOR`: below, with no more than this share of broken tiles, the colours are others. Of the
captioned pictures of the copy sets none has so few."""
MAX_DETAIL = 0.14
"""Log-ratio of the rasters' detail; beyond, one side is blurred or sharpened."""
MIN_NOISE, MIN_NOISE_RATIO = 3.3, 1.25
"""Grain in grey levels, and to the other side's, from which the larger file is noisy."""
MAX_ASPECT_RATIO = 1.02
"""Ratio of the sides' ratios that rounding to whole pixels explains."""
MIN_TILE_SIMILARITY = 0.9
"""Similarity of whole pictures from which, without a closer look, one is a full copy of the other."""
MIN_SEEN_TILES, OTHER_COLOR = 0.4, 0.85
"""Between this and `MIN_TILE_SIMILARITY` a linked pair is called recolored where the histograms are this
unlike: text in other colours correlates less where light became dark. Chosen on terminals in many colour
schemes; captioned and stickered copies of the training photographs keep 0.9 of their colours."""
MIRRORING = frozenset({1, 2, 4, 7})
"""Orientations (see `cvsim.features.orientation`) that no turning undoes."""


@dataclass(frozen=True, slots=True)
class PairFacts:
    """The sizes of two pictures, how alike their colours are, and whether one of them alone has colour."""

    size_a: tuple[int, int]
    size_b: tuple[int, int]
    color: float = 1.0
    one_is_gray: bool = False
    is_b_larger: bool = False
    """In bytes."""

    @property
    def is_resized(self) -> bool:
        """Whether the two differ in size, however they are turned."""
        return sorted(self.size_a) != sorted(self.size_b)

    def aspect_change(self, orientation: int = 0) -> float:
        """Ratio of the sides' ratios, at least 1; with `a` in an orientation."""
        width, height = self.size_a[::-1] if orientation & 4 else self.size_a
        ratio = (width * self.size_b[1]) / (height * self.size_b[0])
        return max(ratio, 1 / ratio)


LOSSES: tuple[Relation, ...] = (
    "pasted", "cropped", "edited", "recolored", "similar", "rotated", "mirrored", "resized", "re-encoded",
    "identical-pixels", "identical-file",
)  # fmt: skip
"""What can happen to a picture, what loses or adds most first."""
_DOUBTS: frozenset[Relation] = frozenset(("pasted", "cropped", "edited", "recolored", "similar"))
_TURNS: frozenset[Relation] = frozenset(("rotated", "mirrored"))
_EQUAL: frozenset[Relation] = frozenset(("re-encoded", "identical-pixels"))


@dataclass(frozen=True, slots=True)
class CopyRule:
    """Which pairs are copies, under a profile that links others, too: those are called similar.

    Attributes
    ----------
    model : FusionModel
        Of the profile that knows copies.
    min_log_odds : float
        Its threshold, inclusive.
    """

    model: FusionModel
    min_log_odds: float

    def are_copies(self, similarities: Mapping[str, Similarities]) -> NDArray[np.bool_]:
        """(n,) whether each pair is one."""
        return self.model.log_odds(similarities) >= self.min_log_odds


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happened between two pictures.

    Attributes
    ----------
    changes : tuple of str
        All of it, the one that loses most first.
    contained : "a", "b" or None
        The side that is a part.
    pasted : bool
        Something foreign surrounds it.
    """

    changes: tuple[Relation, ...]
    contained: Side | None = None
    pasted: bool = False

    @classmethod
    def of(cls, *changes: Relation, contained: Side | None = None) -> Verdict:
        """From changes in any order; none at all is another encoding."""
        found = set(changes) or {"re-encoded"}
        return cls(tuple(c for c in LOSSES if c in found), contained, "pasted" in found)

    @property
    def relation(self) -> Relation:
        """The change that loses most."""
        return self.changes[0]

    def proved(self, proof: Proof, *, is_resized: bool) -> Verdict:
        """The verdict once it is proved that nothing is lost, or that something else is to be seen."""
        if proof.state == "same-pixels":
            return Verdict.of("identical-pixels")
        if proof.state == "explained":
            turns = set(self.changes) & _TURNS or ({"mirrored"} if proof.is_mirrored else set())
            return Verdict.of(*turns, *(("resized",) if is_resized else ()))
        if proof.state == "differs" and not _DOUBTS & set(self.changes):
            return Verdict.of(*(set(self.changes) - _EQUAL), "edited", contained=self.contained)
        return self


def relation_by_geometry(row: Any, look: PairFacts) -> Verdict:
    """From the evidence of aligned pixels, a row of `cvsim.features.evidence.EVIDENCE`."""
    changes: list[Relation] = []
    if row["perspective"]:
        changes.append("edited")
    if row["negative"]:
        changes.append("recolored")
    turn = _turn_deg(row)
    if np.linalg.det(row["matrix"][:, :2]) < 0:
        changes.append("mirrored")
    elif abs(turn) > MIN_TURN_DEG and not row["perspective"]:
        changes.append("rotated")
    if (part := _part(row)) is not None:
        relation, contained = part
        return Verdict.of(*changes, relation, contained=contained)
    shows_all = min(row["coverage_a"], row["coverage_b"]) >= MIN_CONTAINED
    if "mirrored" in changes or "rotated" in changes:
        if not shows_all and _is_tilted(turn) and changes == ["rotated"]:
            changes.append("cropped")  # turned in its frame, a picture loses its corners
    elif "edited" not in changes and (
        not shows_all or (row["outliers"] > MAX_OUTLIERS and not _is_colored_anew(row, look))
    ):
        changes.append("edited")
    if "recolored" not in changes and _is_recolored(row, look):
        changes.append("recolored")
    if look.is_resized:
        changes.append("resized")
    elif not changes and (abs(row["detail"]) > MAX_DETAIL or _is_noisy(row, look)):
        changes.append("edited")
    return Verdict.of(*changes)


def _is_tilted(turn_deg: float) -> bool:
    """Whether a turn is none of whole quarters."""
    return abs(turn_deg - 90 * round(turn_deg / 90)) > MIN_TURN_DEG


def _is_colored_anew(row: Any, look: PairFacts) -> bool:
    """Whether tones are off because each part has a colour of its own: every edge is where it was."""
    if look.color < OTHER_COLORS and row["broken"] < NOT_BROKEN:
        return True
    return bool(row["recolored"] > MANY_RECOLORED and min(row["broken"], row["unlike"]) < HARDLY_BROKEN)


def _is_recolored(row: Any, look: PairFacts) -> bool:
    if row["tone_shift"] > MIN_TONE_SHIFT or row["recolored"] > MAX_RECOLORED:
        return True
    return look.one_is_gray or look.color < MIN_ALIGNED_COLOR


def _is_noisy(row: Any, look: PairFacts) -> bool:
    """Whether the larger file owes its size to noise."""
    larger, smaller = float(row["grain_b"]), float(row["grain_a"])
    if not look.is_b_larger:
        larger, smaller = smaller, larger
    return larger > MIN_NOISE and larger > MIN_NOISE_RATIO * smaller


def _part(row: Any) -> tuple[Relation, Side | None] | None:
    """The verdict on a pair of which one side shows more, or both show something of their own."""
    if min(row["coverage_a"], row["coverage_b"]) >= MAX_SHOWN:
        return None
    # A painted border is no content: what is inside it may be the whole of the other picture.
    shown_a, shown_b = float(row["content_a"]), float(row["content_b"])
    low, high = min(shown_a, shown_b), max(shown_a, shown_b)
    if low >= MIN_CONTAINED:
        return None
    turn = abs(_turn_deg(row))
    if turn > MIN_TURN_DEG and abs(float(row["coverage_a"]) - float(row["coverage_b"])) < SAME_COVERAGE:
        return None  # turning cuts the corners of both
    if row["surround"] < MAX_BORDER_DEVIATION and high >= MIN_CONTAINED:
        return None
    pasted = bool(row["seam"] >= MIN_SEAM)
    if high >= MIN_CONTAINED:
        contained: Side = "a" if shown_a > shown_b else "b"
        return "pasted" if pasted else "cropped", contained
    return "cropped", None


def _turn_deg(row: Any) -> float:
    """Angle of the map, in the pictures' own proportions."""
    m, aspect_a, aspect_b = row["matrix"], float(row["aspect_a"]), float(row["aspect_b"])
    # Unit squares to pixels of height 1: x grows by the aspect.
    linear = np.array([[m[0, 0] * aspect_b / aspect_a, m[0, 1] * aspect_b], [m[1, 0] / aspect_a, m[1, 1]]])
    return float(np.degrees(np.arctan2(linear[1, 0] - linear[0, 1], linear[0, 0] + linear[1, 1])))


def relation_by_tiles(tiles: float, orientation: int, look: PairFacts) -> Verdict:
    """From whole-picture signals alone: what cannot be told apart is called similar, and is not removed."""
    if not tiles >= MIN_TILE_SIMILARITY or look.aspect_change(orientation) > MAX_ASPECT_RATIO:
        is_tinted = tiles >= MIN_SEEN_TILES and look.color < OTHER_COLOR
        return Verdict.of("recolored" if is_tinted else "similar")
    changes: list[Relation] = []
    if orientation:
        changes.append("mirrored" if orientation in MIRRORING else "rotated")
    if look.one_is_gray or look.color < MIN_COLOR:
        changes.append("recolored")
    if look.is_resized:
        changes.append("resized")
    return Verdict.of(*changes)
