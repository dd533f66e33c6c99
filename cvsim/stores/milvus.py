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

import base64
import itertools
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.stores.base import Batch, ImageInfo, KeyInfo, KnownFile, StoreInfo, chunks_of, today
from cvsim.stores.milvus_connection import (
    MAX_EMBEDDED_ROWS,
    MAX_HITS,
    Address,
    MilvusConnection,
    no_index,
    other_layout,
)
from cvsim.stores.milvus_rows import (
    HASH,
    LAYOUT,
    N_NUMBERS,
    RECORD,
    WORD,
    artefact_rows,
    decoded_rows,
    description_row,
    file_row,
    found_by,
    hash_rows,
    known_of,
    label_row,
    number_of,
    pair_rows,
    row_of,
    space_number,
    vector_rows,
    word_codes,
    word_rows,
)
from cvsim.stores.searchable import ImageKeys, Narrowing, SearchableStore, as_text, row_id

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PAGE_ROWS = 8000
_PAGE_BLOBS = 400
_MAX_IN_EXPRESSION = 1000
_CODES_IN = 16_000
_BY_DIGEST = ("file", "decoded", "image", "keyed")


class MilvusIndex(SearchableStore):
    """A searchable store in Milvus.

    Unlike the others it writes a batch row by row: a process that is killed may leave a part of one, never a
    part of an `Extraction` that counts as known.

    Parameters
    ----------
    location : str
        See `Address.of`.
    create : bool
        Whether it is made where there is none.

    Raises
    ------
    UsageError
        The location is malformed, or there is no index and none is to be made.
    StoreError
        The server cannot be used; the message says what to do.
    """

    def __init__(self, location: str, *, create: bool = True) -> None:
        address = Address.of(location)
        super().__init__(address.location)
        if not create and not address.is_there:
            raise no_index(address)
        self._milvus = MilvusConnection(address)
        self._address = address
        self._vectors: set[int] = set()
        try:
            self._prepare(create)
        except BaseException:
            self._milvus.close()
            raise

    def _prepare(self, create: bool) -> None:
        wanted = {"record": RECORD, "artefact": RECORD, "word": WORD, "hash": HASH}
        there = {name: self._milvus.fields_of(self._name(name)) for name in wanted}
        for name, fields in wanted.items():
            if there[name] not in (None, {field for field, _, _ in fields}):
                raise other_layout(
                    self._address, f"shares its name with another collection, {self._name(name)}"
                )
        if not create and there["record"] is None:
            raise no_index(self._address)
        for name, fields in wanted.items():
            if there[name] is None:
                self._milvus.create(self._name(name), fields, "HAMMING")
            self._milvus.load(self._name(name))
        layout = self.describe("layout", LAYOUT)
        if layout != LAYOUT:
            raise other_layout(self._address, f"has the layout {layout} of another version of cvsim")

    def _name(self, collection: str) -> str:
        return f"{self._address.name}_{collection}"

    # Rows

    def _upsert(self, collection: str, rows: Iterable[dict[str, Any]]) -> None:
        last = {row["id"]: row for row in rows}  # Milvus would keep both of two rows of one key
        if last:
            self._milvus.insert(self._name(collection), list(last.values()), replacing=True)

    def _delete_where(self, collection: str, filter: str) -> None:
        self._milvus.delete(self._name(collection), filter)

    def _by_id(
        self, collection: str, ids: Collection[str], fields: Sequence[str]
    ) -> Iterator[dict[str, Any]]:
        per_query = _PAGE_BLOBS if "data" in fields and collection == "artefact" else _MAX_IN_EXPRESSION
        for some in chunks_of(ids, per_query):
            yield from self._rows(collection, f"id in {json.dumps(some)}", fields)

    def _by_number(
        self, collection: str, condition: str, digests: Collection[str], fields: Sequence[str]
    ) -> Iterator[dict[str, Any]]:
        """Rows that belong to contents; `fields` includes ``a``."""
        wanted = frozenset(digests)
        for some in chunks_of(wanted, _MAX_IN_EXPRESSION):
            filter = f"number in {[number_of(digest) for digest in some]} and {condition}"
            found = self._rows(collection, filter, fields)
            yield from (row for row in found if row["a"] in wanted)

    def _rows(self, collection: str, filter: str, fields: Sequence[str]) -> list[dict[str, Any]]:
        """All rows of a filter that a few are expected of."""
        rows = self._milvus.query(self._name(collection), filter, fields)
        may_be_cut = self._milvus.is_embedded and len(rows) >= MAX_EMBEDDED_ROWS  # it does not say so
        if may_be_cut:
            return list(self._sweep(collection, filter, fields))
        return rows

    def _sweep(self, collection: str, condition: str, fields: Sequence[str]) -> Iterator[dict[str, Any]]:
        """All rows that fulfil a condition, a page of numbers after another."""
        n_rows = self._milvus.count(self._name(collection), condition)
        per_page = _PAGE_BLOBS if "data" in fields and collection == "artefact" else _PAGE_ROWS
        n_pages = 1 + n_rows // per_page
        bounds = [k * N_NUMBERS // n_pages for k in range(n_pages + 1)]
        for low, high in itertools.pairwise(bounds):
            page = condition if n_pages == 1 else f"number >= {low} and number < {high} and {condition}"
            yield from self._milvus.query(self._name(collection), page, fields)

    # Store

    def _write(self, batch: Batch) -> None:
        day = str(today())
        self._upsert("artefact", artefact_rows(batch))
        self._upsert("record", pair_rows(batch))
        self._upsert("record", decoded_rows(batch))
        digests = {x.digest for x in batch.extractions} | {known.digest for known in batch.files.values()}
        digests |= {digest for results in batch.pairs.values() for pair in results for digest in pair}
        self._upsert("record", (row_of("image", "", d, "", day) for d in sorted(digests)))
        self._upsert("record", (file_row(path, known) for path, known in batch.files.items()))

    def _known_files(self, paths: Collection[bytes] | None) -> dict[bytes, KnownFile]:
        fields = ("a", "b", "data")
        if paths is None:
            return known_of(self._sweep("record", 'kind == "file"', fields))
        return known_of(self._by_id("record", [row_id("file", path.hex()) for path in paths], fields))

    def files_under(self, folder: bytes) -> dict[bytes, KnownFile]:
        """List the known files below a folder; see `SearchableStore.files_under`."""
        self.flush()
        prefix = folder.rstrip(b"/").hex() + b"/".hex()
        inside = self._sweep("record", f'kind == "file" and b like "{prefix}%"', ("a", "b", "data"))
        return known_of(inside) | self._known_files([folder])

    def _images(self, decoder: str, digests: Collection[str] | None) -> dict[str, ImageInfo]:
        outcomes = self._decoded(decoder, digests)
        return {digest: ImageInfo(*found) for digest, found in outcomes if isinstance(found, list)}

    def _failures(self, decoder: str, digests: Collection[str] | None) -> dict[str, str]:
        outcomes = self._decoded(decoder, digests)
        return {digest: found for digest, found in outcomes if isinstance(found, str)}

    def _decoded(self, decoder: str, digests: Collection[str] | None) -> Iterator[tuple[str, Any]]:
        fields = ("a", "data")
        if digests is None:
            rows = self._sweep("record", f'kind == "decoded" and key == {json.dumps(decoder)}', fields)
        else:
            rows = self._by_id("record", [row_id("decoded", decoder, digest) for digest in digests], fields)
        return ((row["a"], json.loads(row["data"])) for row in rows)

    def _descriptors(self, key: str, digests: Collection[str] | None) -> dict[str, bytes | None]:
        fields = ("a", "b", "data")
        if digests is None:
            rows = self._sweep("artefact", f'kind == "artefact" and key == {json.dumps(key)}', fields)
        else:
            rows = self._by_id("artefact", [row_id("artefact", key, d, "0") for d in digests], fields)
        found: dict[str, bytes | None] = {}
        more: dict[str, tuple[str, ...]] = {}
        for row in rows:
            n_parts, digest = int(row["b"].split(":")[0]), row["a"]
            found[digest] = None if n_parts == 0 else base64.b64decode(row["data"])
            if n_parts > 1:
                more[digest] = tuple(row_id("artefact", key, digest, str(k)) for k in range(1, n_parts))
        tails = dict(self._tails([id for ids in more.values() for id in ids]))
        for digest, ids in more.items():
            found[digest] = b"".join([found[digest] or b"", *(tails[id] for id in ids)])
        return found

    def _tails(self, ids: Collection[str]) -> Iterator[tuple[str, bytes]]:
        for row in self._by_id("artefact", ids, ("id", "data")):
            yield row["id"], base64.b64decode(row["data"])

    def _complete(self, keys: tuple[str, ...], digests: Collection[str] | None) -> set[str]:
        found: set[str] | None = None if digests is None else set(digests)
        if not keys:
            return self._marked("image", found)
        for key in keys:
            if found is None:
                rows = self._sweep("artefact", f'kind == "artefact" and key == {json.dumps(key)}', ("a",))
            else:
                rows = self._by_id("artefact", [row_id("artefact", key, d, "0") for d in found], ("a",))
            found = {row["a"] for row in rows}
        assert found is not None
        return found

    def _marked(self, kind: str, digests: Collection[str] | None) -> set[str]:
        """The contents that have a row of this kind."""
        if digests is None:
            return {row["a"] for row in self._sweep("record", f'kind == "{kind}"', ("a",))}
        return {row["a"] for row in self._by_id("record", [row_id(kind, "", d) for d in digests], ("a",))}

    def _pairs(self, key: str, digests: Collection[str] | None) -> dict[tuple[str, str], bytes]:
        rows = self._sweep("record", f'kind == "pair" and key == {json.dumps(key)}', ("a", "b", "data"))
        wanted = None if digests is None else frozenset(digests)
        return {
            (row["a"], row["b"]): base64.b64decode(row["data"])
            for row in rows
            if wanted is None or (row["a"] in wanted and row["b"] in wanted)
        }

    def _info(self) -> StoreInfo:
        artefacts: dict[str, list[int]] = {}
        for row in self._sweep("artefact", 'kind == "artefact"', ("key", "b")):
            artefacts.setdefault(row["key"], []).append(int(row["b"].split(":")[1]))
        sizes = {key: KeyInfo(len(found), sum(found)) for key, found in sorted(artefacts.items())}
        file = self._address.file
        return StoreInfo(
            location=self.location,
            size_bytes=os.path.getsize(file) if file else sum(key.n_bytes for key in sizes.values()),
            n_files=self._count('kind == "file"'),
            n_images=self._count('kind == "decoded" and b == "image"'),
            n_failures=self._count('kind == "decoded" and b == "failure"'),
            n_pairs=self._count('kind == "pair"'),
            artefacts=sizes,
        )

    def _count(self, condition: str) -> int:
        return self._milvus.count(self._name("record"), condition)

    def _touch(self, digests: Collection[str], day: int) -> None:
        # Once a week is exact enough, and spares a warm run from writing.
        rows = self._by_id("record", [row_id("image", "", d) for d in digests], ("a", "data"))
        stale = [row["a"] for row in rows if int(row["data"]) < day - 6]
        self._upsert("record", (row_of("image", "", digest, "", str(day)) for digest in stale))

    def _forget_files(self, paths: Collection[bytes]) -> None:
        for some in chunks_of(paths, _MAX_IN_EXPRESSION):
            self._delete_where("record", f"id in {json.dumps([row_id('file', path.hex()) for path in some])}")
            self._delete_where("record", f'kind == "label" and b in {json.dumps([p.hex() for p in some])}')

    def _delete(self, digests: Collection[str]) -> None:
        for some in chunks_of(digests, _MAX_IN_EXPRESSION):
            numbers, names = f"number in {[number_of(d) for d in some]}", json.dumps(some)
            # What makes a content known or found goes first.
            self._delete_where("record", f"{numbers} and kind in {json.dumps(_BY_DIGEST)} and a in {names}")
            self._delete_where("record", f'kind == "pair" and (a in {names} or b in {names})')
            self._delete_keys_of(numbers)
            self._delete_where("artefact", f"{numbers} and a in {names}")

    def _delete_keys(self, keep: set[str]) -> None:
        for collection, kind in (("artefact", ("artefact", "part")), ("record", ("pair",))):
            kinds, keys = json.dumps(kind), json.dumps(sorted(keep))
            self._delete_where(collection, f"kind in {kinds} and key not in {keys}")

    def _orphans(self) -> set[str]:
        held = {row["a"] for row in self._sweep("record", 'kind == "file"', ("a",))}
        return self._marked("image", None) - held

    def _unused_since(self, day: int) -> set[str]:
        rows = self._sweep("record", 'kind == "image"', ("a", "data"))
        return {row["a"] for row in rows if int(row["data"]) < day}

    def _compact(self) -> None:
        pass  # Milvus does so by itself

    def _clear(self) -> None:
        self._delete_keys_of("number >= 0")
        self._delete_where("artefact", "number >= 0")
        self._delete_where("record", 'number >= 0 and kind != "length"')

    def _close(self) -> None:
        self._milvus.close()

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
        for some in chunks_of(known, _MAX_IN_EXPRESSION):
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
            self._milvus.load(name)
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
        for some in chunks_of(numbers, _MAX_IN_EXPRESSION):
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
        for some in chunks_of({path.hex() for path, _ in rows}, _MAX_IN_EXPRESSION):
            self._delete_where("record", f'kind == "label" and b in {json.dumps(some)}')
        self._upsert("record", (label_row(path, label) for path, label in rows))

    def labels_of(self, paths: Collection[bytes]) -> dict[bytes, tuple[str, ...]]:
        """Name the labels of these files; see `SearchableStore.labels_of`."""
        found: dict[bytes, list[str]] = {}
        for some in chunks_of([path.hex() for path in paths], _MAX_IN_EXPRESSION):
            filter = f'kind == "label" and b in {json.dumps(some)}'
            for row in self._rows("record", filter, ("b", "data")):
                found.setdefault(bytes.fromhex(row["b"]), []).append(row["data"])
        return {path: tuple(sorted(labels)) for path, labels in found.items()}

    def labelled(self, label: str) -> set[str]:
        """Tell which contents bear a label; see `SearchableStore.labelled`."""
        condition = f'kind == "label" and a == "{row_id("label", as_text(label))}"'
        paths = [bytes.fromhex(row["b"]) for row in self._sweep("record", condition, ("b",))]
        return {known.digest for known in self.known_files(paths).values()}
