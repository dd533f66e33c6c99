"""How long 10,000 product photos take: train, cluster and score, by the commands that a user would type.

    python benchmarks/products_scale.py --set cartons=FOLDER --set catalogue=FOLDER [--n 10000]

A set is a folder with ``images/`` and ``labels.csv``. Its photos are resampled (cropped, turned, lit anew) to
128 px until there are enough of them. Writes ``results/products_scale.json``.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

RESULTS = Path(__file__).parent / "results" / "products_scale.json"
SIDE_PX = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", action="append", required=True, metavar="NAME=FOLDER", dest="sets")
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        n_products = make_photos(options.sets, root, options.n)
        common = ["--cache", str(root / "cache.db"), "--workers", str(options.workers)]
        steps = {
            "train": ["train", "photos", "--labels", "labels.csv", "-o", "shop.npz", *common],
            "cluster": ["cluster", "photos", "--profile", "shop.npz", "-o", "found.csv", *common],
            "score": ["evaluate", "found.csv", "labels.csv", "--json"],
        }
        found = {"n_images": options.n, "n_products": n_products, "side_px": SIDE_PX}
        found["steps"] = {name: measured(command, root) for name, command in steps.items()}
    found["total_s"] = round(sum(step["wall_s"] for step in found["steps"].values()), 1)
    found["largest_mb"] = max(step["largest_mb"] for step in found["steps"].values())
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


def make_photos(sets: list[str], root: Path, n: int) -> int:
    """Write `n` photos and their ``labels.csv``; the number of products."""
    sources = []
    for entry in sets:
        name, _, folder = entry.partition("=")
        with open(Path(folder) / "labels.csv", newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                sources.append((Path(folder) / "images" / row["file"], f"{name} {row['label']}"))
    (root / "photos").mkdir()
    rng = np.random.default_rng(0)
    rows = ["file,label"]
    for k in range(n):
        path, label = sources[k % len(sources)]
        picture = cv2.imread(str(path), cv2.IMREAD_REDUCED_COLOR_2)
        cv2.imwrite(str(root / "photos" / f"{k:06}.jpg"), resampled(picture, rng))
        rows.append(f"{k:06}.jpg,{label}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    return len({label for _, label in sources})


def resampled(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another photo of the same: a turned crop in another light."""
    height, width = picture.shape[:2]
    scale = SIDE_PX / max(height, width) * rng.uniform(1.0, 1.3)
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-8, 8), scale)
    turn[:, 2] += SIDE_PX / 2 - np.array([width / 2, height / 2]) + rng.uniform(-8, 8, 2)
    moved = cv2.warpAffine(picture, turn, (SIDE_PX, SIDE_PX), borderMode=cv2.BORDER_REPLICATE)
    lit = moved * rng.uniform(0.8, 1.2) + rng.normal(0, 3, moved.shape)
    return np.clip(lit, 0, 255).astype(np.uint8)


def measured(command: list[str], root: Path) -> dict[str, object]:
    """Seconds and memory of one command of cvsim, its children included."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "cvsim", *command], cwd=root, env=environment, capture_output=True, text=True
    )
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stderr)
    return {
        "wall_s": round(wall, 1),
        "cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "largest_mb": round(after.ru_maxrss / 1024),  # of the largest child so far
        "said": done.stdout.strip().splitlines()[-6:],
    }


if __name__ == "__main__":
    main()
