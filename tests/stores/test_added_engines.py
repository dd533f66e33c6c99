"""Engines of other installed packages."""

from __future__ import annotations

import importlib.metadata
from importlib.metadata import EntryPoint

import pytest

from cvsim.errors import UsageError
from cvsim.stores import MemoryStore, known_engines, open_store


def elsewhere(location: str, create: bool) -> MemoryStore:
    assert (location, create) == ("shelf://here", True)
    return MemoryStore()


def test_an_installed_package_adds_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint(name, f"{__name__}:elsewhere", "cvsim.stores") for name in ("shelf", "milvus")]
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda *, group: points if group == "cvsim.stores" else []
    )
    with open_store("shelf://here") as store:
        assert isinstance(store, MemoryStore)
    assert known_engines()["milvus"].__module__ == "cvsim.stores"  # ours is not replaced


def test_an_engine_that_nobody_adds_is_refused() -> None:
    with pytest.raises(UsageError, match="no engine is known for shelf://here"):
        open_store("shelf://here")
