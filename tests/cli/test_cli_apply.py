"""``apply`` and ``undo`` from the command line: what is asked, printed, and returned."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from generate import save_image, scene

from cvsim.actions.plan import Entry, Plan

ROOT = Path(__file__).parents[2]


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """A plan with two copies that are to go."""
    entries = []
    for name, decision in (("a.jpg", "keep"), ("b.jpg", "remove"), ("c.jpg", "remove")):
        path = save_image(tmp_path / "photos" / name, scene(1, 64, 48))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        status = path.stat()
        entries.append(
            Entry(str(path), digest, status.st_size, status.st_mtime_ns, 1, decision, "size", "a test")  # type: ignore[arg-type]
        )
    Plan((str(tmp_path / "photos"),), tuple(entries)).save(tmp_path / "plan.json")
    return tmp_path / "plan.json"


def run(home: Path, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """The program, with a home of its own."""
    variables = {
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_STATE_HOME": str(home / "state"),
    }
    defaults: dict[str, object] = {"stdin": subprocess.DEVNULL, "capture_output": True}
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-m", "cvsim", *arguments],
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        **{**defaults, **options},
    )


def test_trash_and_back(plan: Path) -> None:
    photos = plan.parent / "photos"
    dry = run(plan.parent, "apply", str(plan), "--action", "trash", "--dry-run")
    assert (dry.returncode, len(list(photos.iterdir()))) == (0, 3)
    assert "2 files would go" in dry.stdout
    applied = run(plan.parent, "apply", str(plan), "--action", "trash", "--yes", "--json")
    assert applied.returncode == 0, applied.stderr
    document = json.loads(applied.stdout)
    assert document["counts"] == {"done": 2, "would": 0, "already": 0, "skipped": 0}
    assert [path.name for path in photos.iterdir()] == ["a.jpg"]
    undone = run(plan.parent, "undo")
    assert undone.returncode == 0, undone.stderr
    assert "plan.journal.jsonl" in undone.stderr
    assert "2 files restored" in undone.stdout
    assert len(list(photos.iterdir())) == 3


def test_skipped_files_are_listed_and_change_the_exit_code(plan: Path) -> None:
    (plan.parent / "photos/b.jpg").write_bytes(b"edited")
    applied = run(plan.parent, "apply", str(plan), "--action", "delete", "--yes")
    assert applied.returncode == 1
    assert "b.jpg: its content has changed" in applied.stdout
    undone = run(plan.parent, "undo", str(plan.parent / "plan.journal.jsonl"), "--json")
    assert undone.returncode == 0
    assert json.loads(undone.stdout)["counts"] == {"restored": 0, "deleted": 1, "skipped": 0}


@pytest.mark.parametrize(("answer", "left"), [("n", 3), ("y", 1)])
def test_a_person_is_asked(answer: str, left: int, plan: Path) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    result = run(plan.parent, "apply", str(plan), "--action", "delete", stdin=theirs)
    os.close(ours)
    os.close(theirs)
    assert "2 files" in result.stderr
    assert "DELETED FOR GOOD" in result.stderr
    assert result.returncode == (0 if answer == "y" else 1)
    assert len(list((plan.parent / "photos").iterdir())) == left


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["apply", "PLAN", "--action", "delete"], 2, "add --yes"),
        (["apply", "PLAN", "--action", "burn", "--yes"], 2, "move:DIR"),
        (["apply", "PLAN", "--yes"], 2, "--action"),
        (["apply", "none.json", "--action", "trash"], 2, "does not exist"),
        (["undo"], 2, "name one"),
        (["undo", "none"], 2, "does not exist"),
        (["undo", "PLAN"], 1, "no journal of cvsim"),
    ],
)
def test_wrong_use(arguments: list[str], code: int, message: str, plan: Path) -> None:
    result = run(plan.parent, *(str(plan) if one == "PLAN" else one for one in arguments))
    assert (result.returncode, result.stdout) == (code, "")
    assert message in result.stderr


def test_a_plan_of_nonsense(plan: Path) -> None:
    plan.write_text(plan.read_text().replace('"keep"', '"maybe"'))
    result = run(plan.parent, "apply", str(plan), "--action", "trash", "--yes")
    assert result.returncode == 1
    assert "the decision is 'maybe'" in result.stderr
