"""Journals that a stranger wrote or changed: refused, and with ``--trust`` held to their own places."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from photo_library import State, library, snapshot, write
from surroundings import home_variables

from cvsim.actions.apply import apply_plan
from cvsim.actions.authenticity import key_path
from cvsim.actions.plan import Plan
from cvsim.actions.undo import undo_journal
from cvsim.errors import ActionError

BAIT = b"bait"
DIGEST = hashlib.sha256(BAIT).hexdigest()
ATTRIBUTES = {"mode": 0o644, "uid": 0, "gid": 0, "atime_ns": 0, "mtime_ns": 0, "xattrs": {}}


class Place(NamedTuple):
    """A folder with a root, and beside it what a stranger is after."""

    base: Path
    trash: Path

    @property
    def root(self) -> Path:
        return self.base / "root"

    @property
    def victim(self) -> Path:
        return self.base / "victim.txt"

    def journal(self, run: dict[str, Any], start: dict[str, Any], *more: dict[str, Any]) -> str:
        """Write what a stranger wants to be done."""
        run = {"event": "run", "id": "abc", "roots": [str(self.root)], "made_folders": [], **run}
        start = {
            "event": "start", "step": 1, "run": "abc", "path": str(self.root / "x.jpg"), "digest": DIGEST,
            "inode": [1, 1], "attributes": ATTRIBUTES, **start,
        }  # fmt: skip
        rows = [{"schema": "cvsim.journal/1"}, run, start, *more]
        path = self.base / "evil.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(path)

    def put_into_trash(self, name: str, origin: Path, data: bytes = BAIT) -> dict[str, str]:
        file = write(self.trash / "files" / name, data)
        info = self.trash / "info" / f"{name}.trashinfo"
        write(info, f"[Trash Info]\nPath={origin}\nDeletionDate=2026-01-01T00:00:00\n".encode())
        return {"path": str(file), "info": str(info)}

    def all(self) -> dict[str, State]:
        found = {**snapshot(self.base), **snapshot(self.trash)}
        found.pop("evil.jsonl", None)
        return found


@pytest.fixture
def place(tmp_path: Path, own_home: Path) -> Place:
    base = tmp_path / "place"
    write(base / "bait", BAIT)
    write(base / "victim.txt", b"precious")
    (base / "root").mkdir()
    (base / "emptydir").mkdir()
    trash = own_home / "data/Trash"
    (trash / "files").mkdir(parents=True)
    (trash / "info").mkdir()
    return Place(base, trash)


def done(**fields: Any) -> dict[str, Any]:
    return {"event": "done", "step": 1, **fields}


def evil(place: Place) -> str:
    """A trash entry that lies in no trash, a stranger's file for its info, a foreign folder to remove."""
    return place.journal(
        {"action": "trash", "made_folders": [str(place.base / "emptydir")]},
        {"action": "trash"},
        done(trashed={"path": str(place.base / "bait"), "info": str(place.victim)}),
    )


def foreign_entry_only(place: Place) -> str:
    entry = {"path": str(place.base / "bait"), "info": str(place.victim)}
    return place.journal({}, {"action": "trash"}, done(trashed=entry))


def foreign_info(place: Place) -> str:
    entry = place.put_into_trash("x.jpg", place.root / "x.jpg")
    return place.journal({}, {"action": "trash"}, done(trashed={**entry, "info": str(place.victim)}))


def entry_of_another(place: Place) -> str:
    entry = place.put_into_trash("x.jpg", place.root / "somebody else's.jpg")
    return place.journal({}, {"action": "trash"}, done(trashed=entry))


def entry_through_a_link(place: Place) -> str:
    entry = place.put_into_trash("x.jpg", place.root / "x.jpg")
    (place.trash / "files").rename(place.base / "files")
    (place.trash / "files").symlink_to(place.base / "files")
    return place.journal({}, {"action": "trash"}, done(trashed=entry))


def info_is_a_link(place: Place) -> str:
    entry = place.put_into_trash("x.jpg", place.root / "x.jpg")
    Path(entry["info"]).rename(place.base / "info")
    Path(entry["info"]).symlink_to(place.base / "info")
    return place.journal({}, {"action": "trash"}, done(trashed=entry))


