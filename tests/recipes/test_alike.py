"""The profile for bursts and like pictures: grouped to be looked at, the sharpest named, nothing proposed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from generate import Shot, altered, burst, save_frame, scene

import cvsim
from cvsim.errors import SettingsError
from cvsim.recipes.scoring_plan import scoring_plan
from cvsim.settings import EFFORTS, Settings

BURSTS = (0, 2)
"""Scenes of which `generate.burst` makes frames."""


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bursts, one without dates; a copy of a frame; and other scenes, taken in the burst's second."""
    folder = tmp_path_factory.mktemp("album") / "photos"
    frames = burst(folder, BURSTS[0])
    burst(folder, BURSTS[1], start=None)
    shutil.copy(frames[0], folder / "again.jpg")
    for seed in (11, 12, 18):
        save_frame(folder / f"other{seed}.jpg", scene(seed), Shot(0.0))
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cache") / "cache.sqlite")


@pytest.fixture(scope="module")
def report(album: Path, cache: str) -> cvsim.Report:
    return cvsim.dedupe(album, profile="alike", cache=cache)


def names(group: cvsim.Group) -> set[str]:
    return {Path(member.record.path).name for member in group.members}


def test_frames_of_a_burst_are_a_group_and_pictures_of_one_second_are_not(report: cvsim.Report) -> None:
    first = {f"burst{BURSTS[0]}-{k}.jpg" for k in range(3)} | {"again.jpg"}
    second = {f"burst{BURSTS[1]}-{k}.jpg" for k in range(3)}
    assert sorted(map(names, report.groups), key=len) == [second, first]


def test_the_sharpest_is_kept_and_named(report: cvsim.Report) -> None:
    for seed, group in zip(BURSTS, report.groups, strict=True):
        assert Path(group.keep).name == f"burst{seed}-1.jpg"
        assert group.rule == "sharpest"
        assert group.members[0].reason == "kept: sharpest"
        sharpness = [member.sharpness or 0.0 for member in group.members]
        assert sharpness[0] > max(sharpness[1:])
    (member, *_) = report.document()["groups"][0]["members"]
    assert member["sharpness"] == report.groups[0].members[0].sharpness
    html = report.to_html()
    assert html is not None
    assert "It is the sharpest, " in html
    assert "of like pictures to look at; nothing is proposed for removal" in html


def test_nothing_is_proposed_not_even_an_exact_copy(report: cvsim.Report) -> None:
    assert report.counts.duplicates == 0
    assert {member.proposed for group in report.groups for member in group.members} == {False}
    assert report.result.settings["keep"].startswith("sharpest,")
    decisions = {entry.decision for entry in report.plan().entries}
    assert "remove" not in decisions


def test_what_is_included_is_proposed_and_nothing_else(album: Path, cache: str) -> None:
    report = cvsim.dedupe(album, profile="alike", include="similar", cache=cache)
    proposed = [member for group in report.groups for member in group.members if member.proposed]
    assert {member.reason.partition(" (score")[0] for member in proposed} == {"a similar picture"}
    assert len(proposed) >= 3
    (first, _) = report.groups
    assert sum(member.proposed for member in first.members) == 3
    same = cvsim.dedupe(album, profile="alike", include="identical-file", keep="path", cache=cache)
    assert [Path(m.record.path).name for g in same.groups for m in g.members if m.proposed] == [
        f"burst{BURSTS[0]}-0.jpg"
    ]


def test_links_that_are_no_copies_are_called_similar(report: cvsim.Report, album: Path, cache: str) -> None:
    copies = cvsim.dedupe(album, cache=cache)
    linked = {edge.pair for group in copies.groups for edge in group.edges}
    for group in report.groups:
        for edge in group.edges:
            assert (edge.relation == "similar") == (edge.pair not in linked)


