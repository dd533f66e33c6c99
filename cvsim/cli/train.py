"""``cvsim train``."""

from __future__ import annotations

from typing import Any

import click

from cvsim.cli import options, products


@click.command(epilog="Example: cvsim train photos --labels labels.csv -o shop.npz")
@options.paths
@click.option(
    "--labels",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="CSV with file and label, or a .npy of integers.  [default: the folder that each picture is in]",
)
@click.option(
    "-o",
    "--output",
    type=options.OutputFile(),
    metavar="FILE",
    help="The profile: one .npz file, safe to hand on.",
)
@click.option(
    "--autoencoder",
    type=options.OutputFile(),
    metavar="FILE.onnx",
    help="Also train an image network on these pictures; it is one more signal of the profile, and an "
    "--embedding elsewhere.",
)
@click.option(
    "--epochs",
    "n_epochs",
    type=click.IntRange(min=1),
    default=40,
    show_default=True,
    metavar="N",
    help="How often the autoencoder sees each picture.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the partings of the products.")
@products.signals
@options.embedding
@click.option("--json", "as_json", is_flag=True, help="Print how well it did as one JSON document.")
@options.running
@options.general
def train(
    paths: tuple[str, ...],
    listed: list[str],
    labels: str | None,
    output: str | None,
    autoencoder: str | None,
    n_epochs: int,
    seed: int,
    signals: tuple[str, ...] | None,
    embedding: str | None,
    as_json: bool,
    config: str | None,
    quiet: bool,
    **given: Any,
) -> None:
    """Learn from labelled product photos what makes two of them the same product.

    The result is given as --profile to cluster and classify. How well it does is measured on products
    that were held out.
    """
    if output == "-" or autoencoder == "-":
        raise click.UsageError("A profile is not printed; name a file.")
    if output is None and autoencoder is None:
        raise click.UsageError("Give -o FILE for a profile, --autoencoder FILE.onnx for a network, or both.")
    if embedding is not None and autoencoder is not None:
        raise click.UsageError("--embedding and --autoencoder exclude each other.")
    settings = products.product_settings(config, given)

    from cvsim.cli.console import progress_bars
    from cvsim.recipes import products as recipes

    with progress_bars(quiet) as progress:
        vectors = products.read(
            paths, listed, settings, signals, embedding, None, progress, with_details=output is not None
        )
        products.note_skipped(vectors, quiet)
        if autoencoder is not None:
            network = recipes.train_autoencoder(vectors, n_epochs=n_epochs, seed=seed, progress=progress)
            products.write(autoencoder, network, quiet)
            if output is None:
                return
            vectors = products.read(
                paths, listed, settings, signals, autoencoder, None, progress, with_details=True
            )
        model = recipes.train_profile(
            vectors, recipes.labels_for(vectors.files, labels), seed=seed, progress=progress
        )
    assert output is not None
    products.write(output, model.to_bytes(), quiet)
    if as_json:
        from cvsim.reports.json import dumps

        weights = {signal.name: round(signal.weight, 4) for signal in model.signals}
        document = {**model.provenance, "weights": weights, "method": model.grouping.method}
        click.echo(dumps({**document, "quality": dict(model.quality)}), nl=False)
        return
    click.echo(f"{model.provenance['n_images']:,} pictures of {model.provenance['n_products']:,} products")
    for signal in model.signals:
        click.echo(f"{signal.name:<16}{signal.weight:>8.0%}")
    if "ari" in model.quality:
        click.echo(
            f"grouping by {model.grouping.method}: ARI {model.quality['ari']:.3f} on products held out"
        )
    else:
        click.echo(str(model.quality["note"]))
