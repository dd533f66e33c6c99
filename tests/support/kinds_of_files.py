"""Files that hold more than one plain picture, of each kind, beside such that show the same and hold less."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
from generate import RGB, scene
from PIL import Image

SIZE = (240, 180)
Maker = Callable[[Path], None]


def picture(seed: int = 0) -> Image.Image:
    return Image.fromarray(scene(seed, *SIZE))


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def box(kind: bytes, *bodies: bytes) -> bytes:
    body = b"".join(bodies)
    return struct.pack(">I", 8 + len(body)) + kind + body


def film(seed: int = 0, seconds: float = 2.1) -> bytes:
    """The beginning and end of an MP4 of some length."""
    header = struct.pack(">IIIII", 0, 0, 0, 1000, round(1000 * seconds)) + bytes(80)
    noise = np.random.default_rng(seed).bytes(5000)
    return box(b"ftyp", b"mp42\0\0\0\0mp42isom") + box(b"mdat", noise) + box(b"moov", box(b"mvhd", header))


def several(seed: int, format: str, **options: object) -> bytes:
    """Pages or frames: the first of seed 0, the others of their own."""
    rest = [picture(seed + k) for k in (1, 2)]
    return encoded(picture(), format, save_all=True, append_images=rest, **options)


def cut_out(seed: int = 0) -> Image.Image:
    image = picture().convert("RGBA")
    mask = np.zeros(SIZE[::-1], np.uint8)
    cv2.ellipse(mask, (120, 90), (100 - 10 * seed, 75), 0, 0, 360, 255, -1)
    image.putalpha(Image.fromarray(mask))
    return image


def deep(seed: int, ending: str) -> bytes:
    low = np.random.default_rng(seed).integers(0, 256, SIZE[::-1], np.uint16)
    gray = scene(0, *SIZE)[..., 1].astype(np.uint16)
    return bytes(cv2.imencode(ending, gray << 8 | low)[1])


def gray8() -> bytes:
    return encoded(Image.fromarray(scene(0, *SIZE)[..., 1]), "PNG")


def jpeg(quality: int = 90, **options: object) -> bytes:
    return encoded(picture(), "JPEG", quality=quality, **options)


def profile() -> bytes:
    """sRGB whose red and blue have changed places."""
    from PIL import ImageCms

    icc = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    places = {tag: icc.index(tag, 128) + 4 for tag in (b"rXYZ", b"bXYZ")}
    red, blue = (bytes(icc[at : at + 8]) for at in places.values())
    icc[places[b"rXYZ"] : places[b"rXYZ"] + 8], icc[places[b"bXYZ"] : places[b"bXYZ"] + 8] = blue, red
    return bytes(icc)


def gain_map() -> bytes:
    return encoded(picture(9), "JPEG", xmp=b"<x hdrgm:Version='1.0'/>")


MORE: Mapping[str, tuple[str, Callable[[int], bytes], str, Callable[[], bytes]]] = {
    "gif": (
        ".gif",
        lambda seed: several(seed, "GIF", duration=90, loop=0),
        ".png",
        lambda: encoded(picture(), "PNG"),
    ),
    "apng": (".png", lambda seed: several(seed, "PNG", duration=90), ".jpg", jpeg),
    "webp": (".webp", lambda seed: several(seed, "WEBP", duration=90, lossless=True), ".jpg", jpeg),
    "avif": (".avif", lambda seed: several(seed, "AVIF", duration=90, quality=95), ".jpg", jpeg),
    "pages": (".tif", lambda seed: several(seed, "TIFF", compression="tiff_lzw"), ".jpg", jpeg),
    "heic": (".heic", lambda seed: several(seed, "HEIF", quality=95), ".jpg", jpeg),
    "mpo": (".jpg", lambda seed: several(seed, "MPO", quality=90), ".jpg", lambda: jpeg(80)),
    "motion photo": (".jpg", lambda seed: jpeg() + film(seed), ".jpg", lambda: jpeg(95)),
    "heic film": (
        ".heic",
        lambda seed: encoded(picture(), "HEIF", quality=95) + box(b"mpvd", film(seed)),
        ".jpg",
        jpeg,
    ),
    "cut-out png": (
        ".png",
        lambda seed: encoded(cut_out(seed), "PNG"),
        ".jpg",
        lambda: _flat("JPEG", quality=95),
    ),
    "cut-out webp": (
        ".webp",
        lambda seed: encoded(cut_out(seed), "WEBP", lossless=True),
        ".png",
        lambda: _flat("PNG"),
    ),
    "16-bit png": (".png", lambda seed: deep(seed, ".png"), ".png", gray8),
    "16-bit tiff": (".tif", lambda seed: deep(seed, ".tiff"), ".png", gray8),
    "gain map": (".jpg", lambda seed: jpeg() + gain_map() + bytes(seed + 1), ".jpg", lambda: jpeg(95)),
    "other data": (
        ".jpg",
        lambda seed: jpeg() + b"PK\3\4" + bytes([65 + seed]) * 4000,
        ".jpg",
        lambda: jpeg(95),
    ),
}
"""By kind: how a file of it is made (two seeds give two that differ beyond the first picture), and one that
shows what its first picture shows and holds nothing more."""


def _flat(format: str, **options: object) -> bytes:
    cut = cut_out()
    flat = Image.new("RGB", SIZE, "white")
    flat.paste(cut, mask=cut)
    return encoded(flat, format, **options)


def changed(rgb: RGB, seed: int) -> RGB:
    """With a small figure painted in."""
    out = rgb.copy()
    rng = np.random.default_rng(seed)
    height, width = rgb.shape[:2]
    x, y = int(rng.integers(20, width - 40)), int(rng.integers(20, height - 40))
    cv2.rectangle(out, (x, y), (x + 14, y + 18), rng.integers(0, 256, 3).tolist(), -1)
    cv2.circle(out, (x + 7, y - 5), 5, (230, 200, 170), -1)
    return out
