#!/usr/bin/env python3
"""Photographs and copies of them, altered in ways that no model was fitted to: a set for altered_sets.py.

    python benchmarks/other_alterations.py --photos FOLDER --out SET --n 30 --n-others 300
    python benchmarks/other_alterations.py --photos FOLDER --out STRIPS --size 1600x100 --n 10
    python benchmarks/altered_sets.py --work W SET STRIPS

Of the photographs, drawn by ``--seed``, `n` are altered in each of `KINDS`, and others stand among them. With
``--size`` each is cut to that size first: so are strips made.
"""

from __future__ import annotations

import argparse
import csv
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

Picture = Image.Image
Alter = Callable[[Picture, random.Random], Picture]
KINDS: dict[str, Alter] = {}
LONGEST_PX = 800
QUALITY = 88
WORDS = "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod"


def kind(alter: Alter) -> Alter:
    """Enter a way to alter a picture, by its name."""
    KINDS[alter.__name__.replace("_", " ")] = alter
    return alter


def of_pixels(name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Enter a change of all pixels, (h, w, 3) float32."""
    KINDS[name] = lambda picture, _: from_pixels(change(pixels(picture)))


def pixels(picture: Picture) -> np.ndarray:
    return np.asarray(picture.convert("RGB"), np.float32)


def from_pixels(values: np.ndarray) -> Picture:
    return Image.fromarray(np.clip(values + 0.5, 0, 255).astype(np.uint8))


def resized(picture: Picture, longest_px: int) -> Picture:
    factor = longest_px / max(picture.size)
    width, height = (max(8, round(side * factor)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def font(px: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(max(8, px))


def distances(shape: Sequence[int], x: float, y: float) -> np.ndarray:
    """Squared, of each pixel from a point; (h, w, 1)."""
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    return ((columns - x) ** 2 + (rows - y) ** 2)[..., None].astype(np.float32)


of_pixels("negative", lambda a: 255 - a)
of_pixels("mirrored negative", lambda a: 255 - a[:, ::-1])
of_pixels("swapped channels", lambda a: a[..., ::-1])
of_pixels("shadows lifted", lambda a: 255 * (a / 255) ** 0.5)
of_pixels("contrast crushed", lambda a: 2.2 * (a - 110) + 90)
of_pixels("night", lambda a: a * [0.25, 0.3, 0.45])
of_pixels("cold", lambda a: a * [0.8, 1.0, 1.25])
of_pixels("scan lines", lambda a: a * np.where(np.arange(len(a)) % 2, 1.0, 0.6)[:, None, None])
of_pixels("motion blur", lambda a: cv2.blur(a, (15, 1)))

KINDS["posterised"] = lambda picture, _: ImageOps.posterize(picture, 2)
KINDS["dithered"] = lambda picture, _: picture.convert("1").convert("RGB")
KINDS["oil painting"] = lambda picture, _: picture.filter(ImageFilter.ModeFilter(7))
KINDS["blurred"] = lambda picture, _: picture.filter(ImageFilter.GaussianBlur(4))
KINDS["96 px"] = lambda picture, _: resized(picture, 96)
KINDS["enlarged from 160 px"] = lambda picture, _: resized(resized(picture, 160), 1200)


@kind
def two_inks(picture: Picture, draw: random.Random) -> Picture:
    dark, light = (np.array([draw.randrange(low, low + 100) for _ in range(3)]) for low in (0, 150))
    gray = pixels(picture.convert("L")) / 255
    return from_pixels(dark + (light - dark) * gray)


@kind
def halftone(picture: Picture, draw: random.Random) -> Picture:
    width, height = picture.width * 2, picture.height * 2
    rows, columns = np.mgrid[0:height, 0:width]
    screen = np.sin((columns + rows) * 0.7) * np.sin((columns - rows) * 0.7)
    gray = np.asarray(picture.convert("L").resize((width, height)), np.float32)
    dots = np.where(gray > 127 + 127 * screen, 255, 0).astype(np.uint8)
    return Image.fromarray(dots).resize(picture.size, Image.Resampling.LANCZOS).convert("RGB")


@kind
def pixelated(picture: Picture, draw: random.Random) -> Picture:
    side = draw.choice((6, 8, 10))
    size = picture.width // side, max(2, picture.height // side)
    return picture.resize(size, Image.Resampling.BOX).resize(picture.size, Image.Resampling.NEAREST)


@kind
def old_print(picture: Picture, draw: random.Random) -> Picture:
    values = pixels(picture.convert("L")) * [0.94, 0.8, 0.63] + [12, 6, 0]
    middle = distances(values.shape, picture.width / 2, picture.height / 2)
    noise = np.random.default_rng(draw.randrange(1 << 30)).normal(0, 12, (*values.shape[:2], 1))
    return from_pixels(values * (1 - 0.5 * middle / middle.max()) + noise)


@kind
def stretched(picture: Picture, draw: random.Random) -> Picture:
    return picture.resize((round(picture.width * draw.choice((0.75, 1.33, 1.5))), picture.height))


@kind
def fisheye(picture: Picture, draw: random.Random) -> Picture:
    width, height = picture.size
    camera = np.array([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1]], float)
    bend = np.array([draw.choice((-0.3, 0.25)), 0, 0, 0], float)
    return Image.fromarray(cv2.undistort(np.asarray(picture), camera, bend))


@kind
def stickers(picture: Picture, draw: random.Random) -> Picture:
    result = picture.copy()
    on = ImageDraw.Draw(result)
    for _ in range(5):
        x, y, side = draw.randrange(picture.width), draw.randrange(picture.height), min(picture.size) // 6
        on.ellipse((x, y, x + side, y + side), (255, 205, 60), (120, 80, 0), 3)
        on.arc((x + side // 4, y + side // 3, x + side * 3 // 4, y + side * 3 // 4), 20, 160, 0, 3)
    return result


@kind
def tiled_watermark(picture: Picture, draw: random.Random) -> Picture:
    ink = Image.new("L", (picture.width * 2, picture.height * 2))
    on = ImageDraw.Draw(ink)
    for y in range(0, ink.height, max(8, picture.height // 6)):
        for x in range(0, ink.width, max(8, picture.width // 3)):
            on.text((x, y), "PREVIEW", 130, font(picture.width / 18))
    left, top = picture.width // 2, picture.height // 2
    ink = ink.rotate(30).crop((left, top, left + picture.width, top + picture.height))
    return Image.composite(Image.new("RGB", picture.size, "white"), picture, ink)


@kind
def news_ticker(picture: Picture, draw: random.Random) -> Picture:
    result = picture.copy()
    on = ImageDraw.Draw(result)
    on.rectangle((0, result.height * 82 // 100, result.width, result.height), (180, 10, 20))
    on.text((10, result.height * 84 // 100), WORDS, "white", font(result.height / 16))
    return result


@kind
def play_button(picture: Picture, draw: random.Random) -> Picture:
    result, shade = picture.copy(), Image.new("L", picture.size)
    x, y, side = picture.width // 2, picture.height // 2, min(picture.size) // 5
    ImageDraw.Draw(shade).ellipse((x - side, y - side, x + side, y + side), 170)
    result.paste((0, 0, 0), mask=shade)
    corners = (x - side // 3, y - side // 2), (x - side // 3, y + side // 2), (x + side // 2, y)
    ImageDraw.Draw(result).polygon(corners, "white")
    return result


@kind
def rounded_with_shadow(picture: Picture, draw: random.Random) -> Picture:
    margin = min(picture.size) // 8
    size = picture.width + 2 * margin, picture.height + 2 * margin
    shape, shadow = Image.new("L", picture.size), Image.new("L", size)
    ImageDraw.Draw(shape).rounded_rectangle((0, 0, picture.width - 1, picture.height - 1), margin, 255)
    shadow.paste(shape.point(lambda value: value * 0.4), (margin + 6, margin + 10))
    result = Image.new("RGB", size, (235, 235, 240))
    result.paste((0, 0, 0), mask=shadow.filter(ImageFilter.GaussianBlur(12)))
    result.paste(picture, (margin, margin), shape)
    return result


@kind
def cut_to_a_circle(picture: Picture, draw: random.Random) -> Picture:
    side = min(picture.size)
    shape = Image.new("L", (side, side))
    ImageDraw.Draw(shape).ellipse((0, 0, side - 1, side - 1), 255)
    white = Image.new("RGB", (side, side), "white")
    return Image.composite(ImageOps.fit(picture, (side, side)), white, shape)


@kind
def mirrored_crop(picture: Picture, draw: random.Random) -> Picture:
    return ImageOps.mirror(_crop(picture, 0.7, draw))


@kind
def third_of_the_area(picture: Picture, draw: random.Random) -> Picture:
    return _crop(picture, 0.58, draw)


def _crop(picture: Picture, share: float, draw: random.Random) -> Picture:
    width, height = (round(side * share) for side in picture.size)
    x, y = draw.randrange(picture.width - width + 1), draw.randrange(picture.height - height + 1)
    return picture.crop((x, y, x + width, y + height))


@kind
def turned_and_cropped(picture: Picture, draw: random.Random) -> Picture:
    width, height = picture.size
    turned = picture.rotate(draw.choice((-7, 5, 9)), Image.Resampling.BICUBIC)
    return turned.crop((round(0.13 * width), round(0.13 * height), round(0.87 * width), round(0.87 * height)))


@kind
def before_and_after(picture: Picture, draw: random.Random) -> Picture:
    after = ImageEnhance.Color(ImageEnhance.Contrast(picture).enhance(1.4)).enhance(1.5)
    result = Image.new("RGB", (picture.width * 2, picture.height))
    result.paste(picture, (0, 0))
    result.paste(after, (picture.width, 0))
    return result


@kind
def glare(picture: Picture, draw: random.Random) -> Picture:
    values = pixels(picture)
    near = distances(values.shape, draw.randrange(picture.width), draw.randrange(picture.height))
    return from_pixels(values + 220 * np.exp(-near / (2 * (picture.width / 5) ** 2)))


@kind
def strong_noise(picture: Picture, draw: random.Random) -> Picture:
    values = pixels(picture)
    return from_pixels(values + np.random.default_rng(draw.randrange(1 << 30)).normal(0, 40, values.shape))


@kind
def photocopied(picture: Picture, draw: random.Random) -> Picture:
    gray = pixels(picture.convert("L"))
    return from_pixels((gray / (cv2.GaussianBlur(gray, (0, 0), 12) + 1) - 0.75) * 700)


@kind
def on_a_slide(picture: Picture, draw: random.Random) -> Picture:
    slide = Image.new("RGB", (1280, 720), "white")
    on = ImageDraw.Draw(slide)
    on.text((60, 40), "Quarterly update", (30, 60, 120), font(44))
    for row in range(5):
        on.text((60, 150 + 70 * row), WORDS[: 28 + row], (60, 60, 60), font(26))
    slide.paste(resized(picture, 520), (700, 180))
    return slide


@kind
def in_a_chat(picture: Picture, draw: random.Random) -> Picture:
    screen = Image.new("RGB", (720, 1480), (229, 221, 213))
    on = ImageDraw.Draw(screen)
    on.rectangle((0, 0, 720, 110), (7, 94, 84))
    on.text((90, 40), "Family", "white", font(28))
    shown = resized(picture, 480)
    on.rounded_rectangle((40, 290, 60 + shown.width, 350 + shown.height), 14, "white")
    screen.paste(shown, (50, 300))
    on.text((60, 308 + shown.height), WORDS[:20], (80, 80, 80), font(20))
    return screen


@kind
def on_a_wall(picture: Picture, draw: random.Random) -> Picture:
    noise = np.random.default_rng(draw.randrange(1 << 30)).normal(200, 6, (900, 1200, 3))
    wall, shown = from_pixels(noise), resized(picture, 620)
    framed = ImageOps.expand(ImageOps.expand(shown, 18, "white"), 12, (90, 60, 30))
    wall.paste(framed, ((1200 - framed.width) // 2, (900 - framed.height) // 2))
    return wall


@kind
def one_half_mirrored(picture: Picture, draw: random.Random) -> Picture:
    half, result = picture.crop((0, 0, picture.width // 2, picture.height)), picture.copy()
    result.paste(ImageOps.mirror(half), (picture.width - half.width, 0))
    return result


@kind
def faces_hidden(picture: Picture, draw: random.Random) -> Picture:
    result = picture.copy()
    for _ in range(3):
        x, y = draw.randrange(picture.width * 3 // 4), draw.randrange(picture.height * 3 // 4)
        part = result.crop((x, y, x + picture.width // 5, y + picture.height // 5))
        result.paste(part.filter(ImageFilter.GaussianBlur(15)), (x, y))
    return result


@kind
def large_captions(picture: Picture, draw: random.Random) -> Picture:
    result = picture.copy()
    on = ImageDraw.Draw(result)
    for share in (0.05, 0.4, 0.8):
        text = draw.choice(("WHEN YOU SEE", "THE MONDAY", "ONE DOES NOT"))
        at, px = (picture.width // 10, picture.height * share), min(picture.width, picture.height) / 7
        on.text(at, text, "white", font(px), stroke_width=4, stroke_fill="black")
    return result


def make(photos: Sequence[Path], out: Path, n: int, size: tuple[int, int] | None, seed: int) -> None:
    """Write ``images/`` and ``truth.csv``: copies of the first `n`, and the others as they are."""
    (out / "images").mkdir(parents=True, exist_ok=True)
    rows: list[tuple[str, str, str]] = []

    def put(picture: Picture, group: str, name: str, quality: int = QUALITY) -> None:
        file = f"img_{len(rows):06d}.jpg"
        picture.convert("RGB").save(out / "images" / file, quality=quality)
        rows.append((file, group, name))

    for number, path in enumerate(photos):
        with Image.open(path) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGB")
        picture = ImageOps.fit(picture, size) if size else resized(picture, LONGEST_PX)
        put(picture, f"g{number}", "original" if number < n else "distractor", 92)
        for name, alter in KINDS.items() if number < n else ():
            put(alter(picture, random.Random(f"{seed}-{number}-{name}")), f"g{number}", name)
    with (out / "truth.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("file", "group", "kind"), *rows])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, required=True, help="a folder of JPEG files")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--n", type=int, default=30, help="photographs that are altered")
    parser.add_argument("--n-others", type=int, default=0)
    parser.add_argument("--size", help="WIDTHxHEIGHT that each is cut to")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    photos = sorted(args.photos.rglob("*.jpg"))
    random.Random(args.seed).shuffle(photos)
    width, _, height = (args.size or "").partition("x")
    size = (int(width), int(height)) if height else None
    make(photos[: args.n + args.n_others], args.out, args.n, size, args.seed)


if __name__ == "__main__":
    main()
