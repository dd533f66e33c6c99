"""A real OpenSearch for tests: one node on loopback, fetched by Maven, in a folder and on a port of its own.

    python tests/support/opensearch_node.py [--heap MB] [FOLDER]

prints an address and serves until Ctrl-C. Tests start it by `OpenSearchNode`. It needs ``java`` and ``javac``
of version 17 or later, and ``mvn``, which keeps what it fetches in its own cache.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

HERE = Path(__file__).parent / "opensearch"
FETCH_TIMEOUT_S = 600.0
START_TIMEOUT_S = 300.0
PLUGINS = (
    "org.opensearch.transport.Netty4Plugin",
    "org.opensearch.analysis.common.CommonAnalysisPlugin",
    "org.opensearch.painless.PainlessPlugin",
    "org.opensearch.index.reindex.ReindexPlugin",
)
KNN_PLUGIN = "org.opensearch.knn.plugin.KNNPlugin"


def missing() -> str:
    """What of the machine is missing, in words; empty if nothing is."""
    names = [name for name in ("java", "javac", "mvn") if shutil.which(name) is None]
    return f"{', '.join(names)} not installed" if names else ""


def fetched(work: Path) -> list[str]:
    """The class path of a node: the jars of Maven, the plug-in's, and the class that starts it."""
    listing = work / "classpath.txt"
    maven = ["mvn", "-q", "-B", "-f", os.fspath(HERE / "pom.xml"), "dependency:build-classpath"]
    with (work / "maven.log").open("wb") as log:
        subprocess.run(
            [*maven, f"-Dmdep.outputFile={listing}"],
            check=True,
            timeout=FETCH_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    paths = listing.read_text().strip().split(os.pathsep)
    jars = [path for path in paths if path.endswith(".jar")]
    named = {os.path.basename(jar) for jar in jars}
    for archive in (path for path in paths if path.endswith(".zip")):
        with zipfile.ZipFile(archive) as plugin:
            for name in plugin.namelist():
                if name.endswith(".jar") and os.path.basename(name) not in named:
                    jars.append(plugin.extract(name, work / "plugin"))
    classes = work / "classes"
    classes.mkdir()
    command = ["javac", "-nowarn", "-cp", os.pathsep.join(jars), "-d", classes, HERE / "OneNode.java"]
    subprocess.run(command, check=True, timeout=FETCH_TIMEOUT_S, stdin=subprocess.DEVNULL)
    return [os.fspath(classes), *jars]


class OpenSearchNode:
    """A node that ends with the block, with this process however that ends, and with `kill`.

    Parameters
    ----------
    folder : path, optional
        Where its data are; a temporary folder if not given.
    heap_mb : int
    plugins : sequence of str
        Classes of its plug-ins.
    """

    def __init__(
        self, folder: Path | None = None, heap_mb: int = 512, plugins: Sequence[str] = (*PLUGINS, KNN_PLUGIN)
    ) -> None:
        self._work = Path(tempfile.mkdtemp(prefix="cvsim-opensearch-"))
        self.folder = folder or self._work / "node"
        self._heap_mb, self._plugins = heap_mb, plugins
        self._classpath: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def location(self) -> str:
        """The address without the name of an index."""
        return f"opensearch://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Number of its process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, or start it again on the same data, and wait until it answers."""
        self._classpath = self._classpath or fetched(self._work)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = self.port or _free_port()
        heap = f"{self._heap_mb}m"
        command = ["java", f"-Xms{heap}", f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=4",
                   "-Dlog4j2.disable.jmx=true", f"-Djava.io.tmpdir={self._work}",
                   "-cp", os.pathsep.join(self._classpath), "OneNode",
                   os.fspath(self.folder), str(self.port), *self._plugins]  # fmt: skip
        self.log = self._work / "node.log"
        with self.log.open("ab") as log:
            # Its standard input is a pipe that only this process holds: when it ends, so does the node.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
        until = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                tail = self.log.read_text(errors="replace")[-3000:]
                self.stop()
                raise RuntimeError(f"OpenSearch did not start:\n{tail}")
            time.sleep(0.2)

    def _answers(self) -> bool:
        asked = f"{self.url}/_cluster/health?wait_for_status=yellow&timeout=1s"
        try:
            with urllib.request.urlopen(asked, timeout=5) as answer:
                return b'"timed_out":false' in answer.read()
        except (OSError, urllib.error.URLError):
            return False

    def kill(self) -> None:
        """End it at once, as a machine that fails does; `start` brings it back."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process = None

    def stop(self) -> None:
        """End it, and remove what is its own."""
        if self._process is not None:
            if self._process.stdin is not None:
                with suppress(OSError):
                    self._process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(20)
            self.kill()
        shutil.rmtree(self._work, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="one OpenSearch node on loopback, until Ctrl-C")
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--heap", type=int, default=512, metavar="MB")
    given = parser.parse_args()
    if why := missing():
        sys.exit(why)
    for ending in (signal.SIGTERM, signal.SIGINT):  # which a shell has its background ignore
        signal.signal(ending, signal.default_int_handler)
    with OpenSearchNode(given.folder, given.heap) as node:
        print(node.location, flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
