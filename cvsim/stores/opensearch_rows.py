"""The rows of an index in OpenSearch: its three indices, and how what is kept becomes rows of them.

`record` and `artefact` hold what a store keeps. `found` has one row for each content, with all that it is
found by, so that a content is found whole or not at all: words of keypoints and bands of hashes as terms of
an inverted index, hashes, words and vectors as values, labels and folders to narrow a search down.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.stores.base import Batch, KnownFile
from cvsim.stores.searchable import ancestors, as_text, row_id

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.stores.opensearch_dialects import Dialect
    from cvsim.stores.searchable import ImageKeys

ENGINE_LAYOUT = "1"
N_BANDS, BAND_BITS = 4, 16
MAX_BAND_TERMS = 40_000
"""Terms of one search; an engine takes 65,536. Where a radius needs more, all hashes are looked at."""
_MAX_TERM = 8000
"""Characters of a label that count: a term has at most 32,766 bytes."""

_TERM = {"type": "keyword", "doc_values": False, "norms": False}
_VALUE = {"type": "keyword"}
_KEPT_TEXT = {"type": "keyword", "index": False, "doc_values": False}

MAPPINGS: dict[str, dict[str, Any]] = {
    "record": {
        "kind": _VALUE,
        "key": _VALUE,
        "a": _VALUE,
        "b": _TERM,
        "label": _VALUE,
        "day": {"type": "integer"},
        "data": _KEPT_TEXT,
    },
    "artefact": {
        "key": _VALUE,
        "a": _VALUE,
        "n_bytes": {"type": "long", "index": False},
        "data": {"type": "binary"},
    },
    "found": {
        "digest": _VALUE,
        "bands": _TERM,
        "vectors": _TERM,
        "labels": _VALUE,
        "folders": _VALUE,
    },
}

KeyedRow = tuple[str, dict[str, Any]]
"""A key and what it holds."""


# --- what is kept ------------------------------------------------------------------------------------------


def file_row(path: bytes, known: KnownFile) -> KeyedRow:
    """Make the row of a known file."""
    row = {"kind": "file", "a": known.digest, "b": path.hex(), "data": json.dumps(known[:4])}
    return row_id("file", path.hex()), row


def known_of(rows: Iterable[Mapping[str, Any]]) -> dict[bytes, KnownFile]:
    """The files that rows of the kind ``file`` tell of, by path."""
    found = {}
    for row in rows:
        size_bytes, mtime_ns, inode, device = json.loads(row["data"])
        found[bytes.fromhex(row["b"])] = KnownFile(size_bytes, mtime_ns, inode, device, row["a"])
    return found


def description_row(name: str, value: str) -> KeyedRow:
    """Make the row of a note about the store."""
    return row_id("description", name), {"kind": "description", "key": name, "data": value}


def label_row(path: bytes, label: str) -> KeyedRow:
    """Make the row of a file's label."""
    row = {"kind": "label", "label": label_term(label), "b": path.hex(), "data": json.dumps(as_text(label))}
    return row_id("label", path.hex(), as_text(label)), row


def label_term(label: str) -> str:
    """What a label is found by."""
    return as_text(label)[:_MAX_TERM]


def image_row(digest: str, day: int) -> KeyedRow:
    """Make the row that says that a content is known, and when it was used."""
    return row_id("image", digest), {"kind": "image", "a": digest, "day": day}


def decoded_rows(batch: Batch) -> Iterator[KeyedRow]:
    """Make the rows that say what decoding gave, or why it failed."""
    for x in batch.extractions:
        outcome = x.image if x.image is not None else x.failure
        if outcome is not None:
            kind = "failure" if x.image is None else "image"
            # Escaped, since a reason may quote a file name that is not UTF-8.
            row = {"kind": "decoded", "key": x.decoder, "a": x.digest, "b": kind, "data": json.dumps(outcome)}
            yield row_id("decoded", x.decoder, x.digest), row


def artefact_rows(batch: Batch) -> Iterator[KeyedRow]:
    """Make the rows of descriptors and other artefacts; one without data is no evidence."""
    for x in batch.extractions:
        for key, blob in x.artefacts.items():
            row: dict[str, Any] = {"key": key, "a": x.digest, "n_bytes": len(blob or b"")}
            if blob is not None:
                row["data"] = base64.b64encode(blob).decode()
            yield row_id("artefact", key, x.digest), row


def pair_rows(batch: Batch) -> Iterator[KeyedRow]:
    """Make the rows of verified pairs."""
    for key, results in batch.pairs.items():
        for (a, b), blob in results.items():
            data = base64.b64encode(blob).decode()
            yield row_id("pair", key, a, b), {"kind": "pair", "key": key, "a": a, "b": b, "data": data}