def hard_linked_entry(place: Place) -> str:
    entry = place.put_into_trash("x.jpg", place.root / "x.jpg")
    os.unlink(entry["path"])
    os.link(place.base / "bait", entry["path"])
    return place.journal({}, {"action": "trash"}, done(trashed=entry))


def hard_linked_info(place: Place) -> str:
    entry = place.put_into_trash("x.jpg", place.root / "x.jpg")
    os.link(entry["info"], place.base / "second name")
    return place.journal({}, {"action": "trash"}, done(trashed=entry))


def hard_linked_target(place: Place) -> str:
    (place.base / "away").mkdir()
    os.link(place.base / "bait", place.base / "away/x.jpg")
    return moved(place, str(place.base / "away"), str(place.base / "away/x.jpg"))


def moved(place: Place, folder: str, target: str, made: tuple[str, ...] = (), *, at: str = "x.jpg") -> str:
    return place.journal(
        {"action": f"move:{folder}"},
        {"action": "move", "path": f"{place.root}/{at}", "target": target, "made_folders": list(made)},
        done(),
    )


def symlinked_root(place: Place) -> str:
    (place.base / "other").mkdir()
    place.root.rmdir()
    place.root.symlink_to(place.base / "other")
    return moved(place, str(place.base), str(place.base / "bait"))


def symlinked_root_that_it_says_to_know(place: Place) -> str:
    journal = Path(symlinked_root(place))
    known = {str(place.root): str(place.base / "other")}
    journal.write_text(journal.read_text().replace('"id"', f'"real": {json.dumps(known)}, "id"'))
    return str(journal)


def symlink_above_the_root(place: Place) -> str:
    (place.base / "inner").mkdir()
    (place.base / "inner/root").mkdir()
    (place.base / "link").symlink_to(place.base / "inner")
    journal = Path(moved(place, str(place.base), str(place.base / "bait")))
    journal.write_text(journal.read_text().replace(f"{place.root}", f"{place.base}/link/root"))
    return str(journal)


def symlink_in_the_root(place: Place) -> str:
    (place.base / "other").mkdir()
    (place.root / "link").symlink_to(place.base / "other")
    return moved(place, str(place.base), str(place.base / "bait"), at="link/x.jpg")


def symlinked_target(place: Place) -> str:
    (place.base / "away").symlink_to(place.base)
    return moved(place, f"{place.base}/away", f"{place.base}/away/bait")


def dots_in_the_path(place: Place) -> str:
    return moved(place, str(place.base), str(place.base / "bait"), at="../y.jpg")


def dots_in_the_target(place: Place) -> str:
    return moved(place, f"{place.base}/away", f"{place.base}/away/../bait")


def dots_in_the_run_name(place: Place) -> str:
    (place.root / ".cvsim-").mkdir()
    write(place.base / "y-1.new", b"precious")
    journal = Path(place.journal({}, {"action": "delete"}))
    journal.write_text(journal.read_text().replace('"abc"', '"/../../y"'))
    return str(journal)


def target_outside(place: Place) -> str:
    return moved(place, f"{place.base}/away", f"{place.base}/bait")


def target_of_no_move(place: Place) -> str:
    start = {"action": "move", "target": f"{place.base}/bait", "made_folders": []}
    return place.journal({"action": "trash"}, start, done())


def folder_outside(place: Place) -> str:
    (place.base / "away").mkdir()
    write(place.base / "away/x.jpg", BAIT)
    made = (f"{place.base}/emptydir",)
    return moved(place, f"{place.base}/away", f"{place.base}/away/x.jpg", made)


def path_outside(place: Place) -> str:
    return place.journal({}, {"action": "delete", "path": str(place.victim)})


def unfinished_undo_outside(place: Place) -> str:
    """What `undo` would tidy up after a crash: the file is back, its copy goes."""
    write(place.root / "x.jpg", BAIT)
    entry = {"path": str(place.base / "bait"), "info": str(place.victim)}
    return place.journal({}, {"action": "trash"}, done(trashed=entry), {"event": "undo", "step": 1})


