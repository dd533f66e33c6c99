"""How the program ends, and what goes to which stream."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from cvsim import __version__
from cvsim.cli.group import VERBS, cvsim
from cvsim.errors import DecodeError, SettingsError, StoreError
from cvsim.groups.propose import INCLUDABLE

PROGRAM = [sys.executable, "-m", "cvsim"]
ROOT = Path(__file__).parents[2]


def environment(**extra: str) -> dict[str, str]:
    """Of a subprocess that finds this source tree from any folder."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **extra}


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [*PROGRAM, *arguments], capture_output=True, text=True, env=environment(), timeout=60, **options
    )


def test_help_names_every_verb() -> None:
    result = run("--help")
    assert result.returncode == 0
    assert result.stderr == ""
    for verb, short in VERBS.items():
        assert f"  {verb}" in result.stdout
        assert short in result.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    result = CliRunner().invoke(cvsim, [verb, "--help"])
    assert result.exit_code == 0
    assert f"Example: cvsim {verb}" in result.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_takes_the_general_options(verb: str) -> None:
    command = cvsim.get_command(click.Context(cvsim), verb)
    assert command is not None
    leaves = command.commands.values() if isinstance(command, click.Group) else [command]
    for leaf in leaves:
        names = {name for parameter in leaf.params for name in parameter.opts}
        assert {"--config", "-q", "-v", "--version"} <= names, leaf.name


@pytest.mark.parametrize("arguments", [["--version"], ["dedupe", "--version"]])
def test_version(arguments: list[str]) -> None:
    assert CliRunner().invoke(cvsim, arguments).stdout == f"cvsim {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-verb"],
        ["dedupe"],
        ["dedupe", "no/such/path"],
        ["dedupe", ".", "--no-such-option"],
        ["dedupe", ".", "--threshold", "1.5"],
        ["dedupe", ".", "--min-size", "large"],
        ["dedupe", ".", "-0"],
        ["dedupe", ".", "--json", "--csv", "-"],
        ["dedupe", ".", "--json", "--format", "csv"],
        ["dedupe", ".", "--format", "paths0", "--limit", "3"],
        ["dedupe", ".", "--exclude", "[a"],
        ["dedupe", ".", "--exclude", "/a"],
        ["dedupe", ".", "--html", "no/such/folder/x.html"],
        ["dedupe", ".", "--config", "no-such.toml"],
        ["dedupe", ".", "--cache", "c", "--no-cache"],
        ["compare", "one.jpg"],
    ],
)
def test_wrong_usage_is_2_and_on_stderr(arguments: list[str]) -> None:
    result = CliRunner().invoke(cvsim, arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr


def failing(error: BaseException) -> click.Command:
    @click.command("info")
    def verb() -> None:
        raise error

    return verb


@pytest.mark.parametrize(
    ("error", "code"), [(StoreError("the disk is full"), 1), (DecodeError("x"), 1), (SettingsError("bad"), 2)]
)
def test_an_error_is_one_line_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    monkeypatch.setattr(type(cvsim), "get_command", lambda *_: failing(error))
    result = CliRunner().invoke(cvsim, ["info"])
    assert result.exit_code == code
    assert result.stderr == f"cvsim: {error}\n"
    assert result.stdout == ""


def test_an_error_message_can_not_move_the_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(cvsim), "get_command", lambda *_: failing(StoreError("a\x1b[2J\udce9")))
    assert CliRunner().invoke(cvsim, ["info"]).stderr == "cvsim: a\\x1b[2J\\xe9\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("dedup", "did you mean dedupe?"),
        ("hlep", "did you mean help?"),
        ("cache infos", "did you mean info?"),
    ],
)
def test_a_command_that_is_nearly_right_is_suggested(line: str, words: str) -> None:
    result = CliRunner().invoke(cvsim, line.split())
    assert result.exit_code == 2
    assert words in result.stderr


