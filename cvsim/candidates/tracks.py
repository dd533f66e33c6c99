"""Neighbours on a track: pictures close behind each other, such as those that one camera took in a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.types import Indices

MOST_FOLLOWING = 8
"""Pictures that are looked at behind each one, however many lie there: the number of pairs grows no faster
than that of pictures. Chosen by hand: a burst of more holds together by its neighbours."""


def pairs_on_tracks(track: Indices, position: NDArray[np.float64], reach: float) -> tuple[Indices, Indices]:
    """Each item with those that follow it on its track within `reach`, at most `MOST_FOLLOWING`.

    Parameters
    ----------
    track : (n,) int64
    position : (n,) float64
        Finite. Items in one place follow each other in the order that they are given in.
    reach : float
        Inclusive.

    Returns
    -------
    a, b : (n_pairs,) int64 arrays
    """
    order = np.lexsort((position, track))
    track, position = track[order], position[order]
    first, second = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for step in range(1, MOST_FOLLOWING + 1):
        follows = (track[step:] == track[:-step]) & (position[step:] - position[:-step] <= reach)
        k = np.flatnonzero(follows)
        first.append(order[k])
        second.append(order[k + step])
    return np.concatenate(first), np.concatenate(second)
