"""``cvsim plot``."""

from __future__ import annotations

import os
from typing import Any, Literal

import click

from cvsim.cli import options, products
from cvsim.cli.command import Verb


@click.command(cls=Verb, epilog="Example: cvsim plot photos --labels labels.csv -o map.html")
@options.paths
@click.option(
    "--labels",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="Colours and groups: CSV with file and label, or .npy.  [default: grouped here]",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(),
    metavar="map.png|map.html|DIR",
    help="A map, or a folder for contact sheets and the files of the embedding projector.",
)
@click.option("--layout", type=click.Choice(("tsne", "pca")), default="tsne", show_default=True)
@products.profile
@options.signals
@options.embedding
@options.running
@options.general
def plot(
    paths: tuple[str, ...],
    listed: list[str],
    labels: str | None,
    output: str,
    layout: Literal["tsne", "pca"],
    profile: str | None,
    signals: tuple[str, ...] | None,
    embedding: str | None,
    config: str | None,
    quiet: bool,
    **given: Any,
) -> None:
    """Draw the pictures under PATH..., or the rows of FEATURES.npy, so that like lies by like.

    A folder as output gets sheet-001.png and so on with a row of pictures a group, and vectors.tsv,
    metadata.tsv, sprite.png and projector_config.json for the embedding projector.
    """
    suffix = os.path.splitext(output)[1].lower()
    if suffix not in (".png", ".html", ""):
        raise click.UsageError("-o takes map.png, map.html or a folder.")
    settings = products.product_settings(config, given)

    from cvsim.api.vectors import plot as lay_out
    from cvsim.cli.console import progress_bars

    with progress_bars(quiet) as progress:
        drawing = lay_out(
            paths,
            labels=labels,
            layout=layout,
            profile=profile,
            signals=signals,
            embedding=embedding,
            settings=settings,
            listed=listed,
            progress=progress,
        )
        products.note_skipped(drawing.skipped, quiet)
        with progress.task("Drawing", None):
            if suffix:
                products.write(output, drawing.to_png if suffix == ".png" else drawing.to_html, quiet)
                return
            for file in drawing.to_folder(output):
                products.note_written(file, quiet)
