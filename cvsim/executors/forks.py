"""Forked processes; and work on many small items that share large values, which they see without a copy.

For work that the interpreter's lock would keep to one core. Nothing is pickled: a child inherits what the
parent holds, and only results of a fixed size come back.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable
from typing import NoReturn

MIN_ITEMS = 128
"""Fewer are done at once: a fork costs some milliseconds."""


def can_fork() -> bool:
    """Whether a forked child can go on where this process is: on Linux, while no other thread runs here.

    A child has one thread, and a lock that another one held at that moment is held there forever: of the
    allocator, of OpenBLAS, of whatever native code was at work. So a server does not fork, nor does a
    notebook, nor the driver of a cluster.
    """
    return sys.platform.startswith("linux") and threading.active_count() == 1


def map_in_forks(work: Callable[[int], bytes], n_items: int, n_workers: int) -> list[bytes]:
    """``[work(0), ..., work(n_items - 1)]``, each result of one and the same length.

    Where processes cannot be forked safely (see `can_fork`), or there is little to do, this process does it
    all. So it does the share of a child that ended early.

    Parameters
    ----------
    work : callable
        Neither prints, nor writes, nor starts threads.
    n_items, n_workers : int
    """
    if n_workers < 2 or n_items < MIN_ITEMS or not can_fork():
        return [work(i) for i in range(n_items)]
    children = [_start(work, range(k, n_items, n_workers)) for k in range(1, n_workers)]
    results: list[bytes] = [b""] * n_items
    try:
        results[::n_workers] = [work(i) for i in range(0, n_items, n_workers)]
    except BaseException:
        for pid, pipe in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(pipe)
        raise
    for k, (pid, pipe) in enumerate(children, 1):
        share = range(k, n_items, n_workers)
        with open(pipe, "rb") as stream:
            data = stream.read()
        os.waitpid(pid, 0)
        length = len(results[0])
        if len(data) != length * len(share):
            results[k::n_workers] = [work(i) for i in share]
        else:
            results[k::n_workers] = [data[j * length : (j + 1) * length] for j in range(len(share))]
    return results


def fork(run: Callable[[], object]) -> int:
    """Number of a new process that calls `run` and ends: with status 0, or with 1 if it raises.

    The caller waits for it. To be called where `can_fork`.
    """
    # An interrupt in the child, before it is told what to do with one, would end what its parent had begun.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        with warnings.catch_warnings():
            # Python counts threads that are not its own: those of OpenBLAS, which sees to them itself.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if not pid:
            _run_and_end(run, mask)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return pid


def _run_and_end(run: Callable[[], object], mask: Iterable[int]) -> NoReturn:
    status = 1
    with contextlib.suppress(BaseException):
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        run()
        status = 0
    os._exit(status)


def _start(work: Callable[[int], bytes], items: range) -> tuple[int, int]:
    """Process number and the pipe's reading end of a child that works on `items`."""
    reading, writing = os.pipe()

    def run() -> None:
        os.close(reading)
        with open(writing, "wb") as stream:
            for i in items:
                stream.write(work(i))

    pid = fork(run)
    os.close(writing)
    return pid, reading
