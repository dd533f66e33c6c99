"""Every engine of an index that needs a server or an extra: where it is for tests, and how it is emptied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import milvus_places
import opensearch_places
import pytest

from cvsim.stores import SearchableStore

LOCATIONS: dict[str, Callable[[], str]] = {**milvus_places.LOCATIONS, **opensearch_places.LOCATIONS}
MARKED: list[Any] = [
    *(pytest.param(name, marks=pytest.mark.milvus) for name in milvus_places.LOCATIONS),
    *(pytest.param(name, marks=pytest.mark.opensearch) for name in opensearch_places.LOCATIONS),
]


def emptied(location: str) -> SearchableStore:
    """An open and empty index there; opening one anew for each test would take seconds."""
    places = opensearch_places if location.startswith("opensearch") else milvus_places
    return places.emptied(location)
