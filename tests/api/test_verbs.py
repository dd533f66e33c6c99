"""The verbs that act and those on product photos, called from Python."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from generate import save_image, scene

import cvsim
from cvsim.cli.group import cvsim as program


def printed(*arguments: str | Path) -> str:
    """What a command writes to stdout."""
    done = CliRunner().invoke(program, [*map(str, arguments), "-q"])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.stdout


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    folder = tmp_path / "copies"
    for name in ("a.png", "b.png"):
        save_image(folder / name, scene(1, 320, 240))
    return folder


@pytest.mark.parametrize("form", ["file", "plan", "report"])
def test_a_plan_is_applied_and_taken_back(copies: Path, tmp_path: Path, form: str) -> None:
    report = cvsim.dedupe(copies, cache=None)
    report.to_plan(tmp_path / "plan.json")
    plan = {"file": tmp_path / "plan.json", "plan": report.plan(), "report": report}[form]
    assert cvsim.apply(plan, "delete", dry_run=True).count("would") == 1
    assert len(list(copies.iterdir())) == 2
    journal = None if form == "file" else tmp_path / "journal.jsonl"
    applied = cvsim.apply(plan, f"move:{tmp_path / 'gone'}", journal=journal)
    assert applied.count("done") == 1
    assert [file.name for file in copies.iterdir()] == [Path(report.groups[0].keep).name]
    assert applied.journal is not None
    assert cvsim.undo(applied.journal).count("restored") == 1
    assert len(list(copies.iterdir())) == 2


def test_what_was_done_is_written_as_the_command_prints_it(copies: Path, tmp_path: Path) -> None:
    plan, gone = str(tmp_path / "plan.json"), f"move:{tmp_path / 'gone'}"
    cvsim.dedupe(copies, cache=None).to_plan(plan)
    applied = cvsim.apply(plan, gone, dry_run=True)
    assert applied.to_json() == printed("apply", plan, "--action", gone, "--dry-run", "--json")
    assert json.loads(applied.to_json())["counts"] == {"done": 0, "would": 1, "already": 0, "skipped": 0}
    journal = cvsim.apply(plan, gone).journal
    assert journal is not None
    undone = cvsim.undo(journal)
    undone.to_json(tmp_path / "undone.json")
    document = json.loads((tmp_path / "undone.json").read_text())
    assert document["counts"] == {"restored": 1, "deleted": 0, "skipped": 0}
    assert [one["path"] for one in document["outcomes"]] == [outcome.path for outcome in undone.outcomes]

    with cvsim.Index.open(tmp_path / "mine.db") as index:
        added = index.add(copies)
    assert added.to_json() == printed("index", copies, "--store", tmp_path / "other.db", "--json")
    assert json.loads(added.to_json())["files"] == 2
    pairs = cvsim.prefilter(copies, cache=None, n_sampled=0)
    assert json.loads(pairs.to_json())["pairs"] == 1


def test_a_download_that_failed_is_written_as_the_command_prints_it(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("url\nhttp://127.0.0.1:9/a.jpg\n")
    found = cvsim.fetch_dataset(tmp_path / "list.csv", tmp_path / "one")
    command = ["fetch", tmp_path / "list.csv", "-o", tmp_path / "two", "--json"]
    assert found.to_json() == printed(*command)
    assert json.loads(found.to_json())["failed"][0]["url"] == "http://127.0.0.1:9/a.jpg"


def test_a_plan_without_a_file_needs_a_journal(copies: Path) -> None:
    with pytest.raises(cvsim.UsageError, match="needs a journal"):
        cvsim.apply(cvsim.dedupe(copies, cache=None), "trash")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    for product in range(6):
        for view in range(3):
            rgb = scene(10 * product, 160, 120).astype(np.int16) + 4 * view
            save_image(folder / f"p{product}" / f"{view}.jpg", rgb.clip(0, 255).astype(np.uint8))
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all that is done with the shop: what is tested is what is made of its pictures."""
    return tmp_path_factory.mktemp("cache") / "cache.sqlite"


def test_products_are_grouped_and_measured(shop: Path, cache: Path, tmp_path: Path) -> None:
    found = cvsim.cluster(shop, n_clusters=6, cache=cache, workers=2)
    assert len(found.files) == len(found.labels) == 18
    found.to_csv(tmp_path / "labels.csv")
    found.to_npy(tmp_path / "labels.npy")
    assert found.to_csv().splitlines()[0] == "file,label"
    assert json.loads(found.to_json())["n_groups"] == found.n_groups
    answers = {file: file.split("/")[0] for file in found.files}
    by_file = cvsim.evaluate(tmp_path / "labels.csv", answers)
    assert by_file == cvsim.evaluate(tmp_path / "labels.npy", answers)
    assert by_file == cvsim.evaluate(found.labels, list(answers.values()))
    assert by_file.ari > 0.9


def test_features_are_what_products_are_grouped_by(shop: Path, cache: Path, tmp_path: Path) -> None:
    table = cvsim.extract_features(shop, cache=cache)
    assert table.vectors.shape[0] == len(table.files) == 18
    table.to_npy(tmp_path / "f.npy")
    assert (tmp_path / "f.txt").read_text().split() == list(table.files)
    of_array = cvsim.cluster(table.vectors, n_clusters=6)
    of_file = cvsim.cluster(tmp_path / "f.npy", n_clusters=6)
    assert (of_array.labels == of_file.labels).all()
    assert of_array.n_groups == 6
    with pytest.raises(cvsim.UsageError, match="one row of numbers an image"):
        cvsim.cluster(np.zeros(3))


def test_a_profile_is_learned_and_used(shop: Path, cache: Path, tmp_path: Path) -> None:
    trained = cvsim.train(shop, cache=cache)
    assert sum(trained.weights.values()) == pytest.approx(1)
    assert json.loads(trained.to_json())["n_products"] == 6
    trained.to_npz(tmp_path / "shop.npz")
    assert (tmp_path / "shop.npz").read_bytes() == trained.to_npz()
    found = cvsim.classify(shop, tmp_path / "shop.npz", cache=cache)
    right = [label == file.split("/")[0] for file, label in zip(found.files, found.labels, strict=True)]
    assert np.mean(right) > 0.8
    assert found.to_csv().splitlines()[0] == "file,label,probability"
    answers = {file: file.split("/")[0] for file in found.files}
    by_mapping = cvsim.train(shop, labels=answers, cache=cache)
    by_list = cvsim.train(shop, labels=list(answers.values()), cache=cache)
    assert by_mapping.weights == by_list.weights == trained.weights


def test_pictures_are_drawn(shop: Path, cache: Path, tmp_path: Path) -> None:
    drawing = cvsim.plot(shop, layout="pca", cache=cache)
    assert drawing.to_png()[:4] == b"\x89PNG"
    drawing.to_html(tmp_path / "map.html")
    assert (tmp_path / "map.html").read_bytes() == drawing.to_html().encode()
    written = drawing.to_folder(tmp_path / "maps")
    assert {Path(file).name for file in written} >= {"vectors.tsv", "metadata.tsv", "sprite.png"}
    assert all(Path(file).exists() for file in written)


def test_an_unknown_list_of_pictures_is_said(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("{}")
    with pytest.raises(cvsim.UsageError, match="no list of images"):
        cvsim.fetch_dataset(tmp_path / "list.json", tmp_path / "out")
