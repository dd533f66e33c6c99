"""Until when a child may work: a busy machine must not pass for a decoder that hangs."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field

MOST_WAITING = 20
"""Times its limit: the longest that a child may take which gets hardly any time of a core. Chosen by hand."""
_CLOCK_S = 0.05
_RUNNABLE = frozenset("RD")


@dataclass
class WorkLimit:
    """A time limit for a process. It is put off while the process waits for its turn.

    At the limit, a process that has had less time of a core than the limit, and would go on if it had one, or
    waits for the disk, gets what is left. One that sleeps does not.

    Parameters
    ----------
    limit_s : float
    pid : int
        0 where that is not known: then nothing is put off.
    """

    limit_s: float
    pid: int = 0
    _end: float = field(init=False)
    _last: float = field(init=False)
    _worked_before_s: float = field(init=False)

    def __post_init__(self) -> None:
        now = time.monotonic()
        self._end, self._last = now + self.limit_s, now + MOST_WAITING * self.limit_s
        self._worked_before_s = self._worked()[0]

    def left_s(self) -> float:
        """Seconds until it must be asked again; 0 if the limit is reached."""
        now = time.monotonic()
        if now < self._end:
            return self._end - now
        worked_s, is_runnable = self._worked()
        left_s = min(self.limit_s - (worked_s - self._worked_before_s), self._last - now)
        if not is_runnable or left_s <= 0:
            return 0.0
        self._end = now + max(left_s, _CLOCK_S)
        return self._end - now

    def _worked(self) -> tuple[float, bool]:
        """Seconds of a core that the process has had, and whether it wants more; nothing without Linux."""
        if not self.pid:
            return 0.0, False
        try:
            fields = _stat(f"/proc/{self.pid}/stat")
            threads = os.listdir(f"/proc/{self.pid}/task")
            states = {_stat(f"/proc/{self.pid}/task/{thread}/stat")[0] for thread in threads}
        except (OSError, IndexError):
            return 0.0, False
        ticks = int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK"), not states.isdisjoint(_RUNNABLE)


def _stat(path: str) -> list[str]:
    """The fields that follow the name of a process: its state first."""
    with open(path, encoding="ascii", errors="replace") as stream:
        return stream.read().rpartition(")")[2].split()
