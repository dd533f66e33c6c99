"""Milvus for tests: embedded, and a real server where one can be had."""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import uuid
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from unittest import mock

import pytest

from cvsim.stores.milvus import MilvusIndex

SERVER_VARIABLE = "CVSIM_TEST_MILVUS"
"""Address of a Milvus server that tests may write to: ``milvus://HOST:PORT``."""


def embedded() -> str:
    """The location of an embedded Milvus; skips where it is not installed."""
    pytest.importorskip("pymilvus", reason="the extra 'milvus' is not installed")
    pytest.importorskip("milvus_lite", reason="the extra 'milvus' is not installed")
    return f"milvus-lite://{_folder()}/index.milvus"


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def server() -> str:
    """The address of a server without a name of an index; skips where none can be had."""
    pytest.importorskip("pymilvus", reason="the extra 'milvus' is not installed")
    return os.environ.get(SERVER_VARIABLE, "").rstrip("/") or _started()


@cache
def _started() -> str:
    milvus = pytest.importorskip(
        "milvus", reason=f"no server: {SERVER_VARIABLE} is not set and the package 'milvus' not installed"
    )
    # Each server has ports and a folder of its own: another worker may start one at the same moment, and one
    # that was left behind may still be there.
    config = milvus.MilvusServerConfig()
    names = [name for name in config.configurable_items if name.endswith("_port")]
    *ports, metrics_port = _free_ports(len(names) + 1)
    config.update(**dict(zip(names, ports, strict=True)))
    folder = tempfile.mkdtemp(prefix="cvsim-milvus-")
    started = milvus.MilvusServer(config)
    started.set_base_dir(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(started.stop)
    with mock.patch.dict(os.environ, METRICS_PORT=str(metrics_port)):  # the one that its settings do not name
        started.start()
    _ends_with_this_process(started.server_proc.pid)
    return f"milvus://127.0.0.1:{started.listen_port}"


def _free_ports(n: int) -> list[int]:
    with ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(n)]
        return [server.getsockname()[1] for server in servers]


def _ends_with_this_process(pid: int) -> None:
    """End a process when this one is gone, however it went: a watcher waits for the end of its input."""
    code = "import os, sys; sys.stdin.read(); os.kill(int(sys.argv[1]), 9)"
    watcher = subprocess.Popen(
        [sys.executable, "-c", code, str(pid)],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    _watchers.append(watcher)


_watchers: list[subprocess.Popen[bytes]] = []


@cache
def server_index() -> str:
    """The location of an index on the server that no other run uses; it is dropped at the end."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    location = f"{server()}/{name}"
    from pymilvus import MilvusClient  # after `server`, which skips without it

    def drop() -> None:
        client = MilvusClient(location.replace("milvus://", "http://").rsplit("/", 1)[0])
        for collection in client.list_collections():
            if collection.startswith(name):
                client.drop_collection(collection)

    atexit.register(drop)
    return location


_open: dict[str, MilvusIndex] = {}


def emptied(location: str) -> MilvusIndex:
    """An open and empty index there; opening one anew for each test would take seconds."""
    index = _open.get(location)
    if index is None or index._closed:
        index = _open[location] = MilvusIndex(location)
        atexit.register(index.close)
    index.clear()
    return index


LOCATIONS = {"milvus-lite": embedded, "milvus-server": server_index}
