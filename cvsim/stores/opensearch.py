"""An index in OpenSearch, or in Elasticsearch: for those who keep their other indexes there.

An index is three of the engine's, whose names begin with its own; `cvsim.stores.opensearch_rows` says what
is in them. There are no transactions: rows are written in an order in which nothing counts before all of it
is there. Keys of rows are digests of what they are about, so that writing one twice is once. What a killed
run, or a killed node, leaves behind is not found by a search, and is written again by the next run.

The engine searches what it was told to make searchable (a refresh). This store asks for that before it
searches what it wrote itself; what others write is found a second later.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.stores.base import chunks_of
from cvsim.stores.opensearch_connection import Change
from cvsim.stores.opensearch_rows import (
    all_of,
    any_of,
    description_row,
    field_of,
    fields_for,
    folders_of,
    found_row,
    label_row,
    label_term,
    of_kind,
    terms_within,
    vector_of,
)
from cvsim.stores.opensearch_store import IDS_IN, OpenSearchStore
from cvsim.stores.searchable import ImageKeys, Narrowing, row_id

if TYPE_CHECKING:
    from numpy.typing import NDArray

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


class OpenSearchIndex(OpenSearchStore):
    """A searchable store in OpenSearch; see `OpenSearchStore` for its parameters."""

    # Keys

    def describe(self, name: str, value: str) -> str:
        """Read a note of the store, which keeps `value` if it has none; see `SearchableStore.describe`."""
        self.flush()
        id, row = description_row(name, value)
        if self._engine.create_row(Change("create", self._name("record"), id, row)):
            return value
        return self._described(name) or ""

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
        files = self._files_of(digests)
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
        return self._files_of(digests)

    def _files_of(self, digests: Collection[str]) -> dict[str, list[bytes]]:
        found: dict[str, list[bytes]] = {}
        for some in chunks_of(frozenset(digests), IDS_IN):
            query = all_of({"term": {"kind": "file"}}, any_of("a", some))
            for row in self._sweep("record", query, "a", "b"):
                found.setdefault(row["a"], []).append(bytes.fromhex(row["b"]))
        return {digest: sorted(paths) for digest, paths in found.items()}

    def put_labels(self, labels: Iterable[tuple[bytes, str]]) -> None:
        """Add labels; see `SearchableStore.put_labels`."""
        self.flush()
        rows = list(dict.fromkeys(labels))
        paths = {path for path, _ in rows}
        for some in chunks_of([path.hex() for path in paths], IDS_IN):
            self._engine.delete(self._name("record"), all_of({"term": {"kind": "label"}}, any_of("b", some)))
        self._upsert("record", (label_row(path, label) for path, label in rows))
        if paths:
            self._narrow_anew({known.digest for known in self._known_files(paths).values()})

    def labels_of(self, paths: Collection[bytes]) -> dict[bytes, tuple[str, ...]]:
        """Name the labels of these files; see `SearchableStore.labels_of`."""
        found: dict[bytes, list[str]] = {}
        for some in chunks_of([path.hex() for path in paths], IDS_IN):
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
