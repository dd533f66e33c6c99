"""Names that mean another host at the next question, asked through the resolver of the system."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from generate import save_image, scene

pytest.importorskip("httpx", reason="the extra 'remote' is not installed")

PROGRAM = Path(__file__).parents[1] / "support" / "own_network.py"
ALONE = ["unshare", "--map-root-user", "--mount", "--net"]


def test_nothing_private_is_asked_whatever_a_name_server_says(tmp_path: Path) -> None:
    if not shutil.which("ip") or not shutil.which("unshare"):
        pytest.skip("ip or unshare is not installed")
    if subprocess.run([*ALONE, "ip", "link", "set", "lo", "up"], capture_output=True).returncode:
        pytest.skip("no network namespace can be made here")
    picture = save_image(tmp_path / "picture.jpg", scene(1, 320, 240))
    command = [*ALONE, sys.executable, str(PROGRAM), str(picture), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    came = json.loads(done.stdout)
    assert came["steady"] == "jpeg"
    assert came["turncoat"] == "jpeg"  # from the address that was checked
    for what in ("mixed", "leads-inside", "leads-to-itself", "tried again"):
        assert "private network (127.0.0.1)" in came[what], what
    # steady, turncoat, and the first answers of those that lead elsewhere.
    assert came["hits"] == {"public": 4, "private": 0}
