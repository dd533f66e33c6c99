"""The formats that can be read, each an entry of one table.

To add one: an entry here and a file of tests. `sniff` asks the signatures in the order of the table; the size
that a header claims says how much memory and time decoding may take.
"""

from __future__ import annotations

import importlib.util
import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from cvsim.images import sizes

Decoder = Literal["turbo", "pillow", "rawpy"]
SignatureTest = Callable[[bytes, str], bool]
"""Whether a file is of a format, by its first bytes and its name in lower case."""
USUAL_BYTES_PER_PIXEL = 5
"""Pillow's raster takes 4; the rest is a band that is converted at a time."""
UNKNOWN_PIXELS = 60_000_000
"""Taken for the size of a picture whose header does not say, where its decoder asks for much a pixel."""
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}
_BMP_HEADER_BYTES = {12, 16, 40, 52, 56, 64, 108, 124}
_TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_TGA_ENDINGS = (".tga", ".icb", ".vda", ".vst")
# fmt: off
RAW_ENDINGS = (
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos", ".mrw",
    ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
)
# fmt: on
_RAW_MAGICS = (b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW", b"FOVb", b"\0MRM")


@dataclass(frozen=True, slots=True)
class Format:
    """One format.

    Attributes
    ----------
    name : str
        What `sniff` says.
    label : str
        What people call it.
    endings : tuple of str
        Of file names, the usual one first.
    signature : callable
    decoder : {"turbo", "pillow", "rawpy"}
    plugin : (str, str)
        Module and class of Pillow's reader; empty for another decoder.
    size : callable
        The beginning of a file -> (width, height) or None.
    holds : str
        What a file may hold beside one picture of 8 bits, in words.
    bytes_per_pixel : int
        Memory that decoding was seen to take, at 12 and 48 megapixels for PNG, TIFF and WebP, at 12 for the
        others; for JPEG XL what it maps there (20, and 24 with transparency) and a little more; that of raw
        is an upper bound chosen by hand.
    s_per_megapixel : float
        Time that decoding is given beside the usual one: ten times what was seen on one core.
    extra : str
        The extra that brings its decoder; empty if none is needed.
    module : str
        What the decoder needs to be installed.
    feature : str
        What Pillow must have been built with.
    is_risky : bool
        Decoded where the decoder can be killed.
    """

    name: str
    label: str
    endings: tuple[str, ...]
    signature: SignatureTest
    plugin: tuple[str, str]
    size: Callable[[bytes], tuple[int, int] | None]
    holds: str = ""
    bytes_per_pixel: int = USUAL_BYTES_PER_PIXEL
    s_per_megapixel: float = 0.2
    decoder: Decoder = "pillow"
    extra: str = ""
    module: str = ""
    feature: str = ""
    is_risky: bool = True

    @property
    def is_available(self) -> bool:
        """Whether this installation decodes it."""
        if self.module and importlib.util.find_spec(self.module) is None:
            return False
        if not self.feature:
            return True
        from PIL import features

        return bool(features.check(self.feature))

    def claimed_size(self, data: bytes) -> tuple[int, int] | None:
        """(width, height) as the beginning of a file claims, or None."""
        try:
            return self.size(data)
        except (struct.error, IndexError):  # the header is cut short
            return None

    def memory_bytes(self, data: bytes) -> int:
        """About how much memory decoding takes, by the beginning of a file; 0 if that is not known."""
        return self.memory_of(self.claimed_size(data))

    def memory_of(self, size: tuple[int, int] | None) -> int:
        """About how much memory decoding a picture of this size takes; 0 if that is not known."""
        if size is None:
            return UNKNOWN_PIXELS * self.bytes_per_pixel if self.decoder == "rawpy" else 0
        return size[0] * size[1] * self.bytes_per_pixel


def _starts(*magics: bytes) -> SignatureTest:
    return lambda head, name: head.startswith(magics)


def _is_webp(head: bytes, name: str) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def _brands(head: bytes) -> list[bytes]:
    """The brands a reader may rely on: the major one, then (after a version) the compatible ones."""
    if head[4:8] != b"ftyp":
        return []
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return [head[8:12], *(head[i : i + 4] for i in range(16, end - 3, 4))]


def _is_avif(head: bytes, name: str) -> bool:
    return not _AVIF_BRANDS.isdisjoint(_brands(head))


def _is_heif(head: bytes, name: str) -> bool:
    return not _HEIF_BRANDS.isdisjoint(_brands(head))


def _is_bmp(head: bytes, name: str) -> bool:
    return (
        head[:2] == b"BM" and len(head) >= 26 and int.from_bytes(head[14:18], "little") in _BMP_HEADER_BYTES
    )


def _is_pnm(head: bytes, name: str) -> bool:
    return head[:1] == b"P" and head[1:2] in b"123456" and head[2:3] in b" \t\r\n#" and len(head) > 2


def _is_ico(head: bytes, name: str) -> bool:
    if len(head) < 22 or head[:4] != b"\0\0\1\0" or head[4:6] == b"\0\0":
        return False
    size_bytes, offset = struct.unpack_from("<II", head, 14)
    return head[9] == 0 and size_bytes > 0 and offset >= 22


def _is_tga(head: bytes, name: str) -> bool:
    if len(head) < 18 or not name.endswith(_TGA_ENDINGS):
        return False
    map_kind, image_kind = head[1], head[2]
    map_depth, (width, height), depth = head[7], struct.unpack_from("<HH", head, 12), head[16]
    return (
        map_kind in (0, 1)
        and image_kind in (1, 2, 3, 9, 10, 11)
        and (map_depth in (15, 16, 24, 32) if map_kind else image_kind not in (1, 9))
        and width > 0
        and height > 0
        and depth in (8, 15, 16, 24, 32)
    )


def _is_raw(head: bytes, name: str) -> bool:
    """Whether a camera's raw file: most are built like a TIFF, and only their names tell so early."""
    if head.startswith(_RAW_MAGICS) or b"crx " in _brands(head)[:1] or head[6:14] == b"HEAPCCDR":
        return True
    is_named = os.path.splitext(name)[1] in RAW_ENDINGS
    return (head[8:10] == b"CR" and head[:4] == b"II*\0") or (is_named and head.startswith(_TIFF_MAGICS))


_FORMATS = (
    Format(
        "jpeg", "JPEG", (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), _starts(b"\xff\xd8\xff"),
        ("PIL.JpegImagePlugin", "JpegImageFile"), sizes.jpeg_size,
        holds="further pictures (MPF), film, depth map, gain map, profile", decoder="turbo", is_risky=False,
        s_per_megapixel=0.1,
    ),
    Format(
        "png", "PNG", (".png", ".apng"), _starts(b"\x89PNG\r\n\x1a\n"),
        ("PIL.PngImagePlugin", "PngImageFile"), sizes.png_size,
        holds="frames, transparency, 16 bits, profile", s_per_megapixel=0.5,
    ),
    Format(
        "gif", "GIF", (".gif",), _starts(b"GIF87a", b"GIF89a"), ("PIL.GifImagePlugin", "GifImageFile"),
        sizes.gif_size, holds="frames, transparency",
    ),
    Format(
        "raw", "camera RAW", RAW_ENDINGS, _is_raw, ("", ""), sizes.raw_size,
        holds="what the sensor saw, previews", bytes_per_pixel=14, s_per_megapixel=1.0, decoder="rawpy",
        extra="raw", module="rawpy",
    ),
    Format(
        "tiff", "TIFF", (".tif", ".tiff"), _starts(*_TIFF_MAGICS), ("PIL.TiffImagePlugin", "TiffImageFile"),
        sizes.tiff_size, holds="pages, transparency, 16 and 32 bits, profile", s_per_megapixel=0.5,
    ),
    Format(
        "jpeg2000", "JPEG 2000", (".jp2", ".j2k", ".jpx"),
        _starts(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
        ("PIL.Jpeg2KImagePlugin", "Jpeg2KImageFile"), sizes.jpeg2000_size,
        holds="transparency, 16 bits, profile", bytes_per_pixel=20, s_per_megapixel=2.0, feature="jpg_2000",
    ),
    Format(
        "jxl", "JPEG XL", (".jxl",), _starts(b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"),
        ("pillow_jxl.JpegXLImagePlugin", "JXLImageFile"), sizes.jxl_size,
        holds="frames, transparency, 16 bits, profile", bytes_per_pixel=28, s_per_megapixel=2.0,
        extra="jxl", module="pillow_jxl",
    ),
    Format(
        "webp", "WebP", (".webp",), _is_webp, ("PIL.WebPImagePlugin", "WebPImageFile"), sizes.webp_size,
        holds="frames, transparency, profile", bytes_per_pixel=17, s_per_megapixel=0.5, feature="webp",
    ),
    Format(
        "avif", "AVIF", (".avif",), _is_avif, ("PIL.AvifImagePlugin", "AvifImageFile"), sizes.heif_size,
        holds="frames, further pictures, transparency, 10 and 12 bits, profile", bytes_per_pixel=10,
        s_per_megapixel=1.0, feature="avif",
    ),
    Format(
        "heic", "HEIC", (".heic", ".heif", ".hif"), _is_heif, ("pillow_heif", "HeifImageFile"),
        sizes.heif_size,
        holds="further pictures, film, depth map, transparency, 10 bits, profile", bytes_per_pixel=8,
        s_per_megapixel=1.0, extra="heif", module="pillow_heif",
    ),
    Format("bmp", "BMP", (".bmp",), _is_bmp, ("PIL.BmpImagePlugin", "BmpImageFile"), sizes.bmp_size),
    Format(
        "pnm", "PNM", (".ppm", ".pgm", ".pbm", ".pnm"), _is_pnm, ("PIL.PpmImagePlugin", "PpmImageFile"),
        sizes.no_size, holds="16 bits",
    ),
    Format(
        "ico", "ICO", (".ico",), _is_ico, ("PIL.IcoImagePlugin", "IcoImageFile"), sizes.no_size,
        holds="further pictures, transparency",
    ),
    Format(
        "tga", "TGA", _TGA_ENDINGS, _is_tga, ("PIL.TgaImagePlugin", "TgaImageFile"), sizes.tga_size,
        holds="transparency",
    ),
)  # fmt: skip
FORMAT_TABLE: Mapping[str, Format] = {entry.name: entry for entry in _FORMATS}
"""By name, in the order in which signatures are asked."""
