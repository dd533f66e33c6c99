"""An index in one SQLite file: the store, and what pictures are found by.

Hashes and vectors are few bytes a picture and are gone through in whole, in memory, which is exact and
takes milliseconds for a million; they are read at the first search. Words are many, and stay on disk in
their order: a search looks up a few thousand of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.stores.base import KnownFile
from cvsim.stores.searchable import ImageKeys, SearchableStore, as_text
from cvsim.stores.sqlite import _IMAGE_MASK, SqliteStore, _base, _blobs, _chunks, _marks

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

_WORD_BITS = 32
_SCHEMA = """
CREATE TABLE IF NOT EXISTS description (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS keyed (image_id INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS hash (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS vector (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS word (
    code INTEGER NOT NULL, image_id INTEGER NOT NULL, PRIMARY KEY (code, image_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS word_list (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS label (
    path BLOB NOT NULL, label TEXT NOT NULL, PRIMARY KEY (path, label)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS label_by_text ON label (label);
CREATE INDEX IF NOT EXISTS file_by_image ON file (image_id);
"""
_BY_IMAGE = ("hash", "vector", "word_list")


class SqliteIndex(SqliteStore, SearchableStore):
    """A searchable store in one file; see `SqliteStore` for its parameter and errors."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path, "index")
        self._hashes: dict[str, tuple[NDArray[np.int64], NDArray[np.uint64]]] = {}
        self._vectors: dict[str, tuple[NDArray[np.int64], NDArray[Any]]] = {}
        self._read_at = -1
        with self._mapped("open"), self._transaction():
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)

    def describe(self, name: str, value: str) -> str:
        self.flush()
        with self._mapped("write to"), self._transaction():
            self._db.execute("INSERT OR IGNORE INTO description VALUES (?, ?)", (name, value))
            found = self._db.execute("SELECT value FROM description WHERE name = ?", (name,)).fetchone()
        return str(found[0])

    def note(self, name: str, value: str) -> str:
        self.flush()
        with self._mapped("write to"), self._transaction():
            found = self._db.execute("SELECT value FROM description WHERE name = ?", (name,)).fetchone()
            self._db.execute("INSERT OR REPLACE INTO description VALUES (?, ?)", (name, value))
        return "" if found is None else str(found[0])

    # Keys

    def put_keys(self, keys: Mapping[str, ImageKeys]) -> None:
        self.flush()
        with self._mapped("write to"), self._transaction():
            spaces = self._intern_spaces(keys.values())
            images = self._ids(keys)
            self._forget_keys([images[digest] for digest in keys])
            for digest, found in keys.items():
                self._put(spaces, images[digest], found)
        self._forget_memory()

    def _intern_spaces(self, keys: Iterable[ImageKeys]) -> dict[str, int]:
        wanted = {
            space for found in keys for kind in (found.hashes, found.words, found.vectors) for space in kind
        }
        self._db.executemany("INSERT OR IGNORE INTO key (text) VALUES (?)", ((s,) for s in sorted(wanted)))
        return self._keys()

    def _put(self, spaces: Mapping[str, int], image: int, keys: ImageKeys) -> None:
        self._db.execute("INSERT OR REPLACE INTO keyed VALUES (?)", (image,))
        for space, hashes in keys.hashes.items():
            self._put_blob("hash", spaces[space], image, hashes.astype("<u8"))
        for space, vector in keys.vectors.items():
            self._put_blob("vector", spaces[space], image, vector.astype("<f2"))
        for space, words in keys.words.items():
            codes = _codes(spaces[space], words)
            self._put_blob("word_list", spaces[space], image, codes)  # to be found again when it is deleted
            rows = ((code, image) for code in codes.tolist())
            self._db.executemany("INSERT OR IGNORE INTO word VALUES (?, ?)", rows)

    def _put_blob(self, table: str, space: int, image: int, values: NDArray[Any]) -> None:
        self._db.execute(
            f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", (_base(space) | image, values.tobytes())
        )

    def keyed(self, digests: Collection[str] | None = None) -> set[str]:
        self.flush()
        query = "SELECT i.digest FROM keyed k CROSS JOIN image i ON i.id = k.image_id"
        one = "SELECT i.digest FROM image i CROSS JOIN keyed k ON k.image_id = i.id WHERE i.digest"
        with self._snapshot():
            return {digest.hex() for (digest,) in self._select(query, one, _blobs(digests))}

    def n_keyed(self) -> int:
        self.flush()
        with self._snapshot():
            return self._value("SELECT count(*) FROM keyed")

    def _forget_keys(self, images: Collection[int]) -> None:
        bases = [_base(id) for id in self._keys().values()]
        for chunk in _chunks(images):
            ids = [base | image for base in bases for image in chunk]
            for part in _chunks(ids):
                marks = _marks(part)
                lists = self._db.execute(f"SELECT id, data FROM word_list WHERE id IN ({marks})", part)
                self._db.executemany(
                    "DELETE FROM word WHERE code = ? AND image_id = ?",
                    [
                        (code, id & _IMAGE_MASK)
                        for id, data in lists.fetchall()
                        for code in np.frombuffer(data, "<i8").tolist()
                    ],
                )
                for table in _BY_IMAGE:
                    self._db.execute(f"DELETE FROM {table} WHERE id IN ({marks})", part)
            self._db.execute(f"DELETE FROM keyed WHERE image_id IN ({_marks(chunk)})", chunk)

    def _delete(self, digests: Collection[str]) -> None:
        with self._mapped("write to"), self._transaction():
            self._forget_keys(list(self._ids(digests).values()))
        self._forget_memory()
        super()._delete(digests)

    def _clear(self) -> None:
        with self._mapped("write to"), self._transaction():
            for table in ("description", "keyed", "hash", "vector", "word", "word_list", "label"):
                self._db.execute(f"DELETE FROM {table}")
        self._forget_memory()
        super()._clear()

    def _notice_changes(self) -> None:
        """Read anew what another process has changed meanwhile."""
        version = self._value("PRAGMA data_version")
        if version != self._read_at:
            self._forget_memory()
            self._read_at = version

    def _forget_memory(self) -> None:
        self._hashes.clear()
        self._vectors.clear()

    # Search

    def within_bits(self, space: str, hashes: NDArray[np.uint64], radius_bits: int) -> set[str]:
        owners, stored = self._all_hashes(space)
        near = np.zeros(len(stored), bool)
        for value in np.unique(hashes):
            near |= np.bitwise_count(stored ^ value) <= radius_bits
        return set(self._digests_of(np.unique(owners[near]).tolist()).values())

    def by_words(
        self, space: str, words: NDArray[np.uint32], limit: int, at_least: int = 1
    ) -> list[tuple[str, int]]:
        self.flush()
        with self._snapshot():
            key = self._keys().get(space)
            if key is None:
                return []
            counts: dict[int, int] = {}
            for chunk in _chunks(np.unique(_codes(key, words)).tolist()):
                query = f"SELECT image_id FROM word WHERE code IN ({_marks(chunk)})"
                for (image,) in self._db.execute(query, chunk):
                    counts[image] = counts.get(image, 0) + 1
        enough = sorted((n for n in counts.values() if n >= at_least), reverse=True)[:limit]
        if not enough:
            return []
        # All that share as many as the last one that there is room for: their digests decide.
        names = self._digests_of([image for image, n in counts.items() if n >= enough[-1]])
        return sorted(((names[i], counts[i]) for i in names), key=lambda item: (-item[1], item[0]))[:limit]

    def nearest(self, space: str, vector: NDArray[np.float32], limit: int) -> list[tuple[str, float]]:
        owners, stored = self._all_vectors(space)
        cosines = stored @ vector if len(stored) else np.zeros(0, np.float32)
        best = np.lexsort((owners, -cosines))[:limit] if len(stored) else np.zeros(0, np.int64)
        names = self._digests_of(owners[best].tolist())
        return [
            (names[image], float(c)) for image, c in zip(owners[best].tolist(), cosines[best], strict=True)
        ]

    def _all_hashes(self, space: str) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        self._notice_changes()
        if space not in self._hashes:
            images, blobs = self._blobs_of("hash", space)
            counts = [len(blob) // 8 for blob in blobs]
            self._hashes[space] = np.repeat(images, counts), np.frombuffer(b"".join(blobs), "<u8")
        return self._hashes[space]

    def _all_vectors(self, space: str) -> tuple[NDArray[np.int64], NDArray[Any]]:
        self._notice_changes()
        if space not in self._vectors:
            images, blobs = self._blobs_of("vector", space)
            # Half precision on disk; single in memory, since processors multiply no other quickly.
            values = np.frombuffer(b"".join(blobs), "<f2").astype(np.float32)
            rows = values.reshape(len(images), -1) if blobs else np.zeros((0, 1), np.float32)
            self._vectors[space] = images, rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return self._vectors[space]

    def _blobs_of(self, table: str, space: str) -> tuple[NDArray[np.int64], list[bytes]]:
        self.flush()
        with self._snapshot():
            key = self._keys().get(space)
            if key is None:
                return np.zeros(0, np.int64), []
            bounds = (_base(key), _base(key) | _IMAGE_MASK)
            query = f"SELECT id & {_IMAGE_MASK}, data FROM {table} WHERE id BETWEEN ? AND ? ORDER BY id"
            rows = self._db.execute(query, bounds).fetchall()
        return np.array([row[0] for row in rows], np.int64), [row[1] for row in rows]

    def _digests_of(self, images: Collection[int]) -> dict[int, str]:
        with self._snapshot():
            found = {}
            for chunk in _chunks(images):
                query = f"SELECT id, digest FROM image WHERE id IN ({_marks(chunk)})"
                found.update({id: digest.hex() for id, digest in self._db.execute(query, chunk)})
            return found

    # Files and labels

    def files_under(self, folder: bytes) -> dict[bytes, KnownFile]:
        self.flush()
        inside = folder.rstrip(b"/") + b"/"
        query = (
            "SELECT f.path, f.size_bytes, f.mtime_ns, f.inode, f.device, i.digest "
            "FROM file f CROSS JOIN image i ON i.id = f.image_id "
            "WHERE f.path = ? OR (f.path >= ? AND f.path < ?)"
        )
        with self._snapshot():
            rows = self._db.execute(query, (folder, inside, inside[:-1] + b"0"))  # "0" follows "/"
            return {
                path: KnownFile(size, mtime, inode, device, digest.hex())
                for path, size, mtime, inode, device, digest in rows
            }

    def files_of(self, digests: Collection[str]) -> dict[str, list[bytes]]:
        self.flush()
        found: dict[str, list[bytes]] = {}
        with self._snapshot():
            for chunk in _chunks(_blobs(digests)):
                query = (
                    "SELECT i.digest, f.path FROM image i JOIN file f ON f.image_id = i.id "
                    f"WHERE i.digest IN ({_marks(chunk)}) ORDER BY f.path"
                )
                for digest, path in self._db.execute(query, chunk):
                    found.setdefault(digest.hex(), []).append(path)
        return found

    def put_labels(self, labels: Iterable[tuple[bytes, str]]) -> None:
        rows = list(dict.fromkeys(labels))
        with self._mapped("write to"), self._transaction():
            self._db.executemany("DELETE FROM label WHERE path = ?", {(path,) for path, _ in rows})
            self._db.executemany(
                "INSERT INTO label VALUES (?, ?)",
                ((path, as_text(label)) for path, label in rows),
            )

    def _forget_files(self, paths: Collection[bytes]) -> None:
        super()._forget_files(paths)
        with self._mapped("write to"), self._transaction():
            self._db.executemany("DELETE FROM label WHERE path = ?", ((path,) for path in paths))

    def labels_of(self, paths: Collection[bytes]) -> dict[bytes, tuple[str, ...]]:
        found: dict[bytes, tuple[str, ...]] = {}
        with self._snapshot():
            for chunk in _chunks(paths):
                query = f"SELECT path, label FROM label WHERE path IN ({_marks(chunk)}) ORDER BY path, label"
                for path, label in self._db.execute(query, chunk):
                    found[path] = (*found.get(path, ()), label)
        return found

    def labelled(self, label: str) -> set[str]:
        self.flush()
        with self._snapshot():
            rows = self._db.execute(
                "SELECT DISTINCT i.digest FROM label l JOIN file f ON f.path = l.path "
                "JOIN image i ON i.id = f.image_id WHERE l.label = ?",
                (as_text(label),),
            )
            return {digest.hex() for (digest,) in rows}


def _codes(space: int, words: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Words of a space as one number each."""
    return (np.int64(space) << _WORD_BITS) | words.astype(np.int64)
