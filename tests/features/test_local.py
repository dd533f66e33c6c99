"""Local: crops, turns and pasted copies are found, other photographs are not, of the same place too."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from generate import KINDS, RGB, altered, near_miss, scene

from cvsim.features.local import (
    EVIDENCE,
    Local,
    LocalDescriptor,
    match,
    no_evidence,
    reversed_evidence,
    similarities,
)
from cvsim.features.overlay.alignment import coverage, inverted

SEEDS = (0, 1, 4, 8)
LOST = 0.25
"""Pixels agree in less than this share between pictures that are no copies."""


@dataclass(frozen=True)
class Seen:
    keypoints: float | None
    pixels: float | None


@pytest.fixture(scope="module")
def local() -> Local:
    return Local()


@pytest.fixture(scope="module")
def originals(local: Local) -> dict[int, tuple[RGB, LocalDescriptor]]:
    pictures = {seed: scene(seed, 480, 360) for seed in SEEDS}
    return {seed: (rgb, _described(local, rgb)) for seed, rgb in pictures.items()}


def _described(local: Local, rgb: RGB) -> LocalDescriptor:
    descriptor = local.extract(rgb)
    assert descriptor is not None
    return descriptor


def seen(local: Local, a: LocalDescriptor, b: LocalDescriptor) -> Seen:
    said = {comparison.feature: comparison.similarity for comparison in local.compare(a, b)}
    return Seen(said["keypoints"], said["pixels"])


@pytest.mark.parametrize(
    "kind",
    ["crop80", "crop50", "crop25", "tilted", "rotated90", "rotated180", "pasted", "mirrored", "stickered"],
)
def test_what_hashes_miss_is_found(local: Local, originals: dict, kind: str) -> None:
    for seed, (rgb, descriptor) in originals.items():
        found = seen(local, descriptor, _described(local, altered(rgb, kind, seed)))
        assert found.pixels is not None, seed
        assert found.pixels > 0.5, seed


def test_other_scenes_do_not_agree(local: Local, originals: dict) -> None:
    for seed, (_, a) in originals.items():
        for other, (_, b) in originals.items():
            if seed != other:
                assert (seen(local, a, b).pixels or 0) < LOST


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 5, 8])
def test_another_photograph_of_the_place_does_not_agree(local: Local, seed: int) -> None:
    a, b = (_described(local, rgb) for rgb in near_miss(seed, 480, 360))
    assert (seen(local, a, b).pixels or 0) < 0.7


@pytest.mark.parametrize("sigma_px", [4.0, 5.5])
def test_a_copy_out_of_focus_agrees(local: Local, originals: dict, sigma_px: float) -> None:
    for seed, (rgb, descriptor) in originals.items():
        blurred = _described(local, cv2.GaussianBlur(rgb, (0, 0), sigma_px))
        assert (seen(local, descriptor, blurred).pixels or 0) > 0.9, seed


@pytest.mark.parametrize(("gain", "offset"), [(1.7, 20.0), (1.6, -90.0)], ids=["highlights", "shadows"])
def test_a_copy_with_tones_cut_off_agrees(local: Local, originals: dict, gain: float, offset: float) -> None:
    for seed, (rgb, descriptor) in originals.items():
        cut = _described(local, np.clip(rgb * gain + offset, 0, 255).astype(np.uint8))
        assert (seen(local, descriptor, cut).pixels or 0) > 0.75, seed


def _turned(rgb: RGB, degrees: float) -> RGB:
    """As large as before, with black corners."""
    height, width = rgb.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    return cv2.warpAffine(rgb, matrix, (width, height))


@pytest.mark.parametrize("degrees", [2.0, 3.0, -2.5])
def test_black_corners_of_a_turn_do_not_pull_the_alignment(
    local: Local, originals: dict, degrees: float
) -> None:
    for seed, (rgb, _) in originals.items():
        mirrored = _described(local, np.ascontiguousarray(rgb[:, ::-1]))  # for which keypoints are no help
        evidence = local.evidence(mirrored, _described(local, _turned(rgb, degrees)))
        assert evidence["share"] > 0.75, seed
        assert evidence["shift_px"] < 0.15, seed


def test_keypoints_that_the_pixels_refute_say_less_than_none(local: Local, originals: dict) -> None:
    row = no_evidence()
    row["share"] = row["inner_share"] = 0.2
    row["coverage_a"] = row["coverage_b"] = 1.0
    said = []
    for n_inliers in (60, 0, 6, 14):
        row["n_inliers"] = n_inliers
        said.append(float(similarities(row)["keypoints"]))
    assert said == sorted(said)
    row["share"] = row["inner_share"] = 0.9
    row["n_inliers"] = 60
    assert similarities(row)["keypoints"] > said[-1]


def test_more_keypoints_mean_no_more_where_more_are_taken() -> None:
    usual, dense = no_evidence(), no_evidence()
    usual["n_inliers"], usual["n_asked"] = 14, 300
    dense["n_inliers"], dense["n_asked"] = 28, 600
    said = [similarities(row[None])["keypoints"][0] for row in (usual, dense)]
    assert said[0] == said[1]
    descriptor = Local("local-dense", n_keypoints=600).extract(scene(3, 320, 240))
    assert descriptor is not None
    assert Local("local-dense", n_keypoints=600).evidence(descriptor, descriptor)["n_asked"] == 600


def test_keypoints_are_spread_over_the_picture(local: Local, originals: dict) -> None:
    for _, descriptor in originals.values():
        points = descriptor.keypoints
        assert len(points) <= local.n_keypoints
        columns, rows = points["x"] * 4 // descriptor.width_px, points["y"] * 4 // descriptor.height_px
        assert len(set(zip(columns.tolist(), rows.tolist(), strict=True))) >= 8


def test_matches_are_one_to_one(local: Local, originals: dict) -> None:
    rgb, a = originals[1]
    b = _described(local, altered(rgb, "crop50", 1))
    i, j = match(a.keypoints["bits"], b.keypoints["bits"])
    assert len(set(i.tolist())) == len(i) == len(set(j.tolist()))


def test_matches_carry_their_transform(local: Local, originals: dict) -> None:
    """The matched points of a crop lie where the crop was cut, at its scale."""
    rgb, a = originals[4]
    window = np.ascontiguousarray(rgb[60:300, 80:400])
    b = _described(local, window)
    found = local.matches(a, b)
    assert found is not None
    i, j, matrix = found
    p = np.stack([a.keypoints["x"][i], a.keypoints["y"][i]], axis=1)
    q = np.stack([b.keypoints["x"][j], b.keypoints["y"][j]], axis=1)
    assert np.abs(p @ matrix[:, :2].T + matrix[:, 2] - q).max() < 12
    scale = a.width_px / rgb.shape[1]
    assert np.allclose(matrix @ [80 * scale, 60 * scale, 1], 0, atol=3)
    assert np.allclose(matrix[:, :2] * scale, np.eye(2), atol=0.05)


def test_coverage_says_which_is_the_part(local: Local, originals: dict) -> None:
    rgb, a = originals[8]
    b = _described(local, np.ascontiguousarray(rgb[90:270, 120:360]))
    row = local.evidence(a, b)
    assert row["coverage_b"] > 0.95
    assert row["coverage_a"] == pytest.approx(0.25, abs=0.04)
    back = reversed_evidence(row)
    assert (back["coverage_a"], back["coverage_b"]) == (row["coverage_b"], row["coverage_a"])


def test_evidence_reversed_twice_is_itself(local: Local, originals: dict) -> None:
    rgb, a = originals[0]
    row = local.evidence(a, _described(local, altered(rgb, "crop50", 0)))
    again = reversed_evidence(reversed_evidence(row))
    for name in EVIDENCE.names or ():
        assert np.allclose(again[name], row[name], atol=1e-4, equal_nan=True), name
    assert np.isnan(reversed_evidence(no_evidence())["share"])


def test_evidence_survives_as_bytes(local: Local, originals: dict) -> None:
    rgb, a = originals[0]
    row = local.evidence(a, _described(local, altered(rgb, "tilted", 0)))
    assert np.frombuffer(row.tobytes(), EVIDENCE)[0].tobytes() == row.tobytes()


def test_a_dark_picture_has_no_heap_of_inliers(local: Local) -> None:
    """Keypoints on one spot fit any transform: they are not evidence."""
    rng = np.random.default_rng(5)
    pictures = []
    for _ in range(2):
        dark = rng.integers(0, 4, (360, 480, 3)).astype(np.uint8)
        cv2.circle(dark, (240, 180), 12, (230, 230, 230), -1)
        pictures.append(_described(local, dark))
    found = seen(local, *pictures)
    assert (found.keypoints or 0) < 0.5
    assert (found.pixels or 0) < 0.5


def test_evidence_is_the_same_every_time_and_in_every_thread(local: Local, originals: dict) -> None:
    from concurrent.futures import ThreadPoolExecutor

    rgb = originals[1][0]
    copies = [altered(rgb, kind, 1) for kind in ("crop50", "tilted", "half")] * 3

    def work(picture: RGB) -> bytes:
        return local.evidence(originals[1][1], _described(local, picture)).tobytes()

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(work, copies)) == [work(picture) for picture in copies]


# --- geometry ---------------------------------------------------------------------------------------------


def test_coverage_of_known_boxes() -> None:
    box = (0, 0, 100, 80)
    identity = np.array([[1.0, 0, 0], [0, 1, 0]])
    assert coverage(box, box, identity) == pytest.approx((1, 1))
    shifted = np.array([[1.0, 0, 50], [0, 1, 0]])
    assert coverage(box, box, shifted) == pytest.approx((0.5, 0.5))
    halved = np.array([[0.5, 0, 10], [0, 0.5, 10]])
    assert coverage(box, box, halved) == pytest.approx((1, 0.25))
    away = np.array([[1.0, 0, 500], [0, 1, 0]])
    assert coverage(box, box, away) == pytest.approx((0, 0))
    there = coverage(box, (0, 0, 60, 90), halved)
    back = coverage((0, 0, 60, 90), box, inverted(halved))
    assert there == pytest.approx(back[::-1], abs=1e-3)


def test_every_kind_can_be_described(local: Local) -> None:
    rgb = scene(2, 320, 240)
    for kind in KINDS:
        assert local.extract(altered(rgb, kind, 2)) is not None, kind
