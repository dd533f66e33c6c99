"""Carrying out one step: one file goes, or is replaced, under the journal's eyes.

Every step keeps one order, so that a crash between any two lines leaves something that `settle` can
finish or take back:

1. the journal holds the step, with all that undoing it takes;
2. what replaces the file is made under a temporary name, complete and synced;
3. the file is renamed to a temporary name in its folder and recognised there;
4. the replacement gets its name;
5. only then the old file is unlinked, the folder synced, and the journal told.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from cvsim.actions.filesystem import (
    Attributes,
    CheckedFile,
    FolderTree,
    RefusedError,
    clone_verified,
    copy_verified,
    digest_at,
    lstat_at,
    new_file,
    rename_noreplace,
    set_aside,
)
from cvsim.actions.journal import Journal
from cvsim.actions.journal_events import JournalStep
from cvsim.actions.settle import settle
from cvsim.actions.trash import IS_FREEDESKTOP, TrashedFile, find_in_trash, put_into_trash
from cvsim.files import write_all
from cvsim.names import printable

_CLOCK_LAG_NS = 50_000_000
"""Filesystems stamp with a clock that ticks a few times in this span."""
LINKS = ("hardlink", "symlink", "reflink")


@dataclass(frozen=True, slots=True)
class StepWork:
    """What a run works with.

    Attributes
    ----------
    tree : FolderTree
        The folders of the plan.
    journal : Journal
    checkpoint : callable
        Called with a word between any two changes of the disk; tests kill the process there, or
        change files behind its back.
    """

    tree: FolderTree
    journal: Journal
    checkpoint: Callable[[str], None]


def move(work: StepWork, file: CheckedFile, targets: FolderTree, target: str, **fields: Any) -> JournalStep:
    """Move a checked file to `target`, a free path under `targets`.

    Raises
    ------
    RefusedError
        Nothing was changed; says why. So with the other steps here.
    """
    made = targets.missing_folders(target)

    def carry_out(step: JournalStep) -> dict[str, Any]:
        with targets.folder(target, create=True) as (folder, name):
            try:
                rename_noreplace(file.folder, file.name, folder, name)
            except OSError as exc:
                if exc.errno != errno.EXDEV:
                    raise
                _move_across(work, file, step, folder, name)
            else:
                work.checkpoint("renamed")
                _recognise(file, folder, name)
            os.fsync(folder)
        return {}

    return _step(work, "move", file, carry_out, target=target, made_folders=made, **fields)


def trash(work: StepWork, file: CheckedFile, **fields: Any) -> JournalStep:
    """Put a checked file into the desktop's trash."""
    effective = os.access in os.supports_effective_ids
    if not os.access(os.path.dirname(file.path), os.W_OK | os.X_OK, effective_ids=effective):
        # The trash notes where a file came from before it finds that it cannot have it.
        raise RefusedError("its folder may not be written; left alone")

    def carry_out(step: JournalStep) -> dict[str, Any]:
        begun_ns = time.time_ns()
        put_into_trash(file.path)
        work.checkpoint("trashed")
        if not IS_FREEDESKTOP:
            return {}
        found = find_in_trash(file.path, lambda path: _is_same_file(path, file))
        if found is None:
            _take_back_stranger(file, begun_ns)
            raise RefusedError("it was replaced or changed between the check and the step; left alone")
        return {"trashed": asdict(found)}

    return _step(work, "trash", file, carry_out, **fields)


def delete(work: StepWork, file: CheckedFile, **fields: Any) -> JournalStep:
    """Delete a checked file for good."""

    def carry_out(step: JournalStep) -> dict[str, Any]:
        set_aside(file, step.old_name)
        work.checkpoint("set aside")
        os.unlink(step.old_name, dir_fd=file.folder)
        return {}

    return _step(work, "delete", file, carry_out, **fields)


