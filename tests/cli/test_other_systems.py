"""cvsim where there is no fork, no fcntl and no folder that can be held open."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from generate import altered, save_image, scene

ROOT = Path(__file__).parents[2]
WITHOUT = """
import os, signal, sys
for module in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[module] = None
for name in ("fork", "fchmod", "pread", "sched_getaffinity", "O_DIRECTORY", "O_NOFOLLOW", "O_PATH"):
    vars(os).pop(name, None)
os.supports_dir_fd.clear()
vars(signal).pop("pthread_sigmask", None)
sys.platform = "other"
from cvsim.cli import main
main()
"""


def run(*arguments: str | Path, without: bool = True) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT] if without else [sys.executable, "-m", "cvsim"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, env=environment, timeout=120
    )


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(3):
        save_image(folder / f"{seed}.jpg", scene(seed, 320, 240))
        save_image(folder / f"{seed}-small.webp", altered(scene(seed, 320, 240), "half"))
    return folder


def test_copies_are_found_as_elsewhere(photos: Path, tmp_path: Path) -> None:
    found = run("dedupe", photos, "--cache", tmp_path / "a.db", "--json", "--html", tmp_path / "r.html", "-q")
    assert "Traceback" not in found.stderr
    usual = run("dedupe", photos, "--no-cache", "--json", without=False)
    first, second = json.loads(found.stdout), json.loads(usual.stdout)
    assert first["groups"] == second["groups"]
    assert len(first["groups"]) == 3
    assert (tmp_path / "r.html").stat().st_size > 10_000


@pytest.mark.parametrize("verb", ["apply", "undo", "review", "dedupe --plan"])
def test_what_is_not_safe_there_is_refused_in_words(photos: Path, tmp_path: Path, verb: str) -> None:
    (tmp_path / "plan.json").write_text("{}")
    arguments = {
        "apply": ["apply", tmp_path / "plan.json", "--action", "trash"],
        "undo": ["undo", tmp_path / "plan.json"],
        "review": ["review", photos, "--no-browser"],
        "dedupe --plan": ["dedupe", photos, "--plan", tmp_path / "new.json"],
    }[verb]
    refused = run(*arguments)
    assert refused.returncode == 2
    assert "on Windows, WSL" in refused.stderr
    assert "Traceback" not in refused.stderr
