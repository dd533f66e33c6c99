"""The values that the parts of cvsim pass to each other. Frozen, slotted; equality is exact."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from cvsim.errors import NotAnImageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    RGB = NDArray[np.uint8]
    """(H, W, 3) uint8, red first, rows from the top."""
    Gray = NDArray[np.uint8]
    """(H, W) uint8, rows from the top."""
    Indices = NDArray[np.int64]
    """(n,) positions in a collection."""
    Similarities = NDArray[np.float32]
    """(n,) in [0, 1], larger is more alike; NaN is "no evidence"."""

Relation = Literal[
    "identical-file",
    "identical-pixels",
    "re-encoded",
    "resized",
    "recolored",
    "edited",
    "cropped",
    "pasted",
    "rotated",
    "mirrored",
    "similar",
]
Side = Literal["a", "b"]
SkippedKind = Literal["not-an-image", "raw-half", "unreadable"]
"""Why a file was skipped, for programs: no picture of a known format, a RAW beside its JPEG, or else."""
RAW_HALF = "the RAW half of a pair: it is one exposure with the picture beside it, and goes where that goes"
"""The reason of a RAW file that has a JPEG, HEIC or other picture of its name beside it."""
_PICTURE_ENDINGS = (
    ".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".png", ".tif",
    ".tiff", ".webp",
)  # fmt: skip
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, eq=False)
class SeenThrough:
    """What a picture with transparent parts is made of, at the size and turn at which it is looked at.

    Attributes
    ----------
    alpha : (h, w) uint8
        0 where nothing is seen.
    bare : (h, w, 3) uint8
        The stored colours, whatever the alpha.
    """

    alpha: Gray
    bare: RGB


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One readable picture.

    Attributes
    ----------
    path : str
        As it was given, or found under the path that was given. Bytes that are not UTF-8 are kept as
        surrogate escapes.
    digest : str
        SHA-256 of the file's content, lower-case hexadecimal.
    width_px, height_px : int
        Full size, after the EXIF orientation is applied.
    size_bytes, mtime_ns : int
        Of the file.
    format : str
        Sniffed from the content: ``"jpeg"``, ``"png"``, ...
    damaged : bool
        Only a part of the picture could be decoded.
    taken_at : str or None
        The EXIF date, ``YYYY-MM-DDTHH:MM:SS``.
    has_gps : bool
        EXIF holds a position.
    """

    path: str
    digest: str
    width_px: int
    height_px: int
    size_bytes: int
    mtime_ns: int
    format: str = ""
    damaged: bool = False
    taken_at: str | None = None
    has_gps: bool = False

    @property
    def n_pixels(self) -> int:
        """Count the pixels at full size."""
        return self.width_px * self.height_px


@dataclass(frozen=True, slots=True)
class Moment:
    """When a picture was taken, and by which camera.

    Attributes
    ----------
    local_s : float
        By the camera's clock, in seconds since the beginning of 1970 there, with their fraction if known.
    offset_s : int or None
        How far that clock is ahead of UTC, where the camera says so.
    camera : str
        Make, model and serial number, as far as they are named.
    """

    local_s: float
    offset_s: int | None = None
    camera: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that could not be used, and why, in words for a person."""

    path: str
    reason: str

    @property
    def kind(self) -> SkippedKind:
        """Whether anybody took the file for a picture; a cache keeps no more than the reason."""
        if self.reason == RAW_HALF:
            return "raw-half"
        is_none = self.reason in (NotAnImageError.REASON, NotAnImageError.FILM)
        return "not-an-image" if is_none else "unreadable"

    @property
    def is_worth_naming(self) -> bool:
        """Whether a person should see it: anything but a half of a pair, and what claims to be no picture."""
        if self.kind == "raw-half":
            return False
        return self.kind != "not-an-image" or os.path.splitext(self.path)[1].lower() in _PICTURE_ENDINGS


@dataclass(frozen=True, slots=True)
class Held:
    """Something that a file holds besides the pixels of its pictures: a film, a depth map, other data.

    Attributes
    ----------
    n_bytes : int
    digest : str
        SHA-256 of its bytes, hexadecimal: two files that hold the same thing hold the same bytes.
    seconds : float or None
        How long it lasts, where that is known.
    """

    n_bytes: int
    digest: str
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a file holds, besides how its first picture looks.

    Attributes
    ----------
    pictures : int
        Pages and further images, the first one included; not thumbnails, previews and auxiliary images.
    frames : int
        Of an animation; 1 for a still.
    frames_s : float
        How long these frames last together.
    alpha : bool
        At least one pixel is not opaque.
    bits : int
        A sample.
    profile : str or None
        Name of the colour profile; None for none, and for one that means sRGB or the usual grey.
    profile_key : str
        Equal for two profiles that mean the same; empty where `profile` is None.
    parts : mapping of str to Held
        Everything else, by its name in words: ``"film"``, ``"depth map"``, ``"gain map"``, ``"other data"``.
    camera : str
        Make and model that the metadata name; empty if they name none.
    """

    pictures: int = 1
    frames: int = 1
    frames_s: float = 0.0
    alpha: bool = False
    bits: int = 8
    profile: str | None = None
    profile_key: str = ""
    parts: Mapping[str, Held] = field(default_factory=dict, hash=False)
    camera: str = ""


