"""The interface that every signal implements, and the contract that its test holds it to."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar, cast

import numpy as np

from cvsim.types import Comparison

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.features.picture import Picture
    from cvsim.types import RGB, Indices, Similarities

D = TypeVar("D")

Search = Literal["hamming", "words", "vector", "track", "none"]
"""How candidates are found: near hashes, equal words, near vectors, neighbours on a track."""


@dataclass(frozen=True, eq=False)
class HashKeys:
    """What hash search needs of a collection; a picture may have more than one row.

    Attributes
    ----------
    owner : (m,) int64
        Position of the picture that each row belongs to.
    stored : (m,) uint64
        What a picture is found by.
    variants : (m, v) uint64
        What it looks for in the others: its own hash, also as it would be turned or mirrored.
    negatives : (m, w) uint64 or None
        What it would look for as its own negative: only pixels laid over each other can tell one.
    """

    owner: Indices
    stored: NDArray[np.uint64]
    variants: NDArray[np.uint64]
    negatives: NDArray[np.uint64] | None = None

    def looked_for(self, *, with_negatives: bool) -> NDArray[np.uint64]:
        """The variants, (m, v), and on request the negatives beside them."""
        if self.negatives is None or not with_negatives:
            return self.variants
        return np.concatenate([self.variants, self.negatives], axis=1)


@dataclass(frozen=True, eq=False)
class Keypoints:
    """The keypoints of several pictures, one picture after the other: what word search needs.

    Attributes
    ----------
    owner : (n,) int64
        Position of the picture that each keypoint belongs to, ascending; from `n_upright` on from the first
        picture again.
    bits : (n, 4) uint64
        Descriptors of 256 bits.
    angle : (n,) uint8
        In 1/256 of a turn.
    level : (n,) uint8
        Pyramid level; from each to the next the picture shrinks by `SCALE_FACTOR`.
    position : (n,) complex64
        x + iy in working pixels from the picture's centre.
    n_upright : int or None
        The keypoints from there on are of the pictures mirrored left to right, or a part of these; None where
        there are none of them.
    """

    owner: Indices
    bits: NDArray[np.uint64]
    angle: NDArray[np.uint8]
    level: NDArray[np.uint8]
    position: NDArray[np.complex64]
    n_upright: int | None = None


@dataclass(frozen=True, eq=False)
class TrackKeys:
    """Where pictures lie on tracks, such as the moments of one camera.

    Attributes
    ----------
    owner : (m,) int64
        Position of the picture that each row belongs to.
    track : (m,) int64
        Pictures of one track may be neighbours.
    position : (m,) float64
        On the track.
    reach : float
        How far from each other neighbours may lie.
    """

    owner: Indices
    track: Indices
    position: NDArray[np.float64]
    reach: float


SCALE_FACTOR = 1.2
"""By how much a picture shrinks from one level of the keypoints' pyramid to the next.

