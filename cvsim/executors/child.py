"""A process that runs the jobs of another and can be killed, and what the two say to each other.

Each message is its length in 8 bytes and a pickle. The parent sends a child a job (bytes) or a payload; the
child answers each with ``(True, result)`` or ``(False, error)``. Where children come from: see
`cvsim.executors.fork_server`.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import socket
from collections.abc import Callable, Iterator
from typing import IO, Any, NamedTuple

from cvsim.errors import CvsimError, DecodeError, TooLargeError
from cvsim.executors.opencv_threads import leave_one_opencv_thread
from cvsim.executors.own_process import lift_pillow_limit
from cvsim.executors.work_limit import MOST_WAITING, WorkLimit
from cvsim.files import write_all

START_TIMEOUT_S = 120.0
_ARE_YOU_THERE = "are you there?"


class ChildEndedError(Exception):
    """The child ended, or its answer could not be read."""


class ChildTimeoutError(Exception):
    """The child did not answer in time."""


class Child:
    """The parent's side of a child. Not for several threads at once.

    Parameters
    ----------
    end : callable
        Ends the process and waits until it is gone.
    connection : socket
    pid : int
        Of the process; 0 if it is not known.
    """

    def __init__(self, end: Callable[[], None], connection: socket.socket, pid: int = 0) -> None:
        self.job_key: object = None
        self._end, self._connection, self._pid = end, connection, pid
        self._is_killed = False
        try:
            self._ask(_ARE_YOU_THERE, START_TIMEOUT_S)
        except BaseException:
            self.close()
            raise

    def load_job(self, job_key: object, pickled_job: bytes) -> None:
        """Make `pickled_job` the one that `run` runs. Raises RuntimeError if the child cannot load it."""
        ok, answer = self._ask(pickled_job, START_TIMEOUT_S)
        if not ok:
            raise RuntimeError(f"a child process cannot load the job: {answer}")
        self.job_key = job_key

    def run(self, payload: object, timeout_s: float, memory_bytes: int) -> Any:
        """Run the job on `payload`; return or raise what it returned or raised.

        The limit of time is put off while the child waits for a core (see `cvsim.executors.work_limit`).
        It may allocate `memory_bytes` on top of what the child has once it holds the payload.
        """
        ok, answer = self._ask((timeout_s, memory_bytes, payload), timeout_s)
        if not ok:
            raise answer
        return answer

    @property
    def is_alive(self) -> bool:
        """Give the connection of a child that was not asked anything; all there is to hear is its end."""
        return not _poll(self._connection.fileno(), 0.0)

    def kill(self) -> None:
        """End the process at once. Safe to call from another thread, and twice."""
        if not self._is_killed:
            self._is_killed = True
            self._end()

    def close(self) -> None:
        """End the process and wait until it is gone."""
        self.kill()
        self._connection.close()

    def _ask(self, question: object, timeout_s: float) -> tuple[bool, Any]:
        descriptor = self._connection.fileno()
        try:
            _send(descriptor, question)
            deadline = WorkLimit(timeout_s, self._pid)
            n_bytes = int.from_bytes(_receive_until(descriptor, 8, deadline), "big")
            answer: tuple[bool, Any] = pickle.loads(_receive_until(descriptor, n_bytes, deadline))
        except (OSError, EOFError, pickle.UnpicklingError) as exc:
            raise ChildEndedError from exc
        return answer


def serve(descriptor: int) -> None:
    """The child's side: answer until the parent hangs up."""
    questions = os.fdopen(descriptor, "rb")
    job: Any = None
    while (question := _receive(questions)) is not None:
        if question == _ARE_YOU_THERE:
            _send(descriptor, (True, None))
        elif isinstance(question, bytes):
            job, answer = _load(question)
            _send(descriptor, answer)
        else:
            timeout_s, memory_bytes, payload = question
            # If the parent goes while a decoder hangs, nobody is left to kill this process: the alarm does.
            signal.setitimer(signal.ITIMER_REAL, MOST_WAITING * timeout_s + 5.0)
            with _limited_memory(memory_bytes):
                answer = _run(job, payload)
            signal.setitimer(signal.ITIMER_REAL, 0)
            _send(descriptor, answer)
            del question, payload, answer  # a large payload must not live on until the next one


def _load(pickled_job: bytes) -> tuple[Any, tuple[bool, object]]:
    try:
        job = pickle.loads(pickled_job)
        leave_one_opencv_thread()
        lift_pillow_limit()
    except Exception as exc:
        return None, (False, f"{type(exc).__name__}: {exc}")
    return job, (True, None)


def _run(job: Any, payload: object) -> tuple[bool, object]:
    try:
        return True, job.run(payload)
    except CvsimError as exc:
        return False, exc
    except MemoryError:
        return False, TooLargeError("decoding it needs more memory than is allowed")
    except Exception as exc:
        return False, unexpected(exc)


def unexpected(exc: Exception) -> CvsimError:
    """One item's failure that nobody foresaw, as that item's result: it must not end the whole run."""
    return DecodeError(f"unexpected error (please report it): {type(exc).__name__}: {exc}")


class Memory(NamedTuple):
    """What a process has mapped, what of that is in memory, and what of this is a file's; in bytes."""

    mapped: int
    resident: int
    of_files: int


def own_memory_bytes() -> Memory | None:
    """Of this process; None where there is no Linux to tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            pages = [int(word) for word in statm.read().split()[:3]]
    except OSError:
        return None
    return Memory(*(n * os.sysconf("SC_PAGE_SIZE") for n in pages))


@contextlib.contextmanager
def _limited_memory(memory_bytes: int) -> Iterator[None]:
    """Let this process allocate `memory_bytes` more than it has, so that a bomb fails to go off."""
    try:
        import resource
    except ImportError:  # this system has no such limit; the one of time is left
        yield
        return

    memory = own_memory_bytes()
    used_bytes = 1 << 30 if memory is None else memory.mapped  # the limit counts what is mapped, too
    before, hard = resource.getrlimit(resource.RLIMIT_AS)
    with contextlib.suppress(ValueError, OSError):  # already tighter, or not enforced on this system
        resource.setrlimit(resource.RLIMIT_AS, (used_bytes + memory_bytes, hard))
    try:
        yield
    finally:  # the next payload may be larger than what this one left
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (before, hard))


def _send(descriptor: int, message: object) -> None:
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    write_all(descriptor, len(data).to_bytes(8, "big"))
    write_all(descriptor, data)


def _receive(stream: IO[bytes]) -> Any:
    head = stream.read(8)
    if len(head) < 8:
        return None
    data = stream.read(int.from_bytes(head, "big"))
    return pickle.loads(data)


def _receive_until(descriptor: int, n_bytes: int, deadline: WorkLimit) -> bytes:
    parts = []
    while n_bytes:
        while not _poll(descriptor, left_s := deadline.left_s()):
            if left_s <= 0:
                raise ChildTimeoutError
        part = os.read(descriptor, min(n_bytes, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        n_bytes -= len(part)
    return b"".join(parts)


def _poll(descriptor: int, timeout_s: float) -> bool:
    """Whether there is something to read, or the end of it."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))
