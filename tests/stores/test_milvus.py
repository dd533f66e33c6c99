"""Milvus: where an index is, and what goes wrong with servers; test_contract has its promises as a store."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import milvus_places
import pytest

import cvsim
from cvsim.errors import StoreError, UsageError, WrongStoreError
from cvsim.stores import Extraction, ImageInfo, KnownFile, open_index
from cvsim.stores.milvus_connection import TOKEN_VARIABLE, Address

pytestmark = pytest.mark.milvus


# --- places -----------------------------------------------------------------------------------------------


def test_places_of_servers_and_files(monkeypatch: pytest.MonkeyPatch) -> None:
    address = Address.of("milvus://engine.example")
    assert (address.uri, address.name, address.token) == ("http://engine.example:19530", "cvsim", "")
    address = Address.of("milvus+tls://me:pa%40ss@engine.example:443/photos?timeout_s=5")
    assert (address.uri, address.name) == ("https://engine.example:443", "photos")
    assert (address.token, address.timeout_s) == ("me:pa@ss", 5.0)
    assert "pa%40ss" not in address.location
    monkeypatch.setenv(TOKEN_VARIABLE, "me:secret")
    assert Address.of("milvus://[::1]:1/x").token == "me:secret"
    assert Address.of("milvus://[::1]:1/x").uri == "http://[::1]:1"
    address = Address.of("milvus-lite://some/where.milvus?timeout_s=7")
    assert (address.file, address.timeout_s) == (os.path.abspath("some/where.milvus"), 7.0)


@pytest.mark.parametrize(
    "location",
    [
        "milvus://",
        "milvus://host:port/x",
        "milvus://host/a b",
        "milvus://host/a/b",
        "milvus://host/x?timeout_s=soon",
        "milvus-lite://x.milvus?timeout_s=soon",
        "milvus-lite://x.milvus?timeout_s=0",
        "milvus://host/x?timeout_s=-1",
        "milvus-lite://",
        "milvus-lite://a name with spaces",
        "milvus-lite://" + "x" * 40,
        "qdrant://host",
    ],
)
def test_what_is_no_place_is_refused(location: str) -> None:
    with pytest.raises(UsageError, match=r"milvus"):
        open_index(location)


def test_an_index_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    location = f"milvus-lite://{tmp_path}/none.milvus"
    with pytest.raises(UsageError, match="make it with cvsim index"):
        open_index(location, create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_server_has_only_the_indexes_that_were_made() -> None:
    location = f"{milvus_places.server()}/never_made"
    with pytest.raises(UsageError, match="make it with cvsim index"):
        open_index(location, create=False)
    with pytest.raises(UsageError, match="make it with cvsim index"):
        open_index(location, create=False)


# --- what goes wrong --------------------------------------------------------------------------------------


@contextmanager
def listening(answer: bytes | None) -> Iterator[int]:
    """A port that takes connections and says `answer`, or nothing ever."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stopping = threading.Event()
        taken: list[socket.socket] = []

        def serve() -> None:
            server.settimeout(0.1)
            while not stopping.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                taken.append(connection)
                if answer is not None:
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            stopping.set()
            thread.join()
            for connection in taken:
                connection.close()


def test_a_server_that_is_away() -> None:
    milvus_places.embedded()  # skips without the extra
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(StoreError, match=r"Start the server, or correct the address") as caught:
        cvsim.Index.open(f"milvus://me:secret@127.0.0.1:{port}/x?timeout_s=2")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("answer", [None, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"\0" * 64])
def test_something_else_than_a_server(answer: bytes | None) -> None:
    milvus_places.embedded()
    with listening(answer) as port, pytest.raises(StoreError, match=rf"127\.0\.0\.1:{port}.*(?s:.)*server"):
        cvsim.Index.open(f"milvus://127.0.0.1:{port}/x?timeout_s=2")


