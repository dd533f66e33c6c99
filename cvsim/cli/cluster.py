"""``cvsim cluster``."""

from __future__ import annotations

from typing import Any

import click

from cvsim.cli import options, products
from cvsim.cli.command import Verb
from cvsim.products.methods import MEASURED_NUMBER, METHODS


@click.command(cls=Verb, epilog="Example: cvsim cluster photos -o labels.csv")
@options.paths
@options.output(
    "labels.csv (file,label) or labels.npy (integers in the order of the paths); - is CSV on stdout."
)
@products.profile
@click.option(
    "--threshold",
    type=options.Probability(),
    metavar="P",
    help="Join what is at least this sure to be one product; for FEATURES.npy without a profile, "
    "what is at least this similar.  [default: the profile's]",
)
@click.option("--method", type=click.Choice(METHODS), help="How groups are made.  [default: the profile's]")
@click.option("--n-clusters", type=click.IntRange(min=1), metavar="N", help="Make this many groups.")
@click.option(
    "--photos-per-product",
    type=click.FloatRange(min=1),
    metavar="N",
    help="About how many photos each product has; within a factor of two is enough.",
)
@click.option(
    "--save-profile",
    type=options.OutputFile(),
    metavar="FILE",
    help="Also write a profile with which classify assigns new pictures to these groups.",
)
@options.signals
@options.embedding
@click.option("--json", "as_json", is_flag=True, help="Print what was done as one JSON document.")
@options.running
@options.general
def cluster(
    paths: tuple[str, ...],
    listed: list[str],
    output: str,
    profile: str | None,
    threshold: float | None,
    method: str | None,
    n_clusters: int | None,
    photos_per_product: float | None,
    save_profile: str | None,
    signals: tuple[str, ...] | None,
    embedding: str | None,
    as_json: bool,
    config: str | None,
    quiet: bool,
    **given: Any,
) -> None:
    """Group the product photos under PATH..., or the rows of FEATURES.npy, by product.

    A picture that cannot be read gets the label -1.
    """
    if as_json and output == "-":
        raise click.UsageError("--json and -o - cannot both go to stdout.")
    if sum(given is not None for given in (threshold, n_clusters, photos_per_product)) > 1:
        raise click.UsageError("--threshold, --n-clusters and --photos-per-product exclude each other.")
    if save_profile == "-":
        raise click.UsageError("A profile is not printed; name a file.")
    as_array = output != "-" and products.suffix_of(output, (".csv", ".npy")) == ".npy"
    settings = products.product_settings(config, given)

    from cvsim.api.products import cluster as group_products
    from cvsim.cli.console import progress_bars

    with progress_bars(quiet) as progress:
        found = group_products(
            paths,
            profile=profile,
            threshold=threshold,
            method=method,
            n_clusters=n_clusters,
            photos_per_product=photos_per_product,
            signals=signals,
            embedding=embedding,
            settings=settings,
            listed=listed,
            progress=progress,
        )
    products.note_skipped(found.skipped, quiet)
    products.write(output, found.to_npy if as_array else found.to_csv, quiet)
    if save_profile is not None:
        products.write(save_profile, found.to_profile, quiet)
    for doubt in () if quiet else found.doubts:
        click.echo(f"cvsim: {doubt}", err=True)
    if as_json:
        click.echo(found.to_json(), nl=False)
    elif output != "-" and not quiet:
        how = " (estimated number)" if method in MEASURED_NUMBER and n_clusters is None else ""
        click.echo(f"{len(found.labels):,} pictures, {found.n_groups:,} products{how}")
