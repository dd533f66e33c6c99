"""`cvsim dedupe` in a hostile world: bad files, kills, full disks, folders that may not be read."""

from __future__ import annotations

import contextlib
import ctypes
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from generate import copy_set, encoded, save_image, scene

from cvsim.features import make_features
from cvsim.reading.extraction import DECODER, artefact_keys
from cvsim.recipes.dedupe import dedupe
from cvsim.reports.json import document
from cvsim.settings import COPY, Settings
from cvsim.stores import open_store

ROOT = Path(__file__).parents[2]
SIZE = (400, 300)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    home = str(tmp_path / "home")
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "HOME": home,
        "XDG_CACHE_HOME": f"{home}/cache",
        "XDG_CONFIG_HOME": f"{home}/config",
    }


Done = subprocess.CompletedProcess[bytes]


@pytest.fixture
def cvsim(environment: dict[str, str]) -> Callable[..., Done]:
    """Runs the program; whatever happens, it ends by itself and without a traceback."""

    def run(*arguments: str | Path, prepare: Callable[[], None] | None = None, timeout: float = 120) -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "cvsim", *map(os.fsencode, arguments)],
            capture_output=True,
            env=environment,
            stdin=subprocess.DEVNULL,
            preexec_fn=prepare,
            timeout=timeout,
        )
        assert b"Traceback" not in done.stderr, done.stderr.decode()
        return done

    return run


def report_of(done: Done) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def groups_of(report: dict[str, Any]) -> set[frozenset[str]]:
    return {frozenset(os.path.basename(m["path"]) for m in group["members"]) for group in report["groups"]}


def reasons_of(report: dict[str, Any]) -> dict[str, str]:
    return {os.path.basename(item["path"]): item["reason"] for item in report["skipped"]}


def answer_of(report: dict[str, Any]) -> list[Any]:
    return [report[key] for key in ("groups", "skipped", "counts")]


# --- bad files --------------------------------------------------------------------------------------------


