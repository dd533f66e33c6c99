"""Pictures within zip archives, named ``archive.zip/name``: read in memory, never unpacked to disk.

What an archive says of itself is not trusted: how much would come out of it is limited, for one picture and
for all, and names that lead elsewhere are refused.
"""

from __future__ import annotations

import functools
import os
import threading
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from cvsim.errors import DecodeError, ImageError, TooLargeError
from cvsim.images.formats import FORMAT_TABLE

ENDINGS = (".zip", ".cbz")
IN_ARCHIVE = "it lies in an archive, which is only read"
MOST_MEMBERS = 200_000
MOST_BYTES = 256 << 20
"""Of one picture, unpacked."""
_MOST_TIMES, _LEAST_BOMB_BYTES = 100, 1 << 30
"""Pictures are packed already, and scans without compression shrink to a tenth."""
_PICTURE_NAMES = tuple(ending for entry in FORMAT_TABLE.values() for ending in entry.endings)
_OPEN_AT_ONCE = 4
_ENCRYPTED = 1
_read_one = threading.Lock()


@dataclass(frozen=True, slots=True)
class ZipMember:
    """A file in an archive.

    Attributes
    ----------
    name : str
        As the archive has it; its parts lie between slashes.
    size_bytes : int
        Unpacked, as the archive claims.
    reason : str
        Why it cannot be read; empty if nothing speaks against it.
    """

    name: str
    size_bytes: int
    reason: str = ""


def split(path: str) -> tuple[str, str] | None:
    """The archive and the name in it, of a path that leads into an archive; None for any other path."""
    for start in _ends_of_archives(path):
        if os.path.isfile(path[:start]):
            return path[:start], path[start + 1 :]
    return None


def why_only_read(path: str) -> str:
    """`IN_ARCHIVE` for a path that leads into an archive; empty for any other."""
    return IN_ARCHIVE if split(path) is not None else ""


def picture_members(path: str) -> list[ZipMember]:
    """The files of an archive that are named like pictures, each name once, in order.

    Raises
    ------
    ImageError
        It is no archive, is damaged, or is a bomb.
    """
    archive = _opened(path)
    infos = archive.infolist()
    if len(infos) > MOST_MEMBERS:
        raise TooLargeError(f"an archive of {len(infos):,} files, more than the limit of {MOST_MEMBERS:,}")
    n_bytes = sum(info.file_size for info in infos)
    packed = max(1, os.path.getsize(path))
    if n_bytes > max(_LEAST_BOMB_BYTES, _MOST_TIMES * packed):
        raise TooLargeError(
            f"an archive of {packed / 1e6:.1f} MB that would unpack to {n_bytes / 1e9:,.1f} GB: a zip bomb"
        )
    named = {info.filename: info for info in infos if info.filename.lower().endswith(_PICTURE_NAMES)}
    return [ZipMember(name, info.file_size, _objection(info)) for name, info in sorted(named.items())]


def read_member(path: str, name: str) -> bytes:
    """The bytes of a file in an archive.

    Raises
    ------
    ImageError
        It is gone, damaged, encrypted or too large.
    """
    with _read_one:  # the archive is one file with one position
        archive = _opened(path)
        try:
            info = archive.getinfo(name)
        except KeyError:
            raise ImageError("it is not in its archive any more") from None
        if reason := _objection(info):
            raise (TooLargeError if "limit" in reason else DecodeError)(reason)
        try:
            with archive.open(info) as stream:
                data = stream.read(MOST_BYTES + 1)
        except NotImplementedError as exc:
            raise DecodeError("packed in a way that is not known here") from exc
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as exc:
            raise DecodeError("damaged in its archive") from exc
    if len(data) > MOST_BYTES:
        raise TooLargeError(_too_large(len(data)))
    return data


def _objection(info: zipfile.ZipInfo) -> str:
    name = info.filename
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or "." in parts or "" in parts or ":" in parts[0]:
        return "its name leads out of its archive"
    if info.flag_bits & _ENCRYPTED:
        return "encrypted in its archive"
    return _too_large(info.file_size) if info.file_size > MOST_BYTES else ""


def _too_large(n_bytes: int) -> str:
    return f"{n_bytes >> 20:,} MB are over the limit of {MOST_BYTES >> 20} MB for a picture in an archive"


def _opened(path: str) -> zipfile.ZipFile:
    try:
        status = os.stat(path)
        return _opened_as(path, status.st_mtime_ns, status.st_size)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, ValueError, EOFError, NotImplementedError) as exc:
        raise DecodeError("a damaged archive, or none") from exc
    except OSError as exc:
        raise ImageError(f"cannot be read: {(exc.strerror or str(exc)).lower()}") from exc


@functools.lru_cache(_OPEN_AT_ONCE)
def _opened_as(path: str, mtime_ns: int, size_bytes: int) -> zipfile.ZipFile:
    """The archive as it is now; to read its directory for each of its files would be quadratic."""
    return zipfile.ZipFile(path)


def _ends_of_archives(path: str) -> Iterator[int]:
    lower = path.lower()
    for ending in ENDINGS:
        start = lower.find(f"{ending}/")
        while start >= 0:
            yield start + len(ending)
            start = lower.find(f"{ending}/", start + 1)


def is_archive_name(path: str) -> bool:
    """Whether a file is named like an archive."""
    return path.lower().endswith(ENDINGS)
