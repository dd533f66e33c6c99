"""Which files belong to a picture, by their names, and what becomes of them when it goes."""

from __future__ import annotations

from pathlib import Path

import pytest
from photo_library import entry, jpeg, write

from cvsim.actions.apply import apply_plan
from cvsim.actions.beside import CompanionFinder
from cvsim.actions.plan import Plan
from cvsim.actions.undo import undo_journal

SHOT = "Screenshot_20230101-101010_Messages.jpg"
LONG = "Screenshot_20230101-101010_Messages of today.jpg"


@pytest.mark.parametrize(
    ("picture", "companion", "kind"),
    [
        ("IMG_1.jpg", "IMG_1.jpg.json", "sidecar"),
        ("IMG_1.jpg", "IMG_1.jpg.JSON", "sidecar"),
        ("IMG_1.jpg", "IMG_1.json", "sidecar"),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-metadata.json", "sidecar"),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-me.json", "sidecar"),
        ("IMG_1.jpg", "IMG_1.jpg.s.json", "sidecar"),
        ("IMG_1.jpg", "IMG_1.jpg..json", "sidecar"),
        ("IMG_1(1).jpg", "IMG_1.jpg(1).json", "sidecar"),
        ("IMG_1(1).jpg", "IMG_1(1).jpg.json", "sidecar"),
        ("IMG_1(12).jpg", "IMG_1.jpg.supplemental-metadata(12).json", "sidecar"),
        ("IMG_1(1).jpg", "IMG_1.jpg.suppl(1).json", "sidecar"),
        ("IMG_1(1).jpg", "IMG_1(1).jpg.supplemental-metadata.json", "sidecar"),
        (LONG, f"{LONG[:46]}.json", "sidecar"),
        (SHOT, f"{SHOT}.supple.json", "sidecar"),
        ("PXL_1.MP.jpg", "PXL_1.MP", "film"),
        ("IMG_1.jpg", "IMG_1.MP", "film"),
        ("IMG_1.HEIC", "IMG_1.MOV", "film"),
        ("IMG_1.jpg", "IMG_1.mp4", "film"),
        ("IMG_1.jpg", "IMG_1.pp3", "sidecar"),
        ("IMG_1.jpg", "IMG_1.jpg.pp3", "sidecar"),
        ("IMG_1.CR2", "IMG_1.CR2.dop", "sidecar"),
        ("IMG_1.jpg", "IMG_1.WAV", "sidecar"),
        ("IMG_1.jpg", "IMG_1.xmp", "sidecar"),
        ("IMG_1.jpg", "IMG_1.jpg.XMP", "sidecar"),
        ("IMG_1.jpg", "IMG_1.AAE", "sidecar"),
        ("IMG_1.jpg", "IMG_1.CR3", "raw"),
    ],
)  # fmt: skip
def test_a_companion_is_known_by_its_name(tmp_path: Path, picture: str, companion: str, kind: str) -> None:
    for name in (picture, companion, "other.json", "IMG_10.jpg.json"):
        write(tmp_path / name, b"x")
    found = CompanionFinder().of(str(tmp_path / picture))
    assert [(Path(one.path).name, one.kind) for one in found] == [(companion, kind)]


@pytest.mark.parametrize(
    ("picture", "other"),
    [
        ("IMG_1.jpg", "IMG_1.jpg(1).json"),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-metadata(1).json"),
        ("IMG_1.jpg", "IMG_1.jpg.other.json"),
        ("IMG_1.jpg", "IMG_11.jpg.json"),
        ("IMG_1.jpg", "IMG_1.jpg.supplemental-metadata-more.json"),
    ],
)
def test_what_is_another_s_is_not_taken_along(tmp_path: Path, picture: str, other: str) -> None:
    for name in (picture, "IMG_1(1).jpg", other):
        write(tmp_path / name, b"x")
    assert CompanionFinder().of(str(tmp_path / picture)) == []


def test_a_number_without_its_picture_belongs_to_the_one_of_the_name(tmp_path: Path) -> None:
    for name in ("IMG_1.jpg", "IMG_1.jpg.supplemental-metadata(1).json"):
        write(tmp_path / name, b"x")
    assert len(CompanionFinder().of(str(tmp_path / "IMG_1.jpg"))) == 1


def test_a_name_that_is_cut_off_may_be_of_two(tmp_path: Path) -> None:
    twin = LONG.replace("today", "tomorrow")
    for name in (LONG, twin, f"{LONG[:46]}.json"):
        write(tmp_path / name, b"x")
    assert [one.shared for one in CompanionFinder().of(str(tmp_path / LONG))] == [LONG[:46] == twin[:46]]


SIDECARS = (
    "IMG_1.jpg.suppl.json", "IMG_1.MP", "IMG_1.pp3", "IMG_1.jpg.dop", "IMG_1.WAV", "IMG_1.jpg.xmp"
)  # fmt: skip


@pytest.mark.parametrize("sidecar", SIDECARS)
@pytest.mark.parametrize("action", ["trash", "move", "delete"])
def test_they_go_along_or_protect_and_come_back(
    tmp_path: Path, memory: Path, sidecar: str, action: str
) -> None:
    root = tmp_path / "photos"
    kept = entry(write(root / "kept.jpg", jpeg(1)), 1, "keep")
    gone = entry(write(root / "album" / "IMG_1.jpg", jpeg(1)), 1, "remove")
    write(root / "album" / sidecar, b"what only this file knows")
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    where = f"move:{tmp_path / 'target'}" if action == "move" else action
    apply_plan(Plan((str(root),), (kept, gone)), where, str(tmp_path / "journal"))
    there = [(root / "album" / name).exists() for name in ("IMG_1.jpg", sidecar)]
    assert there == [action == "delete"] * 2
    undo_journal(str(tmp_path / "journal"))
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
