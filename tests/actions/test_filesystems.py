"""Names that are folded, attributes, files that may not be touched, time that jumps."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from photo_library import entry, jpeg, library, snapshot, write
from surroundings import folder_in_memory, unmount

import cvsim
from cvsim.actions.apply import apply_plan
from cvsim.actions.plan import Plan
from cvsim.actions.undo import undo_journal

GET_FLAGS, SET_FLAGS, IMMUTABLE = 0x80086601, 0x40086602, 0x10
ACL = "system.posix_acl_access"


# --- names that are folded ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Folding:
    """How a filesystem that folds names is made in a file, mounted, and what makes a folder fold.

    Two are drivers of the kernel, which not every kernel has; two run in user space.
    """

    make: tuple[str, ...]
    package: str
    mount: tuple[str, ...]
    fold: tuple[str, ...] = ("true",)


FOLDING = {
    "vfat": Folding(("mkfs.vfat",), "dosfstools", ("mount", "-t", "vfat", "-o", "utf8")),
    "ext4 casefold": Folding(
        ("mkfs.ext4", "-q", "-F", "-O", "casefold", "-E", "encoding=utf8"),
        "e2fsprogs",
        ("mount", "-t", "ext4"),
        ("chattr", "+F"),
    ),
    "exfat": Folding(("mkfs.exfat",), "exfatprogs exfat-fuse", ("mount.exfat-fuse",)),
    "ntfs": Folding(("mkntfs", "-Q", "-F"), "ntfs-3g", ("lowntfs-3g", "-o", "ignore_case")),
}


@pytest.fixture(scope="module", params=list(FOLDING))
def folding(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which A.jpg and a.jpg are one name; on ext4 also names that are composed otherwise."""
    if os.geteuid() != 0:
        pytest.skip("a filesystem that folds names is mounted, which takes root")
    how = FOLDING[request.param]
    if shutil.which(how.make[0]) is None or shutil.which(how.mount[0]) is None:
        pytest.skip(f"{how.make[0]} or {how.mount[0]} is not installed (Debian: {how.package})")
    place = tmp_path_factory.mktemp("folding")
    with folder_in_memory() as memory:
        image = memory / "disk"
        with image.open("wb") as stream:
            stream.truncate(40 << 20)
        said(*how.make, str(image))
        device = said("losetup", "-f", "--show", str(image))
        try:
            said(*how.mount, device, str(place))
        except pytest.skip.Exception:
            said("losetup", "-d", device)
            raise
        try:
            folder = place / "photos"
            folder.mkdir()
            if shutil.which(how.fold[0]) is None or subprocess.run([*how.fold, str(folder)]).returncode:
                pytest.skip("chattr +F cannot make a folder that folds names here")
            yield folder
        finally:
            unmount(place)
            said("losetup", "-d", device)


def said(*command: str) -> str:
    """What a command says; the test is skipped where it cannot do its work."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{command[0]} cannot do this here: {done.stderr.strip()}")
    return done.stdout.strip()


@pytest.fixture
def folded(folding: Path) -> Path:
    # Drivers in user space remember names for a second, those that are gone, too: each test has new ones.
    made = folding / str(len(list(folding.iterdir())))
    made.mkdir()
    return made


def test_two_spellings_of_one_name_are_one_picture(folded: Path) -> None:
    write(folded / "A.jpg", jpeg(1))
    assert (folded / "a.jpg").exists()
    report = cvsim.dedupe([folded / "A.jpg", folded / "a.jpg"], cache=None, workers=1)
    assert [group for group in report.groups if any(member.proposed for member in group.members)] == []


def test_a_file_is_no_copy_of_itself_under_another_spelling(folded: Path, tmp_path: Path) -> None:
    write(folded / "A.jpg", jpeg(1))
    plan = Plan((str(folded),), (entry(folded / "A.jpg", 1, "keep"), entry(folded / "a.jpg", 1, "remove")))
    applied = apply_plan(plan, "delete", str(tmp_path / "journal"))
    assert applied.count("done") == 0
    assert "the same file" in applied.outcomes[0].reason
    assert (folded / "A.jpg").read_bytes() == jpeg(1)


def test_a_move_does_not_write_over_another_spelling(folded: Path, tmp_path: Path) -> None:
    root = tmp_path / "photos"
    names = ("k.jpg", "A.jpg", "caf\u00e9.jpg")
    for number, name in enumerate(names):
        write(root / name, jpeg(5, 90 - number))
    plan = Plan((str(root),), tuple(entry(root / n, 1, "keep" if n == "k.jpg" else "remove") for n in names))
    before = snapshot(root)
    for taken in ("a.jpg", "cafe\u0301.jpg"):
        write(folded / taken, jpeg(9))
    applied = apply_plan(plan, f"move:{folded}", str(tmp_path / "journal"))
    assert applied.count("done") == 2, applied
    assert (folded / "a.jpg").read_bytes() == (folded / "cafe\u0301.jpg").read_bytes() == jpeg(9)
    assert sorted(path.read_bytes() for path in folded.iterdir()) == sorted(
        [jpeg(9), jpeg(9), jpeg(5, 89), jpeg(5, 88)]
    )
    assert undo_journal(str(tmp_path / "journal")).count("restored") == 2
    assert {name: one.content for name, one in snapshot(root).items()} == {
        name: one.content for name, one in before.items()
    }


def test_copies_go_and_come_back_where_names_are_folded(folded: Path, tmp_path: Path) -> None:
    plan = library(folded, 2, 2, identical=True)
    before = {name: one.content for name, one in snapshot(folded).items()}
    assert apply_plan(plan, f"move:{tmp_path / 'gone'}", str(tmp_path / "journal")).count("done") == 4
    assert undo_journal(str(tmp_path / "journal")).count("restored") == 4
    assert {name: one.content for name, one in snapshot(folded).items()} == before


# --- what a file has besides its bytes ---------------------------------------------------------------------


def give_attributes(path: Path) -> dict[str, bytes]:
    """An attribute of the user's own and an access list that lets another user read; what it has then."""
    entries = ((1, 6, 2**32 - 1), (2, 4, 1234), (4, 4, 2**32 - 1), (16, 4, 2**32 - 1), (32, 0, 2**32 - 1))
    try:
        os.setxattr(path, "user.comment", b"taken by me")
        os.setxattr(path, ACL, struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *one) for one in entries))
    except OSError as exc:
        pytest.skip(f"no attributes or access lists on this filesystem: {exc.strerror}")
    return attributes(path)


