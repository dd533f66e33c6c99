"""How long work reports where it is. The library never draws: a caller passes something that does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Progress(Protocol):
    """What ``progress=`` takes: ``with progress.task("Reading", 120) as advance: advance(1)``."""

    def task(self, description: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
        """Open a task of `total` steps (None: unknown); the context value is called with steps done."""


class SilentProgress:
    """The default: draws nothing."""

    @contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        yield lambda n: None
