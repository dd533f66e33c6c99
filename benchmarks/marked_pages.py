#!/usr/bin/env python3
"""Pages that somebody marked, beside the page as it was: which of the two would be proposed for removal?

    python benchmarks/marked_pages.py --work FOLDER [--pairs 240] [--seed 1] [--effort default]

Each pair is a page of `drawn_sorts` and the same page with one small mark on its ink: another digit, a dot of
three pixels, a gap, two parts that changed places, a line, a highlighter. The page is a PNG, a good JPEG or a
good WebP, the marked one is encoded by one of ten ways. Every proposal is wrong. Counted by mark and by
encoding: pairs with a proposal, and pairs.
"""

from __future__ import annotations

import argparse
import collections
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from drawn_sorts import SORTS, STYLES, Sheet
from PIL import Image, ImageDraw, ImageFont

import cvsim

Encoding = Callable[[Image.Image, Path], None]
LEAST_SEEN = 40
"""Levels by which a marked page differs somewhere, or it is left out: some marks fall on their like."""
CLEAR_INK = 60
"""Levels off the ground."""


def _saved(suffix: str, quality: int | None = None) -> Encoding:
    options = {} if quality is None else {"quality": quality}
    return lambda image, file: image.save(file.with_suffix(suffix), None, **options)


def _half(image: Image.Image, file: Path) -> None:
    half = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    half.save(file.with_suffix(".jpg"), quality=88)


FIRST: dict[str, Encoding] = {
    "png": _saved(".png"), "jpeg 95": _saved(".jpg", quality=95), "webp 85": _saved(".webp", quality=85),
}  # fmt: skip
SECOND: dict[str, Encoding] = {
    "png": _saved(".png"),
    **{f"jpeg {quality}": _saved(".jpg", quality=quality) for quality in (30, 60, 85, 95)},
    **{f"webp {quality}": _saved(".webp", quality=quality) for quality in (50, 85)},
    "half, jpeg 88": _half,
    "gif": lambda image, file: image.quantize().save(file.with_suffix(".gif")),
    "grey png": lambda image, file: image.convert("L").save(file.with_suffix(".png")),
}
MARKS = ("digit", "dot", "gap", "swap", "line", "highlighter")


def marked(page: Image.Image, mark: str, rng: random.Random) -> Image.Image:
    """The page with a mark at a point of its ink."""
    image = page.copy()
    draw, rgb = ImageDraw.Draw(image), np.asarray(page)
    ground = np.median(rgb.reshape(-1, 3), axis=0)
    places = np.argwhere(np.abs(rgb - ground).max(axis=2) > CLEAR_INK)
    y, x = (int(v) for v in places[rng.randrange(len(places))])
    paper, ink = tuple(int(v) for v in ground), tuple(int(v) for v in rgb[y, x])
    if mark == "digit":
        size = rng.choice((11, 14, 18))
        draw.rectangle((x - 1, y - 1, x + size * 0.6, y + size), fill=paper)
        draw.text((x, y - 2), rng.choice("0123456789"), font=ImageFont.load_default(size), fill=ink)
    elif mark == "dot":
        draw.ellipse((x + 4, y + 4, x + 6, y + 6), fill=ink)
    elif mark == "gap":
        draw.rectangle((x - 2, y - 2, x + 2, y + 2), fill=paper)
    elif mark == "line":
        draw.line((x, y + 3, x + rng.randint(10, 30), y + 3), fill=ink)
    elif mark == "swap":
        left, top = min(max(x - 8, 0), page.width - 17), min(max(y - 8, 0), page.height - 17)
        image.paste(page.crop((left + 8, top, left + 16, top + 16)), (left, top))
        image.paste(page.crop((left, top, left + 8, top + 16)), (left + 8, top))
    else:
        part = page.crop((x - 14, y - 14, x + 14, y + 14))
        pen = Image.new("RGB", part.size, rng.choice(((255, 220, 0), (120, 220, 120))))
        image.paste(Image.blend(part, pen, 0.25), (x - 14, y - 14))
    return image


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="where the pairs are made, one at a time")
    parser.add_argument("--pairs", type=int, default=240)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--effort", choices=("fast", "default", "thorough"), default="default")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    sorts = [(name, part) for name, (_, sizes) in SORTS.items() for part in sizes]
    counts: dict[str, list[bool]] = collections.defaultdict(list)
    for number in range(arguments.pairs):
        name, part = rng.choice(sorts)
        draw, sizes = SORTS[name]
        sheet = Sheet(rng, STYLES[part], sizes[part])
        draw(sheet)
        mark, first, second = rng.choice(MARKS), rng.choice([*FIRST]), rng.choice([*SECOND])
        other = marked(sheet.image, mark, rng)
        if int(np.abs(np.asarray(other, np.int16) - np.asarray(sheet.image)).max()) < LEAST_SEEN:
            continue
        folder = arguments.work / f"marked-{arguments.seed}-{number:04}"
        folder.mkdir(parents=True)
        FIRST[first](sheet.image, folder / "clean")
        SECOND[second](other, folder / "marked")
        is_wrong = cvsim.dedupe([folder], effort=arguments.effort, cache=None).counts.duplicates > 0
        if is_wrong:
            print(f"wrong: {folder} ({name} {part}, {mark}, {first}, {second})", flush=True)
        else:
            shutil.rmtree(folder)
        for key in (mark, second, "all"):
            counts[key].append(is_wrong)
    print("| mark, encoding | wrong | pairs |")
    print("| --- | ---: | ---: |")
    for key in (*MARKS, *SECOND, "all"):
        print(f"| {key} | {sum(counts[key])} | {len(counts[key])} |")


if __name__ == "__main__":
    main()
