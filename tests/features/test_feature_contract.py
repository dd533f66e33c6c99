"""The contract of a signal: every entry of `FEATURES`, and any that is added, is held to it here.

`check_contract` is all that the signal of another package needs to call.
"""

from __future__ import annotations

import importlib.metadata
import json
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

import numpy as np
import pytest
from generate import RGB, altered, near_miss, scene

from cvsim.errors import SettingsError
from cvsim.features import FEATURES, known_features, make_features
from cvsim.features.base import Feature
from cvsim.settings import COPY, PROFILES
from cvsim.types import Comparison

NAMES = sorted(FEATURES)
TOLERANCE = 1e-4
"""Between the plain comparison and the one of many pairs, which may add in another order and precision."""


def flat(level: int, height: int = 240, width: int = 320) -> RGB:
    return np.full((height, width, 3), level, np.uint8)


def two_tone(top: int = 40, bottom: int = 200) -> RGB:
    picture = flat(top)
    picture[130:] = bottom
    return picture


def nearly_black() -> RGB:
    rng = np.random.default_rng(3)
    return rng.integers(0, 3, (240, 320, 3)).astype(np.uint8)


def red() -> RGB:
    return flat(30) + np.array([190, 0, 10], np.uint8)


FLAT: dict[str, RGB] = {"black": flat(0), "grey": flat(128), "white": flat(255), "red": red()}
"""Pictures of which no signal may say anything: their copies could be copies of anything."""

POOR: dict[str, RGB] = {"two-tone": two_tone(), "nearly black": nearly_black()}
"""Pictures of which no signal that recognises copies may say anything."""


def odd_pictures() -> Iterator[tuple[str, RGB]]:
    """Pictures of unusual shapes, which a signal may say nothing about but must survive."""
    photo = scene(4, 320, 240)
    for height, width in ((1, 1), (1, 2), (2, 1), (3, 500), (500, 3), (7, 7), (31, 33)):
        yield f"{width} x {height}", np.ascontiguousarray(np.resize(photo, (height, width, 3)))
    yield "grey", altered(photo, "grey")
    yield "checkers", (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, 2)
    yield "noise", np.random.default_rng(1).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    yield "one dot", _with_dot()
    yield "not contiguous", photo[::2, ::-1]


def _with_dot() -> RGB:
    picture = flat(255)
    picture[100:104, 100:104] = 0
    return picture