def unfinished_undo_of_another(place: Place) -> str:
    write(place.root / "x.jpg", BAIT)
    entry = place.put_into_trash("x.jpg", place.root / "somebody else's.jpg")
    undo = {"event": "undo", "step": 1}
    return place.journal({}, {"action": "trash"}, done(trashed=entry), undo)


EVIL = (
    evil, foreign_entry_only, foreign_info, entry_of_another, entry_through_a_link, info_is_a_link,
    hard_linked_entry, hard_linked_info, hard_linked_target, symlinked_root,
    symlinked_root_that_it_says_to_know, symlink_above_the_root, symlink_in_the_root, symlinked_target,
    dots_in_the_path, dots_in_the_target, dots_in_the_run_name, target_outside, target_of_no_move,
    folder_outside, path_outside, unfinished_undo_outside, unfinished_undo_of_another,
)  # fmt: skip
IN_ONE_LINE = (
    evil, foreign_entry_only, foreign_info, symlinked_root, symlinked_root_that_it_says_to_know,
    symlink_above_the_root, dots_in_the_path, dots_in_the_target, dots_in_the_run_name, target_outside,
    target_of_no_move, folder_outside, path_outside, unfinished_undo_outside,
)  # fmt: skip


@pytest.mark.parametrize("make", EVIL)
def test_evil_journals_touch_nothing(make: Callable[[Place], str], place: Place) -> None:
    journal = make(place)
    before = place.all()
    with pytest.raises(ActionError, match=r"--trust|no good value"):
        undo_journal(journal)
    assert place.all() == before
    if make in IN_ONE_LINE:
        with pytest.raises(ActionError) as caught:
            undo_journal(journal, trust=True)
        assert "\n" not in str(caught.value)
    else:
        assert undo_journal(journal, trust=True).count("restored") == 0
    assert place.all() == before


def test_what_the_evil_journals_abuse_works_when_it_is_meant(place: Place) -> None:
    """The same, with nothing wrong: so it is what is wrong that was refused."""
    entry = place.put_into_trash("x.jpg", place.root / "x.jpg")
    journal = place.journal({}, {"action": "trash"}, done(trashed=entry))
    assert undo_journal(journal, trust=True).count("restored") == 1
    assert (place.root / "x.jpg").read_bytes() == BAIT
    assert not list((place.trash / "info").iterdir())
    (place.root / "x.jpg").unlink()
    write(place.base / "away/inner/x.jpg", BAIT)
    away = f"{place.base}/away"
    journal = moved(place, away, f"{away}/inner/x.jpg", (f"{away}/inner",))
    assert undo_journal(journal, trust=True).count("restored") == 1
    assert (place.root / "x.jpg").read_bytes() == BAIT
    assert not (place.base / "away/inner").exists()


# ---- From the command line ----


@pytest.fixture
def applied(tmp_path: Path) -> tuple[Plan, Path]:
    """A plan that was carried out, and its journal."""
    plan = library(tmp_path / "photos", 2, 2, identical=False)
    apply_plan(plan, f"move:{tmp_path / 'made' / 'away'}", str(tmp_path / "journal"))
    return plan, tmp_path / "journal"


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parents[2])
    return subprocess.run(
        [sys.executable, "-m", "cvsim", *arguments],
        text=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": root, **home_variables(home)},
    )


@pytest.mark.parametrize("options", [(), ("--trust",)])
def test_the_program_refuses_the_evil_journal_in_one_line(
    options: tuple[str, ...], place: Place, own_home: Path
) -> None:
    journal = evil(place)
    before = place.all()
    result = run(own_home, "undo", journal, *options)
    assert (result.returncode, result.stdout) == (1, "")
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert place.all() == before


def test_the_program_undoes_what_is_trusted(applied: tuple[Plan, Path], own_home: Path) -> None:
    plan, journal = applied
    os.unlink(key_path())
    refused = run(own_home, "undo", str(journal))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "--trust" in refused.stderr
    saved = journal.parent / "plan.json"
    plan.save(saved)
    options = ("--action", "trash", "--yes", "--journal", str(journal))
    again = run(own_home, "apply", str(saved), *options)
    assert (again.returncode, again.stdout) == (1, "")
    trusted = run(own_home, "undo", str(journal), "--trust")
    assert (trusted.returncode, "4 files restored" in trusted.stdout) == (0, True)
