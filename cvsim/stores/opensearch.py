"""An index in OpenSearch, or in Elasticsearch: for those who keep their other indexes there.

An index is three of the engine's, whose names begin with its own; `cvsim.stores.opensearch_rows` says what
is in them. There are no transactions: rows are written in an order in which nothing counts before all of it
is there. Keys of rows are digests of what they are about, so that writing one twice is once. What a killed
run, or a killed node, leaves behind is not found by a search, and is written again by the next run.

The engine searches what it was told to make searchable (a refresh). This store asks for that before it
searches what it wrote itself; what others write is found a second later.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.errors import StoreError
from cvsim.stores.base import Batch, ImageInfo, KeyInfo, KnownFile, StoreInfo, chunks_of, today
from cvsim.stores.opensearch_connection import (
    Address,
    Change,
    OpenSearchConnection,
    no_index,
    other_index,
)
from cvsim.stores.opensearch_dialects import DIALECTS, Dialect
from cvsim.stores.opensearch_rows import (
    LAYOUT,
    MAPPINGS,
    all_of,
    any_of,
    artefact_rows,
    decoded_rows,
    description_row,
    field_of,
    fields_for,
    file_row,
    folders_of,
    found_row,
    image_row,
    known_of,
    label_row,
    label_term,
    of_kind,
    pair_rows,
    terms_within,
    vector_of,
)
from cvsim.stores.searchable import ImageKeys, Narrowing, SearchableStore, row_id

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.stores.opensearch_rows import Row

_IDS_IN = 1000
_BLOBS_IN = 200
_MAX_HITS = 10_000
"""Rows of one search, by the engine's default."""
_MAX_CLAUSES = 1000
"""Conditions of one query; the engine's default is 1,024."""
_COUNTED = 512
"""Contents whose shared words are counted one by one, where a query has more words than conditions."""
_WITHIN = (
    "for (def stored : doc[params.f]) { for (def asked : params.q) { "
    "if (Long.bitCount((long) stored ^ (long) asked) <= params.r) return true; } } return false;"
)


