"""The interface that every signal implements, and the contract that its test holds it to."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from cvsim.types import Comparison

if TYPE_CHECKING:
    from cvsim.types import RGB, Indices, Similarities

D = TypeVar("D")

Search = Literal["hamming", "words", "vector", "none"]
"""How candidates are found from a feature's keys: equal within a number of bits, equal words, near vectors."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What candidate search needs of one descriptor.

    Attributes
    ----------
    stored : (n,) uint64 array
        What the picture is found by.
    queries : (m,) uint64 array
        What it looks for in the others: the same keys, or those of its turned and mirrored self.
    """

    stored: Any
    queries: Any


class Feature(ABC, Generic[D]):
    """One signal: what it takes from a picture, and how alike two of them are.

    A feature sees pixels and descriptors only, never a path, a store or another feature. Descriptors of
    a collection are packed once (`pack`) and compared by position (`compare_many`); `compare` on single
    descriptors is the plain reference, and the contract test holds the two equal.

    Attributes
    ----------
    name : str
        Unique, as given to ``--signals``.
    version : int
        Raised whenever the same pixels would give another descriptor.
    signals : tuple of str
        Names of the comparisons it returns, usually just `name`.
    search : str
        How `keys` are searched.
    radius_bits : int
        For ``search == "hamming"``: the distance that still makes a candidate.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    search: ClassVar[Search] = "none"
    radius_bits: int = 0

    @property
    def signals(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def params(self) -> Mapping[str, Any]:
        """What changes the descriptor, besides the version; JSON values only."""
        return {}

    @property
    def key(self) -> str:
        """Under what descriptors are stored: name, version and a digest of the parameters."""
        text = json.dumps(dict(self.params), sort_keys=True)
        return f"{self.name}:{self.version}:{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    @abstractmethod
    def extract(self, rgb: RGB) -> D | None:
        """The descriptor of a picture, (H, W, 3) uint8 RGB; None where it holds no evidence."""

    @abstractmethod
    def compare(self, a: D | None, b: D | None) -> tuple[Comparison, ...]:
        """One `Comparison` for each of `signals`, in that order; symmetric in similarity."""

    @abstractmethod
    def pack(self, descriptors: Sequence[D | None]) -> Any:
        """The descriptors of a collection in the shape that `compare_many` works on."""

    @abstractmethod
    def compare_many(self, packed: Any, a: Indices, b: Indices) -> dict[str, Similarities]:
        """Similarities of the pairs ``zip(a, b)`` by signal, each (n,) float32, NaN for no evidence."""

    @abstractmethod
    def to_bytes(self, descriptor: D) -> bytes:
        """Packed, with no pickle: what a store keeps."""

    @abstractmethod
    def from_bytes(self, data: bytes) -> D:
        """Inverse of `to_bytes`."""

    def keys(self, descriptor: D) -> Keys | None:
        """What candidate search needs; None for a feature that is not searched by."""
        return None
