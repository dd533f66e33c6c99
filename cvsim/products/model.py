"""A trained product model: what it computes, and the one file that it is kept in.

The file is a zip of numpy arrays (``.npz``) without pickled objects, so that one from a stranger can do no
more than be wrong. Its member ``about`` is a JSON text in UTF-8 with everything that is not an array::

    {"schema": "cvsim.product/3", "signals": [{"name", "version", "params", "weight"}],
     "pair": {"slope", "prior", "threshold"},
     "grouping": {"method", "power", "thresholds": {...}, "curves": {...},
                  "photos_per_product"},
     "classify": {...}, "labels": [...], "provenance": {...}, "quality": {...}}

``mean_K`` and ``projection_K`` are the linear map of signal K; ``gallery`` and ``gallery_labels`` are the
fused vectors of the training photos and the position of their label in ``labels``; ``gallery_plain``,
``gallery_density`` and ``gallery_weights`` are what `Gallery` says. With details, ``gallery_keypoints``,
``gallery_n_keypoints``, ``gallery_pictures``, ``gallery_n_bytes`` and ``gallery_longest_px`` are what
`Details.to_arrays` says, and ``classify.keypoints`` names the feature that found the keypoints.
"""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.errors import SettingsError
from cvsim.products.details import Details
from cvsim.products.metric import LinearMap, normalised, spread_evenly
from cvsim.products.reranking import MOST_NEAR, near_enough

if TYPE_CHECKING:
    from numpy.typing import NDArray

PRODUCT_SCHEMA = "cvsim.product/3"
MAX_PROFILE_BYTES = 2_000_000_000
DEFAULT_PAIR_THRESHOLD = 0.5


@dataclass(frozen=True)
class SignalSource:
    """Where a block of vectors comes from: the feature's name, version and parameters."""

    name: str
    version: int
    params: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Signal:
    """One signal of a model.

    Attributes
    ----------
    name : str
    version : int
    params : mapping
        Of the feature that the model was trained with; another one is refused.
    weight : float
        Share of the fused cosine, in [0, 1]; the weights of a model sum to 1.
    map : LinearMap
    """

    name: str
    version: int
    params: Mapping[str, Any]
    weight: float
    map: LinearMap


@dataclass(frozen=True, slots=True)
class MergeCurve:
    """Probability that a pair joined by a merge is of one product: falls with the log of its height."""

    intercept: float
    slope: float

    def probability(self, height: float) -> float:
        """Say how likely a merge at this height joins one product."""
        return 1 / (1 + math.exp(-self._log_odds(max(height, 1e-9))))

    def height(self, probability: float) -> float:
        """The height at which merges are as sure as `probability`; 0 for 1.0, infinite for 0.0."""
        if probability >= 1:
            return 0.0
        if probability <= 0:
            return math.inf
        exponent = (math.log(probability / (1 - probability)) - self.intercept) / self.slope
        return math.exp(min(50.0, max(-50.0, exponent)))

    def _log_odds(self, height: float) -> float:
        return min(700.0, max(-700.0, self.intercept + self.slope * math.log(height)))


@dataclass(frozen=True, eq=False)
class GroupingRule:
    """How a collection is grouped.

    Attributes
    ----------
    method : str
        See `cvsim.products.partition`.
    power : float
        How far the variances of the mapped collection are evened out before, 0 to 0.5.
    thresholds : mapping of method to float
        Probability from which a merge is made, as learned for each method.
    curves : mapping of method to MergeCurve
    photos_per_product : float or None
        How many the products had that were learned from, where any were: the methods ``measured`` and
        ``reciprocal`` take new ones to have about as many.
    """

    method: str
    power: float
    thresholds: Mapping[str, float]
    curves: Mapping[str, MergeCurve]
    photos_per_product: float | None = None

    @property
    def n_near(self) -> int:
        """Neighbours that the method ``reciprocal`` looks at."""
        return MOST_NEAR if self.photos_per_product is None else near_enough(self.photos_per_product)