def test_the_help_of_a_command_has_its_options_in_sections() -> None:
    text = CliRunner().invoke(cvsim, ["dedupe", "--help"]).stdout
    titles = [line.rstrip(":") for line in text.splitlines() if line.endswith(":") and line[0] != " "]
    assert titles == [
        "Which files",
        "What counts as the same",
        "What stays, and what may go",
        "Output",
        "How it runs",
        "General",
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("cvsim ded", {"dedupe"}),
        ("cvsim dedupe --effort f", {"fast"}),
        ("cvsim dedupe --keep original,re", {"original,resolution"}),
        ("cvsim dedupe --include cropped,", {f"cropped,{name}" for name in INCLUDABLE if name != "cropped"}),
        ("cvsim dedupe --profile c", {"copy"}),
        ("cvsim dedupe --embedding mob", {"mobilenetv2"}),
        ("cvsim dedupe --format p", {"paths0"}),
        ("cvsim apply plan.json --action m", {"move:"}),
        ("cvsim help keep", {"keep-rules"}),
        ("cvsim completion z", {"zsh"}),
    ],
)
def test_what_a_shell_completes(words: str, expected: set[str]) -> None:
    *before, last = words.split(" ")
    completer = BashComplete(cvsim, {}, "cvsim", "_CVSIM_COMPLETE")
    found = completer.get_completions(before[1:], last)
    assert {item.value for item in found if item.type == "plain"} == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell(shell: str) -> None:
    result = CliRunner().invoke(cvsim, ["completion", shell])
    assert result.exit_code == 0
    assert f"_CVSIM_COMPLETE={shell}_complete" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"), [([], "what is done is kept"), (["--no-cache"], "nothing of this run is kept")]
)
def test_an_interrupt_promises_what_it_can_keep(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str], words: str
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cvsim.api.pictures.dedupe", stopped)
    result = CliRunner().invoke(cvsim, ["dedupe", str(tmp_path), *arguments])
    assert result.exit_code == 130
    assert words in result.stderr


def test_interrupted_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(cvsim), "get_command", lambda *_: failing(KeyboardInterrupt()))
    result = CliRunner().invoke(cvsim, ["info"])
    assert result.exit_code == 130
    assert "interrupted" in result.stderr


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(cvsim), "get_command", lambda *_: failing(ZeroDivisionError()))
    assert isinstance(CliRunner().invoke(cvsim, ["info"]).exception, ZeroDivisionError)


def wait_until_idle(pid: int) -> None:
    """Until the process has done nothing for half a second: then it has started, and waits."""
    stat, used, still_since = Path(f"/proc/{pid}/stat"), "", time.monotonic()
    while stat.exists() and time.monotonic() - still_since < 0.5:
        now = " ".join(stat.read_text().rpartition(")")[2].split()[11:13])  # of user and system time
        if now != used or now == "0 0":
            used, still_since = now, time.monotonic()
        time.sleep(0.02)
    if not stat.exists():
        time.sleep(3)


def test_a_real_interrupt_while_it_waits_for_a_list() -> None:
    process = subprocess.Popen(
        [*PROGRAM, "dedupe", "--files-from", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(PYTHONFAULTHANDLER=""),
        text=True,
    )
    wait_until_idle(process.pid)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stdout == ""
    assert "Traceback" not in stderr


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    """What ``cvsim ... | head -1`` does."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        result = subprocess.run(
            [*PROGRAM, "info"],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            timeout=60,
        )
    finally:
        os.close(writer)
    assert result.stderr == ""
    assert result.returncode == 1


def test_verbose_adds_the_traceback(tmp_path: Path) -> None:
    config = tmp_path / "cvsim.toml"
    config.write_text("= no toml")
    quiet = run("info", "--config", str(config))
    verbose = run("info", "-v", "--config", str(config))
    assert quiet.returncode == verbose.returncode == 2
    assert "Traceback" not in quiet.stderr
    assert "Traceback" in verbose.stderr
    assert quiet.stderr.startswith("cvsim: ")
    assert quiet.stderr in verbose.stderr
