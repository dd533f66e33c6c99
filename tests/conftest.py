"""Fixtures that every part's tests share; the pictures themselves come from ``generate``."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Files of tests run beside each other, one a core. Threads of linear algebra would wait for cores that others
# have, and they burn CPU while they wait. It must be said before numpy is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# What an earlier version kept in this user's cache is no part of a test, and tests leave nothing there.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="cvsim-tests-")

import hypothesis
import pytest
from generate import RGB, scene
from warm_start import WarmStart

from cvsim.executors import fork_server

# How long an example takes says more about what else the machine does than about the code.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")

LONGEST_FIRST = ("recipes", "cli", "web", "actions", "manual", "products", "api")
"""Folders whose files of tests take longest: begun last, one of them would leave all cores but one idle."""

atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what it puts into the background deaf to Ctrl-C, and children inherit that: the programs
    # that the tests interrupt must hear it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.parent.name, len(places)))


@pytest.fixture(scope="session")
def photo() -> RGB:
    """(240, 320, 3) uint8: one detailed picture, for tests that need any. Copy it before changing it."""
    rgb = scene(0, 320, 240)
    rgb.flags.writeable = False
    return rgb


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real photographs that ``CVSIM_TEST_DATA`` names; tests that want it skip without it."""
    folder = os.environ.get("CVSIM_TEST_DATA")
    if not folder:
        pytest.skip("CVSIM_TEST_DATA names no folder of real photographs")
    return Path(folder)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window; tests that want it skip where it is not installed, or its driver is not."""
    how = "needs a browser: apt-get install chromium, and pip install playwright"
    driver = pytest.importorskip("playwright.sync_api", reason=how)
    found = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    program = next(filter(None, found), None)
    if program is None:
        pytest.skip(how)
    with driver.sync_playwright() as library:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        started = library.chromium.launch(executable_path=program, args=arguments)
        yield started
        started.close()


@pytest.fixture
def axe() -> Callable[[Any], list[tuple[str, str, list[str]]]]:
    """What axe-core has against a page as it stands: rule, impact and the elements."""
    found = pytest.importorskip("axe_playwright_python.sync_playwright", reason="the extra 'test' has it")
    checker = found.Axe()

    def violations(page: Any) -> list[tuple[str, str, list[str]]]:
        return [
            (one["id"], one["impact"], [node["html"][:200] for node in one["nodes"]])
            for one in checker.run(page).response["violations"]
        ]

    return violations


COLD_START = fork_server._spawned


@pytest.fixture(scope="session", autouse=True)
def warm_start() -> Iterator[None]:
    """Runs that decode in children of this process start them from one that has imported everything."""
    warm = WarmStart()
    fork_server._spawned = warm.spawned  # type: ignore[assignment]
    yield
    fork_server._spawned = COLD_START
    warm.close()


@pytest.fixture
def cold_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """They start as they do for everybody: for tests of that."""
    monkeypatch.setattr(fork_server, "_spawned", COLD_START)


@pytest.fixture(autouse=True)
def untouched_log() -> None:
    """The command line sets up the log of its process: each test finds it as it is without."""
    logger = logging.getLogger("cvsim")
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)
    logger.propagate = True