def test_time_counts_for_alike_pictures_and_links_no_others(tmp_path: Path) -> None:
    view, other = scene(BURSTS[0]), scene(BURSTS[0], arrangement=2)
    pairs = {}
    for name, second in (("now", 0.5), ("later", 30_000.0)):
        a = save_frame(tmp_path / f"{name}-a.jpg", view, Shot(0.0))
        b = save_frame(tmp_path / f"{name}-b.jpg", other, Shot(second))
        pairs[name] = cvsim.compare(a, b, profile="alike", cache=None)
    assert pairs["now"].score > pairs["later"].score
    (moment,) = [one for one in pairs["now"].comparisons if one.feature == "moment"]
    assert moment.weight > 0
    stranger = save_frame(tmp_path / "stranger.jpg", scene(11), Shot(0.0))
    assert cvsim.compare(tmp_path / "now-a.jpg", stranger, profile="alike", cache=None).score < 0.5


@pytest.mark.parametrize("effort", EFFORTS)
def test_time_and_colours_alone_never_reach_the_threshold(effort: str) -> None:
    plan = scoring_plan(Settings(profile="alike", effort=effort))  # type: ignore[arg-type]
    best = plan.model.prior + plan.model.most(["moment", "color"])
    assert best < plan.min_log_odds
    assert plan.model.curves["moment"].weights[0] == 0  # pictures of different days: nothing against them


@pytest.mark.parametrize("effort", ["fast", "thorough"])
def test_every_effort_finds_copies_and_keeps_others_apart(album: Path, effort: str) -> None:
    report = cvsim.dedupe(album, profile="alike", effort=effort, cache=None)  # type: ignore[arg-type]
    together = list(map(names, report.groups))
    assert any({"again.jpg", f"burst{BURSTS[0]}-0.jpg"} <= group for group in together)
    assert not any(name.startswith("other") for group in together for name in group)
    assert report.counts.duplicates == 0


def test_the_order_of_files_does_not_matter(album: Path, tmp_path: Path, report: cvsim.Report) -> None:
    files = sorted(album.iterdir(), reverse=True)
    again = cvsim.dedupe(files, profile="alike", cache=None, workers=2)
    assert again.document()["groups"] == report.document()["groups"]


def test_without_the_profile_nothing_knows_of_it(album: Path, cache: str) -> None:
    """One cache for both: what one profile keeps of a picture changes nothing under the other."""
    plain, beside = cvsim.dedupe(album, cache=None), cvsim.dedupe(album, cache=cache)
    assert plain.to_json() == beside.to_json()
    assert "sharpness" not in (plain.to_json() or "")
    assert "moment" not in (plain.to_json() or "")
    assert plain.counts.duplicates == 1


def test_the_sharpest_may_be_asked_for_under_any_profile(tmp_path: Path) -> None:
    picture = scene(1)
    soft = save_frame(tmp_path / "a-soft.jpg", altered(picture, "blurred"))
    sharp = save_frame(tmp_path / "b-sharp.jpg", picture)
    report = cvsim.dedupe([soft, sharp], keep="sharpest,path", cache=None)
    (group,) = report.groups
    assert (group.keep, group.rule) == (str(sharp), "sharpest")
    assert group.members[0].sharpness is not None


def test_what_knows_copies_only_refuses_the_profile(album: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="an index finds copies only; the profile 'alike' is for dedupe"):
        cvsim.Index.open(tmp_path / "index.db", profile="alike")
    with pytest.raises(SettingsError, match="leave out --profile alike"):
        cvsim.dedupe(album, profile="alike", against=tmp_path / "index.db", cache=None)
    with pytest.raises(SettingsError, match="prefilter measures its recall on copies only"):
        cvsim.prefilter(album, profile="alike", cache=None)


def test_many_pictures_of_one_second_are_not_all_compared(tmp_path: Path) -> None:
    """A scanner dates all that it scans alike."""
    rng = np.random.default_rng(5)
    for k in range(40):
        tint = rng.integers(-40, 40, 3)
        view = (scene(100 + k, 160, 120).astype(np.int64) + tint).clip(0, 255).astype(np.uint8)
        save_frame(tmp_path / f"{k:02}.jpg", view, Shot(0.0))
    report = cvsim.dedupe(tmp_path, profile="alike", cache=None)
    assert report.result.stats["n_scored"] < 40 * 12
