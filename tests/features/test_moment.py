"""Moment: seconds apart, of one camera; nothing where that is not known."""

from __future__ import annotations

import numpy as np
import pytest
from generate import scene
from hypothesis import given, strategies as st

from cvsim.features import make_features
from cvsim.features.moment import NEIGHBOUR_S, TakenAt
from cvsim.features.picture import Picture
from cvsim.types import Moment

MOMENTS = st.none() | st.builds(
    Moment,
    st.floats(0, 4e9),
    st.none() | st.integers(-14, 14).map(lambda hours: 3600 * hours),
    st.sampled_from(["", "Foxglove F100", "Larkspur Nova 7"]),
)


def similarity(a: Moment | None, b: Moment | None) -> float | None:
    (said,) = TakenAt().compare(a, b)
    return said.similarity


def test_it_falls_with_the_seconds_and_no_pixel_counts() -> None:
    first, steps_s = Moment(1000.0, None, "F100"), (0, 0.5, 5, 60, 3600, 10**6)
    found = [similarity(first, Moment(1000.0 + apart_s, None, "F100")) or 0.0 for apart_s in steps_s]
    assert (found[0], found[-1]) == (1, 0)
    assert found == sorted(set(found), reverse=True)
    (feature,) = make_features(["moment"])
    assert feature.extract(scene(1)) is None
    assert feature.extract_from(Picture(scene(1), lambda: first)) == first


def test_it_says_nothing_without_a_date_or_of_two_cameras() -> None:
    moment = Moment(1000.0, None, "F100")
    assert similarity(moment, None) is None
    assert similarity(None, None) is None
    assert similarity(moment, Moment(1000.0, None, "F200")) is None


def test_clocks_of_two_zones_are_compared_by_utc() -> None:
    there, here = Moment(7200.0, 7200, "F100"), Moment(3600.0, 3600, "F100")
    assert similarity(there, here) == 1
    assert similarity(there, Moment(7200.0, None, "F100")) == 1  # one that does not say: as they stand


@given(st.lists(MOMENTS, min_size=1, max_size=6))
def test_it_is_symmetric_the_same_for_many_and_kept_whole(moments: list[Moment | None]) -> None:
    feature = TakenAt()
    a, b = (grid.ravel() for grid in np.indices((len(moments), len(moments))))
    many = feature.compare_many(feature.pack(moments), a, b)["moment"]
    for i, j, value in zip(a.tolist(), b.tolist(), many.tolist(), strict=True):
        said = similarity(moments[i], moments[j])
        assert said == similarity(moments[j], moments[i])
        assert np.isnan(value) if said is None else said == pytest.approx(value, abs=1e-6)
    for moment in filter(None, moments):
        assert feature.from_bytes(feature.to_bytes(moment)) == moment


def test_pictures_without_a_date_lie_on_no_track() -> None:
    feature = TakenAt()
    keys = feature.track_keys(feature.pack([None, Moment(5.0, None, "F100"), Moment(6.0, None, "")]))
    assert keys is not None
    assert (keys.owner.tolist(), keys.position.tolist()) == ([1, 2], [5.0, 6.0])
    assert keys.track[0] != keys.track[1]
    assert keys.reach == NEIGHBOUR_S
