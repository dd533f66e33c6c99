"""How quickly the page of ``cvsim review`` answers with ten thousand groups.

    python benchmarks/review_page.py --work WORK [--groups 10000] [--rounds 5]

Needs chromium, playwright and the extra ``web``. Each group is a made picture and a copy at half its size.
Each round is a new program with an empty cache, opened in a new profile of a browser that is running already:
once at once, and once a second after its address is known, which a desktop takes to pass it on. Of each step
the median is told, and the slowest.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tables

sys.path.insert(0, str(Path(__file__).parents[1] / "samples"))

import cv2
from scenes import scene

from cvsim.actions.plan import Entry, Plan

RESULTS = Path(__file__).with_name("results") / "review_page.json"
N_SCENES, N_FOLDERS = 40, 100

# Notes when the reasons of the first pair are on the screen.
OPENED = """addEventListener("DOMContentLoaded", () => {
    const look = () => {
        if (document.querySelector("article #pair table.differences")) window.openedAt = performance.now();
        else requestAnimationFrame(look);
    };
    look();
})"""

# Does something to the page, and waits until the page shows what comes of it: at each frame it is asked.
UNTIL = """([what, argument, until]) => new Promise((done) => {
    const ways = {
        key: (key) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true })),
        click: (selector) => document.querySelector(selector).click(),
    };
    const shown = {
        group: (number) => document.querySelector(`article[data-group="${number}"] #pair table`),
        text: ([selector, words]) => document.querySelector(selector).textContent.includes(words),
    };
    const start = performance.now();
    ways[what](argument);
    const look = () => {
        const [kind, value] = until;
        if (shown[kind](value)) done(performance.now() - start);
        else requestAnimationFrame(look);
    };
    look();
})"""


def make_place(work: Path, n_groups: int) -> Path:
    """Write the files and their plan; returns the plan."""
    kinds = []
    for seed in range(N_SCENES):
        image = scene(seed, 320, 240)[..., ::-1]
        small = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        kinds.append([cv2.imencode(".jpg", one)[1].tobytes() for one in (image, small)])
    entries = []
    for number in range(1, n_groups + 1):
        for k, side in enumerate(("originals", "copies")):
            content = kinds[number % N_SCENES][k]
            path = work / "photos" / side / f"{number % N_FOLDERS:02}" / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            extra = {"score": 0.99, "relation": "resized", "contained": None} if k else {"score": 1.0}
            entries.append(
                Entry(
                    str(path),
                    hashlib.sha256(content).hexdigest(),
                    len(content),
                    path.stat().st_mtime_ns,
                    number,
                    "remove" if k else "keep",
                    "resolution",
                    "",
                    extra,
                )
            )
    plan = work / "plan.json"
    Plan((str(work / "photos"),), tuple(entries)).save(plan)
    return plan


def open_page(browser: Any, address: str) -> tuple[Any, float]:
    """A page of a new profile, and the seconds until the first pair was there."""
    page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
    page.add_init_script(OPENED)
    page.goto(address)
    page.wait_for_selector("article[data-group='1'] #pair table.differences", timeout=60_000)
    page.wait_for_timeout(500)
    return page, page.evaluate("openedAt") / 1000


def measure(page: Any, n_groups: int) -> dict[str, float]:
    """Seconds of each step, by the page's own clock."""
    times: dict[str, float] = {}

    def timed(name: str, what: str, argument: Any, until: Any) -> None:
        times[name] = page.evaluate(UNTIL, [what, argument, until]) / 1000

    page.wait_for_timeout(1000)
    timed("next group", "key", "j", ["group", 2])
    page.wait_for_timeout(1000)
    timed("accept", "key", "Enter", ["group", 3])
    page.click("#bulk-button")
    page.wait_for_timeout(1000)
    count = f"{n_groups - 1:,} groups"
    timed("count a rule", "click", "[name=rule][value=largest]", ["text", ["#bulk-count", count]])
    decided = f"{n_groups:,} of {n_groups:,} decided"
    timed("do it", "click", "#bulk-go", ["text", ["#standing", decided]])
    page.wait_for_timeout(1000)
    timed("undo it", "key", "u", ["text", ["#standing", f"1 of {n_groups:,} decided"]])
    return times


@contextmanager
def running_browser() -> Iterator[Any]:
    """A browser that has started: what it does for itself at first takes its seconds."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as library:
        browser = library.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        browser.new_page().wait_for_timeout(3000)
        yield browser
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="where the files are written")
    parser.add_argument("--groups", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep-results", action="store_true", help="write nothing into benchmarks/")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    plan = make_place(given.work.resolve(), given.groups)
    with running_browser() as browser:
        rounds = [one_round(browser, given.work, plan, given.groups) for _ in range(given.rounds)]
    rows = [
        [name, tables.number(statistics.median(seconds), 2), tables.number(max(seconds), 2)]
        for name in rounds[0]
        for seconds in [[times[name] for times in rounds]]
    ]
    load = os.getloadavg()[1]
    title = f"{given.groups:,} groups, {given.rounds} rounds, load {load:.1f}"
    content = tables.table([title, "median, s", "slowest, s"], rows)
    print(content)
    if not given.keep_results:
        cores = len(os.sched_getaffinity(0))
        machine = {"machine": platform.machine(), "cores": cores, "python": platform.python_version()}
        run = {**machine, "load": round(load, 1), "groups": given.groups, "rounds": rounds}
        RESULTS.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
        tables.write_section("review_page", content)


def one_round(browser: Any, work: Path, plan: Path, n_groups: int) -> dict[str, float]:
    """Seconds of each step, of two programs."""
    with running_program(work, plan) as (address, _):
        page, at_once = open_page(browser, address)
        page.context.close()
    with running_program(work, plan) as (address, start):
        time.sleep(1)
        page, opened = open_page(browser, address)
        times = measure(page, n_groups)
        page.context.close()
    return {"start of the program": start, "open at once": at_once, "open": opened, **times}


@contextmanager
def running_program(work: Path, plan: Path) -> Iterator[tuple[str, float]]:
    """The address of a new program with an empty cache, and the seconds until it told it."""
    own = work / "round"
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir()
    shutil.copy(plan, own / "plan.json")
    command = [sys.executable, "-m", "cvsim", "review", str(own / "plan.json"), "--no-browser", "-q"]
    command += ["--cache", str(own / "cache.db"), "--decisions", str(own / "decisions.jsonl")]
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        yield address, time.monotonic() - start
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


if __name__ == "__main__":
    main()
