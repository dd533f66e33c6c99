"""The manual pages, as those who package cvsim make them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cvsim.cli.group import VERBS

ROOT = Path(__file__).parents[2]


def test_every_command_has_a_page(tmp_path: Path) -> None:
    pytest.importorskip("click_man", reason="pip install click-man")
    script = ROOT / ".ci" / "man-pages"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SOURCE_DATE_EPOCH": "0"}
    subprocess.run([sys.executable, script, tmp_path], check=True, env=environment, timeout=60)
    pages = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert {f"cvsim-{verb}.1" for verb in VERBS} | {"cvsim.1", "cvsim-cache-info.1"} <= set(pages)
    assert r"\fB\-\-keep\fP RULES" in pages["cvsim-dedupe.1"]
    assert "1970-01-01" in pages["cvsim.1"]
