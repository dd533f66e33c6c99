"""``cvsim classify``."""

from __future__ import annotations

from typing import Any

import click

from cvsim.cli import options, products


@click.command(epilog="Example: cvsim classify new --profile shop.npz -o labels.csv")
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

    from cvsim.cli.console import progress_bars
    from cvsim.recipes import products as recipes

    model = products.load_profile(profile)
    assert model is not None
    with progress_bars(quiet) as progress:
        vectors = products.read(
            paths,
            listed,
            settings,
            None,
            embedding,
            model,
            progress,
            with_details=model.gallery is not None and model.gallery.details is not None,
        )
        products.note_skipped(vectors, quiet)
        found = recipes.assign(vectors, model)
    if as_array:
        products.write(output, products.npy_bytes(found.codes), quiet)
        return
    names = model.gallery.labels if model.gallery is not None else ()
    rows = [
        (file, names[code] if code >= 0 else "-1", f"{probability:.4f}")
        for file, code, probability in zip(
            vectors.files, found.codes.tolist(), found.probability.tolist(), strict=True
        )
    ]
    products.write(output, products.csv_bytes(("file", "label", "probability"), rows), quiet)