# --- what contents are found by ----------------------------------------------------------------------------


def field_of(kind: str, space: str) -> str:
    """Name the field that holds the hashes, words or vectors of a space."""
    return f"{kind}_{row_id(space)[:12]}"


def fields_for(keys: Iterable[ImageKeys], dialect: Dialect) -> dict[str, dict[str, Any]]:
    """The fields that some contents need, and their types."""
    fields: dict[str, dict[str, Any]] = {}
    for found in keys:
        for space in found.hashes:
            fields[field_of("hash", space)] = {"type": "long", "index": False}
        for space in found.words:
            # Terms to find them by, and numbers to count them.
            fields[field_of("word", space)] = {"type": "integer", "index": False, "fields": {"term": _TERM}}
        for space, vector in found.vectors.items():
            fields[field_of("near", space)] = dialect.mapping(len(vector))
            fields[field_of("vector", space)] = {"type": "binary"}
    return fields


def found_row(digest: str, keys: ImageKeys, dialect: Dialect) -> dict[str, Any]:
    """Make the row by which one content is found, without labels and folders."""
    row: dict[str, Any] = {"digest": digest}
    bands: list[str] = []
    for space, hashes in keys.hashes.items():
        values = np.unique(hashes)
        row[field_of("hash", space)] = values.view(np.int64).tolist()
        for band in range(N_BANDS):
            bands += _band_terms(space, band, np.unique(_band(values, band)))
    for space, words in keys.words.items():
        row[field_of("word", space)] = np.unique(words).astype(np.int64).tolist()
    for space, vector in keys.vectors.items():
        # In half precision, as in an embedded index, so that both find the same neighbours.
        half = vector.astype("<f2")
        row[field_of("vector", space)] = base64.b64encode(half.tobytes()).decode()
        row[field_of("near", space)] = dialect.stored(half.astype(np.float32))
    row["bands"] = bands
    row["vectors"] = [field_of("near", space) for space in keys.vectors]
    return row


def vector_of(data: str) -> NDArray[np.float32]:
    """A stored vector."""
    return np.frombuffer(base64.b64decode(data), "<f2").astype(np.float32)


def folders_of(paths: Iterable[bytes]) -> list[str]:
    """All folders that some files lie in, as terms."""
    return sorted({folder.hex() for path in paths for folder in ancestors(path)})


def _band(values: NDArray[np.uint64], band: int) -> NDArray[np.int64]:
    return ((values >> np.uint64(BAND_BITS * band)) & np.uint64((1 << BAND_BITS) - 1)).astype(np.int64)


def _band_terms(space: str, band: int, values: NDArray[np.int64]) -> list[str]:
    start = f"{row_id(space)[:7]}{band}"
    return [f"{start}{value:04x}" for value in values.tolist()]


def terms_within(space: str, values: NDArray[np.uint64], radius_bits: int) -> list[str] | None:
    """Terms of which each hash within the radius of one of `values` has at least one; None: too many.

    Of `r + 1` flips that are shared out among the bands, one band must get fewer than its share (the
    pigeonhole principle, as in M. Norouzi et al., "Fast exact search in Hamming space with multi-index
    hashing", TPAMI 36, 2014): where the shares are t + 1 and sum to r + 1, one differs by t bits at most.
    """
    share, extra = divmod(radius_bits + 1, N_BANDS)
    terms: list[str] = []
    for band in range(N_BANDS):
        at_most = share - 1 + (band < extra)
        if at_most < 0:
            continue
        masks = _FLIPS[at_most] if at_most < len(_FLIPS) else None
        if masks is None or len(masks) * len(values) > 4 * MAX_BAND_TERMS:
            return None
        near = np.unique(_band(values, band)[:, None] ^ masks[None, :])
        terms += _band_terms(space, band, near)
        if len(terms) > MAX_BAND_TERMS:
            return None
    return terms


_FLIPS = [
    np.flatnonzero(np.bitwise_count(np.arange(1 << BAND_BITS, dtype=np.uint16)) <= n).astype(np.int64)
    for n in range(5)
]


def any_of(field: str, values: Collection[str]) -> dict[str, Any]:
    """The query for rows whose field is one of these."""
    return {"terms": {field: list(values)}}


def all_of(*conditions: dict[str, Any]) -> dict[str, Any]:
    """The query for rows that fulfil all conditions."""
    return {"bool": {"filter": list(conditions)}}


def of_kind(kind: str, **exactly: str) -> dict[str, Any]:
    """The query for records of a kind with these values."""
    return all_of({"term": {"kind": kind}}, *({"term": {name: value}} for name, value in exactly.items()))