def test_bad_files_among_good_ones(tmp_path: Path, cvsim: Callable[..., Done]) -> None:
    """Made here: what is broken in every way that costs no download."""
    folder = tmp_path / "photos"
    copy_set(folder, 2, ("half", "mirrored"), size=SIZE)
    images = folder / "images"
    whole = encoded(scene(5, *SIZE), "JPEG", quality=90)
    rng = random.Random(3)
    bad = {
        "empty.jpg": b"",
        "text.png": b"not a picture at all\n" * 20,
        "head.jpg": whole[:20],
        "header-only.png": encoded(scene(5, *SIZE), "PNG")[:33],
        "zeros.gif": bytes(5000),
        "noise.webp": b"RIFF" + bytes(4) + b"WEBPVP8 " + rng.randbytes(3000),
        "noise.tif": b"II*\0" + rng.randbytes(3000),
        "noise.bmp": b"BM" + rng.randbytes(3000),
        "bomb.png": _png_header(60_000, 60_000),
        "not.zip": b"PK\3\4" + rng.randbytes(100),
    }
    for name, data in bad.items():
        (images / name).write_bytes(data)
    (images / "cut.jpg").write_bytes(whole[: len(whole) * 2 // 3])
    (images / "whole.jpg").write_bytes(whole)
    os.mkfifo(images / "pipe.jpg")
    report = report_of(cvsim("dedupe", images, "--json", "--no-cache"))
    assert groups_of(report) == {
        frozenset({"g0000_original.jpg", "g0000_half.jpg", "g0000_mirrored.jpg"}),
        frozenset({"g0001_original.jpg", "g0001_half.jpg", "g0001_mirrored.jpg"}),
        frozenset({"cut.jpg", "whole.jpg"}),
    }
    (damaged,) = [g for g in report["groups"] if g["keep"].endswith("whole.jpg")]
    assert {Path(m["path"]).name: m["damaged"] for m in damaged["members"]} == {
        "cut.jpg": True,
        "whole.jpg": False,
    }
    reasons = reasons_of(report)
    assert set(reasons) - {"pipe.jpg"} == set(bad)
    for name, reason in reasons.items():
        assert reason, name
        assert "\n" not in reason
        assert "unexpected error" not in reason
    counts = report["counts"]
    assert counts["files"] == counts["images"] + counts["skipped"]


def _png_header(width: int, height: int) -> bytes:
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


MEASURED = """
import resource, sys
from cvsim.cli import main
try:
    main()
finally:
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print("peak_bytes", 1024 * (peaks[0] + 2 * peaks[1]), file=sys.stderr)
"""


def test_hostile_files_among_good_ones(test_data: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    """Malformed, truncated and odd files of fuzzers and of decoders' own tests."""
    folder = tmp_path / "photos"
    shutil.copytree(test_data / "bad", folder / "bad")
    copy_set(folder, 3, ("half", "grey"), size=SIZE)
    n_files = sum(path.is_file() for path in folder.rglob("*"))
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, "dedupe", folder, "--json", "--no-cache", "--workers", "2"],
        capture_output=True,
        env=environment,
        timeout=600,
    )
    assert b"Traceback" not in done.stderr
    report = report_of(done)
    assert time.monotonic() - start < 10 * n_files
    assert int(done.stderr.split()[-1]) < 1_000_000_000
    assert report["counts"]["files"] == n_files
    for reason in reasons_of(report).values():
        assert reason
        assert "\n" not in reason
        assert "unexpected error" not in reason
    made = {g for g in groups_of(report) if any(name.startswith("g0") for name in g)}
    assert made == {
        frozenset(f"g{k:04}_{kind}.jpg" for kind in ("original", "half", "grey")) for k in range(3)
    }


# --- kills ------------------------------------------------------------------------------------------------

warm = multiprocessing.get_context("forkserver")
warm.set_forkserver_preload([__name__])


@pytest.fixture(scope="module", autouse=True)
def _warm_process_finds_this_module() -> Iterator[None]:
    """The fork server takes its path from the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
        yield


def run_in_its_own_session(folder: str, cache: str, told: Connection) -> None:
    """The whole program, its output thrown away; what it has finished is written at once, and told of."""
    os.setsid()
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    from cvsim.cli.group import cvsim as program
    from cvsim.stores import base

    put = base.Store.put

    def tell(store: base.Store, extraction: base.Extraction) -> None:
        put(store, extraction)
        told.send_bytes(b".")

    base.BATCH_SECONDS = 0.0
    base.Store.put = tell  # type: ignore[method-assign]
    program(["dedupe", folder, "--json", "--cache", cache, "--workers", "2"])


def session_of(pid: int) -> set[int]:
    """Processes of a session that still live."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(session) == pid and state != "Z":
            found.add(int(stat.parent.name))
    return found


@pytest.fixture(scope="module")
def jpegs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of the one format that needs no child process, and a file that is no picture."""
    folder = tmp_path_factory.mktemp("jpegs")
    copy_set(folder, 7, ("half", "crop80"), size=(320, 240))
    (folder / "images" / "text.jpg").write_text("no picture")
    return folder / "images"


def kill_at(n_kept: int, delay_s: float, folder: Path, cache: Path) -> None:
    """Start the program and kill it that long after it has kept so many results, if it has not ended."""
    heard, told = warm.Pipe(duplex=False)
    process = warm.Process(target=run_in_its_own_session, args=(str(folder), str(cache), told))
    process.start()
    told.close()
    with contextlib.suppress(EOFError):  # it has ended
        for _ in range(n_kept):
            heard.recv_bytes()
    process.join(delay_s)
    process.kill()  # may have ended, and been reaped by the fork server, a moment ago: no error
    process.join()
    heard.close()
    deadline = time.monotonic() + 10
    while session_of(process.pid or 0) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not session_of(process.pid or 0), "a child outlived its parent"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes in /proc")
def test_kill_9_leaves_no_process_behind(tmp_path: Path) -> None:
    """`kill_at` waits for the children that decode risky formats, too."""
    for seed in range(4):
        save_image(tmp_path / "p" / f"{seed}.png", scene(seed, *SIZE))
        save_image(tmp_path / "p" / f"{seed}.gif", scene(seed, *SIZE))
    cache = tmp_path / "cache.sqlite"
    for n_kept, delay_s in [(0, 0.3), (0, 0.6), (1, 0.0), (2, 0.002), (4, 0.0), (6, 0.01)]:
        kill_at(n_kept, delay_s, tmp_path / "p", cache)
    result = dedupe([str(tmp_path / "p")], Settings(cache=str(cache), workers=2))
    assert (result.counts.images, len(result.groups)) == (8, 4)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes in /proc")
@pytest.mark.parametrize("n_kills", [8, pytest.param(40, marks=pytest.mark.long)])
def test_kill_9_at_any_moment_loses_nothing_and_nothing_is_done_twice(
    n_kills: int, jpegs: Path, tmp_path: Path
) -> None:
    settings = Settings(cache=None, workers=2)
    undisturbed = dedupe([str(jpegs)], settings)
    start = time.monotonic()
    kill_at(0, 60, jpegs, tmp_path / "whole.sqlite")
    whole_run_s = time.monotonic() - start
    keys = artefact_keys(make_features(COPY.signals["default"]))
    rng = random.Random(7)
    n_finished = []
    for k in range(n_kills):
        cache = tmp_path / f"{k}.sqlite"
        if k % 4:  # while it reads, which on some machines is but an instant of the run
            kill_at(rng.randrange(1, undisturbed.counts.files), rng.uniform(0, 0.01), jpegs, cache)
        else:
            kill_at(0, rng.uniform(0.01, whole_run_s), jpegs, cache)
        finished: set[str] = set()
        if cache.exists():
            with open_store(cache, "cache") as store:
                finished = set(store.complete(keys)) & store.images(DECODER).keys()
            with sqlite3.connect(cache) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        result = dedupe([str(jpegs)], Settings(cache=str(cache), workers=2))
        assert document(result) | {"settings": None} == document(undisturbed) | {"settings": None}
        assert result.stats["n_decoded"] == undisturbed.stats["n_decoded"] - len(finished)
        n_finished.append(len(finished))
    assert len(set(n_finished)) >= 3, "the kills were no sample of the run"


def test_interrupted_at_the_keyboard(jpegs: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    cache = tmp_path / "cache.sqlite"
    command = [sys.executable, "-m", "cvsim", "dedupe", str(jpegs), "--json", "--cache", str(cache), "-q"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not cache.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert b"Traceback" not in err
    assert (process.returncode, out) == (130, b"") or process.returncode == 0
    result = dedupe([str(jpegs)], Settings(cache=str(cache), workers=2))
    assert len(result.groups) == 7


# --- what may not be read or written ----------------------------------------------------------------------


def bound_by_permissions() -> None:
    """In a child: give up the right of root to pass over permission bits."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        if libc.prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP
            raise OSError(ctypes.get_errno(), "prctl")


as_anybody = bound_by_permissions if os.name == "posix" and os.geteuid() == 0 else None


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    copy_set(tmp_path / "p", 2, ("half",), size=SIZE)
    return tmp_path / "p" / "images"


TWO_GROUPS = {frozenset({f"g000{k}_original.jpg", f"g000{k}_half.jpg"}) for k in range(2)}


@contextmanager
def permissions(path: Path, mode: int) -> Iterator[None]:
    before = path.stat().st_mode
    path.chmod(mode)
    try:
        yield
    finally:
        path.chmod(before)


def test_an_unreadable_folder_and_an_unreadable_file(photos: Path, cvsim: Callable[..., Done]) -> None:
    save_image(photos / "secret" / "a.jpg", scene(9, *SIZE))
    locked = save_image(photos / "locked.jpg", scene(8, *SIZE))
    with permissions(photos / "secret", 0o000), permissions(locked, 0o000):
        report = report_of(cvsim("dedupe", photos, "--json", prepare=as_anybody))
    assert groups_of(report) == TWO_GROUPS
    reasons = reasons_of(report)
    assert set(reasons) == {"secret", "locked.jpg"}
    assert all("ermission denied" in reason or "not allowed" in reason for reason in reasons.values()), (
        reasons
    )
    counts = report["counts"]
    assert counts["files"] == counts["images"] + counts["skipped"]


def test_a_read_only_folder_is_no_hindrance(photos: Path, cvsim: Callable[..., Done]) -> None:
    with permissions(photos, 0o555):
        report = report_of(cvsim("dedupe", photos, "--json", prepare=as_anybody))
    assert groups_of(report) == TWO_GROUPS


def test_a_cache_that_may_not_be_written(photos: Path, tmp_path: Path, cvsim: Callable[..., Done]) -> None:
    place = tmp_path / "read only"
    place.mkdir()
    with permissions(place, 0o555):
        done = cvsim("dedupe", photos, "--json", "--cache", place / "cache.sqlite", prepare=as_anybody)
    assert groups_of(report_of(done)) == TWO_GROUPS
    assert b"cache.sqlite" in done.stderr
    assert b"oing on without it" in done.stderr


def test_a_report_that_may_not_be_written_is_one_line(
    photos: Path, tmp_path: Path, cvsim: Callable[..., Done]
) -> None:
    place = tmp_path / "read only"
    place.mkdir()
    with permissions(place, 0o555):
        done = cvsim("dedupe", photos, "--csv", place / "r.csv", "--no-cache", "-q", prepare=as_anybody)
    assert done.returncode == 1
    (line,) = done.stderr.decode().splitlines()
    assert "r.csv" in line
    assert list(place.iterdir()) == []


def small_files_only() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


def test_a_cache_that_may_not_grow(photos: Path, tmp_path: Path, cvsim: Callable[..., Done]) -> None:
    done = cvsim("dedupe", photos, "--json", "--cache", tmp_path / "c.sqlite", prepare=small_files_only)
    assert groups_of(report_of(done)) == TWO_GROUPS
    assert b"oing on without it" in done.stderr
    again = cvsim("dedupe", photos, "--json", "--cache", tmp_path / "c.sqlite")
    assert groups_of(report_of(again)) == TWO_GROUPS


def test_a_full_disk_for_the_cache(photos: Path, tmp_path: Path, cvsim: Callable[..., Done]) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", os.fspath(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small tmpfs can only be mounted by root")
    try:
        done = cvsim("dedupe", photos, "--json", "--cache", disk / "cache.sqlite")
    finally:
        subprocess.run(["umount", "-l", os.fspath(disk)], check=True)
    assert groups_of(report_of(done)) == TWO_GROUPS
    assert b"oing on without it" in done.stderr
    assert len(done.stderr.splitlines()) <= 2, done.stderr


