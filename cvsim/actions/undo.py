"""The way back: every step of a journal that was not a deletion, the last one first.

Nothing that came into being since is overwritten: where another file has taken a name, or a link was
changed, the step is left as it is and said. Undoing again goes on where it stopped.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import os
import stat
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from cvsim.actions import steps
from cvsim.actions.filesystem import (
    Attributes,
    CheckedFile,
    FolderTree,
    RefusedError,
    copy_verified,
    digest_at,
    locked,
    lstat_at,
    new_file,
    open_checked_at,
    rename_noreplace,
)
from cvsim.actions.journal import Journal
from cvsim.actions.journal_events import JournalStep
from cvsim.actions.metadata import Splice
from cvsim.actions.places import opened_target, remove_made_by, remove_made_for, roots_tree
from cvsim.actions.settle import settle, settle_all, trashed_file
from cvsim.actions.trash import IS_FREEDESKTOP, opened_entry, where_to_look
from cvsim.files import JsonResult, write_all
from cvsim.names import printable
from cvsim.progress import Progress, SilentProgress

UndoStatus = Literal["restored", "deleted", "skipped"]


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of one step.

    Attributes
    ----------
    path : str
    action : str
    status : {"restored", "deleted", "skipped"}
        ``deleted``: it was deleted for good, nothing can bring it back.
    reason : str
    """

    path: str
    action: str
    status: UndoStatus
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Undone(JsonResult):
    """The result of `undo_journal`; outcomes in the order of undoing."""

    journal: str
    outcomes: tuple[Restored, ...]

    def count(self, status: UndoStatus) -> int:
        """Count the steps that ended so."""
        return sum(outcome.status == status for outcome in self.outcomes)

    def document(self) -> dict[str, Any]:
        """What ``cvsim undo --json`` prints."""
        return {
            "schema": "cvsim.undone/1",
            "journal": self.journal,
            "counts": {status: self.count(status) for status in get_args(UndoStatus)},
            "outcomes": [asdict(outcome) for outcome in self.outcomes],
        }


def undo_journal(
    journal: str,
    *,
    paths: Collection[str] | None = None,
    trust: bool = False,
    progress: Progress | None = None,
    checkpoint: Callable[[str], None] = lambda word: None,
) -> Undone:
    """Take back what a journal holds.

    Parameters
    ----------
    journal : str
    paths : collection of str, optional
        Only the steps that changed these files.
    trust : bool
        Obey a journal too that is not this user's own, or was changed. It is still held to its roots, its
        target folders and the user's trash.
    progress : Progress, optional
    checkpoint : callable
        Called between any two changes of the disk; for tests.

    Raises
    ------
    UsageError
        There is no such journal.
    ActionError
        It is none, is not this user's own, names a place outside, or is in use, or a folder it worked in
        cannot be opened.
    """
    with Journal(journal, create=False, trust=trust) as log, locked(log.roots), roots_tree(log) as tree:
        settle_all(tree, log)
        work = steps.StepWork(tree, log, checkpoint)
        todo = [step for step in reversed(log.steps) if step.state == "done"]
        if paths is not None:
            todo = [step for step in todo if step.path in paths]
        outcomes = [
            Restored(step.path, step.action, "skipped", "it was cut short, and cannot be looked at now")
            for step in log.unsettled()
        ]
        with (progress or SilentProgress()).task("Undoing", len(todo)) as advance:
            for step in todo:
                outcomes.append(_undo_step(work, step))
                advance(1)
        _remove_made_folders(log)
    return Undone(journal, tuple(outcomes))


def _remove_made_folders(log: Journal) -> None:
    """Remove what `move` made, once it is empty. At the end, so that a crash leaves nothing behind."""
    for step in reversed(log.steps):
        if step.action == "move" and step.state == "undone":
            remove_made_for(log, step)
    for run in reversed(log.runs):
        remove_made_by(log, run)


def _undo_step(work: steps.StepWork, step: JournalStep) -> Restored:
    if step.action == "delete":
        return Restored(step.path, step.action, "deleted", "deleted for good")
    try:
        _UNDO[step.action](work, step)
    except (RefusedError, OSError) as exc:
        reason = str(exc) if isinstance(exc, RefusedError) else str(exc.strerror or exc)
        if step.state == "undoing":
            settle(work.tree, work.journal, step, reason)
        if step.state != "undone":
            return Restored(step.path, step.action, "skipped", reason)
    return Restored(step.path, step.action, "restored")


@contextlib.contextmanager
def _timeless(tree: FolderTree, step: JournalStep, *, create: bool = False) -> Iterator[tuple[int, str]]:
    """Open a file's folder, and give it the time it had before the step if nothing else touched it since."""
    before, after = step.fields.get("folder_mtime_ns"), step.fields.get("folder_mtime_after_ns")
    with tree.folder(step.path, create=create) as (folder, name):
        status = os.fstat(folder)
        yield folder, name
        if before is not None and status.st_mtime_ns == after:
            os.utime(folder, ns=(status.st_atime_ns, before))


def _undo_move(work: steps.StepWork, step: JournalStep) -> None:
    target = step.fields["target"]
    with opened_target(work.journal, step) as opened:
        if opened is None:
            raise RefusedError(f"{printable(target)} is gone")
        _bring_back(work, step, target, opened)


def _undo_trash(work: steps.StepWork, step: JournalStep) -> None:
    found = trashed_file(step)
    if found is None:
        if not IS_FREEDESKTOP:
            raise RefusedError(where_to_look())
        raise RefusedError("it is not in the trash any more: that was emptied, or it was restored by hand")
    step.fields["trashed"] = {"path": found.path, "info": found.info}
    with opened_entry(found, step.path) as entry:
        if entry is None:
            raise RefusedError("it has just gone from the trash")
        _bring_back(work, step, found.path, (entry.folder, entry.name), entry.forget)


