"""``cvsim fetch``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cvsim.cli import options
from cvsim.cli.command import Verb, keeps_work

if TYPE_CHECKING:
    from cvsim.fetch.dataset import FetchResult

N_REASONS = 8
"""Reasons of failure that are printed; the manifest has all."""


@click.command(cls=Verb, epilog="Example: cvsim fetch train.json --label 42 -o products")
@click.argument("manifest", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--label", "labels", multiple=True, metavar="ID", help="Only images with this label; repeatable."
)
@click.option(
    "-o",
    "--output",
    "folder",
    required=True,
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="Where the images go, with labels.csv and fetch.jsonl, which says what failed and why.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many images of the list.")
@click.option(
    "--max-size",
    type=options.ByteSize(),
    default="50MB",
    show_default=True,
    metavar="SIZE",
    help="Give up on larger files.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.1),
    default=15.0,
    show_default=True,
    metavar="S",
    help="Without a byte.",
)
@click.option(
    "--attempts",
    type=click.IntRange(1, 10),
    default=4,
    show_default=True,
    metavar="N",
    help="Of one URL, if its failure may pass.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    metavar="N",
    help="Downloads at once.",
)
@click.option(
    "--per-host", type=click.IntRange(1, 64), default=4, show_default=True, metavar="N", help="From one host."
)
@click.option(
    "--pause",
    type=click.FloatRange(0),
    default=0.0,
    metavar="S",
    help="At least so long between two downloads from one host.",
)
@click.option("--retry-failed", is_flag=True, help="Also ask again for what was gone for good.")
@click.option("--allow-private", is_flag=True, help="Also connect to this machine and the local network.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@options.general
def fetch(
    manifest: str,
    labels: tuple[str, ...],
    folder: str,
    limit: int | None,
    as_json: bool,
    config: str | None,
    quiet: bool,
    **given: Any,
) -> None:
    """Download the images that MANIFEST lists, a dataset's JSON or CSV.

    Run it again to go on: what is there is not fetched twice.
    """
    from cvsim.api.fetching import fetch_dataset
    from cvsim.cli.console import progress_bars
    from cvsim.settings import read_config

    keeps_work()
    read_config(config)
    with progress_bars(quiet) as progress:
        result = fetch_dataset(
            manifest,
            folder,
            labels=labels,
            limit=limit,
            max_size_bytes=given["max_size"],
            timeout_s=given["timeout"],
            n_attempts=given["attempts"],
            workers=given["workers"],
            per_host=given["per_host"],
            pause_s=given["pause"],
            retry_failed=given["retry_failed"],
            allow_private=given["allow_private"],
            progress=progress,
        )
    if as_json:
        click.echo(result.to_json(), nl=False)
    else:
        _print(result, folder)


def _print(result: FetchResult, folder: str) -> None:
    from cvsim.cli.console import result_console
    from cvsim.fetch.dataset import MANIFEST_NAME
    from cvsim.names import printable
    from cvsim.reports.wording import quantity

    console = result_console()
    console.print(
        f"{quantity(result.n_fetched, 'image')} fetched, {result.n_known:,} there already, "
        f"{len(result.failed):,} could not be had"
    )
    for reason, n in list(result.reasons.items())[:N_REASONS]:
        console.print(f"  {n:,}  {printable(reason)}")
    if result.failed:
        console.print(
            f"All are listed in {printable(folder)}/{MANIFEST_NAME}; run it again for those that may pass."
        )
