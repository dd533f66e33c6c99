"""The file of an embedded store: how it is told from others, opened and removed."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Literal

from cvsim.errors import WrongStoreError
from cvsim.stores.sqlite_errors import explain

Purpose = Literal["cache", "index"]

APPLICATION_IDS: dict[str, int] = {"cache": 0x63765343, "index": 0x63765349}  # "cvSC", "cvSI"
"""What marks a file as one of cvsim's (``PRAGMA application_id``)."""
BUSY_S = 30.0
"""How long another process that writes is waited for."""
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