ProofState = Literal[
    "same-bytes", "same-pixels", "explained", "differs", "holds-more", "poorer-kept", "not-tried"
]
PROVED: frozenset[ProofState] = frozenset(("same-bytes", "same-pixels", "explained"))
"""States that say: nobody can miss the file while the kept one is there."""
Box = tuple[int, int, int, int]
"""x, y, width, height in pixels of a picture as it is shown."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What the removal of a file rests on, or why there is nothing that it could rest on.

    Attributes
    ----------
    state : str
        ``"same-bytes"``, ``"same-pixels"`` (all of them, at full depth) and ``"explained"`` (everything
        visible in it is in the kept file) are proofs. ``"differs"``: it shows something else.
        ``"holds-more"``: than the kept file. ``"poorer-kept"``: the kept file is the poorer one.
        ``"not-tried"``: nothing could be proved.
    boxes : tuple of Box
        Where it differs, in pixels of the copy as it is shown; largest difference first.
    words : str
        What it holds, or why nothing could be proved, for a person.
    is_mirrored : bool
        The kept file shows it mirrored.
    shows_as_much : bool
        One of the two has more pixels and shows no more: it was enlarged, or is soft and was reduced.
    """

    state: ProofState
    boxes: tuple[Box, ...] = ()
    words: str = ""
    is_mirrored: bool = False
    shows_as_much: bool = False

    @property
    def is_enough(self) -> bool:
        """Whether a removal can rest on it."""
        return self.state in PROVED


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """Two pictures by path, ``a < b`` by code point wherever cvsim makes the pair itself."""

    a: str
    b: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one signal says about a pair.

    Attributes
    ----------
    feature : str
        The signal's name.
    similarity : float or None
        In [0, 1], larger is more alike; None is "no evidence", which is not "different".
    weight : float
        What it adds to the score, in log-odds. 0 until a fusion model has weighed it.
    detail : mapping
        Native values for the curious: a distance in bits, a number of inliers.
    """

    feature: str
    similarity: float | None
    weight: float = 0.0
    detail: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def shown(self) -> float | None:
        """The similarity as it is shown: of vectors the cosine as it is, from -1 to 1."""
        return None if self.similarity is None else float(self.detail.get("cosine", self.similarity))


@dataclass(frozen=True, slots=True)
class ScoredPair:
    """A pair with its calibrated probability and all that it is made of.

    ``score == sigmoid(prior + sum of the comparisons' weights)``.

    Attributes
    ----------
    pair : Pair
    prior : float
        Log-odds before any evidence; fixed by the profile.
    score : float
        Probability that the pair is the same under the profile, in [0, 1].
    relation : str
        What happened between the two (see `Relation`).
    contained : "a", "b" or None
        The side that shows only a part of the other.
    comparisons : tuple of Comparison
    changes : tuple of str
        All that happened between the two, the one that loses most first; `relation` is that one.
    proof : Proof or None
        Of an edge with the kept file of a group: whether the other side can go.
    copy : "a", "b" or None
        That other side, which the proof is about.
    """

    pair: Pair
    prior: float
    score: float
    relation: Relation
    contained: Side | None
    comparisons: tuple[Comparison, ...]
    changes: tuple[Relation, ...] = ()
    proof: Proof | None = None
    copy: Side | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A picture within a group.

    Attributes
    ----------
    record : ImageRecord
    score : float or None
        Of its own pair with the kept file (1.0 for the kept file itself); None if never scored.
    proposed : bool
        Proposed for removal.
    reason : str
        Why it is kept, proposed or left alone, in words.
    holds : Holdings
        What the file holds besides how its first picture looks.
    proof : Proof or None
        What its removal rests on, or why it cannot; None for the kept file and where nothing was asked.
    indexed : bool
        Known from the index that the run was made against: it stays, whatever is decided.
    why_away : str
        Why it cannot be touched nor vouch for others: an indexed file that is not there now as it was, or a
        picture in an archive. Empty for all others.
    companions : tuple of str
        Names of the files beside it that belong to it alone: its RAW, its sidecars, its film.
    sharpness : float or None
        How sharp the picture is, larger is sharper; None where no keep rule asked.
    """

    record: ImageRecord
    score: float | None
    proposed: bool = False
    reason: str = ""
    holds: Holdings = Holdings()
    proof: Proof | None = None
    indexed: bool = False
    why_away: str = ""
    companions: tuple[str, ...] = ()
    sharpness: float | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """Another version of what a group shows: members that not its kept file, but one of them explains.

    Attributes
    ----------
    keep : str
        Path of the file to keep.
    rule : str
        The keep rule that decided.
    removed : tuple of str
        Paths of what is proposed for removal.
    """

    keep: str
    rule: str
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Pictures that are the same, and how sure that is.

    Attributes
    ----------
    id : int
        From 1, in order of the smallest path.
    members : tuple of Member
        The kept file first, the others by path.
    keep : str
        Path of the file to keep; each of `versions` has one more.
    rule : str
        The keep rule that decided.
    edges : tuple of ScoredPair
        The links at or above the threshold, by pair.
    weakest_link : float
        The lowest score in the strongest spanning tree: the group holds together at this threshold.
    weakest_pair : float or None
        The lowest score of any two members that were scored, linked or not.
    bridges : int
        Links whose removal would split the group (a group of two has one).
    versions : tuple of Version
        What the kept file does not explain, as far as it has copies of its own: an edited version, or another
        page on the same paper.
    """

    id: int
    members: tuple[Member, ...]
    keep: str
    rule: str
    edges: tuple[ScoredPair, ...]
    weakest_link: float
    weakest_pair: float | None
    bridges: int
    versions: tuple[Version, ...] = ()

    @property
    def kept(self) -> frozenset[str]:
        """Paths of all files that are kept for others."""
        return frozenset((self.keep, *(version.keep for version in self.versions)))

    @property
    def kept_for(self) -> dict[str, str]:
        """By the path of a member, that of the kept file that it is judged beside."""
        found = dict.fromkeys((member.record.path for member in self.members), self.keep)
        return found | {path: version.keep for version in self.versions for path in version.removed}

    @property
    def version_of(self) -> dict[str, str]:
        """The same, but that each kept file is beside itself."""
        return self.kept_for | {path: path for path in self.kept}


@dataclass(frozen=True, slots=True)
class Counts:
    """Totals of a run: ``files == images + skipped``; ``duplicates`` are proposed for removal.

    Against an index, `indexed` files of it stood on the other side, and `known` of the images are in a group
    with one.
    """

    files: int = 0
    images: int = 0
    skipped: int = 0
    groups: int = 0
    duplicates: int = 0
    reclaimable_bytes: int = 0
    indexed: int = 0
    known: int = 0


@dataclass(frozen=True, slots=True)
class DedupeResult:
    """What `cvsim dedupe` found.

    Attributes
    ----------
    settings : mapping
        What the run was asked to do, enough to repeat it.
    counts : Counts
    groups : tuple of Group
    skipped : tuple of Skipped
        By path.
    stats : mapping
        How the run went (decodes, bytes read, seconds by stage): not part of the result's identity.
    new : tuple of str
        Of a run against an index: the paths of the pictures that are in no group with an indexed one.
    doubtful : tuple of ScoredPair
        Links above the threshold that were left out: each alone would have joined two groups, and nothing
        else supports it.
    """

    settings: Mapping[str, Any]
    counts: Counts
    groups: tuple[Group, ...]
    skipped: tuple[Skipped, ...]
    new: tuple[str, ...] = field(default=(), kw_only=True)
    doubtful: tuple[ScoredPair, ...] = field(default=(), kw_only=True)
    stats: Mapping[str, Any] = field(default_factory=dict, hash=False, compare=False)


@dataclass(frozen=True, slots=True)
class Hit:
    """A picture that was found.

    Attributes
    ----------
    path : str
        Absolute.
    score : float
        Under ``profile == "copy"`` the probability that it is a copy; under ``"product"`` the mean cosine of
        the product signals, in [0, 1], or with a trained profile the probability that it is the same product.
    profile : "copy" or "product"
    relation : str
        See `Relation`; ``"similar"`` for look-alikes.
    contained : "a", "b" or None
        ``"a"``: the query shows only a part of it; ``"b"``: it shows only a part of the query.
    comparisons : tuple of Comparison
    labels : tuple of str
    record : ImageRecord
    """

    path: str
    score: float
    profile: str
    relation: str
    contained: str | None
    comparisons: tuple[Comparison, ...]
    labels: tuple[str, ...]
    record: ImageRecord


def is_digest(text: str) -> bool:
    """Tell whether `text` is a digest as cvsim writes them: SHA-256 in lower-case hexadecimal."""
    return _DIGEST.fullmatch(text) is not None