def attributes(path: Path) -> dict[str, bytes]:
    return {name: os.getxattr(path, name) for name in os.listxattr(path)}


@pytest.mark.parametrize("where", ["beside", "other disk"])
@pytest.mark.parametrize("action", ["move", "hardlink", "symlink", "trash"])
def test_attributes_and_access_lists_are_kept(
    action: str, where: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    away = request.getfixturevalue("other_disk") if where == "other disk" else tmp_path / "gone"
    plan = library(tmp_path / "photos", 1, 1, identical=True)
    path = Path(plan.entries[1].path)
    given = give_attributes(path)
    assert set(given) == {"user.comment", ACL}
    status = path.stat()
    where_to = f"move:{away / 'target'}" if action == "move" else action
    assert apply_plan(plan, where_to, str(tmp_path / "journal")).count("done") == 1
    if action == "move":
        (moved,) = (one for one in (away / "target").rglob("*.jpg"))
        assert attributes(moved) == given
    assert undo_journal(str(tmp_path / "journal")).count("restored") == 1
    assert attributes(path) == given
    assert (path.stat().st_mode, path.stat().st_mtime_ns) == (status.st_mode, status.st_mtime_ns)


# --- files that may not be touched -------------------------------------------------------------------------


@contextlib.contextmanager
def immutable(path: Path) -> Iterator[None]:
    with path.open("rb") as stream:
        flags = bytearray(8)
        try:
            fcntl.ioctl(stream, GET_FLAGS, flags)
            (old,) = struct.unpack("l", flags)
            fcntl.ioctl(stream, SET_FLAGS, struct.pack("l", old | IMMUTABLE))
        except OSError as exc:
            pytest.skip(f"no file can be made immutable here: {exc.strerror}")
        try:
            yield
        finally:
            fcntl.ioctl(stream, SET_FLAGS, struct.pack("l", old))


@pytest.mark.parametrize("action", ["move", "hardlink", "symlink", "trash", "delete"])
def test_an_immutable_file_stays_and_is_said(action: str, tmp_path: Path) -> None:
    plan = library(tmp_path / "photos", 1, 2, identical=True)
    fixed = Path(plan.entries[1].path)
    where_to = f"move:{tmp_path / 'gone'}" if action == "move" else action
    before = snapshot(tmp_path / "photos")
    with immutable(fixed):
        applied = apply_plan(plan, where_to, str(tmp_path / "journal"))
        assert {one.path: one.status for one in applied.outcomes} == {
            str(fixed): "skipped",
            plan.entries[2].path: "done",
        }
        name = os.path.relpath(fixed, tmp_path / "photos")
        assert snapshot(tmp_path / "photos")[name] == before[name]
        assert not [one for one in snapshot(tmp_path) if ".cvsim-" in one]
    if action != "delete":
        undo_journal(str(tmp_path / "journal"))
        assert snapshot(tmp_path / "photos") == before


# --- time that jumps ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump_s", [-400 * 86_400, 86_400, 10 * 365 * 86_400])
@pytest.mark.parametrize("action", ["move", "hardlink", "symlink", "trash", "delete"])
def test_a_clock_that_jumps_changes_nothing(
    action: str, jump_s: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = library(tmp_path / "photos", 1, 2, identical=True)
    before = snapshot(tmp_path / "photos")
    real, real_ns = time.time, time.time_ns
    jumped = [0]
    monkeypatch.setattr(time, "time", lambda: real() + jumped[0])
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + jumped[0] * 10**9)

    def jump(_word: str) -> None:
        jumped[0] = jump_s - jumped[0]  # there, and at the next change back again

    where_to = f"move:{tmp_path / 'gone'}" if action == "move" else action
    applied = apply_plan(plan, where_to, str(tmp_path / "journal"), checkpoint=jump)
    assert applied.count("done") == 2, applied
    undone = undo_journal(str(tmp_path / "journal"), checkpoint=jump)
    if action != "delete":
        assert undone.count("restored") == 2, undone
        assert snapshot(tmp_path / "photos") == before


def test_a_cache_from_the_future_is_as_good_as_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(2):
        write(tmp_path / "photos" / f"{number}.jpg", jpeg(3, 90 - number))
    cache = tmp_path / "cache.sqlite"
    real = time.time
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: real() + 10 * 365 * 86_400)
        future = cvsim.dedupe([tmp_path / "photos"], cache=cache, workers=1).to_json()
    assert cvsim.dedupe([tmp_path / "photos"], cache=cache, workers=1).to_json() == future
