"""What the tests of actions run in: homes and disks of their own.

A module of its own name, for child processes import it, and there are several ``conftest``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


def mount(*arguments: str) -> None:
    """Mount something, or skip the test with the reason."""
    if os.geteuid() != 0:
        pytest.skip("mounting a filesystem takes root")
    result = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        pytest.skip(f"mount {' '.join(arguments)}: {result.stderr.strip()}")


def unmount(path: Path) -> None:
    subprocess.run(["umount", str(path)], check=False, capture_output=True)


@contextlib.contextmanager
def folder_in_memory() -> Iterator[Path]:
    """Where there is such a thing: the tests that sync thousands of times end sooner."""
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="cvsim-test-", dir=base))
    yield folder
    shutil.rmtree(folder)


def use_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from send2trash import plat_other

    for name, value in home_variables(home).items():
        monkeypatch.setenv(name, value)
    data = os.fsencode(home / "data")
    monkeypatch.setattr(plat_other, "XDG_DATA_HOME", data)
    monkeypatch.setattr(plat_other, "HOMETRASH_B", os.path.join(data, b"Trash"))
    return home


def home_variables(home: Path) -> dict[str, str]:
    return {"HOME": str(home), "XDG_DATA_HOME": str(home / "data"), "XDG_STATE_HOME": str(home / "state")}
