"""Fixtures of the page's tests: one run of dedupe for all of them, a copy of its folder for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from review_plan import Workplace, make_workplace
from review_program import PHONE, WIDE, Program, opened


@pytest.fixture(scope="session")
def made_workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return make_workplace(tmp_path_factory.mktemp("review"))


@pytest.fixture
def place(made_workplace: Workplace, tmp_path: Path) -> Workplace:
    """A folder of the test's own."""
    return made_workplace.copied(tmp_path / "work")


@pytest.fixture
def program(place: Workplace) -> Iterator[Program]:
    started = Program(place)
    yield started
    started.stop()


@pytest.fixture(scope="module")
def shown(made_workplace: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """One program for all tests that only look, or take back what they did."""
    place = made_workplace.copied(tmp_path_factory.mktemp("shown") / "work")
    place.draw_boxes(group=5)
    started = Program(place)
    yield started
    started.stop()


@pytest.fixture
def page(browser: Any, program: Program) -> Iterator[Any]:
    """The page of a program of the test's own, opened wide."""
    yield from opened(browser, program, WIDE)


@pytest.fixture
def gallery(browser: Any, shown: Program) -> Iterator[Any]:
    """The page of `shown`."""
    yield from opened(browser, shown, WIDE)


@pytest.fixture
def phone(browser: Any, shown: Program) -> Iterator[Any]:
    """The page of `shown` on a phone."""
    yield from opened(browser, shown, PHONE, has_touch=True, is_mobile=True)
