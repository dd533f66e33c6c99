"""Where the steps of a journal may reach, whatever it says: its roots, its target folders, the user's trash.

Each place is opened folder by folder and no link is followed, as `apply` does it. A root or a target folder
that was itself reached through a link must still lead to where it led; only a journal of the user's own is
believed where that was.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from cvsim.actions.filesystem import FolderTree, RefusedError
from cvsim.actions.journal import Journal
from cvsim.actions.journal_events import JournalStep
from cvsim.actions.paths import is_plain_absolute, is_under, open_plain
from cvsim.actions.trash import TrashedFile, is_in_trash
from cvsim.errors import ActionError
from cvsim.names import printable


def roots_tree(journal: Journal) -> FolderTree:
    """Open the roots of a journal, after a look at every place that it names.

    Raises
    ------
    ActionError
        It names a place outside, or a root cannot be opened or leads somewhere else.
    """
    for run in journal.runs:
        folder = move_folder(journal, run)
        for made in run["made_folders"]:
            if folder is None or not (made == folder or is_under(made, folder) or is_under(folder, made)):
                raise _outside(journal, made)
    for step in journal.steps:
        for place in _places_outside(journal, step):
            raise _outside(journal, place)
    return FolderTree(journal.roots, _real(journal))


def _places_outside(journal: Journal, step: JournalStep) -> Iterator[str]:
    if not any(is_under(step.path, root) for root in journal.roots):
        yield step.path
    if step.action == "move":
        folder = move_folder(journal, _run_of(journal, step))
        named = (step.fields["target"], *step.fields["made_folders"])
        yield from (place for place in named if folder is None or not is_under(place, folder))
    # The user's own journal may know a trash of another time or machine: then the file is not found there.
    trashed = None if journal.is_own else step.fields.get("trashed")
    if trashed and not is_in_trash(TrashedFile(**trashed), step.path):
        yield trashed["path"]


def _outside(journal: Journal, place: str) -> ActionError:
    return ActionError(
        f"The journal {printable(journal.path)} names {printable(place)}, which lies outside the folders "
        "that it worked in; nothing was done"
    )


def move_folder(journal: Journal, run: Mapping[str, Any]) -> str | None:
    """Tell the folder that a run moved to; None if it moved nothing."""
    if "folder" in run:
        return str(run["folder"])
    # Versions before 0.2 noted the action as it was typed.
    name, _, typed = str(run.get("action", "")).partition(":")
    if name != "move" or not typed:
        return None
    folder = os.path.normpath(os.path.expanduser(typed))
    if os.path.isabs(folder):
        return folder if is_plain_absolute(folder) else None
    while folder.startswith("../"):
        folder = folder[3:]
    own = (step for step in journal.steps if step.run == run["id"] and "target" in step.fields)
    for path in chain(run["made_folders"], (step.fields["target"] for step in own)):
        before, found, _ = f"{path}/".partition(f"/{folder}/")
        if found:
            return f"{before}/{folder}"
    return None


def _run_of(journal: Journal, step: JournalStep) -> Mapping[str, Any]:
    return next(run for run in reversed(journal.runs) if run["id"] == step.run)


def _real(journal: Journal) -> dict[str, str]:
    """Where the roots and target folders led that had a link in their path."""
    if not journal.is_own:
        return {}
    return {path: real for run in journal.runs for path, real in run.get("real", {}).items()}


@contextlib.contextmanager
def opened_target(journal: Journal, step: JournalStep) -> Iterator[tuple[int, str] | None]:
    """Open the folder that a step moved its file to; None if it is gone.

    Raises
    ------
    RefusedError
        It lies outside the target folder of the run, or is reached through a link.
    """
    target = step.fields["target"]
    folder = move_folder(journal, _run_of(journal, step))
    if not os.path.isdir(os.path.dirname(target)):
        yield None
        return
    with contextlib.ExitStack() as stack:
        try:
            tree = stack.enter_context(FolderTree([folder] if folder else [], _real(journal)))
            opened = stack.enter_context(tree.folder(target))
        except ActionError as exc:
            raise RefusedError(f"{printable(target)}: {exc}") from exc
        yield opened


def remove_made_for(journal: Journal, step: JournalStep) -> None:
    """Remove the folders that a step made, the innermost first, as far as nothing else came into them."""
    for folder in reversed(step.fields["made_folders"]):
        _remove_empty(journal, move_folder(journal, _run_of(journal, step)), folder)


def remove_made_by(journal: Journal, run: Mapping[str, Any]) -> None:
    """Remove the target folder that a run made, and those above it that it made, if they are empty."""
    for folder in reversed(run["made_folders"]):
        _remove_empty(journal, move_folder(journal, run), folder)


def _remove_empty(journal: Journal, target: str | None, folder: str) -> None:
    if target is None:
        return
    real = _real(journal)
    with contextlib.suppress(OSError, ActionError), contextlib.ExitStack() as stack:
        if is_under(folder, target):
            tree = stack.enter_context(FolderTree([target], real))
            above, name = stack.enter_context(tree.folder(folder))
        elif folder == target or (journal.is_own and is_under(target, folder)):
            # What was made is no link: as many names up from where the target really is.
            place = real.get(target, target)
            for _ in range(target.count(os.sep) - folder.count(os.sep)):
                place = os.path.dirname(place)
            above, name = open_plain(os.path.dirname(place)), os.path.basename(place)
            stack.callback(os.close, above)
        else:
            return
        os.rmdir(name, dir_fd=above)
