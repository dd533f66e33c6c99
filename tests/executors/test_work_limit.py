"""A busy machine must not pass for a decoder that hangs."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from cvsim.executors.work_limit import MOST_WAITING, WorkLimit

needs_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def test_a_limit_is_put_off_for_whom_other_work_keeps_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    now, worked = [0.0], [(5.0, True)]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(WorkLimit, "_worked", lambda self: worked[0])
    deadline = WorkLimit(10.0, pid=1)
    assert deadline.left_s() == 10.0
    now[0], worked[0] = 10.0, (8.0, True)
    assert deadline.left_s() == 7.0  # of ten seconds of a core it has had three
    now[0], worked[0] = 17.0, (8.0, False)
    assert deadline.left_s() == 0.0  # it sleeps
    worked[0] = 15.0, True
    assert deadline.left_s() == 0.0  # it has had its ten seconds
    now[0], worked[0] = 10.0 * MOST_WAITING, (5.0, True)
    assert deadline.left_s() == 0.0  # there is an end to waiting


@needs_proc
def test_a_process_gets_the_time_of_a_core_that_it_may_take() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        deadline = WorkLimit(0.3, busy.pid)
        before_s = deadline._worked()[0]
        while (left_s := deadline.left_s()) > 0:
            time.sleep(left_s)
        worked_s, is_runnable = deadline._worked()
        busy.kill()
    assert is_runnable
    assert worked_s - before_s >= 0.25  # the clock of the system has steps of 10 ms


@needs_proc
def test_one_that_sleeps_gets_no_more() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as idle:
        time.sleep(0.5)
        deadline = WorkLimit(0.01, idle.pid)
        time.sleep(0.02)
        found = [deadline.left_s() for _ in range(3) if not time.sleep(1)]
        idle.kill()
    assert found[-1] == 0.0
