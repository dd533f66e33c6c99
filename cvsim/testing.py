"""What a signal of another package can be tested with: `check_feature`.

>>> from cvsim.testing import check_feature
>>> check_feature(MySignal())  # doctest: +SKIP

Needs no test framework; what is broken is an `AssertionError` that says what.
"""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cvsim.features.base import Feature
from cvsim.types import Comparison

if TYPE_CHECKING:
    from cvsim.types import RGB

SIMILARITY_TOLERANCE = 1e-4
"""Between the plain comparison and the one of many pairs, which may add in another order and precision."""
MIN_SELF_SIMILARITY = 0.9
REPEATING = "checkers"
"""The picture whose pattern repeats: keypoints may say that they agree on none, even with itself."""


def check_feature(feature: Feature[Any], pictures: Mapping[str, RGB] | None = None) -> None:
    """Hold a signal to everything that the other parts of cvsim rely on.

    Parameters
    ----------
    feature : Feature
    pictures : mapping of str to (H, W, 3) uint8 array, optional
        What it is tried on, by name; `contract_pictures` if not given. One is ``"photo"``, of which the
        signal must say something.

    Raises
    ------
    AssertionError
        It breaks the contract; the message says where.
    """
    pictures = dict(contract_pictures() if pictures is None else pictures)
    _check_identity(feature)
    check_no_evidence(feature, flat_pictures(), pictures["photo"])
    descriptors = {name: feature.extract(rgb) for name, rgb in pictures.items()}
    _check_extraction_repeats(feature, pictures["photo"], descriptors)
    _check_bytes(feature, descriptors)
    _check_comparisons(feature, descriptors)
    _check_many(feature, descriptors)
    _check_keys(feature, descriptors)


def flat_pictures() -> dict[str, RGB]:
    """Pictures of which no signal may say anything: their copies could be copies of anything."""
    levels = {"black": (0, 0, 0), "grey": (128, 128, 128), "white": (255, 255, 255), "red": (220, 30, 40)}
    return {name: np.full((240, 320, 3), color, np.uint8) for name, color in levels.items()}


