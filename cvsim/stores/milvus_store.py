"""The part of an index in Milvus that keeps things: files, images, artefacts and pairs."""

from __future__ import annotations

import base64
import itertools
import json
import os
from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from cvsim.stores.base import Batch, ImageInfo, KeyInfo, KnownFile, StoreInfo, chunks_of, today
from cvsim.stores.milvus_connection import (
    MAX_EMBEDDED_ROWS,
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
    file_row,
    known_of,
    number_of,
    pair_rows,
    row_of,
)
from cvsim.stores.searchable import SearchableStore, row_id

_PAGE_ROWS = 8000
_PAGE_BLOBS = 400
MAX_IN_EXPRESSION = 1000
_BY_DIGEST = ("file", "decoded", "image", "keyed")


class MilvusStore(SearchableStore):
    """What a store in Milvus keeps; `cvsim.stores.milvus` searches it.

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
        per_query = _PAGE_BLOBS if "data" in fields and collection == "artefact" else MAX_IN_EXPRESSION
        for some in chunks_of(ids, per_query):
            yield from self._rows(collection, f"id in {json.dumps(some)}", fields)

    def _by_number(
        self, collection: str, condition: str, digests: Collection[str], fields: Sequence[str]
    ) -> Iterator[dict[str, Any]]:
        """Rows that belong to contents; `fields` includes ``a``."""
        wanted = frozenset(digests)
        for some in chunks_of(wanted, MAX_IN_EXPRESSION):
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
        for some in chunks_of(paths, MAX_IN_EXPRESSION):
            self._delete_where("record", f"id in {json.dumps([row_id('file', path.hex()) for path in some])}")
            self._delete_where("record", f'kind == "label" and b in {json.dumps([p.hex() for p in some])}')

    def _delete(self, digests: Collection[str]) -> None:
        for some in chunks_of(digests, MAX_IN_EXPRESSION):
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

    @abstractmethod
    def _delete_keys_of(self, numbers: str) -> None:
        """Forget what contents are found by; `numbers` is a condition."""
