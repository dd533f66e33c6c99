"""Files: written so that a killed run leaves the old one or the new one, and the reader of tables."""

from __future__ import annotations

import csv
import os
import secrets
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cvsim.errors import CvsimError, UsageError

FilePath = str | os.PathLike[str]


def write(
    path: FilePath, chunks: Iterable[bytes], *, durable: bool = False, error: type[CvsimError] = CvsimError
) -> None:
    """Write `chunks` to `path`, which is replaced at once when all are written.

    A device or a pipe is written to directly. A symbolic link stays, its target is replaced.

    Parameters
    ----------
    path : path
    chunks : iterable of bytes
    durable : bool
        Whether the content is on the disk, not in the system's memory only, before it replaces the old one.
    error : type of CvsimError
        What is raised when the file cannot be written.

    Raises
    ------
    CvsimError
        The file cannot be written; the message names it and says why.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file():
            with target.open("wb") as stream:
                stream.writelines(chunks)
            return
        with replacing(target) as draft, draft.open("xb") as stream:
            stream.writelines(chunks)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
    except OSError as exc:
        raise error(f"{os.fspath(path)}: cannot be written: {exc.strerror or exc}") from exc


@contextmanager
def replacing(path: FilePath) -> Iterator[Path]:
    """The name of a draft, which takes the place of `path` when the block ends without an error.

    The draft lies beside `path`, since a rename is atomic only within one file system.
    """
    target = Path(path)
    draft = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}.part")
    try:
        yield draft
        os.replace(draft, target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data` to a descriptor, which may take it in parts."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def read_table(
    path: FilePath, columns: Collection[str] = (), *, delimiter: str = ","
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows of a CSV file with a header, each with the number of its line.

    Names that are not UTF-8 keep their bytes as surrogates. A row that is too short lacks its last columns.

    Parameters
    ----------
    path : path
    columns : collection of str
        The header must name them, in any order; there may be others.
    delimiter : str

    Raises
    ------
    UsageError
        The header lacks a column, or a row is no CSV.
    OSError
        The file cannot be read.
    """
    name = os.fspath(path)
    with open(path, newline="", encoding="utf-8-sig", errors="surrogateescape") as stream:
        rows = csv.reader(stream, delimiter=delimiter)
        try:
            header = next(rows, [])
            if not set(columns) <= set(header):
                raise UsageError(
                    f"{name} must begin with a header that names the columns {' and '.join(columns)}"
                )
            for row in rows:
                if row:
                    yield rows.line_num, dict(zip(header, row, strict=False))
        except csv.Error as exc:
            raise UsageError(f"{name}, line {rows.line_num}: {exc}") from exc
