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


@contextmanager
def paged_console() -> Iterator[Console]:
    """A console for a long result, shown page by page by the user's own pager (``PAGER``, or less)."""
    import click

    console = _console(io.StringIO(), None if sys.stdout.isatty() else _PIPED_WIDTH)
    if sys.stdout.isatty():
        from rich.console import Console

        # Colours, where the terminal has them, and no links: not every pager knows those.
        screen = result_console()
        console = Console(
            file=io.StringIO(),
            width=screen.width,
            force_terminal=not screen.is_dumb_terminal,
            color_system="standard" if screen.color_system else None,
            markup=False,
            emoji=False,
            highlight=False,
        )
    yield console
    assert isinstance(console.file, io.StringIO)
    click.echo_via_pager(console.file.getvalue().removesuffix("\n"))


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
