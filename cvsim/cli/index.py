"""``cvsim index``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cvsim.cli import options
from cvsim.cli.command import Verb, keeps_work
from cvsim.settings import MOST_WORKERS

if TYPE_CHECKING:
    from cvsim.recipes.index import IndexReport


@click.command(cls=Verb, epilog="Example: cvsim index photos --store photos.db")
@options.paths
@options.store
@click.option(
    "--labels",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="Labels of the files: a CSV with the columns file and label, relative to PATH.",
)
@click.option(
    "--by-label",
    is_flag=True,
    help="Label files by the labels.csv in PATH, as fetch leaves it, or else by their folder in PATH.",
)
@options.index_signals
@click.option(
    "--also",
    type=options.NameList(),
    metavar="LIST",
    help="Keep what dedupe --against needs at these efforts, too: fast,thorough. It is remembered.",
)
@click.option(
    "--forget", is_flag=True, help="Forget files under PATH that are not there; else their drive may be away."
)
@click.option("--workers", type=click.IntRange(1, MOST_WORKERS), metavar="N", help="[default: one a core]")
@options.scheduler
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@options.general
def index(
    paths: tuple[str, ...],
    listed: list[str],
    store: str,
    labels: str | None,
    by_label: bool,
    also: tuple[str, ...] | None,
    forget: bool,
    as_json: bool,
    config: str | None,
    quiet: bool,
    **given: Any,
) -> None:
    """Bring an index up to date with the pictures under PATH..., to be searched later.

    New and changed files are read, renamed ones recognised; files that are not there now stay known.
    Interrupt it whenever you like: the next run goes on from there.
    """
    if by_label and labels is not None:
        raise click.UsageError("--labels and --by-label exclude each other.")
    settings = options.settings_from(config, given)
    keeps_work()

    from cvsim.api.index import Index
    from cvsim.cli.console import progress_bars

    with Index.open(store, settings=settings) as opened, progress_bars(quiet) as progress:
        report = opened.add(
            paths,
            labels=labels,
            by_label=by_label,
            listed=listed,
            forget=forget,
            also=also or (),
            progress=progress,
        )
    if as_json:
        click.echo(report.to_json(), nl=False)
    else:
        _print(report)


def _print(report: IndexReport) -> None:
    from cvsim.cli.console import notes_console, result_console
    from cvsim.names import printable
    from cvsim.reports.wording import quantity

    result_console().print(
        f"{quantity(report.n_images, 'image')}: {report.n_new:,} new, {report.n_vanished:,} files vanished, "
        f"{len(report.skipped):,} skipped"
    )
    if report.n_missing:
        notes_console().print(
            f"{quantity(report.n_missing, 'known file is', 'known files are')} not there now and stay in the "
            "index; --forget forgets them"
        )
    notes = notes_console()
    if report.n_read_again or report.made_by:
        version = f"cvsim {report.made_by}" if report.made_by else "another version of cvsim"
        read_again = quantity(report.n_read_again, "picture was", "pictures were")
        notes.print(f"{version} made this index: {read_again} read again")
    for item in report.skipped:
        if item.is_worth_naming:
            notes.print(f"skipped {printable(item.path)}: {printable(item.reason)}")
