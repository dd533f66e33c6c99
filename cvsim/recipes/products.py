"""Products: read a folder into vectors, learn from labels, group, classify. Recipes only; no algorithms."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import cv2
import numpy as np

from cvsim.arrays import NOT_AN_ARRAY, labelled_in_order
from cvsim.errors import SettingsError, UsageError
from cvsim.executors import open_executor
from cvsim.features import make_features
from cvsim.features.base import Feature
from cvsim.features.embedding import Embedding
from cvsim.features.local import Local
from cvsim.features.local_descriptor import KEYPOINT
from cvsim.features.vector import VectorFeature
from cvsim.images.decode import decode
from cvsim.images.scan import require_paths, scan
from cvsim.products.autoencoder import AUTOENCODER_PX, N_EPOCHS, fit_autoencoder
from cvsim.products.details import Details
from cvsim.products.gallery import Assignment, classify, gallery_of_groups
from cvsim.products.grouping import group, group_by_cosine, untrained
from cvsim.products.model import ProductModel, SignalSource, read_product_model
from cvsim.products.pretrained import resolve
from cvsim.products.stopping import Stopped
from cvsim.products.training import train
from cvsim.progress import SilentProgress
from cvsim.reading.extraction import THUMBNAIL_KEY, THUMBNAIL_PX
from cvsim.reading.files import read_files
from cvsim.recipes.labelling import names_of, require_named
from cvsim.settings import PROFILES
from cvsim.stores import Store, on_sound_store

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.progress import Progress
    from cvsim.settings import Settings
    from cvsim.types import RGB, Skipped

PRODUCT_SIGNALS = ("color-layout", "gradient")
"""What tells products apart without a network; an embedding is added to them where one is given."""
BUILT_IN = "product"
"""The profile that needs no training."""
_LOCAL = Local()


class GroupingRequest(TypedDict, total=False):
    """How to group; see `cvsim.products.grouping.group`."""

    method: str | None
    threshold: float | None
    n_clusters: int | None
    photos_per_product: float | None


@dataclass(frozen=True, eq=False)
class Vectors:
    """A folder as arrays, in the order of the relative POSIX paths by code point.

    Attributes
    ----------
    files : tuple of str
        Relative to the PATH they were found under.
    paths : tuple of str
        As they can be opened.
    blocks : tuple of (n, n_dims) float32 arrays
        One a signal. An unreadable file keeps its row, of NaN.
    sources : tuple of SignalSource
    readable : (n,) bool array
    skipped : tuple of Skipped
    thumbnails : tuple of JPEG bytes
        None for an unreadable file.
    details : Details or None
        None if they were not asked for.
    """

    files: tuple[str, ...]
    paths: tuple[str, ...]
    blocks: tuple[NDArray[np.float32], ...]
    sources: tuple[SignalSource, ...]
    readable: NDArray[np.bool_]
    skipped: tuple[Skipped, ...]
    thumbnails: tuple[bytes | None, ...] = ()
    details: Details | None = None


def vector_features(signals: Sequence[str] | None, embedding: str | None) -> tuple[VectorFeature, ...]:
    """The signals to take, all of which must be vectors.

    Raises
    ------
    SettingsError
        A name is unknown, or its signal is no vector.
    """
    names = [name for name in signals or PRODUCT_SIGNALS if name != Embedding.name]
    wants_embedding = embedding is not None or Embedding.name in (signals or ())
    if wants_embedding and embedding is None:
        raise SettingsError("the signal 'embedding' needs a network: --embedding FILE")
    found: list[VectorFeature] = []
    for feature in make_features(names):
        if not isinstance(feature, VectorFeature):
            raise SettingsError(
                f"the signal {feature.name!r} is no vector; products are told apart by "
                f"{', '.join(PRODUCT_SIGNALS)} and embedding"
            )
        found.append(feature)
    if embedding is not None:
        found.append(make_embedding(embedding))
    return tuple(found)


def make_embedding(spec: str) -> Embedding:
    """The network of ``FILE``, ``KIND=FILE`` or the name of a preset, which is downloaded on first use."""
    return Embedding(resolve(spec))


def read_profile(name: str) -> ProductModel:
    """The profile that `cvsim train` wrote to the file `name`.

    Raises
    ------
    SettingsError
        There is none, or it cannot be read.
    """
    if name == BUILT_IN:
        raise SettingsError(
            f"the profile {name!r} learns from a whole collection: use it with cvsim cluster, or make a "
            "profile of your own with cvsim train"
        )
    if name in PROFILES:
        raise SettingsError(
            f"the profile {name!r} knows no products: it is for cvsim dedupe and cvsim compare"
        )
    if not os.path.exists(name):
        raise SettingsError(
            f"unknown profile {name!r}: neither one of {', '.join(sorted([*PROFILES, BUILT_IN]))} nor a file "
            "that cvsim train made"
        )
    return read_product_model(name)


def features_of(model: ProductModel, embedding: str | None) -> tuple[VectorFeature, ...]:
    """The signals that a trained model was made with.

    Raises
    ------
    SettingsError
        One is missing here, or gives other vectors than it did in training.
    """
    names = [signal.name for signal in model.signals]
    if embedding is not None and Embedding.name not in names:
        raise SettingsError("the profile was trained without an embedding; leave out --embedding")
    by_name = {feature.name: feature for feature in vector_features(names, embedding)}
    for signal in model.signals:
        feature = by_name[signal.name]
        if feature.version != signal.version or dict(feature.params) != dict(signal.params):
            what = "another network" if signal.name == Embedding.name else "another version of the signal"
            raise SettingsError(f"the profile was trained with {what} ({signal.name}); train it again")
        if feature.n_dims != len(signal.map.mean):
            raise SettingsError(f"the profile's map of {signal.name} has the wrong size; train it again")
    known = None if model.gallery is None else model.gallery.details
    if known is not None and known.key != _LOCAL.key:
        raise SettingsError("the profile was trained with another version of keypoints; train it again")
    return tuple(by_name[name] for name in names)


def read_vectors(
    paths: Sequence[str],
    features: Sequence[VectorFeature],
    settings: Settings,
    *,
    listed: Iterable[str] = (),
    with_details: bool = False,
    named: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Vectors:
    """Read every picture under `paths` into vectors, from the cache where they are known.

    With `with_details` also into details, by which products are told from strangers. Files that `named`
    labels must be there: that is looked at before any is read.

    Raises
    ------
    UsageError
        No path, or no picture under it.
    """
    listed = list(listed)
    require_paths(paths, listed)
    return on_sound_store(
        settings.cache,
        lambda store: _vectors_on(
            store, paths, features, settings, listed, with_details, named, progress or SilentProgress()
        ),
    )


def _vectors_on(
    store: Store,
    paths: Sequence[str],
    features: Sequence[VectorFeature],
    settings: Settings,
    listed: Sequence[str],
    with_details: bool,
    named: Mapping[str, str] | None,
    progress: Progress,
) -> Vectors:
    found = scan(list(paths), listed=listed, **settings.scan.keywords)
    require_named(found, named, {*paths, *listed})
    with open_executor(settings.scheduler, settings.n_workers) as executor:
        wanted_features: list[Feature[Any]] = [*features, *([_LOCAL] if with_details else [])]
        reading = read_files(
            found,
            wanted_features,
            store,
            executor=executor,
            progress=progress,
            thumbnails=True,
        )
    digests = {record.path: record.digest for record in reading.records}
    root_of = {entry.path: entry.root for entry in found.files}
    wanted = [path for path in root_of if path in digests or not _is_no_image(path, reading.skipped)]
    files = names_of([(path, root_of[path]) for path in wanted], {*paths, *listed})
    order = sorted(wanted, key=lambda path: (files[path], path))
    rows = [digests.get(path) for path in order]
    blocks = tuple(_block(feature, rows, store) for feature in features)
    small = store.descriptors(THUMBNAIL_KEY, set(digests.values()))
    thumbnails = tuple(None if row is None else small.get(row) for row in rows)
    details = _details(rows, thumbnails, store) if with_details else None
    if not digests:
        raise UsageError("no picture could be read there" + _reasons(reading.skipped))
    return Vectors(
        tuple(files[path] for path in order),
        tuple(order),
        blocks,
        tuple(SignalSource(f.name, f.version, dict(f.params)) for f in features),
        np.array([row is not None for row in rows], bool),
        reading.skipped,
        thumbnails,
        details,
    )


def _is_no_image(path: str, skipped: Sequence[Skipped]) -> bool:
    return any(s.path == path and s.kind == "not-an-image" for s in skipped)


def _reasons(skipped: Sequence[Skipped]) -> str:
    return f": {skipped[0].path}: {skipped[0].reason}" if skipped else ""


def _block(feature: VectorFeature, digests: Sequence[str | None], store: Any) -> NDArray[np.float32]:
    data = store.descriptors(feature.key, {digest for digest in digests if digest is not None})
    found = (None if digest is None else data.get(digest) for digest in digests)
    return feature.pack([None if d is None else feature.from_bytes(d) for d in found])


def _details(digests: Sequence[str | None], thumbnails: Sequence[bytes | None], store: Any) -> Details:
    data = store.descriptors(_LOCAL.key, {digest for digest in digests if digest is not None})
    none, known = (np.zeros(0, KEYPOINT), 1), {}
    for digest, found in data.items():
        if found:
            descriptor = _LOCAL.from_bytes(found)
            known[digest] = descriptor.keypoints, max(descriptor.width_px, descriptor.height_px)
    rows = [none if digest is None else known.get(digest, none) for digest in digests]
    return Details(
        tuple(keypoints for keypoints, _ in rows),
        tuple(thumbnail or b"" for thumbnail in thumbnails),
        np.array([longest_px for _, longest_px in rows], np.int64),
        _LOCAL.key,
    )


def train_autoencoder(
    vectors: Vectors, *, n_epochs: int | None, seed: int = 0, progress: Progress | None = None
) -> bytes:
    """An ONNX image network that learned from the pictures: one more embedding of them."""
    pictures = [_square(data) for data in vectors.thumbnails if data is not None]
    shown = np.stack(pictures) if pictures else np.zeros((0, AUTOENCODER_PX, AUTOENCODER_PX, 3), np.uint8)
    return fit_autoencoder(shown, n_epochs=n_epochs or N_EPOCHS, seed=seed, progress=progress)


def _square(thumbnail: bytes) -> RGB:
    rgb = decode(thumbnail, longest_px=THUMBNAIL_PX).rgb
    square: RGB = cv2.resize(rgb, (AUTOENCODER_PX, AUTOENCODER_PX), interpolation=cv2.INTER_AREA)
    return square


def train_profile(
    vectors: Vectors, labels: Sequence[str], *, seed: int = 0, progress: Progress | None = None
) -> ProductModel:
    """Learn a profile from the readable pictures that have a label."""
    used = np.array([label != "" for label in labels], bool) & vectors.readable
    if not used.any():
        raise UsageError("no picture has a label")
    return train(
        [block[used] for block in vectors.blocks],
        [label for label, is_used in zip(labels, used, strict=True) if is_used],
        vectors.sources,
        details=None if vectors.details is None else vectors.details.take(used),
        seed=seed,
        provenance={"signals": [source.name for source in vectors.sources]},
        progress=progress,
    )


def cluster(vectors: Vectors, model: ProductModel | None = None, **how: Unpack[GroupingRequest]) -> Stopped:
    """Labels of the pictures by product; -1 for those that could not be read. Identical files share one."""
    if model is None and int(vectors.readable.sum()) == 1:
        return Stopped(np.where(vectors.readable, 0, -1), None, False)
    rows = [block[vectors.readable] for block in vectors.blocks]
    found = group(model or untrained(rows, vectors.sources), rows, **how)
    labels = np.full(len(vectors.files), -1, np.int64)
    labels[vectors.readable] = found.labels
    first: dict[bytes, int] = {}
    for i, thumbnail in enumerate(vectors.thumbnails):
        # Pictures without evidence stand alone, but for those that are the same.
        if thumbnail is not None and not any(np.isfinite(block[i]).all() for block in vectors.blocks):
            labels[i] = first.setdefault(thumbnail, int(labels[i]))
    return replace(found, labels=labels)


def profile_of_groups(vectors: Vectors, found: Stopped) -> ProductModel:
    """A profile that assigns new pictures to the groups that were found without answers.

    Raises
    ------
    UsageError
        Fewer than two pictures could be read.
    """
    rows = [block[vectors.readable] for block in vectors.blocks]
    if len(rows[0]) < 2:
        raise UsageError("a profile of groups needs two pictures at least")
    model = untrained(rows, vectors.sources)
    labels = labelled_in_order(found.labels[vectors.readable])
    about = {"unsupervised": True, "n_images": len(labels), "n_products": int(labels.max()) + 1}
    return replace(model, gallery=gallery_of_groups(model, rows, labels), provenance=about)


def fused_vectors(vectors: Vectors, model: ProductModel | None = None) -> NDArray[np.float32]:
    """(n, n_fused) what the pictures are grouped by; zeros for those that could not be read."""
    rows = [block[vectors.readable] for block in vectors.blocks]
    found = (model or untrained(rows, vectors.sources)).fuse_collection(rows)
    table = np.zeros((len(vectors.files), found.shape[1]), np.float32)
    table[vectors.readable] = found
    return table


def cluster_features(
    features: NDArray[np.floating[Any]], model: ProductModel | None = None, **how: Unpack[GroupingRequest]
) -> Stopped:
    """Labels for an array of vectors from elsewhere; a row with NaN gets -1.

    With a threshold and without a model the threshold is a cosine: 0.95 links what is 95 % similar.
    """
    known = np.isfinite(features).all(axis=1)
    labels = np.full(len(features), -1, np.int64)
    rows = features[known].astype(np.float32)
    if not len(rows):
        raise UsageError("every row of the features holds NaN: nothing to group")
    if model is None and len(rows) == 1:
        return Stopped(np.where(known, 0, -1), None, False)
    method, threshold, n_clusters = how.get("method"), how.get("threshold"), how.get("n_clusters")
    if model is None and how.get("photos_per_product") is None and (threshold, n_clusters) != (None, None):
        default = "components" if n_clusters is None else "ward"
        labels[known] = group_by_cosine(rows, threshold or 0.0, method or default, n_clusters)
        return Stopped(labels, None, False)
    blocks = [rows]
    if model is not None:
        sizes = [len(signal.map.mean) for signal in model.signals]
        if sum(sizes) != rows.shape[1]:
            raise UsageError(f"the profile wants {sum(sizes)} columns and the features have {rows.shape[1]}")
        blocks = np.split(rows, np.cumsum(sizes)[:-1], axis=1)
    else:
        # Of a network or of something alike: what is fit for an embedding is fit for most.
        model = untrained(blocks, [SignalSource(Embedding.name, 1, {})])
    found = group(model, blocks, **how)
    labels[known] = found.labels
    return replace(found, labels=labels)


def assign(vectors: Vectors, model: ProductModel) -> Assignment:
    """Assign every picture to a known product; unreadable ones are none of these."""
    return classify(model, vectors.blocks, vectors.details)


def load_features(path: str | os.PathLike[str]) -> NDArray[np.float32]:
    """An (n_images, n_dims) array from a ``.npy`` file.

    Raises
    ------
    UsageError
        The file is no such array.
    """
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, *NOT_AN_ARRAY) as exc:
        raise UsageError(f"{path} is not an array that numpy saved: {exc}") from exc
    except MemoryError as exc:
        raise UsageError(f"there is not enough memory for the array that {path} says it holds") from exc
    return as_features(found, str(path))


def as_features(found: Any, name: str = "the array") -> NDArray[np.float32]:
    """The same features as (n_images, n_dims) float32.

    Raises
    ------
    UsageError
        They are no such array.
    """
    if (
        not isinstance(found, np.ndarray)
        or found.ndim != 2
        or found.dtype.kind not in "fiu"
        or not found.size
    ):
        raise UsageError(f"{name} must hold one row of numbers an image: (n_images, n_dims)")
    return found.astype(np.float32)
