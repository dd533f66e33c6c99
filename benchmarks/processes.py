"""What a whole process costs: wall and CPU time and peak memory, of it and of every process under it.

Imports nothing large: a child's peak memory counts from that of its parent.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_S = 0.05  # a sample of a large process takes about a millisecond


@dataclass(frozen=True)
class Cost:
    """Of one run.

    Attributes
    ----------
    wall_s : float
    cpu_s : float
        User and system time of the process and of all that it waited for.
    peak_mb : float
        Most memory that the process tree took from the machine, as sampled: of pages that several processes
        share (libraries; what a forked child has not written to), each is counted its part, Linux' `Pss`. At
        least the largest single process, of which the kernel knows the exact peak.
    stdout : bytes
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    stdout: bytes


def measure(
    command: Sequence[str], environment: Mapping[str, str] | None = None, timeout_s: float | None = None
) -> Cost:
    """Run a command to its end.

    Raises
    ------
    RuntimeError
        It failed; the message ends with what it said.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **(environment or {})}
    )
    sampler = _Sampler(process.pid)
    timer = threading.Timer(timeout_s, process.kill) if timeout_s else None
    if timer:
        timer.start()
    errors: list[bytes] = []
    reader = threading.Thread(target=lambda: errors.append(process.stderr.read()))  # type: ignore[union-attr]
    reader.start()
    stdout = process.stdout.read()  # type: ignore[union-attr]
    # wait4 and not wait: only it tells what this one child used.
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    reader.join()
    sampler.stop()
    if timer:
        timer.cancel()
    if process.returncode:
        said = errors[0].decode(errors="replace").strip()[-500:]
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {process.returncode}: {said}")
    peak_mb = max(sampler.peak_bytes / 2**20, usage.ru_maxrss / 1024)
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, peak_mb, stdout)


class _Sampler:
    """Looks at the memory of a process tree now and then."""

    def __init__(self, pid: int) -> None:
        self.peak_bytes = 0
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(SAMPLE_S):
            self.peak_bytes = max(self.peak_bytes, sum(map(_taken_bytes, _tree(self._pid))))


def _tree(pid: int) -> list[int]:
    """The process and its descendants."""
    found = [pid]
    for parent in found:
        try:
            threads = list(Path(f"/proc/{parent}/task").iterdir())
            found += [int(c) for thread in threads for c in (thread / "children").read_text().split()]
        except OSError:
            continue  # it ended meanwhile
    return found


def _taken_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0  # it ended meanwhile
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))
