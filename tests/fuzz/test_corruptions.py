"""A corrupt cache or index gives the answer of a fresh one, or a clear error; see `corruptions.py`."""

from __future__ import annotations

import pytest
from corruptions import Stores, make_stores, one_round


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    return make_stores(tmp_path_factory.mktemp("stores"))


@pytest.mark.parametrize("number", range(15))
@pytest.mark.parametrize("store", ["cache", "index"])
def test_the_same_answer_or_a_clear_error(stores: Stores, store: str, number: int) -> None:
    assert one_round(stores, number, store)[1] in ("same", "error")
