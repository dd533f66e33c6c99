"""A cache or an index whose rows were damaged: computed anew, or named, and never another answer."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from generate import altered, save_image, scene

import cvsim
from cvsim.cli.group import cvsim as program
from cvsim.errors import StoreError
from cvsim.stores import SqliteStore

ONE = "(SELECT min(id) FROM artefact WHERE length(data) > 100)"
OTHER = "(SELECT max(id) FROM artefact WHERE length(data) > 100)"
DAMAGES = {
    "zeros": f"UPDATE artefact SET data = zeroblob(length(data)) WHERE id = {ONE}",
    "cut off": f"UPDATE artefact SET data = substr(data, 1, 60) WHERE id = {ONE}",
    "of another picture": "UPDATE artefact SET (data, sum) = "
    f"(SELECT data, sum FROM artefact WHERE id = {OTHER}) WHERE id = {ONE}",
    "no evidence": f"UPDATE artefact SET data = NULL WHERE id = {ONE}",
    "a size": "UPDATE decoded SET width_px = width_px + 1 WHERE id = (SELECT min(id) FROM decoded)",
    "no text": "UPDATE decoded SET format = CAST(x'ff' AS TEXT) WHERE id = (SELECT max(id) FROM decoded)",
    "a number that is text": "UPDATE decoded SET width_px = CAST('x' AS TEXT)",
    "a file of another content": "UPDATE file SET image_id = (SELECT min(id) FROM image)",
    "a pair": "UPDATE pair SET data = substr(data, 2)",
    "a digest": "UPDATE image SET digest = x'00' || substr(digest, 2) WHERE id = (SELECT max(id) FROM image)",
    "a key": "UPDATE key SET text = text || '0' WHERE id = 1",
    "none of a kind": "DELETE FROM decoded",
}


@contextmanager
def database(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as db, db:
        yield db


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(3):
        save_image(folder / f"{seed}.jpg", scene(seed, 160, 120))
        save_image(folder / f"{seed}-half.jpg", altered(scene(seed, 160, 120), "half", seed))
    return folder


def answer(photos: Path, cache: Path) -> str:
    return cvsim.dedupe([photos], cache=cache, workers=1).to_json()


@pytest.fixture(scope="module")
def warm(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A cache that knows everything, and what is made of it."""
    cache = tmp_path_factory.mktemp("cache") / "cache.sqlite"
    return cache, answer(photos, cache)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_gives_the_same_answer_and_says_so_once(
    damage: str,
    photos: Path,
    warm: tuple[Path, str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    cache = shutil.copy(warm[0], tmp_path / "cache.sqlite")
    with database(cache) as db:
        assert db.execute(DAMAGES[damage]).rowcount > 0
    is_lost = damage in ("none of a kind", "a key", "a digest")  # what is not there is computed anew as ever
    with SqliteStore(cache) as store:
        assert store.check().is_sound is (damage == "none of a kind")
    with caplog.at_level(logging.INFO, "cvsim"):
        assert answer(photos, cache) == warm[1]
    n_said = sum("damaged rows were removed" in line for line in caplog.messages)
    assert n_said == 1 or (is_lost and n_said == 0)
    assert not [record for record in caplog.records if record.levelno > logging.INFO]
    caplog.clear()
    with caplog.at_level(logging.INFO, "cvsim"):
        assert answer(photos, cache) == warm[1]
    assert not any("damaged" in line for line in caplog.messages)


def test_the_program_says_it_where_it_is_asked_to(
    photos: Path, warm: tuple[Path, str], tmp_path: Path
) -> None:
    for option, n_said in (("-v", 1), ("--workers=1", 0)):
        cache = shutil.copy(warm[0], tmp_path / "cache.sqlite")
        with database(cache) as db:
            db.execute(DAMAGES["zeros"])
        done = CliRunner().invoke(program, ["dedupe", str(photos), "--cache", str(cache), option])
        assert done.exit_code == 0, done.stderr
        assert done.stderr.count("damaged rows were removed") == n_said


def test_a_cache_that_is_damaged_as_a_whole_is_done_without(
    photos: Path, warm: tuple[Path, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = shutil.copy(warm[0], tmp_path / "cache.sqlite")
    data = bytearray(cache.read_bytes())
    data[8192 : len(data) // 2] = bytes(len(data) // 2 - 8192)
    cache.write_bytes(data)
    assert answer(photos, cache) == warm[1]
    assert "cvsim cache clear" in caplog.text


# --- an index ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def index(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    location = tmp_path_factory.mktemp("index") / "index.sqlite"
    with cvsim.Index.open(location, workers=1) as index:
        index.add([photos])
    return location


def hits(location: Path, query: Path) -> list[tuple[str, float]]:
    with cvsim.Index.open(location, workers=1) as index:
        return [(hit.path, hit.score) for hit in index.search(query, k=4)]


def test_a_damaged_index_names_the_files_to_index_again(index: Path, photos: Path, tmp_path: Path) -> None:
    location = shutil.copy(index, tmp_path / "index.sqlite")
    right = hits(location, photos / "0.jpg")
    with database(location) as db:
        digest = db.execute("SELECT digest FROM image WHERE id = 1").fetchone()[0].hex()
        assert db.execute("UPDATE artefact SET data = x'00' WHERE id & 0xffffffffff = 1").rowcount > 3
    with SqliteStore(location, "index") as store:
        (named,) = (path.decode() for path, known in store.known_files().items() if known.digest == digest)
    with pytest.raises(StoreError, match=r"is damaged: .*cvsim index PATH") as refused:
        hits(location, photos / "0.jpg")
    assert named in str(refused.value)
    assert sum(f"{path}" in str(refused.value) for path in photos.iterdir()) == 1
    with cvsim.Index.open(location, workers=1) as mended:
        assert mended.add([photos]).n_new == 1
    assert hits(location, photos / "0.jpg") == right


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE description SET value = value || ' '",
        "UPDATE entry SET image_id = 7 - image_id WHERE image_id IN (1)",
        "UPDATE block SET data = zeroblob(length(data))",
        "UPDATE segment SET n_rows = n_rows - 1",
        "DELETE FROM block",
    ],
)
def test_an_index_whose_lists_are_damaged_is_made_anew(
    damage: str, index: Path, photos: Path, tmp_path: Path
) -> None:
    location = shutil.copy(index, tmp_path / "index.sqlite")
    with database(location) as db:
        db.execute("DELETE FROM entry WHERE image_id = 6")
        assert db.execute(damage).rowcount > 0
    with pytest.raises(StoreError, match="into a new file"):
        hits(location, photos / "0.jpg")


# --- cvsim cache check ------------------------------------------------------------------------------------


def check(cache: Path, *options: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(program, ["cache", "check", "--cache", str(cache), *options])
    return done.exit_code, done.stdout, done.stderr


def test_the_check_counts_what_is_damaged(warm: tuple[Path, str], tmp_path: Path) -> None:
    import json

    cache = shutil.copy(warm[0], tmp_path / "cache.sqlite")
    code, stdout, stderr = check(cache)
    assert (code, stderr) == (0, "")
    n_rows = int(stdout.split()[0])
    assert stdout == f"{n_rows} rows, none of them damaged\n"
    assert check(cache, "-q") == (0, "", "")
    document = json.loads(check(cache, "--json")[1])
    assert document == {
        "location": str(cache),
        "exists": True,
        "n_rows": n_rows,
        "n_damaged": 0,
        "structure": "ok",
    }

    with database(cache) as db:
        n_damaged = db.execute(DAMAGES["cut off"]).rowcount + db.execute(DAMAGES["a pair"]).rowcount
    before = cache.read_bytes()
    code, stdout, stderr = check(cache)
    assert (code, stdout) == (1, "")
    assert stderr.startswith(f"cvsim: {n_damaged} of {n_rows} rows of the cache {cache} are damaged")
    code, stdout, stderr = check(cache, "--json")
    assert (code, json.loads(stdout)["n_damaged"]) == (1, n_damaged)
    assert cache.read_bytes() == before

    cache.write_bytes(before[: len(before) // 2])
    code, stdout, stderr = check(cache)
    assert (code, "cvsim cache clear" in stderr) == (1, True)

    none = tmp_path / "none.sqlite"
    assert check(none) == (0, "There is no cache there yet.\n", "")
    assert json.loads(check(none, "--json")[1]) == {"location": str(none), "exists": False}
    assert not none.exists()
