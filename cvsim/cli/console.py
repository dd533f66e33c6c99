"""The two streams of a terminal program: the result on stdout, everything else on stderr."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from cvsim.progress import Progress, SilentProgress

if TYPE_CHECKING:
    from rich.console import Console

EXIT_NOT_ALL = 1
"""Exit code of a command that could not do all that it was asked to."""
_PIPED_WIDTH = 1_000_000
"""A pipe has no width: what goes through it is not folded."""


def result_console(stream: TextIO | None = None) -> Console:
    """Make the console for the result. What the stream cannot encode is escaped, never an error."""
    stream = stream or sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return _console(stream, None if stream.isatty() else _PIPED_WIDTH)


def notes_console() -> Console:
    """Make the console for progress, hints and what was written where."""
    return _console(sys.stderr, None)


def _console(stream: TextIO, width: int | None) -> Console:
    from rich.console import Console  # not above: a run that prints JSON to a pipe needs none of it

    # Nothing in what is printed is markup, and file names least of all.
    return Console(file=stream, width=width, markup=False, emoji=False, highlight=False, soft_wrap=False)


@contextmanager
def progress_bars(quiet: bool) -> Iterator[Progress]:
    """Bars with rate and time left while the block runs; silence when nobody watches stderr."""
    if quiet or not sys.stderr.isatty():
        yield SilentProgress()
        return
    from cvsim.cli.bars import bars_on

    with bars_on(notes_console()) as progress:
        yield progress


def write_bytes(content: bytes) -> None:
    """Write to stdout as it is, also what is not text."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def write_text(text: str) -> None:
    """Write to stdout; file names get the bytes that they have on disk."""
    write_bytes(text.encode("utf-8", "surrogateescape"))


def file_link(path: str) -> str:
    """A URI for a terminal that can open files, byte for byte."""
    from urllib.parse import quote

    return "file://" + quote(os.fsencode(os.path.abspath(path)))
