"""The rows of an embedded store: the tables, their numbers, and the checksum that each row must bear."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from cvsim.stores.base import Extraction
from cvsim.stores.sums import blob_sum, row_sum

SCHEMA_VERSION = 2
KEY_SHIFT = 40
IMAGE_MASK = (1 << KEY_SHIFT) - 1
CHUNK_KEYS = 1000
"""Values in one ``IN (...)``: SQLite allows 32,766, and more than this gains nothing."""

CACHE_TABLES = """
CREATE TABLE key (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE image (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, used_day INTEGER NOT NULL);
CREATE TABLE file (
    path BLOB PRIMARY KEY, size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL, device INTEGER NOT NULL, image_id INTEGER NOT NULL, sum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE decoded (
    id INTEGER PRIMARY KEY, width_px INTEGER, height_px INTEGER, format TEXT, damaged INTEGER,
    taken_at TEXT, has_gps INTEGER, failure BLOB, sum INTEGER NOT NULL
);
CREATE TABLE artefact (id INTEGER PRIMARY KEY, sum INTEGER NOT NULL, data BLOB);
CREATE TABLE pair (
    key_id INTEGER NOT NULL, a_id INTEGER NOT NULL, b_id INTEGER NOT NULL, data BLOB NOT NULL,
    sum INTEGER NOT NULL,
    PRIMARY KEY (key_id, a_id, b_id)
) WITHOUT ROWID;
"""
PRIMARY_KEYS = {
    "file": ("path",), "decoded": ("id",), "artefact": ("id",), "pair": ("key_id", "a_id", "b_id"),
}  # fmt: skip
"""The tables whose rows bear a checksum."""
_COLUMNS = {
    "file": "size_bytes, mtime_ns, inode, device, image_id",
    "decoded": "width_px, height_px, format, damaged, taken_at, has_gps, failure",
    "artefact": "data",
    "pair": "data",
}
DECODED_COLUMNS = "r.width_px, r.height_px, r.format, r.damaged, r.taken_at, r.has_gps, r.failure, r.sum"
ALL_TABLES = ("pair", "artefact", "decoded", "file", "image", "key")


def damaged_rows(db: sqlite3.Connection) -> tuple[int, dict[str, list[tuple[Any, ...]]]]:
    """How many rows there are, and the primary keys of those that are damaged, by table."""
    n_rows = 0
    damaged: dict[str, list[tuple[Any, ...]]] = {table: [] for table in PRIMARY_KEYS}
    keys = {id: text for text, id in db.execute("SELECT text, id FROM key")}
    names = dict(db.execute("SELECT id, digest FROM image"))
    expected: int | None
    for table, wanted in _expected_sums(keys, names).items():
        columns = ", ".join(PRIMARY_KEYS[table])
        n_primary = len(PRIMARY_KEYS[table])
        for row in db.execute(f"SELECT {columns}, sum, {_COLUMNS[table]} FROM {table}"):
            n_rows += 1
            try:
                expected = wanted(*row[:n_primary], *row[n_primary + 1 :])
            except TypeError:  # a number of the row is none
                expected = None
            if expected is None or row[n_primary] != expected:
                damaged[table].append(row[:n_primary])
    return n_rows, damaged


def _expected_sums(keys: Mapping[int, str], names: Mapping[int, Any]) -> dict[str, Callable[..., int]]:
    """By table: the checksum that a row must have."""
    sums = {id: row_sum(text) for id, text in keys.items()}

    def name(id: int) -> str:
        return hex_of(names.get(id))

    def of_file(path: Any, size: Any, mtime: Any, inode: Any, device: Any, image: Any) -> int:
        return row_sum(path, size, mtime, inode, device, name(image))

    def of_decoded(id: int, *row: Any) -> int:
        return row_sum(keys.get(id >> KEY_SHIFT), name(id & IMAGE_MASK), *row)

    def of_artefact(id: int, data: Any) -> int:
        return blob_sum(sums.get(id >> KEY_SHIFT, 0), names.get(id & IMAGE_MASK), data)

    def of_pair(key: int, a: int, b: int, data: Any) -> int:
        return blob_sum(sums.get(key, 0), f"{name(a)}{name(b)}".encode(), data)

    return {"file": of_file, "decoded": of_decoded, "artefact": of_artefact, "pair": of_pair}


def decoded_row(extraction: Extraction) -> tuple[Any, ...]:
    """What the row of a content that was decoded, or could not be, holds besides its number and checksum."""
    if extraction.image is not None:
        width, height, format, damaged, taken_at, has_gps = extraction.image
        return int(width), int(height), format, int(damaged), taken_at, int(has_gps), None
    assert extraction.failure is not None
    # A reason may quote a file name that is not UTF-8, which SQLite takes for text only as bytes.
    return (None, None, None, None, None, None, extraction.failure.encode("utf-8", "surrogatepass"))


def hex_of(digest: Any) -> str:
    """A digest as text; what is none, since the file is damaged, matches no checksum."""
    return digest.hex() if type(digest) is bytes else ""


def first_row(key_id: int) -> int:
    """The row number below the first one of a key."""
    return key_id << KEY_SHIFT


def blobs_of(digests: Collection[str] | None) -> Any:
    """Digests as the file has them."""
    return None if digests is None else [bytes.fromhex(digest) for digest in digests]


def marks(values: Sequence[Any]) -> str:
    """What stands for `values` in ``IN (...)``."""
    return ",".join("?" * len(values))
