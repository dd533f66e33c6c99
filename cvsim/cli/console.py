"""The two streams of a terminal program: the result on stdout, everything else on stderr."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from cvsim.progress import Progress as ProgressProtocol
from cvsim.progress import SilentProgress

_PIPED_WIDTH = 1_000_000
"""A pipe has no width: what goes through it is not folded."""


def result_console(stream: TextIO | None = None) -> Console:
    """For the result. What the stream can not encode is escaped, never an error."""
    stream = stream or sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return _console(stream, None if stream.isatty() else _PIPED_WIDTH)


def notes_console() -> Console:
    """For progress, hints and what was written where."""
    return _console(sys.stderr, None)


def _console(stream: TextIO, width: int | None) -> Console:
    # Nothing in what is printed is markup, and file names least of all.
    return Console(file=stream, width=width, markup=False, emoji=False, highlight=False, soft_wrap=False)


@contextmanager
def progress_bars(quiet: bool) -> Iterator[ProgressProtocol]:
    """Bars with rate and time left while the block runs; silence when nobody watches stderr."""
    console = notes_console()
    if quiet or not console.is_terminal or console.is_dumb_terminal:
        yield SilentProgress()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(compact=True),
    )
    # With both streams on one terminal rich would also catch stdout, which is the result: it must not.
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bars:
        yield _Bars(bars)


class _Rate(ProgressColumn):
    """How many a second, lately."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s", style="progress.data.speed")


class _Bars:
    """`cvsim.progress.Progress` drawn by rich."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars

    @contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        task = self._bars.add_task(description, total=total)
        try:
            yield lambda n: self._bars.advance(task, n)
        finally:
            self._bars.remove_task(task)


def write_bytes(content: bytes) -> None:
    """Write to stdout as it is, also what is not text."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def file_link(path: str) -> str:
    """A URI for a terminal that can open files, byte for byte."""
    from urllib.parse import quote

    return "file://" + quote(os.fsencode(os.path.abspath(path)))
