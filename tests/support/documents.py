"""What README.md and the manual say, for the tests that hold them to it: their commands, links and names."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import click
from click.testing import CliRunner

from cvsim.cli.group import cvsim as program

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
MANUAL = sorted((ROOT / "cvsim" / "manual").glob("*.md"))
INSIDE = ROOT / "cvsim" / "README.md"

_OF_THE_SHELL = ("|", ">", "<", "&&", ";", "&", "2>")
_BLOCK = re.compile(r"^(?:<!-- run: (\S+) -->\n)?```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(document: Path, kind: str | None = None) -> list[str]:
    """The code blocks that a document marks with ``<!-- run: kind -->``.

    Without a kind, those of the shell that have no mark.
    """
    found = _BLOCK.findall(document.read_text(encoding="utf-8"))
    if kind is not None:
        return [text for marked, _, text in found if marked == kind]
    return [text for marked, language, text in found if not marked and language == "sh"]


def lines_of(block: str) -> list[str]:
    """The commands of a block, without the comments that stand two spaces behind them."""
    lines = [line.partition("  #")[0].strip() for line in block.replace("\\\n", "").splitlines()]
    return [line for line in lines if line]


def verbs() -> dict[str, click.Command]:
    """Every command by what is typed for it, those within groups included: ``cache clear``."""
    return dict(_verbs(program, click.Context(program, info_name="cvsim"), ""))


def _verbs(group: click.Group, context: click.Context, prefix: str) -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        if isinstance(command, click.Group):
            yield from _verbs(command, context, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def wrong_usage(line: str) -> str | None:
    """What is wrong with the names in a command of cvsim: an unknown verb or option; None if nothing is."""
    words = shlex.split(re.split(r" [|>&]| 2>", line)[0])
    known = verbs()
    verb = " ".join(words[1:3]) if " ".join(words[1:3]) in known else words[1]
    if verb not in known:
        return f"no command {verb!r}: {line}"
    options = {name for option in known[verb].params for name in (*option.opts, *option.secondary_opts)}
    given = {word.partition("=")[0] for word in words if word.startswith("-") and len(word) > 1}
    unknown = sorted(given - options - {"--help"})
    return f"no option {unknown}: {line}" if unknown else None


def broken_links(document: Path) -> list[str]:
    """The targets of a document's links and pictures that lead to no file, or to no heading of it."""
    text = document.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)\s]+)[^)]*\)", text)
    local = [target for target in targets if not re.match(r"\w+:", target)]
    return [target for target in local if not _leads_somewhere(document, target)]


def _leads_somewhere(document: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    file = document.parent / name if name else document
    if not file.exists() or not anchor:
        return file.exists()
    headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def make_workplace(place: Path) -> Path:
    """A copy of the samples beside nothing else, and a ``cvsim`` that is this interpreter's."""
    shutil.copytree(ROOT / "samples" / "photos", place / "samples" / "photos")
    shutil.copy(ROOT / "samples" / "truth.csv", place / "samples")
    starter = place / "bin" / "cvsim"
    starter.parent.mkdir()
    starter.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cvsim "$@"\n', encoding="utf-8")
    starter.chmod(0o755)
    return place


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    returncode: int
    stdout: str
    stderr: str


def run(workplace: Path, command: str, home: Path | None = None) -> Done:
    """Run a line of the shell there, with a home, which is the place's own if none is given.

    A call of cvsim and nothing else is made in this process: to start another one takes longer than most of
    what the documents show. What the shell itself has to do with it, a pipe or a file, is left to the shell,
    and so is what moves files: a process has the trash of the home that it began with.
    """
    home = home or workplace / "home"
    own = {
        "PATH": f"{workplace / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "HOME": str(home),
        "XDG_CACHE_HOME": f"{home}/cache",
        "XDG_CONFIG_HOME": f"{home}/config",
        "COLUMNS": "120",
    }
    name, *arguments = shlex.split(command)
    if name == "cvsim" and arguments[0] == "prefilter":
        arguments += ["--sample", "2"]  # more pictures to measure on take longer and show no more here
    if name == "cvsim" and not {"apply", "undo", *_OF_THE_SHELL} & set(arguments):
        with mock.patch.dict(os.environ, own), contextlib.chdir(workplace):
            result = CliRunner().invoke(program, arguments, prog_name="cvsim")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, result.stderr)
    done = subprocess.run(
        command,
        shell=True,
        cwd=workplace,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def check_commands(workplace: Path, document: Path, home: Path | None = None) -> None:
    """Run every command and program that a document shows of the samples, in its order."""
    for block in blocks(document, "samples"):
        for command in lines_of(block):
            done = run(workplace, command, home)
            assert done.returncode == (3 if "--check" in command else 0), (command, done.stderr)
            assert "Traceback" not in done.stderr, command
    for number, text in enumerate(blocks(document, "python")):
        script = workplace / f"program_{number}.py"
        script.write_text(text, encoding="utf-8")
        done = run(workplace, f'"{sys.executable}" {script.name}', home)
        assert done.returncode == 0, (text, done.stderr)


def check_names(document: Path) -> None:
    """What a document shows and no test can run names verbs and options that the program has."""
    shown = [line for block in blocks(document) for line in lines_of(block) if line.startswith("cvsim ")]
    assert [wrong for wrong in map(wrong_usage, shown) if wrong] == []
