"""What became of a step that was cut short: it is finished if its file is replaced, else taken back.

Works from what the disk shows and what the journal said before the step began, so that it can itself be
cut short and begun again. Nothing is unlinked unless the same content is seen in another place first.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat

from cvsim.actions.filesystem import (
    FolderTree,
    RefusedError,
    digest_at,
    digest_of,
    lstat_at,
    rename_noreplace,
)
from cvsim.actions.journal import Journal
from cvsim.actions.journal_events import JournalStep
from cvsim.actions.places import opened_target, remove_made_for
from cvsim.actions.trash import IS_FREEDESKTOP, TrashedFile, find_in_trash, opened_entry
from cvsim.names import printable

_CUT_SHORT = "it was cut short; nothing was changed"

_log = logging.getLogger(__name__)


def settle_all(tree: FolderTree, journal: Journal) -> list[JournalStep]:
    """Settle every step that a crash left open; returns them."""
    open_steps = journal.unsettled()
    for step in open_steps:
        settle(tree, journal, step)
    return open_steps


def settle(
    tree: FolderTree,
    journal: Journal,
    step: JournalStep,
    reason: str = _CUT_SHORT,
    opened: tuple[int, str] | None = None,
) -> None:
    """Bring one open step to an end and write that end into the journal.

    Where the disk does not allow that now, the step stays open for the next apply or undo.

    Parameters
    ----------
    tree : FolderTree
    journal : Journal
    step : JournalStep
        Its state is ``started`` or ``undoing``.
    reason : str
        Goes into the journal if the step is taken back.
    opened : (int, str), optional
        The open folder that holds the file, and the file's name; found by the step's path if not given.
    """
    undoing = step.state == "undoing"
    try:
        with contextlib.nullcontext(opened) if opened else tree.folder(step.path) as (folder, name):
            stranded = _clear_temporaries(step, folder, name)
            look = _is_undone if undoing else _is_done
            ended = look(journal, step, folder, name)
            os.fsync(folder)
    except (RefusedError, OSError) as exc:
        _log.warning("What was begun with %s could not be ended: %s", printable(step.path), exc)
        return
    if step.action == "move" and undoing == ended:  # undone, or taken back
        remove_made_for(journal, step)
    if ended:
        if stranded:
            _log.warning("%s was changed by somebody meanwhile; it is at %s", printable(step.path), stranded)
        found = {"trashed": step.fields["trashed"]} if "trashed" in step.fields else {}
        journal.record(step, "undone" if undoing else "done", **found)
    else:
        words = f"{reason}; the file is at {printable(stranded)}" if stranded else reason
        journal.record(step, "undo-aborted" if undoing else "aborted", reason=words)


def _clear_temporaries(step: JournalStep, folder: int, name: str) -> str | None:
    """Put back what was set aside, or drop it if its replacement is there. Returns where it stays if neither.

    Its content is either at its old name afterwards, or at the place that the step meant for it.
    """
    stranded = None
    old = lstat_at(step.old_name, folder)
    if old is not None:
        here = lstat_at(name, folder)
        if here is None:
            rename_noreplace(folder, step.old_name, folder, name)
        elif _is_replacement(step, folder, name) and _is_seen_elsewhere(step, folder, old):
            os.unlink(step.old_name, dir_fd=folder)
        elif _is_ours(step, folder, name, here) and not _is_replacement(step, folder, name):
            os.unlink(name, dir_fd=folder)
            rename_noreplace(folder, step.old_name, folder, name)
        else:
            stem, extension = os.path.splitext(name)
            stranded = f"{stem} (cvsim {step.run}-{step.number}){extension}"
            rename_noreplace(folder, step.old_name, folder, stranded)
    _unlink_if_there(step.new_name, folder)
    return stranded


def _is_replacement(step: JournalStep, folder: int, name: str) -> bool:
    """Whether what bears the name holds what it should after the step (or after its undo)."""
    found = _content_through(name, folder)
    if step.state == "undoing":
        return found == step.digest and not _is_link(name, folder)
    return bool(found == step.fields.get("digest_after", step.digest))


def _is_seen_elsewhere(step: JournalStep, folder: int, old: os.stat_result) -> bool:
    """Whether what was set aside can go: it is a link, or nobody wrote to it since its step began."""
    if stat.S_ISLNK(old.st_mode) or old.st_nlink > 1:
        return True
    known = {step.digest, step.fields.get("digest_after", step.digest)}
    return digest_at(step.old_name, folder) in known


def _is_ours(step: JournalStep, folder: int, name: str, here: os.stat_result) -> bool:
    """Whether the step put there what bears the name, whatever its content is by now."""
    if step.action == "hardlink":
        return [here.st_dev, here.st_ino] == step.fields.get("kept_inode")
    return (
        step.action == "symlink"
        and _is_link(name, folder)
        and os.readlink(name, dir_fd=folder) == step.fields["link"]
    )


def _is_done(journal: Journal, step: JournalStep, folder: int, name: str) -> bool:
    here = lstat_at(name, folder)
    unmoved = here is not None and [here.st_dev, here.st_ino] == step.fields["inode"]
    if step.action == "move":
        return _settle_move(journal, step, unmoved)
    if step.action == "trash":
        found = trashed_file(step)
        if found is not None and not unmoved:
            step.fields["trashed"] = {"path": found.path, "info": found.info}  # for the journal, see settle
            return True
        return here is None and not IS_FREEDESKTOP
    if step.action == "delete":
        return here is None
    if here is None or unmoved:
        return False
    if step.action in ("hardlink", "symlink"):
        return _is_ours(step, folder, name, here)
    return bool(digest_at(name, folder) == step.fields.get("digest_after", step.digest))


def _settle_move(journal: Journal, step: JournalStep, unmoved: bool) -> bool:
    """Whether the target holds the file; a copy beside the original is removed again."""
    with opened_target(journal, step) as opened:
        if opened is None:
            return False
        folder, name = opened
        _unlink_if_there(step.new_name, folder)
        if digest_at(name, folder) != step.digest:
            return False
        if unmoved:
            os.unlink(name, dir_fd=folder)
        return not unmoved


def _is_undone(journal: Journal, step: JournalStep, folder: int, name: str) -> bool:
    here = lstat_at(name, folder)
    if here is None or digest_at(name, folder) != step.digest:
        return False
    inode = [here.st_dev, here.st_ino]
    if step.action == "hardlink":
        return bool(inode != step.fields["kept_inode"])
    if step.action == "reflink":
        return bool(inode != step.fields.get("inode_after", inode))
    if step.action == "move":
        with opened_target(journal, step) as opened:
            if opened is not None:
                _drop_copy(step, *opened, inode)
    elif step.action == "trash" and (trashed := step.fields.get("trashed")):
        with opened_entry(TrashedFile(**trashed), step.path) as entry:
            if entry is not None:
                _drop_copy(step, entry.folder, entry.name, inode)
                entry.forget()
    return True


def _drop_copy(step: JournalStep, folder: int, name: str, inode: list[int]) -> None:
    """The file is back: remove the copy that a move between filesystems left."""
    there = lstat_at(name, folder)
    if there is not None and (
        [there.st_dev, there.st_ino] == inode or digest_at(name, folder) == step.digest
    ):
        os.unlink(name, dir_fd=folder)


def trashed_file(step: JournalStep) -> TrashedFile | None:
    """Find where the file of a trash step lies now."""

    def is_it(trashed: TrashedFile) -> bool:
        with opened_entry(trashed, step.path) as entry:
            return entry is not None and digest_at(entry.name, entry.folder) == step.digest

    known = step.fields.get("trashed")
    if known and is_it(TrashedFile(**known)):
        return TrashedFile(**known)
    return find_in_trash(step.path, lambda path: is_it(TrashedFile.of(path)))


def _content_through(name: str, folder: int) -> str | None:
    """Digest of what a name leads to, links followed."""
    if not _is_link(name, folder):
        return digest_at(name, folder)
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return None
    try:
        return digest_of(fd) if stat.S_ISREG(os.fstat(fd).st_mode) else None
    finally:
        os.close(fd)


def _is_link(name: str, folder: int) -> bool:
    status = lstat_at(name, folder)
    return status is not None and stat.S_ISLNK(status.st_mode)


def _unlink_if_there(name: str, folder: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
