"""Processes that run the jobs of another and can be killed; and what they say to each other.

They are forked from one process, the nursery, that has imported what they need: that takes longer than most
of what they do. The nursery is a plain ``python -c`` that imports this module, not `multiprocessing`: a
user's script needs no ``__main__`` guard, and nothing of the parent's memory, locks or threads is inherited.
It has one thread, so that a fork of it is sound.

Each message is its length in 8 bytes and a pickle. The parent sends a child a job (bytes) or a payload; the
child answers each with ``(True, result)`` or ``(False, error)``.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from typing import IO, Any

from cvsim.errors import CvsimError, DecodeError, TooLargeError
from cvsim.own_process import tune_own_process

_START_TIMEOUT_S = 120.0
_END_TIMEOUT_S = 10.0
_BOOTSTRAP = "import sys; sys.path[:] = sys.argv[1:]; from cvsim.executors.child import main; main()"
# One thread in each: the executor has one child at work for each of its own threads.
SINGLE_THREADED = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class ChildEndedError(Exception):
    """The child ended, or its answer could not be read."""


class ChildTimeoutError(Exception):
    """The child did not answer in time."""


class Nursery:
    """The parent's side of the process that children are forked from. For several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(_START_TIMEOUT_S)
        # -P and the explicit path: nothing is imported from a folder only because the run started there.
        path = [os.path.abspath(folder) for folder in sys.path]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _BOOTSTRAP, *path],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **SINGLE_THREADED},
            )

    def child(self, job_class: type, memory_bytes: int) -> Child:
        """Fork a child, for jobs of a class that is imported before if it is the first.

        Raises
        ------
        OSError, ChildEndedError
            The nursery, or the child, is gone.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                pid = self._ask((job_class.__module__, job_class.__qualname__), theirs)
            except BaseException:
                ours.close()
                raise
        return Child(self, pid, ours, memory_bytes)

    def kill(self, pid: int) -> None:
        """End a child at once, and wait until it is gone."""
        # Without the nursery a child ends by itself, as it hears no more questions.
        with contextlib.suppress(OSError, ChildEndedError):
            self._ask(pid)

    def close(self) -> None:
        """End all children and the process itself, and wait until they are gone."""
        self._socket.close()
        try:
            self._process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, question: object, attached: socket.socket | None = None) -> int:
        data = pickle.dumps(question)
        head = len(data).to_bytes(8, "big")
        with self._lock:
            try:
                socket.send_fds(self._socket, [head], [] if attached is None else [attached.fileno()])
                self._socket.sendall(data)
                answer = self._socket.recv(8)
            except BaseException:
                self._socket.close()  # a late answer would pass for that to the next question
                raise
        if len(answer) < 8:
            raise ChildEndedError
        return int.from_bytes(answer, "big")


class Child:
    """The parent's side of a child. Not for several threads at once.

    Parameters
    ----------
    nursery : Nursery
        It was forked from.
    pid : int
    connection : socket
    memory_bytes : int
        What the child may allocate on top of what it has once a job is loaded.
    """

    def __init__(self, nursery: Nursery, pid: int, connection: socket.socket, memory_bytes: int) -> None:
        self.job_key: object = None
        self._nursery, self._pid, self._connection = nursery, pid, connection
        self._is_killed = False
        try:
            self._ask(memory_bytes, _START_TIMEOUT_S)
        except BaseException:
            self.close()
            raise

    def load_job(self, job_key: object, pickled_job: bytes) -> None:
        """Make `pickled_job` the one that `run` runs. Raises RuntimeError if the child can not load it."""
        ok, answer = self._ask(pickled_job, _START_TIMEOUT_S)
        if not ok:
            raise RuntimeError(f"a child process can not load the job: {answer}")
        self.job_key = job_key

    def run(self, payload: object, timeout_s: float) -> Any:
        """Run the job on `payload`; return or raise what it returned or raised."""
        ok, answer = self._ask((timeout_s, payload), timeout_s)
        if not ok:
            raise answer
        return answer

    @property
    def is_alive(self) -> bool:
        """Of a child that was not asked anything: there is nothing to hear of it but its end."""
        return not _poll(self._connection.fileno(), 0.0)

    def kill(self) -> None:
        """End the process at once. Safe to call from another thread, and twice."""
        if not self._is_killed:
            self._is_killed = True
            self._nursery.kill(self._pid)

    def close(self) -> None:
        """End the process and wait until it is gone."""
        self.kill()
        self._connection.close()

    def _ask(self, question: object, timeout_s: float) -> tuple[bool, Any]:
        descriptor = self._connection.fileno()
        try:
            _send(descriptor, question)
            deadline = time.monotonic() + timeout_s
            n_bytes = int.from_bytes(_receive_until(descriptor, 8, deadline), "big")
            answer: tuple[bool, Any] = pickle.loads(_receive_until(descriptor, n_bytes, deadline))
        except (OSError, EOFError, pickle.UnpicklingError) as exc:
            raise ChildEndedError from exc
        return answer


def main() -> None:
    """The nursery's side: fork and kill until the parent is gone, however it went; then end all children."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    warnings.simplefilter("ignore")
    tune_own_process()
    parent = socket.socket(fileno=os.dup(0))
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    children: set[int] = set()
    while (request := _receive_request(parent)) is not None:
        question, descriptors = request
        if isinstance(question, int):
            answer = 0
            if question in children:  # not waited for yet, so that its number is still its own
                _end(question)
                children.remove(question)
        else:
            _prepare(*question)
            answer = os.fork()
            if not answer:
                with contextlib.suppress(BaseException):
                    parent.close()
                    _serve(descriptors[0])
                os._exit(0)
            children.add(answer)
        for descriptor in descriptors:
            os.close(descriptor)
        with contextlib.suppress(OSError):
            parent.sendall(answer.to_bytes(8, "big"))
    for pid in children:
        _end(pid)


