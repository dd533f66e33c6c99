"""The file of an embedded store: how it is told from others, opened and removed."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from cvsim.errors import WrongStoreError
from cvsim.stores.sqlite_errors import explain
from cvsim.stores.sqlite_rows import CACHE_TABLES, SCHEMA_VERSION

_log = logging.getLogger(__name__)

Purpose = Literal["cache", "index"]

APPLICATION_IDS: dict[str, int] = {"cache": 0x63765343, "index": 0x63765349}  # "cvSC", "cvSI"
"""What marks a file as one of cvsim's (``PRAGMA application_id``)."""
BUSY_S = 30.0
"""How long another process that writes is waited for."""
_PAGE_BYTES = 8192
"""Faster than 4 kB on descriptors of 500 bytes; 16 kB would waste half a page on each blob of 10 kB."""
_HEADER = b"SQLite format 3\0"
_APPLICATION_ID_AT = 68


def remove_sqlite(path: str | os.PathLike[str], purpose: Purpose = "cache") -> bool:
    """Delete the file of a store, also a damaged one that cannot be opened any more.

    Returns
    -------
    bool
        False when there was no such file.

    Raises
    ------
    WrongStoreError
        The file is something else than a store for this purpose. It was not changed.
    """
    file = Path(path).absolute()
    try:
        with file.open("rb") as stream:
            head = stream.read(_APPLICATION_ID_AT + 4)
        is_ours = head.startswith(_HEADER) and head.endswith(APPLICATION_IDS[purpose].to_bytes(4, "big"))
        if head and not is_ours:
            raise WrongStoreError(f"{file} is not a cvsim {purpose} and was left as it is")
        for part in file_parts(file):
            part.unlink(missing_ok=True)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise explain(error, os.fspath(file), "remove", purpose) from error
    return True


def connect(path: str) -> sqlite3.Connection:
    """Open a file, or make it; the empty name is a scratch file."""
    db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    # A damaged text is told by the checksum of its row, not by an error of the whole query.
    db.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    db.execute("PRAGMA temp_store = MEMORY")
    db.execute("PRAGMA cache_size = -16000")  # KiB
    db.execute("PRAGMA journal_size_limit = 67108864")
    db.execute("PRAGMA secure_delete = OFF")  # on in some builds; it writes what is deleted over with zeros
    return db


def file_parts(path: Path) -> tuple[Path, ...]:
    """Name the file and those that SQLite puts beside it, the ones that depend on it first."""
    return tuple(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "-journal", ""))


def prepare(db: sqlite3.Connection, location: str, purpose: Purpose) -> None:
    """Check whose file this is before anything is written to it; then bring it into shape."""
    with transaction(db, "DEFERRED"):  # another process may be making the file just now
        application_id, version, n_tables = _identity(db)
    if application_id == 0 and version == 0 and n_tables == 0:
        db.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
    else:
        _refuse_others(location, purpose, application_id, version)
    _use_write_ahead_log(db)
    db.execute("PRAGMA synchronous = NORMAL")
    with transaction(db):  # also shows at once that the file can be written
        application_id, version, n_tables = _identity(db)  # another process may have been faster
        if n_tables and version == SCHEMA_VERSION:
            return
        if n_tables:
            _log.warning("%s was made by an older version of cvsim: starting it anew", location)
            _drop_tables(db)
        for statement in CACHE_TABLES.split(";"):
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_IDS[purpose]}")
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _use_write_ahead_log(db: sqlite3.Connection) -> None:
    """Writers then do not stop readers. The file remembers it.

    Without shared memory (a network drive) SQLite stays with its rollback journal, which is as safe.
    """
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            # For this one change SQLite does not wait by itself when another process opens the file, too.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.005)


def _identity(db: sqlite3.Connection) -> tuple[int, int, int]:
    """Application id, version and number of tables."""
    queries = ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    application_id, version, n_tables = (db.execute(query).fetchone()[0] for query in queries)
    return application_id, version, n_tables


def _refuse_others(location: str, wanted: Purpose, application_id: int, version: int) -> None:
    purposes = {number: purpose for purpose, number in APPLICATION_IDS.items()}
    purpose = purposes.get(application_id)
    if purpose is None:
        raise WrongStoreError(
            f"{location} is the database of another program and was left as it is; name another file"
        )
    if purpose != wanted:
        raise WrongStoreError(f"{location} is a cvsim {purpose}, not {_a(wanted)}; name another file")
    if version > SCHEMA_VERSION:
        raise WrongStoreError(
            f"{location} was made by a newer version of cvsim (layout {version}, this one knows "
            f"{SCHEMA_VERSION}); update cvsim or name another file"
        )
    if version < SCHEMA_VERSION and purpose == "index":
        raise WrongStoreError(
            f"{location} was made by an older version of cvsim (layout {version}, this one needs "
            f"{SCHEMA_VERSION}); index the pictures again into a new file"
        )


def _drop_tables(db: sqlite3.Connection) -> None:
    names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for name in names:
        quoted = name.replace('"', '""')
        db.execute(f'DROP TABLE "{quoted}"')


@contextmanager
def transaction(
    db: sqlite3.Connection, kind: Literal["IMMEDIATE", "DEFERRED"] = "IMMEDIATE"
) -> Iterator[None]:
    """A short transaction.

    One that writes takes the lock at its start, so that it never fails half way; one that only reads is
    deferred, and sees a single moment.
    """
    db.execute(f"BEGIN {kind}")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite itself rolls back after some errors, a full disk among them
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
        raise


def _a(purpose: str) -> str:
    return f"an {purpose}" if purpose == "index" else f"a {purpose}"
