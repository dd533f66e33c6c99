"""The pairs worth a closer look: what they hold, how they are written, what is said of them."""

from __future__ import annotations

import csv
import json
import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from generate import copy_set, save_image, scene

import cvsim
from cvsim.cli.group import cvsim as program
from cvsim.errors import UsageError
from cvsim.groups.evaluation import RECALL_CUTOFFS
from cvsim.recipes.alterations import ALTERATIONS, altered, pasted
from cvsim.recipes.prefilter import MAX_REPEATED, Prefiltered
from cvsim.recipes.prefilter_sample import best_cutoff, copies_of
from cvsim.reports.pairs import write_pairs

KINDS = ("jpeg-low", "half", "grey", "crop50", "rotated90")


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[tuple[str, str]]]:
    """A copy set, and its true pairs."""
    folder = tmp_path_factory.mktemp("copies")
    rows = copy_set(folder, 3, KINDS, n_others=6)
    root = folder / "images"
    pairs = {(str(root / x.file), str(root / y.file)) for x, y in combinations(rows, 2) if x.group == y.group}
    return root, pairs


@pytest.fixture(scope="module")
def found(truth: tuple[Path, set[tuple[str, str]]]) -> Prefiltered:
    return cvsim.prefilter([truth[0]], recall=0.9, n_sampled=2, cache=None, workers=2)


def test_the_true_pairs_are_kept_and_few_others(
    found: Prefiltered, truth: tuple[Path, set[tuple[str, str]]]
) -> None:
    kept = {(pair.a, pair.b) for pair in found}
    assert len(kept) == len(list(found)) == found.n_pairs
    assert len(kept & truth[1]) >= 0.9 * len(truth[1])
    assert len(kept - truth[1]) <= 3
    assert found.n_all_pairs == 24 * 23 // 2
    assert found.share_spared == 1 - found.n_pairs / found.n_all_pairs


def test_the_recall_was_measured_on_copies(found: Prefiltered) -> None:
    assert found.n_copies > 2 * 25
    assert found.recall is not None
    assert 0.8 <= found.recall <= 1.0


def test_what_is_asked_for_is_surely_reached_or_nothing_is_paid_for_chance() -> None:
    rising = [0.95, 0.97, 0.985, 0.993, 0.996, 0.996, 0.996, 0.996, 0.996, 0.998, 0.998]
    recalls = [(recall, 0.002) for recall in rising]
    assert best_cutoff(recalls, 0.98) == RECALL_CUTOFFS[2]
    assert best_cutoff(recalls, 0.99) == RECALL_CUTOFFS[3]
    assert best_cutoff(recalls, 0.999) == RECALL_CUTOFFS[4]  # two in a thousand make no difference


def test_the_best_come_first_with_the_scores_of_compare(found: Prefiltered) -> None:
    scores = [pair.score for pair in found]
    assert scores == sorted(scores, reverse=True)
    first = next(iter(found))
    assert cvsim.compare(first.a, first.b, cache=None).score == pytest.approx(first.score, abs=1e-4)


def test_it_can_be_gone_through_twice(found: Prefiltered) -> None:
    assert list(found) == list(found)


def test_between_only_and_identical_files(tmp_path: Path) -> None:
    for seed, folder in ((1, "a"), (1, "b"), (1, "b/again"), (2, "a"), (3, "b")):
        save_image(tmp_path / folder / f"{seed}.jpg", scene(seed, 320, 240))
    shutil.copy(tmp_path / "a" / "1.jpg", tmp_path / "b" / "same.jpg")
    found = cvsim.prefilter([tmp_path / "a", tmp_path / "b"], between_only=True, n_sampled=1, cache=None)
    assert found.n_all_pairs == 2 * 4
    sides = [{Path(path).relative_to(tmp_path).parts[0] for path in (p.a, p.b)} for p in found if p.score < 1]
    assert all(side == {"a", "b"} for side in sides)


