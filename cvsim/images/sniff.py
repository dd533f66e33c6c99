"""What a file is, by its content; names lie."""

from __future__ import annotations

import os
import struct

HEAD_BYTES = 64
"""How much of a file's beginning `sniff` looks at."""

_SIGNATURES = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jpeg2000"),
    (b"\xff\x4f\xff\x51", "jpeg2000"),
)
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}
_BMP_HEADER_BYTES = {12, 16, 40, 52, 56, 64, 108, 124}
_TGA_EXTENSIONS = {".tga", ".icb", ".vda", ".vst"}


def sniff(head: bytes, *, name: str = "") -> str | None:
    """Tell an image's format.

    Parameters
    ----------
    head : bytes
        The first `HEAD_BYTES` bytes of a file (fewer if it is shorter; more do no harm).
    name : str
        The file's name. Only TGA, which has no signature, takes a hint from it.

    Returns
    -------
    str or None
        One of jpeg, png, gif, bmp, tiff, webp, avif, heic, jpeg2000, pnm, ico, tga; None for anything else.
    """
    for magic, known in _SIGNATURES:
        if head.startswith(magic):
            return known
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        return _sniff_iso_media(head)
    if head[:2] == b"BM" and len(head) >= 26 and int.from_bytes(head[14:18], "little") in _BMP_HEADER_BYTES:
        return "bmp"
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3] in b" \t\r\n#" and len(head) > 2:
        return "pnm"
    if _is_ico(head):
        return "ico"
    if os.path.splitext(name)[1].lower() in _TGA_EXTENSIONS and _is_tga(head):
        return "tga"
    return None


def is_risky(format: str | None) -> bool:
    """Whether the format is decoded where the decoder can be killed: every one but JPEG."""
    return format not in (None, "jpeg")


def _sniff_iso_media(head: bytes) -> str | None:
    # The brands a reader may rely on: the major one, then (after a version) the compatible ones.
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[i : i + 4] for i in range(16, end - 3, 4))]
    if any(brand in _AVIF_BRANDS for brand in brands):
        return "avif"
    if any(brand in _HEIF_BRANDS for brand in brands):
        return "heic"
    return None


def _is_ico(head: bytes) -> bool:
    if len(head) < 22 or head[:4] != b"\0\0\1\0" or head[4:6] == b"\0\0":
        return False
    size_bytes, offset = struct.unpack_from("<II", head, 14)
    return head[9] == 0 and size_bytes > 0 and offset >= 22


def _is_tga(head: bytes) -> bool:
    if len(head) < 18:
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
