"""Fork servers that have nothing left to import: forks of one process that has imported it all.

To a process that imports cvsim, as the tests do, each run that decodes in children spawns a fork server, and
that imports for half a second what most tests need for some milliseconds. Here only its start is another one.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import warnings

from cvsim.executors import fork_server
from cvsim.executors.own_process import tune_own_process

_BOOTSTRAP = "import sys; sys.path[:] = sys.argv[1:]; from warm_start import main; main()"


class WarmStart:
    """The tests' side of the process that fork servers are forked from; it is started when first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def spawned(self, connection: socket.socket) -> _Started:
        """What `cvsim.executors.fork_server` has a new interpreter for."""
        said = pickle.dumps((dict(os.environ), os.getcwd(), [*map(os.path.abspath, sys.path)]))
        alive, theirs = socket.socketpair()
        with theirs, self._lock:
            self._socket = self._socket or self._process()
            socket.send_fds(
                self._socket, [len(said).to_bytes(8, "big")], [connection.fileno(), theirs.fileno()]
            )
            self._socket.sendall(said)
            pid = int.from_bytes(self._socket.recv(8), "big")
        return _Started(pid, alive)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._started.wait(20)

    def _process(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            self._started = subprocess.Popen(
                [sys.executable, "-P", "-c", _BOOTSTRAP, *map(os.path.abspath, sys.path)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **fork_server.SINGLE_THREADED},
            )
        return ours


class _Started:
    """A fork server, as its parent sees it: gone once no process holds the other end of a socket."""

    def __init__(self, pid: int, alive: socket.socket) -> None:
        self._pid, self._alive = pid, alive

    def wait(self, timeout: float | None = None) -> None:
        self._alive.settimeout(timeout)
        try:
            with contextlib.suppress(ConnectionError):
                self._alive.recv(1)
        except TimeoutError as exc:
            raise subprocess.TimeoutExpired("fork server", timeout or 0.0) from exc
        self._alive.close()

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)


def main() -> None:
    """The process itself: it forks a server for each request, until the tests are gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the servers
    tune_own_process()
    tests = socket.socket(fileno=os.dup(0))
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    warnings.simplefilter("ignore")
    from cvsim.reading import extraction, identity, previews

    for job_class in (extraction.ExtractJob, identity.PixelDigestJob, previews.PreviewJob):
        fork_server.prepare(job_class)
    while True:
        head, descriptors, _, _ = socket.recv_fds(tests, 8, 2)
        if len(head) < 8:
            return
        said = tests.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
        pid = os.fork()
        if not pid:
            try:
                tests.close()
                _serve(descriptors[0], *pickle.loads(said))
            finally:
                os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)
        tests.sendall(pid.to_bytes(8, "big"))


def _serve(descriptor: int, environment: dict[str, str], folder: str, path: list[str]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update({**environment, **fork_server.SINGLE_THREADED})
    os.chdir(folder)
    sys.path[:] = path
    fork_server._serve(socket.socket(fileno=descriptor))
