"""Signals whose descriptor is one float vector, compared by the angle between two of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.features.base import Feature, Search
from cvsim.types import Comparison

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.types import RGB, Indices, Similarities

VECTOR_CHUNK = 4096
"""Pairs compared at once, so that the memory of `compare_many` does not grow with their number."""


class VectorFeature(Feature["NDArray[np.float16]"]):
    """A signal with an (n_dims,) vector of norm 1 as its descriptor, kept in half precision.

    The similarity is the cosine, or 0 where that is negative; the cosine itself is in ``detail``. `vector`
    is all that a subclass writes.
    """

    search: Search = "vector"

    @property
    @abstractmethod
    def n_dims(self) -> int:
        """Length of the vector."""

    @abstractmethod
    def vector(self, rgb: RGB) -> NDArray[np.float32] | None:
        """The (n_dims,) vector of a picture, of any norm; None or zeros where it holds no evidence."""

    def extract(self, rgb: RGB) -> NDArray[np.float16] | None:
        found = self.vector(rgb)
        if found is None:
            return None
        norm = float(np.linalg.norm(found))
        return (found / norm).astype(np.float16) if norm > 0 else None

    def compare(self, a: NDArray[np.float16] | None, b: NDArray[np.float16] | None) -> tuple[Comparison, ...]:
        if a is None or b is None:
            return (Comparison(self.name, None),)
        x, y = a.astype(np.float64), b.astype(np.float64)
        cosine = float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)))
        return (Comparison(self.name, min(1.0, max(0.0, cosine)), detail={"cosine": cosine}),)

    def pack(self, descriptors: Sequence[NDArray[np.float16] | None]) -> NDArray[np.float32]:
        """(n, n_dims) float32 of norm 1, a row of NaN where there is no descriptor."""
        packed = np.full((len(descriptors), self.n_dims), np.nan, np.float32)
        for row, descriptor in zip(packed, descriptors, strict=True):
            if descriptor is not None:
                row[:] = descriptor
                row /= np.linalg.norm(row)
        return packed

    def compare_many(self, packed: Any, a: Indices, b: Indices) -> dict[str, Similarities]:
        return {self.name: np.clip(self.cosines(packed, a, b), 0.0, 1.0)}

    @staticmethod
    def cosines(packed: Any, a: Indices, b: Indices) -> Similarities:
        """(n,) float32, NaN where either side holds no evidence."""
        found = np.empty(len(a), np.float32)
        for start in range(0, len(a), VECTOR_CHUNK):
            rows = slice(start, start + VECTOR_CHUNK)
            found[rows] = np.einsum("nd,nd->n", packed[a[rows]], packed[b[rows]])
        return found

    def to_bytes(self, descriptor: NDArray[np.float16]) -> bytes:
        return descriptor.astype("<f2").tobytes()

    def from_bytes(self, data: bytes) -> NDArray[np.float16]:
        return np.frombuffer(data, "<f2").astype(np.float16)
