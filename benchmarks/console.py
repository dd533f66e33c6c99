"""Progress of the benchmarks, on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter


class SimpleProgress:
    """One line a task when it ends: what it was, how many steps, how long."""

    @contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        start, done = perf_counter(), [0]

        def advance(n: int) -> None:
            done[0] += n

        yield advance
        print(f"{description}: {done[0]} in {perf_counter() - start:.1f} s", file=sys.stderr)
