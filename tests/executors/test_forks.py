"""Work in forks gives what work in this process gives."""

from __future__ import annotations

import os

import pytest

from cvsim.executors.forks import MIN_ITEMS, map_in_forks


def numbered(i: int) -> bytes:
    return i.to_bytes(4, "little")


@pytest.mark.parametrize("n_items", [0, 1, MIN_ITEMS - 1, MIN_ITEMS, 5 * MIN_ITEMS + 3])
@pytest.mark.parametrize("n_workers", [1, 2, 3])
def test_results_come_in_order(n_items: int, n_workers: int) -> None:
    assert map_in_forks(numbered, n_items, n_workers) == [numbered(i) for i in range(n_items)]


def test_a_child_that_ends_loses_nothing() -> None:
    parent = os.getpid()

    def fragile(i: int) -> bytes:
        if os.getpid() != parent and i > MIN_ITEMS:
            os._exit(9)
        return numbered(i)

    assert map_in_forks(fragile, 4 * MIN_ITEMS, 2) == [numbered(i) for i in range(4 * MIN_ITEMS)]


@pytest.mark.parametrize("bad", [6, 7])
def test_an_error_of_the_work_is_raised_here(bad: int) -> None:
    def failing(i: int) -> bytes:
        if i == bad:
            raise ValueError("this one")
        return numbered(i)

    with pytest.raises(ValueError, match="this one"):
        map_in_forks(failing, 2 * MIN_ITEMS, 2)
