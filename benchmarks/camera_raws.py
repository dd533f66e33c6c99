#!/usr/bin/env python3
"""Camera RAW files as their makers wrote them: what is read of each, and whether a JPEG of it is found.

    python benchmarks/camera_raws.py --raws FOLDER --work FOLDER

Beside each file that can be read lie its preview as the camera made it (where there is none, what LibRaw
develops as a JPEG), the same at half the size, turned by its EXIF orientation, the file developed by LibRaw
as 8 and 16 bit, and the RAW cut off in the middle.
"""

from __future__ import annotations

import argparse
import io
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rawpy
from PIL import Image
from tables import README, table, write_section

import cvsim

BESIDE = ("preview.jpg", "half.jpg", "turned.jpg", "developed.png", "developed-16.png")
RIGHT_ANGLE = 6  # an EXIF orientation


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--raws", type=Path, required=True, help="files of cameras, looked for in all folders"
    )
    parser.add_argument("--work", type=Path, required=True, help="where copies are made")
    parser.add_argument("--readme", type=Path, default=README, help="whose table is written")
    parser.add_argument("--no-readme", dest="readme", action="store_const", const=None)
    arguments = parser.parse_args()
    rows = [row_of(path, arguments.work) for path in sorted(arguments.raws.rglob("*")) if path.is_file()]
    lines = table(("file", "maker", "kB", "read", "linked of 5", "cut off", "RAW proposed"), rows)
    print(lines)
    if arguments.readme:
        write_section("camera-raws", lines, arguments.readme)


def row_of(path: Path, work: Path) -> Sequence[Any]:
    """What the table says of a file."""
    named = path.name, maker(path), f"{path.stat().st_size / 1000:,.0f}"
    alone = cvsim.dedupe(path, cache=None)
    if alone.skipped:
        return *named, alone.skipped[0].reason, "", "", ""
    folder = work / path.stem
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(path, folder)
    made = set(copies(path, folder))
    cut = folder / f"cut{path.suffix}"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    report = cvsim.dedupe(folder, cache=None)
    groups = [{Path(m.record.path).name for m in g.members} for g in report.groups]
    linked = next((g for g in groups if path.name in g), set()) & made
    reasons = [one.reason for one in report.skipped if one.path.endswith(cut.name)]
    proposed = [m.proposed for g in report.groups for m in g.members if m.record.path.endswith(path.name)]
    damaged = {m.record.damaged for g in report.groups for m in g.members if m.record.path == str(cut)}
    reasons = reasons or (["a damaged picture"] if True in damaged else [])
    return *named, "a picture", f"{len(linked)}", *(reasons or ["read"]), "yes" if any(proposed) else "no"


def maker(path: Path) -> str:
    """Maker and model by EXIF, as far as Pillow can tell."""
    try:
        with Image.open(path) as picture:
            exif = picture.getexif()
    except (OSError, ValueError):
        return ""
    words = [str(exif[tag]).strip(" \0") for tag in (271, 272) if exif.get(tag)]
    return words[-1] if len(words) == 2 and words[1].startswith(words[0].split()[0]) else " ".join(words)


def copies(path: Path, folder: Path) -> Iterator[str]:
    """Names of what was made of a RAW file in a folder."""
    with rawpy.imread(str(path)) as opened:
        eight = opened.postprocess(use_camera_wb=True)
        sixteen = opened.postprocess(use_camera_wb=True, output_bps=16, half_size=True)
        try:
            thumb = opened.extract_thumb()
        except rawpy.LibRawError:
            thumb = None
    if thumb is None or thumb.format.name != "JPEG":
        shown = Image.fromarray(eight)
        shown.save(folder / BESIDE[0], quality=92)
    else:
        shown = Image.open(io.BytesIO(thumb.data)).convert("RGB")
        (folder / BESIDE[0]).write_bytes(thumb.data)
    shown.resize((shown.width // 2, shown.height // 2)).save(folder / BESIDE[1], quality=85)
    exif = Image.Exif()
    exif[0x0112] = RIGHT_ANGLE
    shown.transpose(Image.Transpose.ROTATE_90).save(folder / BESIDE[2], quality=85, exif=exif)
    Image.fromarray(eight).save(folder / BESIDE[3])
    cv2.imwrite(str(folder / BESIDE[4]), np.ascontiguousarray(sixteen[..., ::-1]))
    yield from BESIDE


if __name__ == "__main__":
    main()