@dataclass(frozen=True)
class Gallery:
    """Pictures by name, the same for all signals."""

    pictures: dict[str, RGB]

    def pairs(self) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Names, and positions of all pairs in both orders."""
        names = list(self.pictures)
        a, b = (grid.ravel() for grid in np.meshgrid(range(len(names)), range(len(names)), indexing="ij"))
        return names, a.astype(np.int64), b.astype(np.int64)


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    photo = scene(2, 320, 240)
    pictures = {
        "photo": photo,
        "other": scene(5, 320, 240),
        "tall": scene(8, 200, 300),
        "miss a": near_miss(3)[0],
        "miss b": near_miss(3)[1],
        "flat": FLAT["grey"],
    }
    for kind in (
        "jpeg-low",
        "half",
        "crop50",
        "mirrored",
        "rotated90",
        "letterboxed",
        "captioned",
        "pasted",
        "grey",
    ):
        pictures[kind] = altered(photo, kind, 2)
    return Gallery(pictures | dict(odd_pictures()))


def check_contract(feature: Feature[Any], gallery: Gallery) -> None:
    """Hold one signal to everything that the other parts rely on."""
    check_identity(feature)
    check_no_evidence(feature, FLAT)
    descriptors = {name: feature.extract(rgb) for name, rgb in gallery.pictures.items()}
    check_extraction_repeats(feature, gallery, descriptors)
    check_bytes(feature, descriptors)
    check_comparisons(feature, descriptors)
    check_many(feature, gallery, descriptors)
    check_keys(feature, gallery, descriptors)


def check_identity(feature: Feature[Any]) -> None:
    assert feature.name
    assert feature.name == feature.name.strip()
    assert isinstance(feature.version, int)
    assert feature.version >= 1
    assert len(set(feature.signals)) == len(feature.signals) > 0
    assert json.loads(json.dumps(dict(feature.params))) == _as_json(feature.params), "params are JSON values"
    assert feature.key.startswith(f"{feature.name}:{feature.version}:")


def _as_json(params: Any) -> Any:
    return json.loads(json.dumps(dict(params), default=list))


def check_no_evidence(feature: Feature[Any], pictures: dict[str, RGB]) -> None:
    known = feature.extract(scene(2, 320, 240))
    assert known is not None
    for name, rgb in pictures.items():
        descriptor = feature.extract(rgb)
        # A signal may keep what it needs later, but must say nothing about the pair.
        for other in (descriptor, known):
            for comparison in feature.compare(descriptor, other):
                assert comparison.similarity is None, f"{feature.name} says something of {name} pictures"
    assert [c.similarity for c in feature.compare(None, None)] == [None] * len(feature.signals)


def check_extraction_repeats(feature: Feature[Any], gallery: Gallery, descriptors: dict[str, Any]) -> None:
    """The same pixels give the same descriptor: the input is not changed, nothing is remembered."""
    picture = gallery.pictures["photo"].copy()
    again = feature.extract(picture)
    assert np.array_equal(picture, gallery.pictures["photo"]), "extract changed its input"
    assert feature.to_bytes(again) == feature.to_bytes(descriptors["photo"])
    other = pickle.loads(pickle.dumps(feature))
    assert (other.key, other.signals, other.search) == (feature.key, feature.signals, feature.search)
    assert other.to_bytes(other.extract(picture)) == feature.to_bytes(again), "another process differs"


def check_bytes(feature: Feature[Any], descriptors: dict[str, Any]) -> None:
    known = {name: d for name, d in descriptors.items() if d is not None}
    for name, descriptor in known.items():
        data = feature.to_bytes(descriptor)
        assert isinstance(data, bytes), name
        back = feature.from_bytes(data)
        assert feature.to_bytes(back) == data, name
        assert feature.compare(back, known["photo"]) == feature.compare(descriptor, known["photo"]), name


def check_comparisons(feature: Feature[Any], descriptors: dict[str, Any]) -> None:
    for name, descriptor in descriptors.items():
        said = feature.compare(descriptor, descriptors["photo"])
        assert tuple(c.feature for c in said) == feature.signals, name
        for forth, back in zip(said, feature.compare(descriptors["photo"], descriptor), strict=True):
            check_range(forth)
            assert (forth.similarity is None) == (back.similarity is None), name
            if forth.similarity is not None:
                assert forth.similarity == pytest.approx(back.similarity, abs=TOLERANCE), (
                    f"{name}: not symmetric"
                )
        for comparison in feature.compare(descriptor, descriptor):
            check_range(comparison)
            # A pattern that repeats fits itself in many places: keypoints may say that they agree on none.
            if comparison.similarity is not None and name != "checkers":
                assert comparison.similarity > 0.9, f"{name} is not like itself"


def check_range(comparison: Comparison) -> None:
    assert comparison.weight == 0
    if comparison.similarity is not None:
        assert 0 <= comparison.similarity <= 1, comparison
        json.dumps(dict(comparison.detail))


def check_many(feature: Feature[Any], gallery: Gallery, descriptors: dict[str, Any]) -> None:
    """`compare_many` is `compare`, pair by pair, no evidence included."""
    names, a, b = gallery.pairs()
    packed = feature.pack([descriptors[name] for name in names])
    many = feature.compare_many(packed, a, b)
    assert tuple(many) == feature.signals
    for k, (i, j) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        said = feature.compare(descriptors[names[i]], descriptors[names[j]])
        for comparison in said:
            value = many[comparison.feature][k]
            expected = np.nan if comparison.similarity is None else comparison.similarity
            assert value == pytest.approx(expected, abs=TOLERANCE, nan_ok=True), (names[i], names[j])
    for values in many.values():
        assert values.dtype == np.float32
        assert values.shape == a.shape
    nothing = np.zeros(0, np.int64)
    assert [len(v) for v in feature.compare_many(packed, nothing, nothing).values()] == [0] * len(many)
    feature.pack([])


def check_keys(feature: Feature[Any], gallery: Gallery, descriptors: dict[str, Any]) -> None:
    assert feature.search in {"hamming", "words", "vector", "none"}
    packed = feature.pack(list(descriptors.values()))
    everything = np.arange(len(descriptors), dtype=np.int64)
    if feature.search == "hamming" and (keys := feature.hash_keys(packed)) is not None:
        assert keys.owner.dtype == np.int64
        assert keys.stored.dtype == keys.variants.dtype == np.uint64
        assert len(keys.owner) == len(keys.stored) == len(keys.variants)
        with_evidence = {k for k, d in enumerate(descriptors.values()) if d is not None}
        assert set(keys.owner.tolist()) == with_evidence
        assert (keys.variants == keys.stored[:, None]).any(axis=1).all() if keys.variants.ndim == 2 else True
    if feature.search == "words":
        words = feature.word_keys(packed, everything)
        assert words is not None
        assert (np.diff(words.owner) >= 0).all()
        assert words.bits.shape == (len(words.owner), 4)
        assert len(words.angle) == len(words.level) == len(words.position) == len(words.owner)


@pytest.mark.parametrize("name", NAMES)
def test_a_signal_keeps_the_contract(name: str, gallery: Gallery) -> None:
    (feature,) = make_features([name])
    assert feature.name == name
    check_contract(feature, gallery)


@pytest.mark.parametrize("name", NAMES)
def test_pixels_of_another_size_have_keys_of_their_own(name: str) -> None:
    """What was taken from smaller pictures must not be read as what it is of larger ones."""
    (feature,), (small,) = make_features([name]), make_features([name], working_px=256)
    assert small.key != feature.key
    for made in (feature, small):
        sent = pickle.loads(pickle.dumps(made))
        assert (sent.key, sent.working_px) == (made.key, made.working_px)


@pytest.mark.parametrize("name", sorted({name for names in COPY.signals.values() for name in names}))
def test_poor_pictures_are_no_evidence_of_a_copy(name: str) -> None:
    check_no_evidence(make_features([name])[0], POOR)


@pytest.mark.parametrize("name", NAMES)
def test_the_hash_of_a_signal_names_its_picture_first(name: str, gallery: Gallery) -> None:
    (feature,) = make_features([name])
    if feature.search != "hamming":
        pytest.skip("is not searched by hashes")
    keys = feature.hash_keys(feature.pack([feature.extract(gallery.pictures["photo"])]))
    if keys is None:
        pytest.skip("is compared only")
    assert keys.variants.ndim == 2
    assert keys.variants[0, 0] == keys.stored[0]


def test_an_unknown_signal_lists_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"unknown signal 'phsah'; known: .*phash"):
        make_features(["phash", "phsah"])


def test_signals_share_no_name_and_no_key() -> None:
    made = make_features(NAMES)
    assert len({feature.key for feature in made}) == len(made)


def test_signals_that_run_together_have_names_of_their_own() -> None:
    for profile in PROFILES.values():
        for names in profile.signals.values():
            signals = [signal for feature in make_features(names) for signal in feature.signals]
            assert len(set(signals)) == len(signals)


# --- a signal of another package --------------------------------------------------------------------------


class Brightness(Feature[float]):
    """The least that a signal has to be: mean brightness, where there is any contrast."""

    name = "brightness"

    def __init__(self, min_deviation: float = 2.0) -> None:
        self.min_deviation = min_deviation

    @property
    def params(self) -> dict[str, float]:
        return {"min_deviation": self.min_deviation}

    def extract(self, rgb: RGB) -> float | None:
        columns = rgb.mean(axis=(0, 2))
        return float(rgb.mean() / 255) if columns.std() >= self.min_deviation else None

    def compare(self, a: float | None, b: float | None) -> tuple[Comparison, ...]:
        return (Comparison(self.name, None if a is None or b is None else 1 - abs(a - b)),)

    def pack(self, descriptors: Any) -> Any:
        return np.array([np.nan if d is None else d for d in descriptors], np.float64)

    def compare_many(self, packed: Any, a: Any, b: Any) -> dict[str, Any]:
        return {self.name: (1 - np.abs(packed[a] - packed[b])).astype(np.float32)}

    def to_bytes(self, descriptor: float) -> bytes:
        return np.float64(descriptor).tobytes()

    def from_bytes(self, data: bytes) -> float:
        return float(np.frombuffer(data)[0])


class Liar(Brightness):
    """Breaks the contract: similar one way and different the other."""

    name = "liar"

    def compare(self, a: float | None, b: float | None) -> tuple[Comparison, ...]:
        return (Comparison(self.name, None if a is None or b is None else float(a <= b)),)


def test_the_contract_is_enough_for_a_signal_from_elsewhere(gallery: Gallery) -> None:
    check_contract(Brightness(), gallery)


def test_the_contract_notices(gallery: Gallery) -> None:
    with pytest.raises(AssertionError):
        check_contract(Liar(), gallery)


def test_other_parameters_are_stored_elsewhere() -> None:
    assert Brightness().key == Brightness().key
    assert Brightness().key != Brightness(12.0).key
    assert make_features(["local"])[0].key != make_features(["local-dense"])[0].key


def test_an_installed_package_adds_a_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("brightness", f"{__name__}:Brightness", "cvsim.features")

    def entry_points(*, group: str) -> list[EntryPoint]:
        return [point] if group == "cvsim.features" else []

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    assert "brightness" in known_features()
    (feature,) = make_features(["brightness"])
    assert feature.name == "brightness"


def test_an_installed_package_replaces_no_signal_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("phash", f"{__name__}:Brightness", "cvsim.features")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: [point])
    assert make_features(["phash"])[0].name == "phash"
