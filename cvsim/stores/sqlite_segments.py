"""What an index in SQLite is searched by, packed: few large rows in place of many small ones.

The keys that are put together make a segment, which never changes: its rows are cut into blocks of a few
kilobytes (words, looked up on disk) or megabytes (hashes and vectors, gone through in memory). As in a
log-structured merge tree, `N_TO_MERGE` segments of a level are merged into one of the next, so that a row is
written a few times in its life, always in sequence; small rows in a B-tree would each dirty a page of their
own. P. O'Neil et al., "The log-structured merge-tree" (Acta Informatica 33, 1996).

A row belongs to an entry, a number that is never given twice. What is deleted only loses its entry; its rows
are passed over, and left out when their segment is merged.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cvsim.errors import DamagedStoreError
from cvsim.stores.sums import blob_sum, row_sum

if TYPE_CHECKING:
    from numpy.typing import NDArray

SegmentKind = Literal["hash", "vector", "word"]

SEGMENT_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (id INTEGER PRIMARY KEY AUTOINCREMENT, image_id INTEGER NOT NULL UNIQUE,
    sum INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS segment (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, key_id INTEGER NOT NULL,
    level INTEGER NOT NULL, n_rows INTEGER NOT NULL, width INTEGER NOT NULL, first BLOB NOT NULL,
    sum INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS block (id INTEGER PRIMARY KEY, sum INTEGER NOT NULL, data BLOB NOT NULL)
"""
N_TO_MERGE = 8
MAX_MERGED_ROWS: dict[str, int] = {"hash": 1 << 26, "vector": 1 << 20, "word": 1 << 24}
"""Larger segments are not merged any more: merging holds all of their rows in memory."""
_BLOCK_ROWS: dict[str, int] = {"hash": 1 << 18, "vector": 1 << 14, "word": 1 << 10}
_VALUES: dict[str, str] = {"hash": "<u8", "vector": "<f2", "word": "<u4"}
_BLOCK_SHIFT = 24
_IN = 1000


@dataclass(frozen=True, eq=False)
class StoredSegment:
    """Rows that were written together.

    Attributes
    ----------
    id : int
    level, n_rows, width : int
        How often it was merged; its rows; the values of each.
    first : (n_blocks,) uint32
        The first word of each block, in order.
    """

    id: int
    level: int
    n_rows: int
    width: int
    first: NDArray[np.uint32]


Rows = tuple["NDArray[np.uint32]", "NDArray[Any]"]
"""Entries, (n,), and their values, (n,) or (n, width)."""


