"""Pictures for the benchmark of proofs: pages drawn here, visible changes, and what copies go through."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFile, ImageFont
from PIL.Image import Dither, Resampling, Transpose

ImageFile.LOAD_TRUNCATED_IMAGES = True  # one of the photographs lacks its last bytes
Pixels = np.ndarray
WORDS = ("the", "of", "and", "to", "in", "is", "you", "that", "it", "he", "was", "for", "with", "have")
MARKS = "0123456789"


def photographs(folder: Path, part: str) -> list[Path]:
    """Every other file of a folder: parts a and b share none."""
    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in (".jpg", ".jpeg"))
    return files[("a", "b").index(part) :: 2]


def opened(path: Path, longest_px: int | None = None) -> Image.Image:
    """A photograph, shrunk where it is larger."""
    image = Image.open(path).convert("RGB")
    scale = 1 if longest_px is None else min(1, longest_px / max(image.size))
    return image.resize((round(image.width * scale), round(image.height * scale)), Resampling.LANCZOS)


def page(seed: int, size: tuple[int, int], px: int, change: str | None = None) -> Image.Image:
    """A page of words and figures; with a change, one place of it is another."""
    rng, other = random.Random(seed), random.Random(seed + 1)
    rows = []
    for i in range(size[1] // (2 * px) - 2):
        if i % 3 == 2:
            rows.append(
                "   ".join(f"{rng.randint(100, 99999) / 100:.2f}" for _ in range(size[0] // (6 * px)))
            )
        else:
            rows.append(" ".join(rng.choice(WORDS) for _ in range(size[0] // (4 * px))) + ",")
    if change == "two digits":
        i = other.randrange(2, len(rows), 3)
        at = rows[i].index(".")
        new = "".join(other.choice([m for m in MARKS if m != c]) for c in rows[i][at + 1 : at + 3])
        rows[i] = rows[i][: at + 1] + new + rows[i][at + 3 :]
    elif change == "full stop for comma":
        i = other.randrange(0, len(rows), 3)
        rows[i] = rows[i][:-1] + "."
    elif change == "word":
        i = other.randrange(0, len(rows), 3)
        rows[i] = f"never {rows[i].split(' ', 1)[1]}"
    sheet = Image.new("RGB", size, "white")
    for i, row in enumerate(rows):
        text = ImageFont.load_default(px)
        ImageDraw.Draw(sheet).text((2 * px, px + 2 * px * i), row, font=text, fill="black")
    return sheet


CAPTIONS = {
    "full stop for comma": ("EUR 1,250.00", "EUR 1.250.00"),
    "comma for full stop": ("12.5 mmol", "12,5 mmol"),
    "one digit": ("17 Nov 2021", "17 Nov 2027"),
    "plus for minus": ("grade B-", "grade B+"),
}
CAPTION_PX = (11, 13, 16, 20)
CAPTION_COLORS = (("black", "white"), ((60, 40, 20), (250, 245, 220)), ("white", (20, 30, 80)))
"""Of the letters, and of the ground."""


def captioned(image: Image.Image, text: str, rng: random.Random) -> Image.Image:
    """The picture with a line of small letters on a plain ground."""
    image, px, (ink, ground) = image.copy(), rng.choice(CAPTION_PX), rng.choice(CAPTION_COLORS)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(px)
    x, y = (rng.randrange(0, max(1, side - 8 * px)) for side in image.size)
    draw.rectangle((x, y, x + 8 * px, y + 2 * px), fill=ground)
    draw.text((x + px // 2, y + px // 3), text, font=font, fill=ink)
    return image


def _place(rng: random.Random, pixels: Pixels, side: int, busy: bool = False) -> tuple[slice, slice]:
    places = []
    for _ in range(8 if busy else 1):
        y, x = (rng.randint(1, n - side - 2) for n in pixels.shape[:2])
        places.append((slice(y, y + side), slice(x, x + side)))
    return max(places, key=lambda p: float(pixels[p].std()))


def _square(side: int, levels: int) -> Callable[[Pixels, random.Random], Pixels]:
    def change(pixels: Pixels, rng: random.Random) -> Pixels:
        place = _place(rng, pixels, side)
        sign = -1 if pixels[place].mean() > 128 else 1
        pixels[place] = np.clip(pixels[place].astype(int) + sign * levels, 0, 255)
        return pixels

    return change


def _faint(pixels: Pixels, rng: random.Random) -> Pixels:
    place, side = _place(rng, pixels, 40), 40
    mask = np.zeros((side, side), np.float32)
    cv2.circle(mask, (side // 2, side // 2), side // 2 - 4, 1, -1)
    sign = -1 if pixels[place].mean() > 128 else 1
    shift = sign * 12 * cv2.GaussianBlur(mask, (0, 0), 2)[..., None]
    pixels[place] = np.clip(pixels[place] + shift, 0, 255).astype(np.uint8)
    return pixels


def _color(pixels: Pixels, rng: random.Random) -> Pixels:
    place = _place(rng, pixels, 24)
    ycc = cv2.cvtColor(np.ascontiguousarray(pixels[place]), cv2.COLOR_RGB2YCrCb).astype(int)
    ycc[..., 1] += 30 if ycc[..., 1].mean() < 128 else -30
    pixels[place] = cv2.cvtColor(np.clip(ycc, 0, 255).astype(np.uint8), cv2.COLOR_YCrCb2RGB)
    return pixels


def _removed(side: int) -> Callable[[Pixels, random.Random], Pixels]:
    def change(pixels: Pixels, rng: random.Random) -> Pixels:
        rows, columns = _place(rng, pixels, side, busy=True)
        mask = np.zeros(pixels.shape[:2], np.uint8)
        cv2.circle(mask, (columns.start + side // 2, rows.start + side // 2), side // 2, 255, -1)
        around = tuple(slice(max(0, s.start - 16), s.stop + 16) for s in (rows, columns))
        cut = [np.ascontiguousarray(a[around]) for a in (pixels, mask)]
        pixels[around] = cv2.inpaint(cut[0], cut[1], 5, cv2.INPAINT_TELEA)
        return pixels

    return change


def _moved(pixels: Pixels, rng: random.Random) -> Pixels:
    source, target = _place(rng, pixels, 30, busy=True), _place(rng, pixels, 30)
    pixels[target] = pixels[source].copy()
    return pixels


def _warp(pixels: Pixels, rng: random.Random) -> Pixels:
    rows, columns = _place(rng, pixels, 48, busy=True)
    y, x = np.mgrid[0:48, 0:48].astype(np.float32)
    pull = 4 * np.exp(-((x - 24) ** 2 + (y - 24) ** 2) / 100)
    cut = np.ascontiguousarray(pixels[rows, columns])
    pixels[rows, columns] = cv2.remap(cut, x + pull, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return pixels


def _drawn(
    draw: Callable[[ImageDraw.ImageDraw, int, int], None],
) -> Callable[[Pixels, random.Random], Pixels]:
    def change(pixels: Pixels, rng: random.Random) -> Pixels:
        image = Image.fromarray(pixels)
        rows, columns = _place(rng, pixels, min(90, *(n - 4 for n in pixels.shape[:2])))
        draw(ImageDraw.Draw(image), columns.start, rows.start)
        return np.array(image)

    return change


def _date(draw: ImageDraw.ImageDraw, x: int, y: int) -> None:
    draw.text((x, y), "2024-05-17", font=ImageFont.load_default(14), fill=(255, 160, 60))


def _person(draw: ImageDraw.ImageDraw, x: int, y: int) -> None:
    draw.ellipse([x + 20, y, x + 34, y + 14], fill=(220, 180, 150))
    draw.rectangle([x + 18, y + 14, x + 36, y + 44], fill=(40, 60, 150))
    draw.rectangle([x + 19, y + 44, x + 35, y + 60], fill=(40, 40, 60))


def _stroke(draw: ImageDraw.ImageDraw, x: int, y: int) -> None:
    draw.line([x, y, x + 60, y + 25], fill=(240, 30, 30), width=2)


def _watermark(draw: ImageDraw.ImageDraw, x: int, y: int) -> None:
    draw.text((x, y), "SAMPLE", font=ImageFont.load_default(24), fill=(200, 200, 200))


def _spot(draw: ImageDraw.ImageDraw, x: int, y: int) -> None:
    draw.ellipse([x, y, x + 23, y + 23], fill=(150, 120, 90))


CHANGES: dict[str, Callable[[Pixels, random.Random], Pixels]] = {
    "square of 4 px": _square(4, 80),
    "square of 12 px": _square(12, 24),
    "faint patch": _faint,
    "colour only": _color,
    "removed": _removed(24),
    "moved": _moved,
    "local warp": _warp,
    "date stamp": _drawn(_date),
    "stroke": _drawn(_stroke),
    "watermark": _drawn(_watermark),
}
LARGE_CHANGES: dict[str, Callable[[Pixels, random.Random], Pixels]] = {
    "spot of 24 px": _drawn(_spot),
    "spot of 24 px, painted over": _removed(24),
    "person of 60 px": _drawn(_person),
}


def square(pixels: Pixels, side: int, levels: int, rng: random.Random) -> Pixels:
    """The pixels with a square of `side` pixels that is `levels` brighter or darker."""
    return _square(side, levels)(pixels.copy(), rng)


def written(image: Image.Image, format: str = "JPEG", **options: object) -> bytes:
    """The bytes of a file."""
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def read(data: bytes) -> Image.Image:
    """Its pixels."""
    return Image.open(io.BytesIO(data)).convert("RGB")


def _scaled(share: float, method: Resampling) -> Callable[[Image.Image], bytes]:
    def make(image: Image.Image) -> bytes:
        return written(
            image.resize((round(image.width * share), round(image.height * share)), method), quality=85
        )

    return make


ENCODINGS: dict[str, Callable[[Image.Image], bytes]] = {
    "png": lambda im: written(im, "PNG"),
    **{f"q{q}": lambda im, q=q: written(im, quality=q) for q in (95, 85, 75, 60, 50, 30)},
    "progressive, 4:4:4": lambda im: written(im, quality=85, progressive=True, subsampling=0),
    "webp80": lambda im: written(im, "WEBP", quality=80),
    "webp40": lambda im: written(im, "WEBP", quality=40),
    "avif60": lambda im: written(im, "AVIF", quality=60, speed=8),
    "three quarters": _scaled(0.75, Resampling.LANCZOS),
    "half": _scaled(0.5, Resampling.BICUBIC),
    "a third": _scaled(1 / 3, Resampling.BOX),
    "turned": lambda im: written(im.transpose(Transpose.ROTATE_90), quality=85),
    "mirrored": lambda im: written(im.transpose(Transpose.FLIP_LEFT_RIGHT), quality=85),
    "q60, then q90": lambda im: written(read(written(im, quality=60)), quality=90),
    "enlarged": _scaled(1.5, Resampling.BICUBIC),
    "256 colours": lambda im: written(im.quantize(256, dither=Dither.NONE), "GIF"),
}
LARGE_ENCODINGS = {
    **{name: ENCODINGS[name] for name in ("q95", "q75", "q60", "q50", "half")},
    "1,600 px": lambda im: _scaled(1600 / max(im.size), Resampling.LANCZOS)(im),
}


def visibility(changed: bytes, unchanged: bytes) -> float:
    """How many times what one sees a change is in the copy: 1 and more is visible.

    The copy is compared with the same encoding of the unchanged picture: the greatest mean difference must be
    20 levels over 3 x 3 pixels, 10 over 6 x 6 or 6 over 12 x 12, and half of the local texture's deviation.
    """
    a, b = (np.asarray(read(data)).astype(np.float32) for data in (changed, unchanged))
    ycc = [cv2.cvtColor(x / 255, cv2.COLOR_RGB2YCrCb) * 255 for x in (a, b)]
    differences = np.abs(ycc[0] - ycc[1]), ycc[0] - ycc[1]
    gray, most = ycc[1][..., 0], 0.0
    for side, levels in ((3, 20), (6, 10), (12, 6)):
        if 2 * side > min(gray.shape):
            continue
        mean = np.abs(cv2.blur(differences[1], (side, side))).max(2)
        spread = cv2.blur(gray * gray, (3 * side, 3 * side)) - cv2.blur(gray, (3 * side, 3 * side)) ** 2
        most = max(most, float((mean / np.maximum(levels, np.sqrt(np.maximum(spread, 0)) / 2)).max()))
    return most