def _receive_request(parent: socket.socket) -> tuple[Any, list[int]] | None:
    head, descriptors, _, _ = socket.recv_fds(parent, 8, 1)
    if len(head) < 8:
        return None
    length = int.from_bytes(head, "big")
    return pickle.loads(parent.recv(length, socket.MSG_WAITALL)), descriptors


def _prepare(module: str, name: str) -> None:
    """Import a class of jobs, and let it do what takes long the first time."""
    with contextlib.suppress(Exception):  # the child will say what is wrong, as it loads a job
        job_class = getattr(importlib.import_module(module), name)
        if job_class not in _prepared:
            _prepared.add(job_class)
            getattr(job_class, "prepare", lambda: None)()


_prepared: set[type] = set()


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _serve(descriptor: int) -> None:
    """A child's side: answer until the parent hangs up."""
    questions = os.fdopen(descriptor, "rb")
    job: Any = None
    memory_bytes = 0
    while (question := _receive(questions)) is not None:
        if isinstance(question, int):
            memory_bytes = question
            _send(descriptor, (True, None))
        elif isinstance(question, bytes):
            job, answer = _load(question, memory_bytes)
            _send(descriptor, answer)
        else:
            timeout_s, payload = question
            # If the parent goes while a decoder hangs, nobody is left to kill this process: the alarm does.
            signal.setitimer(signal.ITIMER_REAL, timeout_s + 5.0)
            answer = _run(job, payload)
            signal.setitimer(signal.ITIMER_REAL, 0)
            _send(descriptor, answer)
            del question, payload, answer  # a large payload must not live on until the next one


def _load(pickled_job: bytes, memory_bytes: int) -> tuple[Any, tuple[bool, object]]:
    try:
        job = pickle.loads(pickled_job)
        _limit_memory(memory_bytes)
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


def _limit_memory(memory_bytes: int) -> None:
    """Let this process allocate `memory_bytes` more than it has, so that a bomb fails to go off."""
    import resource

    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            used_bytes = int(statm.read().split()[0]) * resource.getpagesize()
    except OSError:  # no Linux: the limit counts what is mapped too, so leave room for that
        used_bytes = 1 << 30
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = used_bytes + memory_bytes
    with contextlib.suppress(ValueError, OSError):  # already tighter, or not enforced on this system
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _send(descriptor: int, message: object) -> None:
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    _write_all(descriptor, len(data).to_bytes(8, "big"))
    _write_all(descriptor, data)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _receive(stream: IO[bytes]) -> Any:
    head = stream.read(8)
    if len(head) < 8:
        return None
    data = stream.read(int.from_bytes(head, "big"))
    return pickle.loads(data)


def _receive_until(descriptor: int, n_bytes: int, deadline: float) -> bytes:
    parts = []
    while n_bytes:
        if not _poll(descriptor, max(0.0, deadline - time.monotonic())):
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
