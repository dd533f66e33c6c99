"""The rows of an index in Milvus: its collections, and how everything that is kept becomes rows of them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.stores.base import Batch, KnownFile
from cvsim.stores.searchable import as_text, row_id

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.stores.searchable import ImageKeys

LAYOUT = "1"
_NUMBER_DIGITS = 15
"""Hexadecimal digits of a digest that make the number by which Milvus finds it: 60 bits."""
N_NUMBERS = 1 << 4 * _NUMBER_DIGITS
_WORD_BITS = 32
_PART_BYTES = 48_000
"""Bytes of a blob that fit into one row: a text of Milvus has at most 65,535 characters."""
_NO_VECTOR = b"\0"
RECORD = (
    ("id", "VARCHAR", 64),
    ("kind", "VARCHAR", 16),
    ("key", "VARCHAR", 1000),
    ("a", "VARCHAR", 64),
    ("b", "VARCHAR", 9000),
    ("number", "INT64", 0),
    ("data", "VARCHAR", 65_535),
    ("none", "BINARY_VECTOR", 8),  # Milvus demands a vector of each collection
)
WORD = (
    ("id", "INT64", 0),
    ("code", "INT64", 0),
    ("number", "INT64", 0),
    ("none", "BINARY_VECTOR", 8),
)


def found_by(vector: tuple[str, str, int]) -> tuple[tuple[str, str, int], ...]:
    """The fields of a collection of vectors that contents are found by."""
    return (
        ("id", "INT64", 0),
        ("number", "INT64", 0),
        ("space", "INT64", 0),
        ("digest", "VARCHAR", 64),
        vector,
    )


HASH = found_by(("vector", "BINARY_VECTOR", 64))


def number_of(digest: str) -> int:
    """Turn the head of a digest into the number by which its rows are found."""
    return int(digest[:_NUMBER_DIGITS], 16)


def space_number(space: str) -> int:
    """Turn the name of a space into a number of 28 bits."""
    return int(row_id(space)[:7], 16)


def word_codes(space: str, words: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Words of a space as one number each."""
    return (np.int64(space_number(space)) << _WORD_BITS) | words.astype(np.int64)


def row_of(kind: str, key: str, a: str, b: str, data: str) -> dict[str, Any]:
    """Make a row of the collection of records."""
    number = number_of(a or row_id(kind, key, b))
    id = row_id(kind, key, a) if not b or kind == "decoded" else row_id(kind, key, a, b)
    return {"id": id, "kind": kind, "key": key, "a": a, "b": b, "number": number, "data": data} | {
        "none": _NO_VECTOR
    }


def description_row(name: str, value: str) -> dict[str, Any]:
    """Make the row of a note about the store."""
    return {**row_of("description", name, "", "", value), "id": row_id("description", name)}


def file_row(path: bytes, known: KnownFile) -> dict[str, Any]:
    """Make the row of a known file."""
    row = row_of("file", "", known.digest, path.hex(), json.dumps(known[:4]))
    return {**row, "id": row_id("file", path.hex())}


def label_row(path: bytes, label: str) -> dict[str, Any]:
    """Make the row of a file's label."""
    return row_of("label", "", row_id("label", as_text(label)), path.hex(), as_text(label))


def decoded_rows(batch: Batch) -> Iterator[dict[str, Any]]:
    """Make the rows that say what decoding gave, or why it failed."""
    for x in batch.extractions:
        if x.image is not None:
            yield row_of("decoded", x.decoder, x.digest, "image", json.dumps(x.image))
        elif x.failure is not None:
            yield row_of("decoded", x.decoder, x.digest, "failure", json.dumps(x.failure))


def artefact_rows(batch: Batch) -> Iterator[dict[str, Any]]:
    """Make the rows of descriptors and other artefacts."""
    for x in batch.extractions:
        for key, blob in x.artefacts.items():
            yield from _blob_rows(key, x.digest, blob)


def _blob_rows(key: str, digest: str, blob: bytes | None) -> Iterator[dict[str, Any]]:
    """The rows of one blob: the first says how many there are (0: no evidence), and how many bytes."""
    parts = (
        [] if blob is None else [blob[i : i + _PART_BYTES] for i in range(0, len(blob), _PART_BYTES)] or [b""]
    )
    for k, part in list(enumerate(parts))[::-1]:
        row = row_of("artefact" if k == 0 else "part", key, digest, "", base64.b64encode(part).decode())
        yield {**row, "id": row_id("artefact", key, digest, str(k)), "b": f"{len(parts)}:{len(blob or b'')}"}
    if blob is None:
        row = row_of("artefact", key, digest, "", "")
        yield {**row, "id": row_id("artefact", key, digest, "0"), "b": "0:0"}


def pair_rows(batch: Batch) -> Iterator[dict[str, Any]]:
    """Make the rows of verified pairs."""
    for key, results in batch.pairs.items():
        for (a, b), blob in results.items():
            yield row_of("pair", key, a, b, base64.b64encode(blob).decode())


def known_of(rows: Iterable[Mapping[str, Any]]) -> dict[bytes, KnownFile]:
    """The files that rows of the kind ``file`` tell of, by path."""
    found = {}
    for row in rows:
        size_bytes, mtime_ns, inode, device = json.loads(row["data"])
        found[bytes.fromhex(row["b"])] = KnownFile(size_bytes, mtime_ns, inode, device, row["a"])
    return found


def word_rows(digest: str, keys: ImageKeys) -> Iterator[dict[str, Any]]:
    """Make a row for each word of a content."""
    number = number_of(digest)
    for space, words in keys.words.items():
        codes = np.unique(word_codes(space, words))
        for id, code in zip(_mixed(codes, number).tolist(), codes.tolist(), strict=True):
            yield {"id": id, "code": code, "number": number, "none": _NO_VECTOR}


def _mixed(codes: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """A key of 63 bits for each code of one content (the finaliser of SplitMix64)."""
    z = codes.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) ^ np.uint64(number)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(1)).astype(np.int64)


def hash_rows(digest: str, keys: ImageKeys) -> Iterator[dict[str, Any]]:
    """Make a row for each hash of a content."""
    for space, hashes in keys.hashes.items():
        for value in np.unique(hashes).tolist():
            row = {"number": number_of(digest), "space": space_number(space), "digest": digest}
            id = int(row_id("hash", space, digest, str(value))[:_NUMBER_DIGITS], 16)
            yield {"id": id, **row, "vector": value.to_bytes(8, "big")}


def vector_rows(digest: str, keys: ImageKeys) -> Iterator[dict[str, Any]]:
    """Make a row for each vector of a content."""
    for space, vector in keys.vectors.items():
        row = {"number": number_of(digest), "space": space_number(space), "digest": digest}
        id = int(row_id("vector", space, digest)[:_NUMBER_DIGITS], 16)
        # In half precision, as in an embedded index, so that both find the same neighbours.
        yield {"id": id, **row, "vector": vector.astype(np.float16).astype(np.float32).tolist()}