class OpenSearchIndex(SearchableStore):
    """A searchable store in OpenSearch.

    A batch is written row by row: a process that is killed may leave a part of one, never a part of an
    `Extraction` that counts as known.

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
        if noted.get("layout") != LAYOUT:
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
        noted = {"layout": LAYOUT}
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

    def _upsert(self, collection: str, rows: Iterable[Row]) -> None:
        name = self._name(collection)
        self._engine.write(Change("index", name, id, row) for id, row in rows)

    def _by_id(
        self, collection: str, ids: Collection[str], fields: Sequence[str] | bool = True
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for some in chunks_of(ids, _BLOBS_IN if collection == "artefact" and fields else _IDS_IN):
            yield from self._engine.rows_by_id(self._name(collection), some, fields)

    def _sweep(self, collection: str, query: dict[str, Any], *fields: str) -> Iterator[dict[str, Any]]:
        """Fields of all rows that a query finds."""
        page = _BLOBS_IN if "data" in fields and collection == "artefact" else _IDS_IN
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
        for some in chunks_of([path.hex() for path in paths], _IDS_IN):
            query = all_of(any_of("kind", ["file", "label"]), any_of("b", some))
            self._engine.delete(self._name("record"), query)
        self._narrow_anew(affected)

    def _delete(self, digests: Collection[str]) -> None:
        for some in chunks_of(digests, _IDS_IN):
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

    # Keys

    def describe(self, name: str, value: str) -> str:
        """Read a note of the store, which keeps `value` if it has none; see `SearchableStore.describe`."""
        self.flush()
        id, row = description_row(name, value)
        if self._engine.create_row(Change("create", self._name("record"), id, row)):
            return value
        return self._described(name) or ""

    def note(self, name: str, value: str) -> str:
        """Write a note; see `SearchableStore.note`."""
        self.flush()
        found = self._described(name)
        self._upsert("record", [description_row(name, value)])
        return found or ""

    def _described(self, name: str) -> str | None:
        rows = self._by_id("record", [row_id("description", name)])
        return next((str(row["data"]) for _, row in rows), None)

    def put_keys(self, keys: Mapping[str, ImageKeys]) -> None:
        """Add what contents are found by; see `SearchableStore.put_keys`."""
        self.flush()
        new = fields_for(keys.values(), self._dialect)
        if any(field not in self._fields for field in new):
            path = f"/{self._name('found')}/_mapping"
            self._engine.call("PUT", path, {"properties": new}, doing="write to")
            self._fields |= new.keys()
        narrowed = self._narrowings(keys)
        self._upsert(
            "found",
            ((d, {**found_row(d, found, self._dialect), **narrowed[d]}) for d, found in keys.items()),
        )

    def _narrowings(self, digests: Collection[str]) -> dict[str, dict[str, list[str]]]:
        """The labels of contents, and the folders that they lie in, as terms."""
        files = self.files_of(digests)
        labels = self.labels_of([path for paths in files.values() for path in paths])
        found = {}
        for digest in digests:
            paths = files.get(digest, [])
            terms = {label_term(label) for path in paths for label in labels.get(path, ())}
            found[digest] = {"labels": sorted(terms), "folders": folders_of(paths)}
        return found

    def _narrow_anew(self, digests: Collection[str]) -> None:
        """Have contents that can be found narrowed down by the labels and folders that they now have."""
        affected = self._keyed(digests)
        if affected:
            name, narrowed = self._name("found"), self._narrowings(affected)
            self._engine.write(Change("update", name, digest, terms) for digest, terms in narrowed.items())

    def keyed(self, digests: Collection[str] | None = None) -> set[str]:
        """Tell which contents can be found; see `SearchableStore.keyed`."""
        self.flush()
        return self._keyed(digests)

    def _keyed(self, digests: Collection[str] | None) -> set[str]:
        if digests is None:
            return {row["digest"] for row in self._sweep("found", {"match_all": {}}, "digest")}
        return {id for id, _ in self._by_id("found", list(digests), False)}

    def n_keyed(self) -> int:
        """Count the contents that can be found."""
        self.flush()
        return self._engine.count(self._name("found"), {"match_all": {}})

    # Search

    def _hits(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._engine.search(self._name("found"), body)["hits"]["hits"]
        return found

    def within_bits(self, space: str, hashes: NDArray[np.uint64], radius_bits: int) -> set[str]:
        """Find the hashes within a radius; see `SearchableStore.within_bits`."""
        self.flush()
        field, values = field_of("hash", space), np.unique(hashes)
        if not len(values) or not self._has(field):
            return set()
        terms = terms_within(space, values, radius_bits)
        params = {"f": field, "q": values.view(np.int64).tolist(), "r": radius_bits}
        exact = {"script": {"script": {"source": _WITHIN, "params": params}}}
        query = all_of(exact) if terms is None else all_of(any_of("bands", terms), exact)
        hits = self._hits({"query": query, "_source": False, "size": _MAX_HITS, "sort": ["_doc"]})
        if len(hits) < _MAX_HITS:
            return {hit["_id"] for hit in hits}
        return {row["digest"] for row in self._sweep("found", query, "digest")}

    def by_words(
        self,
        space: str,
        words: NDArray[np.uint32],
        limit: int,
        at_least: int = 1,
        narrowing: Narrowing | None = None,
    ) -> list[tuple[str, int]]:
        """Find what shares words with the query; see `SearchableStore.by_words`.

        A query of more words than the engine takes conditions is asked in groups of words: of what shares
        words of the most groups, each word is counted.
        """
        self.flush()
        field, asked = field_of("word", space), np.unique(words)
        if not len(asked) or not self._has(field):
            return []
        values = asked.astype(np.int64).tolist()
        n_groups = min(len(values), _MAX_CLAUSES)
        is_exact = n_groups == len(values)
        groups = [
            {"constant_score": {"filter": any_of(f"{field}.term", [str(v) for v in values[k::n_groups]])}}
            for k in range(n_groups)
        ]
        query = {
            "bool": {
                "should": groups,
                "minimum_should_match": min(at_least, n_groups) if is_exact else 1,
                "filter": _filters(narrowing),
            }
        }
        body: dict[str, Any] = {"query": query, "_source": False, "track_total_hits": False}
        if is_exact:
            hits = self._hits({**body, "size": min(limit, _MAX_HITS), "sort": ["_score", "digest"]})
            shared = [(hit["_id"], round(hit["_score"])) for hit in hits]
        else:
            size = min(max(4 * limit, _COUNTED), _MAX_HITS)
            hits = self._hits({**body, "size": size, "docvalue_fields": [field]})
            shared = [(hit["_id"], _n_shared(hit, field, asked)) for hit in hits]
        best = sorted((-n, digest) for digest, n in shared if n >= at_least)[:limit]
        return [(digest, -n) for n, digest in best]

    def nearest(
        self, space: str, vector: NDArray[np.float32], limit: int, narrowing: Narrowing | None = None
    ) -> list[tuple[str, float]]:
        """Find the nearest vectors; see `SearchableStore.nearest`.

        Of many vectors the engine finds about the nearest, by a graph; of few, or without its plug-in,
        exactly.
        """
        self.flush()
        near, field = field_of("near", space), field_of("vector", space)
        if limit < 1 or not self._has(near):
            return []
        vector = vector.astype(np.float32)
        is_small = self._engine.count(self._name("found"), {"match_all": {}}) <= self._dialect.exact_up_to
        search = self._dialect.exact if is_small else self._dialect.near
        body = search(near, vector, limit, _filters(narrowing))
        hits = self._hits({**body, "_source": [field], "track_total_hits": False})
        if not hits:
            return []
        stored = np.stack([vector_of(hit["_source"][field]) for hit in hits])
        cosines = stored @ vector / (np.linalg.norm(stored, axis=1) * (np.linalg.norm(vector) or 1.0))
        best = sorted((-float(c), hit["_id"]) for c, hit in zip(cosines, hits, strict=True))[:limit]
        return [(digest, -cosine) for cosine, digest in best]

    # Files and labels

    def files_of(self, digests: Collection[str]) -> dict[str, list[bytes]]:
        """Name the files of these contents; see `SearchableStore.files_of`."""
        self.flush()
        found: dict[str, list[bytes]] = {}
        for some in chunks_of(frozenset(digests), _IDS_IN):
            query = all_of({"term": {"kind": "file"}}, any_of("a", some))
            for row in self._sweep("record", query, "a", "b"):
                found.setdefault(row["a"], []).append(bytes.fromhex(row["b"]))
        return {digest: sorted(paths) for digest, paths in found.items()}

    def put_labels(self, labels: Iterable[tuple[bytes, str]]) -> None:
        """Add labels; see `SearchableStore.put_labels`."""
        self.flush()
        rows = list(dict.fromkeys(labels))
        paths = {path for path, _ in rows}
        for some in chunks_of([path.hex() for path in paths], _IDS_IN):
            self._engine.delete(self._name("record"), all_of({"term": {"kind": "label"}}, any_of("b", some)))
        self._upsert("record", (label_row(path, label) for path, label in rows))
        if paths:
            self._narrow_anew({known.digest for known in self._known_files(paths).values()})

    def labels_of(self, paths: Collection[bytes]) -> dict[bytes, tuple[str, ...]]:
        """Name the labels of these files; see `SearchableStore.labels_of`."""
        found: dict[bytes, list[str]] = {}
        for some in chunks_of([path.hex() for path in paths], _IDS_IN):
            query = all_of({"term": {"kind": "label"}}, any_of("b", some))
            for row in self._sweep("record", query, "b", "data"):
                found.setdefault(bytes.fromhex(row["b"]), []).append(json.loads(row["data"]))
        return {path: tuple(sorted(labels)) for path, labels in found.items()}

    def labelled(self, label: str) -> set[str]:
        """Tell which contents bear a label; see `SearchableStore.labelled`."""
        rows = self._sweep("record", of_kind("label", label=label_term(label)), "b")
        paths = [bytes.fromhex(row["b"]) for row in rows]
        return {known.digest for known in self.known_files(paths).values()}

    def labels(self, limit: int) -> list[tuple[str, int]]:
        """Name the labels that most files bear; see `SearchableStore.labels`."""
        self.flush()
        counted = {"labels": {"terms": {"field": "label", "size": limit}}}
        body = {"query": of_kind("label"), "size": 0, "aggs": counted}
        answer = self._engine.search(self._name("record"), body)
        return sorted((b["key"], int(b["doc_count"])) for b in answer["aggregations"]["labels"]["buckets"])

    def folders(self, limit: int) -> list[tuple[bytes, int]]:
        """Name the folders in which the most contents lie; see `SearchableStore.folders`."""
        self.flush()
        counted = {"folders": {"terms": {"field": "folders", "size": limit}}}
        answer = self._engine.search(self._name("found"), {"size": 0, "aggs": counted})
        buckets = answer["aggregations"]["folders"]["buckets"]
        return sorted((bytes.fromhex(b["key"]), int(b["doc_count"])) for b in buckets)


def _filters(narrowing: Narrowing | None) -> list[dict[str, Any]]:
    """The conditions that narrow a search down."""
    if narrowing is None:
        return []
    found = []
    if narrowing.label is not None:
        found.append({"term": {"labels": label_term(narrowing.label)}})
    if narrowing.folder is not None:
        found.append({"term": {"folders": narrowing.folder.hex()}})
    return found


def _n_shared(hit: Mapping[str, Any], field: str, asked: NDArray[np.uint32]) -> int:
    held = np.array(hit.get("fields", {}).get(field, ()), np.uint32)
    at = np.minimum(np.searchsorted(asked, held), len(asked) - 1)
    return int((asked[at] == held).sum())
