"""The pictures that README shows of the program's own output: the terminal, the page, and a compared pair.

    python benchmarks/pictures.py [FOLDER] [-o benchmarks/results]

FOLDER (default: ``samples/photos``) is deduplicated; what a person sees is drawn: ``terminal.svg`` and
``waterfall.svg`` by rich from the very characters that the program writes, ``match.jpg`` by ``--picture``,
``report-wide.png`` and ``report-narrow.png`` by headless chromium from the page of ``--html``.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
PAIR = ("samples/photos/holiday/field.jpg", "samples/photos/edits/field-crop.jpg")
TERMINAL_COLUMNS = 104
TERMINAL_LINES = 34
WIDTHS_PX = {"wide": (1280, 1000), "narrow": (420, 900)}
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def printed(arguments: Sequence[str]) -> str:
    """What the program writes to a terminal, colours included."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "FORCE_COLOR": "1",
        "TTY_COMPATIBLE": "1",
        "COLUMNS": str(TERMINAL_COLUMNS),
    }
    environment.pop("NO_COLOR", None)
    done = subprocess.run(
        [sys.executable, "-m", "cvsim", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def draw_terminal(file: Path, arguments: Sequence[str]) -> None:
    """An SVG of a command and the beginning of what it prints."""
    lines = printed(arguments).rstrip("\n").split("\n")
    shown = lines if len(lines) <= TERMINAL_LINES else [*lines[: TERMINAL_LINES - 2], "…", lines[-1]]
    console = Console(record=True, width=TERMINAL_COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ " + " ".join(("cvsim", *arguments)), style="bold"))
    for line in shown:
        text = Text.from_ansi(line)
        text.truncate(TERMINAL_COLUMNS, overflow="ellipsis")
        console.print(text, soft_wrap=True)
    # Without the fonts that rich would have a reader's browser fetch from elsewhere.
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", console.export_svg(title="cvsim"), flags=re.DOTALL)
    file.write_text("\n".join(line.rstrip() for line in drawn.split("\n")), encoding="utf-8")


def draw_page(file: Path, page: Path, size_px: tuple[int, int]) -> None:
    """A PNG of a page in a window of this size."""
    browser = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if browser is None:
        sys.exit(f"no browser: one of {', '.join(CHROMIUM)} is needed")
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                browser,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                f"--user-data-dir={profile}",
                f"--window-size={size_px[0]},{size_px[1]}",
                f"--screenshot={file}",
                page.as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=180,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", default="samples/photos")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "benchmarks" / "results")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    draw_terminal(arguments.output / "terminal.svg", ["dedupe", arguments.folder])
    draw_terminal(arguments.output / "waterfall.svg", ["compare", *PAIR])
    printed(["compare", *PAIR, "--picture", str(arguments.output.resolve() / "match.jpg"), "-q"])
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        printed(["dedupe", arguments.folder, "--html", str(page), "-q"])
        for name, size_px in WIDTHS_PX.items():
            draw_page(arguments.output / f"report-{name}.png", page, size_px)


if __name__ == "__main__":
    main()
