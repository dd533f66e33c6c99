"""Where children come from: a process that has imported what they need.

Importing takes longer than most of what children do.

That process, the fork server, has one thread, so that a fork of it is sound. In a process of cvsim's own it
is itself a fork, made before there are threads: what has been imported by then, and the tables that have
been made, need not be again, which takes a quarter of a second. It keeps none of the files that it
inherits. In the process of somebody who imports cvsim, and beside threads, it is a plain ``python -c`` that
imports this module, not `multiprocessing`: a user's script needs no ``__main__`` guard, and nothing of the
parent's memory, locks or threads is inherited.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from typing import Any, Protocol

from cvsim.executors.child import START_TIMEOUT_S, Child, ChildEndedError, own_memory_bytes, serve
from cvsim.executors.forks import can_fork, fork
from cvsim.executors.opencv_threads import has_one_opencv_thread
from cvsim.executors.own_process import is_own_process, tune_own_process

_END_TIMEOUT_S = 10.0
_SERVER_BOOTSTRAP = (
    "import sys; sys.path[:] = sys.argv[1:]; from cvsim.executors.fork_server import main; main()"
)
# One thread in each: the executor has one child at work for each of its own threads.
SINGLE_THREADED = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
MOST_INHERITED_BYTES = 100_000_000
"""What cvsim takes once it has listed some hundred thousand files."""


def can_inherit() -> bool:
    """Whether a fork server may now be a fork of this process.

    Not of a large one: what the parent changes from then on would be held twice, which is worse than a late
    start.
    """
    if not (is_own_process() and can_fork() and has_one_opencv_thread()):
        return False
    memory = own_memory_bytes()
    return memory is not None and memory.resident - memory.of_files <= MOST_INHERITED_BYTES


def can_have_children() -> bool:
    """Whether this system hands sockets over to another process, by which children are reached."""
    return hasattr(socket, "send_fds")


class ForkServer:
    """The parent's side of the process that children are forked from. For several threads.

    Parameters
    ----------
    inherits : bool
        It is a fork of this process, which `can_inherit` allows now.
    """

    def __init__(self, *, inherits: bool = False) -> None:
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(START_TIMEOUT_S)
        with theirs:
            self._process: _Process = _forked(theirs) if inherits else _spawned(theirs)

    def child(self, job_class: type) -> Child:
        """Fork a child, for jobs of a class that is imported before if it is the first.

        Raises
        ------
        OSError, ChildEndedError
            The fork server, or the child, is gone.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                pid = self._ask((job_class.__module__, job_class.__qualname__), theirs)
            except BaseException:
                ours.close()
                raise
        return Child(lambda: self._end(pid), ours, pid)

    def close(self) -> None:
        """End all children and the process itself, and wait until they are gone."""
        self._socket.close()
        try:
            self._process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _end(self, pid: int) -> None:
        # Without the fork server a child ends by itself, as it hears no more questions.
        with contextlib.suppress(OSError, ChildEndedError):
            self._ask(pid)

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


class _Process(Protocol):
    """What is asked of a fork server as a process: the part of `subprocess.Popen` that is needed."""

    def wait(self, timeout: float | None = None) -> object: ...

    def kill(self) -> None: ...


class _Fork:
    """A forked process, for the one that waits for it.

    Parameters
    ----------
    pid : int
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def wait(self, timeout: float | None = None) -> None:
        """Raises `subprocess.TimeoutExpired` if the process has not ended after that many seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not os.waitpid(self._pid, os.WNOHANG)[0]:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("fork server", timeout or 0.0)
            time.sleep(_WAIT_S)

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)


_WAIT_S = 0.001


def _forked(connection: socket.socket) -> _Fork:
    def run() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in `main`
        _leave_files(connection.fileno())
        _use_one_thread()
        _serve(connection)

    return _Fork(fork(run))


def _leave_files(kept: int) -> None:
    """Close what is inherited: a pipe's reader would wait for this process, a lock be held by it."""
    gc.freeze()  # no object of the parent's may end here, and close what by then is another file
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        if descriptor > 2 and descriptor != kept:
            with contextlib.suppress(OSError):  # that of the list itself
                os.close(descriptor)
    sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for standard in range(3):
        os.dup2(sys.stdout.fileno(), standard)


def _use_one_thread() -> None:
    """What the environment says where the fork server is spawned."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)


def _spawned(connection: socket.socket) -> subprocess.Popen[bytes]:
    # -P and the explicit path: nothing is imported from a folder only because the run started there.
    path = [os.path.abspath(folder) for folder in sys.path]
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _SERVER_BOOTSTRAP, *path],
        stdin=connection.fileno(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **SINGLE_THREADED},
    )


def main() -> None:
    """A spawned fork server."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    tune_own_process()
    parent = socket.socket(fileno=os.dup(0))
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    _serve(parent)


def _serve(parent: socket.socket) -> None:
    """The server's side: fork and kill until the parent is gone, however it went; then end all children."""
    warnings.simplefilter("ignore")
    children: set[int] = set()
    while (request := _receive_request(parent)) is not None:
        question, descriptors = request
        if isinstance(question, int):
            answer = 0
            if question in children:  # not waited for yet, so that its number is still its own
                _end_child(question)
                children.remove(question)
        else:
            module, name = question
            with contextlib.suppress(Exception):  # the child will say what is wrong, as it loads a job
                prepare(getattr(importlib.import_module(module), name))
            answer = fork(lambda: _serve_alone(parent, descriptors[0]))  # noqa: B023
            children.add(answer)
        for descriptor in descriptors:
            os.close(descriptor)
        with contextlib.suppress(OSError):
            parent.sendall(answer.to_bytes(8, "big"))
    for pid in children:
        _end_child(pid)


def _receive_request(parent: socket.socket) -> tuple[Any, list[int]] | None:
    head, descriptors, _, _ = socket.recv_fds(parent, 8, 1)
    if len(head) < 8:
        return None
    length = int.from_bytes(head, "big")
    return pickle.loads(parent.recv(length, socket.MSG_WAITALL)), descriptors


def _serve_alone(parent: socket.socket, descriptor: int) -> None:
    parent.close()
    serve(descriptor)


@functools.cache
def prepare(job_class: type) -> None:
    """Let a class of jobs do what takes long the first time."""
    getattr(job_class, "prepare", lambda: None)()


def _end_child(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