class Meddler:
    """A progress that changes the folder once the scan is over."""

    def __init__(self, meddle: Callable[[], None]) -> None:
        self._meddle = meddle

    @contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        if description == "Reading pictures":
            self._meddle()
        yield lambda n: None


def test_a_file_that_vanishes_after_the_scan(photos: Path) -> None:
    late = save_image(photos / "late.jpg", scene(6, *SIZE))
    replaced = save_image(photos / "replaced.jpg", scene(7, *SIZE))
    folder = save_image(photos / "gone" / "a.jpg", scene(8, *SIZE)).parent

    def meddle() -> None:
        late.unlink()
        shutil.rmtree(folder)
        replaced.unlink()
        os.mkfifo(replaced)  # opened without care, this would wait for ever

    result = dedupe([str(photos)], Settings(cache=None, workers=2), progress=Meddler(meddle))
    reasons = {os.path.basename(s.path): s.reason for s in result.skipped}
    assert set(reasons) == {"late.jpg", "a.jpg", "replaced.jpg"}
    assert all(reasons.values())
    assert groups_of(document(result)) == TWO_GROUPS
    assert result.counts.files == result.counts.images + result.counts.skipped


def test_a_file_that_changes_after_the_scan_is_read_again_next_time(photos: Path, tmp_path: Path) -> None:
    """What the cache holds of a path is true of the bytes that were read, or is not used."""
    settings = Settings(cache=str(tmp_path / "cache.sqlite"), workers=2)
    victim = photos / "g0000_half.jpg"

    def meddle() -> None:
        save_image(victim, scene(40, *SIZE))

    dedupe([str(photos)], settings, progress=Meddler(meddle))
    result = dedupe([str(photos)], settings)
    fresh = dedupe([str(photos)], Settings(cache=None, workers=2))
    assert document(result) | {"settings": None} == document(fresh) | {"settings": None}