class Segments:
    """The segments in a database; every call is made inside of a transaction of the caller."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._held: dict[int, Rows] = {}

    # Writing

    def append(
        self, kind: SegmentKind, key_id: int, entries: NDArray[np.uint32], values: NDArray[Any]
    ) -> None:
        """Write rows as a segment, and merge where there are many of its level."""
        level = 0
        self._write(kind, key_id, level, entries, values)
        while len(same := [s for s in self._list(kind, key_id) if s.level == level]) >= N_TO_MERGE:
            if sum(s.n_rows for s in same) > MAX_MERGED_ROWS[kind]:
                break
            self._merge(kind, key_id, same)
            level += 1

    def _write(
        self, kind: SegmentKind, key_id: int, level: int, entries: NDArray[np.uint32], values: NDArray[Any]
    ) -> None:
        values = values.astype(_VALUES[kind])
        if kind == "word":
            order = np.argsort(values, kind="stable")
            entries, values = entries[order], values[order]
        starts = range(0, len(entries), _BLOCK_ROWS[kind])
        first = values[:: _BLOCK_ROWS[kind]].astype("<u4").tobytes() if kind == "word" else b""
        width = values.shape[1] if values.ndim == 2 else 1
        cursor = self._db.execute(
            "INSERT INTO segment (kind, key_id, level, n_rows, width, first) VALUES (?, ?, ?, ?, ?, ?)",
            (kind, key_id, level, len(entries), width, first),
        )
        id = cursor.lastrowid or 0
        row = id, kind, key_id, level, len(entries), width, first
        self._db.execute("UPDATE segment SET sum = ? WHERE id = ?", (self._segment_sum(*row), id))
        base, n = id << _BLOCK_SHIFT, _BLOCK_ROWS[kind]
        blocks = (
            (base | k, entries[at : at + n].astype("<u4").tobytes() + values[at : at + n].tobytes())
            for k, at in enumerate(starts)
        )
        self._db.executemany(
            "INSERT INTO block VALUES (?, ?, ?)", ((number, _block_sum(number, b), b) for number, b in blocks)
        )

    def _segment_sum(self, id: int, kind: str, key_id: int, *row: Any) -> int:
        text = self._db.execute("SELECT text FROM key WHERE id = ?", (key_id,)).fetchone()
        return row_sum(id, kind, key_id, text, *row)

    def _merge(self, kind: SegmentKind, key_id: int, segments: list[StoredSegment]) -> None:
        parts = [self._read(kind, segment) for segment in segments]
        entries = np.concatenate([part[0] for part in parts])
        values = np.concatenate([part[1] for part in parts])
        living = np.isin(
            entries, np.array([id for (id,) in self._db.execute("SELECT id FROM entry")], np.uint32)
        )
        for segment in segments:
            bounds = (segment.id << _BLOCK_SHIFT, (segment.id + 1) << _BLOCK_SHIFT)
            self._db.execute("DELETE FROM block WHERE id >= ? AND id < ?", bounds)
            self._db.execute("DELETE FROM segment WHERE id = ?", (segment.id,))
        if living.any():
            self._write(kind, key_id, segments[0].level + 1, entries[living], values[living])

    def clear(self) -> None:
        """Remove all of them, and their entries."""
        for table in ("entry", "segment", "block"):
            self._db.execute(f"DELETE FROM {table}")

    # Reading

    def in_memory(self, kind: SegmentKind, key_id: int) -> Iterator[Rows]:
        """All rows of hashes or vectors; read once, and after that only what is new.

        Vectors are in single precision, since processors multiply no other quickly, and of norm 1.
        """
        segments = self._list(kind, key_id)
        for segment in segments:
            if segment.id not in self._held:
                entries, values = self._read(kind, segment)
                if kind == "vector":
                    values = values.astype(np.float32)
                    values /= np.linalg.norm(values, axis=1, keepdims=True)
                self._held[segment.id] = entries, values
            yield self._held[segment.id]

    def forget_merged(self) -> None:
        """Let go of what was held of segments that are no more."""
        there = {id for (id,) in self._db.execute("SELECT id FROM segment")}
        for id in self._held.keys() - there:
            del self._held[id]

    def holders(self, key_id: int, words: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """The entries that have any of the sorted, different `words`: once for each word."""
        found = [np.zeros(0, np.uint32)]
        for segment in self._list("word", key_id):
            if not len(segment.first):
                continue
            # A word may begin in the block before the one that it is the first of.
            low = np.maximum(np.searchsorted(segment.first, words, side="left") - 1, 0)
            high = np.maximum(np.searchsorted(segment.first, words, side="right") - 1, 0)
            longest = int((high - low).max()) + 1
            blocks = np.unique(np.minimum(low[:, None] + np.arange(longest), high[:, None]))
            for entries, values in self._blocks("word", segment, blocks.tolist()):
                at = np.minimum(np.searchsorted(words, values), len(words) - 1)
                found.append(entries[words[at] == values])
        return np.concatenate(found)

    def look_through(self, kind: SegmentKind, key_id: int) -> None:
        """Raise `DamagedStoreError` if anything of these segments is not what was written."""
        for segment in self._list(kind, key_id):
            self._read(kind, segment)

    def _list(self, kind: SegmentKind, key_id: int) -> list[StoredSegment]:
        # All of them are looked at: of one that is damaged it cannot be said to whom it belongs.
        query = "SELECT id, kind, key_id, level, n_rows, width, first, sum FROM segment ORDER BY id"
        rows = self._db.execute(query).fetchall()
        if any(row[-1] != self._segment_sum(*row[:-1]) for row in rows):
            raise DamagedStoreError("a list of what pictures are found by is not what was written")
        return [
            StoredSegment(id, level, n_rows, width, np.frombuffer(first, "<u4"))
            for id, its_kind, its_key, level, n_rows, width, first, _ in rows
            if (its_kind, its_key) == (kind, key_id)
        ]

    def _read(self, kind: SegmentKind, segment: StoredSegment) -> Rows:
        n_blocks = -(-segment.n_rows // _BLOCK_ROWS[kind])
        parts = list(self._blocks(kind, segment, range(n_blocks)))
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def _blocks(self, kind: SegmentKind, segment: StoredSegment, numbers: Any) -> Iterator[Rows]:
        """The rows of some blocks, of many small blocks at once."""
        base = segment.id << _BLOCK_SHIFT
        for start in range(0, len(numbers), _IN):
            ids = [base | k for k in numbers[start : start + _IN]]
            marks = ",".join("?" * len(ids))
            query = f"SELECT id, data, sum FROM block WHERE id IN ({marks})"
            rows = self._db.execute(query, ids).fetchall()
            if len(rows) < len(ids) or any(sum != _block_sum(id, data) for id, data, sum in rows):
                raise DamagedStoreError("a part of what pictures are found by is not what was written")
            parts = [_unpacked(kind, segment.width, data) for _, data, _ in rows]
            yield np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def _block_sum(id: int, data: Any) -> int:
    return blob_sum(id & 0xFFFFFFFF, str(id).encode(), data)


def _unpacked(kind: SegmentKind, width: int, data: bytes) -> Rows:
    values = np.dtype(_VALUES[kind])
    n = len(data) // (4 + width * values.itemsize)
    rows = np.frombuffer(data, values, offset=4 * n)
    return np.frombuffer(data, "<u4", n), rows.reshape(n, width) if kind == "vector" else rows
