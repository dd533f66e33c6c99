"""An index in one SQLite file: the store, and what pictures are found by.

Hashes and vectors are few bytes a picture and are gone through in whole, in memory, which is exact and
takes milliseconds for a million; they are read at the first search. Words are many, and stay on disk: a
search looks up a few thousand of them.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from cvsim.errors import DamagedStoreError, WrongStoreError
from cvsim.names import printable
from cvsim.stores.base import KnownFile, chunks_of
from cvsim.stores.searchable import ImageKeys, Narrowing, SearchableStore, as_text
from cvsim.stores.sqlite import SqliteStore
from cvsim.stores.sqlite_rows import CHUNK_KEYS, IMAGE_MASK, blobs_of, damaged_rows, hex_of, marks
from cvsim.stores.sqlite_segments import SEGMENT_SCHEMA, SegmentKind, Segments
from cvsim.stores.sums import row_sum

if TYPE_CHECKING:
    from numpy.typing import NDArray

_INDEX_TABLES = f"""
CREATE TABLE IF NOT EXISTS description (
    name TEXT PRIMARY KEY, value TEXT NOT NULL, sum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS label (
    path BLOB NOT NULL, label TEXT NOT NULL, sum INTEGER NOT NULL, PRIMARY KEY (path, label)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS label_by_text ON label (label);
CREATE INDEX IF NOT EXISTS file_by_image ON file (image_id);
{SEGMENT_SCHEMA}"""
_SEARCHED = ("key", "image", "file", "entry", "segment", "label", "description")
_N_FILES_NAMED = 5
_LIVING_IN = 200
"""Entries in the order of their rank that are asked for at once: nearly all of them are there."""


class SqliteIndex(SqliteStore, SearchableStore):
    """A searchable store in one file; see `SqliteStore` for its parameter and errors."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path, "index")
        self._segments = Segments(self._db)
        self._structure: str | None = None
        try:
            with self._mapped("open"), self._transaction():
                if self._value("SELECT count(*) FROM sqlite_master WHERE name = 'word_list'"):
                    raise WrongStoreError(
                        f"{self.location} was made by an older version of cvsim; index the pictures again "
                        "into a new file"
                    )
                for statement in _INDEX_TABLES.split(";"):
                    self._db.execute(statement)
        except BaseException:
            self._db.close()
            raise

    def describe(self, name: str, value: str) -> str:
        """Read a note of the store, which keeps `value` if it has none; see `SearchableStore.describe`."""
        self.flush()
        with self._mapped("write to"), self._transaction():
            row = name, value, row_sum(name, value)
            self._db.execute("INSERT OR IGNORE INTO description VALUES (?, ?, ?)", row)
            return self._note(name)

    def noted(self, name: str) -> str:
        """Read a note; see `SearchableStore.noted`."""
        self.flush()
        with self._snapshot():
            return self._note(name)

    def note(self, name: str, value: str) -> str:
        """Write a note; see `SearchableStore.note`."""
        self.flush()
        with self._mapped("write to"), self._transaction():
            found = self._note(name)
            row = name, value, row_sum(name, value)
            self._db.execute("INSERT OR REPLACE INTO description VALUES (?, ?, ?)", row)
        return found

    def _note(self, name: str) -> str:
        rows = self._db.execute("SELECT name, value, sum FROM description").fetchall()
        if any(sum != row_sum(*row) for *row, sum in rows):
            raise DamagedStoreError(self._whole_damage("a note of it is not what was written"))
        return next((str(value) for its_name, value, _ in rows if its_name == name), "")

    # Keys

    def put_keys(self, keys: Mapping[str, ImageKeys]) -> None:
        """Add what contents are found by; see `SearchableStore.put_keys`."""
        self.flush()
        with self._mapped("write to"), self._transaction():
            spaces = self._intern_spaces(keys.values())
            images = self._ids(keys)
            entries = self._new_entries([images[digest] for digest in keys])
            rows = [(entries[images[digest]], found) for digest, found in keys.items()]
            for space, id in spaces.items():
                self._put("hash", id, [(e, k.hashes[space]) for e, k in rows if space in k.hashes])
                self._put("word", id, [(e, np.unique(k.words[space])) for e, k in rows if space in k.words])
                self._put("vector", id, [(e, k.vectors[space][None]) for e, k in rows if space in k.vectors])

    def _new_entries(self, images: Sequence[int]) -> dict[int, int]:
        """A number for each image that it never had before; whatever was found by an older one is not."""
        self._db.executemany("DELETE FROM entry WHERE image_id = ?", ((image,) for image in images))
        self._db.executemany("INSERT INTO entry (image_id) VALUES (?)", ((image,) for image in images))
        found: dict[int, int] = {}
        for chunk in chunks_of(images, CHUNK_KEYS):
            query = f"SELECT image_id, id FROM entry WHERE image_id IN ({marks(chunk)})"
            found.update(self._db.execute(query, chunk))
        names = self._names(found)
        self._db.executemany(
            "UPDATE entry SET sum = ? WHERE id = ?",
            ((row_sum(entry, names[image]), entry) for image, entry in found.items()),
        )
        return found

    def _names(self, images: Iterable[int]) -> dict[int, str]:
        found: dict[int, str] = {}
        for chunk in chunks_of(images, CHUNK_KEYS):
            query = f"SELECT id, digest FROM image WHERE id IN ({marks(chunk)})"
            found.update((id, hex_of(digest)) for id, digest in self._db.execute(query, chunk))
        return found

    def _put(self, kind: SegmentKind, space: int, rows: Sequence[tuple[int, NDArray[Any]]]) -> None:
        counts = [len(values) for _, values in rows]
        if sum(counts):
            entries = np.repeat(np.array([entry for entry, _ in rows], np.uint32), counts)
            self._segments.append(kind, space, entries, np.concatenate([values for _, values in rows]))

    def _intern_spaces(self, keys: Iterable[ImageKeys]) -> dict[str, int]:
        wanted = {
            space for found in keys for kind in (found.hashes, found.words, found.vectors) for space in kind
        }
        self._db.executemany("INSERT OR IGNORE INTO key (text) VALUES (?)", ((s,) for s in sorted(wanted)))
        known = self._keys()
        return {space: known[space] for space in wanted}

    def keyed(self, digests: Collection[str] | None = None) -> set[str]:
        """Tell which contents can be found; see `SearchableStore.keyed`."""
        self.flush()
        query = "SELECT i.digest FROM entry e CROSS JOIN image i ON i.id = e.image_id"
        one = "SELECT i.digest FROM image i CROSS JOIN entry e ON e.image_id = i.id WHERE i.digest"
        with self._snapshot():
            return {digest.hex() for (digest,) in self._select(query, one, blobs_of(digests))}

    def n_keyed(self) -> int:
        """Count the contents that can be found."""
        self.flush()
        with self._snapshot():
            return self._value("SELECT count(*) FROM entry")

    def _delete(self, digests: Collection[str]) -> None:
        with self._mapped("write to"), self._transaction():
            images = ((id,) for id in self._ids(digests).values())
            self._db.executemany("DELETE FROM entry WHERE image_id = ?", images)
        super()._delete(digests)

    def _clear(self) -> None:
        with self._mapped("write to"), self._transaction():
            self._segments.clear()
            for table in ("description", "label"):
                self._db.execute(f"DELETE FROM {table}")
        super()._clear()

    # Search

    def within_bits(self, space: str, hashes: NDArray[np.uint64], radius_bits: int) -> set[str]:
        """Find the hashes within a radius; see `SearchableStore.within_bits`."""
        self.flush()
        with self._snapshot():
            near = [np.zeros(0, np.uint32)]
            for entries, stored in self._in_memory("hash", space):
                within = np.zeros(len(stored), bool)
                for value in np.unique(hashes):
                    within |= np.bitwise_count(stored ^ value) <= radius_bits
                near.append(entries[within])
            return set(self._digests_of(np.unique(np.concatenate(near)).tolist()).values())

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
        among = self.among(narrowing)
        with self._snapshot():
            key = self._keys().get(space)
            if key is None or not len(words):
                return []
            holders, counts = np.unique(self._segments.holders(key, np.unique(words)), return_counts=True)
            holders, counts = holders[counts >= at_least], counts[counts >= at_least]
            order = np.argsort(-counts, kind="stable")
            return self._best_living(holders[order], counts[order], limit, among)

    def nearest(
        self, space: str, vector: NDArray[np.float32], limit: int, narrowing: Narrowing | None = None
    ) -> list[tuple[str, float]]:
        """Find the nearest vectors; see `SearchableStore.nearest`."""
        self.flush()
        among = self.among(narrowing)
        with self._snapshot():
            parts = [(entries, stored @ vector) for entries, stored in self._in_memory("vector", space)]
            if not parts:
                return []
            entries = np.concatenate([part[0] for part in parts])
            cosines = np.concatenate([part[1] for part in parts])
            order = np.argsort(-cosines, kind="stable")
            return self._best_living(entries[order], cosines[order], limit, among)

    def _in_memory(self, kind: SegmentKind, space: str) -> Iterator[tuple[NDArray[np.uint32], NDArray[Any]]]:
        key = self._keys().get(space)
        self._segments.forget_merged()
        return iter(()) if key is None else self._segments.in_memory(kind, key)

    def _best_living(
        self, entries: NDArray[np.uint32], values: NDArray[Any], limit: int, among: Collection[str] | None
    ) -> list[tuple[str, Any]]:
        """The first `limit` of ranked entries that are there still and `among` these, with their values.

        Of those with equal values, the digests decide: all of them are asked for.
        """
        found: list[tuple[str, Any]] = []
        start = 0
        while start < len(entries) and len(found) < limit:
            stop = min(start + max(_LIVING_IN, limit), len(entries))
            stop = int(np.searchsorted(-values, -values[stop - 1], side="right"))
            names = self._digests_of(entries[start:stop].tolist())
            ranked = zip(entries[start:stop].tolist(), values[start:stop].tolist(), strict=True)
            found += sorted(
                (
                    (names[entry], value)
                    for entry, value in ranked
                    if entry in names and (among is None or names[entry] in among)
                ),
                key=lambda item: (-item[1], item[0]),
            )
            start = stop
        return found[:limit]

    def _digests_of(self, entries: Collection[int]) -> dict[int, str]:
        """The digests of the entries that are there still."""
        found: dict[int, str] = {}
        for chunk in chunks_of(entries, CHUNK_KEYS):
            query = (
                "SELECT e.id, i.digest, e.sum FROM entry e CROSS JOIN image i ON i.id = e.image_id "
                f"WHERE e.id IN ({marks(chunk)})"
            )
            for id, digest, sum in self._db.execute(query, chunk):
                found[id] = hex_of(digest)
                if not self._is_sound(sum == row_sum(id, found[id])):
                    raise DamagedStoreError("an entry is not what was written")
        return found

    # Files and labels

    def files_under(self, folder: bytes) -> dict[bytes, KnownFile]:
        """List the known files below a folder; see `SearchableStore.files_under`."""
        self.flush()
        inside = folder.rstrip(b"/") + b"/"
        query = (
            "SELECT f.path, f.size_bytes, f.mtime_ns, f.inode, f.device, i.digest, f.sum "
            "FROM file f CROSS JOIN image i ON i.id = f.image_id "
            "WHERE f.path = ? OR (f.path >= ? AND f.path < ?)"
        )
        with self._snapshot():
            rows = self._db.execute(query, (folder, inside, inside[:-1] + b"0"))  # "0" follows "/"
            return self._files_in(rows)

    def files_of(self, digests: Collection[str]) -> dict[str, list[bytes]]:
        """Name the files of these contents; see `SearchableStore.files_of`."""
        self.flush()
        found: dict[str, list[bytes]] = {}
        with self._snapshot():
            for chunk in chunks_of(blobs_of(digests), CHUNK_KEYS):
                query = (
                    "SELECT f.path, f.size_bytes, f.mtime_ns, f.inode, f.device, i.digest, f.sum "
                    "FROM image i JOIN file f ON f.image_id = i.id "
                    f"WHERE i.digest IN ({marks(chunk)}) ORDER BY f.path"
                )
                for path, known in self._files_in(self._db.execute(query, chunk)).items():
                    found.setdefault(known.digest, []).append(path)
        return found

    def put_labels(self, labels: Iterable[tuple[bytes, str]]) -> None:
        """Add labels; see `SearchableStore.put_labels`."""
        rows = list(dict.fromkeys(labels))
        with self._mapped("write to"), self._transaction():
            self._db.executemany("DELETE FROM label WHERE path = ?", {(path,) for path, _ in rows})
            self._db.executemany(
                "INSERT INTO label VALUES (?, ?, ?)",
                ((path, as_text(label), row_sum(path, as_text(label))) for path, label in rows),
            )

    def _forget_files(self, paths: Collection[bytes]) -> None:
        super()._forget_files(paths)
        with self._mapped("write to"), self._transaction():
            self._db.executemany("DELETE FROM label WHERE path = ?", ((path,) for path in paths))

    def labels_of(self, paths: Collection[bytes]) -> dict[bytes, tuple[str, ...]]:
        """Name the labels of these files; see `SearchableStore.labels_of`."""
        found: dict[bytes, tuple[str, ...]] = {}
        with self._snapshot():
            for chunk in chunks_of(paths, CHUNK_KEYS):
                query = f"SELECT path, label, sum FROM label WHERE path IN ({marks(chunk)})"
                for path, label, sum in self._db.execute(f"{query} ORDER BY path, label", chunk):
                    self._is_sound(sum == row_sum(path, label))
                    found[path] = (*found.get(path, ()), label)
        return found

    def labelled(self, label: str) -> set[str]:
        """Tell which contents bear a label; see `SearchableStore.labelled`."""
        self.flush()
        with self._snapshot():
            rows = self._db.execute(
                "SELECT i.digest, l.path, l.label, l.sum FROM label l JOIN file f ON f.path = l.path "
                "JOIN image i ON i.id = f.image_id WHERE l.label = ?",
                (as_text(label),),
            )
            return {hex_of(digest) for digest, *row, sum in rows if self._is_sound(sum == row_sum(*row))}

    def labels(self, limit: int) -> list[tuple[str, int]]:
        """Name the labels that most files bear; see `SearchableStore.labels`."""
        with self._snapshot():
            query = "SELECT label, count(*) AS n FROM label GROUP BY label ORDER BY n DESC, label LIMIT ?"
            return sorted(self._db.execute(query, (limit,)).fetchall())

    # Soundness

    @contextmanager
    def sound(self) -> Iterator[None]:
        """Refuse what was read of damaged rows; see `SearchableStore.sound`."""
        if self._structure is None:
            self._structure = self._lost_rows()
        if self._structure:
            raise DamagedStoreError(self._whole_damage(self._structure))
        try:
            yield
        except Exception as error:  # whatever damaged data led to, if it was damaged
            if not (self.is_damaged or isinstance(error, DamagedStoreError)):
                raise
            self._say_what_is_damaged(str(error))
        if self.is_damaged:
            self._say_what_is_damaged("what was read of it is not what was written")

    def _lost_rows(self) -> str:
        """What is wrong with the tables of small rows: any of them may have lost some."""
        with self._mapped("read"):
            for table in _SEARCHED:
                found = str(self._db.execute(f"PRAGMA integrity_check({table})").fetchone()[0])
                if found != "ok":
                    return found.splitlines()[-1]
        return ""

    def _say_what_is_damaged(self, why: str) -> NoReturn:
        contents = self.damaged_contents()
        files = sorted(path for paths in self.files_of(contents).values() for path in paths)
        if not files:
            raise DamagedStoreError(self._whole_damage(why))
        shown = ", ".join(printable(os.fsdecode(path)) for path in files[:_N_FILES_NAMED])
        more = f" and {len(files) - _N_FILES_NAMED:,} more" if len(files) > _N_FILES_NAMED else ""
        raise DamagedStoreError(
            f"the index {self.location} is damaged: what it holds of {shown}{more} is not what was written; "
            f"index what they lie in again: cvsim index PATH --store {self.location}"
        )

    def _whole_damage(self, why: str) -> str:
        return f"the index {self.location} is damaged ({why}); index the pictures again into a new file"

    def damaged_contents(self) -> set[str]:
        """Look at every row; see `SearchableStore.damaged_contents`."""
        found = self.check()
        if found.structure:
            raise DamagedStoreError(self._whole_damage(found.structure))
        with self._snapshot():
            _, rows = damaged_rows(self._db)
        if rows["file"] or rows["pair"]:
            raise DamagedStoreError(self._whole_damage("rows of files are not what was written"))
        images = {id & IMAGE_MASK for table in ("artefact", "decoded") for (id,) in rows[table]}
        with self._snapshot():
            for kind, key in self._db.execute("SELECT DISTINCT kind, key_id FROM segment").fetchall():
                try:
                    self._segments.look_through(kind, key)
                except DamagedStoreError as error:
                    raise DamagedStoreError(self._whole_damage(str(error))) from error
            entries = self._db.execute(
                "SELECT e.id, e.sum, i.digest FROM entry e LEFT JOIN image i ON i.id = e.image_id"
            )
            labels = self._db.execute("SELECT sum, path, label FROM label")
            if any(sum != row_sum(id, hex_of(d)) for id, sum, d in entries) or any(
                sum != row_sum(*row) for sum, *row in labels
            ):
                raise DamagedStoreError(self._whole_damage("an entry is not what was written"))
            return set(self._names(images).values())
