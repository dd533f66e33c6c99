#!/usr/bin/env python3
"""The least that anything reading the pictures of a folder must pay: each file decoded by OpenCV.

    python benchmarks/decode_floor.py FOLDER

At the largest reduction that leaves the longer side at 512 px or more, one thread a core, nothing else.
Prints the wall and CPU seconds of the decoding alone, as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
from PIL import Image

MIN_PX = 512
REDUCTIONS = (
    (8, cv2.IMREAD_REDUCED_COLOR_8),
    (4, cv2.IMREAD_REDUCED_COLOR_4),
    (2, cv2.IMREAD_REDUCED_COLOR_2),
)


def main() -> None:
    folder = Path(sys.argv[1])
    files = sorted(str(file) for file in folder.iterdir() if file.is_file())
    cv2.setNumThreads(1)
    n_threads = len(os.sched_getaffinity(0))
    flags = [flag_of(file) for file in files]
    wall, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(n_threads) as threads:
        n_decoded = sum(threads.map(is_decoded, files, flags))
    cost = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    print(json.dumps({"n_files": len(files), "n_decoded": n_decoded, "n_threads": n_threads, **cost}))


def flag_of(file: str) -> int:
    """How to read a file, from the size in its header."""
    try:
        with Image.open(file) as image:
            longer = max(image.size)
    except Exception:
        return cv2.IMREAD_COLOR
    for reduction, flag in REDUCTIONS:
        if longer // reduction >= MIN_PX:
            return flag
    return cv2.IMREAD_COLOR


def is_decoded(file: str, flag: int) -> bool:
    return cv2.imread(file, flag) is not None


if __name__ == "__main__":
    main()
