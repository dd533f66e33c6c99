#!/usr/bin/env python3
"""Collections that are wide, deep or packed: what reading them takes.

    python benchmarks/many_files.py --work FOLDER

The same pictures in a folder and in a zip archive; and many folders, nested and with names of every kind, of
which one in a hundred holds a picture. Each is indexed, and indexed again with nothing new. Writes
``results/many_files.json`` and the table of README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

from fingerprint import code_fingerprint
from processes import measure
from tables import README, count, number, table, write_section

RESULTS = Path(__file__).parent / "results" / "many_files.json"
NAMES = (
    "holiday 2019", "été", "写真", "صور", "фото", "📷", "a'b\"c", "line\nbreak", "-n", "#1 [x] {y}", "%s %d",
    "trailing ", ".well.known", "e\u0301te\u0301", "a" * 200, "tab\there", "$HOME", "back\\slash", "*?",
)  # fmt: skip
"""Each is followed by a number, or by bytes that are no UTF-8."""
FAN_OUT = 20
"""Folders in a folder."""


def main() -> None:
    args = parse_args()
    folder, archive, wide = args.work / "folder", args.work / "archive", args.work / "wide"
    for path in (folder, archive, wide):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
    make_pictures(folder, args.n_pictures)
    with zipfile.ZipFile(archive / "scans.zip", "w") as packed:
        for file in sorted(folder.iterdir()):
            packed.write(file, f"scans/{file.name}")
    make_wide(wide, args.n_folders)
    result: dict[str, Any] = {
        "code": code_fingerprint(), "n_pictures": args.n_pictures, "n_folders": args.n_folders, "runs": {}
    }  # fmt: skip
    sets = {"pictures in a folder": folder, "pictures in a zip": archive, "pictures in folders": wide}
    for name, path in sets.items():
        store = args.work / "index.db"
        for again in (False, True):
            cost = measure(
                [sys.executable, "-m", "cvsim", "index", str(path), "--store", str(store), "-q", "--json"]
            )
            report = json.loads(cost.stdout)
            result["runs"][f"{name}, again" if again else name] = {
                "wall_s": cost.wall_s,
                "cpu_s": cost.cpu_s,
                "peak_mb": cost.peak_mb,
                "n_images": report["images"],
                "n_new": report["new"],
                "n_skipped": len(report["skipped"]),
            }
            print(name, result["runs"], file=sys.stderr, flush=True)
        for part in args.work.glob("index.db*"):
            part.unlink()
    for path in (folder, archive, wide):
        shutil.rmtree(path)
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if args.readme:
        write_section("many_files", as_table(result), args.readme)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="files are made here, and deleted")
    parser.add_argument("--n-pictures", type=int, default=1_000, metavar="N")
    parser.add_argument("--n-folders", type=int, default=100_000, metavar="N")
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE")
    parser.add_argument("--readme", type=Path, default=README, metavar="FILE")
    parser.add_argument("--no-readme", dest="readme", action="store_const", const=None)
    return parser.parse_args()


def make_pictures(folder: Path, n: int) -> None:
    for k in range(n):
        save_picture(os.fsencode(folder / f"{k:05}.jpg"), k)


def save_picture(path: bytes, seed: int) -> None:
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8))
    coarse.resize((320, 240), Image.Resampling.BICUBIC).save(path, "JPEG", quality=88)


def make_wide(root: Path, n: int) -> None:
    """Make a tree of `n` folders below `root`."""
    made = [os.fsencode(root)]
    for k in range(n):
        name = NAMES[k % len(NAMES)].encode() + (b" \xff\xfe%d" if k % 7 == 3 else b" %d") % k
        path = os.path.join(made[k // FAN_OUT], name)
        os.mkdir(path)
        made.append(path)
        if k % 100 == 0:
            save_picture(os.path.join(path, name + b".jpg"), k)


def as_table(result: dict[str, Any]) -> str:
    amounts = {
        "pictures in folders": f"{result['n_folders'] // 100:,} pictures in {result['n_folders']:,} folders"
    }
    rows = []
    for name, run in result["runs"].items():
        base, _, again = name.partition(", ")
        told = amounts.get(base, f"{result['n_pictures']:,} {base}") + (", again" if again else "")
        figures = number(run["wall_s"]), number(run["cpu_s"]), number(run["peak_mb"], 0)
        rows.append((told, *figures, count(run["n_images"]), count(run["n_new"])))
    return table(("index", "seconds", "CPU seconds", "peak MB", "pictures", "new"), rows)


if __name__ == "__main__":
    main()