def contract_pictures() -> dict[str, RGB]:
    """A made photograph, copies of it, others, and pictures of unusual shapes."""
    photo = _made_photo(2)
    height, width = photo.shape[:2]
    small = cv2.resize(photo, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    bordered = np.zeros((height + 60, width, 3), np.uint8)
    bordered[30:-30] = photo
    found = {
        "photo": photo,
        "other": _made_photo(5),
        "tall": np.ascontiguousarray(_made_photo(8)[:, :200]),
        "flat": flat_pictures()["grey"],
        "half": small,
        "crop": np.ascontiguousarray(photo[30:-30, 40:-40]),
        "mirrored": np.ascontiguousarray(photo[:, ::-1]),
        "rotated": np.ascontiguousarray(np.rot90(photo)),
        "bordered": bordered,
        "grey": np.repeat(photo.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8),
        "noise": np.random.default_rng(1).integers(0, 256, (200, 200, 3)).astype(np.uint8),
        REPEATING: (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, 2),
        "not contiguous": photo[::2, ::-1],
    }
    for rows, columns in ((1, 1), (1, 2), (2, 1), (3, 500), (500, 3), (7, 7), (31, 33)):
        found[f"{columns} x {rows}"] = np.ascontiguousarray(np.resize(photo, (rows, columns, 3)))
    return found


def _made_photo(seed: int, width_px: int = 320, height_px: int = 240) -> RGB:
    """Soft ground, shapes with edges, and grain, (height_px, width_px, 3)."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 216, (4, 5, 3)).astype(np.float32)
    picture = cv2.resize(coarse, (width_px, height_px), interpolation=cv2.INTER_CUBIC)
    for _ in range(24):
        x, y = int(rng.integers(0, width_px)), int(rng.integers(0, height_px))
        color = tuple(int(level) for level in rng.integers(0, 256, 3))
        size = int(rng.integers(6, 48))
        if rng.random() < 0.5:
            cv2.circle(picture, (x, y), size // 2, color, -1)
        else:
            cv2.rectangle(picture, (x, y), (x + size, y + size // 2 + 3), color, -1)
    picture += rng.normal(0, 3, picture.shape)
    pixels: RGB = picture.clip(0, 255).astype(np.uint8)
    return pixels


def _hold(condition: object, message: str) -> None:
    # No assert statement: the interpreter may be told to leave those out.
    if not condition:
        raise AssertionError(message)


def _check_identity(feature: Feature[Any]) -> None:
    name = feature.name
    _hold(name and name == name.strip(), f"the name {name!r} is empty or has blanks around it")
    _hold(isinstance(feature.version, int) and feature.version >= 1, f"{name}: version is no number from 1")
    _hold(feature.signals, f"{name}: signals is empty")
    _hold(len(set(feature.signals)) == len(feature.signals), f"{name}: two signals have one name")
    params = dict(feature.params)
    listed = json.loads(json.dumps(params, default=list))
    _hold(json.loads(json.dumps(params)) == listed, f"{name}: params are not JSON values")
    _hold(feature.key.startswith(f"{name}:{feature.version}:"), f"{name}: the key is {feature.key!r}")


def check_no_evidence(feature: Feature[Any], pictures: Mapping[str, RGB], photo: RGB) -> None:
    """Hold a signal to say nothing of some pictures, compared with themselves and with `photo`.

    Raises
    ------
    AssertionError
        It says something of one, or nothing of the photo.
    """
    known = feature.extract(photo)
    _hold(known is not None, f"{feature.name} says nothing of a photo")
    for name, rgb in pictures.items():
        descriptor = feature.extract(rgb)
        # A signal may keep what it needs later, but must say nothing about the pair.
        for other in (descriptor, known):
            for comparison in feature.compare(descriptor, other):
                _hold(comparison.similarity is None, f"{feature.name} says something of {name} pictures")
    nothing = [comparison.similarity for comparison in feature.compare(None, None)]
    _hold(nothing == [None] * len(feature.signals), f"{feature.name} says something of nothing")


def _check_extraction_repeats(feature: Feature[Any], photo: RGB, descriptors: Mapping[str, Any]) -> None:
    """The same pixels give the same descriptor: the input is not changed, nothing is remembered."""
    picture = photo.copy()
    again = feature.extract(picture)
    _hold(np.array_equal(picture, photo), f"{feature.name}: extract changed its input")
    first, second = feature.to_bytes(descriptors["photo"]), feature.to_bytes(again)
    _hold(first == second, f"{feature.name}: the same pixels gave another descriptor")
    other = pickle.loads(pickle.dumps(feature))
    same = (other.key, other.signals, other.search) == (feature.key, feature.signals, feature.search)
    _hold(same, f"{feature.name}: it is another one after a pickle")
    _hold(other.to_bytes(other.extract(picture)) == first, f"{feature.name}: another process differs")


def _check_bytes(feature: Feature[Any], descriptors: Mapping[str, Any]) -> None:
    known = {name: descriptor for name, descriptor in descriptors.items() if descriptor is not None}
    for name, descriptor in known.items():
        data = feature.to_bytes(descriptor)
        _hold(isinstance(data, bytes), f"{feature.name}: to_bytes gives no bytes for {name}")
        back = feature.from_bytes(data)
        _hold(feature.to_bytes(back) == data, f"{feature.name}: bytes of {name} do not come back")
        same = feature.compare(back, known["photo"]) == feature.compare(descriptor, known["photo"])
        _hold(same, f"{feature.name}: {name} compares otherwise once it was stored")


def _check_comparisons(feature: Feature[Any], descriptors: Mapping[str, Any]) -> None:
    photo = descriptors["photo"]
    for name, descriptor in descriptors.items():
        said = feature.compare(descriptor, photo)
        _hold(tuple(c.feature for c in said) == feature.signals, f"{feature.name}: {name}: other signals")
        for forth, back in zip(said, feature.compare(photo, descriptor), strict=True):
            _check_range(feature, forth)
            symmetric = _is_near(forth.similarity, back.similarity)
            _hold(symmetric, f"{feature.name}: {name} and the photo are not symmetric")
        for comparison in feature.compare(descriptor, descriptor):
            _check_range(feature, comparison)
            is_likeness = comparison.feature not in feature.amounts
            if comparison.similarity is not None and is_likeness and name != REPEATING:
                alike = comparison.similarity > MIN_SELF_SIMILARITY
                _hold(alike, f"{feature.name}: {name} is not like itself")


def _check_range(feature: Feature[Any], comparison: Comparison) -> None:
    _hold(comparison.weight == 0, f"{feature.name}: a signal has no weight of its own")
    if comparison.similarity is not None:
        in_range = 0 <= comparison.similarity <= 1
        _hold(in_range, f"{feature.name}: a similarity of {comparison.similarity} is not in [0, 1]")
        json.dumps(dict(comparison.detail))


def _is_near(a: float | None, b: float | None) -> bool:
    return a is b if a is None or b is None else math.isclose(a, b, rel_tol=0, abs_tol=SIMILARITY_TOLERANCE)


def _check_many(feature: Feature[Any], descriptors: Mapping[str, Any]) -> None:
    """`compare_many` is `compare`, pair by pair, no evidence included."""
    names = list(descriptors)
    a, b = (grid.ravel().astype(np.int64) for grid in np.indices((len(names), len(names))))
    packed = feature.pack([descriptors[name] for name in names])
    many = feature.compare_many(packed, a, b)
    _hold(tuple(many) == feature.signals, f"{feature.name}: compare_many gives {tuple(many)}")
    for values in many.values():
        fits = values.dtype == np.float32 and values.shape == a.shape
        _hold(fits, f"{feature.name}: compare_many gives no (n,) float32")
    for k, (i, j) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        for comparison in feature.compare(descriptors[names[i]], descriptors[names[j]]):
            value = float(many[comparison.feature][k])
            same = _is_near(comparison.similarity, None if math.isnan(value) else value)
            _hold(same, f"{feature.name}: compare_many differs for {names[i]} and {names[j]}")
    nothing = np.zeros(0, np.int64)
    empty = [len(values) for values in feature.compare_many(packed, nothing, nothing).values()]
    _hold(empty == [0] * len(many), f"{feature.name}: no pairs give values")
    feature.pack([])


def _check_keys(feature: Feature[Any], descriptors: Mapping[str, Any]) -> None:
    name = feature.name
    _hold(
        feature.search in {"hamming", "words", "vector", "track", "none"},
        f"{name}: search is {feature.search!r}",
    )
    packed = feature.pack(list(descriptors.values()))
    everything = np.arange(len(descriptors), dtype=np.int64)
    if feature.search == "hamming" and (keys := feature.hash_keys(packed)) is not None:
        types = [str(part.dtype) for part in (keys.owner, keys.stored, keys.variants)]
        _hold(types == ["int64", "uint64", "uint64"], f"{name}: keys are {types}")
        _hold(len(keys.owner) == len(keys.stored) == len(keys.variants), f"{name}: keys differ in length")
        with_evidence = {k for k, d in enumerate(descriptors.values()) if d is not None}
        _hold(set(keys.owner.tolist()) == with_evidence, f"{name}: keys belong to other pictures")
        if keys.negatives is not None:
            found = str(keys.negatives.dtype), keys.negatives.ndim, len(keys.negatives)
            _hold(found == ("uint64", 2, len(keys.owner)), f"{name}: negatives are {found}")
        if keys.variants.ndim == 2:
            own = (keys.variants == keys.stored[:, None]).any(axis=1).all()
            _hold(own, f"{name}: a picture does not look for its own hash")
    if feature.search == "words":
        words = feature.word_keys(packed, everything)
        _hold(words is not None, f"{name}: it is searched by words and has none")
        assert words is not None
        for part in (words.owner[: words.n_upright], words.owner[words.n_upright or len(words.owner) :]):
            _hold((np.diff(part) >= 0).all(), f"{name}: owners of words are not ascending")
        _hold(words.bits.shape == (len(words.owner), 4), f"{name}: words have {words.bits.shape} bits")
        lengths = {len(words.angle), len(words.level), len(words.position), len(words.owner)}
        _hold(len(lengths) == 1, f"{name}: words differ in length")