def link(work: StepWork, action: str, file: CheckedFile, twin: CheckedFile, **fields: Any) -> JournalStep:
    """Replace a checked file by a hard link, a symbolic link, or a clone of an identical kept file."""
    if file.digest != twin.digest:
        raise RefusedError(
            f"{action} is for identical files only, and its bytes differ from the kept file's; "
            "trash or move it"
        )
    text = _link_text(twin.path, file.path, work.tree)

    def carry_out(step: JournalStep) -> dict[str, Any]:
        # A link holds nothing of its own: what it leads to must still be there when its file goes.
        needed = None if action == "reflink" else twin
        make_replacement(work, file, step, lambda: _make_link(action, file, twin, step, text), needed)
        status = lstat_at(file.name, file.folder)
        return {"inode_after": status and [status.st_dev, status.st_ino]}

    extra = {"link": text} if action == "symlink" else {}
    return _step(
        work, action, file, carry_out, kept=twin.path, kept_inode=list(twin.inode), **extra, **fields
    )


def rewrite(work: StepWork, file: CheckedFile, data: bytes, digest_after: str, **fields: Any) -> JournalStep:
    """Replace the content of a checked file; `fields` must hold what gives the old content back."""
    if file.stat.st_nlink > 1:
        raise RefusedError("it has further names (hard links), which would keep the old content")

    def make(step: JournalStep) -> None:
        with new_file(file.folder, step.new_name) as fd:
            write_all(fd, data)
            Attributes.of(file.fd, file.stat).put_on(fd)

    def carry_out(step: JournalStep) -> dict[str, Any]:
        make_replacement(work, file, step, lambda: make(step))
        return {}

    return _step(work, "metadata", file, carry_out, digest_after=digest_after, **fields)


def make_replacement(
    work: StepWork,
    file: CheckedFile,
    step: JournalStep,
    make: Callable[[], None],
    needed: CheckedFile | None = None,
) -> None:
    """Steps 2 to 5 of the module's order, for a file that stays in its place, as `needed` must, too."""
    make()
    work.checkpoint("made")
    set_aside(file, step.old_name)
    work.checkpoint("set aside")
    rename_noreplace(file.folder, step.new_name, file.folder, file.name)
    os.fsync(file.folder)
    work.checkpoint("replaced")
    if needed is not None and not needed.is_unchanged():
        raise RefusedError(f"the kept file {printable(needed.path)} has just changed")
    os.unlink(step.old_name, dir_fd=file.folder)


def _step(
    work: StepWork,
    action: str,
    file: CheckedFile,
    carry_out: Callable[[JournalStep], dict[str, Any]],
    **fields: Any,
) -> JournalStep:
    """Journal a step, carry it out, and settle it if that fails half-way."""
    step = work.journal.next_step(action, file.path, file.digest)
    before = os.fstat(file.folder).st_mtime_ns
    attributes = asdict(Attributes.of(file.fd, file.stat))
    work.checkpoint("checked")
    if not file.is_unchanged():
        raise RefusedError("it was replaced or changed between the check and the step; left alone")
    work.journal.start(step, inode=list(file.inode), attributes=attributes, folder_mtime_ns=before, **fields)
    work.checkpoint("started")
    try:
        done = carry_out(step)
        os.fsync(file.folder)
    except (RefusedError, OSError) as exc:
        reason = str(exc) if isinstance(exc, RefusedError) else f"{exc.strerror or exc}; left alone"
        settle(work.tree, work.journal, step, reason, (file.folder, file.name))
        if step.state != "done":
            raise RefusedError(str(step.fields.get("reason", reason))) from exc
        return step
    work.checkpoint("carried out")
    work.journal.record(step, "done", folder_mtime_after_ns=os.fstat(file.folder).st_mtime_ns, **done)
    work.checkpoint("done")
    return step


