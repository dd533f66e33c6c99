"""What SQLite's errors mean to a person, and what to do about them. The one place where they are mapped."""

from __future__ import annotations

import errno
import sqlite3

from cvsim.errors import StoreError, WrongStoreError

_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)
_FULL_ERRNO = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_READ_ONLY_ERRNO = (errno.EACCES, errno.EPERM, errno.EROFS)


def explain(error: sqlite3.Error | OSError, location: str, doing: str, purpose: str) -> StoreError:
    """The `StoreError` for what went wrong while `doing` something ("open", "write to") to `location`."""
    start = f"cannot {doing} the {purpose} {location}: "
    elsewhere = "name another file with --cache, or use --no-cache"
    if purpose == "index":
        elsewhere = "name another file with --store"
    if isinstance(error, OSError):
        return StoreError(start + _explain_system(error, elsewhere))
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    primary = code & 0xFF
    if code in _FULL or primary == sqlite3.SQLITE_FULL:
        return StoreError(f"{start}the disk is full; free some space, or {elsewhere}")
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return StoreError(f"{start}it is read-only; {elsewhere}")
    if primary == sqlite3.SQLITE_CANTOPEN:
        return StoreError(f"{start}no file can be opened or made there (permissions? a folder?); {elsewhere}")
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(f"{start}another process has kept it locked; wait for that one, or {elsewhere}")
    if primary == sqlite3.SQLITE_NOTADB:
        return WrongStoreError(
            f"{location} is not a cvsim {purpose} and was left as it is; name another file"
        )
    if primary == sqlite3.SQLITE_CORRUPT or any(words in str(error) for words in ("no such", "malformed")):
        remedy = "delete it or run cvsim cache clear" if purpose == "cache" else "index the pictures again"
        return StoreError(f"{start}it is damaged ({error}); {remedy}")
    return StoreError(f"{start}{error}; {elsewhere}")


def _explain_system(error: OSError, elsewhere: str) -> str:
    if error.errno in _FULL_ERRNO:
        return f"the disk is full; free some space, or {elsewhere}"
    if error.errno in _READ_ONLY_ERRNO:
        return f"it is read-only for this user; {elsewhere}"
    return f"{error.strerror or error}; {elsewhere}"
