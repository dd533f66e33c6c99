"""``cvsim features``."""

from __future__ import annotations

from typing import Any

import click

from cvsim.cli import options, products
from cvsim.cli.command import Verb


@click.command(cls=Verb, epilog="Example: cvsim features photos -o features.npy")
@options.paths
@options.output("features.npy, with the list of files in features.txt beside it, or features.parquet.")
@options.signals
@options.embedding
@options.running
@options.general
def features(
    paths: tuple[str, ...],
    listed: list[str],
    output: str,
    signals: tuple[str, ...] | None,
    embedding: str | None,
    config: str | None,
    quiet: bool,
    **given: Any,
) -> None:
    """Write the vectors of the pictures under PATH..., one row each, in the order of their paths.

    Several signals stand beside each other. A picture that cannot be read keeps its row, of NaN.
    """
    suffix = products.suffix_of(output, (".npy", ".parquet"))
    settings = products.product_settings(config, given)

    from cvsim.api.product_results import list_beside
    from cvsim.api.vectors import extract_features
    from cvsim.cli.console import progress_bars

    with progress_bars(quiet) as progress:
        table = extract_features(
            paths,
            signals=signals,
            embedding=embedding,
            settings=settings,
            listed=listed,
            progress=progress,
        )
    products.note_skipped(table.skipped, quiet)
    products.write(output, table.to_parquet if suffix == ".parquet" else table.to_npy, quiet)
    if suffix == ".npy":
        products.note_written(list_beside(output), quiet)