@contextmanager
def fake_server(version: str, delay_s: float = 0.0) -> Iterator[str]:
    """A Milvus that tells its version, and then answers late."""
    milvus_places.embedded()
    import grpc
    from pymilvus.grpc_gen import common_pb2, milvus_pb2, milvus_pb2_grpc

    class Servicer(milvus_pb2_grpc.MilvusServiceServicer):
        def Connect(self, request: Any, context: Any) -> Any:
            info = common_pb2.ServerInfo(build_tags=version)
            return milvus_pb2.ConnectResponse(status=common_pb2.Status(), server_info=info, identifier=1)

        def GetVersion(self, request: Any, context: Any) -> Any:
            return milvus_pb2.GetVersionResponse(status=common_pb2.Status(), version=version)

        def DescribeCollection(self, request: Any, context: Any) -> Any:
            stopping.wait(delay_s)
            context.abort(grpc.StatusCode.UNAVAILABLE, "going down")

    stopping = threading.Event()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    milvus_pb2_grpc.add_MilvusServiceServicer_to_server(Servicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"milvus://127.0.0.1:{port}/x?timeout_s=1"
    finally:
        stopping.set()
        server.stop(0).wait()


@pytest.mark.parametrize("version", ["v2.2.16", "1.1.1", "v3.0.1", "", "newest"])
def test_a_server_of_a_wrong_version(version: str) -> None:
    with fake_server(version) as location, pytest.raises(StoreError, match=r"needs 2\.3 or a later 2\.x"):
        cvsim.Index.open(location)


def test_a_server_that_is_too_slow() -> None:
    slow = r"no answer within 1 s.*\?timeout_s=4"
    with fake_server("v2.3.5", delay_s=30) as location, pytest.raises(StoreError, match=slow):
        cvsim.Index.open(location)


def test_an_index_of_another_layout_is_left_alone() -> None:
    location = milvus_places.embedded()
    with milvus_places.emptied(location) as store:
        store.note("layout", "0")
    with pytest.raises(WrongStoreError, match=r"layout 0 of another version of cvsim; it was left"):
        open_index(location)
    _set_layout(location, "1")
    open_index(location).close()


def _set_layout(location: str, layout: str) -> None:
    from cvsim.stores.milvus_connection import MilvusConnection
    from cvsim.stores.milvus_rows import description_row

    connection = MilvusConnection(Address.of(location))
    connection.insert("cvsim_record", [description_row("layout", layout)], replacing=True)
    connection.close()


def test_a_collection_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    from cvsim.stores.milvus_connection import MilvusConnection

    milvus_places.embedded()
    location = f"milvus-lite://{tmp_path}/other.milvus"
    connection = MilvusConnection(Address.of(location))
    fields = [("id", "INT64", 0), ("number", "INT64", 0), ("mine", "BINARY_VECTOR", 8)]
    connection.create("cvsim_word", fields, "HAMMING")
    connection.close()
    with pytest.raises(WrongStoreError, match="shares its name with another collection, cvsim_word"):
        open_index(location)
    connection = MilvusConnection(Address.of(location))
    assert connection.fields_of("cvsim_word") == {"id", "number", "mine"}
    assert connection.fields_of("cvsim_record") is None
    connection.close()


@pytest.mark.parametrize("engine", milvus_places.LOCATIONS)
def test_an_index_of_other_signals_is_refused(engine: str) -> None:
    location = milvus_places.LOCATIONS[engine]()
    milvus_places.emptied(location).close()
    with cvsim.Index.open(location, effort="fast") as index:
        before = index.store.describe("signals", "")
    with pytest.raises(StoreError, match="filled with other signals"):
        cvsim.Index.open(location, effort="thorough")
    with cvsim.Index.open(location, create=False) as index:
        assert index.store.describe("signals", "") == before


def test_an_embedded_index_takes_one_process_at_a_time() -> None:
    location = milvus_places.embedded()
    milvus_places.emptied(location).close()
    code = f"import cvsim; cvsim.Index.open({location!r}); print('open', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        with pytest.raises(StoreError, match="another process uses it"):
            cvsim.Index.open(location)
        process.send_signal(signal.SIGKILL)
    for _ in range(100):  # the engine ends by itself when its owner is gone
        try:
            open_index(location).close()
            break
        except StoreError:
            time.sleep(0.1)
    else:
        pytest.fail("still in use after its process was killed")


class Cable:
    """A TCP proxy that can be cut."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._port))
            self._pairs.append((near, far))
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(a, b), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass

    def cut(self) -> None:
        for end in (self._server, *(end for pair in self._pairs for end in pair)):
            with suppress(OSError):  # gone already
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def test_a_server_that_goes_away_damages_nothing() -> None:
    location = milvus_places.server_index()
    milvus_places.emptied(location)
    host = Address.of(location)
    cable = Cable(int(host.uri.rpartition(":")[2]))
    store = open_index(f"milvus://127.0.0.1:{cable.port}/{host.name}?timeout_s=3")
    names = [f"{k:064x}" for k in range(50)]
    for name in names[:25]:
        store.put(Extraction(name, "d", ImageInfo(1, 1), artefacts={"key": b"x" * 100_000}))
        store.put_file(name.encode(), KnownFile(1, 1, 1, 1, name))
    store.flush()
    cable.cut()
    for name in names[25:]:
        store.put(Extraction(name, "d", ImageInfo(1, 1), artefacts={"key": b"y" * 1000}))
    with pytest.raises(StoreError, match=r"run the same command again"):
        store.flush()
    store.abandon()
    store.close()
    with open_index(location, create=False) as again:
        assert again.images("d").keys() == set(names[:25])
        assert again.descriptors("key") == dict.fromkeys(names[:25], b"x" * 100_000)
        again.put(Extraction(names[30], "d", ImageInfo(2, 2), artefacts={"key": b"z"}))
        assert again.descriptors("key", [names[30]]) == {names[30]: b"z"}


PUT_MANY_WORDS = """
import resource, sys
import numpy as np
from cvsim.stores import Extraction, ImageKeys, KnownFile, open_index

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with open_index(sys.argv[1]) as store:
    keys = {}
    for k in range(40):
        digest = f"{k:064x}"
        store.put(Extraction(digest, artefacts={"x": b"y"}))
        store.put_file(digest.encode(), KnownFile(1, 1, 1, 1, digest))
        keys[digest] = ImageKeys({}, {"w": np.arange(k, k + 2000, dtype=np.uint32)}, {})
    store.put_keys(keys)
    assert store.n_keyed() == 40
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_very_many_words_are_written_in_little_memory(tmp_path: Path) -> None:
    milvus_places.embedded()
    command = [sys.executable, "-c", PUT_MANY_WORDS, f"milvus-lite://{tmp_path}/many.milvus"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert int(done.stdout.split()[-1]) < 600 << 10  # kilobytes
