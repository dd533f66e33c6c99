"""Neighbours on tracks: those within reach, a bounded number of each, whatever the order of the items."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given, strategies as st

from cvsim.candidates.tracks import MOST_FOLLOWING, pairs_on_tracks

ITEMS = st.lists(st.tuples(st.integers(0, 2), st.floats(0, 30)), max_size=12, unique=True)


def found(items: list[tuple[int, float]], reach: float) -> set[tuple[tuple[int, float], ...]]:
    track = np.array([t for t, _ in items], np.int64)
    position = np.array([p for _, p in items], np.float64)
    a, b = pairs_on_tracks(track, position, reach)
    return {tuple(sorted((items[i], items[j]))) for i, j in zip(a.tolist(), b.tolist(), strict=True)}


@given(ITEMS, st.randoms(use_true_random=False))
def test_neighbours_lie_close_behind_each_other(items: list[tuple[int, float]], random: Random) -> None:
    expected = set()
    for track in {t for t, _ in items}:
        row = sorted(item for item in items if item[0] == track)
        for k, item in enumerate(row):
            near = [other for other in row[k + 1 : k + 1 + MOST_FOLLOWING] if other[1] - item[1] <= 10.0]
            expected |= {(item, other) for other in near}
    assert found(items, 10.0) == expected
    random.shuffle(items)
    assert found(items, 10.0) == expected


def test_a_thousand_pictures_of_one_second_are_no_million_pairs() -> None:
    a, b = pairs_on_tracks(np.zeros(1000, np.int64), np.full(1000, 7.0), 10.0)
    assert len(a) <= 1000 * MOST_FOLLOWING
    assert (np.bincount(a, minlength=1000) <= MOST_FOLLOWING).all()
    assert (a != b).all()
