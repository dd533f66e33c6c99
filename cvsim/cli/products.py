"""What the verbs on products share: options, and files written whole."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cvsim.cli import options
from cvsim.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cvsim.products.model import ProductModel
    from cvsim.progress import Progress
    from cvsim.recipes.products import Vectors
    from cvsim.settings import Settings

C = TypeVar("C", bound=Callable[..., Any])

signals = click.option(
    "--signals", type=options.NameList(), metavar="LIST", help="Use these signals instead."
)
profile = click.option(
    "--profile",
    metavar="product|FILE",
    help="The built-in profile, or one that train made.  [default: product]",
)


def features_file(paths: Sequence[str]) -> str | None:
    """The path if it is one ``.npy`` file of features."""
    return paths[0] if len(paths) == 1 and paths[0].lower().endswith(".npy") else None


def product_settings(config: str | None, given: dict[str, Any]) -> Settings:
    """Settings of the run; a profile is the verb's own affair."""
    return options.settings_from(config, given)


def load_profile(name: str | None) -> ProductModel | None:
    """The trained profile of that file; None for the built-in one."""
    from cvsim.recipes.products import BUILT_IN, read_profile

    return None if name is None or name == BUILT_IN else read_profile(name)


def read(
    paths: Sequence[str],
    listed: Sequence[str],
    settings: Settings,
    signals: Sequence[str] | None,
    embedding: str | None,
    model: ProductModel | None,
    progress: Progress,
    *,
    with_details: bool = False,
) -> Vectors:
    """The pictures as vectors of the profile's signals, or of the ones that were named."""
    from cvsim.recipes import products

    if model is not None and signals:
        raise click.UsageError("--signals belongs to training; the profile has its own.")
    features = (
        products.features_of(model, embedding)
        if model is not None
        else products.vector_features(signals, embedding)
    )
    return products.read_vectors(
        paths, features, settings, listed=listed, with_details=with_details, progress=progress
    )


def note_skipped(vectors: Vectors, quiet: bool) -> None:
    """Say on stderr which pictures could not be used."""
    from cvsim.names import printable

    shown = [s for s in vectors.skipped if s.kind != "not-an-image"]
    if quiet:
        return
    for skipped in shown[:10]:
        click.echo(f"cvsim: skipped {printable(skipped.path)}: {skipped.reason}", err=True)
    if len(shown) > 10:
        click.echo(f"cvsim: and {len(shown) - 10} more", err=True)


def csv_bytes(header: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
    """A CSV file; names that are not UTF-8 keep their bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")


def npy_bytes(array: NDArray[np.generic]) -> bytes:
    """A ``.npy`` file without pickled objects."""
    import numpy as np

    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def write(path: str, content: bytes, quiet: bool) -> None:
    """To a file, whole or not at all, or to stdout."""
    if path == "-":
        from cvsim.cli.console import write_bytes

        write_bytes(content)
        return
    from cvsim.files import write as write_file

    write_file(path, [content])
    if not quiet:
        click.echo(f"cvsim: wrote {click.format_filename(path)}", err=True)


def suffix_of(path: str, known: Sequence[str]) -> str:
    """The file's ending, which says how it is written."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in known:
        raise UsageError(f"{path}: its ending must be one of {', '.join(known)}")
    return suffix
