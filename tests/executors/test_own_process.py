from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from generate import save_image, scene

PROGRAM = """
import gc, json, sys
before = gc.get_threshold()
{statement}
print(json.dumps([before, gc.get_threshold()]))
"""


def thresholds(statement: str) -> list[list[int]]:
    """Of the garbage collector, before and after the statement, in a process of its own."""
    program = PROGRAM.format(statement=statement)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    before, after = json.loads(run.stdout.splitlines()[-1])
    return [before, after]


def test_the_process_of_a_caller_is_left_as_it_is(tmp_path: Path) -> None:
    save_image(tmp_path / "a.jpg", scene(1, 64, 48))
    before, after = thresholds(f"import cvsim; cvsim.dedupe([{str(tmp_path)!r}], cache=None)")
    assert before == after


def test_a_verb_looks_for_garbage_rarely(tmp_path: Path) -> None:
    save_image(tmp_path / "a.jpg", scene(1, 64, 48))
    arguments = ["dedupe", str(tmp_path), "--no-cache", "--json"]
    before, after = thresholds(
        f"from cvsim.cli.group import cvsim; cvsim({arguments!r}, standalone_mode=False)"
    )
    assert before[0] < after[0]


def test_idle_threads_of_the_algebra_sleep_at_once(tmp_path: Path) -> None:
    """It is read when numpy is loaded: no verb may load it before its process is tuned."""
    save_image(tmp_path / "a.jpg", scene(1, 64, 48))
    program = """
import importlib, os, sys
from cvsim.cli.group import VERBS, cvsim
for verb in VERBS:
    importlib.import_module(f"cvsim.cli.{verb}")
assert "numpy" not in sys.modules
cvsim(["dedupe", sys.argv[1], "--no-cache", "--json"], standalone_mode=False)
assert "numpy" in sys.modules
print(os.environ["OPENBLAS_THREAD_TIMEOUT"])
"""

    def waits(**environment: str) -> str:
        command = [sys.executable, "-c", program, str(tmp_path)]
        own = {k: v for k, v in os.environ.items() if k != "OPENBLAS_THREAD_TIMEOUT"} | environment
        run = subprocess.run(command, capture_output=True, text=True, check=True, env=own)
        return run.stdout.splitlines()[-1]

    assert waits() == "4"
    assert waits(OPENBLAS_THREAD_TIMEOUT="20") == "20"
