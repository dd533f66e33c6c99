"""``cvsim plot``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from cvsim.cli import options, products

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cvsim.progress import Progress


@click.command(epilog="Example: cvsim plot photos --labels labels.csv -o map.html")
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
@products.signals
@options.embedding
@options.running
@options.general
def plot(
    paths: tuple[str, ...],
    listed: list[str],
    labels: str | None,
    output: str,
    layout: str,
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

    from cvsim.cli.console import progress_bars

    with progress_bars(quiet) as progress:
        if (features := products.features_file(paths)) is not None:
            drawn = _from_array(features, labels, profile)
        else:
            drawn = _from_pictures(
                paths, listed, settings, signals, embedding, labels, profile, quiet, progress
            )
        with progress.task("Drawing", None):
            for name, content in _files(output, suffix, layout, *drawn):
                products.write(name, content, quiet)


Drawn = tuple["NDArray[np.float32]", list[str], list[str], list[bytes | None]]
"""Vectors (n, n_dims), names, labels and thumbnails."""


def _from_array(features: str, labels: str | None, profile: str | None) -> Drawn:
    from cvsim.recipes import products as recipes

    table = recipes.load_features(features)
    names = [str(row) for row in range(len(table))]
    if labels is None:
        groups = recipes.cluster_features(table, products.load_profile(profile))
        found = [str(label) for label in groups.tolist()]
    else:
        found = recipes.labels_in_order(labels, len(table))
    return table, names, found, [None] * len(table)


def _from_pictures(
    paths: Any,
    listed: Any,
    settings: Any,
    signals: Any,
    embedding: str | None,
    labels: str | None,
    profile: str | None,
    quiet: bool,
    progress: Progress,
) -> Drawn:
    from cvsim.recipes import products as recipes

    model = products.load_profile(profile)
    vectors = products.read(paths, listed, settings, signals, embedding, model, progress)
    products.note_skipped(vectors, quiet)
    if labels is None:
        found = [str(label) for label in recipes.cluster(vectors, model).tolist()]
    else:
        found = recipes.labels_for(vectors.files, labels)
    return (
        recipes.fused_vectors(vectors, model),
        list(vectors.files),
        found,
        list(vectors.thumbnails),
    )


def _files(
    output: str,
    suffix: str,
    layout: str,
    vectors: NDArray[np.float32],
    names: list[str],
    labels: list[str],
    thumbnails: list[bytes | None],
) -> Any:
    """Name and content of each file to write."""
    if suffix == ".png":
        from cvsim.reports.maps import layout as lay_out
        from cvsim.reports.maps import map_png

        title = f"{len(names):,} pictures, {len(set(labels)):,} groups ({layout})"
        yield output, map_png(lay_out(vectors, layout), labels, thumbnails, title)
    elif suffix == ".html":
        from cvsim.reports.maps import LAYOUTS, map_html
        from cvsim.reports.maps import layout as lay_out

        first = [layout, *(how for how in LAYOUTS if how != layout)]
        yield output, map_html({how: lay_out(vectors, how) for how in first}, names, labels, thumbnails)
    else:
        yield from _folder(output, vectors, names, labels, thumbnails)


def _folder(
    output: str,
    vectors: NDArray[np.float32],
    names: list[str],
    labels: list[str],
    thumbnails: list[bytes | None],
) -> Any:
    from cvsim.errors import UsageError
    from cvsim.reports import projector
    from cvsim.reports.contact_sheet import contact_sheets

    try:
        os.makedirs(output, exist_ok=True)
    except OSError as exc:
        raise UsageError(f"{output}: no folder can be made there: {exc.strerror or exc}") from exc
    has_pictures = any(thumbnail is not None for thumbnail in thumbnails)
    side_px = 0
    if has_pictures:
        for page, content in enumerate(contact_sheets(labels, thumbnails), start=1):
            yield os.path.join(output, f"sheet-{page:03}.png"), content
        sprite, side_px = projector.sprite_png(thumbnails)
        yield os.path.join(output, "sprite.png"), sprite
    yield os.path.join(output, "vectors.tsv"), projector.vectors_tsv(vectors)
    yield os.path.join(output, "metadata.tsv"), projector.metadata_tsv(names, labels)
    config = projector.config_json(len(vectors), vectors.shape[1], side_px, has_pictures)
    yield os.path.join(output, "projector_config.json"), config
