"""Applying and undoing beside the page: one job at a time, watched by polling."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from cvsim.errors import ActionError, CvsimError
from cvsim.progress import Progress

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job went.

    Attributes
    ----------
    headline : str
    notes : tuple of (str, str)
        Paths and what is to be said about each.
    ok : bool
    """

    headline: str
    notes: tuple[tuple[str, str], ...] = ()
    ok: bool = True


@dataclass(frozen=True, slots=True)
class WorkStatus:
    """How far the work has come.

    Attributes
    ----------
    state : "idle", "running" or "ended"
    done, total : int
    ended : Ended or None
    """

    state: Literal["idle", "running", "ended"]
    done: int = 0
    total: int = 0
    ended: Ended | None = None


class BackgroundWork:
    """At most one job, in a thread that the end of the program waits for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._status = WorkStatus("idle")

    @property
    def status(self) -> WorkStatus:
        """Say what the work is doing."""
        return self._status

    def start(self, job: Callable[[Progress], Ended]) -> None:
        """Start a job; raises `ActionError` while another is at work."""
        with self._lock:
            if self._status.state == "running":
                raise ActionError("Files are being worked on; wait until that is done.")
            self._status = WorkStatus("running")
        threading.Thread(target=self._run, args=(job,), name="cvsim-work").start()

    def _run(self, job: Callable[[Progress], Ended]) -> None:
        try:
            ended = job(_Watched(self))
        except CvsimError as exc:
            ended = Ended(str(exc), ok=False)
        except Exception as exc:
            _log.exception("a job of the page failed")
            ended = Ended(f"It failed: {exc!r}", ok=False)
        self._status = WorkStatus("ended", ended=ended)

    def refuse_while_running(self) -> None:
        """Raises `ActionError` while a job is at work."""
        if self._status.state == "running":
            raise ActionError("Files are being worked on; wait until that is done.")

    def _advanced(self, done: int, total: int) -> None:
        self._status = WorkStatus("running", done, total)


class _Watched:
    """`cvsim.progress.Progress` that the page asks for."""

    def __init__(self, work: BackgroundWork) -> None:
        self._work = work

    @contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        done = 0

        def advance(n: int) -> None:
            nonlocal done
            done += n
            self._work._advanced(done, total or 0)

        advance(0)
        yield advance
