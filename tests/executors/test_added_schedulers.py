"""Schedulers of other installed packages."""

from __future__ import annotations

import importlib.metadata
from importlib.metadata import EntryPoint

import pytest

from cvsim.errors import SettingsError
from cvsim.executors import LocalExecutor, open_executor
from cvsim.settings import Settings


def elsewhere(scheduler: str, n_workers: int | None) -> LocalExecutor:
    assert scheduler == "ray://head:1"
    return LocalExecutor(n_workers)


def test_an_installed_package_adds_a_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("ray", f"{__name__}:elsewhere", "cvsim.executors")
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda *, group: [point] if group == "cvsim.executors" else []
    )
    assert Settings(scheduler="ray://head:1").scheduler == "ray://head:1"
    with open_executor("ray://head:1", 2) as executor:
        assert executor.n_workers == 2  # type: ignore[attr-defined]


def test_a_scheduler_that_nobody_adds_is_refused() -> None:
    with pytest.raises(SettingsError, match="no such scheduler is known; known: local, tcp, tls"):
        open_executor("ray://head:1")
