"""Work on other processes, through a scheduler: nothing is lost with a worker, and errors say what to do."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from executor_jobs import Act, Ends, Noted, OnlyIn

from cvsim.errors import MissingExtraError, RemoteError
from cvsim.executors import open_executor

pytest.importorskip("distributed", reason="the extra 'dask' is not installed")

import dask

from cvsim.executors import dask as dask_module
from cvsim.executors.dask import DaskExecutor
from cvsim.executors.worker_processes import WorkerProcesses


@pytest.fixture(scope="module")
def cluster() -> Iterator[WorkerProcesses]:
    processes = WorkerProcesses(3)
    yield processes
    processes.close()


def test_every_item_has_its_result(cluster: WorkerProcesses, tmp_path: Path) -> None:
    with DaskExecutor(cluster.address) as executor:
        job = Noted(str(tmp_path / "notes"))
        assert dict(executor.map(job, range(60))) == {i: i * i for i in range(60)}
        pids = {pid for _, pid in executor.map(Act(), ["here pid"] * 30)}
    assert 2 <= len(pids) <= 3
    assert os.getpid() not in pids


def test_nothing_to_do_needs_no_scheduler() -> None:
    with open_executor("tcp://127.0.0.1:1") as executor:
        assert list(executor.map(Act(), [])) == []


def test_a_killed_worker_costs_only_what_it_was_at(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    processes = WorkerProcesses(2)
    try:
        with DaskExecutor(processes.address) as executor:
            results = executor.map(Noted(str(notes), pause_s=0.05), range(60))
            found = [next(results) for _ in range(10)]
            os.kill(processes.pids[0], signal.SIGKILL)
            found += results
    finally:
        processes.close()
    assert dict(found) == {i: i * i for i in range(60)}
    times = Counter(int(line) for line in notes.read_text().split())
    assert set(times) == set(range(60))
    assert sum(times.values()) - 60 <= 3


def test_what_fails_there_is_done_here(cluster: WorkerProcesses, caplog: pytest.LogCaptureFixture) -> None:
    with DaskExecutor(cluster.address) as executor:
        assert dict(executor.map(OnlyIn(os.getpid()), range(5))) == {i: i for i in range(5)}
    assert "5 items could not be done on tcp://" in caplog.text


def test_a_job_that_ends_its_workers_ends_the_map() -> None:
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        DaskExecutor("local:3") as executor,
        pytest.raises(RemoteError, match="several workers ended"),
    ):
        list(executor.map(Ends(), [1]))


def test_workers_of_another_version_are_refused(
    cluster: WorkerProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_module, "versions", lambda: {"cvsim": "0.0.1"})
    with (
        DaskExecutor(cluster.address) as executor,
        pytest.raises(RemoteError, match=r"instead of 0\.0\.1: install the same versions"),
    ):
        list(executor.map(Act(), ["here pid"]))


def test_a_scheduler_that_is_away() -> None:
    with (
        DaskExecutor("tcp://127.0.0.1:1", connect_timeout_s=1) as executor,
        pytest.raises(RemoteError, match=r"no Dask scheduler answers.*dask scheduler"),
    ):
        list(executor.map(Act(), ["here pid"]))


def test_something_else_than_a_scheduler() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"tcp://127.0.0.1:{deaf.getsockname()[1]}"
        with (
            DaskExecutor(address, connect_timeout_s=1) as executor,
            pytest.raises(RemoteError, match="no Dask scheduler answers"),
        ):
            list(executor.map(Act(), ["here pid"]))


def test_a_scheduler_without_workers() -> None:
    processes = WorkerProcesses(0)
    try:
        with (
            DaskExecutor(processes.address, no_workers_timeout_s=1) as executor,
            pytest.raises(RemoteError, match="has no workers: start some with `dask worker tcp://"),
        ):
            list(executor.map(Act(), ["here pid"]))
    finally:
        processes.close()


def test_all_workers_gone(tmp_path: Path) -> None:
    processes = WorkerProcesses(1)
    try:
        with DaskExecutor(processes.address) as executor:
            list(executor.map(Act(), ["here pid"]))  # the worker has come
        with DaskExecutor(processes.address, no_workers_timeout_s=2) as executor:
            results = executor.map(Noted(str(tmp_path / "notes"), pause_s=0.05), range(60))
            next(results)
            os.kill(processes.pids[0], signal.SIGKILL)
            with pytest.raises(RemoteError, match="What is finished is kept"):
                list(results)
    finally:
        processes.close()


def test_a_scheduler_that_goes_away(tmp_path: Path) -> None:
    processes = WorkerProcesses(1)
    with DaskExecutor(processes.address) as executor:
        results = executor.map(Noted(str(tmp_path / "notes"), pause_s=0.05), range(60))
        next(results)
        processes.close()
        with pytest.raises(RemoteError, match="is lost"):
            list(results)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"cvsim\[dask\]"):
        open_executor("local:2")


def test_local_workers_end_with_a_killed_driver() -> None:
    """A script without a ``__main__`` guard, too."""
    script = (
        "from executor_jobs import Act; from cvsim.executors.dask import DaskExecutor\n"
        "e = DaskExecutor('local:1')\n"
        "print(*{p for _, p in e.map(Act(), ['here pid'] * 40)}, flush=True)\n"
        "input()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    with process:
        assert process.stdout is not None
        pids = [int(pid) for pid in process.stdout.readline().split()]
        process.kill()
    assert pids
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.1)
