from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cvsim.cli.console import file_link, progress_bars, result_console

pty = pytest.importorskip("pty", reason="needs pseudo-terminals")

SCRIPT = """
import sys, time
from cvsim.cli.console import progress_bars, result_console
with progress_bars(quiet=%s) as progress, progress.task("Reading files", 40) as advance:
    for _ in range(40):
        advance(1)
        time.sleep(0.02)
result_console().print("the result")
"""


def in_terminal(script: str) -> tuple[str, str]:
    """stdout (a pipe) and stderr (a terminal) of a script."""
    main, side = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TERM": "xterm-256color"}
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=side, env=environment, text=True
    )
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
    assert process.stdout is not None
    out = process.stdout.read()
    process.stdout.close()
    assert process.wait(timeout=30) == 0
    return out, seen.decode()


def test_bars_are_on_stderr_with_count_and_rate() -> None:
    out, err = in_terminal(SCRIPT % False)
    assert out == "the result\n"
    assert "Reading files" in err
    assert "/40" in err
    assert "/s" in err


def test_quiet_draws_nothing() -> None:
    assert in_terminal(SCRIPT % True) == ("the result\n", "")


def test_nothing_is_drawn_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bars(quiet=False) as progress, progress.task("Reading", None) as advance:
        advance(3)
    assert capsys.readouterr().err == ""


def test_what_a_stream_can_not_encode_is_escaped() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
    result_console(stream).print("1280 × 960")
    assert raw.getvalue() == b"1280 \\xd7 960\n"


def test_a_link_holds_the_bytes_of_the_name() -> None:
    assert file_link("/p/caf\udce9 1.jpg") == "file:///p/caf%E9%201.jpg"
