"""What can go wrong with a file: killed writers, several processes, full disks, other people's files."""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cvsim.errors import StoreError, UsageError
from cvsim.stores import (
    Extraction,
    ImageInfo,
    KnownFile,
    MemoryStore,
    SqliteStore,
    WrongStoreError,
    clear_cache,
    default_cache_path,
    open_cache,
    open_scratch,
    open_store,
    sqlite_file,
)
from cvsim.stores.sqlite_rows import SCHEMA_VERSION

KEYS = ("phash:1", "color:1", "thumbnail:1")
NOBODY = 65534


def digest(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()


def extraction(number: int, n_bytes: int = 64) -> Extraction:
    name = digest(number)
    blobs = {key: (key + name).encode().ljust(n_bytes, b".") for key in KEYS}
    return Extraction(name, "decoder:1", ImageInfo(number + 1, 1), artefacts=blobs)


def assert_sound(path: Path, least: int = 0) -> int:
    """The database is intact, its rows are whole, and those of the first `least` numbers are there."""
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()
    with SqliteStore(path) as store:
        images = store.images("decoder:1")
        for key in KEYS:
            blobs = store.descriptors(key)
            assert blobs.keys() == images.keys()
            assert all(blob and blob.startswith((key + name).encode()) for name, blob in blobs.items())
        assert images.keys() >= {digest(number) for number in range(least)}
    return len(images)


def forked(function: Callable[[], str]) -> tuple[int, int]:
    """Run `function` in a copy of this process; its pid and where what it returns can be read."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(read_end)
            text = function()
        except BaseException:
            text = traceback.format_exc()
        os.write(write_end, text.encode(errors="replace")[-60_000:])
        os._exit(0)
    os.close(write_end)
    return pid, read_end


def is_running(child: tuple[int, int]) -> bool:
    return os.waitid(os.P_PID, child[0], os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def outcome(child: tuple[int, int]) -> str:
    pid, read_end = child
    with os.fdopen(read_end, "rb") as stream:
        text = stream.read().decode()
    os.waitpid(pid, 0)
    return text


# Killed, and not alone


def _write_for_ever(path: Path, acknowledge: int) -> str:
    with SqliteStore(path) as store:
        for number in range(1_000_000):
            store.put(extraction(number))
            if number % 7 == 6:
                store.flush()
                os.pwrite(acknowledge, b"%d" % (number + 1), 0)
    return "done"


def test_kill_9_loses_nothing_that_was_flushed(tmp_path: Path) -> None:
    rng = random.Random(20)
    written = 0
    for kill in range(20):
        path = (
            tmp_path / f"cache{kill // 4}.sqlite"
        )  # a new file every four times: killed while it is made, too
        with open(tmp_path / "acknowledged", "w+b", buffering=0) as acknowledged:
            child = forked(lambda: _write_for_ever(path, acknowledged.fileno()))  # noqa: B023
            time.sleep(rng.uniform(0.002, 0.12))
            os.kill(child[0], signal.SIGKILL)
            assert outcome(child) == ""
            flushed = int(acknowledged.read() or 0)
        if path.exists():
            written += assert_sound(path, flushed)
    assert written > 100


def _write_own_and_shared(path: Path, start: int) -> str:
    with SqliteStore(path) as store:
        for number in range(300):
            store.put(extraction(number))
            store.put(extraction(start + number))
            store.put_pairs("model", {(digest(number), digest(start + number)): b"%d" % start})
            if number % 5 == 0:
                store.flush()
    return "done"


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    children = [forked(lambda start=start: _write_own_and_shared(path, start)) for start in (1000, 2000)]
    assert [outcome(child) for child in children] == ["done", "done"]
    assert assert_sound(path, 300) == 900
    with SqliteStore(path) as store:
        assert len(store.pairs("model")) == 600


def test_many_processes_make_one_file(tmp_path: Path) -> None:
    def put_one(path: Path, number: int, start: float) -> str:
        time.sleep(max(0.0, start - time.time()))
        with SqliteStore(path) as store:
            store.put(extraction(number))
        return "done"

    for attempt in range(10):
        path = tmp_path / f"{attempt}.sqlite"
        start = time.time() + 0.02
        children = [forked(lambda n=n: put_one(path, n, start)) for n in range(6)]  # noqa: B023
        assert [outcome(child) for child in children] == ["done"] * 6
        assert assert_sound(path, 6) == 6


def test_one_clears_while_the_other_writes(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    with SqliteStore(path) as writer, SqliteStore(path) as other:
        for number in range(50):
            writer.put(extraction(number))
            writer.flush()
            if number % 10 == 0:
                other.clear()
                other.put(Extraction(digest(-number), artefacts={f"other:{number}": b"x"}))
                other.flush()
        assert writer.images("decoder:1").keys() == {digest(number) for number in range(41, 50)}
    assert_sound(path)


def test_a_reader_never_sees_rows_under_a_wrong_name(tmp_path: Path) -> None:
    """A file that is cleared and filled again gives the same row numbers to other digests and keys."""
    path = tmp_path / "cache.sqlite"
    read_enough = tmp_path / "read enough"

    def refill() -> str:
        with SqliteStore(path) as store:
            for turn in itertools.takewhile(lambda _: not read_enough.exists(), itertools.count()):
                store.clear()
                for number in random.Random(turn).sample(range(20), 12):
                    name = digest(number)
                    keys = random.Random(turn).sample(KEYS, 3)
                    store.put(Extraction(name, artefacts={key: (key + name).encode() for key in keys}))
                    store.put_pairs("model", {(name, digest(0)): name.encode()})
                store.flush()
                time.sleep(0.005)  # lets a reader on the same processor see it full, too
        return "done"

    SqliteStore(path).close()
    child = forked(refill)
    fillings = set()  # that the reader came upon
    try:
        with SqliteStore(path) as store:
            while len(fillings) < 10 and is_running(child):
                for key in KEYS:
                    for wanted in (None, [digest(number) for number in range(20)], [digest(3)]):
                        blobs = store.descriptors(key, wanted)
                        assert blobs == {name: (key + name).encode() for name in blobs}
                        fillings.add(frozenset(blobs))
                pairs = store.pairs("model")
                assert pairs == {pair: pair[0].encode() for pair in pairs}
    finally:
        read_enough.touch()
        assert outcome(child) == "done"
    assert len(fillings) >= 10


def test_a_batch_is_seen_by_others_when_it_is_flushed(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    with SqliteStore(path) as store, SqliteStore(path) as other:
        store.put(extraction(1))
        assert other.images("decoder:1") == {}
        store.flush()
        assert other.images("decoder:1").keys() == {digest(1)}


def test_a_locked_cache_says_so_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "BUSY_S", 0.05)
    path = tmp_path / "cache.sqlite"
    with SqliteStore(path) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        store.put(extraction(1))
        with pytest.raises(StoreError, match="another process"):
            store.flush()
        with pytest.raises(StoreError, match="another process"):
            SqliteStore(path)
        other.execute("ROLLBACK")
        other.close()
        assert store.images("decoder:1").keys() == {digest(1)}


# A full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", os.fspath(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small tmpfs can only be mounted by root")
    yield folder
    subprocess.run(["umount", os.fspath(folder)], check=True)


def test_a_full_disk_is_an_error_that_keeps_the_batch(small_disk: Path) -> None:
    store = SqliteStore(small_disk / "cache.sqlite")

    def fill() -> None:
        nonlocal number
        for number in range(400):
            store.put(extraction(number, 4000))
            store.flush()

    number = 0
    with pytest.raises(StoreError, match=r"disk is full.*--no-cache"):
        fill()
    assert len(store.abandon().extractions) == 1
    assert len(store.images("decoder:1")) == number
    store.close()
    assert_sound(small_disk / "cache.sqlite", number)


def _fill_a_guarded_cache(path: Path) -> str:
    """Put more than fits; what can be read back at the end, and whether a warning was logged."""
    records: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("cvsim.stores").addHandler(handler)
    with open_cache(path) as cache:
        for number in range(400):
            cache.put(extraction(number, 4000))
            cache.put_file(b"/%d" % number, KnownFile(number, 0, 0, 0, digest(number)))
            if number % 10 == 0:
                cache.put_pairs("model", {(digest(number), digest(0)): b"x"})
                cache.flush()
        cache.touch([digest(0)])
        everything = {digest(number) for number in range(400)}
        assert cache.failure is not None
        assert records == [f"{cache.failure}. Going on without it"]
        assert len(cache.known_files()) == 400
        assert cache.images("decoder:1").keys() == everything
        assert cache.descriptors(KEYS[2]).keys() == everything
        assert cache.complete(KEYS, everything) == everything
        assert cache.complete([]) == everything
        assert len(cache.pairs("model")) == 40
        return cache.failure


def test_a_run_goes_on_when_the_disk_is_full(small_disk: Path) -> None:
    assert "the disk is full" in outcome(forked(lambda: _fill_a_guarded_cache(small_disk / "cache.sqlite")))
    assert 0 < assert_sound(small_disk / "cache.sqlite") < 400


def test_a_run_goes_on_when_the_file_may_not_grow(tmp_path: Path) -> None:
    def limited() -> str:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        return _fill_a_guarded_cache(tmp_path / "cache.sqlite")

    assert "the disk is full" in outcome(forked(limited))
    assert 0 < assert_sound(tmp_path / "cache.sqlite") < 400


def test_a_run_goes_on_when_there_is_no_room_to_begin_with(small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes((1 << 20) - 8192))
    assert "the disk is full" in outcome(forked(lambda: _fill_a_guarded_cache(small_disk / "cache.sqlite")))


# Read-only, as somebody else: root may write anywhere


@pytest.fixture
def public_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def as_somebody_else(path: Path) -> str:
    """What opening `path` says to a user who does not own it."""

    def attempt() -> str:
        if os.getuid() == 0:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        with open_cache(path) as cache:
            cache.put(extraction(1))
            assert cache.images("decoder:1").keys() == {digest(1)}
            reason = cache.failure
        with pytest.raises(StoreError) as raised:
            SqliteStore(path)
        assert str(raised.value) == reason
        return str(reason)

    return outcome(forked(attempt))


def test_a_read_only_cache(public_folder: Path) -> None:
    path = public_folder / "cache.sqlite"
    with SqliteStore(path) as store:
        store.put(extraction(0))
    path.chmod(0o444)
    public_folder.chmod(0o555)
    before = path.read_bytes()
    said = as_somebody_else(path)
    assert str(path) in said
    assert "read-only" in said
    assert "--no-cache" in said
    assert path.read_bytes() == before
    assert os.listdir(public_folder) == ["cache.sqlite"]


def test_a_read_only_folder(public_folder: Path) -> None:
    public_folder.chmod(0o555)
    assert "no file can be opened or made there" in as_somebody_else(public_folder / "cache.sqlite")
    assert "read-only for this user" in as_somebody_else(public_folder / "new" / "cache.sqlite")


def test_a_folder_in_the_place_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="a folder"):
        SqliteStore(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot open"):
        SqliteStore(tmp_path / "file" / "cache.sqlite")


# Files that are something else


@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n" * 500, b"hello", b"SQLite format 3\0" + bytes(5000)]
)
def test_a_file_of_another_kind_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cache.sqlite"
    path.write_bytes(content)
    for attempt in (SqliteStore, open_cache, clear_cache):
        with pytest.raises(WrongStoreError, match="left as it is"):
            attempt(path)
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["cache.sqlite"]


def test_the_database_of_another_program_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "places.sqlite"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE bookmarks (url TEXT)")
    db.execute("INSERT INTO bookmarks VALUES ('kept')")
    db.commit()
    db.close()
    before = path.read_bytes()
    for attempt in (SqliteStore, open_cache, clear_cache):
        with pytest.raises(WrongStoreError, match="another program"):
            attempt(path)
    assert path.read_bytes() == before


def test_a_cache_is_no_index(tmp_path: Path) -> None:
    open_store(tmp_path / "index.db").close()
    open_store(tmp_path / "cache.db", "cache").close()
    with pytest.raises(WrongStoreError, match="a cvsim index, not a cache"):
        clear_cache(tmp_path / "index.db")
    with pytest.raises(WrongStoreError, match="a cvsim cache, not an index"):
        open_store(tmp_path / "cache.db")


def _with_version(path: Path, version: int, purpose: str) -> Path:
    with open_store(path, purpose) as store:  # type: ignore[arg-type]
        store.put(extraction(0))
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE of_that_time (x)")
    db.execute(f"PRAGMA user_version = {version}")
    db.commit()
    db.close()
    return path


def test_an_older_cache_is_started_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = _with_version(tmp_path / "cache.sqlite", SCHEMA_VERSION - 1, "cache")
    with SqliteStore(path) as store:
        assert store.images("decoder:1") == {}
        store.put(extraction(1))
    assert "older version" in caplog.text
    assert assert_sound(path) == 1


def test_an_older_index_is_not_dropped(tmp_path: Path) -> None:
    path = _with_version(tmp_path / "index.sqlite", SCHEMA_VERSION - 1, "index")
    before = path.read_bytes()
    with pytest.raises(WrongStoreError, match=r"older version.*index the pictures again"):
        open_store(path)
    assert path.read_bytes() == before


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = _with_version(tmp_path / "cache.sqlite", SCHEMA_VERSION + 1, "cache")
    with pytest.raises(WrongStoreError, match="update cvsim"):
        open_cache(path)


def test_a_damaged_cache(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    with SqliteStore(path) as store:
        for number in range(500):
            store.put(extraction(number, 500))
    size = path.stat().st_size
    with path.open("r+b") as stream:
        stream.seek(8192)
        stream.write(random.Random(1).randbytes(size - 8192))
    with pytest.raises(StoreError, match=r"damaged.*cvsim cache clear"), SqliteStore(path) as store:
        store.descriptors(KEYS[0])
    with open_cache(path) as cache:
        cache.put(extraction(1))
        assert cache.descriptors(KEYS[0]).keys() == {digest(1)}
        assert cache.failure is not None
        assert "damaged" in cache.failure
    assert clear_cache(path)
    with SqliteStore(path) as store:
        store.put(extraction(2))
    assert assert_sound(path) == 1


# Where it is


def test_parent_folders_are_made_and_an_empty_file_will_do(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "cache.sqlite"
    SqliteStore(path).close()
    path.write_bytes(b"")
    SqliteStore(path).close()
    assert os.listdir(path.parent) == ["cache.sqlite"]


def test_a_path_that_is_not_utf_8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9?#%20.sqlite"))
    with SqliteStore(path) as store:
        store.put(extraction(0))
        assert store.info().size_bytes > 0
    assert path.exists()


def test_the_default_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", os.fspath(tmp_path))
    assert clear_cache() is False
    with open_cache() as cache:
        cache.put(extraction(0))
    assert default_cache_path().exists()
    assert clear_cache() is True
    with open_cache() as cache:
        assert cache.images("decoder:1") == {}


def test_a_scratch_store_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQLITE_TMPDIR", os.fspath(tmp_path))
    with open_scratch() as store:
        for number in range(600):
            store.put(extraction(number, 20_000))
        store.flush()
        assert store.failure is None
        assert store.info().size_bytes > 36_000_000
        assert store.descriptors(KEYS[1]).keys() == {digest(number) for number in range(600)}
        assert os.listdir(tmp_path) == []


def test_space_is_given_back(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "cache.sqlite") as store:
        for number in range(300):
            store.put(extraction(number, 4000))
        before = store.info().size_bytes
        store.clear()
        assert store.info().size_bytes < before / 10


def test_locations() -> None:
    assert isinstance(open_store("memory://"), MemoryStore)
    with pytest.raises(UsageError, match="no engine is known"):
        open_store("carrier-pigeon://localhost")
