"""A run on several worker processes gives the report of a run on one, whoever is killed on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from generate import copy_set, save_image, scene

import cvsim
from cvsim.candidates import sharded as sharding
from cvsim.reading import shards
from cvsim.reading.extraction import DECODER
from cvsim.stores import open_store

pytest.importorskip("distributed", reason="the extra 'dask' is not installed")

from cvsim.executors.worker_processes import WorkerProcesses

KINDS = ("jpeg-low", "half", "grey", "crop50", "rotated90")
SHARD_FILES = 4
SMALL = (
    "from cvsim.candidates import sharded as sharding\nfrom cvsim.reading import shards\n"
    f"shards.SHARD_FILES, sharding.HASH_BLOCK, sharding.WORD_SHARD = {SHARD_FILES}, 16, 2000\n"
    "from cvsim.cli import main; main()"
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[WorkerProcesses]:
    processes = WorkerProcesses(3)
    yield processes
    processes.close()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copies, a second name for one of them, a broken picture, no picture, and a name that is no text."""
    folder = tmp_path_factory.mktemp("copies")
    copy_set(folder, 4, KINDS, n_others=6, size=(240, 180))
    images = folder / "images"
    (images / "note.jpg").write_text("no picture")
    (images / "cut.png").write_bytes(save_image(folder / "whole.png", scene(77, 240, 180)).read_bytes()[:900])
    (images / "again.jpg").write_bytes((images / "g0001_original.jpg").read_bytes())
    (images / os.fsdecode(b"caf\xe9.jpg")).write_bytes((images / "g0002_half.jpg").read_bytes())
    return images


@pytest.fixture(scope="module")
def expected(photos: Path) -> dict[str, Any]:
    report = cvsim.dedupe([photos], cache=None, workers=1)
    return json.loads(report.to_json())


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD_FILES", SHARD_FILES)
    monkeypatch.setattr(sharding, "HASH_BLOCK", 16)
    monkeypatch.setattr(sharding, "WORD_SHARD", 2000)


def told(document: dict[str, Any]) -> str:
    return json.dumps({name: document[name] for name in ("groups", "skipped", "counts")})


class KillsAt:
    """`Progress` that does something once so many pictures are read."""

    def __init__(self, n: int, act: Callable[[], None]) -> None:
        self._n, self._act = n, act

    @contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        done = 0

        def advance(n: int) -> None:
            nonlocal done
            done += n
            if description == "Reading pictures" and done == self._n:
                self._act()

        yield advance


def test_a_worker_is_killed_in_the_middle(photos: Path, expected: dict[str, Any], tmp_path: Path) -> None:
    processes = WorkerProcesses(3)
    try:
        killing = KillsAt(2 * SHARD_FILES, lambda: os.kill(processes.pids[1], signal.SIGKILL))
        settings = {"cache": str(tmp_path / "cache.db"), "scheduler": processes.address}
        report = cvsim.dedupe([photos], progress=killing, **settings)
        assert told(json.loads(report.to_json())) == told(expected)
        n_images = len({m.record.digest for g in report.groups for m in g.members})
        assert report.result.stats["n_decoded"] >= n_images
        report = cvsim.dedupe([photos], **settings)
        assert told(json.loads(report.to_json())) == told(expected)
        assert report.result.stats["n_decoded"] == 0
    finally:
        processes.close()


def test_the_driver_is_killed_and_started_anew(
    cluster: WorkerProcesses, photos: Path, expected: dict[str, Any], tmp_path: Path
) -> None:
    cache = tmp_path / "cache.db"
    arguments = ["dedupe", str(photos), "--json", "--cache", str(cache), "--scheduler", cluster.address]
    driver = subprocess.Popen(
        [sys.executable, "-c", SMALL, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    while n_stored(cache) < 2 * SHARD_FILES:
        assert driver.poll() is None, "the driver ended before it could be killed"
        time.sleep(0.02)
    driver.kill()
    driver.wait()
    n_before = n_stored(cache)
    report = cvsim.dedupe([photos], cache=str(cache), scheduler=cluster.address)
    assert told(json.loads(report.to_json())) == told(expected)
    n_decoded = report.result.stats["n_decoded"]
    # Two contents have two files, and these may be in two shards.
    assert 0 <= n_before + n_decoded - n_stored(cache) <= 2
    assert n_decoded < n_stored(cache) - SHARD_FILES


def n_stored(cache: Path) -> int:
    if not cache.exists():
        return 0
    with open_store(cache, "cache") as store:
        return len(store.images(DECODER))


def test_renamed_files_are_read_and_not_decoded(
    cluster: WorkerProcesses, photos: Path, tmp_path: Path
) -> None:
    settings = {"cache": str(tmp_path / "cache.db")}
    cvsim.dedupe([photos], **settings)
    (tmp_path / "moved").symlink_to(photos)
    report = cvsim.dedupe([tmp_path / "moved"], scheduler=cluster.address, **settings)
    assert report.result.stats["n_read"] > 20
    assert report.result.stats["n_decoded"] == 0


def test_index_and_prefilter_take_a_scheduler(cluster: WorkerProcesses, photos: Path, tmp_path: Path) -> None:
    with cvsim.Index.open(tmp_path / "a.db", scheduler=cluster.address) as index:
        there = index.add([photos])
        query = photos / "g0003_crop50.jpg"
        found = [(hit.path, hit.score) for hit in index.search(query, k=5)]
    with cvsim.Index.open(tmp_path / "b.db") as index:
        assert index.add([photos]) == there
        assert [(hit.path, hit.score) for hit in index.search(query, k=5)] == found
    options = {"n_sampled": 1, "cache": str(tmp_path / "cache.db"), "effort": "fast"}
    far = cvsim.prefilter([photos], scheduler=cluster.address, **options)
    near = cvsim.prefilter([photos], **options)
    assert (list(far), far.recall) == (list(near), near.recall)
