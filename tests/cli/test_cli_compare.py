from __future__ import annotations

import io
import json
import math
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from generate import altered, save_image, scene
from PIL import Image

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


def test_more_than_two_are_a_square_of_scores(folder: Path) -> None:
    files = [folder / name for name in ("a.jpg", "b.jpg", "c.jpg")]
    document = json.loads(run(*files, "--json").stdout)
    pair = json.loads(run(*files[:2], "--json").stdout)
    scores = document["scores"]
    assert document["files"] == [str(file) for file in files]
    assert scores[0][1] == scores[1][0] == pair["score"]
    assert [scores[i][i] for i in range(3)] == [1, 1, 1]
    lines = run(*files).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["score", "1", "2", "3"]
    assert lines[1].split()[2] == f"{scores[0][1]:.3f}"
    assert run(files[0]).exit_code == 2


def test_what_is_no_picture_is_an_error_with_its_name(folder: Path) -> None:
    result = run(folder / "a.jpg", folder / "d.jpg")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("cvsim: ")
    assert "d.jpg" in result.stderr


def test_the_picture_is_written_beside_the_text_and_the_json(folder: Path, tmp_path: Path) -> None:
    plain = run(folder / "a.jpg", folder / "b.jpg", "--json")
    file = tmp_path / "why \u00e9 \u5199.png"
    with_picture = run(folder / "a.jpg", folder / "b.jpg", "--json", "--picture", file)
    assert with_picture.stdout == plain.stdout
    assert with_picture.stderr.startswith("cvsim: wrote ")
    assert Image.open(file).format == "PNG"
    quiet = run(folder / "a.jpg", folder / "c.jpg", "--picture", tmp_path / "why.jpeg", "-q")
    assert "not linked" in quiet.stdout
    assert quiet.stderr == ""
    assert Image.open(tmp_path / "why.jpeg").format == "JPEG"


def test_the_picture_can_go_to_stdout_alone(folder: Path) -> None:
    result = run(folder / "a.jpg", folder / "b.jpg", "--picture", "-")
    assert Image.open(io.BytesIO(result.stdout_bytes)).format == "PNG"
    both = run(folder / "a.jpg", folder / "b.jpg", "--picture", "-", "--json")
    assert both.exit_code == 2
    assert both.stdout == ""


def test_one_file_and_files_with_odd_names_are_drawn(folder: Path, tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n.jpg"))
    shutil.copy(folder / "a.jpg", odd)
    for a, b in ((folder / "a.jpg", folder / "a.jpg"), (folder / "a.jpg", odd)):
        assert run(a, b, "--picture", tmp_path / "same.png").exit_code == 0
        assert Image.open(tmp_path / "same.png").width > 1000


def test_without_keypoints_the_picture_is_drawn_all_the_same(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "fast.png"
    assert run(folder / "a.jpg", folder / "b.jpg", "--effort", "fast", "--picture", file).exit_code == 0
    assert file.stat().st_size > 10_000


def test_a_picture_that_can_not_be_written_is_refused_before_any_work(folder: Path, tmp_path: Path) -> None:
    for file, reason in (("why.gif", "must end in .png"), ("missing/why.png", "does not exist")):
        result = run(folder / "a.jpg", folder / "d.jpg", "--picture", tmp_path / file)
        assert result.exit_code == 2
        assert reason in result.stderr
