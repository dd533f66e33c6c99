"""The embedded store: one SQLite file, safe under kill -9 and for several processes at once.

Layout. A digest and a key are each interned to an integer once. Decoded images and artefacts live in
plain tables whose row number is ``key id << 40 | image id``: what one key holds lies together in the order
in which the images came, so that a collection's descriptors are read in one sweep, and one blob is found in
one look-up without a second index.

The file's ``application_id`` says that it is one of cvsim's, and whether it is a cache, which may be
dropped and computed again, or an index, which may not.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from cvsim.errors import DamagedStoreError
from cvsim.stores.base import Batch, ImageInfo, KeyInfo, KnownFile, Store, StoreInfo, chunks_of, today
from cvsim.stores.sqlite_errors import explain
from cvsim.stores.sqlite_file import Purpose, connect, file_parts, prepare, transaction
from cvsim.stores.sqlite_rows import (
    ALL_TABLES,
    CHUNK_KEYS,
    DECODED_COLUMNS,
    IMAGE_MASK,
    KEY_SHIFT,
    PRIMARY_KEYS,
    blobs_of,
    damaged_rows,
    decoded_row,
    first_row,
    hex_of,
    marks,
)
from cvsim.stores.sums import Soundness, blob_sum, row_sum

_log = logging.getLogger(__name__)


class SqliteStore(Store):
    """A store in one file.

    Parameters
    ----------
    path : str, path or None
        Created with its parent folders where it does not exist. None is a scratch file without a name in the
        system's temporary folder, made when there is more than fits into memory, gone with the process.
    purpose : "cache" or "index"
        A cache that an older version of cvsim made is emptied; an older index is an error.

    Raises
    ------
    WrongStoreError
        The file is something else than a store for this purpose. It was not changed.
    StoreError
        The file cannot be opened or written now.
    """

    def __init__(self, path: str | os.PathLike[str] | None, purpose: Purpose = "cache") -> None:
        super().__init__("scratch" if path is None else os.fspath(path))
        self._path = None if path is None else Path(path).absolute()
        self._purpose = purpose
        with self._mapped("open"):
            if self._path is not None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            self._db = connect("" if self._path is None else os.fspath(self._path))
        try:
            with self._mapped("open"):
                prepare(self._db, self.location, purpose)
        except BaseException:
            self._db.close()
            raise

    # Writing

    def _write(self, batch: Batch) -> None:
        with self._mapped("write to"), self._transaction():
            keys = self._intern_keys(batch)
            sums = {key: row_sum(key) for key in keys}
            images = self._intern_images(batch)
            self._db.executemany(
                "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    (path, *known[:4], images[known.digest], row_sum(path, *known))
                    for path, known in batch.files.items()
                ),
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO decoded VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (
                        keys[x.decoder] << KEY_SHIFT | images[x.digest],
                        *row,
                        row_sum(x.decoder, x.digest, *row),
                    )
                    for x in batch.extractions
                    if x.image is not None or x.failure is not None
                    for row in (decoded_row(x),)
                ),
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO artefact VALUES (?, ?, ?)",
                (
                    (keys[key] << KEY_SHIFT | images[x.digest], blob_sum(sums[key], digest, blob), blob)
                    for x in batch.extractions
                    for digest in (bytes.fromhex(x.digest),)
                    for key, blob in x.artefacts.items()
                ),
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO pair VALUES (?, ?, ?, ?, ?)",
                (
                    (keys[key], images[a], images[b], blob, blob_sum(sums[key], f"{a}{b}".encode(), blob))
                    for key, results in batch.pairs.items()
                    for (a, b), blob in results.items()
                ),
            )

    def _intern_keys(self, batch: Batch) -> dict[str, int]:
        """Numbers of the keys in `batch`. Asked anew each time: another process may have cleared them."""
        wanted = {x.decoder for x in batch.extractions if x.decoder} | batch.pairs.keys()
        wanted.update(key for x in batch.extractions for key in x.artefacts)
        self._db.executemany(
            "INSERT OR IGNORE INTO key (text) VALUES (?)", ((key,) for key in sorted(wanted))
        )
        return self._whole(self._keys(), wanted)

    def _whole(self, numbers: dict[str, int], wanted: Collection[str]) -> dict[str, int]:
        """The numbers, if each of `wanted` has one; a damaged index of the table may hide a row of it."""
        if any(text not in numbers for text in wanted):
            raise DamagedStoreError(f"{self.location} is damaged: it has lost what was just written")
        return numbers

    def _intern_images(self, batch: Batch) -> dict[str, int]:
        wanted = dict.fromkeys(x.digest for x in batch.extractions)
        wanted.update(dict.fromkeys(known.digest for known in batch.files.values()))
        for results in batch.pairs.values():
            wanted.update(dict.fromkeys(digest for pair in results for digest in pair))
        day = today()
        self._db.executemany(
            "INSERT INTO image (digest, used_day) VALUES (?, ?) "
            "ON CONFLICT (digest) DO UPDATE SET used_day = excluded.used_day "
            "WHERE used_day < excluded.used_day",
            ((bytes.fromhex(digest), day) for digest in wanted),
        )
        return self._whole(self._ids(wanted), wanted)

    # Reading

    def _known_files(self, paths: Collection[bytes] | None) -> dict[bytes, KnownFile]:
        query = (
            "SELECT f.path, f.size_bytes, f.mtime_ns, f.inode, f.device, i.digest, f.sum "
            "FROM file f CROSS JOIN image i ON i.id = f.image_id"
        )
        with self._snapshot():
            return self._files_in(self._select(query, f"{query} WHERE f.path", paths))

    def _images(self, decoder: str, digests: Collection[str] | None) -> dict[str, ImageInfo]:
        return {
            digest: ImageInfo(width, height, format, damaged == 1, taken_at, has_gps == 1)
            for digest, width, height, format, damaged, taken_at, has_gps, failure in self._decoded(
                decoder, digests, "r.failure IS NULL"
            )
            if failure is None
        }

    def _failures(self, decoder: str, digests: Collection[str] | None) -> dict[str, str]:
        rows = self._decoded(decoder, digests, "r.failure IS NOT NULL")
        return {digest: failure.decode("utf-8", "surrogatepass") for digest, *_, failure in rows}

    def _decoded(self, decoder: str, digests: Collection[str] | None, where: str) -> list[tuple[Any, ...]]:
        """Sound rows of what decoding gave, the digest first and the failure last."""
        with self._snapshot():
            rows = self._select_by_digest("decoded", DECODED_COLUMNS, where, decoder, digests)
            found = ((hex_of(digest), *row) for digest, *row in rows)
            return [row[:-1] for row in found if self._is_sound(row[-1] == row_sum(decoder, *row[:-1]))]

    def _files_in(self, rows: Iterable[Any]) -> dict[bytes, KnownFile]:
        """What sound rows of files say, by path."""
        found = {}
        for path, size, mtime, inode, device, digest, sum in rows:
            known = KnownFile(size, mtime, inode, device, hex_of(digest))
            if self._is_sound(sum == row_sum(path, *known)):
                found[path] = known
        return found

    def _is_sound(self, sound: bool) -> bool:
        """Note that a row is not."""
        self.is_damaged |= not sound
        return sound

    def _descriptors(self, key: str, digests: Collection[str] | None) -> dict[str, bytes | None]:
        with self._snapshot():
            key_sum, found = row_sum(key), {}
            rows = self._select_by_digest("artefact", "r.data, r.sum", "TRUE", key, digests)
            for digest, data, sum in rows:
                if self._is_sound(sum == blob_sum(key_sum, digest, data)):
                    found[digest.hex()] = data
            return found

    def _complete(self, keys: tuple[str, ...], digests: Collection[str] | None) -> set[str]:
        with self._snapshot():
            known = self._keys()
            if any(key not in known for key in keys):
                return set()
            ids = (f"{first_row(known[key])} + i.id" for key in keys)
            tests = (f"EXISTS (SELECT 1 FROM artefact WHERE id = {id})" for id in ids)
            query = " AND ".join(["SELECT i.digest FROM image i WHERE TRUE", *tests])
            # The order keeps SQLite from going through the index, and so through the artefacts at random.
            rows = self._select(f"{query} ORDER BY i.id", f"{query} AND i.digest", blobs_of(digests))
            return {hex_of(digest) for (digest,) in rows}

    def _pairs(self, key: str, digests: Collection[str] | None) -> dict[tuple[str, str], bytes]:
        with self._snapshot():
            key_id = self._keys().get(key)
            if key_id is None:
                return {}
            names = {id: digest for digest, id in self._ids(digests).items()}
            query = f"SELECT a_id, b_id, data, sum FROM pair WHERE key_id = {key_id}"
            rows = self._select(query, f"{query} AND a_id", None if digests is None else names)
            key_sum, found = row_sum(key), {}
            for a, b, data, sum in rows:
                if a in names and b in names:
                    pair = names[a], names[b]
                    if self._is_sound(sum == blob_sum(key_sum, "".join(pair).encode(), data)):
                        found[pair] = data
            return found

    def _select_by_digest(
        self, table: str, columns: str, where: str, key: str, digests: Collection[str] | None
    ) -> Iterable[Any]:
        """Rows ``(digest, *columns)`` of `table` (as ``r``) under `key`, of `digests` or of all."""
        key_id = self._keys().get(key)
        if key_id is None:
            return ()
        base = first_row(key_id)
        sweep = (
            f"SELECT i.digest, {columns} FROM {table} r CROSS JOIN image i ON i.id = r.id & {IMAGE_MASK} "
            f"WHERE r.id BETWEEN {base} AND {base | IMAGE_MASK} AND {where}"
        )
        look_up = (
            f"SELECT i.digest, {columns} FROM image i CROSS JOIN {table} r ON r.id = {base} + i.id "
            f"WHERE {where} AND i.digest"
        )
        return self._select(sweep, look_up, blobs_of(digests))

    def _select(self, sweep: str, look_up: str, wanted: Collection[Any] | None) -> Iterator[Any]:
        """Rows whose first column is among `wanted` (None: all).

        `sweep` gives the rows of all; `look_up` ends where ``IN (...)`` can follow. Reading everything in the
        order in which it lies costs less than looking up half of it.
        """
        if wanted is None:
            yield from self._db.execute(sweep)
        elif 2 * len(wanted) >= self._value("SELECT coalesce(max(id), 0) FROM image"):
            wanted = frozenset(wanted)
            yield from (row for row in self._db.execute(sweep) if row[0] in wanted)
        else:
            for chunk in chunks_of(wanted, CHUNK_KEYS):
                yield from self._db.execute(f"{look_up} IN ({marks(chunk)})", chunk)

    def _keys(self) -> dict[str, int]:
        rows = self._db.execute("SELECT text, id FROM key")
        return {text: id for text, id in rows if type(id) is int}

    def _ids(self, digests: Collection[str] | None) -> dict[str, int]:
        query = "SELECT digest, id FROM image"
        rows = self._select(query, f"{query} WHERE digest", blobs_of(digests))
        return {hex_of(digest): id for digest, id in rows if type(id) is int}

    def _info(self) -> StoreInfo:
        with self._snapshot():
            artefacts = {}
            for text, id in sorted(self._keys().items()):
                n_rows, n_bytes = self._db.execute(
                    "SELECT count(*), coalesce(sum(length(data)), 0) FROM artefact WHERE id BETWEEN ? AND ?",
                    (first_row(id), first_row(id) | IMAGE_MASK),
                ).fetchone()
                if n_rows:
                    artefacts[text] = KeyInfo(n_rows, n_bytes)
            return StoreInfo(
                location=self.location,
                size_bytes=self._size_bytes(),
                n_files=self._value("SELECT count(*) FROM file"),
                n_images=self._value("SELECT count(*) FROM decoded WHERE failure IS NULL"),
                n_failures=self._value("SELECT count(*) FROM decoded WHERE failure IS NOT NULL"),
                n_pairs=self._value("SELECT count(*) FROM pair"),
                artefacts=artefacts,
            )

    def _size_bytes(self) -> int:
        if self._path is None:
            return self._value("PRAGMA page_count") * self._value("PRAGMA page_size")
        return sum(part.stat().st_size for part in file_parts(self._path) if part.exists())

    # Soundness

    def check(self) -> Soundness:
        """Look at every row; nothing is changed."""
        self.flush()
        with self._mapped("read"):
            structure = str(self._db.execute("PRAGMA integrity_check(1)").fetchone()[0])
        if structure != "ok":
            return Soundness(0, 0, structure.splitlines()[-1])
        with self._snapshot():
            n_rows, damaged = damaged_rows(self._db)
        return Soundness(n_rows, sum(map(len, damaged.values())))

    def mend(self) -> int:
        """Remove the rows that are damaged; how many there were."""
        self.flush()
        with self._snapshot():
            _, damaged = damaged_rows(self._db)
        self.is_damaged = False
        with self._mapped("write to"), self._transaction():
            for table, rows in damaged.items():
                where = " AND ".join(f"{column} IS ?" for column in PRIMARY_KEYS[table])
                self._db.executemany(f"DELETE FROM {table} WHERE {where}", rows)
        return sum(map(len, damaged.values()))

    # Housekeeping

    def _touch(self, digests: Collection[str], day: int) -> None:
        # Once a week is exact enough, and spares a warm run from writing.
        with self._mapped("write to"):
            stale = {
                d for (d,) in self._db.execute("SELECT digest FROM image WHERE used_day < ?", (day - 6,))
            }
            rows = [(day, digest) for digest in stale.intersection(blobs_of(digests))]
            if rows:
                with self._transaction():
                    self._db.executemany("UPDATE image SET used_day = ? WHERE digest = ?", rows)

    def _forget_files(self, paths: Collection[bytes]) -> None:
        if paths:
            with self._mapped("write to"), self._transaction():
                self._db.executemany("DELETE FROM file WHERE path = ?", ((path,) for path in paths))

    def _delete(self, digests: Collection[str]) -> None:
        with self._mapped("write to"), self._transaction():
            self._db.execute("CREATE TEMP TABLE doomed (id INTEGER PRIMARY KEY)")
            ids = self._ids(digests).values()
            self._db.executemany("INSERT INTO temp.doomed VALUES (?)", ((id,) for id in ids))
            self._db.execute("DELETE FROM file WHERE image_id IN (SELECT id FROM temp.doomed)")
            self._db.execute(
                "DELETE FROM pair WHERE a_id IN (SELECT id FROM temp.doomed) "
                "OR b_id IN (SELECT id FROM temp.doomed)"
            )
            for table in ("artefact", "decoded"):
                self._db.execute(
                    f"DELETE FROM {table} WHERE id IN "
                    f"(SELECT (k.id << {KEY_SHIFT}) | d.id FROM key k CROSS JOIN temp.doomed d)"
                )
            self._db.execute("DELETE FROM image WHERE id IN (SELECT id FROM temp.doomed)")
            self._db.execute("DROP TABLE temp.doomed")

    def _delete_keys(self, keep: set[str]) -> None:
        with self._mapped("write to"), self._transaction():
            for text, id in self._keys().items():
                if text not in keep:
                    bounds = (first_row(id), first_row(id) | IMAGE_MASK)
                    self._db.execute("DELETE FROM artefact WHERE id BETWEEN ? AND ?", bounds)
                    self._db.execute("DELETE FROM pair WHERE key_id = ?", (id,))

    def _orphans(self) -> set[str]:
        with self._snapshot():
            rows = self._db.execute("SELECT digest FROM image WHERE id NOT IN (SELECT image_id FROM file)")
            return {hex_of(digest) for (digest,) in rows}

    def _unused_since(self, day: int) -> set[str]:
        with self._snapshot():
            rows = self._db.execute("SELECT digest FROM image WHERE used_day < ?", (day,))
            return {hex_of(digest) for (digest,) in rows}

    def _compact(self) -> None:
        try:
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            # The rows are gone in any case; another process reads, or the disk has no room for the copy.
            _log.info("the space in %s was not given back now: %s", self.location, error)

    def _clear(self) -> None:
        with self._mapped("write to"), self._transaction():
            for table in ALL_TABLES:
                self._db.execute(f"DELETE FROM {table}")
        self._compact()

    def _close(self) -> None:
        with suppress(sqlite3.Error):  # everything that counts was committed before
            self._db.close()

    # SQLite's ways

    def _value(self, query: str) -> int:
        value = self._db.execute(query).fetchone()[0]
        if type(value) is not int:
            raise DamagedStoreError(f"{self.location} is damaged: a number in it is none")
        return value

    def _transaction(
        self, kind: Literal["IMMEDIATE", "DEFERRED"] = "IMMEDIATE"
    ) -> AbstractContextManager[None]:
        return transaction(self._db, kind)

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """Read from a single moment: another process may clear the file and give the same numbers anew."""
        with self._mapped("read"), self._transaction("DEFERRED"):
            yield

    @contextmanager
    def _mapped(self, doing: str) -> Iterator[None]:
        """Turn what SQLite and the system raise into `StoreError`."""
        try:
            yield
        except UnicodeDecodeError as error:  # SQLite quotes a damaged schema in its message, as bytes
            damage = sqlite3.DatabaseError("malformed database schema")
            raise explain(damage, self.location, doing, self._purpose) from error
        except (sqlite3.Error, OSError) as error:
            raise explain(error, self.location, doing, self._purpose) from error
