"""Fixtures of the page's tests: one run of dedupe for all of them, a copy of its folder for each."""

from __future__ import annotations

from pathlib import Path

import pytest
from review_plan import Workplace, make_workplace


@pytest.fixture(scope="session")
def made_workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return make_workplace(tmp_path_factory.mktemp("review"))


@pytest.fixture
def place(made_workplace: Workplace, tmp_path: Path) -> Workplace:
    """A folder of the test's own."""
    return made_workplace.copied(tmp_path / "work")
