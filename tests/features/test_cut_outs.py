"""A cut-out and the same laid on one colour are one picture; two cut-outs are not, whatever they lie on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from generate import RGB, scene
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from PIL import Image

import cvsim
from cvsim.features import make_features
from cvsim.features.ground import ground_of, laid_on
from cvsim.features.picture import Picture
from cvsim.images import pillow
from cvsim.images.decode import pixel_digest
from cvsim.images.source import source_pixel_digest
from cvsim.types import SeenThrough

GROUNDS = {"white": (255, 255, 255), "black": (0, 0, 0), "navy": (10, 20, 90), "yellow": (250, 220, 40)}
FEATURES = make_features(("phash", "tiles", "color", "levels", "local"))


def _cut_out(seed: int, side: int) -> NDArray[np.uint8]:
    """A scene in the outline of a star with round ends and a hole, (side, side, 4)."""
    alpha = np.zeros((side * 4, side * 4), np.uint8)
    at = np.arange(10) * np.pi / 5
    reach = np.where(np.arange(10) % 2, 0.9 + 0.2 * (seed % 3), 1.8) * side
    points = np.stack([2 * side + reach * np.sin(at), 2 * side - reach * np.cos(at)], axis=1)
    cv2.fillPoly(alpha, [np.rint(points).astype(np.int32)], 255)
    cv2.circle(alpha, (2 * side, 2 * side), side // 3, 0, -1)
    alpha = cv2.resize(alpha, (side, side), interpolation=cv2.INTER_AREA)
    return np.dstack([scene(seed, side, side), alpha])


def _on(cut_out: NDArray[np.uint8], color: tuple[int, int, int]) -> RGB:
    ground = Image.new("RGBA", (cut_out.shape[1], cut_out.shape[0]), (*color, 255))
    ground.alpha_composite(Image.fromarray(cut_out, "RGBA"))
    return np.asarray(ground.convert("RGB"))


def _bare(cut_out: NDArray[np.uint8], seed: int) -> RGB:
    """Its colours, with others under the transparent parts: what was drawn there before it was cut out."""
    side = len(cut_out)
    hidden = scene(seed + 50, side, side)
    return np.where(cut_out[..., 3:] > 0, cut_out[..., :3], hidden)


def _saved(folder: Path, seeds: range, side: int) -> None:
    for seed in seeds:
        cut_out = _cut_out(seed, side)
        Image.fromarray(cut_out, "RGBA").save(folder / f"{seed}-cut.png")
        for name, color in GROUNDS.items():
            Image.fromarray(_on(cut_out, color)).save(folder / f"{seed}-{name}.jpg", quality=90)


@pytest.mark.parametrize(("effort", "side"), [("fast", 320), ("default", 64), ("default", 320)])
def test_a_cut_out_is_found_on_any_ground(effort: Any, side: int, tmp_path: Path) -> None:
    _saved(tmp_path, range(3), side)
    report = cvsim.dedupe([tmp_path], effort=effort, cache=None)
    found = [{Path(m.record.path).stem for m in group.members} for group in report.groups]
    wanted = ["white", "black"] if effort == "fast" else list(GROUNDS)
    for seed in range(3):
        group = next(names for names in found if f"{seed}-cut" in names)
        assert group >= {f"{seed}-{name}" for name in wanted}
        assert {name.split("-")[0] for name in group} == {str(seed)}


@pytest.mark.parametrize("effort", ["fast", "default"])
def test_a_cut_out_is_found_where_its_alpha_was_dropped(effort: Any, tmp_path: Path) -> None:
    for seed in range(3):
        cut_out = _cut_out(seed, 320)
        bare = _bare(cut_out, seed)
        Image.fromarray(np.dstack([bare, cut_out[..., 3]]), "RGBA").save(tmp_path / f"{seed}-cut.png")
        Image.fromarray(bare).save(tmp_path / f"{seed}-bare.jpg", quality=85)
    report = cvsim.dedupe([tmp_path], effort=effort, cache=None)
    found = sorted(sorted(Path(m.record.path).stem for m in group.members) for group in report.groups)
    assert found == [[f"{seed}-bare", f"{seed}-cut"] for seed in range(3)]
    assert report.counts.duplicates == 0


def taken_apart(picture: Image.Image) -> SeenThrough | None:
    alpha = pillow.read_alpha(picture)
    return None if alpha is None else pillow.seen_through(picture, alpha, (100, 100), 6)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_a_large_cut_out_is_taken_apart_as_a_small_one(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A channel at a time, for it must not be held once more."""
    picture = Image.fromarray(_cut_out(4, 300), "RGBA")
    if mode == "P":
        picture = picture.convert("P")
        picture.info["transparency"] = 0
    else:
        picture = picture.convert(mode)
    held = taken_apart(picture)
    monkeypatch.setattr(pillow, "_BAND_PIXELS", 1000)
    large = taken_apart(picture)
    assert held is not None
    if mode == "P":
        assert large is None  # its colours would have to be held in four bytes a pixel
        return
    assert large is not None
    for a, b in ((held.alpha, large.alpha), (held.bare, large.bare)):
        assert a.shape[:2] == (100, 100)
        assert np.abs(a.astype(int) - b).max() <= 1


