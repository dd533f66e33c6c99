"""``cvsim prefilter``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cvsim.cli import options
from cvsim.cli.command import Verb

if TYPE_CHECKING:
    from cvsim.recipes.prefilter import Prefiltered


@click.command(cls=Verb, epilog="Example: cvsim prefilter photos -o pairs.csv --recall 0.99")
@options.paths
@options.output("Write the pairs to FILE: .csv, .jsonl or .parquet; - is CSV on stdout.")
@click.option(
    "--recall",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.99,
    show_default=True,
    metavar="SHARE",
    help="Keep at least this share of the true pairs.",
)
@click.option(
    "--sample",
    "n_sampled",
    type=click.IntRange(1),
    default=32,
    show_default=True,
    metavar="N",
    help="Make copies of N pictures to measure that.",
)
@options.scoring
@options.between_only
@click.option("--json", "as_json", is_flag=True, help="Print what was done as one JSON document.")
@options.running
@options.scheduler
@options.general
def prefilter(
    paths: tuple[str, ...],
    listed: list[str],
    output: str,
    recall: float,
    n_sampled: int,
    as_json: bool,
    config: str | None,
    quiet: bool,
    **given: Any,
) -> None:
    """Write the pairs under PATH... that are worth a heavier system's time, best first.

    How much of the true pairs they hold is measured on copies made of a few of your own pictures.
    """
    from cvsim.api.pictures import prefilter as find_candidates
    from cvsim.cli.console import progress_bars, write_bytes
    from cvsim.reports.pairs import csv_chunks, pair_format

    if output == "-" and as_json:
        raise click.UsageError("-o - and --json cannot both go to stdout; give one of them a file.")
    if output != "-":
        pair_format(output)
    settings = options.settings_from(config, given)
    with progress_bars(quiet) as progress:
        found = find_candidates(
            paths, recall=recall, n_sampled=n_sampled, listed=listed, settings=settings, progress=progress
        )
    if output == "-":
        for chunk in csv_chunks(found):
            write_bytes(chunk)
    else:
        found.write(output)
    _print(found, as_json, output == "-")


def _print(found: Prefiltered, as_json: bool, to_stderr: bool) -> None:
    if as_json:
        click.echo(found.to_json(), nl=False)
        return
    from cvsim.cli.console import notes_console, result_console
    from cvsim.reports.wording import percent, quantity

    console = notes_console() if to_stderr else result_console()
    console.print(
        f"{quantity(found.n_pairs, 'pair')} of {found.n_all_pairs:,} among "
        f"{quantity(found.n_images, 'image')}: {percent(found.share_spared)} are spared"
    )
    if found.recall is None:
        console.print("No copies could be made of them, so the recall is not known")
        return
    measured = f"{found.n_copies} copies made of these images" if found.n_copies else "products held out"
    console.print(f"{percent(found.recall)} of the true pairs are among them, measured on {measured}")
    if found.recall < found.wanted_recall:
        console.print(
            f"That is less than the {percent(found.wanted_recall)} asked for, and the most there is: "
            "for more, try --effort thorough"
        )
