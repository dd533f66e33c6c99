"""Faults, each really provoked: refused or skipped with a clear message, and nothing lost."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from photo_library import ACTIONS, LINKS, contents, entry, jpeg, library, snapshot, write
from send2trash import send2trash
from surroundings import mount, unmount

from cvsim.actions.apply import Applied, apply_plan
from cvsim.actions.journal import read_steps
from cvsim.actions.plan import Plan
from cvsim.actions.undo import undo_journal
from cvsim.errors import ActionError, CvsimError, UsageError

NOBODY = 65534


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "photos"


def act(plan: Plan, action: str, folder: Path, **options: object) -> Applied:
    target = f"move:{folder / 'target'}" if action == "move" else action
    return apply_plan(plan, target, str(folder / "journal"), **options)  # type: ignore[arg-type]


def skipped(applied: Applied) -> list[str]:
    return [one.reason for one in applied.outcomes if one.status == "skipped"]


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """As a user whom permission bits bind."""
    if os.geteuid() != 0:
        yield
        return
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def open_to_all(folder: Path) -> None:
    """Let another user come through to a folder of this test."""
    for parent in [folder, *folder.parents]:
        if parent.owner() == "root" and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o755 if parent != folder else 0o777)
        if parent.name == "tmp":
            break


# ---- Disks ----


def test_disk_full(root: Path, tmp_path: Path, small_disk: Path) -> None:
    plan = library(root, 1, 3, identical=False)
    write(root / "large.jpg", jpeg(1, 40) + os.urandom(100_000))
    plan = Plan(plan.roots, (*plan.entries, entry(root / "large.jpg", 1, "remove")))
    before = snapshot(root)
    applied = apply_plan(plan, f"move:{small_disk / 'target'}", str(tmp_path / "journal"))
    assert applied.count("done") == 3
    assert "No space left" in skipped(applied)[0]
    assert (root / "large.jpg").exists()
    assert len([one for one in small_disk.rglob("*") if one.is_file()]) == 3
    assert undo_journal(str(tmp_path / "journal")).count("restored") == 3
    assert snapshot(root) == before


def test_disk_full_when_links_are_undone(tmp_path: Path, small_disk: Path) -> None:
    data = jpeg(1) + os.urandom(24_000)
    root = small_disk / "photos"
    kept, gone = write(root / "k.jpg", data), write(root / "x.jpg", data)
    plan = Plan((str(root),), (entry(kept, 1, "keep"), entry(gone, 1, "remove")))
    before = snapshot(root)
    assert act(plan, "hardlink", tmp_path).count("done") == 1
    filler = write(small_disk / "filler", os.urandom(28_000))
    undone = undo_journal(str(tmp_path / "journal"))
    assert "No space left" in undone.outcomes[0].reason
    assert gone.read_bytes() == data
    filler.unlink()
    assert undo_journal(str(tmp_path / "journal")).count("restored") == 1
    assert snapshot(root) == before


def test_disk_full_under_the_journal_stops_everything(root: Path, tmp_path: Path, small_disk: Path) -> None:
    plan = library(root, 2, 10, identical=False)
    everything = contents([root])
    filler = small_disk / "filler"

    def fill(word: str) -> None:
        if word == "done" and not filler.exists():
            with filler.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
                while stream.write(bytes(4096)):
                    pass

    journal = str(small_disk / "journal")
    target = f"move:{tmp_path / 'target'}"
    with pytest.raises(ActionError, match=r"cannot be written \(No space left.*run the same command again"):
        apply_plan(plan, target, journal, checkpoint=fill)
    assert contents([root, tmp_path / "target"]) == everything
    filler.unlink()
    applied = apply_plan(plan, target, journal)
    assert applied.count("done") + applied.count("already") == 20
    assert undo_journal(journal).count("restored") == 20
    assert contents([root]) == everything


@pytest.mark.parametrize("action", ["move", "trash"])
def test_across_filesystems(action: str, root: Path, tmp_path: Path, other_disk: Path) -> None:
    """The pictures on one, the target (or the home with the trash) on another."""
    place = other_disk / "photos" if action == "trash" else root
    plan = library(place, 2, 2, identical=False)
    before, everything = snapshot(place), contents([place])
    target = f"move:{other_disk / 'target'}" if action == "move" else action
    applied = apply_plan(plan, target, str(tmp_path / "journal"))
    assert applied.count("done") == 4
    assert contents([place, other_disk]) >= everything
    if action == "move":
        moved = other_disk / "target/folder 0/1 ü.jpg"
        assert moved.stat().st_mtime_ns == before["folder 0/1 ü.jpg"].mtime_ns
    assert undo_journal(str(tmp_path / "journal")).count("restored") == 4
    assert snapshot(place) == before


@pytest.mark.parametrize("word", ["copied", "placed", "set aside", "carried out"])
def test_cut_short_across_filesystems(word: str, root: Path, tmp_path: Path, other_disk: Path) -> None:
    plan = library(root, 1, 2, identical=False)
    before, everything = snapshot(root), contents([root])
    target, journal = f"move:{other_disk / 'target'}", str(tmp_path / "journal")

    def cut(now: str) -> None:
        if now == word:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apply_plan(plan, target, journal, checkpoint=cut)
    assert contents([root, other_disk]) >= everything
    assert apply_plan(plan, target, journal).count("skipped") == 0
    assert len([one for one in snapshot(other_disk).values() if one.content != "folder"]) == 2
    with pytest.raises(KeyboardInterrupt):
        undo_journal(journal, checkpoint=lambda now: cut("set aside" if now == "done" else now))
    undo_journal(journal)
    assert snapshot(root) == before
    assert not (other_disk / "target").exists()


@pytest.mark.parametrize("action", ACTIONS)
def test_permission_denied(action: str, root: Path, tmp_path: Path, own_home: Path) -> None:
    plan = library(root, 1, 1, identical=action in LINKS)
    work = tmp_path / "work"
    work.mkdir()
    open_to_all(work)
    open_to_all(own_home)
    for folder in (root, root / "kept", root / "folder 0"):
        folder.chmod(0o555)
    for path in (one.path for one in plan.entries):
        os.chmod(path, 0o444)
    before = snapshot(root)

    with as_nobody():
        reason = skipped(act(plan, action, work))[0]
    assert "Permission denied" in reason or "not permitted" in reason or "may not be" in reason

    assert snapshot(root) == before
    for folder in (root, root / "kept", root / "folder 0"):
        folder.chmod(0o755)


def test_unreadable_files_are_left_alone(root: Path, tmp_path: Path, own_home: Path) -> None:
    plan = library(root, 2, 1, identical=False)
    open_to_all(tmp_path)
    open_to_all(own_home)
    os.chmod(plan.entries[0].path, 0o000)
    os.chmod(plan.entries[3].path, 0o000)

    with as_nobody():
        reasons = skipped(act(plan, "delete", tmp_path))
    assert "cannot vouch for it: it cannot be opened: Permission denied" in reasons[0]
    assert reasons[1] == "it cannot be opened: Permission denied"


@pytest.mark.parametrize("action", ACTIONS)
def test_read_only_pictures(action: str, root: Path, tmp_path: Path) -> None:
    plan = library(root, 1, 1, identical=action in LINKS)
    mount("--bind", str(root), str(root))
    try:
        mount("-o", "remount,ro,bind", str(root))
        before = snapshot(root)
        applied = act(plan, action, tmp_path)
        assert applied.count("skipped") == 1
        assert snapshot(root) == before
    finally:
        unmount(root)


def test_read_only_target(root: Path, tmp_path: Path, other_disk: Path) -> None:
    plan = library(root, 1, 2, identical=False)
    (other_disk / "target").mkdir()
    mount("-o", "remount,ro", str(other_disk))
    before = snapshot(root)
    applied = apply_plan(plan, f"move:{other_disk / 'target'}", str(tmp_path / "journal"))
    assert "Read-only file system" in skipped(applied)[0]
    with pytest.raises(ActionError, match="cannot be made: Read-only"):
        apply_plan(plan, f"move:{other_disk / 'new'}", str(tmp_path / "journal"))
    with pytest.raises(ActionError, match=r"Read-only.*--journal FILE"):
        apply_plan(plan, "trash", str(other_disk / "journal"))
    assert snapshot(root) == before


# ---- Changes between plan and apply ----


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.write_bytes(b"edited"), "changed since the plan"),
        (lambda path: path.unlink(), "it is gone"),
        (lambda path: (path.unlink(), path.mkdir()), "not a regular file"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "not a regular file"),
        (lambda path: (path.unlink(), path.symlink_to("/etc/passwd")), "symbolic link"),
        (lambda path: path.parent.rename(path.parent.parent / "away"), "cannot be opened"),
    ],
)
def test_changed_between_plan_and_apply(
    action: str, change: Callable[[Path], object], message: str, root: Path, tmp_path: Path
) -> None:
    for which in (1, 0):  # the file that is to go, then the kept one
        shutil.rmtree(root, ignore_errors=True)
        plan = library(root, 1, 1, identical=action in LINKS)
        change(Path(plan.entries[which].path))
        before = snapshot(root, folder_times=True)
        assert message in skipped(act(plan, action, tmp_path))[0]
        assert snapshot(root, folder_times=True) == before


def test_the_last_readable_file_of_a_group_stays(root: Path, tmp_path: Path) -> None:
    plan = library(root, 1, 3, identical=False)
    os.truncate(plan.entries[0].path, 30)
    data = Path(plan.entries[0].path).read_bytes()
    damaged = Plan(plan.roots, (entry(plan.entries[0].path, 1, "keep", data), *plan.entries[1:]))
    assert len(skipped(act(damaged, "delete", tmp_path))) == 3


# ---- Swapped between check and use ----


@pytest.mark.parametrize("word", ["checked", "started", "made"])
@pytest.mark.parametrize("swap", ["file for link", "file for file", "folder for link", "content"])
@pytest.mark.parametrize("action", ACTIONS)
def test_swapped_between_check_and_use(
    action: str, swap: str, word: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    base = tmp_path
    if action == "reflink":
        base = request.getfixturevalue("reflink_folder") / request.node.name.replace("/", "_")
        base.mkdir()
    root = base / "photos"
    plan = library(root, 1, 1, identical=action in LINKS)
    path = Path(plan.entries[1].path)
    victim = write(base / "victims" / path.name, jpeg(77))
    digests = contents([root, base / "victims"])
    hidden = base / "hidden"

    def attack(now: str) -> None:
        if now != word or hidden.exists():
            return
        if swap == "folder for link":
            path.parent.rename(hidden)
            path.parent.symlink_to(victim.parent)
        elif swap == "content":
            hidden.write_bytes(path.read_bytes())
            path.write_bytes(b"written by somebody just now")
        else:
            path.rename(hidden)
            if swap == "file for link":
                path.symlink_to(victim)
            else:
                write(path, b"somebody's new file")

    act(plan, action, base, checkpoint=attack)

    assert victim.read_bytes() == jpeg(77)
    if not hidden.exists():
        return  # the step has no such moment
    everywhere = [root, hidden.parent, base / "victims", Path(os.environ["HOME"])]
    if action != "delete" or swap != "folder for link":
        assert contents(everywhere) >= digests
    if swap == "file for link":
        assert os.readlink(path) == str(victim)
    if swap == "file for file":
        assert path.read_bytes() == b"somebody's new file"
    if swap == "content":
        assert path.read_bytes() == b"written by somebody just now"
    assert not [name for name in snapshot(base) if ".cvsim-" in name]


def test_what_was_trashed_by_mistake_comes_back_and_nothing_older(root: Path, tmp_path: Path) -> None:
    plan = library(root, 1, 1, identical=False)
    path = Path(plan.entries[1].path)
    old, mine = b"trashed a week ago", path.read_bytes()
    path.write_bytes(old)
    send2trash(str(path))
    for trashed in Path(os.environ["XDG_DATA_HOME"], "Trash/files").iterdir():
        # Its status changed when it was trashed, which no call can set back; time must pass.
        while time.time_ns() - trashed.stat().st_ctime_ns < 200_000_000:
            time.sleep(0.05)
    write(path, mine)
    plan = Plan(plan.roots, (plan.entries[0], entry(path, 1, "remove")))

    def attack(now: str) -> None:
        if now == "started":
            path.rename(tmp_path / "hidden")
            path.write_bytes(b"somebody's new file")

    assert "replaced or changed" in skipped(act(plan, "trash", tmp_path, checkpoint=attack))[0]
    assert path.read_bytes() == b"somebody's new file"
    assert (tmp_path / "hidden").read_bytes() == mine


def test_kept_file_swapped_while_its_copies_go(root: Path, tmp_path: Path) -> None:
    plan = library(root, 1, 3, identical=False)

    def attack(now: str) -> None:
        if now == "done":
            Path(plan.entries[0].path).unlink(missing_ok=True)

    applied = act(plan, "delete", tmp_path, checkpoint=attack)
    assert applied.count("done") == 1
    assert all("has just changed" in reason for reason in skipped(applied))


# ---- Two at once ----


def _hold(plan_path: str, journal: str, ready: object, release: object) -> None:
    def checkpoint(word: str) -> None:
        if word == "started":
            ready.set()  # type: ignore[attr-defined]
            release.wait(30)  # type: ignore[attr-defined]

    apply_plan(Plan.load(plan_path), "hardlink", journal, checkpoint=checkpoint)


def test_two_applies_at_once(root: Path, tmp_path: Path) -> None:
    plan = library(root, 1, 1, identical=True)
    plan.save(tmp_path / "plan.json")
    spawn = multiprocessing.get_context("spawn")
    ready, release = spawn.Event(), spawn.Event()
    journal = str(tmp_path / "journal")
    process = spawn.Process(target=_hold, args=(str(tmp_path / "plan.json"), journal, ready, release))
    process.start()
    try:
        assert ready.wait(30)
        inner = library(root / "inner", 1, 1, identical=True)
        outer = Plan((str(tmp_path),), plan.entries)
        for other in (plan, inner, outer):
            with pytest.raises(ActionError, match="Another cvsim apply or undo"):
                apply_plan(other, "delete", str(tmp_path / "other journal"))
        with pytest.raises(ActionError, match="Another cvsim apply or undo"):
            undo_journal(journal)
        beside = library(tmp_path / "beside", 1, 1, identical=True)
        assert apply_plan(beside, "delete", str(tmp_path / "other journal")).count("done") == 1
    finally:
        release.set()
        process.join()
    assert process.exitcode == 0
    assert read_steps(journal)[0].state == "done"


def test_a_journal_that_is_in_use(root: Path, tmp_path: Path) -> None:
    plan = library(root, 1, 1, identical=True)
    act(plan, "hardlink", tmp_path)
    with (tmp_path / "journal").open() as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(ActionError, match="is using the journal"):
            act(plan, "hardlink", tmp_path)


# ---- Journals ----


@pytest.mark.parametrize(
    "text",
    ["precious notes\n", "precious notes", '{"a": 1}\n', '{"schema": "cvsim.journal/9"}\n', "\xff\xfe"],
)
def test_a_file_that_is_no_journal_is_not_written_to(text: str, root: Path, tmp_path: Path) -> None:
    plan = library(root, 1, 1, identical=True)
    (tmp_path / "journal").write_bytes(text.encode("latin-1"))
    with pytest.raises(ActionError, match="no journal of cvsim"):
        act(plan, "delete", tmp_path)
    with pytest.raises(ActionError, match="no journal of cvsim"):
        undo_journal(str(tmp_path / "journal"))
    assert (tmp_path / "journal").read_bytes() == text.encode("latin-1")


def test_a_damaged_journal_is_refused_with_its_line(root: Path, tmp_path: Path) -> None:
    act(library(root, 1, 2, identical=True), "hardlink", tmp_path)
    lines = (tmp_path / "journal").read_text().splitlines()
    without_kept = lines[2].replace('"kept"', '"keeps"')
    wrong = ["{nonsense", without_kept, "[]", '{"event": "undone", "step": "1"}', '{"event": "undone"}']
    wrong += [lines[1].replace('"roots"', '"root"'), lines[2].replace("hardlink", "burn")]
    for number, line in (
        (4, lines[2]),
        (5, '{"event": "undone", "step": 1}'),
        *((3, line) for line in wrong),
    ):
        broken = [*lines]
        broken[number - 1] = line
        (tmp_path / "broken").write_text("\n".join(broken) + "\n")
        with pytest.raises(ActionError, match=f"Line {number} "):
            undo_journal(str(tmp_path / "broken"))


def test_missing_journals_and_plans(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        undo_journal(str(tmp_path / "none"))
    with pytest.raises(UsageError, match="There is no plan"):
        Plan.load(tmp_path / "none.json")
    with pytest.raises(CvsimError):
        apply_plan(Plan((str(tmp_path / "none"),), ()), "trash", str(tmp_path / "j"))


@pytest.mark.parametrize("word", ["set aside", "replaced"])
@pytest.mark.parametrize("action", ["hardlink", "symlink"])
def test_what_is_written_to_a_file_that_a_crash_left_aside_is_not_lost(
    action: str, word: str, root: Path, tmp_path: Path
) -> None:
    plan = library(root, 1, 1, identical=True)

    def cut(now: str) -> None:
        if now == word:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        act(plan, action, tmp_path, checkpoint=cut)
    for aside in (root / "folder 0").glob(".cvsim-*.old"):
        aside.write_bytes(b"by a program that had the file open")
        written = hashlib.sha256(aside.read_bytes()).hexdigest()
        act(plan, action, tmp_path)
        assert written in contents([root])
        undo_journal(str(tmp_path / "journal"))
        assert written in contents([root])
        assert not list((root / "folder 0").glob(".cvsim-*"))


@pytest.mark.parametrize("action", ["hardlink", "symlink"])
def test_a_file_stays_if_what_its_link_leads_to_goes_just_then(
    action: str, root: Path, tmp_path: Path
) -> None:
    plan = library(root, 1, 1, identical=True)
    kept, copy = (Path(one.path) for one in plan.entries)
    data = copy.read_bytes()
    applied = act(
        plan, action, tmp_path, checkpoint=lambda word: word == "replaced" and kept.write_bytes(b"new")
    )
    assert "has just changed" in skipped(applied)[0]
    assert not copy.is_symlink()
    assert copy.read_bytes() == data
