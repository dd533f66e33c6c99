"""``cvsim classify``."""

from __future__ import annotations

from typing import Any

import click

from cvsim.cli import options, products
from cvsim.cli.command import Verb


@click.command(cls=Verb, epilog="Example: cvsim classify new --profile shop.npz -o labels.csv")
@options.paths
@click.option(
    "--profile",
    required=True,
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="The file that train made.",
)
@options.output(
    "labels.csv (file,label,probability) or labels.npy (position of the label); - is CSV on stdout."
)
@options.embedding
@options.running
@options.general
def classify(
    paths: tuple[str, ...],
    listed: list[str],
    profile: str,
    output: str,
    embedding: str | None,
    config: str | None,
    quiet: bool,
    **given: Any,
) -> None:
    """Assign each photo under PATH... to a product that the profile knows.

    One that shows none of them, or cannot be read, gets the label -1.
    """
    as_array = output != "-" and products.suffix_of(output, (".csv", ".npy")) == ".npy"
    settings = products.product_settings(config, given)

    from cvsim.api.products import classify as assign
    from cvsim.cli.console import progress_bars

    with progress_bars(quiet) as progress:
        found = assign(
            paths, profile, embedding=embedding, settings=settings, listed=listed, progress=progress
        )
    products.note_skipped(found.skipped, quiet)
    products.write(output, found.to_npy if as_array else found.to_csv, quiet)
