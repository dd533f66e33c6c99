"""Progress bars with rate and time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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

from cvsim.progress import Progress as ProgressProtocol, SilentProgress

_REDRAW_S = 0.1


@contextmanager
def bars_on(console: Console) -> Iterator[ProgressProtocol]:
    """Bars on the console while the block runs; silence on one that cannot move its cursor."""
    if not console.is_terminal or console.is_dumb_terminal:
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
    # No thread draws: beside another thread no process is forked (see `cvsim.executors.forks`).
    with Progress(
        *columns, console=console, transient=True, redirect_stdout=False, auto_refresh=False
    ) as bars:
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
        self._drawn_at = -_REDRAW_S

    @contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        task = self._bars.add_task(description, total=total)
        self._bars.refresh()

        def advance(n: int) -> None:
            self._bars.advance(task, n)
            if time.monotonic() - self._drawn_at >= _REDRAW_S:
                self._bars.refresh()
                self._drawn_at = time.monotonic()

        try:
            yield advance
        finally:
            self._bars.remove_task(task)
