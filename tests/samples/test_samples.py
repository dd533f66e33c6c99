"""The samples are what their table says, and `cvsim dedupe` finds in them what it says."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import make_samples
import numpy as np
import pytest
from documents import ROOT, make_workplace, run
from PIL import Image, ImageFile


def truth() -> dict[str, tuple[str, str]]:
    """file -> (group, kind)."""
    with (ROOT / "samples" / "truth.csv").open(encoding="utf-8") as stream:
        return {row["file"]: (row["group"], row["kind"]) for row in csv.DictReader(stream)}


def test_the_truth_names_every_sample() -> None:
    photos = ROOT / "samples" / "photos"
    there = {path.relative_to(photos).as_posix() for path in photos.rglob("*") if path.is_file()}
    assert there == set(truth())


def test_the_samples_are_small() -> None:
    sizes = [path.stat().st_size for path in (ROOT / "samples" / "photos").rglob("*") if path.is_file()]
    assert sum(sizes) < 1_500_000


def test_the_samples_are_what_the_script_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other versions of the codecs may round otherwise; the pictures are the same to the eye."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    made = make_samples.make(tmp_path)
    assert {file: (group, kind) for file, group, kind in made.rows} == truth()
    for file, (_, kind) in truth().items():
        if kind in {"not-an-image", "truncated"}:
            continue
        new, kept = (picture(root / file) for root in (tmp_path, ROOT / "samples" / "photos"))
        assert new.shape == kept.shape, file
        assert np.abs(new - kept).mean() < 6, file


def picture(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(np.int16)


def pairs(groups: list[list[str]]) -> Iterator[tuple[str, str]]:
    for members in groups:
        yield from combinations(sorted(members), 2)


def test_the_groups_of_the_samples_are_the_truth(tmp_path: Path) -> None:
    done = run(make_workplace(tmp_path), "cvsim dedupe samples/photos --json --no-cache")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    prefix = "samples/photos/"
    found = [[m["path"].removeprefix(prefix) for m in group["members"]] for group in report["groups"]]
    true: dict[str, list[str]] = {}
    for file, (group, _) in truth().items():
        if group:
            true.setdefault(group, []).append(file)
    assert set(pairs(found)) == set(pairs(list(true.values())))
    assert [item["path"].removeprefix(prefix) for item in report["skipped"]] == ["odd/notes.jpg"]
