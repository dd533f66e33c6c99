from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from generate import altered, save_image, scene

from cvsim.cli.group import cvsim


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pair")
    save_image(folder / "a.jpg", scene(1, 640, 480))
    save_image(folder / "b.jpg", altered(scene(1, 640, 480), "half"), quality=70)
    save_image(folder / "c.jpg", scene(2, 640, 480))
    (folder / "d.jpg").write_text("no picture")
    return folder


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cvsim, ["compare", *map(str, arguments)], catch_exceptions=False)


def test_the_parts_sum_to_the_score(folder: Path) -> None:
    document = json.loads(run(folder / "a.jpg", folder / "b.jpg", "--json").stdout)
    assert set(document) >= {"a", "b", "score", "prior", "relation", "contained", "signals"}
    log_odds = document["prior"] + sum(signal["weight"] for signal in document["signals"])
    assert document["score"] == pytest.approx(1 / (1 + math.exp(-log_odds)))
    assert document["score"] >= 0.95


def test_the_score_is_the_one_that_dedupe_gives(folder: Path) -> None:
    alone = json.loads(run(folder / "a.jpg", folder / "b.jpg", "--json").stdout)
    found = CliRunner().invoke(cvsim, ["dedupe", str(folder), "--json", "--no-cache"], catch_exceptions=False)
    (edge,) = json.loads(found.stdout)["groups"][0]["edges"]
    assert edge == alone


def test_for_a_person(folder: Path) -> None:
    same = run(folder / "a.jpg", folder / "b.jpg").stdout
    assert "before any evidence" in same
    assert ": linked at 95.0 %." in same
    assert "not linked at 95.0 %." in run(folder / "a.jpg", folder / "c.jpg").stdout
    assert "not linked at 100 %." in run(folder / "a.jpg", folder / "b.jpg", "--threshold", "1").stdout


def test_what_is_no_picture_is_an_error_with_its_name(folder: Path) -> None:
    result = run(folder / "a.jpg", folder / "d.jpg")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("cvsim: ")
    assert "d.jpg" in result.stderr
