"""``cvsim features``."""

from __future__ import annotations

from typing import Any

import click

from cvsim.cli import options, products


@click.command(epilog="Example: cvsim features photos -o features.npy")
@options.paths
@options.output("features.npy, with the list of files in features.txt beside it, or features.parquet.")
@products.signals
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

    from cvsim.cli.console import progress_bars

    with progress_bars(quiet) as progress:
        vectors = products.read(paths, listed, settings, signals, embedding, None, progress)
    products.note_skipped(vectors, quiet)

    import numpy as np

    table = np.hstack(vectors.blocks).astype(np.float32)
    if suffix == ".parquet":
        from cvsim.reports.tables import features_parquet

        products.write(output, features_parquet(vectors.files, table), quiet)
        return
    products.write(output, products.npy_bytes(table), quiet)
    names = "".join(file + "\n" for file in vectors.files).encode("utf-8", "surrogateescape")
    products.write(output[: -len(suffix)] + ".txt", names, quiet)
