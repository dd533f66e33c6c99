"""`cvsim help`: the manual in a terminal and in a pipe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cvsim.cli.group import VERBS, cvsim
from cvsim.cli.help import plain, topics, verbs_of

ROOT = Path(__file__).parents[2]


def shown(*arguments: str) -> Result:
    return CliRunner().invoke(cvsim, ["help", *arguments], catch_exceptions=False)


def test_without_a_name_it_lists_every_topic() -> None:
    text = shown().stdout
    assert len(topics()) > 15
    assert [topic for topic in topics() if f"`cvsim help {topic}`" not in text] == []


@pytest.mark.parametrize("topic", topics())
def test_a_topic_is_plain_text_in_a_pipe(topic: str) -> None:
    text = shown(topic).stdout
    assert text.startswith("# ")
    assert "<!--" not in text
    assert ".md)" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"help"}))
def test_a_command_shows_its_options_and_where_more_is_said(verb: str) -> None:
    result = shown(verb)
    assert result.exit_code == 0
    assert f"Usage: cvsim {verb}" in result.stdout
    assert "--help" in result.stdout
    for topic in topics():
        if verb in verbs_of(topic) and topic != verb:
            assert f"cvsim help {topic}" in result.stdout


def test_a_near_miss_is_suggested() -> None:
    result = shown("dedup")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "did you mean dedupe?" in result.stderr
    assert "cvsim help" in shown("qqqq").stderr


def test_links_say_where_they_lead_and_pictures_are_left_out() -> None:
    text = "<!-- run: x -->\n![a map](../m.png)\n\n[keep-rules](keep-rules.md), [rules](keep-rules.md#a), [w](https://w.org)\n"
    assert plain(text) == ("`cvsim help keep-rules`, rules (`cvsim help keep-rules`), [w](https://w.org)\n")


def test_a_terminal_gets_it_rendered() -> None:
    pty = pytest.importorskip("pty", reason="needs pseudo-terminals")
    main, side = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": "80"}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "cvsim", "help", "keep-rules"]
    process = subprocess.Popen(command, stdout=side, stderr=side, env=environment)
    os.close(side)
    seen = b""
    while True:
        try:
            part = os.read(main, 4096)
        except OSError:
            break
        if not part:
            break
        seen += part
    os.close(main)
    assert process.wait(timeout=30) == 0
    assert b"\x1b[" in seen
    assert b"# Which" not in seen
    assert b"protected:DIR" in seen
