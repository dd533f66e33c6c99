"""Places of one colour stay of one colour in a copy; the cells of another table do not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from generate import RGB, scene
from PIL import Image

import cvsim
from cvsim.features.local import Local

SEEDS = (0, 1, 4)


HEAT = np.array([(59, 76, 192), (141, 176, 254), (221, 221, 221), (244, 152, 122), (180, 4, 38)])


def _table(seed: int) -> RGB:
    """The correlations of twelve things as a table of colours, with the names of its rows and columns."""
    rng = np.random.default_rng(seed)
    values = 2 + 2 * np.corrcoef(rng.normal(size=(12, 8)))
    colors = np.stack([np.interp(values, range(5), HEAT[:, k]) for k in range(3)], axis=2)
    rgb = np.full((440, 460, 3), 255, np.uint8)
    rgb[20:356, 80:416] = cv2.resize(colors.astype(np.uint8), (336, 336), interpolation=cv2.INTER_NEAREST)
    for row in range(12):
        cv2.putText(rgb, f"var{row}", (20, 38 + row * 28), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1)
        cv2.putText(rgb, f"v{row}", (84 + row * 28, 374), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1)
    return rgb


def _consistency(a: RGB, b: RGB) -> float:
    local = Local()
    said = {c.feature: c.similarity for c in local.compare(local.extract(a), local.extract(b))}
    return said["consistency"] or 0.0


def test_tables_of_other_values_are_not_linked(tmp_path: Path) -> None:
    for seed in range(4):
        Image.fromarray(_table(seed)).save(tmp_path / f"{seed}.png")
    assert cvsim.dedupe([tmp_path], cache=None).groups == ()


def _solarised(rgb: RGB) -> RGB:
    return np.where(rgb < 128, rgb, 255 - rgb)


def _hue_turned(rgb: RGB) -> RGB:
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + 15) % 180
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)


def _vignetted(rgb: RGB) -> RGB:
    y, x = np.mgrid[-1 : 1 : rgb.shape[0] * 1j, -1 : 1 : rgb.shape[1] * 1j]
    return (rgb * (1 - 0.3 * (x * x + y * y))[..., None]).astype(np.uint8)


EDITS = {"solarised": _solarised, "hue turned": _hue_turned, "vignetted": _vignetted}


@pytest.mark.parametrize("edit", EDITS)
def test_a_change_of_all_colours_is_consistent(edit: str) -> None:
    for seed in SEEDS:
        rgb = scene(seed, 480, 360)
        assert _consistency(rgb, EDITS[edit](rgb)) > 0.88, seed


@pytest.mark.parametrize("edit", ["hue turned", "vignetted"])
def test_so_it_is_of_a_table(edit: str) -> None:
    for seed in SEEDS:
        table = _table(seed)
        assert _consistency(table, EDITS[edit](table)) > 0.88, seed


def test_other_values_are_no_change_of_colours() -> None:
    assert _consistency(_table(1), _table(2)) < 0.75
