"""A part joins the group of its original, whatever else of that group it was found in."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from generate import save_image, scene
from linked import linker_of

import cvsim
from cvsim.recipes.linking import check_groups
from cvsim.scoring.relation import Verdict

WHITE = (255, 255, 255)


def on_a_phone(rgb: np.ndarray) -> np.ndarray:
    """A screenshot of a program that shows the picture."""
    screen = np.full((1500, 740, 3), 255, np.uint8)
    screen[:70] = (40, 60, 90)
    height = round(rgb.shape[0] * 740 / rgb.shape[1])
    top = 180 + (1100 - height) // 2
    screen[top : top + height] = cv2.resize(rgb, (740, height), interpolation=cv2.INTER_AREA)
    for k in range(5):
        cv2.circle(screen, (80 + 145 * k, 1420), 30, (120, 120, 120), 3, cv2.LINE_AA)
    return screen


def bordered(rgb: np.ndarray) -> np.ndarray:
    return cv2.copyMakeBorder(rgb, 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=WHITE)


@pytest.mark.parametrize("seed", [0, 3])
def test_crops_and_screenshots_join_the_original_that_others_frame(tmp_path: Path, seed: int) -> None:
    rgb = scene(seed, 640, 480)
    save_image(tmp_path / "original.jpg", rgb)
    save_image(tmp_path / "small-file.jpg", rgb, quality=40)
    save_image(tmp_path / "bordered.jpg", bordered(rgb))
    save_image(tmp_path / "crop-80.jpg", rgb[48:432, 64:576])
    save_image(tmp_path / "crop-50.jpg", rgb[120:360, 160:480])
    save_image(tmp_path / "phone.png", on_a_phone(rgb))
    report = cvsim.dedupe([tmp_path], cache=None, workers=1)
    assert [len(group.members) for group in report.groups] == [6]


def test_a_part_that_was_found_in_a_framed_copy_is_asked_about_the_others_of_the_group(
    tmp_path: Path,
) -> None:
    rgb = scene(5, 640, 480)
    save_image(tmp_path / "original.jpg", rgb)
    save_image(tmp_path / "bordered.jpg", bordered(rgb))
    save_image(tmp_path / "crop.jpg", rgb[48:432, 64:576])
    with linker_of(tmp_path) as linker:
        at = {Path(node.first.path).stem: k for k, node in enumerate(linker.collection.nodes)}
        pairs = [sorted((at[name], at["bordered"])) for name in ("original", "crop")]
        linker.score_all(tuple(np.array(sorted(pairs)).T), "what a search found")
        first, second = pairs[1]
        linker._verdicts[first, second] = Verdict(
            ("pasted",), contained="a" if first == at["crop"] else "b", pasted=True
        )
        assert linker.groups().n_groups == 2
        check_groups(linker, linker.rules)
        assert linker.groups().n_groups == 1
