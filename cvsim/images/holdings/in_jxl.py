"""What a JPEG XL file holds, by its boxes and by the beginning of its codestream (ISO/IEC 18181-1 and -2)."""

from __future__ import annotations

import hashlib

from cvsim.images.holdings.found import GAIN_MAP, OTHER, Found
from cvsim.images.iso_media import boxes
from cvsim.images.sizes import jxl_metadata

_CODESTREAM = b"\xff\x0a"
_PICTURE_BOXES = frozenset(
    (b"JXL ", b"ftyp", b"jxll", b"jxlc", b"jxlp", b"jxli", b"jbrd", b"Exif", b"xml ", b"brob")
)


def read_jxl(data: bytes) -> Found:
    """What the file holds. Its reader does not tell frames apart, so that an animation is held as a whole."""
    found = Found()
    if data[:2] != _CODESTREAM:
        for box in boxes(data):
            if box.type == b"jhgm":
                found.add(GAIN_MAP, bytes(data[box.body : box.end]))
            elif box.type == b"Exif":
                found.exif = bytes(data[box.body + 4 : box.end])
            elif box.type not in _PICTURE_BOXES:
                found.add(OTHER, bytes(data[box.body : box.end]))
    head = jxl_metadata(data)
    if head is None:
        found.may_have_alpha = True
        return found
    found.bits, found.may_have_alpha = head.bits, head.n_extra_channels > 0
    if head.is_animated:
        found.add("animation", bytes(data))
    if not head.has_usual_colors:
        # Not read further: two files of the same encoder have the same, and others are not taken for equal.
        found.color = f"of JPEG XL ({hashlib.sha256(head.color_bits).hexdigest()[:8]})"
    return found