def _move_across(work: StepWork, file: CheckedFile, step: JournalStep, folder: int, name: str) -> None:
    """Move to another filesystem: the copy is complete, compared and synced before the original goes."""
    copy_verified(file.fd, folder, step.new_name, file.digest, Attributes.of(file.fd, file.stat))
    work.checkpoint("copied")
    rename_noreplace(folder, step.new_name, folder, name)
    os.fsync(folder)
    work.checkpoint("placed")
    set_aside(file, step.old_name)
    work.checkpoint("set aside")
    os.unlink(step.old_name, dir_fd=file.folder)


def _recognise(file: CheckedFile, folder: int, name: str) -> None:
    """After a rename: it must have been the checked file; anything else goes back."""
    now = os.stat(name, dir_fd=folder, follow_symlinks=False)
    same = (now.st_dev, now.st_ino) == file.inode
    if not same or (now.st_size, now.st_mtime_ns) != (file.stat.st_size, file.stat.st_mtime_ns):
        rename_noreplace(folder, name, file.folder, file.name)
        raise RefusedError("it was replaced or changed between the check and the step; left alone")


def _is_same_file(path: str, file: CheckedFile) -> bool:
    """Whether a file in the trash is the checked one: itself, or its copy from another filesystem."""
    try:
        now = os.lstat(path)
        if (now.st_dev, now.st_ino) == file.inode:
            return (now.st_size, now.st_mtime_ns) == (file.stat.st_size, file.stat.st_mtime_ns)
        if now.st_size != file.stat.st_size:
            return False
        with FolderTree([os.path.dirname(path)]) as tree, tree.folder(path) as (folder, name):
            return digest_at(name, folder) == file.digest
    except OSError:
        return False


def _take_back_stranger(file: CheckedFile, begun_ns: int) -> None:
    """Something else had taken the name, or the folder's name, and was trashed: put it where it was."""

    def came_just_now(path: str) -> bool:
        # Being renamed is a change of status; older files of this name may lie in the trash too.
        return os.lstat(path).st_ctime_ns >= begun_ns - _CLOCK_LAG_NS

    wrong: TrashedFile | None = find_in_trash(file.path, came_just_now)
    if wrong is None or os.path.lexists(file.path):
        return
    source, target = os.path.dirname(wrong.path), os.path.dirname(file.path)
    from_fd = os.open(source, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # By its plain path, links followed: the way it left is the way back.
        to_fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
        try:
            rename_noreplace(from_fd, os.path.basename(wrong.path), to_fd, file.name)
        finally:
            os.close(to_fd)
    finally:
        os.close(from_fd)
    with contextlib.suppress(OSError):
        os.unlink(wrong.info)


def _make_link(action: str, file: CheckedFile, kept: CheckedFile, step: JournalStep, text: str) -> None:
    name, folder = step.new_name, file.folder
    if action == "reflink":
        clone_verified(kept, folder, name, Attributes.of(file.fd, file.stat))
        return
    try:
        if action == "hardlink":
            os.link(kept.name, name, src_dir_fd=kept.folder, dst_dir_fd=folder, follow_symlinks=False)
        else:
            os.symlink(text, name, dir_fd=folder)
    except OSError as exc:
        if exc.errno == errno.EXDEV:
            raise RefusedError(
                "a hard link cannot reach another filesystem; use symlink, trash or move"
            ) from exc
        raise
    leads_to = os.stat(name, dir_fd=folder)
    if (leads_to.st_dev, leads_to.st_ino) != kept.inode or not kept.is_unchanged():
        os.unlink(name, dir_fd=folder)
        raise RefusedError("the link would not lead to the kept file, which was replaced or changed")


def _link_text(kept: str, path: str, tree: FolderTree) -> str:
    """Relative within a root, so that the root can move; absolute between roots."""
    with contextlib.suppress(RefusedError):
        if tree.relative(kept)[0] == tree.relative(path)[0]:
            return os.path.relpath(kept, os.path.dirname(path))
    return kept
