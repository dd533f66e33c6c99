"""``cvsim train``."""

from __future__ import annotations

from typing import Any

import click

from cvsim.cli import options, products
from cvsim.cli.command import Verb


@click.command(cls=Verb, epilog="Example: cvsim train photos --labels labels.csv -o shop.npz")
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
    help="The profile: one .npz file, safe to hand on. With --fine-tune the network, TUNED.onnx.",
)
@click.option(
    "--autoencoder",
    type=options.OutputFile(),
    metavar="FILE.onnx",
    help="Also train an image network on these pictures; it is one more signal of the profile, and an "
    "--embedding elsewhere.",
)
@click.option(
    "--fine-tune",
    metavar="MODEL.onnx",
    help="Tune this image network on the labelled photos: -o TUNED.onnx is a network then, an --embedding "
    "elsewhere.",
)
@click.option(
    "--epochs",
    "n_epochs",
    type=click.IntRange(min=1),
    metavar="N",
    help="How often a network sees each picture.  [default: 40 for an autoencoder, 4 for tuning]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the partings of the products.")
@options.signals
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
    fine_tune: str | None,
    n_epochs: int | None,
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
    if fine_tune is not None and (autoencoder is not None or embedding is not None or signals):
        raise click.UsageError("--fine-tune makes a network: no --autoencoder, --embedding or --signals.")
    if fine_tune is not None and output is not None:
        products.suffix_of(output, (".onnx",))
    settings = products.product_settings(config, given)

    from cvsim.api.products import train as learn, train_network
    from cvsim.cli.console import progress_bars

    with progress_bars(quiet) as progress:
        if autoencoder is not None:
            network = train_network(
                paths, n_epochs=n_epochs, seed=seed, settings=settings, listed=listed, progress=progress
            )
            products.note_skipped(network.skipped, quiet)
            products.write(autoencoder, network.to_onnx, quiet)
        if output is None:
            return
        if fine_tune is not None:
            network = train_network(
                paths,
                labels=labels,
                fine_tune=fine_tune,
                n_epochs=n_epochs,
                seed=seed,
                settings=settings,
                listed=listed,
                progress=progress,
            )
            products.note_skipped(network.skipped, quiet)
            products.write(output, network.to_onnx, quiet)
            return
        trained = learn(
            paths,
            labels=labels,
            seed=seed,
            signals=signals,
            embedding=autoencoder or embedding,
            settings=settings,
            listed=listed,
            progress=progress,
        )
    if autoencoder is None:
        products.note_skipped(trained.skipped, quiet)
    products.write(output, trained.to_npz, quiet)
    if as_json:
        click.echo(trained.to_json(), nl=False)
        return
    model = trained.model
    click.echo(f"{model.provenance['n_images']:,} pictures of {model.provenance['n_products']:,} products")
    for signal in model.signals:
        click.echo(f"{signal.name:<16}{signal.weight:>8.0%}")
    for figure, of_what in (
        ("accuracy_training", "the photos that it learned"),
        ("accuracy_held_out", "photos held out of known products"),
    ):
        if figure in model.quality:
            click.echo(f"classifying: accuracy {model.quality[figure]:.3f} on {of_what}")
    if "ari" in model.quality:
        click.echo(
            f"grouping by {model.grouping.method}: ARI {model.quality['ari']:.3f} on products held out"
        )
    else:
        click.echo(str(model.quality["note"]))
