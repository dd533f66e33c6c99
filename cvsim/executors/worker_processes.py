"""A scheduler in this process, and Dask workers in processes of their own: a cluster of one machine.

The workers are plain ``python -c``, as in `cvsim.executors.fork_server`: a user's script needs no
``__main__`` guard, and nothing is imported from a folder only because the run started there. They end when
the scheduler goes, however it goes.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from cvsim.executors.fork_server import SINGLE_THREADED

if TYPE_CHECKING:
    from distributed import LocalCluster

_BOOTSTRAP = """
import sys
n_paths = int(sys.argv[1])
sys.path[:], sys.argv[1:] = sys.argv[2:2 + n_paths], sys.argv[2 + n_paths:]
from distributed.cli.dask_worker import main
main()
"""
_OPTIONS = ("--no-nanny", "--nthreads", "1", "--memory-limit", "0", "--no-dashboard", "--death-timeout", "30")


def worker_command(address: str, *options: str) -> list[str]:
    """The command of one worker process with this process's import path."""
    path = [os.path.abspath(folder) for folder in sys.path]
    return [sys.executable, "-P", "-c", _BOOTSTRAP, str(len(path)), *path, address, *_OPTIONS, *options]


class WorkerProcesses:
    """`n` worker processes, and the scheduler at `address` that they are reached by."""

    def __init__(self, n: int) -> None:
        from distributed import LocalCluster

        self._scheduler: LocalCluster = LocalCluster(
            n_workers=0,
            host="127.0.0.1",
            protocol="tcp",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        )
        self.address: str = self._scheduler.scheduler_address
        self._processes = [
            subprocess.Popen(
                worker_command(self.address),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **SINGLE_THREADED},
            )
            for _ in range(n)
        ]

    @property
    def pids(self) -> list[int]:
        """Of the worker processes."""
        return [process.pid for process in self._processes]

    def close(self) -> None:
        """End all of them."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
        self._scheduler.close(timeout=5)
