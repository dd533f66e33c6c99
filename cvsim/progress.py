"""How long work reports where it is. The library never draws: a caller passes something that does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from time import perf_counter
from typing import Protocol


class Progress(Protocol):
    """What ``progress=`` takes: ``with progress.task("Reading", 120) as advance: advance(1)``."""

    def task(self, description: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        """Open a task of `total` steps (None: unknown); the context value is called with steps done."""


class SilentProgress:
    """The default: draws nothing."""

    @contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Begin something whose parts can be counted."""
        yield lambda n: None


class Clock:
    """Seconds by stage, for those who ask where the time went."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = perf_counter()

    def mark(self, stage: str) -> None:
        """Count the time since the last mark for a stage."""
        now = perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now
