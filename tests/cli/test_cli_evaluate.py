from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cvsim.cli.group import cvsim


def run(*arguments: Path | str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cvsim, ["evaluate", *map(str, arguments)], catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    path = tmp_path / "answers.csv"
    path.write_text("file,label\na.jpg,x\nb.jpg,x\nc.jpg,y\n")
    return path


def test_the_promised_keys(answers: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "labels.npy", np.array([4, 4, 4]))
    code, out, err = run(tmp_path / "labels.npy", answers, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "ari": 0.0,
        "n_images": 3,
        "n_predicted": 1,
        "n_true": 2,
        "pair_precision": pytest.approx(1 / 3),
        "pair_recall": 1.0,
        "pair_f1": 0.5,
        "bcubed_f1": pytest.approx(10 / 14),
        "accuracy": None,
    }


def test_accuracy_where_labels_are_names_of_the_answers(answers: Path, tmp_path: Path) -> None:
    path = tmp_path / "found.csv"
    for rows, accuracy in (
        ("x,y,-1", 1 / 3),
        ("x,x,y", 1.0),
        ("x,x,z", None),
        ("0,0,1", None),
        ("-1,-1,-1", None),
    ):
        cells = zip("abc", rows.split(","), strict=True)
        path.write_text("file,label\n" + "".join(f"{name}.jpg,{label}\n" for name, label in cells))
        _, out, _ = run(path, answers, "--json")
        assert json.loads(out)["accuracy"] == (None if accuracy is None else pytest.approx(accuracy))
        assert ("accuracy" in run(path, answers)[1]) == (accuracy is not None)


def test_for_a_person(answers: Path) -> None:
    code, out, _ = run(answers, answers)
    assert code == 0
    assert out.splitlines()[0].split() == ["Adjusted", "Rand", "Index", "1.0000"]


def test_files_that_do_not_fit_are_wrong_usage(answers: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("file,label\nz.jpg,1\n")
    code, out, err = run(other, answers)
    assert (code, out) == (2, "")
    assert err.startswith("cvsim: ")
