"""`dedupe --against`: new files are looked up in an index, and the pairs are those of a run over all."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import engine_places
import numpy as np
import pytest
from click.testing import CliRunner
from generate import altered, save_image, scene

import cvsim
from cvsim.actions.plan import Plan
from cvsim.candidates.words import pairs_by_words, pairs_by_words_with
from cvsim.cli.group import cvsim as program
from cvsim.errors import ActionError, StoreError, UsageError
from cvsim.features.base import Keypoints
from cvsim.types import DedupeResult

N_INDEXED = 10
SIZE = (320, 240)
KINDS = ("jpeg-low", "half", "grey", "crop50", "rotated90", "mirrored", "captioned")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with copies of its own, and a card: copies of it, copies of each other, and what is new."""
    folder = tmp_path_factory.mktemp("import")
    library, card = folder / "library", folder / "card"
    for seed in range(N_INDEXED):
        save_image(library / f"{seed}.jpg", scene(seed, *SIZE))
    save_image(library / "0-half.jpg", altered(scene(0, *SIZE), "half", 0))
    save_image(library / "1-crop.jpg", altered(scene(1, *SIZE), "crop80", 1))
    for seed, kind in enumerate(KINDS):
        save_image(card / f"{seed}-{kind}.jpg", altered(scene(seed, *SIZE), kind, seed))
    shutil.copy(library / "9.jpg", card / "9-again.jpg")
    for seed in (100, 101):
        save_image(card / f"{seed}.jpg", scene(seed, *SIZE))
    save_image(card / "100-half.jpg", altered(scene(100, *SIZE), "half", 0))
    (card / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    return folder


@pytest.fixture(scope="module")
def store(folder: Path) -> Path:
    with cvsim.Index.open(folder / "library.db", workers=2) as index:
        index.add([folder / "library"])
    return folder / "library.db"


def run(*paths: Path, **options: Any) -> DedupeResult:
    options.setdefault("cache", None)
    return cvsim.dedupe(list(paths), workers=2, **options).result


def pairs_with(result: DedupeResult, folder: Path) -> dict[frozenset[str], tuple[float, str]]:
    """Links of which one file lies under a folder: score and relation."""
    found = {}
    for edge in (edge for group in result.groups for edge in group.edges):
        sides = frozenset(os.path.abspath(side) for side in (edge.pair.a, edge.pair.b))
        if any(side.startswith(f"{folder}{os.sep}") for side in sides):
            found[sides] = round(edge.score, 9), edge.relation
    return found


def groups_with(result: DedupeResult, folder: Path) -> set[frozenset[str]]:
    groups = ({m.record.path for m in group.members} for group in result.groups)
    return {frozenset(paths) for paths in groups if any(path.startswith(str(folder)) for path in paths)}


@pytest.mark.parametrize("effort", ["default", "fast"])
def test_the_pairs_are_those_of_a_run_over_all(folder: Path, store: Path, effort: Any) -> None:
    if effort == "fast":
        with cvsim.Index.open(store, workers=2) as index:
            index.add([folder / "library"], also="fast")
    against = run(folder / "card", against=store, effort=effort)
    over_all = run(folder / "card", folder / "library", effort=effort)
    expected, found = pairs_with(over_all, folder / "card"), pairs_with(against, folder / "card")
    assert len(expected) >= (5 if effort == "fast" else len(KINDS))
    assert expected.items() <= found.items()
    # A run over all need not score a pair of one group; this one may have to, having fewer pairs.
    groups = groups_with(over_all, folder / "card")
    assert all(any(pair <= group for group in groups) for pair in found)
    if effort == "default":
        assert groups_with(against, folder / "card") == groups
    references = run(folder / "card", reference=[folder / "library"], effort=effort)
    assert pairs_with(references, folder / "card") == found


def test_the_report_answers_what_is_there_already(folder: Path, store: Path) -> None:
    asked = ["dedupe", str(folder / "card"), "--against", str(store), "--cache", str(folder / "cache.db")]
    result = run(folder / "card", against=store, cache=folder / "cache.db")
    counts = result.counts
    assert (counts.files, counts.images, counts.skipped) == (12, 11, 1)
    assert (counts.indexed, counts.known) == (N_INDEXED + 2, len(KINDS) + 1)
    members = [member for group in result.groups for member in group.members]
    library = f"{folder / 'library'}{os.sep}"
    assert {m.record.path for m in members if m.indexed} == {
        m.record.path for m in members if m.record.path.startswith(library)
    }
    assert not any(m.proposed for m in members if m.indexed)
    proposed = {os.path.basename(m.record.path) for m in members if m.proposed}
    assert {"9-again.jpg", "100-half.jpg"} <= proposed
    assert "6-captioned.jpg" not in proposed
    new = CliRunner().invoke(program, [*asked, "--format", "new0"])
    assert [Path(name).name for name in new.stdout.split("\0")] == ["100.jpg", "101.jpg", ""]
    printed = CliRunner().invoke(program, asked)
    assert printed.exit_code == 0, printed.output
    assert "8 of them known among 12 indexed pictures" in printed.output
    assert "keep the first: the index has it" in printed.output


def test_a_plan_never_touches_indexed_files(folder: Path, store: Path, tmp_path: Path) -> None:
    card = tmp_path / "card"
    shutil.copytree(folder / "card", card)
    plan = cvsim.dedupe([card], against=store, cache=None, workers=2).plan()
    removed = [entry.path for entry in plan.entries if entry.decision == "remove"]
    assert removed
    assert all(path.startswith(str(card)) for path in removed)
    indexed = next(entry for entry in plan.entries if not entry.path.startswith(str(card)))
    with pytest.raises(ActionError, match="known from an index"):
        plan.decided(indexed.path, "remove")
    plan.save(tmp_path / "plan.json")
    cvsim.apply(Plan.load(tmp_path / "plan.json"), action="delete", journal=tmp_path / "journal.jsonl")
    assert not any(os.path.exists(path) for path in removed)
    assert len(list((folder / "library").iterdir())) == N_INDEXED + 2


def test_files_on_a_drive_that_is_away_answer_and_nothing_rests_on_them(folder: Path, tmp_path: Path) -> None:
    library, card = tmp_path / "library", tmp_path / "card"
    for seed in range(4):
        save_image(library / f"{seed}.jpg", scene(seed, *SIZE))
    shutil.copy(library / "0.jpg", library / "0-second.jpg")
    with cvsim.Index.open(tmp_path / "index.db", workers=2) as index:
        index.add([library])
    shutil.copytree(library, card)
    os.remove(card / "0-second.jpg")
    save_image(card / "1.jpg", altered(scene(1, *SIZE), "half", 1))
    shutil.copy(card / "1.jpg", card / "1-twin.jpg")
    library.rename(tmp_path / "unplugged")
    library.mkdir()
    shutil.copy2(tmp_path / "unplugged" / "0-second.jpg", library)  # one of two copies is there
    save_image(library / "2.jpg", scene(2, *SIZE), quality=50)  # another file by now
    report = cvsim.dedupe([card], against=tmp_path / "index.db", cache=None, workers=2)
    members = {os.path.basename(m.record.path): m for g in report.groups for m in g.members if not m.indexed}
    assert set(members) == {"0.jpg", "1.jpg", "1-twin.jpg", "2.jpg", "3.jpg"}
    # A twin on the card goes for the one beside it, not for what is away.
    assert {name for name, member in members.items() if member.proposed} == {"0.jpg", "1-twin.jpg"}
    assert "is its drive away?" in members["3.jpg"].reason
    assert "is its drive away?" in members["1.jpg"].reason
    assert "has changed since it was indexed" in members["2.jpg"].reason
    first = next(group for group in report.groups if group.members[0].record.path.endswith("0-second.jpg"))
    assert first.rule == "there"
    plan = report.plan()  # without what cannot vouch for anything
    assert str(library / "3.jpg") not in {entry.path for entry in plan.entries}
    assert report.to_html().count("data:image/jpeg") >= len(members) + 4  # also of those that are away


def test_indexed_files_under_the_path_are_no_new_ones(folder: Path, store: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder / "library")
    for path in (folder / "library", tmp_path / "link"):
        result = run(path, against=store)
        assert (result.counts.files, result.groups) == (0, ())
        assert result.stats["n_indexed_under_paths"] == N_INDEXED + 2


def test_an_index_that_cannot_serve_says_why(folder: Path, store: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no index there"):
        run(folder / "card", against=tmp_path / "none.db")
    cvsim.Index.open(tmp_path / "empty.db").close()
    with pytest.raises(UsageError, match="holds no picture"):
        run(folder / "card", against=tmp_path / "empty.db")
    with pytest.raises(StoreError, match=r"add --effort default, or .* --also thorough"):
        run(folder / "card", against=store, effort="thorough")
    for old, new, words in (
        ("decoder:", "decoder:0.", "another version of cvsim decoded its pictures"),
        ("phash:", "phash:0.", "another version of cvsim made it"),
    ):
        other = tmp_path / f"other {old[:3]}.db"
        shutil.copy(store, other)
        with closing(sqlite3.connect(other)) as database:
            database.execute("UPDATE key SET text = replace(text, ?, ?)", (old, new))
            database.commit()
        with pytest.raises(StoreError, match=words):
            run(folder / "card", against=other)


@pytest.mark.parametrize("engine", engine_places.MARKED)
def test_an_index_in_an_engine_gives_the_same_pairs(engine: str, folder: Path, store: Path) -> None:
    location = engine_places.LOCATIONS[engine]()
    engine_places.emptied(location).close()
    with cvsim.Index.open(location, workers=2) as index:
        index.add([folder / "library"])
    found, expected = (run(folder / "card", against=index) for index in (location, store))
    assert pairs_with(found, folder / "card") == pairs_with(expected, folder / "card")


@pytest.mark.parametrize("n_upright", [None, 0, 480, 1200])
def test_matches_with_a_few_are_those_of_all(n_upright: int | None) -> None:
    rng = np.random.default_rng(5)
    n_pictures, n_each = 30, 40
    owner = np.repeat(np.arange(n_pictures), n_each)
    bits = rng.integers(0, 2**63, (n_pictures * n_each, 4), dtype=np.uint64)
    for copy in range(10, 30):  # copies of the first pictures, a few bits off, and words that many share
        bits[owner == copy] = bits[owner == copy % 10] ^ (
            np.uint64(1) << rng.integers(0, 63, (n_each, 4), np.uint64)
        )
    bits[::n_each] = bits[0]
    shape = len(owner)
    keypoints = Keypoints(
        owner,
        bits,
        np.zeros(shape, np.uint8),
        np.zeros(shape, np.uint8),
        np.tile(np.arange(n_each), n_pictures).astype(np.complex64),
        n_upright,
    )
    a, b, votes = pairs_by_words(keypoints)
    wanted = owner % 7 == 3
    chosen = (a % 7 == 3) | (b % 7 == 3)
    assert n_upright == 0 or 5 < chosen.sum() < len(a)
    found = pairs_by_words_with(keypoints, wanted)
    for column, expected in zip(found, (a[chosen], b[chosen], votes[chosen]), strict=True):
        np.testing.assert_array_equal(column, expected)