@dataclass(frozen=True, eq=False)
class Gallery:
    """Labelled photos that new ones are assigned to.

    Attributes
    ----------
    labels : tuple of str
    vectors : (n, n_dims) float16
        Fused.
    codes : (n,) int64
        Position of each vector's label in `labels`.
    plain : (n, n_plain) float16
        See `plain_vectors`.
    density : (n, 1 + 2 * n_signals) float64
        See `cvsim.products.gallery.Photos`.
    weights : (n_facts,) float64
    intercept : float
        Log-odds that a photo shows a known product: ``facts @ weights + intercept``, with the facts of
        `cvsim.products.gallery.evidence`.
    temperature : float
        Temperature of the softmax between the known products.
    rejection : float
        Probability below which a photo is "none of these".
    details : Details or None
        Keypoints and small pictures of the photos.
    """

    labels: tuple[str, ...]
    vectors: NDArray[np.float16]
    codes: NDArray[np.int64]
    plain: NDArray[np.float16]
    density: NDArray[np.float64]
    weights: NDArray[np.float64]
    intercept: float
    temperature: float
    rejection: float
    details: Details | None = None


@dataclass(frozen=True, eq=False)
class ProductModel:
    """A metric over signals, a grouping rule, and (when trained) the known products.

    Attributes
    ----------
    signals : tuple of Signal
    pair_slope, pair_prior : float
        Log-odds that two photos show one product: ``prior + slope * fused cosine``.
    pair_threshold : float
        In [0, 1]: the probability of a pair from which linking it grouped held-out products best.
    grouping : GroupingRule
    gallery : Gallery or None
    provenance : mapping
        What it was trained on, when and with what.
    quality : mapping
        How well it did on products that were held out.
    """

    signals: tuple[Signal, ...]
    pair_slope: float
    pair_prior: float
    grouping: GroupingRule
    pair_threshold: float = DEFAULT_PAIR_THRESHOLD
    gallery: Gallery | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    quality: Mapping[str, Any] = field(default_factory=dict)

    def fuse(self, blocks: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """One vector an image, (n, n_fused), from one (n, n_dims) block a signal.

        The inner product of two is the weighted mean of the signals' cosines; a signal without evidence
        (a row of NaN) adds nothing to it. A row depends on its own image alone.
        """
        mapped = [signal.map(block) for signal, block in zip(self.signals, blocks, strict=True)]
        return fused(mapped, [signal.weight for signal in self.signals])

    def fuse_collection(self, blocks: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Like `fuse`, for grouping: centred and evened out on the collection itself."""
        mapped = [s.map(block, recentre=True) for s, block in zip(self.signals, blocks, strict=True)]
        return fused(even_out(mapped, self.grouping.power), [signal.weight for signal in self.signals])

    def fuse_plain(self, blocks: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Like `fuse`, before anything was learned: see `plain_vectors`."""
        return plain_vectors(blocks, [signal.weight for signal in self.signals])

    def to_bytes(self) -> bytes:
        """The file's content; the same model gives the same bytes."""
        arrays: dict[str, NDArray[Any]] = {}
        for k, signal in enumerate(self.signals):
            arrays[f"mean_{k}"] = signal.map.mean
            arrays[f"projection_{k}"] = signal.map.projection
        if self.gallery is not None:
            arrays["gallery"] = self.gallery.vectors
            arrays["gallery_labels"] = self.gallery.codes
            arrays["gallery_plain"] = self.gallery.plain
            arrays["gallery_density"] = self.gallery.density
            arrays["gallery_weights"] = self.gallery.weights
            if self.gallery.details is not None:
                for name, array in self.gallery.details.to_arrays().items():
                    arrays[f"gallery_{name}"] = array
        text = json.dumps(_about(self), sort_keys=True, ensure_ascii=True)
        arrays["about"] = np.frombuffer(text.encode(), np.uint8)
        stream = io.BytesIO()
        np.savez_compressed(stream, allow_pickle=False, **arrays)
        return stream.getvalue()


def n_facts(n_signals: int) -> int:
    """How many facts `cvsim.products.gallery.evidence` weighs."""
    return 4 + 2 * n_signals


def even_out(mapped: Sequence[NDArray[np.float32]], power: float) -> list[NDArray[np.float32]]:
    """Each block with its variances evened out over the collection (see `spread_evenly`)."""
    if power <= 0 or len(mapped[0]) < 3:
        return list(mapped)
    found = []
    for block in mapped:
        known = np.linalg.norm(block, axis=1) > 0
        rows = np.where(known[:, None], block, np.float32(np.nan))
        found.append(spread_evenly(rows, power)(rows) if known.sum() > 2 else block)
    return found


def fused(mapped: Sequence[NDArray[np.float32]], weights: Sequence[float]) -> NDArray[np.float32]:
    """Blocks beside each other, each scaled so that inner products add up with `weights`."""
    return np.hstack([b * np.float32(math.sqrt(w)) for b, w in zip(mapped, weights, strict=True)])


def plain_vectors(blocks: Sequence[NDArray[np.float32]], weights: Sequence[float]) -> NDArray[np.float32]:
    """Like `fused`, of the signals' own vectors: inner products are weighted means of plain cosines."""
    return fused([normalised(np.nan_to_num(block)) for block in blocks], weights)


def read_product_model(path: str | os.PathLike[str]) -> ProductModel:
    """Read a trained file.

    Raises
    ------
    SettingsError
        The file is missing, is no product model, is damaged, or is of a newer version.
    """
    file = Path(path)
    try:
        if file.stat().st_size > MAX_PROFILE_BYTES:
            raise SettingsError(f"{file}: too large for a trained profile")
        with np.load(file, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise SettingsError(f"{file}: not a trained product profile; make one with cvsim train")
            arrays = {name: archive[name] for name in archive.files}
    except SettingsError:
        raise
    except OSError as exc:
        raise SettingsError(f"{file}: cannot be read: {exc.strerror or exc}") from exc
    except MemoryError as exc:
        raise SettingsError(f"{file}: there is not enough memory for what it says it holds") from exc
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, NotImplementedError) as exc:
        raise SettingsError(f"{file}: not a trained product profile ({exc})") from exc
    except Exception as exc:  # zlib.error and what a hostile archive may raise besides
        raise SettingsError(f"{file}: damaged: {exc}") from exc
    try:
        return _from_arrays(arrays)
    except SettingsError as exc:
        raise SettingsError(f"{file}: {exc}") from exc
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError) as exc:
        raise SettingsError(f"{file}: not a whole product profile; train it again ({exc!r})") from exc


def is_model_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file looks like a trained product profile: an archive with the member ``about``."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "about.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def _about(model: ProductModel) -> dict[str, Any]:
    gallery = model.gallery
    return {
        "schema": PRODUCT_SCHEMA,
        "signals": [
            {"name": s.name, "version": s.version, "params": dict(s.params), "weight": s.weight}
            for s in model.signals
        ],
        "pair": {
            "slope": model.pair_slope,
            "prior": model.pair_prior,
            "threshold": model.pair_threshold,
        },
        "grouping": {
            "method": model.grouping.method,
            "power": model.grouping.power,
            "thresholds": dict(model.grouping.thresholds),
            "curves": {name: [c.intercept, c.slope] for name, c in model.grouping.curves.items()},
            "photos_per_product": model.grouping.photos_per_product,
        },
        "classify": None
        if gallery is None
        else {
            "labels": list(gallery.labels),
            "intercept": gallery.intercept,
            "temperature": gallery.temperature,
            "rejection": gallery.rejection,
            "keypoints": None if gallery.details is None else gallery.details.key,
        },
        "provenance": dict(model.provenance),
        "quality": dict(model.quality),
    }


def _from_arrays(arrays: Mapping[str, NDArray[Any]]) -> ProductModel:
    about = json.loads(arrays["about"].tobytes())
    if about.get("schema") != PRODUCT_SCHEMA:
        raise SettingsError(
            f"of the kind {about.get('schema')!r}, which this version does not read ({PRODUCT_SCHEMA})"
        )
    signals = []
    for k, entry in enumerate(about["signals"]):
        mean = np.asarray(arrays[f"mean_{k}"], np.float32)
        projection = np.asarray(arrays[f"projection_{k}"], np.float32)
        if mean.ndim != 1 or projection.ndim != 2 or len(mean) != len(projection):
            raise ValueError(f"the map of signal {k} has the wrong shape")
        if not (np.isfinite(mean).all() and np.isfinite(projection).all()):
            raise ValueError(f"the map of signal {k} is not finite")
        signals.append(
            Signal(
                str(entry["name"]),
                int(entry["version"]),
                dict(entry["params"]),
                _finite(entry["weight"]),
                LinearMap(mean, projection),
            )
        )
    if not signals:
        raise ValueError("no signal")
    grouping = about["grouping"]
    return ProductModel(
        tuple(signals),
        _finite(about["pair"]["slope"]),
        _finite(about["pair"]["prior"]),
        GroupingRule(
            str(grouping["method"]),
            _finite(grouping["power"]),
            {str(k): _finite(v) for k, v in grouping["thresholds"].items()},
            {str(k): MergeCurve(_finite(v[0]), _finite(v[1])) for k, v in grouping["curves"].items()},
            None if (told := grouping.get("photos_per_product")) is None else max(1.0, _finite(told)),
        ),
        _finite(about["pair"].get("threshold", DEFAULT_PAIR_THRESHOLD)),
        _gallery(about["classify"], arrays, signals),
        about["provenance"],
        about["quality"],
    )


def _gallery(about: Any, arrays: Mapping[str, NDArray[Any]], signals: Sequence[Signal]) -> Gallery | None:
    if about is None:
        return None
    vectors, codes = np.asarray(arrays["gallery"], np.float16), np.asarray(arrays["gallery_labels"], np.int64)
    plain = np.asarray(arrays["gallery_plain"], np.float16)
    labels = tuple(str(label) for label in about["labels"])
    if vectors.ndim != 2 or vectors.shape != (len(codes), sum(s.map.projection.shape[1] for s in signals)):
        raise ValueError("the gallery has the wrong shape")
    if plain.shape != (len(codes), sum(len(s.map.mean) for s in signals)):
        raise ValueError("the gallery's plain vectors have the wrong shape")
    if not (np.isfinite(vectors).all() and np.isfinite(plain).all()):
        raise ValueError("the gallery is not finite")
    if len(codes) and not (codes.min() >= 0 and codes.max() < len(labels)):
        raise ValueError("the gallery names a label that is not there")
    shapes = {"density": (len(codes), 1 + 2 * len(signals)), "weights": (n_facts(len(signals)),)}
    found = {name: np.asarray(arrays[f"gallery_{name}"], np.float64) for name in shapes}
    for name, shape in shapes.items():
        if found[name].shape != shape or not np.isfinite(found[name]).all():
            raise ValueError(f"the gallery's {name} has the wrong shape")
    numbers = {name: _finite(about[name]) for name in ("intercept", "temperature", "rejection")}
    if numbers["temperature"] <= 0:
        raise ValueError("the temperature is not above 0")
    facts = found["density"], found["weights"]
    chances = numbers["intercept"], numbers["temperature"], numbers["rejection"]
    return Gallery(labels, vectors, codes, plain, *facts, *chances, _details(about, arrays, len(codes)))


def _details(about: Any, arrays: Mapping[str, NDArray[Any]], n: int) -> Details | None:
    if about["keypoints"] is None:
        return None
    named = {name: arrays[f"gallery_{name}"] for name in Details.ARRAYS}
    found = Details.from_arrays(named, str(about["keypoints"]))
    if len(found) != n:
        raise ValueError("the gallery's details are not of as many photos as its vectors")
    return found


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("a number is not finite")
    return number