@pytest.mark.parametrize("n_again", [1, MAX_REPEATED])
def test_identical_files_have_the_pairs_of_their_picture(tmp_path: Path, n_again: int) -> None:
    """Each of a few; of many, the first one has them for all, and not one is lost."""
    scene_1 = scene(1, 320, 240)
    save_image(tmp_path / "a.jpg", scene_1)
    save_image(tmp_path / "half.jpg", scene_1[::2, ::2])
    again = [tmp_path / f"b{k}.jpg" for k in range(n_again)]
    for path in again:
        shutil.copy(tmp_path / "a.jpg", path)
    found = cvsim.prefilter([tmp_path], n_sampled=1, cache=None)
    pairs = [{Path(pair.a).name, Path(pair.b).name} for pair in found]
    assert found.n_pairs == len(pairs)
    assert all({"a.jpg", path.name} in pairs for path in again)
    with_half = [pair for pair in pairs if "half.jpg" in pair]
    assert len(with_half) == (2 if n_again == 1 else 1)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_every_format_holds_the_same(found: Prefiltered, tmp_path: Path, suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow", reason="the extra 'parquet' is not installed")
    file = tmp_path / f"pairs.{suffix}"
    assert write_pairs(file, found) == found.n_pairs
    expected = [(pair.a, pair.b, pair.score) for pair in found]
    assert read(file) == expected
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def read(file: Path) -> list[tuple[str, str, float]]:
    if file.suffix == ".csv":
        with file.open(newline="") as stream:
            return [(row["a"], row["b"], float(row["score"])) for row in csv.DictReader(stream)]
    if file.suffix == ".jsonl":
        rows = [json.loads(line) for line in file.read_text().splitlines()]
    else:
        from pyarrow import parquet

        rows = parquet.read_table(file).to_pylist()
    return [(row["a"], row["b"], row["score"]) for row in rows]


def test_the_command_writes_and_says(truth: tuple[Path, set[tuple[str, str]]], tmp_path: Path) -> None:
    output = tmp_path / "pairs.csv"
    arguments = [
        "prefilter",
        str(truth[0]),
        "-o",
        str(output),
        "--sample",
        "1",
        "--no-cache",
        "--effort",
        "fast",
    ]
    done = CliRunner().invoke(program, arguments)
    assert done.exit_code == 0, done.output
    assert "are spared" in done.output
    assert "copies made of these images" in done.output
    assert output.read_text().startswith("a,b,score\n")


def test_a_wrong_call(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="share"):
        cvsim.prefilter([tmp_path], recall=1.5)
    save_image(tmp_path / "a.jpg", scene(1, 64, 64))
    done = CliRunner().invoke(program, ["prefilter", str(tmp_path), "-o", str(tmp_path / "pairs.txt")])
    assert done.exit_code == 2
    assert ".parquet" in done.output


def test_an_empty_folder_gives_no_pairs(tmp_path: Path) -> None:
    found = cvsim.prefilter([tmp_path], cache=None)
    assert list(found) == []
    assert found.recall is None


# --- copies -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ALTERATIONS)
def test_an_alteration_is_a_picture_and_repeats_itself(kind: str) -> None:
    rgb = scene(5, 160, 120)
    before = rgb.copy()
    first, again = altered(rgb, kind, 7), altered(rgb, kind, 7)
    assert np.array_equal(first, again)
    assert np.array_equal(rgb, before)
    assert first.dtype == np.uint8
    assert first.ndim == 3
    assert first.shape != rgb.shape or not np.array_equal(first, rgb)


def test_a_tiny_picture_is_altered_too() -> None:
    rgb = np.full((3, 2, 3), 90, np.uint8)
    assert len(list(copies_of(rgb, rgb, 1))) == len(ALTERATIONS) + 5


def test_pasting_keeps_the_size() -> None:
    assert pasted(scene(1, 160, 120), scene(2, 320, 100), 0.25, 3).shape == (120, 160, 3)