def test_what_was_laid_on_one_colour_can_go(tmp_path: Path) -> None:
    cut_out = _cut_out(5, 240)
    Image.fromarray(cut_out, "RGBA").save(tmp_path / "cut.png")
    for name in ("black", "navy"):
        Image.fromarray(_on(cut_out, GROUNDS[name])).save(tmp_path / f"{name}.jpg", quality=92)
    (group,) = cvsim.dedupe([tmp_path], cache=None).groups
    assert Path(group.keep).name == "cut.png"
    assert {Path(m.record.path).name for m in group.members if m.proposed} == {"black.jpg", "navy.jpg"}


def test_white_on_nothing_is_compared_where_it_is_seen(tmp_path: Path) -> None:
    for seed in range(2):
        cut_out = _cut_out(seed, 200)
        cut_out[..., :3] = 255
        cut_out[..., 3] = np.rint(cut_out[..., 3] * (scene(seed, 200, 200)[..., 1] / 255.0))
        Image.fromarray(cut_out, "RGBA").save(tmp_path / f"{seed}-cut.png")
        Image.fromarray(cut_out, "RGBA").resize((150, 150)).save(tmp_path / f"{seed}-small.png")
    report = cvsim.dedupe([tmp_path], cache=None)
    found = sorted(sorted(Path(m.record.path).stem for m in group.members) for group in report.groups)
    assert found == [["0-cut", "0-small"], ["1-cut", "1-small"]]


def test_pixels_of_files_and_of_pictures_are_digested_alike(tmp_path: Path) -> None:
    digests = set()
    for seed in range(2):
        cut_out = _cut_out(seed, 120)
        cut_out[..., :3] = 255
        picture = Image.fromarray(cut_out, "RGBA")
        for name in ("cut.png", "cut.webp"):
            picture.save(tmp_path / name, lossless=True)
            digest = pixel_digest((tmp_path / name).read_bytes())
            assert digest == source_pixel_digest(picture)
            assert digest == source_pixel_digest((tmp_path / name).read_bytes())
            digests.add(digest)
        on_white = Image.fromarray(_on(_cut_out(seed, 120), (255, 255, 255)))
        assert source_pixel_digest(on_white) == source_pixel_digest(
            Image.fromarray(_cut_out(seed, 120), "RGBA")
        )
    assert len(digests) == 2


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 50), st.tuples(*[st.integers(0, 255)] * 3))
def test_laying_is_compositing(seed: int, color: tuple[int, int, int]) -> None:
    cut_out = _cut_out(seed, 48)
    laid = laid_on(_on(cut_out, (255, 255, 255)), cut_out[..., 3], color)
    assert np.abs(laid.astype(int) - _on(cut_out, color)).max() <= 1


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_the_ground_is_what_lies_around(color: tuple[int, int, int]) -> None:
    ground = ground_of(_on(_cut_out(3, 64), color))
    assert ground is not None
    assert ground.tolist() == list(color)


def test_a_photograph_has_no_ground() -> None:
    assert all(ground_of(scene(seed, 96, 64)) is None for seed in range(6))


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_many_are_compared_as_one_is(feature: Any) -> None:
    pictures = []
    for seed in range(2):
        cut_out = _cut_out(seed, 160)
        on_white = _on(cut_out, (255, 255, 255))
        pictures.append(Picture(on_white, seen_through=SeenThrough(cut_out[..., 3], _bare(cut_out, seed))))
        pictures += [Picture(_on(cut_out, color)) for color in GROUNDS.values()]
    descriptors = [feature.extract_from(picture) for picture in pictures]
    again = [feature.from_bytes(feature.to_bytes(d)) for d in descriptors]
    a, b = np.triu_indices(len(pictures), 1)
    many = feature.compare_many(feature.pack(again), a, b)
    for row, (i, j) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        for first, second in ((i, j), (j, i)):
            for one in feature.compare(descriptors[first], descriptors[second]):
                expected = np.nan if one.similarity is None else one.similarity
                found = float(many[one.feature][row])
                np.testing.assert_allclose(found, expected, atol=1e-5, equal_nan=True)
