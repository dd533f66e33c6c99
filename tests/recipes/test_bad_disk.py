"""A disk that cannot be read, gives a few bytes at a time, stalls, or is full in the middle of a file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from generate import altered, encoded, scene

ROOT = Path(__file__).parents[2]
N_PICTURES = int(os.environ.get("CVSIM_TEST_BAD_DISK_FILES", "48"))
"""More take longer and find no more; it was tried with 2,000."""
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="LD_PRELOAD and /proc/self/fd")


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> str:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("the faults are made by a small C library, and there is no C compiler here")
    library = tmp_path_factory.mktemp("shim") / "bad_disk.so"
    source = ROOT / "tests/support/bad_disk.c"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"the C library that makes the faults does not compile here: {done.stderr[:200]}")
    return str(library)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures with a copy each, some of which will not be read well."""
    folder = tmp_path_factory.mktemp("photos")
    made = [
        (encoded(scene(n, 160, 120), "JPEG"), encoded(altered(scene(n, 160, 120), "half", n), "JPEG"))
        for n in range(6)
    ]
    for n in range(N_PICTURES // 2):
        original, copy = made[n % len(made)]
        kind = ("", "eio", "short", "stall")[n % 4] if n % 3 else ""
        (folder / f"{n:04}{kind}.jpg").write_bytes(original)
        (folder / f"{n:04}{kind}-copy.jpg").write_bytes(copy)
    return folder


def run(
    shim: str, folder: Path, *arguments: str | Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "LD_PRELOAD": shim,
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_DATA_HOME": str(folder / "data"),
        **variables,
    }
    command = [sys.executable, "-m", "cvsim", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_a_folder_on_a_failing_disk_is_read_as_far_as_it_can_be(
    shim: str, photos: Path, tmp_path: Path
) -> None:
    asked = ("dedupe", photos, "--json", "--workers", "2", "--cache", tmp_path / "c.sqlite")
    done = run(shim, tmp_path, *asked, BAD_DISK=str(photos))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    bad = {path.name for path in photos.iterdir() if "eio" in path.name}
    assert bad
    assert {Path(item["path"]).name: item["reason"] for item in report["skipped"]} == dict.fromkeys(
        bad, report["skipped"][0]["reason"]
    )
    assert "input/output error" in report["skipped"][0]["reason"]
    # What could be read gives what it gives from a good disk, and what could not is read the next time.
    good = {path.name for path in photos.iterdir()} - bad
    assert report["counts"]["images"] == len(good)
    again = json.loads(run(shim, tmp_path, *asked).stdout)
    assert again["counts"]["images"] == len(good) + len(bad)
    assert again["skipped"] == []


# Bytes after which the disk is full: in the head, and in the middle.
@pytest.mark.parametrize("n_bytes", [0, 20_000])
@pytest.mark.parametrize("what", ["--plan", "--csv", "--html", "--cache"])
def test_a_disk_that_fills_while_a_file_is_written(
    what: str, n_bytes: int, shim: str, photos: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    name = {
        "--plan": "p.json",
        "--csv": "r.csv",
        "--html": "r.html",
        "--cache": "c.sqlite",
    }[what]
    before = "what was there before"
    options: tuple[str | Path, ...] = (what, disk / name)
    if what != "--cache":
        options = (*options, "--no-cache")
    if what in ("--csv", "--html"):
        (disk / name).write_text(before)
    done = run(shim, tmp_path, "dedupe", photos, *options, FULL_DISK=str(disk), FULL_DISK_BYTES=str(n_bytes))
    if what == "--cache":  # it only saves time
        assert done.returncode == 0
        assert "oing on without it" in done.stderr
        return
    if done.returncode == 0:
        assert n_bytes
        assert (disk / name).stat().st_size <= n_bytes  # it fitted
        return
    assert done.returncode == 1
    assert "No space left" in done.stderr or "disk is full" in done.stderr
    left = {path.name: path.read_text() for path in disk.iterdir()}
    assert left == ({name: before} if (disk / name).exists() else {})


@pytest.mark.parametrize("n_bytes", [0, 3000])
def test_a_disk_that_fills_while_the_journal_is_written(
    n_bytes: int, shim: str, photos: Path, tmp_path: Path
) -> None:
    folder, disk = tmp_path / "photos", tmp_path / "disk"
    folder.mkdir()
    for path in sorted(photos.iterdir())[:16]:
        shutil.copy(path, folder)
    disk.mkdir()
    everything = {path.name: path.read_bytes() for path in folder.iterdir()}
    plan = tmp_path / "plan.json"
    assert run(shim, tmp_path, "dedupe", folder, "--plan", plan, "--no-cache").returncode == 0
    asked = ("apply", plan, "--action", f"move:{tmp_path / 'gone'}", "--yes", "--journal", disk / "j.jsonl")
    done = run(shim, tmp_path, *asked, FULL_DISK=str(disk), FULL_DISK_BYTES=str(n_bytes))
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert run(shim, tmp_path, *asked).returncode == 0  # there is room again
    assert run(shim, tmp_path, "undo", disk / "j.jsonl").returncode == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == everything


def test_a_disk_that_fills_while_an_index_is_written(shim: str, photos: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    asked = ("index", photos, "--store", disk / "i.sqlite", "--json")
    done = run(shim, tmp_path, *asked, FULL_DISK=str(disk), FULL_DISK_BYTES="200000")
    assert done.returncode == 1
    assert "the disk is full" in done.stderr
    again = run(shim, tmp_path, *asked)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["images"] == 12
