"""The kept picture on the copy's grid."""

from __future__ import annotations

import numpy as np
import pytest

from cvsim.features.orientation import N_ORIENTATIONS, turn
from cvsim.proof.grids import INVERSE, turned


@pytest.mark.parametrize("orientation", range(N_ORIENTATIONS))
def test_a_picture_is_turned_as_views_are(orientation: int) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (31, 47, 3), np.uint8)
    found = turned(rgb, orientation)
    assert np.array_equal(found, turn(rgb, orientation))
    assert found.flags.c_contiguous
    assert np.array_equal(turned(found, INVERSE[orientation]), rgb)
