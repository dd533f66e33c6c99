"""A process that runs the jobs of another and can be killed; and the pipe between the two.

The child is a plain ``python -c`` that imports this module, not `multiprocessing`: a user's script needs no
``__main__`` guard, and nothing of the parent's memory, locks or threads is inherited.

Each message is its length in 8 bytes and a pickle. The parent sends a job (bytes) or a payload; the child
answers each with ``(True, result)`` or ``(False, error)``.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import subprocess
import sys
import time
import warnings
from typing import IO, Any

from cvsim.errors import CvsimError, DecodeError, TooLargeError
from cvsim.executors.own_process import tune_own_process

_START_TIMEOUT_S = 120.0
_BOOTSTRAP = "import sys; sys.path[:] = sys.argv[1:]; from cvsim.executors.child import main; main()"
# One thread in each: the executor has one child at work for each of its own threads.
SINGLE_THREADED = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class ChildEndedError(Exception):
    """The child ended, or its answer could not be read."""


class ChildTimeoutError(Exception):
    """The child did not answer in time."""


class Child:
    """The parent's side. Not for several threads at once.

    Parameters
    ----------
    memory_bytes : int
        What the child may allocate on top of what it has once a job is loaded.
    """

    def __init__(self, memory_bytes: int) -> None:
        self.job_key: object = None
        # -P and the explicit path: nothing is imported from a folder only because the run started there.
        path = [os.path.abspath(folder) for folder in sys.path]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _BOOTSTRAP, *path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **SINGLE_THREADED},
        )
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
        return self._process.poll() is None

    def kill(self) -> None:
        """End the process at once. Safe to call from another thread, and twice."""
        self._process.kill()

    def close(self) -> None:
        """End the process and wait until it is gone."""
        self.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                assert pipe is not None
                pipe.close()

    def _ask(self, question: object, timeout_s: float) -> tuple[bool, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            _send(self._process.stdin, question)
            deadline = time.monotonic() + timeout_s
            n_bytes = int.from_bytes(_receive_until(self._process.stdout, 8, deadline), "big")
            answer: tuple[bool, Any] = pickle.loads(_receive_until(self._process.stdout, n_bytes, deadline))
        except (OSError, EOFError, pickle.UnpicklingError) as exc:
            raise ChildEndedError from exc
        return answer


def main() -> None:
    """The child's side: answer until the pipe ends, as it does when the parent is gone, however it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    warnings.simplefilter("ignore")
    tune_own_process()
    questions = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    with open(os.devnull, "r+b") as nowhere:  # what a decoder prints must not end up among the answers
        os.dup2(nowhere.fileno(), 0)
        os.dup2(nowhere.fileno(), 1)
    job: Any = None
    memory_bytes = 0
    while (question := _receive(questions)) is not None:
        if isinstance(question, int):
            memory_bytes = question
            _send(answers, (True, None))
        elif isinstance(question, bytes):
            job, answer = _load(question, memory_bytes)
            _send(answers, answer)
        else:
            timeout_s, payload = question
            # If the parent goes while a decoder hangs, nobody is left to kill this process: the alarm does.
            signal.setitimer(signal.ITIMER_REAL, timeout_s + 5.0)
            answer = _run(job, payload)
            signal.setitimer(signal.ITIMER_REAL, 0)
            _send(answers, answer)
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


def _send(pipe: IO[bytes], message: object) -> None:
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    _write_all(pipe, len(data).to_bytes(8, "big"))
    _write_all(pipe, data)


def _write_all(pipe: IO[bytes], data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(pipe.fileno(), rest) :]


def _receive(pipe: IO[bytes]) -> Any:
    head = pipe.read(8)
    if len(head) < 8:
        return None
    data = pipe.read(int.from_bytes(head, "big"))
    return pickle.loads(data)


def _receive_until(pipe: IO[bytes], n_bytes: int, deadline: float) -> bytes:
    poll = select.poll()
    poll.register(pipe.fileno(), select.POLLIN)
    parts = []
    while n_bytes:
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise ChildTimeoutError
        part = os.read(pipe.fileno(), min(n_bytes, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        n_bytes -= len(part)
    return b"".join(parts)
