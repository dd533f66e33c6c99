from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from executor_jobs import Act, Count, Prepared, Unloadable, Unpicklable, WithoutTheLock

from cvsim.errors import CvsimError, DecodeError, MissingExtraError, TooLargeError
from cvsim.executors import fork_server as server_module
from cvsim.executors.forks import can_fork
from cvsim.executors.local import SHARED_MEMORY_BYTES, LocalExecutor
from cvsim.executors.opencv_threads import one_opencv_thread
from cvsim.settings import available_cores


@pytest.fixture(
    autouse=True,
    params=[
        "spawned",
        pytest.param(
            "forked", marks=pytest.mark.skipif(sys.platform != "linux", reason="nothing is forked elsewhere")
        ),
    ],
)
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where children come from: every test is to hold in a process of cvsim's own and in another's."""
    kind = str(request.param)
    monkeypatch.setattr(server_module, "is_own_process", lambda: kind == "forked")
    monkeypatch.setattr(server_module, "MOST_INHERITED_BYTES", 1 << 40)
    with one_opencv_thread():  # as cvsim has it while it works
        yield kind


@pytest.fixture
def executor() -> Iterator[LocalExecutor]:
    with LocalExecutor(2) as executor:
        yield executor


def outcome(executor: LocalExecutor, act: str, **options: float) -> object:
    ((item, result),) = executor.map(Act(), [act], **options)
    assert item == act
    return result


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone before it was opened, or before it was read
        return False


def wait_until_gone(pids: list[int], timeout_s: float = 20.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if not any(is_running(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("n_workers", [1, 2, 5])
def test_every_item_has_its_result(n_workers: int) -> None:
    with LocalExecutor(n_workers) as executor:
        assert dict(executor.map(Count(), range(500))) == {i: i * i for i in range(500)}


def test_no_items(executor: LocalExecutor) -> None:
    assert list(executor.map(Count(), [])) == []


def test_threads_share_the_process_and_children_do_not(executor: LocalExecutor) -> None:
    assert outcome(executor, "here pid") == os.getpid()
    assert outcome(executor, "pid") != os.getpid()


def test_children_are_kept_and_never_more_than_workers(executor: LocalExecutor) -> None:
    pids = {result for _ in range(3) for _, result in executor.map(Act(), ["pid"] * 20)}
    assert 1 <= len(pids) <= 2


@pytest.mark.parametrize("act", ["abort", "crash", "exit"])
def test_a_crash_is_that_items_error(executor: LocalExecutor, act: str) -> None:
    results = list(executor.map(Act(), ["pid", act, "pid", act, "pid"]))
    for item, result in results:
        if item == act:
            assert isinstance(result, DecodeError)
            assert str(result) == "the decoder crashed"
        else:
            assert isinstance(result, int)
    assert len(results) == 5


@pytest.mark.parametrize("act", ["hang", "hang deaf"])
def test_a_hang_ends_in_time(executor: LocalExecutor, act: str) -> None:
    result = outcome(executor, act, timeout_s=0.5)
    assert isinstance(result, DecodeError)
    assert str(result) == "the decoder took longer than 0.5 s"
    assert isinstance(outcome(executor, "pid"), int)


def test_a_bomb_does_not_go_off() -> None:
    with LocalExecutor(1, child_memory_bytes=200_000_000) as executor:
        results = dict(executor.map(Act(), ["bomb", "a bit", "here fail"]))
    assert isinstance(results["bomb"], TooLargeError)
    assert results["a bit"] == 50_000_000


def test_what_a_decoder_prints_goes_nowhere(
    executor: LocalExecutor, capfd: pytest.CaptureFixture[str]
) -> None:
    assert outcome(executor, "chatter") == "said"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("where", ["", "here "])
def test_errors_are_results(executor: LocalExecutor, where: str, caplog: pytest.LogCaptureFixture) -> None:
    failed = outcome(executor, f"{where}fail")
    assert isinstance(failed, DecodeError)
    assert str(failed) == "as expected"
    missed = outcome(executor, f"{where}miss")
    assert isinstance(missed, MissingExtraError)
    assert missed.extra == "heif"
    stumbled = outcome(executor, f"{where}stumble")
    assert isinstance(stumbled, CvsimError)
    assert "unexpected error (please report it): ZeroDivisionError: nobody thought of that" in str(stumbled)


def test_a_large_result_comes_whole(executor: LocalExecutor) -> None:
    assert outcome(executor, "large") == b"x" * 5_000_000


def test_items_are_taken_no_faster_than_results(executor: LocalExecutor) -> None:
    job = Count()
    results = executor.map(job, iter(range(10_000)))
    for _ in range(5):
        next(results)
    time.sleep(0.1)
    assert job.n_loaded <= 100
    results.close()  # type: ignore[attr-defined]
    assert threading.active_count() < 20


def test_large_demands_wait_for_each_other() -> None:
    with LocalExecutor(4) as executor:
        for memory_bytes, most in [(10 * SHARED_MEMORY_BYTES, 1), (SHARED_MEMORY_BYTES // 2, 2), (0, 4)]:
            job = Count(memory_bytes, pause_s=0.02)
            assert len(list(executor.map(job, range(12)))) == 12
            assert job.most_at_once <= most


def test_an_error_of_the_items_ends_the_map(executor: LocalExecutor) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("the list ends here")

    with pytest.raises(OSError, match="the list ends here"):
        list(executor.map(Count(), items()))


def test_a_job_that_can_not_travel_says_so(executor: LocalExecutor) -> None:
    with pytest.raises(RuntimeError, match="the job cannot be pickled"):
        list(executor.map(Unpicklable(), [1, 2]))
    with pytest.raises(RuntimeError, match="cannot load the job"):
        list(executor.map(Unloadable(), [1, 2]))
    assert dict(executor.map(WithoutTheLock(), [1, 2])) == {1: 1, 2: 2}


def test_leaving_early_ends_what_is_at_work() -> None:
    before = threading.active_count()
    with LocalExecutor(2) as executor:
        results = executor.map(Act(), ["pid", "pid", "hang", "hang", "hang"], timeout_s=100)
        pids = [result for _, result in (next(results), next(results))]
        time.sleep(0.2)
        started = time.monotonic()
        results.close()  # type: ignore[attr-defined]
        assert time.monotonic() - started < 10
        assert threading.active_count() == before
    assert wait_until_gone(pids)


def is_fork(pid: object) -> bool:
    return Path(f"/proc/{pid}/cmdline").read_bytes() == Path("/proc/self/cmdline").read_bytes()


def test_a_small_process_of_our_own_is_forked(monkeypatch: pytest.MonkeyPatch, server: str) -> None:
    can_be = can_fork()  # unless another test's thread is still there
    with LocalExecutor(2) as executor:
        assert is_fork(outcome(executor, "parent")) == (server == "forked" and can_be)
    monkeypatch.setattr(server_module, "MOST_INHERITED_BYTES", 1 << 20)
    with LocalExecutor(2) as executor:
        assert not is_fork(outcome(executor, "parent"))


def test_the_nursery_keeps_no_file_of_the_run() -> None:
    reading, writing = os.pipe()
    with LocalExecutor(2) as executor:
        assert isinstance(outcome(executor, "parent"), int)
        os.close(writing)
        with open(reading, "rb") as pipe:
            assert pipe.read() == b""  # else this would wait for the fork server's end


def test_children_have_one_parent_that_ends_with_the_executor() -> None:
    with LocalExecutor(3) as executor:
        parents = {parent for _, parent in executor.map(Act(), ["parent"] * 30)}
        assert len(parents) == 1
        assert os.getpid() not in parents
    assert not any(is_running(pid) for pid in parents)  # type: ignore[arg-type]


def test_a_job_is_prepared_once_for_all_children(executor: LocalExecutor) -> None:
    parent = outcome(executor, "parent")
    prepared = [found for _, found in executor.map(Prepared(), ["a", "b", "c"])]
    assert prepared[0] in ([], [parent])  # a child may have been there before
    with LocalExecutor(3) as other:
        pids = [pid for _, pids in other.map(Prepared(), ["a"] * 10) for pid in pids]  # type: ignore[attr-defined]
    assert len(pids) == 10
    assert len(set(pids)) == 1


def test_a_parent_of_children_that_is_killed_is_replaced(executor: LocalExecutor) -> None:
    parent = outcome(executor, "parent")
    assert isinstance(parent, int)
    os.kill(parent, signal.SIGKILL)
    assert wait_until_gone([parent])
    assert isinstance(outcome(executor, "abort"), DecodeError)
    other = outcome(executor, "parent")
    assert isinstance(other, int)
    assert is_running(other)
    assert other != parent


def test_time_of_children_counts_as_the_time_of_the_run() -> None:
    def used_s() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = used_s()
    with LocalExecutor(2) as executor:
        assert list(executor.map(Act(), ["work"] * 2)) == [("work", 0.3)] * 2
    assert used_s() - before > 0.6


def test_an_interrupt_ends_everything(tmp_path: Path, server: str) -> None:
    assert interrupted(tmp_path, server, signal.SIGINT) in (-signal.SIGINT, 1, 130)


def test_children_end_with_a_killed_parent(tmp_path: Path, server: str) -> None:
    assert interrupted(tmp_path, server, signal.SIGKILL) == -signal.SIGKILL


def interrupted(tmp_path: Path, server: str, how: signal.Signals) -> int:
    """Send a signal to a script (without a ``__main__`` guard) whose children are idle and busy."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
            from cvsim.executors.own_process import tune_own_process
            if FORKED:
                tune_own_process()
            from executor_jobs import Act
            from cvsim.executors.local import LocalExecutor

            with LocalExecutor(2) as executor:
                for item, result in executor.map(Act(), ["pid"] * 8 + ["hang"], timeout_s=1.0 + 100 * SLOW):
                    print(result, flush=True)
        """)
        .replace("SLOW", "1" if how == signal.SIGINT else "0")
        .replace("FORKED", str(server == "forked"))
    )
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    with process.stdout:
        pids = [int(process.stdout.readline()) for _ in range(8)]
        time.sleep(0.2)
        process.send_signal(how)
        code = process.wait(timeout=20)
    assert wait_until_gone(pids)
    return code


def test_nothing_is_imported_from_the_folder_the_run_starts_in(tmp_path: Path) -> None:
    (tmp_path / "pickle.py").write_text("raise SystemExit('imported from the scanned folder')")
    script = "from executor_jobs import Act; from cvsim.executors.local import LocalExecutor\n"
    script += "with LocalExecutor(1) as e: print([type(r).__name__ for _, r in e.map(Act(), ['pid'])])"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "script.py").write_text(script)
    result = subprocess.run(
        [sys.executable, str(tmp_path / "bin" / "script.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert (result.stdout, result.stderr) == ("['int']\n", "")


def test_available_cores() -> None:
    assert 1 <= available_cores() <= (os.cpu_count() or 1)
    assert LocalExecutor().n_workers == available_cores()
