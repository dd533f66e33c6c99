from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cvsim.cli.group import cvsim
from cvsim.stores import Extraction, ImageInfo, KnownFile, open_store

DIGEST = "ab" * 32


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache that knows one picture, of a file that is gone."""
    path = tmp_path / "cache.sqlite"
    with open_store(path, "cache") as store:
        store.put(Extraction(DIGEST, "d:1", ImageInfo(4, 3), artefacts={"phash:1:x": b"12345678"}))
        store.put_file(b"/gone.jpg", KnownFile(1, 2, 3, 4, DIGEST))
    return path


def run(*arguments: str | Path) -> tuple[str, str]:
    result = CliRunner().invoke(cvsim, ["cache", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


def test_info_says_what_is_held(cache: Path) -> None:
    stdout, _ = run("info", "--cache", cache)
    assert str(cache) in stdout
    assert "1 picture, 1 file," in stdout
    assert "phash:1:x" in stdout


def test_info_as_json(cache: Path) -> None:
    document = json.loads(run("info", "--cache", cache, "--json")[0])
    assert document["exists"] is True
    assert document["n_images"] == 1
    assert document["artefacts"] == {"phash:1:x": {"n_rows": 1, "n_bytes": 8}}


def test_looking_at_no_cache_makes_none(tmp_path: Path) -> None:
    path = tmp_path / "none.sqlite"
    assert "no cache there" in run("info", "--cache", path)[0]
    assert json.loads(run("info", "--cache", path, "--json")[0]) == {"location": str(path), "exists": False}
    run("prune", "--cache", path)
    run("clear", "--cache", path)
    assert not path.exists()


def test_prune_removes_what_belongs_to_files_that_are_gone(cache: Path) -> None:
    assert run("prune", "--cache", cache) == ("", "Removed what was kept of 1 picture.\n")
    assert json.loads(run("info", "--cache", cache, "--json")[0])["n_images"] == 0


def test_clear_empties(cache: Path) -> None:
    assert run("clear", "--cache", cache, "-q") == ("", "")
    assert json.loads(run("info", "--cache", cache, "--json")[0])["n_images"] == 0


def test_the_cache_of_the_configuration_is_meant(cache: Path, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(f'cache = "{cache}"\n')
    assert str(cache) in run("info", "--config", tmp_path / "c.toml")[0]


def test_a_file_that_is_no_cache_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    for verb in ("info", "clear", "prune"):
        result = CliRunner().invoke(cvsim, ["cache", verb, "--cache", str(path)])
        assert result.exit_code == 1
        assert result.stderr.startswith("cvsim: ")
    assert path.read_text() == "mine"
