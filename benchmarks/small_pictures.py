#!/usr/bin/env python3
"""Whether a proof lets a small picture in another colour pass, and how many true copies of it are proved.

    python benchmarks/small_pictures.py FOLDER [FOLDER ...] [--most 40]

Of each folder, some pictures of 12 to 128 pixels, laid on white. Each is encoded, shrunk and enlarged, and
these are copies; and all or a part of what is drawn is turned to another hue, darkened or tinted, and these
are not.
"""

from __future__ import annotations

import argparse
import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from PIL.Image import Resampling

from cvsim.proof.explained import explain
from cvsim.proof.picture import ProofPicture, proof_picture

SMALLEST_PX, LARGEST_PX, ENLARGED_PX = 12, 128, 64
DRAWN, LEAST_DRAWN, PLAIN = 6, 20, 10
"""Levels off the corner's colour from which a pixel is drawn, how many must be, and the least change."""
FILTERS = (Resampling.BOX, Resampling.LANCZOS, Resampling.BICUBIC, Resampling.BILINEAR)


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def halved(image: Image.Image, method: Resampling) -> Image.Image:
    return image.resize((max(8, image.width // 2), max(8, image.height // 2)), method)


def true_copies(image: Image.Image) -> Iterator[bytes]:
    for quality in (95, 85, 70, 50, 30):
        yield encoded(image, "JPEG", quality=quality)
    for quality in (90, 75, 50):
        yield encoded(image, "WEBP", quality=quality)
    for quality in (90, 60):
        yield encoded(Image.open(io.BytesIO(encoded(image, "JPEG", quality=quality))), "PNG")
    for n_colors in (64, 16):
        yield encoded(image.quantize(n_colors), "PNG")
    yield encoded(image.convert("P", palette=Image.Palette.ADAPTIVE, colors=32), "PNG")
    for method in FILTERS:
        yield encoded(halved(image, method), "PNG")
        yield encoded(halved(image, method), "JPEG", quality=85)
        if max(image.size) <= ENLARGED_PX:
            yield encoded(image.resize((image.width * 2, image.height * 2), method), "PNG")


def in_other_colors(image: Image.Image, rng: random.Random) -> Iterator[Image.Image]:
    rgb = np.asarray(image)
    levels = rgb.astype(int)
    is_drawn = np.abs(levels - rgb[0, 0]).max(axis=2) > DRAWN
    if is_drawn.sum() < LEAST_DRAWN:
        is_drawn[:] = True
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + rng.choice((30, 60, 90, 120))) % 180
    turned = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).astype(int)
    half, quarter = is_drawn.copy(), is_drawn.copy()
    half[:, : rgb.shape[1] // 2] = quarter[:, : rgb.shape[1] // 2] = False
    quarter[rgb.shape[0] // 2 :] = False
    changes = [(turned, where) for where in (is_drawn, half, quarter)]
    for by in (12, 20):
        changes += [(levels - by, is_drawn), (levels + np.array([by, 0, -by]), is_drawn)]
    for changed, where in changes:
        found = np.where(where[..., None], np.clip(changed, 0, 255), levels).astype(np.uint8)
        if np.abs(found - levels).max() >= PLAIN:
            yield Image.fromarray(found)


def pictures(folder: Path, most: int) -> Iterator[tuple[str, Image.Image]]:
    files = sorted(folder.iterdir())
    random.Random(3).shuffle(files)
    for file in files:
        try:
            drawn = Image.open(file).convert("RGBA")
        except OSError:
            continue
        if min(drawn.size) >= SMALLEST_PX and max(drawn.size) <= LARGEST_PX and most > 0:
            most -= 1
            ground = Image.new("RGBA", drawn.size, (255, 255, 255, 255))
            ground.alpha_composite(drawn)
            yield file.name, ground.convert("RGB")


def is_proved(data: bytes, kept: ProofPicture) -> bool:
    return explain(proof_picture(data), kept).state in ("explained", "same-pixels")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--most", type=int, default=40, help="pictures of a folder")
    arguments = parser.parse_args()
    print("| pictures | recoloured | proved | true copies proved |\n| --- | ---: | ---: | ---: |")
    for folder in arguments.folders:
        copies: list[bool] = []
        others: list[bool] = []
        for name, image in pictures(folder, arguments.most):
            kept = proof_picture(encoded(image, "PNG"))
            copies += [is_proved(data, kept) for data in true_copies(image)]
            for other in in_other_colors(image, random.Random(name)):
                half = encoded(halved(other, Resampling.LANCZOS), "PNG")
                for data in (encoded(other, "PNG"), encoded(other, "JPEG", quality=85), half):
                    others.append(is_proved(data, kept))
        share = float(np.mean(copies)) if copies else 0.0
        print(f"| {folder.name} | {len(others)} | {sum(others)} | {share:.3f} |", flush=True)


if __name__ == "__main__":
    main()
