"""What README.md says is true: its commands run, its names exist, its reference is that of the program."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import make_samples
import numpy as np
import pytest
import reference
from PIL import Image, ImageFile

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROSE = README.partition(reference.BEGIN)[0]
BLOCK = re.compile(r"^<!-- run: (\S+) -->\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(kind: str) -> list[str]:
    """The code blocks that README marks with ``<!-- run: kind -->``."""
    return [text for marked, text in BLOCK.findall(README) if marked == kind]


def lines_of(block: str) -> list[str]:
    """Its commands, without the comments that stand two spaces behind them."""
    lines = [line.partition("  #")[0].strip() for line in block.splitlines()]
    return [line for line in lines if line]


def parts_of(kind: str) -> list[str]:
    """The steps of the one command of this kind."""
    (block,) = blocks(kind)
    (line,) = lines_of(block)
    return line.split(" && ")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the samples beside nothing else, and a ``cvsim`` that is this interpreter's."""
    place = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "samples" / "photos", place / "samples" / "photos")
    shutil.copy(ROOT / "samples" / "truth.csv", place / "samples")
    program = place / "bin" / "cvsim"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cvsim "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return place


def run(workplace: Path, command: str) -> subprocess.CompletedProcess[str]:
    home = str(workplace / "home")
    environment = {
        **os.environ,
        "PATH": f"{workplace / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "HOME": home,
        "XDG_CACHE_HOME": f"{home}/cache",
        "XDG_CONFIG_HOME": f"{home}/config",
        "COLUMNS": "120",
    }
    return subprocess.run(
        command, shell=True, cwd=workplace, env=environment, capture_output=True, text=True, timeout=300
    )


# --- the two commands -------------------------------------------------------------------------------------


def test_the_first_command_installs_and_finds_the_copies(workplace: Path) -> None:
    make, install, dedupe = parts_of("dedupe")
    assert make == "python3 -m venv .venv"
    assert install == ".venv/bin/pip install ."
    program, _, arguments = dedupe.partition(" ")
    assert program == ".venv/bin/cvsim"
    done = run(workplace, f"cvsim {arguments}")
    assert done.returncode == 0, done.stderr
    assert "holiday/harbour.jpg" in done.stdout


def test_the_second_command_installs_what_the_tests_need() -> None:
    make, install, test = parts_of("test")
    assert make == "python3 -m venv .venv"
    match = re.fullmatch(r"\.venv/bin/pip install -e '\.\[(\w+)\]'", install)
    assert match is not None
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert any(requirement.startswith("pytest") for requirement in extras[match[1]])
    assert test.startswith(".venv/bin/pytest")


@pytest.mark.parametrize("block", blocks("samples"))
def test_the_commands_run_on_the_samples(workplace: Path, block: str) -> None:
    for command in lines_of(block):
        done = run(workplace, command)
        assert done.returncode == (3 if "--check" in command else 0), (command, done.stderr)
        assert "Traceback" not in done.stderr, command


@pytest.mark.parametrize("program", blocks("python"))
def test_a_program_runs_on_the_samples(workplace: Path, program: str) -> None:
    (workplace / "program.py").write_text(program, encoding="utf-8")
    done = run(workplace, f'"{sys.executable}" program.py')
    assert done.returncode == 0, done.stderr


# --- names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", sorted(reference.verbs()))
def test_every_verb_is_explained(verb: str) -> None:
    assert f"cvsim {verb}" in PROSE


def test_every_signal_is_explained() -> None:
    from cvsim.features import FEATURES

    names = {name for feature in FEATURES for name in (feature, *signals_of(feature))}
    assert sorted(name for name in names if f"`{name}`" not in PROSE) == []


def signals_of(feature: str) -> tuple[str, ...]:
    from cvsim.features import make_features

    return make_features([feature])[0].signals


def test_every_relation_is_explained() -> None:
    from typing import get_args

    from cvsim.types import Relation

    assert [name for name in get_args(Relation) if f"`{name}`" not in PROSE] == []


def test_the_reference_is_that_of_the_program() -> None:
    assert reference.with_reference(README) == README, "run: python tests/reference.py"


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)|(?:src|href)=\"([^\"#]+)\"", README)
    local = [a or b for a, b in targets if not re.match(r"\w+:", a or b)]
    assert [target for target in local if not (ROOT / target).exists()] == []


def test_anchors_lead_to_headings() -> None:
    headings = re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert [anchor for anchor in re.findall(r"\]\(#([^)]+)\)", README) if anchor not in slugs] == []


# --- the samples ------------------------------------------------------------------------------------------


def truth() -> dict[str, tuple[str, str]]:
    """file -> (group, kind)."""
    with (ROOT / "samples" / "truth.csv").open(encoding="utf-8") as stream:
        return {row["file"]: (row["group"], row["kind"]) for row in csv.DictReader(stream)}


def test_the_truth_names_every_sample() -> None:
    photos = ROOT / "samples" / "photos"
    there = {path.relative_to(photos).as_posix() for path in photos.rglob("*") if path.is_file()}
    assert there == set(truth())


def test_the_samples_are_small() -> None:
    sizes = [path.stat().st_size for path in (ROOT / "samples" / "photos").rglob("*") if path.is_file()]
    assert sum(sizes) < 1_500_000


def test_the_samples_are_what_the_script_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other versions of the codecs may round otherwise; the pictures are the same to the eye."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    made = make_samples.make(tmp_path)
    assert {file: (group, kind) for file, group, kind in made.rows} == truth()
    for file, (_, kind) in truth().items():
        if kind in {"not-an-image", "truncated"}:
            continue
        new, kept = (picture(root / file) for root in (tmp_path, ROOT / "samples" / "photos"))
        assert new.shape == kept.shape, file
        assert np.abs(new - kept).mean() < 6, file


def picture(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(np.int16)


def pairs(groups: list[list[str]]) -> Iterator[tuple[str, str]]:
    for members in groups:
        yield from combinations(sorted(members), 2)


def test_the_groups_of_the_samples_are_the_truth(workplace: Path) -> None:
    done = run(workplace, "cvsim dedupe samples/photos --json --no-cache")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    prefix = "samples/photos/"
    found = [[m["path"].removeprefix(prefix) for m in group["members"]] for group in report["groups"]]
    true: dict[str, list[str]] = {}
    for file, (group, _) in truth().items():
        if group:
            true.setdefault(group, []).append(file)
    assert set(pairs(found)) == set(pairs(list(true.values())))
    assert [item["path"].removeprefix(prefix) for item in report["skipped"]] == ["odd/notes.jpg"]
