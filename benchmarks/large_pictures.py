#!/usr/bin/env python3
"""Very large pictures in every format: whether they are read, and the memory of the whole run.

    python benchmarks/large_pictures.py --work FOLDER

Each file is made, looked at, and deleted before the next one: alone, and beside a second file that is one
level brighter, so that both are decoded and a proof is tried. Needs 8 GB of memory for the making, and the
extras ``heif`` and ``jxl``. Writes ``results/large_pictures.json`` and the table of README.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fingerprint import code_fingerprint
from processes import Cost, measure
from tables import README, number, table, write_section

RESULTS = Path(__file__).parent / "results" / "large_pictures.json"
SIZES_PX = {48: (8000, 6000), 64: (9248, 6920), 100: (11600, 8640), 200: (16320, 12250)}
"""By megapixels; a side of a WebP may have 16,383."""
CHILD_MB = 400
"""What a decoder in a process of its own gets beside what the header asks for."""
KINDS: Mapping[str, tuple[str, str, dict[str, Any]]] = {
    "JPEG": ("jpg", "JPEG", {"quality": 85}),
    "JPEG, progressive": ("jpg", "JPEG", {"quality": 85, "progressive": True}),
    "PNG": ("png", "PNG", {"compress_level": 1}),
    "TIFF": ("tif", "TIFF", {}),
    "TIFF, deflate": ("tif", "TIFF", {"compression": "tiff_adobe_deflate"}),
    "WebP": ("webp", "WEBP", {"lossless": True, "quality": 0, "method": 0}),
    "JPEG 2000": (
        "jp2",
        "JPEG2000",
        {"quality_mode": "rates", "quality_layers": [20], "tile_size": (4096, 4096)},
    ),
    "JPEG XL": ("jxl", "JXL", {"quality": 85, "effort": 1}),
    "HEIC": ("heic", "HEIF", {"quality": 60, "enc_params": {"preset": "ultrafast"}}),
}
LONGEST_S = 600


def main() -> None:
    args = parse_args()
    if args.make:
        print(json.dumps(make(args.make, args.megapixels[0], args.work, n=1 + bool(args.two))))
        return
    runs: dict[str, Any] = {}
    if args.json.exists():
        before = json.loads(args.json.read_text(encoding="utf-8"))
        runs = before["runs"] if before["code"] == code_fingerprint() else {}
    result = {"code": code_fingerprint(), "runs": runs}
    args.work.mkdir(parents=True, exist_ok=True)
    for megapixels in args.megapixels:
        for kind in args.kinds:
            key = f"{megapixels} {kind}"
            if key in runs:
                continue
            runs[key] = found = run(kind, megapixels, args.work, with_two=megapixels in args.two)
            print(key, json.dumps(found), file=sys.stderr, flush=True)
            args.json.parent.mkdir(parents=True, exist_ok=True)
            args.json.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    if args.readme:
        write_section("large_pictures", as_table(runs), args.readme)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="pictures are made here, and deleted")
    parser.add_argument("--megapixels", type=int, nargs="*", choices=SIZES_PX, default=[*SIZES_PX])
    parser.add_argument(
        "--two", type=int, nargs="*", default=[*SIZES_PX], help="sizes of which two are tried"
    )
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=[*KINDS])
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE")
    parser.add_argument("--readme", type=Path, default=README, metavar="FILE")
    parser.add_argument("--no-readme", dest="readme", action="store_const", const=None)
    parser.add_argument("--make", choices=KINDS, help=argparse.SUPPRESS)
    return parser.parse_args()


def run(kind: str, megapixels: int, work: Path, *, with_two: bool) -> dict[str, Any]:
    """One picture in one format: alone, and two at once."""
    folder = work / "pictures"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        command = [sys.executable, __file__, "--work", str(folder), "--make", kind, "--two"]
        command += [*(["2"] if with_two else []), "--megapixels", str(megapixels)]
        made = subprocess.run(command, capture_output=True, text=True)
        if made.returncode:
            return {"not_made": (made.stderr.strip() or f"killed by {-made.returncode}").splitlines()[-1]}
        found: dict[str, Any] = json.loads(made.stdout)
        found["alone"] = outcome(looked_at(next(folder.glob("first.*"))))
        if with_two:
            found["two"] = outcome(looked_at(folder))
        return found
    finally:
        shutil.rmtree(folder)


def looked_at(path: Path) -> Cost:
    command = [sys.executable, "-m", "cvsim", "dedupe", str(path), "--no-cache", "-q", "--json"]
    return measure(command, timeout_s=LONGEST_S)


def outcome(cost: Cost) -> dict[str, Any]:
    report = json.loads(cost.stdout)
    reasons = sorted({item["reason"] for item in report["skipped"]})
    edges = [edge for group in report["groups"] for edge in group["edges"]]
    proofs = [" ".join(filter(None, (e["proof"]["state"], e["proof"]["words"]))) for e in edges]
    n_read = report["counts"]["images"]
    return {
        "wall_s": cost.wall_s,
        "cpu_s": cost.cpu_s,
        "peak_mb": cost.peak_mb,
        "n_read": n_read,
        "reasons": reasons,
        "proofs": proofs,
    }


def make(kind: str, megapixels: int, folder: Path, n: int) -> dict[str, Any]:
    """Write one picture or two; what the header asks for. In a process of its own, for its own memory."""
    import cv2
    import numpy as np
    from PIL import Image

    from cvsim.images.encoded import read_content

    ending, pillow_name, options = KINDS[kind]
    if pillow_name == "JXL":
        import pillow_jxl  # noqa: F401
    if pillow_name == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    width, height = SIZES_PX[megapixels]
    rng = np.random.default_rng(megapixels)
    # Shapes as large as those of a photograph, and a fine grain in one band of eight: grain takes long to
    # encode, and no more memory.
    small = rng.integers(0, 256, (45, 60, 3), np.uint8)
    rgb = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    grain = rng.integers(0, 24, (512, width, 3), np.uint8)
    for top in range(0, height, 8 * 512):
        band = rgb[top : top + 512]
        cv2.add(band, grain[: len(band)], dst=band)
    for name in ("first", "second")[:n]:
        file = folder / f"{name}.{ending}"
        Image.fromarray(rgb).save(file, pillow_name, **options)
        cv2.add(rgb, (1, 1, 1, 0), dst=rgb)
    content = read_content(str(file))
    asked = {"asked_mb": content.memory_bytes / 2**20, "is_isolated": content.is_risky}
    return {"file_mb": file.stat().st_size / 2**20, **asked}


def as_table(runs: Mapping[str, Any]) -> str:
    rows = []
    for key, found in runs.items():
        megapixels, kind = key.split(" ", 1)
        if "not_made" in found:
            rows.append((kind, megapixels, "", "", "", "", "", "", f"cannot be made: {found['not_made']}"))
            continue
        alone, two = found["alone"], found.get("two")
        bound = found["asked_mb"] + CHILD_MB * found["is_isolated"]
        told = "; ".join([*alone["reasons"], *(two["proofs"] if two else ())])
        rows.append(
            (
                kind,
                megapixels,
                number(found["file_mb"], 0),
                number(bound, 0),
                f"{alone['n_read']} of 1" if alone["n_read"] else "refused",
                number(alone["peak_mb"], 0),
                number(two["peak_mb"] if two else None, 0),
                " / ".join(number(one["cpu_s"]) for one in (alone, two) if one),
                told,
            )
        )
    rows.sort(key=lambda row: [*KINDS].index(row[0]) * 1000 + int(row[1]))
    header = (
        "format",
        "megapixels",
        "file MB",
        "decoder may take MB",
        "read",
        "peak MB, one",
        "peak MB, two",
    )
    return table((*header, "CPU seconds, one / two", "what is said of the pair"), rows)


if __name__ == "__main__":
    main()
