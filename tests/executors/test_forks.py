"""Work in forks gives what work in this process gives."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading

import pytest
from rich.console import Console

from cvsim.cli.bars import bars_on
from cvsim.executors.forks import MIN_ITEMS, fork, map_in_forks


def numbered(i: int) -> bytes:
    return i.to_bytes(4, "little")


@pytest.mark.parametrize("n_items", [0, 1, MIN_ITEMS - 1, MIN_ITEMS, 5 * MIN_ITEMS + 3])
@pytest.mark.parametrize("n_workers", [1, 2, 3])
def test_results_come_in_order(n_items: int, n_workers: int) -> None:
    assert map_in_forks(numbered, n_items, n_workers) == [numbered(i) for i in range(n_items)]


def test_a_child_that_ends_loses_nothing() -> None:
    parent = os.getpid()

    def fragile(i: int) -> bytes:
        if os.getpid() != parent and i > MIN_ITEMS:
            os._exit(9)
        return numbered(i)

    assert map_in_forks(fragile, 4 * MIN_ITEMS, 2) == [numbered(i) for i in range(4 * MIN_ITEMS)]


def whose(i: int) -> bytes:
    return os.getpid().to_bytes(8, "little")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="nothing is forked elsewhere")
def test_nothing_is_forked_beside_another_thread() -> None:
    n = 2 * MIN_ITEMS
    if threading.active_count() == 1:  # else another test's thread is still there, and that is the rule
        assert len(set(map_in_forks(whose, n, 2))) == 2
    ended = threading.Event()
    other = threading.Thread(target=ended.wait)
    other.start()
    try:
        assert set(map_in_forks(whose, n, 2)) == {whose(0)}
    finally:
        ended.set()
        other.join()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="nothing is forked elsewhere")
@pytest.mark.parametrize("blocked", [set(), {signal.SIGUSR1}])
def test_interrupts_reach_both_as_before(blocked: set[int]) -> None:
    before = signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    try:
        reading, writing = os.pipe()

        def interrupt_me() -> None:
            os.write(writing, bytes(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))))
            os.kill(os.getpid(), signal.SIGINT)
            os.write(writing, b"not reached")

        pid = fork(interrupt_me)
        os.close(writing)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
        with open(reading, "rb") as pipe:
            assert pipe.read() == bytes(blocked)
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == blocked
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_no_other_thread_draws_progress() -> None:
    """Else no command would fork while somebody watches it."""
    terminal = Console(file=io.StringIO(), force_terminal=True, width=80)
    before = threading.active_count()
    with bars_on(terminal) as progress, progress.task("Looking", 3) as advance:
        for _ in range(3):
            advance(1)
            assert threading.active_count() == before
    assert "Looking" in terminal.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("bad", [6, 7])
def test_an_error_of_the_work_is_raised_here(bad: int) -> None:
    def failing(i: int) -> bytes:
        if i == bad:
            raise ValueError("this one")
        return numbered(i)

    with pytest.raises(ValueError, match="this one"):
        map_in_forks(failing, 2 * MIN_ITEMS, 2)
