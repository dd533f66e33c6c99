"""``cvsim review`` at work, and its page in a browser."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from review_plan import Workplace

ROOT = Path(__file__).parents[2]
WIDE, PHONE = {"width": 1390, "height": 900}, {"width": 390, "height": 860}


class Program:
    """``cvsim review PLAN`` at work, with a home, and so a trash, of its own."""

    def __init__(self, place: Workplace) -> None:
        self.plan = place.plan
        self.home = place.folder / "home"
        self.home.mkdir(exist_ok=True)
        self._write_openers()
        variables = {
            "PATH": f"{self.home / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "XDG_DATA_HOME": str(self.home / "data"),
            "XDG_STATE_HOME": str(self.home / "state"),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "PYTHONPATH": str(ROOT),
        }
        options = ["--no-browser", "--decisions", place.decisions, "--cache", place.folder / "cache.db"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cvsim", "review", str(place.plan), *map(str, options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **variables},
        )
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().strip()
        assert self.address.startswith("http://127.0.0.1:"), self._process.communicate(timeout=20)[1]

    def _write_openers(self) -> None:
        """Programs that note which file or folder the desktop is asked to open."""
        opener = self.home / "bin" / "xdg-open"
        opener.parent.mkdir(exist_ok=True)
        opener.write_text(f"#!/bin/sh\necho \"$1\" >>'{self.home}/opened'\n", encoding="utf-8")
        opener.chmod(0o755)

    @property
    def opened(self) -> list[str]:
        """What the desktop was asked to open."""
        file = self.home / "opened"
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    def stop(self) -> tuple[int, str]:
        """End it as a person does; returns its exit code and what it said."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        said = self._process.communicate(timeout=30)[1]
        return self._process.returncode, said


def opened(browser: Any, program: Program, viewport: Any, **options: Any) -> Iterator[Any]:
    """Anything that the page's script or its policy complains of, or asks others for, fails the test."""
    context = browser.new_context(viewport=viewport, **options)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
    page.on("request", lambda asked: "//127.0.0.1:" in asked.url or complaints.append(asked.url))
    page.goto(program.address)
    on_group(page, 1)
    yield page
    context.close()
    assert complaints == []


def on_group(page: Any, number: int) -> None:
    """Wait until the group is on the stage, with its explanation."""
    page.wait_for_selector(f"article.group[data-group='{number}'] #pair table.differences", timeout=30_000)


def wait_until(page: Any, expression: str, argument: Any = None) -> None:
    """Ask the page until it is so. (Playwright's own way to wait is one that the page's policy forbids.)"""
    ends = time.monotonic() + 30
    while not page.evaluate(expression, argument):
        assert time.monotonic() < ends, f"still not so: {expression} {argument}"
        page.wait_for_timeout(50)


def wait_for_text(page: Any, selector: str, words: str) -> None:
    wait_until(page, "([s, w]) => document.querySelector(s).textContent.includes(w)", [selector, words])


def wait_for_standing(page: Any, words: str) -> None:
    wait_for_text(page, "#standing", words)
