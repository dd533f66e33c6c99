"""The contract of a signal, `cvsim.testing.check_feature`: every entry of `FEATURES` is held to it here."""

from __future__ import annotations

import importlib.metadata
import pickle
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from typing import Any

import numpy as np
import pytest
from generate import RGB, altered, near_miss, scene

from cvsim.errors import SettingsError
from cvsim.features import FEATURES, known_features, make_features
from cvsim.features.base import Feature
from cvsim.settings import COPY, PROFILES
from cvsim.testing import check_feature, check_no_evidence, contract_pictures
from cvsim.types import Comparison

NAMES = sorted(name for name, make in FEATURES.items() if make().sees_pixels)


def flat(level: int, height: int = 240, width: int = 320) -> RGB:
    return np.full((height, width, 3), level, np.uint8)


def two_tone(top: int = 40, bottom: int = 200) -> RGB:
    picture = flat(top)
    picture[130:] = bottom
    return picture


def nearly_black() -> RGB:
    rng = np.random.default_rng(3)
    return rng.integers(0, 3, (240, 320, 3)).astype(np.uint8)


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


@pytest.fixture(scope="module")
def gallery() -> dict[str, RGB]:
    photo = scene(2, 320, 240)
    pictures = {
        "photo": photo,
        "other": scene(5, 320, 240),
        "tall": scene(8, 200, 300),
        "miss a": near_miss(3)[0],
        "miss b": near_miss(3)[1],
        "flat": flat(128),
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
    return pictures | dict(odd_pictures())


@pytest.mark.parametrize("name", NAMES)
def test_a_signal_keeps_the_contract(name: str, gallery: dict[str, RGB]) -> None:
    (feature,) = make_features([name])
    assert feature.name == name
    check_feature(feature, gallery)


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
    check_no_evidence(make_features([name])[0], POOR, scene(2, 320, 240))


@pytest.mark.parametrize("name", NAMES)
def test_the_hash_of_a_signal_names_its_picture_first(name: str, gallery: dict[str, RGB]) -> None:
    (feature,) = make_features([name])
    if feature.search != "hamming":
        pytest.skip("is not searched by hashes")
    keys = feature.hash_keys(feature.pack([feature.extract(gallery["photo"])]))
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


def test_the_contract_is_enough_for_a_signal_from_elsewhere(gallery: dict[str, RGB]) -> None:
    check_feature(Brightness(), gallery)


def test_the_contract_needs_no_pictures_of_ones_own() -> None:
    check_feature(Brightness())
    assert contract_pictures()["photo"].shape == (240, 320, 3)


@pytest.mark.parametrize("name", ["phash", "color"])
def test_our_signals_keep_the_contract_on_the_pictures_that_ship(name: str) -> None:
    check_feature(make_features([name])[0])


def test_the_contract_notices(gallery: dict[str, RGB]) -> None:
    with pytest.raises(AssertionError, match=r"liar: .* not symmetric"):
        check_feature(Liar(), gallery)


def test_the_contract_is_checked_without_a_test_framework() -> None:
    program = (
        "import sys; from cvsim.testing import check_feature; from cvsim.features import make_features; "
        "check_feature(make_features(['phash'])[0]); assert 'pytest' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


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