def test_a_path_that_is_not_there(tmp_path: Path, cvsim: Callable[..., Done]) -> None:
    done = cvsim("dedupe", tmp_path / "nowhere")
    assert done.returncode == 2
    assert b"nowhere" in done.stderr
    assert done.stdout == b""


# --- names ------------------------------------------------------------------------------------------------

NAMES = [
    b"caf\xe9.jpg",
    b"\xff\xfe\x80",
    b"new\nline.jpg",
    b"-rf.jpg",
    b" .jpg",
    "日本 🎨.jpg".encode(),
    b"<b>&.jpg",
]


def test_names_are_bytes(tmp_path: Path, cvsim: Callable[..., Done]) -> None:
    folder = os.fsencode(tmp_path / "names \udce9")
    os.mkdir(folder)
    data = encoded(scene(1, *SIZE), "JPEG", quality=90)
    for k, name in enumerate(NAMES):
        with open(os.path.join(folder, name), "wb") as stream:
            stream.write(data if k % 2 else encoded(scene(1, *SIZE), "JPEG", quality=80 - k))
    with open(os.path.join(folder, b"bad\xe9.jpg"), "wb") as stream:
        stream.write(b"no picture")
    report = report_of(cvsim("dedupe", os.fsdecode(folder), "--json"))
    (group,) = report["groups"]
    assert {os.path.basename(os.fsencode(m["path"])) for m in group["members"]} == set(NAMES)
    assert [os.path.basename(os.fsencode(s["path"])) for s in report["skipped"]] == [b"bad\xe9.jpg"]
    again = report_of(cvsim("dedupe", os.fsdecode(folder), "--json"))
    assert answer_of(again) == answer_of(report)
    assert cvsim("dedupe", os.fsdecode(folder)).returncode == 0


def test_special_files_are_never_opened(photos: Path, cvsim: Callable[..., Done]) -> None:
    os.mkfifo(photos / "pipe.jpg")
    os.symlink(photos, photos / "loop")
    os.symlink(photos / "nowhere.jpg", photos / "broken link.jpg")
    server = socket.socket(socket.AF_UNIX)
    before = os.getcwd()
    os.chdir(photos)  # the name of a socket must be short
    try:
        server.bind("socket.jpg")
    finally:
        os.chdir(before)
        server.close()
    report = report_of(cvsim("dedupe", photos, "--json", "--follow-symlinks", timeout=60))
    assert groups_of(report) == TWO_GROUPS


def test_a_file_that_claims_to_be_a_picture_is_named(photos: Path, cvsim: Callable[..., Done]) -> None:
    (photos / "claims.jpg").write_text("no picture")
    (photos / "notes.txt").write_text("no picture, and does not claim to be one")
    shown = cvsim("dedupe", photos, "--no-cache").stdout.decode()
    assert "claims.jpg  not an image" in shown
    assert "notes.txt" not in shown
    assert "skipped 2 files" in shown
