"""Text in pictures: a font that is there, and no letter that it lacks."""

from __future__ import annotations

import functools

from PIL import ImageFont

from cvsim.names import printable

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

REGULAR = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial.ttf", "arial.ttf")
BOLD = ("DejaVuSans-Bold.ttf", "NotoSans-Bold.ttf", "Arial Bold.ttf", "arialbd.ttf")
"""Fonts of common systems with letters of many scripts; without any of them, Pillow's own."""
_NO_LETTER = "\uffff"


@functools.lru_cache(maxsize=16)
def font(size_px: int, *, bold: bool = False) -> Font:
    """A font of this size."""
    for name in BOLD if bold else REGULAR:
        try:
            return ImageFont.truetype(name, size_px)
        except OSError:
            continue
    return ImageFont.load_default(size_px)


def drawable(text: str, letters: Font) -> str:
    """`text` as `printable` shows it, with an escape for every letter that the font lacks."""
    return "".join(
        c if c.isascii() or _has(c, letters) else c.encode("unicode_escape").decode("ascii")
        for c in printable(text)
    )


@functools.lru_cache(maxsize=4096)
def _has(letter: str, letters: Font) -> bool:
    try:
        return bytes(letters.getmask(letter)) != bytes(letters.getmask(_NO_LETTER))
    except UnicodeError:  # the bitmap font of a Pillow without FreeType knows Latin-1 only
        return False


def shortened(text: str, letters: Font, width_px: float) -> str:
    """`text` without its middle, at most so wide: a name's end tells most, then its beginning."""
    if letters.getlength(text) <= width_px:
        return text
    n = len(text)
    while n > 1 and letters.getlength(_without_middle(text, n)) > width_px:
        n -= 1
    return _without_middle(text, n)


def _without_middle(text: str, n: int) -> str:
    head = n // 3
    return text[:head] + "..." + text[len(text) - (n - head) :]
