"""What the functions on product photos give back, and the ways to write it down.

Each ``to_...`` returns the content, or with a path writes it, whole or not at all. Text holds bytes of a
file name that are not UTF-8 as surrogate escapes, as every path in Python does.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

from cvsim.errors import UsageError
from cvsim.files import FilePath, JsonResult, delivered, delivered_bytes
from cvsim.names import path_cell, text_cell

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cvsim.products.model import ProductModel
    from cvsim.types import Skipped


@dataclass(frozen=True, eq=False)
class Clusters(JsonResult):
    """Product photos by product.

    Attributes
    ----------
    files : tuple of str
        Relative to the path they were found under, by code point; numbers for the rows of an array.
    labels : (n,) int64 array
        Of the group of each; -1 for a picture that could not be read.
    skipped : tuple of Skipped
        Files that could not be used, each with its reason.
    alternative : int or None
        How many groups there would be if products had many photos where few were assumed, or few where many
        were; None where the collection leaves no doubt, or the number was given.
    many_photos : bool
        Whether products were found to have many photos.
    make_profile : callable or None
        See `to_profile`; None for features and where a trained profile was used.
    """

    files: tuple[str, ...]
    labels: NDArray[np.int64]
    skipped: tuple[Skipped, ...] = ()
    alternative: int | None = None
    many_photos: bool = False
    make_profile: Callable[[], ProductModel] | None = field(default=None, repr=False)

    @property
    def n_groups(self) -> int:
        """How many products were found."""
        return len(set(self.labels[self.labels >= 0].tolist()))

    @property
    def doubts(self) -> tuple[str, ...]:
        """What to know before the result is used, as sentences; nothing for most."""
        n, found = int((self.labels >= 0).sum()), []
        if self.alternative is not None:
            other = "few (up to nine)" if self.many_photos else "many (ten or more)"
            hint = "4" if self.many_photos else "30"
            found.append(
                f"{self.n_groups:,} groups, or {self.alternative:,} if most products have {other} photos: "
                f"say so with --photos-per-product {hint}"
            )
        ways = "say more with --photos-per-product, --n-clusters or --threshold"
        if n > 1 and self.n_groups == 1:
            found.append(f"all {n:,} pictures are in one group; if that is wrong, {ways}")
        if n > 1 and self.n_groups == n:
            found.append(f"each of the {n:,} pictures is alone in its group; if that is wrong, {ways}")
        return tuple(found)

    @overload
    def to_csv(self, path: None = None) -> str: ...
    @overload
    def to_csv(self, path: FilePath) -> None: ...
    def to_csv(self, path: FilePath | None = None) -> str | None:
        """The columns ``file`` and ``label``, as text or in a file.

        Parameters
        ----------
        path : path, optional
        """
        rows = zip(map(path_cell, self.files), self.labels.tolist(), strict=True)
        return delivered([_csv(("file", "label"), rows)], path)

    @overload
    def to_npy(self, path: None = None) -> bytes: ...
    @overload
    def to_npy(self, path: FilePath) -> None: ...
    def to_npy(self, path: FilePath | None = None) -> bytes | None:
        """The labels in numpy's own format, as bytes or in a file.

        Parameters
        ----------
        path : path, optional
        """
        return delivered_bytes(_npy(self.labels), path)

    @overload
    def to_profile(self, path: None = None) -> bytes: ...
    @overload
    def to_profile(self, path: FilePath) -> None: ...
    def to_profile(self, path: FilePath | None = None) -> bytes | None:
        """A profile with which `classify` assigns new pictures to these groups, as bytes or in a file.

        Their names are the labels in order, ``"0"`` and on. A new picture gets the nearest group.

        Parameters
        ----------
        path : path, optional

        Raises
        ------
        UsageError
            The groups are of features from elsewhere or by a trained profile, or of a single picture.
        """
        if self.make_profile is None:
            raise UsageError("only groups of pictures that were made without a profile make one; use train")
        return delivered_bytes(self.make_profile().to_bytes(), path)

    def document(self) -> dict[str, Any]:
        """Totals, as ``cvsim cluster --json`` prints them."""
        n_unreadable = int((self.labels < 0).sum())
        return {
            "n_images": len(self.labels),
            "n_groups": self.n_groups,
            "n_unreadable": n_unreadable,
            "alternative_n_groups": self.alternative,
            "doubts": list(self.doubts),
        }


@dataclass(frozen=True, eq=False)
class Classified:
    """Photos assigned to the products that a profile knows.

    Attributes
    ----------
    files : tuple of str
        Relative to the path they were found under, by code point.
    labels : tuple of (str or None)
        The product of each; None for one that shows none of them, or cannot be read.
    codes : (n,) int64 array
        Positions of the labels in the profile; -1 for none of them.
    probability : (n,) float64 array
        Of the label given, or that it is none of them.
    skipped : tuple of Skipped
    """

    files: tuple[str, ...]
    labels: tuple[str | None, ...]
    codes: NDArray[np.int64]
    probability: NDArray[np.float64]
    skipped: tuple[Skipped, ...] = ()

    @overload
    def to_csv(self, path: None = None) -> str: ...
    @overload
    def to_csv(self, path: FilePath) -> None: ...
    def to_csv(self, path: FilePath | None = None) -> str | None:
        """The columns ``file``, ``label`` (-1 for None) and ``probability``, as text or in a file.

        Parameters
        ----------
        path : path, optional
        """
        rows = (
            (path_cell(file), "-1" if label is None else text_cell(label), f"{probability:.4f}")
            for file, label, probability in zip(
                self.files, self.labels, self.probability.tolist(), strict=True
            )
        )
        return delivered([_csv(("file", "label", "probability"), rows)], path)

    @overload
    def to_npy(self, path: None = None) -> bytes: ...
    @overload
    def to_npy(self, path: FilePath) -> None: ...
    def to_npy(self, path: FilePath | None = None) -> bytes | None:
        """The codes in numpy's own format, as bytes or in a file.

        Parameters
        ----------
        path : path, optional
        """
        return delivered_bytes(_npy(self.codes), path)


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """One vector a picture.

    Attributes
    ----------
    files : tuple of str
        Relative to the path they were found under, by code point.
    vectors : (n, n_dims) float32 array
        Several signals stand beside each other. A picture that cannot be read keeps its row, of NaN.
    skipped : tuple of Skipped
    """

    files: tuple[str, ...]
    vectors: NDArray[np.float32]
    skipped: tuple[Skipped, ...] = ()

    @overload
    def to_npy(self, path: None = None) -> bytes: ...
    @overload
    def to_npy(self, path: FilePath) -> None: ...
    def to_npy(self, path: FilePath | None = None) -> bytes | None:
        """The vectors in numpy's own format, as bytes, or in a file with the list of files beside it.

        Parameters
        ----------
        path : path, optional
            ``features.npy``; the list is ``features.txt`` then.
        """
        if path is not None:
            # A row a file, whatever its name: one with a newline must not be two.
            lines = "".join(_one_line(file) + "\n" for file in self.files).encode("utf-8", "surrogateescape")
            delivered_bytes(lines, list_beside(path))
        return delivered_bytes(_npy(self.vectors), path)

    @overload
    def to_parquet(self, path: None = None) -> bytes: ...
    @overload
    def to_parquet(self, path: FilePath) -> None: ...
    def to_parquet(self, path: FilePath | None = None) -> bytes | None:
        """Files and vectors as Parquet, which needs the extra ``parquet``, as bytes or in a file.

        Parameters
        ----------
        path : path, optional
        """
        from cvsim.reports.tables import features_parquet

        return delivered_bytes(features_parquet(self.files, self.vectors), path)


def _one_line(name: str) -> str:
    return name.replace("\n", "\\n").replace("\r", "\\r")


def list_beside(path: FilePath) -> str:
    """The file that lists the rows of a ``.npy`` file."""
    return os.path.splitext(os.fspath(path))[0] + ".txt"


@dataclass(frozen=True, eq=False)
class Trained(JsonResult):
    """A profile that was learned from labelled product photos.

    Attributes
    ----------
    model : ProductModel
    skipped : tuple of Skipped
    """

    model: ProductModel
    skipped: tuple[Skipped, ...] = ()

    @property
    def weights(self) -> Mapping[str, float]:
        """By signal; they add up to 1."""
        return {signal.name: signal.weight for signal in self.model.signals}

    @property
    def quality(self) -> Mapping[str, Any]:
        """How well it does: ``ari`` on products held out, or a ``note`` where that was not measured.

        ``accuracy_training`` and ``accuracy_held_out`` say how often `classify` names the right product: of
        the photos that it learned, and of photos of known products that were held out.
        """
        return dict(self.model.quality)

    @overload
    def to_npz(self, path: None = None) -> bytes: ...
    @overload
    def to_npz(self, path: FilePath) -> None: ...
    def to_npz(self, path: FilePath | None = None) -> bytes | None:
        """The profile, to be given as ``profile=``, as bytes or in a file. It is safe to hand on.

        Parameters
        ----------
        path : path, optional
        """
        return delivered_bytes(self.model.to_bytes(), path)

    def document(self) -> dict[str, Any]:
        """What it was made of and how well it does, as ``cvsim train --json`` prints it."""
        weights = {name: round(weight, 4) for name, weight in self.weights.items()}
        method = self.model.grouping.method
        return {**self.model.provenance, "weights": weights, "method": method, "quality": self.quality}


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """An image network that was learned from pictures.

    Attributes
    ----------
    onnx : bytes
    skipped : tuple of Skipped
    """

    onnx: bytes
    skipped: tuple[Skipped, ...] = ()

    @overload
    def to_onnx(self, path: None = None) -> bytes: ...
    @overload
    def to_onnx(self, path: FilePath) -> None: ...
    def to_onnx(self, path: FilePath | None = None) -> bytes | None:
        """The network, to be given as ``embedding=``, as bytes or in a file.

        Parameters
        ----------
        path : path, optional
        """
        return delivered_bytes(self.onnx, path)


@dataclass(frozen=True, eq=False)
class Drawing:
    """Pictures laid out so that like lies by like.

    Attributes
    ----------
    files : tuple of str
    vectors : (n, n_dims) float32 array
        What they are laid out by.
    labels : tuple of str
    thumbnails : tuple of (bytes or None)
        JPEG.
    layout : "tsne" or "pca"
    skipped : tuple of Skipped
    """

    files: tuple[str, ...]
    vectors: NDArray[np.float32]
    labels: tuple[str, ...]
    thumbnails: tuple[bytes | None, ...]
    layout: str
    skipped: tuple[Skipped, ...] = ()

    @overload
    def to_png(self, path: None = None) -> bytes: ...
    @overload
    def to_png(self, path: FilePath) -> None: ...
    def to_png(self, path: FilePath | None = None) -> bytes | None:
        """A map, which needs the extra ``plot``, as bytes or in a file.

        Parameters
        ----------
        path : path, optional
        """
        from cvsim.reports.maps import layout, map_png

        title = f"{len(self.files):,} pictures, {len(set(self.labels)):,} groups ({self.layout})"
        places = layout(self.vectors, self.layout)
        return delivered_bytes(map_png(places, self.labels, self.thumbnails, title), path)

    @overload
    def to_html(self, path: None = None) -> str: ...
    @overload
    def to_html(self, path: FilePath) -> None: ...
    def to_html(self, path: FilePath | None = None) -> str | None:
        """A map to move about in, one self-contained page, as text or in a file.

        Parameters
        ----------
        path : path, optional
        """
        from cvsim.reports.maps import LAYOUTS, layout, map_html

        ways = [self.layout, *(how for how in LAYOUTS if how != self.layout)]
        places = {how: layout(self.vectors, how) for how in ways}
        return delivered([map_html(places, self.files, self.labels, self.thumbnails)], path)

    def to_folder(self, path: FilePath) -> tuple[str, ...]:
        """Contact sheets with a row a group, and the files of the embedding projector.

        Parameters
        ----------
        path : path
            A folder, made if it is missing.

        Returns
        -------
        tuple of str
            The files that were written.

        Raises
        ------
        UsageError
            No folder can be made there.
        """
        folder = os.fspath(path)
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as exc:
            raise UsageError(f"{folder}: no folder can be made there: {exc.strerror or exc}") from exc
        written = []
        for name, content in self._files():
            written.append(os.path.join(folder, name))
            delivered_bytes(content, written[-1])
        return tuple(written)

    def _files(self) -> Iterator[tuple[str, bytes]]:
        from cvsim.reports import projector
        from cvsim.reports.contact_sheet import contact_sheets

        has_pictures = any(thumbnail is not None for thumbnail in self.thumbnails)
        side_px = 0
        if has_pictures:
            for page, content in enumerate(contact_sheets(self.labels, self.thumbnails), start=1):
                yield f"sheet-{page:03}.png", content
            sprite, side_px = projector.sprite_png(self.thumbnails)
            yield "sprite.png", sprite
        yield "vectors.tsv", projector.vectors_tsv(self.vectors)
        yield "metadata.tsv", projector.metadata_tsv(self.files, self.labels)
        n_images, n_dims = self.vectors.shape
        yield "projector_config.json", projector.config_json(n_images, n_dims, side_px, has_pictures)


def _csv(header: Sequence[str], rows: Iterator[Sequence[object]] | zip[Any]) -> bytes:
    """A CSV file; names that are not UTF-8 keep their bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _npy(array: NDArray[np.generic]) -> bytes:
    """A ``.npy`` file without pickled objects."""
    import numpy as np

    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()
