"""An index in Milvus, on a server or embedded in this process: for those who outgrow one machine.

Layout. An index is a few collections whose names begin with its own. `record` and `artefact` hold what a
store keeps; a row's key is a digest of what it is about, so that writing it twice is once. `hash` and
`vector_N` hold what Milvus compares, without approximation: an exact search spread over nodes stays exact.
`word` is an inverted index, one row for each word of a picture, looked up by a sorted scalar index: what is
wanted of it is how many of ten thousand words two pictures share, which is no distance of vectors. (The
sparse vectors of later versions would count so, too; 2.3 has none, and one layout serves all versions.)

Milvus has no transactions. Rows are written in an order in which nothing counts before all of it is there:
artefacts before the image, the keys before the note that they are complete. What a killed run leaves behind
is not found by a search, and is written again by the next.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.stores.base import chunks_of
from cvsim.stores.milvus_connection import MAX_HITS
from cvsim.stores.milvus_rows import (
    N_NUMBERS,
    description_row,
    found_by,
    hash_rows,
    label_row,
    number_of,
    row_of,
    space_number,
    vector_rows,
    word_codes,
    word_rows,
)
from cvsim.stores.milvus_store import MAX_IN_EXPRESSION, MilvusStore
from cvsim.stores.searchable import ImageKeys, Narrowing, as_text, row_id

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CODES_IN = 16_000


class MilvusIndex(MilvusStore):
    """A searchable store in Milvus; see `MilvusStore`."""

    # Keys

    def describe(self, name: str, value: str) -> str:
        """Read a note of the store, which keeps `value` if it has none; see `SearchableStore.describe`."""
        self.flush()
        found = self._described(name)
        if found is not None:
            return found
        self._upsert("record", [description_row(name, value)])
        return value

    def noted(self, name: str) -> str:
        """Read a note; see `SearchableStore.noted`."""
        self.flush()
        return self._described(name) or ""

    def note(self, name: str, value: str) -> str:
        """Write a note; see `SearchableStore.note`."""
        self.flush()
        found = self._described(name)
        self._upsert("record", [description_row(name, value)])
        return found or ""

    def _described(self, name: str) -> str | None:
        rows = self._by_id("record", [row_id("description", name)], ("data",))
        return next((str(row["data"]) for row in rows), None)

    def put_keys(self, keys: Mapping[str, ImageKeys]) -> None:
        """Add what contents are found by; see `SearchableStore.put_keys`."""
        self.flush()
        ids = [row_id("keyed", "", digest) for digest in keys]
        known = [row["a"] for row in self._by_id("record", ids, ("a",))]
        self._upsert("record", (row_of("keyed", "", digest, "", "begun") for digest in keys))
        for some in chunks_of(known, MAX_IN_EXPRESSION):
            self._delete_keys_of(f"number in {[number_of(d) for d in some]}")
        self._insert("word", [row for d, k in keys.items() for row in word_rows(d, k)])
        self._insert("hash", [row for d, k in keys.items() for row in hash_rows(d, k)])
        by_length: dict[int, list[dict[str, Any]]] = {}
        for digest, found in keys.items():
            for row in vector_rows(digest, found):
                by_length.setdefault(len(row["vector"]), []).append(row)
        for n_dims, rows in by_length.items():
            self._make_vectors(n_dims)
            self._insert(f"vector_{n_dims}", rows)
        self._upsert("record", (row_of("keyed", "", digest, "", "done") for digest in keys))

    def _insert(self, collection: str, rows: list[dict[str, Any]]) -> None:
        if rows:
            self._milvus.insert(self._name(collection), rows)

    def _delete_keys_of(self, numbers: str) -> None:
        for name in ("word", "hash", *(f"vector_{n}" for n in self._known_vectors())):
            self._delete_where(name, numbers)

    def _known_vectors(self) -> set[int]:
        """Lengths of vectors for which there is a collection."""
        for row in self._sweep("record", 'kind == "length"', ("key",)):
            self._has_vectors(int(row["key"]))
        return self._vectors

    def _has_vectors(self, n_dims: int) -> bool:
        name = self._name(f"vector_{n_dims}")
        if n_dims not in self._vectors and self._milvus.fields_of(name) is not None:
            self._vectors.add(n_dims)
        return n_dims in self._vectors

    def _make_vectors(self, n_dims: int) -> None:
        if not self._has_vectors(n_dims):
            fields = found_by(("vector", "FLOAT_VECTOR", n_dims))
            self._upsert("record", [row_of("length", str(n_dims), "", "", "")])
            self._milvus.create(self._name(f"vector_{n_dims}"), fields, "COSINE")
            self._has_vectors(n_dims)

    def keyed(self, digests: Collection[str] | None = None) -> set[str]:
        """Tell which contents can be found; see `SearchableStore.keyed`."""
        self.flush()
        if digests is None:
            rows = self._sweep("record", 'kind == "keyed"', ("a", "data"))
        else:
            rows = self._by_id("record", [row_id("keyed", "", d) for d in digests], ("a", "data"))
        return {row["a"] for row in rows if row["data"] == "done"}

    def n_keyed(self) -> int:
        """Count the contents that can be found."""
        self.flush()
        return self._count('kind == "keyed" and data == "done"')

    # Search

    def within_bits(self, space: str, hashes: NDArray[np.uint64], radius_bits: int) -> set[str]:
        """Find the hashes within a radius; see `SearchableStore.within_bits`."""
        self.flush()
        vectors = [int(value).to_bytes(8, "big") for value in np.unique(hashes)]
        return self._within(vectors, space, radius_bits, 0, N_NUMBERS) if vectors else set()

    def _within(self, vectors: list[bytes], space: str, radius_bits: int, low: int, high: int) -> set[str]:
        filter = f"space == {space_number(space)}"
        if high - low < N_NUMBERS:
            filter += f" and number >= {low} and number < {high}"
        # Milvus leaves out what is at its radius; and 64 bits are within any.
        radius = radius_bits + 1.0
        results = self._milvus.search(
            self._name("hash"), vectors, filter, MAX_HITS, "HAMMING", ("digest",), radius
        )
        if any(len(hits) >= MAX_HITS for hits in results) and high - low > 1:  # there may be more
            middle = (low + high) // 2
            first = self._within(vectors, space, radius_bits, low, middle)
            return first | self._within(vectors, space, radius_bits, middle, high)
        return {hit["entity"]["digest"] for hits in results for hit in hits}

    def by_words(
        self,
        space: str,
        words: NDArray[np.uint32],
        limit: int,
        at_least: int = 1,
        narrowing: Narrowing | None = None,
    ) -> list[tuple[str, int]]:
        """Find what shares words with the query; see `SearchableStore.by_words`."""
        self.flush()
        numbers: list[int] = []
        for some in chunks_of(np.unique(word_codes(space, words)).tolist(), _CODES_IN):
            rows = self._rows("word", f"code in {some}", ("number",))
            numbers += [row["number"] for row in rows]
        owners, counts = np.unique(np.array(numbers, np.int64), return_counts=True)
        owners, counts = owners[counts >= at_least], counts[counts >= at_least]
        among = self.among(narrowing)
        if among is not None:
            inside = np.isin(owners, np.array([number_of(digest) for digest in among], np.int64))
            owners, counts = owners[inside], counts[inside]
        best = np.lexsort((owners, -counts))[:limit]  # numbers are in the order of the digests
        names = self._names(owners[best].tolist())
        return [(names[n], c) for n, c in zip(owners[best].tolist(), counts[best].tolist(), strict=True)]

    def _names(self, numbers: Sequence[int]) -> dict[int, str]:
        found: dict[int, str] = {}
        for some in chunks_of(numbers, MAX_IN_EXPRESSION):
            rows = self._rows("record", f'number in {some} and kind == "keyed"', ("number", "a"))
            found.update({row["number"]: row["a"] for row in rows})
        return found

    def nearest(
        self, space: str, vector: NDArray[np.float32], limit: int, narrowing: Narrowing | None = None
    ) -> list[tuple[str, float]]:
        """Find the nearest vectors; see `SearchableStore.nearest`."""
        self.flush()
        if not self._has_vectors(len(vector)):
            return []
        among = self.among(narrowing)
        filter = f"space == {space_number(space)}"
        if among is not None and len(among) <= _CODES_IN:
            filter += f" and number in {[number_of(digest) for digest in sorted(among)]}"
        results = self._milvus.search(
            self._name(f"vector_{len(vector)}"),
            [vector.astype(np.float32).tolist()],
            filter,
            min(limit, MAX_HITS) if among is None else MAX_HITS,
            "COSINE",
            ("digest",),
        )
        found = [(hit["entity"]["digest"], float(hit["distance"])) for hit in results[0]]
        inside = [item for item in found if among is None or item[0] in among]
        return sorted(inside, key=lambda item: (-item[1], item[0]))[:limit]

    # Files and labels

    def files_of(self, digests: Collection[str]) -> dict[str, list[bytes]]:
        """Name the files of these contents; see `SearchableStore.files_of`."""
        self.flush()
        found: dict[str, list[bytes]] = {}
        for row in self._by_number("record", 'kind == "file"', digests, ("a", "b")):
            found.setdefault(row["a"], []).append(bytes.fromhex(row["b"]))
        return {digest: sorted(paths) for digest, paths in found.items()}

    def put_labels(self, labels: Iterable[tuple[bytes, str]]) -> None:
        """Add labels; see `SearchableStore.put_labels`."""
        rows = list(dict.fromkeys(labels))
        for some in chunks_of({path.hex() for path, _ in rows}, MAX_IN_EXPRESSION):
            self._delete_where("record", f'kind == "label" and b in {json.dumps(some)}')
        self._upsert("record", (label_row(path, label) for path, label in rows))

    def labels_of(self, paths: Collection[bytes]) -> dict[bytes, tuple[str, ...]]:
        """Name the labels of these files; see `SearchableStore.labels_of`."""
        found: dict[bytes, list[str]] = {}
        for some in chunks_of([path.hex() for path in paths], MAX_IN_EXPRESSION):
            filter = f'kind == "label" and b in {json.dumps(some)}'
            for row in self._rows("record", filter, ("b", "data")):
                found.setdefault(bytes.fromhex(row["b"]), []).append(row["data"])
        return {path: tuple(sorted(labels)) for path, labels in found.items()}

    def labelled(self, label: str) -> set[str]:
        """Tell which contents bear a label; see `SearchableStore.labelled`."""
        condition = f'kind == "label" and a == "{row_id("label", as_text(label))}"'
        paths = [bytes.fromhex(row["b"]) for row in self._sweep("record", condition, ("b",))]
        return {known.digest for known in self.known_files(paths).values()}
