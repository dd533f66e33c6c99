"""``--profile alike`` from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from generate import burst

from cvsim.cli.group import cvsim


def run(verb: str, *arguments: str | Path) -> Result:
    return CliRunner().invoke(cvsim, [verb, *map(str, arguments)], catch_exceptions=False)


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frames")
    burst(folder, 0)
    return folder


def test_the_table_names_the_sharpest_and_says_how_to_find_copies(frames: Path) -> None:
    found = run("dedupe", frames, "--no-cache", "--profile", "alike")
    assert found.exit_code == 0
    assert "keep the first: it is the sharpest, " in found.stdout
    rows = [line for line in found.stdout.splitlines() if ".jpg" in line]
    assert rows[0].split()[0] == "keep"
    assert "burst0-1.jpg (sharpness " in rows[0]
    assert {row.split()[0] for row in rows[1:]} == {"leave"}
    assert "1 group to look at" in found.stdout
    assert "run it without --profile alike" in found.stdout


def test_a_damaged_frame_is_not_the_sharpest(tmp_path: Path) -> None:
    burst(tmp_path, 0)
    sharpest = (tmp_path / "burst0-1.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(sharpest[: len(sharpest) * 7 // 10])
    found = run("dedupe", tmp_path, "--no-cache", "--profile", "alike")
    assert "keep the first: it is the sharpest that is whole" in found.stdout
    assert " 0." not in found.stdout.splitlines()[0]


def test_json_and_the_configuration_file_say_the_same(frames: Path, tmp_path: Path) -> None:
    config = tmp_path / "cvsim.toml"
    config.write_text('profile = "alike"\n')
    by_file = run("dedupe", frames, "--no-cache", "--config", config, "--json")
    by_option = run("dedupe", frames, "--no-cache", "--profile", "alike", "--json")
    assert by_file.stdout == by_option.stdout
    report = json.loads(by_option.stdout)
    (group,) = report["groups"]
    assert (group["rule"], report["counts"]["duplicates"]) == ("sharpest", 0)
    assert group["members"][0]["sharpness"] > group["members"][1]["sharpness"]
    assert [member["proposed"] for member in group["members"]] == [False] * 3


def test_include_proposes(frames: Path) -> None:
    report = json.loads(
        run("dedupe", frames, "--no-cache", "--profile", "alike", "--include", "similar", "--json").stdout
    )
    assert report["counts"]["duplicates"] == 2


def test_the_plan_removes_nothing_and_says_why(frames: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    run("dedupe", frames, "--no-cache", "--profile", "alike", "--plan", plan)
    entries = {Path(entry["path"]).name: entry for entry in json.loads(plan.read_text())["entries"]}
    assert (entries["burst0-1.jpg"]["decision"], entries["burst0-1.jpg"]["rule"]) == ("keep", "sharpest")
    assert entries["burst0-0.jpg"]["decision"] == "skip"
    assert "for looking at; --include similar" in entries["burst0-0.jpg"]["reason"]


def test_compare_takes_it_and_shows_the_moment(frames: Path) -> None:
    found = run("compare", frames / "burst0-0.jpg", frames / "burst0-2.jpg", "--profile", "alike", "--json")
    signals = {signal["name"]: signal for signal in json.loads(found.stdout)["signals"]}
    assert 0.9 < signals["moment"]["similarity"] < 1
    assert signals["moment"]["weight"] > 0


def test_an_unknown_profile_is_told_which_there_are(frames: Path) -> None:
    found = run("dedupe", frames, "--no-cache", "--profile", "alikes")
    assert found.exit_code == 2
    assert "alike, copy, product" in found.stderr
