"""`groups`, `skipped` and `counts` of ``cvsim dedupe --json`` are the same however a run is made."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from generate import copy_set, scene
from PIL import Image

from cvsim.candidates import _scanning
from cvsim.cli.group import cvsim as program

KINDS = ("jpeg", "half", "crop80", "mirrored")
EFFORTS = ("fast", "default")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    copy_set(folder, 3, KINDS, size=(400, 300), n_others=2)
    (folder / "images" / "notes.txt").write_text("no picture")
    (folder / "images" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    twin = folder / "images" / "twin.jpg"
    twin.write_bytes(next((folder / "images").glob("g0000*.jpg")).read_bytes())
    # Larger than the working size: that its pixels are a JPEG's is found by decoding both whole.
    large = Image.fromarray(scene(61, 900, 600))
    large.save(folder / "images" / "large.jpg", quality=90)
    Image.open(folder / "images" / "large.jpg").save(folder / "images" / "large.png")
    return folder / "images"


def answer(*arguments: str | Path, effort: str) -> str:
    command = ["dedupe", "--json", "--effort", effort, *map(str, arguments)]
    result = CliRunner().invoke(program, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    return json.dumps([document[key] for key in ("groups", "skipped", "counts")])


@pytest.fixture(scope="module", params=EFFORTS)
def expected(photos: Path, request: pytest.FixtureRequest) -> tuple[str, str]:
    """An effort, and what it answers."""
    found = answer(photos, "--no-cache", "--workers", "2", effort=request.param)
    assert json.loads(found)[2]["groups"] >= 3
    assert json.loads(found)[2]["skipped"] == 2
    return request.param, found


@pytest.mark.parametrize("workers", ["1", "3"])
def test_for_any_number_of_workers(photos: Path, expected: tuple[str, str], workers: str) -> None:
    effort, found = expected
    assert answer(photos, "--no-cache", "--workers", workers, effort=effort) == found


def test_in_any_order_of_paths_and_lists(photos: Path, expected: tuple[str, str], tmp_path: Path) -> None:
    effort, found = expected
    cache = tmp_path / "cache.sqlite"
    files = sorted(photos.iterdir())
    for seed in range(2):
        random.Random(seed).shuffle(files)
        assert answer(*files, *(("--cache", cache) if seed else ("--no-cache",)), effort=effort) == found
        names = tmp_path / "names"
        names.write_bytes(b"\0".join(os.fsencode(file) for file in reversed(files)))
        assert answer("--files-from", names, "-0", "--cache", cache, effort=effort) == found
        half = len(files) // 2
        names.write_bytes(b"\n".join(os.fsencode(file) for file in files[half:]))
        assert answer(*files[:half], "--files-from", names, "--cache", cache, effort=effort) == found


def test_cold_and_warm_and_from_a_cache_of_other_runs(
    photos: Path, expected: tuple[str, str], tmp_path: Path
) -> None:
    effort, found = expected
    cache = tmp_path / "cache.sqlite"
    some = sorted(photos.glob("*.jpg"))[::3]
    answer(*some, "--cache", cache, effort=effort)
    answer(*some, "--cache", cache, effort="fast" if effort == "default" else "default")
    for _ in range(2):
        assert answer(photos, "--cache", cache, effort=effort) == found


@pytest.mark.parametrize("kernel", ["numba", "numpy"])
def test_with_and_without_machine_code(
    photos: Path, expected: tuple[str, str], kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    effort, found = expected
    monkeypatch.setattr(_scanning, "_NUMBA_START_S", 0.0)  # machine code for any amount of work
    if kernel == "numpy":
        monkeypatch.setitem(sys.modules, "cvsim.candidates._hamming_numba", None)
    elif importlib.util.find_spec("numba") is None:
        pytest.skip("numba is not installed")
    used = []
    choose = _scanning.choose_scan

    def watched(*arguments: Any) -> Any:
        used.append(choose(*arguments))
        return used[-1]

    monkeypatch.setattr(_scanning, "choose_scan", watched)
    assert answer(photos, "--no-cache", effort=effort) == found
    assert any("numba" in scan.__module__ for scan, *_ in used) == (kernel == "numba")