The factor of the ORB paper (Rublee et al. 2011), and OpenCV's default.
"""
WORKING_PX = 512
"""Longer side of the pixels that features are taken from, if nothing else is said."""


class Measure(ABC, Generic[D]):
    """What is taken of a picture once, and kept under its content: a signal's descriptor, or a plain number.

    Attributes
    ----------
    name : str
        Unique.
    version : int
        Raised whenever the same pixels would give another descriptor.
    working_px : int
        Longer side of the pixels that it is taken from: part of its key, for other pixels give another
        descriptor.
    """

    name: str
    version: ClassVar[int] = 1
    working_px: int = WORKING_PX

    @property
    def params(self) -> Mapping[str, Any]:
        """What changes the descriptor, besides the version; JSON values only, the same for good."""
        return {}

    @property
    def key(self) -> str:
        """Under what descriptors are stored: name, version, a digest of the parameters, a size of its own."""
        size = "" if self.working_px == WORKING_PX else f":{self.working_px}"
        return f"{self.name}:{self.version}:{self._params_digest}{size}"

    @cached_property
    def _params_digest(self) -> str:
        text = json.dumps(dict(self.params), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @abstractmethod
    def extract(self, rgb: RGB) -> D | None:
        """The descriptor of a picture, (H, W, 3) uint8 RGB; None where it holds no evidence."""

    def extract_from(self, picture: Picture) -> D | None:
        """`extract`, for those that share what they start from with others of the picture."""
        return self.extract(picture.rgb)

    @abstractmethod
    def to_bytes(self, descriptor: D) -> bytes:
        """Packed, with no pickle: what a store keeps."""

    @abstractmethod
    def from_bytes(self, data: bytes) -> D:
        """Inverse of `to_bytes`."""


class Feature(Measure[D]):
    """One signal: what it takes from a picture, and how alike two of them are.

    A feature sees pixels and descriptors only, never a path, a store or another feature. Descriptors of
    a collection are packed once (`pack`) and compared by position (`compare_many`); `compare` on single
    descriptors is the plain reference, and the contract test holds the two equal.

    Attributes
    ----------
    name : str
        Unique, as given to ``--signals``.
    signals : tuple of str
        Names of the comparisons it returns, usually just `name`.
    search : str
        How candidates are searched, from `hash_keys` or `word_keys`.
    radius_bits : int
        For ``search == "hamming"``: the distance that still makes a candidate.
    sees_pixels : bool
        It goes by what a picture shows; False if by what its file says of it.
    """

    search: Search = "none"
    radius_bits: int = 0
    sees_pixels: ClassVar[bool] = True
    overlays: ClassVar[bool] = False
    """Whether it lays pictures over each other, pair by pair: an `OverlayFeature`."""
    names_orientation: ClassVar[bool] = False
    """Whether it knows how the one picture is turned against the other: see `compare_oriented`."""

    @property
    def signals(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def amounts(self) -> tuple[str, ...]:
        """Those of `signals` that say how much there is to see, not how alike it is."""
        return ()

    @abstractmethod
    def compare(self, a: D | None, b: D | None) -> tuple[Comparison, ...]:
        """One `Comparison` for each of `signals`, in that order; symmetric in similarity."""

    @abstractmethod
    def pack(self, descriptors: Sequence[D | None]) -> Any:
        """The descriptors of a collection in the shape that `compare_many` works on."""

    @abstractmethod
    def compare_many(self, packed: Any, a: Indices, b: Indices) -> dict[str, Similarities]:
        """Similarities of the pairs ``zip(a, b)`` by signal, each (n,) float32, NaN for no evidence."""

    def compare_oriented(self, packed: Any, a: Indices, b: Indices) -> tuple[Similarities, Indices]:
        """`compare_many` of its one signal, and the orientation of `a` over `b`, (n,) int64.

        Only where `names_orientation`; orientations are those of `cvsim.features.orientation`.
        """
        raise NotImplementedError(f"{self.name} knows no orientation")

    def whole_squares(self, packed: Any) -> NDArray[np.uint8] | None:
        """Each whole picture as a small grey square, (n, side, side) uint8, where the feature has them."""
        return None

    def texture(self, packed: Any) -> NDArray[np.float32] | None:
        """(n,) share of each picture that is not flat, NaN where unknown, where the feature can tell."""
        return None

    def has_color(self, packed: Any) -> NDArray[np.bool_] | None:
        """(n,) whether each picture has any colour, where the feature knows."""
        return None

    def hash_keys(self, packed: Any) -> HashKeys | None:
        """What hash search needs, for ``search == "hamming"``."""
        return None

    def word_keys(self, descriptors: Iterable[D | None], rows: Indices) -> Keypoints | None:
        """What word search needs of the pictures at `rows`, for ``search == "words"``.

        Their descriptors come in that order, each when it is asked for.
        """
        return None

    def track_keys(self, packed: Any) -> TrackKeys | None:
        """What the search for neighbours needs, for ``search == "track"``."""
        return None


class OverlayFeature(Feature[D]):
    """A feature that finds the transform between two pictures and looks at what lies over each other.

    Its descriptors are too large to be packed: pairs are compared one by one, and only where that can matter.
    """

    overlays: ClassVar[bool] = True

    @abstractmethod
    def evidence_or_none(self, a: D | None, b: D | None) -> Any:
        """All that is known of a pair: a 0-d record of `cvsim.features.evidence.EVIDENCE`."""

    @abstractmethod
    def matches(self, a: D, b: D) -> tuple[Indices, Indices, Any] | None:
        """Positions of the keypoints that agree, and the transform: what a picture of the pair shows."""


def overlaying(features: Iterable[Feature[Any]]) -> OverlayFeature[Any] | None:
    """The first of the features that lays pictures over each other."""
    return cast("OverlayFeature[Any] | None", next((f for f in features if f.overlays), None))
