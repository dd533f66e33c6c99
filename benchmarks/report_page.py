"""How long a browser takes to open the page of ``dedupe --html``, and to answer, with thousands of groups.

    python benchmarks/report_page.py --work WORK [--groups 5000 10000]

Needs chromium and playwright. The groups are made up; their thumbnails are as large as real ones.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

import tables

sys.path.insert(0, str(Path(__file__).parents[1] / "samples"))

from scenes import scene

from cvsim.files import write
from cvsim.images.raster import thumbnail
from cvsim.reports.html import to_html
from cvsim.types import (
    Comparison,
    Counts,
    DedupeResult,
    Group,
    ImageRecord,
    Member,
    Pair,
    ScoredPair,
)

RESULTS = Path(__file__).with_name("results") / "report_page.json"
RELATIONS = ("re-encoded", "resized", "cropped", "recolored", "identical-file")
N_THUMBNAILS = 64
THUMBNAIL_PX = 176

OPENED = {
    "first groups": "performance.getEntriesByName('first-contentful-paint')[0].startTime",
    "all groups": "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd",
}
"""By the browser's own clock, in milliseconds: something can be read; all can be sorted and filtered."""

# Two frames after the click, what it changed is on the screen.
CLICK = """(selector) => new Promise((done) => {
    const start = performance.now();
    document.querySelector(selector).click();
    requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start)));
})"""
TYPE = """(text) => new Promise((done) => {
    const field = document.getElementById("text"), start = performance.now();
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start)));
})"""


def made_group(id: int) -> Group:
    """Two to five pictures, all linked with the first."""
    paths = [f"photos/{id % 400:03}/album {id % 7}/IMG_{id:05}_{k}.jpg" for k in range(2 + id % 4)]
    relation = RELATIONS[id % len(RELATIONS)]
    signals = tuple(Comparison(name, 0.97, 3.5, {}) for name in ("phash", "tiles", "color", "local"))
    edges = tuple(
        ScoredPair(Pair(paths[0], path), -6.0, 0.9991, relation, None, signals) for path in paths[1:]
    )
    members = tuple(
        Member(
            ImageRecord(path, f"{id * 8 + k:064x}", 4000, 3000, 3_000_000 + id * k, 0, "jpeg"),
            0.9991,
            k > 0,
            "the same picture",
        )
        for k, path in enumerate(paths)
    )
    return Group(id, members, paths[0], "resolution", edges, 0.9991, 0.9991, len(edges))


def make_page(path: Path, n_groups: int) -> int:
    """Write the page; returns how many pictures it shows."""
    groups = tuple(made_group(i + 1) for i in range(n_groups))
    members = [member for group in groups for member in group.members]
    going = [member for member in members if member.proposed]
    counts = Counts(
        files=len(members),
        images=len(members),
        skipped=0,
        groups=n_groups,
        duplicates=len(going),
        reclaimable_bytes=sum(member.record.size_bytes for member in going),
    )
    previews = [thumbnail(scene(seed, 640, 480), THUMBNAIL_PX) for seed in range(N_THUMBNAILS)]
    result = DedupeResult({"paths": ["photos"], "threshold": 0.95}, counts, groups, ())

    def preview(record: ImageRecord) -> bytes:
        return previews[int(record.digest, 16) % N_THUMBNAILS]

    write(path, to_html(result, preview, folder=path.parent))
    return len(members)


def measure(path: Path) -> dict[str, float]:
    """Seconds until the page is there, and of what a person then does."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as library:
        browser = library.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(path.as_uri(), wait_until="domcontentloaded", timeout=300_000)
        times = {name: page.evaluate(script) / 1000 for name, script in OPENED.items()}

        def timed(name: str, script: str, argument: Any) -> None:
            times[name] = page.evaluate(script, argument) / 1000

        if page.query_selector("[data-turn='1']"):
            timed("next page", CLICK, "[data-turn='1']")
        timed("one relation", CLICK, "[name=relation]")
        timed("file name", TYPE, "img_00123")
        browser.close()
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="where the pages are written")
    parser.add_argument("--groups", type=int, nargs="+", default=[300, 5000, 10_000])
    parser.add_argument("--repeat", type=int, default=3, help="the middle one of so many openings counts")
    parser.add_argument("--keep-results", action="store_true", help="write nothing into benchmarks/")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    runs = []
    for n_groups in given.groups:
        path = given.work / f"report-{n_groups}.html"
        n_pictures = make_page(path, n_groups)
        measured = sorted((measure(path) for _ in range(given.repeat)), key=lambda times: times["all groups"])
        megabytes = path.stat().st_size / 1e6
        times = measured[len(measured) // 2]
        runs.append({"groups": n_groups, "pictures": n_pictures, "megabytes": megabytes, "seconds": times})
        print(json.dumps(runs[-1]), file=sys.stderr)
        path.unlink()
    names = list(runs[0]["seconds"])
    rows = [
        [
            tables.count(run["groups"]),
            tables.count(run["pictures"]),
            tables.number(run["megabytes"], 0),
            *(tables.number(run["seconds"].get(name), 2) for name in names),
        ]
        for run in runs
    ]
    content = tables.table(["groups", "pictures", "MB", *(f"{name}, s" for name in names)], rows)
    print(content)
    if not given.keep_results:
        cores = len(os.sched_getaffinity(0))
        machine = {"machine": platform.machine(), "cores": cores, "python": platform.python_version()}
        RESULTS.write_text(json.dumps({**machine, "runs": runs}, indent=1) + "\n", encoding="utf-8")
        tables.write_section("report_page", content)


if __name__ == "__main__":
    main()
