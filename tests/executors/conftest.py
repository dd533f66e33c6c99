from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _as_everybody_starts_them(cold_start: None) -> None:
    """These are the tests of the processes that others only use."""
