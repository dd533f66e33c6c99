"""``dedupe --plan`` and ``review`` from the command line: what is written, refused and said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from generate import altered, save_image, scene

from cvsim.actions.plan import Plan

ROOT = Path(__file__).parents[2]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    save_image(folder / "a.jpg", scene(1, 320, 240))
    save_image(folder / "b.jpg", altered(scene(1, 320, 240), "half", 1))
    return folder


def run(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {"HOME": str(place), "XDG_CACHE_HOME": str(place / "cache"), "PYTHONPATH": str(ROOT)}
    variables |= {"XDG_DATA_HOME": str(place / "data"), "XDG_CONFIG_HOME": str(place / "config")}
    return subprocess.run(
        [sys.executable, "-m", "cvsim", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=place,
        env={**os.environ, **variables},
    )


def test_a_plan_is_written_that_apply_takes(photos: Path, tmp_path: Path) -> None:
    written = run(tmp_path, "dedupe", "photos", "--plan", "plan.json", "--keep", "folder:photos,size")
    assert written.returncode == 0, written.stderr
    assert "wrote plan.json" in written.stderr
    plan = Plan.load(tmp_path / "plan.json")
    assert plan.roots == (str(photos),)
    assert [entry.decision for entry in plan.entries] == ["keep", "remove"]
    assert plan.extra["settings"]["keep"] == [f"folder:{photos}", "size"]
    assert plan.extra["settings"]["threshold"] == 0.95
    applied = run(tmp_path, "apply", "plan.json", "--action", "move:away", "--yes")
    assert applied.returncode == 0, applied.stderr
    assert (tmp_path / "away" / "b.jpg").exists()


def test_a_plan_goes_to_stdout_alone(photos: Path, tmp_path: Path) -> None:
    written = run(tmp_path, "dedupe", "photos", "--plan", "-")
    assert Plan.from_json(json.loads(written.stdout)).groups.keys() == {1}
    both = run(tmp_path, "dedupe", "photos", "--plan", "-", "--json")
    assert both.returncode == 2
    assert "--json and --plan cannot both go to stdout" in both.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "Give at least one PATH"),
        (("nowhere",), 2, "does not exist"),
        (("photos", "--port", "70000"), 2, "port"),
        (("photos/a.jpg",), 1, "nothing to review"),
        (("broken.json",), 1, "no plan"),
        (("plan.json", "--plan", "other.json"), 2, "this is a plan already"),
        (("photos", "--plan", "broken.json"), 2, "is no plan that can be read"),
        (("plan.json", "--fresh"), 2, "this is a plan already"),
    ],
)
def test_what_can_not_be_reviewed(
    photos: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    pytest.importorskip("starlette", reason="pip install 'cvsim[web]'")
    Plan((str(photos),), ()).save(tmp_path / "plan.json")
    (tmp_path / "broken.json").write_text('{"schema": ')
    done = run(tmp_path, "review", *arguments, "--no-browser")
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
