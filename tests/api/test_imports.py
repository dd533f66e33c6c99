"""Starting is cheap: what costs time to import is imported when it is used."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from generate import save_image, scene

HEAVY = {"numpy", "cv2", "scipy", "sklearn", "networkx", "PIL", "numba", "imagehash", "jinja2", "rich"}


def loaded_by(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after `statement`."""
    program = f"""
import json, sys
before = set(sys.modules)
try:
    {statement}
except SystemExit:
    pass
print()
print(json.dumps(sorted(name.partition(".")[0] for name in set(sys.modules) - before)))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout.splitlines()[-1]))


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_by("import cvsim") & (HEAVY | {"click"}) == set()


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["dedupe", "--help"], ["compare", "--help"]]
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    command = f"sys.argv = {['cvsim', *arguments]!r}; from cvsim.cli import main; main()"
    assert loaded_by(command) & HEAVY == set()


def test_the_foundation_loads_nothing_heavy() -> None:
    names = ("types", "errors", "settings", "progress")
    assert loaded_by("; ".join(f"import cvsim.{name}" for name in names)) & (HEAVY | {"click"}) == set()


def test_a_public_name_is_loaded_on_first_use() -> None:
    assert "sklearn" not in loaded_by("import cvsim; cvsim.CvsimError")


def test_a_run_loads_no_more_than_it_uses(tmp_path: Path) -> None:
    save_image(tmp_path / "photos" / "one.png", scene(0, 64, 48))
    arguments = ["cvsim", "dedupe", str(tmp_path / "photos"), "--effort", "fast", "--no-cache", "--json"]
    loaded = loaded_by(f"sys.argv = {arguments!r}; from cvsim.cli import main; main()")
    assert "cv2" in loaded
    assert loaded & {"scipy", "sklearn", "networkx", "numba", "imagehash", "jinja2", "rich", "httpx"} == set()
