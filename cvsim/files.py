"""Files: written so that a killed run leaves the old one or the new one; results as text or file; tables."""

from __future__ import annotations

import csv
import json
import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, overload

from cvsim.errors import CvsimError, UsageError

FilePath = str | os.PathLike[str]
BROKEN_LEVELS = 4
"""Levels of a JSON document that get a line for each item: a group's members and edges still do."""
_compact = json.JSONEncoder(ensure_ascii=True, allow_nan=False).encode


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


def dumps(value: Any) -> str:
    """How cvsim prints JSON everywhere: readable, ASCII, no NaN, a newline at the end."""
    return _text(value, 0) + "\n"


def dumps_line(value: Any) -> str:
    """The same on a line of its own, for a file of JSON lines."""
    return _compact(value) + "\n"


def _text(value: Any, depth: int) -> str:
    """What lies deepest goes on one line, by the encoder that is written in C."""
    if depth == BROKEN_LEVELS or not value or not isinstance(value, (dict, list, tuple)):
        return _compact(value)
    if isinstance(value, dict):
        brackets, items = "{}", [_name(key) + _text(item, depth + 1) for key, item in value.items()]
    else:
        brackets, items = "[]", [_text(item, depth + 1) for item in value]
    indent = "\n" + " " * depth
    return f"{brackets[0]}{indent} " + f",{indent} ".join(items) + f"{indent}{brackets[1]}"


def _name(key: Any) -> str:
    return _compact(key if isinstance(key, str) else str(key)) + ": "


@overload
def delivered(chunks: Iterable[bytes], path: None) -> str: ...
@overload
def delivered(chunks: Iterable[bytes], path: FilePath) -> None: ...
def delivered(chunks: Iterable[bytes], path: FilePath | None) -> str | None:
    """The text of the chunks, or, with a path, a file of them, whole or not at all."""
    if path is None:
        return b"".join(chunks).decode("utf-8", "surrogateescape")
    write(path, chunks)
    return None


@overload
def delivered_bytes(data: bytes, path: None) -> bytes: ...
@overload
def delivered_bytes(data: bytes, path: FilePath) -> None: ...
def delivered_bytes(data: bytes, path: FilePath | None) -> bytes | None:
    """The data, or, with a path, a file of it, whole or not at all."""
    if path is None:
        return data
    write(path, [data])
    return None


class JsonResult(ABC):
    """A result that can be written down as what its command prints with ``--json``."""

    __slots__ = ()

    @abstractmethod
    def document(self) -> dict[str, Any]:
        """The result as plain lists, dictionaries, strings and numbers."""

    @overload
    def to_json(self, path: None = None) -> str: ...
    @overload
    def to_json(self, path: FilePath) -> None: ...
    def to_json(self, path: FilePath | None = None) -> str | None:
        """The document that the command prints with ``--json``.

        Parameters
        ----------
        path : path, optional
            A file to write, whole or not at all.

        Returns
        -------
        str or None
            The text if no path is given; it is ASCII.

        Raises
        ------
        CvsimError
            The file cannot be written.
        """
        return delivered([dumps(self.document()).encode()], path)


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
