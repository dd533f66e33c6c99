"""What the kept file of a group does not explain may have copies of its own: these go, too."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from generate import RGB, save_image, scene

import cvsim
from cvsim.groups.decisions import Decisions
from cvsim.recipes import dedupe as recipe
from cvsim.reports import csv as csv_report
from cvsim.settings import Settings
from cvsim.types import Group

SIZE = (640, 480)


def edited(rgb: RGB) -> RGB:
    """Brighter, with a few words on it."""
    bright = np.clip(rgb.astype(np.int16) + 45, 0, 255).astype(np.uint8)
    return cv2.putText(bright, "Summer 1998", (60, 420), 0, 1.4, (255, 255, 255), 4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A photograph and an edited version of it, both with a twin and a smaller copy."""
    photos = tmp_path / "photos"
    photo = cv2.GaussianBlur(scene(5, *SIZE), (0, 0), 1.0)
    for name, rgb in (("plain", photo), ("edited", edited(photo))):
        save_image(photos / f"{name}.jpg", rgb, quality=92)
        shutil.copy(photos / f"{name}.jpg", photos / f"{name}-twin.jpg")
        save_image(photos / f"{name}-small.jpg", cv2.resize(rgb, (320, 240), interpolation=cv2.INTER_AREA))
    return photos


def proposed(group: Group) -> set[str]:
    return {Path(member.record.path).name for member in group.members if member.proposed}


def test_copies_of_both_versions_go_and_one_of_each_stays(folder: Path) -> None:
    (group,) = cvsim.dedupe([folder], cache=None, workers=1).groups
    assert proposed(group) == {
        f"{name}-{kind}.jpg" for name in ("plain", "edited") for kind in ("twin", "small")
    }
    (version,) = group.versions
    assert {Path(path).name for path in group.kept} == {"plain.jpg", "edited.jpg"}
    kept = Path(version.keep).stem
    assert [Path(path).name for path in version.removed] == [f"{kept}-small.jpg", f"{kept}-twin.jpg"]
    for member in group.members:
        if member.proposed:
            assert member.proof is not None
            assert member.proof.is_enough
            stays = group.kept_for[member.record.path]
            (edge,) = [e for e in group.edges if {e.pair.a, e.pair.b} == {stays, member.record.path}]
            assert edge.proof == member.proof


def test_a_plan_has_a_group_for_each_version_and_can_be_undone(folder: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    plan = tmp_path / "plan.json"
    report = cvsim.dedupe([folder], cache=None, workers=1)
    report.plan().save(plan)
    entries = json.loads(plan.read_text())["entries"]
    groups: dict[int, dict[str, set[str]]] = {}
    for entry in entries:
        of_group = groups.setdefault(entry["group"], {"keep": set(), "remove": set(), "skip": set()})
        of_group[entry["decision"]].add(Path(entry["path"]).stem.partition("-")[0])
    assert sorted(groups) == [1, 2]
    assert all(found["keep"] == found["remove"] and not found["skip"] for found in groups.values())
    applied = cvsim.apply(plan, f"move:{tmp_path / 'gone'}")
    assert {path.name for path in folder.iterdir()} == {"plain.jpg", "edited.jpg"}
    cvsim.undo(applied.journal)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_reports_name_what_is_kept_for_whom(folder: Path) -> None:
    report = cvsim.dedupe([folder], cache=None, workers=1)
    (group,) = report.groups
    (version,) = json.loads(report.to_json())["groups"][0]["versions"]
    assert version == {
        "keep": group.versions[0].keep,
        "rule": group.versions[0].rule,
        "removed": list(group.versions[0].removed),
    }
    rows = [line.split(",")[1] for line in csv_report.to_csv(report.result).decode().splitlines()[1:]]
    assert sorted(rows) == ["keep"] * 2 + ["remove"] * 4
    page = report.to_html()
    assert page.count("<b>Keep</b>") == 2
    assert page.count("<b>Remove</b>") == 4


def numbered_page(number: int) -> RGB:
    """A form that is filled in with a number alone."""
    page = np.full((700, 500, 3), 255, np.uint8)
    for k in range(12):
        y = 60 + 50 * k
        cv2.putText(page, f"Field {k}", (30, y), 0, 0.6, (30, 60, 130), 1, cv2.LINE_AA)
        cv2.rectangle(page, (150, y - 25), (460, y + 8), (150, 150, 150), 1)
    return cv2.putText(page, f"No. {200 + number}", (160, 60), 0, 0.6, (20, 20, 20), 1, cv2.LINE_AA)


def test_pages_on_one_paper_do_not_hide_each_others_copies(tmp_path: Path) -> None:
    """Linked or not, each page's copy goes, and each page stays."""
    for number in range(6):
        save_image(tmp_path / f"{number}.png", numbered_page(number))
        save_image(tmp_path / f"{number}-copy.bmp", numbered_page(number))
    report = cvsim.dedupe([tmp_path], cache=None, workers=1)
    gone = {Path(path).stem.partition("-")[0] for group in report.groups for path in map(str, removed(group))}
    assert gone == {str(number) for number in range(6)}
    assert sum(len(removed(group)) for group in report.groups) == 6


def test_many_pages_on_one_paper_are_not_all_compared_with_each_other(tmp_path: Path) -> None:
    """They are linked all the same, and what is looked at grows as they do."""
    n_pages = 60
    for number in range(n_pages):
        save_image(tmp_path / f"{number:02}.png", numbered_page(number))
    for number in range(4):
        save_image(tmp_path / f"{number:02}-copy.bmp", numbered_page(number))
    result = recipe.dedupe([str(tmp_path)], Settings(cache=None, workers=1))
    (group,) = result.groups
    assert len(group.members) == n_pages + 4
    assert {Path(path).name for path in removed(group)} == {f"{number:02}-copy.bmp" for number in range(4)}
    assert result.stats["n_scored"] < n_pages * n_pages / 4  # which is half of all


def removed(group: Group) -> list[str]:
    return [member.record.path for member in group.members if member.proposed]


def test_an_answer_about_another_version_counts(folder: Path, tmp_path: Path) -> None:
    (group,) = cvsim.dedupe([folder], cache=None, workers=1).groups
    digests = {Path(m.record.path).stem: m.record.digest for m in group.members}
    answers = tmp_path / "answers.json"
    names = ("plain-small.jpg", "edited.jpg")
    Decisions.load(None).remember(str(answers), "keep-both", digests["plain-small"], digests["edited"], names)
    (group,) = cvsim.dedupe([folder], cache=None, workers=1, decisions=answers).groups
    assert "plain-small.jpg" not in proposed(group)


def test_a_reference_is_kept_for_copies_of_its_version(folder: Path, tmp_path: Path) -> None:
    reference = tmp_path / "reference"
    reference.mkdir()
    (folder / "plain-small.jpg").rename(reference / "plain-small.jpg")
    save_image(folder / "plain-smaller.jpg", cv2.resize(cv2.imread(str(folder / "plain.jpg")), (240, 180)))
    (group,) = cvsim.dedupe([folder], reference=[reference], cache=None, workers=1).groups
    assert "plain-small.jpg" not in proposed(group)
    assert {Path(path).name for path in group.kept} & {"plain.jpg", "plain-small.jpg"}
