"""``cvsim apply``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from cvsim.actions.support import require_held_folders
from cvsim.cli import options
from cvsim.cli.command import Verb, keeps_work
from cvsim.cli.completed import actions, one_of
from cvsim.cli.console import EXIT_NOT_ALL
from cvsim.settings import read_config

if TYPE_CHECKING:
    from cvsim.actions.apply import Action, Applied
    from cvsim.actions.plan import Plan

_WILL = {
    "trash": "go to the trash",
    "move": "be moved to {folder}",
    "hardlink": "be replaced by hard links to the kept files",
    "symlink": "be replaced by symbolic links to the kept files",
    "reflink": "be replaced by clones of the kept files",
    "delete": "be DELETED FOR GOOD; undo cannot bring them back",
}


@click.command(cls=Verb, epilog="Example: cvsim apply plan.json --action trash --dry-run")
@click.argument("plan", type=click.Path(exists=True, dir_okay=False), metavar="PLAN")
@click.option(
    "--action",
    required=True,
    metavar="ACTION",
    help="trash, move:DIR, hardlink, symlink, reflink or delete. Links are for identical files only.",
    shell_complete=one_of(actions),
)
@click.option("--dry-run", is_flag=True, help="Check everything, touch nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--journal",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write the journal here.  [default: beside the plan]",
)
@click.option(
    "--carry-metadata",
    is_flag=True,
    help="Give the date and position of a file that goes to the kept one, if that has none.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@options.general
def apply(
    plan: str,
    action: str,
    dry_run: bool,
    yes: bool,
    journal: str | None,
    carry_metadata: bool,
    as_json: bool,
    config: str | None,
    quiet: bool,
) -> None:
    """Carry out PLAN: remove what it says, after a check of each file and of what is kept.

    Files that have changed since, or whose kept file cannot be decoded, are skipped and listed; the exit
    code is 1 then. Sidecars (.xmp, .aae, .json) and the films of Live Photos go with their picture to the
    trash or the folder; under delete they protect it. A RAW+JPEG pair is never split. Everything but
    delete can be taken back with cvsim undo. Run it again to go on after an interruption.
    """
    read_config(config)
    require_held_folders()

    from cvsim.actions.apply import Action
    from cvsim.actions.plan import Plan
    from cvsim.api.plans import apply as carry_out
    from cvsim.cli.console import progress_bars

    chosen = Action.parse(action)
    if not (dry_run or yes):
        _ask(Plan.load(plan), chosen)
    keeps_work()
    with progress_bars(quiet) as progress:
        applied = carry_out(
            plan,
            action,
            journal=journal,
            dry_run=dry_run,
            carry_metadata=carry_metadata,
            progress=progress,
        )
    if as_json:
        click.echo(applied.to_json(), nl=False)
    else:
        _print(applied, quiet)
    if applied.count("skipped"):
        click.get_current_context().exit(EXIT_NOT_ALL)


def _ask(plan: Plan, action: Action) -> None:
    """Say what is about to happen, and end here unless a person agrees."""
    from cvsim.names import printable
    from cvsim.reports.wording import byte_size, quantity

    removed = [entry for entry in plan.entries if entry.decision == "remove"]
    if not removed:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody is there to be asked; add --yes, or look first with --dry-run.")
    n_groups = len({entry.group for entry in removed})
    will = _WILL[action.name].format(folder=printable(action.folder or ""))
    size = byte_size(sum(entry.size_bytes for entry in removed))
    files = quantity(len(removed), "file")
    click.echo(f"{files} ({size}) in {quantity(n_groups, 'group')} will {will}.", err=True)
    click.confirm("Go on?", abort=True, err=True)


def _print(applied: Applied, quiet: bool) -> None:
    from cvsim.cli.console import result_console
    from cvsim.names import printable
    from cvsim.reports.wording import byte_size, quantity

    console = result_console()
    for one in applied.outcomes:
        if one.status in ("skipped", "would"):
            console.print(f"{one.status}  {printable(one.path)}: {printable(one.reason)}")
    dry = applied.journal is None
    done = quantity(applied.count("would" if dry else "done"), "file")
    console.print(f"{done} {'would go' if dry else 'done'} ({byte_size(applied.done_bytes)}).")
    if n_already := applied.count("already"):
        console.print(f"{quantity(n_already, 'file')} done by an earlier run.")
    if n_skipped := applied.count("skipped"):
        console.print(f"{quantity(n_skipped, 'file')} skipped.")
    if applied.journal is not None and not quiet:
        journal = printable(os.path.abspath(applied.journal))
        click.echo(f"cvsim: the journal is {journal}; cvsim undo takes it back", err=True)
