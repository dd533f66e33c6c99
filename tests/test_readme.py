"""What README.md says is true: its commands run, its names exist, its links lead somewhere; it is short."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from documents import (
    INSIDE,
    README,
    ROOT,
    blocks,
    broken_links,
    check_commands,
    check_names,
    lines_of,
    make_workplace as make,
    run,
)

CHANGELOG = ROOT / ".github" / "CHANGELOG.md"
DOCUMENTS = [README, INSIDE, *sorted((ROOT / ".github").glob("*.md"))]
MAX_README_BYTES = 12_000


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("readme"))


def parts_of(kind: str) -> list[str]:
    """The steps of the one command of this kind."""
    (block,) = blocks(README, kind)
    (line,) = lines_of(block)
    return line.split(" && ")


def test_it_is_short() -> None:
    assert len(README.read_bytes()) <= MAX_README_BYTES


def test_the_first_command_installs_and_finds_the_copies(workplace: Path) -> None:
    venv, install, dedupe = parts_of("dedupe")
    assert venv == "python3 -m venv .venv"
    assert install == ".venv/bin/pip install ."
    program, _, arguments = dedupe.partition(" ")
    assert program == ".venv/bin/cvsim"
    done = run(workplace, f"cvsim {arguments}")
    assert done.returncode == 0, done.stderr
    assert "holiday/harbour.jpg" in done.stdout


def test_the_second_command_installs_what_the_tests_need() -> None:
    venv, install, test = parts_of("test")
    assert venv == "python3 -m venv .venv"
    match = re.fullmatch(r"\.venv/bin/pip install -e '\.\[(\w+)\]'", install)
    assert match is not None
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert any(requirement.startswith("pytest") for requirement in extras[match[1]])
    assert test.startswith(".venv/bin/pytest")


@pytest.mark.parametrize("document", [README, INSIDE], ids=["README", "inside"])
def test_the_commands_and_programs_run_on_the_samples(workplace: Path, document: Path) -> None:
    check_commands(workplace, document)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_what_is_shown_has_the_names_of_the_program(document: Path) -> None:
    check_names(document)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_links_lead_somewhere(document: Path) -> None:
    assert broken_links(document) == []


def test_every_topic_of_the_manual_is_linked() -> None:
    text = README.read_text(encoding="utf-8")
    topics = {path.name for path in (ROOT / "cvsim" / "manual").glob("*.md")} - {"README.md"}
    assert {name for name in topics if f"(cvsim/manual/{name})" not in text} == set()


def test_every_extra_is_named() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    text = README.read_text(encoding="utf-8")
    assert [extra for extra in extras if extra != "test" and f"`{extra}`" not in text] == []


def test_the_changelog_names_this_version() -> None:
    from cvsim import __version__

    assert f"## {__version__}" in CHANGELOG.read_text(encoding="utf-8")
