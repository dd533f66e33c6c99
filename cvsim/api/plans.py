"""Carrying out a plan, and taking it back: `apply` and `undo`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from cvsim.actions.support import require_held_folders
from cvsim.api.calls import public
from cvsim.api.report import Report
from cvsim.errors import UsageError
from cvsim.names import PathLike

if TYPE_CHECKING:
    from cvsim.actions.apply import Applied
    from cvsim.actions.plan import Plan
    from cvsim.actions.undo import Undone
    from cvsim.progress import Progress


@public
def apply(
    plan: PathLike | Plan | Report,
    action: str,
    *,
    journal: PathLike | None = None,
    dry_run: bool = False,
    carry_metadata: bool = False,
    progress: Progress | None = None,
) -> Applied:
    """Carry out a plan: remove what it says, after a check of each file and of what is kept.

    It does not ask. Files that have changed since the plan was made, or whose kept file cannot be decoded,
    are skipped and listed. Applying again goes on where an earlier run stopped.

    Parameters
    ----------
    plan : path, Plan or Report
        A plan's file, or what `Report.plan` gives, or the report itself.
    action : str
        ``"trash"``, ``"move:DIR"``, ``"hardlink"``, ``"symlink"``, ``"reflink"`` or ``"delete"``. Links
        are for identical files only.
    journal : path, optional
        Where the steps are written down, for `undo`; beside the plan's file if not given. A plan that is no
        file needs one, except in a dry run.
    dry_run : bool
        Check everything, change nothing, write no journal.
    carry_metadata : bool
        Give the date and position of a file that goes to the kept one, if that has none.
    progress : Progress, optional
        Told how far the work is.

    Returns
    -------
    Applied
        What became of each file.

    Raises
    ------
    SettingsError
        The action is unknown.
    UsageError
        There is no such plan, or no journal is named.
    ActionError
        The plan or the journal cannot be used.
    """
    require_held_folders()
    from cvsim.actions.apply import apply_plan
    from cvsim.actions.journal import default_path
    from cvsim.actions.plan import Plan

    own_files: Iterable[str] = ()
    loaded: Plan
    if isinstance(plan, Report):
        loaded = plan.plan()
    elif isinstance(plan, Plan):
        loaded = plan
    else:
        file = os.fsdecode(plan)
        loaded, own_files = Plan.load(file), [file]
        journal = default_path(file) if journal is None else journal
    if journal is None and not dry_run:
        raise UsageError("a plan that is no file needs a journal: apply(plan, action, journal=FILE)")
    return apply_plan(
        loaded,
        action,
        os.fsdecode(journal or ""),
        dry_run=dry_run,
        carry_metadata=carry_metadata,
        own_files=tuple(own_files),
        progress=progress,
    )


@public
def undo(
    journal: PathLike | None = None,
    *,
    paths: Iterable[PathLike] | None = None,
    trust: bool = False,
    progress: Progress | None = None,
) -> Undone:
    """Take back what `apply` did: contents, names, times and permissions. What was deleted stays so.

    Nothing that came into being since is overwritten. Undoing again goes on after an interruption.

    Parameters
    ----------
    journal : path, optional
        What `apply` wrote; the newest one if not given.
    paths : iterable of path, optional
        Only the steps that changed these files.
    trust : bool
        Obey a journal too that another user or machine wrote, or that was changed since. Whatever it says,
        only its own folders and your trash are touched.
    progress : Progress, optional
        Told how far the work is.

    Returns
    -------
    Undone
        What became of each file.

    Raises
    ------
    UsageError
        There is no such journal.
    ActionError
        It is none, is not your own, names a place outside the folders it worked in, or is in use, or such
        a folder cannot be opened.
    """
    require_held_folders()
    from cvsim.actions.journal import newest
    from cvsim.actions.undo import undo_journal

    file = newest() if journal is None else os.fsdecode(journal)
    chosen = None if paths is None else [os.path.abspath(os.fsdecode(path)) for path in paths]
    return undo_journal(file, paths=chosen, trust=trust, progress=progress)
