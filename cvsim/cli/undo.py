"""``cvsim undo``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cvsim.actions.support import require_held_folders
from cvsim.cli import options
from cvsim.cli.command import Verb, keeps_work
from cvsim.cli.console import EXIT_NOT_ALL
from cvsim.settings import read_config

if TYPE_CHECKING:
    from cvsim.actions.undo import Undone


@click.command(cls=Verb, epilog="Example: cvsim undo plan.journal.jsonl")
@click.argument("journal", required=False, type=click.Path(exists=True, dir_okay=False), metavar="[JOURNAL]")
@click.option(
    "--trust",
    is_flag=True,
    help="Undo a journal too that is not your own, or was changed. Look into it first.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@options.general
def undo(journal: str | None, trust: bool, as_json: bool, config: str | None, quiet: bool) -> None:
    """Take back what JOURNAL holds, the newest journal if none is named.

    Contents, names, times and permissions come back after every action but delete; what that took is
    listed. Nothing that came into being since is overwritten. The exit code is 1 if a file could not be
    brought back. Run it again to go on after an interruption. A journal that your own cvsim has not written
    is refused.
    """
    read_config(config)
    require_held_folders()

    from cvsim.actions.journal import newest
    from cvsim.api.plans import undo as take_back
    from cvsim.cli.console import progress_bars
    from cvsim.names import printable

    path = journal or newest()
    if journal is None:
        click.echo(f"cvsim: undoing {printable(path)}", err=True)
    keeps_work()
    with progress_bars(quiet) as progress:
        undone = take_back(path, trust=trust, progress=progress)
    if as_json:
        click.echo(undone.to_json(), nl=False)
    else:
        _print(undone)
    if undone.count("skipped"):
        click.get_current_context().exit(EXIT_NOT_ALL)


def _print(undone: Undone) -> None:
    from cvsim.cli.console import result_console
    from cvsim.names import printable
    from cvsim.reports.wording import quantity

    console = result_console()
    for one in undone.outcomes:
        if one.status != "restored":
            console.print(f"{one.status}  {printable(one.path)}: {printable(one.reason)}")
    console.print(f"{quantity(undone.count('restored'), 'file')} restored.")
    if n_deleted := undone.count("deleted"):
        console.print(f"{quantity(n_deleted, 'file')} deleted for good.")
    if n_skipped := undone.count("skipped"):
        console.print(f"{quantity(n_skipped, 'file')} not restored.")