def _bring_back(
    work: steps.StepWork,
    step: JournalStep,
    source: str,
    opened: tuple[int, str],
    forget: Callable[[], None] = lambda: None,
) -> None:
    """Rename a file back to its place, or copy it there from another filesystem."""
    shown = printable(source)
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(open_checked_at(*opened, source, {step.digest}))
        except RefusedError as exc:
            raise RefusedError(f"{shown}: {exc}") from exc
        if file.stat.st_nlink > 1 and not work.journal.is_own:
            raise RefusedError(f"{shown} has further names (hard links); left alone")
        folder, name = stack.enter_context(_timeless(work.tree, step, create=True))
        if lstat_at(name, folder) is not None:
            raise RefusedError(f"another file has its name now; it is still at {shown}")
        _start(work, step)
        _rename_or_copy(work, step, file, folder, name)
        os.fsync(folder)
        work.checkpoint("back")
        forget()
    _finish(work, step)


def _rename_or_copy(
    work: steps.StepWork, step: JournalStep, file: CheckedFile, folder: int, name: str
) -> None:
    try:
        rename_noreplace(file.folder, file.name, folder, name)
    except OSError as exc:
        if exc.errno != errno.EXDEV:
            raise
    else:
        os.fsync(file.folder)
        return
    copy_verified(file.fd, folder, step.new_name, step.digest, Attributes(**step.fields["attributes"]))
    work.checkpoint("copied")
    rename_noreplace(folder, step.new_name, folder, name)
    os.fsync(folder)
    work.checkpoint("placed")
    if file.is_unchanged():
        os.unlink(file.name, dir_fd=file.folder)


def _undo_link(work: steps.StepWork, step: JournalStep) -> None:
    """Put an independent copy where the link or the clone is."""
    with _timeless(work.tree, step) as (folder, name):
        here = lstat_at(name, folder)
        if here is None or not _is_as_left(step, folder, name, here):
            raise RefusedError("what the step put there was changed or removed since; left alone")
        with _content_of(work, step) as source:
            _start(work, step)
            copy_verified(
                source.fd, folder, step.new_name, step.digest, Attributes(**step.fields["attributes"])
            )
        work.checkpoint("made")
        _put_in_place(work, step, folder, name, here)
    _finish(work, step)


def _is_as_left(step: JournalStep, folder: int, name: str, here: os.stat_result) -> bool:
    if step.action == "symlink":
        return stat.S_ISLNK(here.st_mode) and os.readlink(name, dir_fd=folder) == step.fields["link"]
    return digest_at(name, folder) == step.digest


@contextlib.contextmanager
def _content_of(work: steps.StepWork, step: JournalStep) -> Iterator[CheckedFile]:
    """A file that holds the old content: the kept one for a symbolic link, else what is there."""
    path = step.fields["kept"] if step.action == "symlink" else step.path
    try:
        with work.tree.open_checked(path, {step.digest}) as file:
            yield file
    except RefusedError as exc:
        raise RefusedError(f"its content cannot be had from {printable(path)}: {exc}") from exc


def _undo_metadata(work: steps.StepWork, step: JournalStep) -> None:
    """Give a kept file its own metadata back, unless the file that lent it some is gone for good."""
    donor = step.fields["donor"]
    if any(one.path == donor and one.state == "done" for one in work.journal.steps[step.number :]):
        raise RefusedError(f"it holds the date or position of {printable(donor)}, which is not back")
    with (
        _timeless(work.tree, step) as (folder, name),
        open_checked_at(folder, name, step.path, {step.fields["digest_after"]}) as file,
    ):
        removed, inserted = (base64.b64decode(step.fields[key]) for key in ("removed", "inserted"))
        data = Splice(step.fields["offset"], removed, inserted).reversed().apply(file.read())
        _start(work, step)
        with new_file(file.folder, step.new_name) as fd:
            write_all(fd, data)
            Attributes(**step.fields["attributes"]).put_on(fd)
        if digest_at(step.new_name, file.folder) != step.digest:
            raise RefusedError("its old content could not be put together again; left alone")
        work.checkpoint("made")
        _put_in_place(work, step, file.folder, file.name, file.stat)
    _finish(work, step)


def _put_in_place(
    work: steps.StepWork, step: JournalStep, folder: int, name: str, here: os.stat_result
) -> None:
    """Let the new file take the name of the one that was looked at before."""
    rename_noreplace(folder, name, folder, step.old_name)
    now = os.stat(step.old_name, dir_fd=folder, follow_symlinks=False)
    if (now.st_dev, now.st_ino, now.st_mtime_ns) != (here.st_dev, here.st_ino, here.st_mtime_ns):
        rename_noreplace(folder, step.old_name, folder, name)
        raise RefusedError("it was replaced or changed just now; left alone")
    work.checkpoint("set aside")
    rename_noreplace(folder, step.new_name, folder, name)
    os.fsync(folder)
    work.checkpoint("replaced")
    os.unlink(step.old_name, dir_fd=folder)
    os.fsync(folder)


def _start(work: steps.StepWork, step: JournalStep) -> None:
    work.checkpoint("checked")
    work.journal.record(step, "undo")
    work.checkpoint("started")


def _finish(work: steps.StepWork, step: JournalStep) -> None:
    work.checkpoint("carried out")
    work.journal.record(step, "undone")
    work.checkpoint("done")


_UNDO: dict[str, Callable[[steps.StepWork, JournalStep], None]] = {
    "move": _undo_move,
    "trash": _undo_trash,
    "hardlink": _undo_link,
    "symlink": _undo_link,
    "reflink": _undo_link,
    "metadata": _undo_metadata,
}
