"""How engines compare vectors: all that OpenSearch with and without its plug-in and Elasticsearch differ in.

An engine's answer names candidates. The caller compares their vectors again, in half precision as every store
keeps them, so that the cosines are the same everywhere.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Body = dict[str, Any]
_MIN_LOOKED_AT = 2000
"""Neighbours that a graph looks at, at least. Of the ten nearest of 100,000 random vectors of 128 numbers,
which are the hardest, 256 found 0.82, 1,000 found 0.988 and 2,000 found 0.996, and took no longer."""
_LARGEST_K = 10_000
_SPARE = 16
"""A few more than are wanted: the caller compares them again, with other roundings."""


class Dialect:
    """OpenSearch with its k-NN plug-in, by the Lucene engine: exact on few vectors, by a graph on many."""

    name = "knn"
    settings: ClassVar[Body] = {"index.knn": True}
    exact_up_to = 200_000
    """Contents up to which every vector is compared: of 100,000 random ones of 128 numbers that took half as
    long as the graph."""

    def mapping(self, n_dims: int) -> Body:
        """The type of a field of vectors."""
        method = {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}
        return {"type": "knn_vector", "dimension": n_dims, "method": method}

    def stored(self, vector: NDArray[np.float32]) -> Any:
        """A vector as the field holds it."""
        return [round(float(value), 7) for value in vector]

    def near(self, field: str, vector: NDArray[np.float32], limit: int, filters: Sequence[Body]) -> Body:
        """The body of a search for about the nearest."""
        k = min(max(limit, _MIN_LOOKED_AT), _LARGEST_K)
        asked: Body = {"vector": self.stored(vector), "k": k}
        if filters:
            asked["filter"] = {"bool": {"filter": list(filters)}}
        return {"query": {"knn": {field: asked}}, "size": min(limit + _SPARE, k)}

    def exact(self, field: str, vector: NDArray[np.float32], limit: int, filters: Sequence[Body]) -> Body:
        """The body of a search that compares every vector."""
        script = {
            "source": "knn_score",
            "lang": "knn",
            "params": {"field": field, "query_value": self.stored(vector), "space_type": "cosinesimil"},
        }
        return _by_script(field, script, limit, filters)


class WithoutPlugin(Dialect):
    """OpenSearch alone: a script compares every vector, kept as 16-bit integers."""

    name = "script"
    settings: ClassVar[Body] = {}
    _SCALE = 32_767

    def mapping(self, n_dims: int) -> Body:
        """The type of a field of vectors."""
        return {"type": "binary", "doc_values": True}

    def stored(self, vector: NDArray[np.float32]) -> Any:
        """A vector as the field holds it."""
        return base64.b64encode(self._whole(vector).astype(">i2").tobytes()).decode()

    def _whole(self, vector: NDArray[np.float32]) -> NDArray[np.int64]:
        return np.rint(np.clip(vector, -1, 1) * self._SCALE).astype(np.int64)

    def near(self, field: str, vector: NDArray[np.float32], limit: int, filters: Sequence[Body]) -> Body:
        """The body of a search for the nearest: there is no other way than to compare all."""
        return self.exact(field, vector, limit, filters)

    def exact(self, field: str, vector: NDArray[np.float32], limit: int, filters: Sequence[Body]) -> Body:
        """The body of a search that compares every vector."""
        # The bytes are read where they lie: a score is at least 0, so half of it is added.
        source = (
            "def f = doc[params.f]; if (f.size() == 0) return 0; def r = f.get(0); byte[] b = r.bytes; "
            "int at = r.offset; long sum = 0; for (int i = 0; i < params.q.length; ++i) { "
            "int v = (b[at] << 8) | (b[at + 1] & 255); at += 2; sum += (long) v * (int) params.q[i]; } "
            "return 1.0 + sum / 1073676289.0"
        )
        script = {"source": source, "params": {"f": field, "q": self._whole(vector).tolist()}}
        return _by_script(field, script, limit, filters)


class Elasticsearch(Dialect):
    """Elasticsearch 8 and 9, by ``dense_vector``."""

    name = "dense_vector"
    settings: ClassVar[Body] = {}

    def mapping(self, n_dims: int) -> Body:
        """The type of a field of vectors."""
        return {"type": "dense_vector", "dims": n_dims, "index": True, "similarity": "cosine"}

    def near(self, field: str, vector: NDArray[np.float32], limit: int, filters: Sequence[Body]) -> Body:
        """The body of a search for about the nearest."""
        k = min(max(limit, _MIN_LOOKED_AT), _LARGEST_K)
        asked: Body = {"field": field, "query_vector": self.stored(vector), "k": k, "num_candidates": k}
        if filters:
            asked["filter"] = list(filters)
        return {"knn": asked, "size": min(limit + _SPARE, k)}

    def exact(self, field: str, vector: NDArray[np.float32], limit: int, filters: Sequence[Body]) -> Body:
        """The body of a search that compares every vector."""
        source = f"cosineSimilarity(params.q, '{field}') + 1.0"
        return _by_script(field, {"source": source, "params": {"q": self.stored(vector)}}, limit, filters)


def _by_script(field: str, script: Body, limit: int, filters: Sequence[Body]) -> Body:
    held = {"bool": {"filter": [{"term": {"vectors": field}}, *filters]}}
    size = min(limit + _SPARE, _LARGEST_K)
    return {"query": {"script_score": {"query": held, "script": script}}, "size": size}


DIALECTS: dict[str, Dialect] = {d.name: d for d in (Dialect(), WithoutPlugin(), Elasticsearch())}
