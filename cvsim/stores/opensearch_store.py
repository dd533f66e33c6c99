"""The part of an index in OpenSearch that keeps things: files, images, artefacts and pairs."""

from __future__ import annotations

import base64
import json
from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cvsim.errors import StoreError
from cvsim.stores.base import Batch, ImageInfo, KeyInfo, KnownFile, StoreInfo, chunks_of, today
from cvsim.stores.opensearch_address import EngineAddress
from cvsim.stores.opensearch_connection import Change, OpenSearchConnection
from cvsim.stores.opensearch_dialects import DIALECTS, Dialect
from cvsim.stores.opensearch_errors import no_index, other_index
from cvsim.stores.opensearch_rows import (
    ENGINE_LAYOUT,
    MAPPINGS,
    all_of,
    any_of,
    artefact_rows,
    decoded_rows,
    file_row,
    image_row,
    known_of,
    of_kind,
    pair_rows,
)
from cvsim.stores.searchable import SearchableStore, row_id

if TYPE_CHECKING:
    from cvsim.stores.opensearch_rows import KeyedRow

IDS_IN = 1000
_BLOBS_IN = 200


class OpenSearchStore(SearchableStore):
    """What a store in OpenSearch keeps; `cvsim.stores.opensearch` searches it.

    A batch is written row by row: a process that is killed may leave a part of one, never a part of an
    `Extraction` that counts as known.

    Parameters
    ----------
    location : str
        See `EngineAddress.of`.
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
        address = EngineAddress.of(location)
        super().__init__(address.location)
        self._address = address
        self._engine = OpenSearchConnection(address)
        self._dialect: Dialect = DIALECTS["dense_vector" if self._engine.is_elasticsearch else "knn"]
        self._fields: set[str] = set()
        try:
            self._prepare(create)
        except BaseException:
            self._engine.close()
            raise

    def _name(self, collection: str) -> str:
        return f"{self._address.name}-{collection}"

    # Indices

    def _prepare(self, create: bool) -> None:
        there = {name: self._described_index(name) for name in MAPPINGS}
        if there["record"] is None and not create:
            raise no_index(self._address)
        for name, made in there.items():
            if made is None:
                self._make(name)
        self._engine.call("POST", f"/{self._all}/_refresh", doing="read")  # all that was written until now
        self._look_at_fields()

    @property
    def _all(self) -> str:
        return ",".join(self._name(name) for name in MAPPINGS)

    def _described_index(self, name: str) -> dict[str, Any] | None:
        """What is noted about one of the indices; None where there is none.

        Raises
        ------
        WrongStoreError
            It is somebody else's, or of another layout.
        """
        full = self._name(name)
        answer = self._engine.call("GET", f"/{full}/_mapping", doing="read", absent=True)
        if answer is None:
            return None
        (mapping,) = (found["mappings"] for found in answer.values())
        noted = mapping.get("_meta", {}).get("cvsim")
        if not isinstance(noted, dict):
            raise other_index(self._address, f"shares its name with another index, {full}")
        if noted.get("layout") != ENGINE_LAYOUT:
            layout = noted.get("layout")
            raise other_index(self._address, f"has the layout {layout} of another version of cvsim")
        if noted.get("dialect") in DIALECTS:
            self._dialect = DIALECTS[noted["dialect"]]
        return noted

    def _make(self, name: str) -> None:
        if name == "found" and self._dialect.name == "knn":
            try:
                self._make_with(name, self._dialect)
                return
            except StoreError as exc:
                if "index.knn" not in str(exc):  # a setting that is unknown without the plug-in
                    raise
                self._dialect = DIALECTS["script"]
        self._make_with(name, self._dialect)

    def _make_with(self, name: str, dialect: Dialect) -> None:
        settings: dict[str, Any] = {
            "index.number_of_shards": self._address.n_shards,
            "index.auto_expand_replicas": "0-1",
        }
        noted = {"layout": ENGINE_LAYOUT}
        if name == "found":
            settings |= dialect.settings
            noted["dialect"] = dialect.name
        mapping = {"dynamic": False, "_meta": {"cvsim": noted}, "properties": MAPPINGS[name]}
        body = {"settings": settings, "mappings": mapping}
        try:
            self._engine.call("PUT", f"/{self._name(name)}", body, doing="write to")
        except StoreError as exc:
            if "resource_already_exists" not in str(exc):  # another process was quicker
                raise
            self._described_index(name)

    def _look_at_fields(self) -> None:
        answer = self._engine.call("GET", f"/{self._name('found')}/_mapping", doing="read")
        (mapping,) = (found["mappings"] for found in answer.values())
        self._fields = set(mapping["properties"])

    def _has(self, field: str) -> bool:
        if field not in self._fields:
            self._look_at_fields()  # another process may have added it
        return field in self._fields

    # Rows

    def _upsert(self, collection: str, rows: Iterable[KeyedRow]) -> None:
        name = self._name(collection)
        self._engine.write(Change("index", name, id, row) for id, row in rows)

    def _by_id(
        self, collection: str, ids: Collection[str], fields: Sequence[str] | bool = True
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for some in chunks_of(ids, _BLOBS_IN if collection == "artefact" and fields else IDS_IN):
            yield from self._engine.rows_by_id(self._name(collection), some, fields)

    def _sweep(self, collection: str, query: dict[str, Any], *fields: str) -> Iterator[dict[str, Any]]:
        """Fields of all rows that a query finds."""
        page = _BLOBS_IN if "data" in fields and collection == "artefact" else IDS_IN
        for hit in self._engine.sweep(self._name(collection), query, fields, page):
            yield hit["_source"]

    # Store

    def _write(self, batch: Batch) -> None:
        day = today()
        self._upsert("artefact", artefact_rows(batch))
        self._upsert("record", pair_rows(batch))
        self._upsert("record", decoded_rows(batch))
        digests = {x.digest for x in batch.extractions} | {known.digest for known in batch.files.values()}
        digests |= {digest for results in batch.pairs.values() for pair in results for digest in pair}
        self._upsert("record", (image_row(digest, day) for digest in sorted(digests)))
        self._upsert("record", (file_row(path, known) for path, known in batch.files.items()))
        self._narrow_anew({known.digest for known in batch.files.values()})

    def _known_files(self, paths: Collection[bytes] | None) -> dict[bytes, KnownFile]:
        if paths is None:
            return known_of(self._sweep("record", of_kind("file"), "a", "b", "data"))
        rows = self._by_id("record", [row_id("file", path.hex()) for path in paths])
        return known_of(row for _, row in rows)

    def files_under(self, folder: bytes) -> dict[bytes, KnownFile]:
        """List the known files below a folder; see `SearchableStore.files_under`."""
        self.flush()
        prefix = folder.rstrip(b"/").hex() + b"/".hex()
        query = all_of({"term": {"kind": "file"}}, {"prefix": {"b": prefix}})
        return known_of(self._sweep("record", query, "a", "b", "data")) | self._known_files([folder])

    def _images(self, decoder: str, digests: Collection[str] | None) -> dict[str, ImageInfo]:
        outcomes = self._decoded(decoder, digests)
        return {digest: ImageInfo(*found) for digest, found in outcomes if isinstance(found, list)}

    def _failures(self, decoder: str, digests: Collection[str] | None) -> dict[str, str]:
        outcomes = self._decoded(decoder, digests)
        return {digest: found for digest, found in outcomes if isinstance(found, str)}

    def _decoded(self, decoder: str, digests: Collection[str] | None) -> Iterator[tuple[str, Any]]:
        if digests is None:
            rows: Iterable[Mapping[str, Any]] = self._sweep(
                "record", of_kind("decoded", key=decoder), "a", "data"
            )
        else:
            ids = [row_id("decoded", decoder, digest) for digest in digests]
            rows = (row for _, row in self._by_id("record", ids))
        return ((row["a"], json.loads(row["data"])) for row in rows)

    def _descriptors(self, key: str, digests: Collection[str] | None) -> dict[str, bytes | None]:
        if digests is None:
            rows: Iterable[Mapping[str, Any]] = self._sweep("artefact", {"term": {"key": key}}, "a", "data")
        else:
            rows = (row for _, row in self._by_id("artefact", [row_id("artefact", key, d) for d in digests]))
        return {row["a"]: base64.b64decode(row["data"]) if "data" in row else None for row in rows}

    def _complete(self, keys: tuple[str, ...], digests: Collection[str] | None) -> set[str]:
        if not keys:
            return self._marked(digests)
        found: set[str] | None = None if digests is None else set(digests)
        for key in keys:
            if found is None:
                found = {row["a"] for row in self._sweep("artefact", {"term": {"key": key}}, "a")}
            else:
                ids = {row_id("artefact", key, digest): digest for digest in found}
                found = {ids[id] for id, _ in self._by_id("artefact", ids, False)}
        assert found is not None
        return found

    def _marked(self, digests: Collection[str] | None) -> set[str]:
        """The contents that are known."""
        if digests is None:
            return {row["a"] for row in self._sweep("record", of_kind("image"), "a")}
        ids = {row_id("image", digest): digest for digest in digests}
        return {ids[id] for id, _ in self._by_id("record", ids, False)}

    def _pairs(self, key: str, digests: Collection[str] | None) -> dict[tuple[str, str], bytes]:
        wanted = None if digests is None else frozenset(digests)
        return {
            (row["a"], row["b"]): base64.b64decode(row["data"])
            for row in self._sweep("record", of_kind("pair", key=key), "a", "b", "data")
            if wanted is None or (row["a"] in wanted and row["b"] in wanted)
        }

    def _info(self) -> StoreInfo:
        sizes: dict[str, list[int]] = {}
        for row in self._sweep("artefact", {"match_all": {}}, "key", "n_bytes"):
            sizes.setdefault(row["key"], []).append(row["n_bytes"])
        return StoreInfo(
            location=self.location,
            size_bytes=self._engine.size_bytes(self._all),
            n_files=self._count(of_kind("file")),
            n_images=self._count(of_kind("decoded", b="image")),
            n_failures=self._count(of_kind("decoded", b="failure")),
            n_pairs=self._count(of_kind("pair")),
            artefacts={key: KeyInfo(len(found), sum(found)) for key, found in sorted(sizes.items())},
        )

    def _count(self, query: dict[str, Any]) -> int:
        return self._engine.count(self._name("record"), query)

    def _touch(self, digests: Collection[str], day: int) -> None:
        # Once a week is exact enough, and spares a warm run from writing.
        rows = self._by_id("record", [row_id("image", digest) for digest in digests])
        self._upsert("record", [image_row(row["a"], day) for _, row in rows if row["day"] < day - 6])

    def _forget_files(self, paths: Collection[bytes]) -> None:
        affected = {known.digest for known in self._known_files(paths).values()} if paths else set()
        for some in chunks_of([path.hex() for path in paths], IDS_IN):
            query = all_of(any_of("kind", ["file", "label"]), any_of("b", some))
            self._engine.delete(self._name("record"), query)
        self._narrow_anew(affected)

    def _delete(self, digests: Collection[str]) -> None:
        for some in chunks_of(digests, IDS_IN):
            # What makes a content known or found goes first.
            self._engine.delete(self._name("found"), any_of("digest", some))
            second_of_pair = all_of({"term": {"kind": "pair"}}, any_of("b", some))
            self._engine.delete(
                self._name("record"), {"bool": {"should": [any_of("a", some), second_of_pair]}}
            )
            self._engine.delete(self._name("artefact"), any_of("a", some))

    def _delete_keys(self, keep: set[str]) -> None:
        others = {"bool": {"must_not": [any_of("key", sorted(keep))]}}
        self._engine.delete(self._name("artefact"), others)
        self._engine.delete(self._name("record"), all_of({"term": {"kind": "pair"}}, others))

    def _orphans(self) -> set[str]:
        held = {row["a"] for row in self._sweep("record", of_kind("file"), "a")}
        return self._marked(None) - held

    def _unused_since(self, day: int) -> set[str]:
        query = all_of({"term": {"kind": "image"}}, {"range": {"day": {"lt": day}}})
        return {row["a"] for row in self._sweep("record", query, "a")}

    def _compact(self) -> None:
        pass  # the engine does so by itself

    def _clear(self) -> None:
        for name in ("found", "artefact", "record"):
            self._engine.delete(self._name(name), {"match_all": {}})

    def _close(self) -> None:
        self._engine.close()

    # What the index adds

    @abstractmethod
    def _narrow_anew(self, digests: Collection[str]) -> None:
        """Have contents that can be found narrowed down by the labels and folders that they now have."""
