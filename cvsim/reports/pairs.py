"""Candidate pairs for another program: CSV, JSON lines or Parquet, written as they come."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from cvsim.errors import CvsimError, MissingExtraError, UsageError
from cvsim.files import replacing, write
from cvsim.names import path_cell

CHUNK_ROWS = 10_000
PAIR_FORMATS = (".csv", ".jsonl", ".parquet")


class PairRow(Protocol):
    """What is written: two paths and a score."""

    @property
    def a(self) -> str:
        """Name the first file."""

    @property
    def b(self) -> str:
        """Name the second file."""

    @property
    def score(self) -> float:
        """Say how sure it is that the two are the same."""


def pair_format(path: str | os.PathLike[str]) -> str:
    """The format that a file's name asks for.

    Raises
    ------
    UsageError
        It asks for none of `PAIR_FORMATS`.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in PAIR_FORMATS:
        raise UsageError(
            f"{os.fspath(path)}: the name must end in {', '.join(PAIR_FORMATS)}, which says the format"
        )
    return suffix


def write_pairs(path: str | os.PathLike[str], pairs: Iterable[PairRow]) -> int:
    """Write pairs as the columns a, b, score; the file is there when all are written.

    Returns
    -------
    int
        How many.

    Raises
    ------
    CvsimError
        The file cannot be written.
    MissingExtraError
        Parquet is asked for and pyarrow is not installed.
    """
    counted = _Counted(pairs)
    suffix = pair_format(path)
    if suffix == ".parquet":
        _write_parquet(Path(path), counted)
    else:
        write(path, csv_chunks(counted) if suffix == ".csv" else jsonl_chunks(counted))
    return counted.n


def csv_chunks(pairs: Iterable[PairRow]) -> Iterator[bytes]:
    """``a,b,score``; file names keep their bytes, and none is a formula (see `cvsim.names.path_cell`)."""
    yield b"a,b,score\n"
    for rows in _chunks(pairs):
        text = io.StringIO()
        cells = ((path_cell(p.a), path_cell(p.b), p.score) for p in rows)
        csv.writer(text, lineterminator="\n").writerows(cells)
        yield text.getvalue().encode("utf-8", "surrogateescape")


def jsonl_chunks(pairs: Iterable[PairRow]) -> Iterator[bytes]:
    """One JSON object a line."""
    for rows in _chunks(pairs):
        lines = (json.dumps({"a": p.a, "b": p.b, "score": p.score}) for p in rows)
        yield "".join(f"{line}\n" for line in lines).encode()


def _write_parquet(path: Path, pairs: Iterable[PairRow]) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as exc:
        raise MissingExtraError("Parquet files", "parquet") from exc
    schema = pa.schema([("a", pa.string()), ("b", pa.string()), ("score", pa.float64())])
    try:
        with replacing(path) as draft, parquet.ParquetWriter(draft, schema) as writer:
            for rows in _chunks(pairs):
                columns = [[_text(p.a) for p in rows], [_text(p.b) for p in rows], [p.score for p in rows]]
                writer.write_table(pa.table(columns, schema=schema))
    except OSError as exc:
        raise CvsimError(f"{path}: cannot be written: {exc.strerror or exc}") from exc


def _text(path: str) -> str:
    """Parquet has no word for bytes that are not UTF-8."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _chunks(pairs: Iterable[PairRow]) -> Iterator[list[Any]]:
    rows = iter(pairs)
    while chunk := list(islice(rows, CHUNK_ROWS)):
        yield chunk


class _Counted:
    def __init__(self, pairs: Iterable[PairRow]) -> None:
        self._pairs = pairs
        self.n = 0

    def __iter__(self) -> Iterator[PairRow]:
        for pair in self._pairs:
            self.n += 1
            yield pair
