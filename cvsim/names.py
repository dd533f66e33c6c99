"""File names: as they are given, and as they can be shown in a terminal, a message, a page, a picture."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable

PathLike = str | bytes | os.PathLike[str]
"""A path as a caller may give it."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What makes a spreadsheet read a cell as a formula, or skip to one."""
_JOINERS = frozenset("\u200c\u200d")
"""Invisible, yet part of how emoji and several scripts are spelt."""


def printable(text: str) -> str:
    r"""`text` with everything that could move a cursor, reorder a line or hide made visible.

    Bytes of a file name that are not UTF-8 become ``\xNN``, control and format characters (newlines,
    ESC, bidirectional overrides) their Python escapes. Spaces of every width stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_visible, text))


def _visible(character: str) -> str:
    if character.isprintable() or character in _JOINERS:
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if character not in "\u2028\u2029" and character.isspace() and code > 0x9F:
        return character
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def folded(path: str) -> str:
    """The absolute path as filesystems compare names that fold case and composition: exFAT, FAT, NTFS."""
    return unicodedata.normalize("NFC", os.path.abspath(path)).casefold()


def is_listed(path: str) -> bool:
    """Whether each part of a path is spelt as its folder lists it; True where that cannot be asked.

    Of two spellings of one name on a filesystem that folds names only one is listed. Inodes do not tell:
    drivers in user space number names, not files.
    """
    place = os.path.abspath(path)
    while (parent := os.path.dirname(place)) != place:
        try:
            if os.path.basename(place) not in os.listdir(parent):
                return False
        except OSError:
            return True
        place = parent
    return True


def path_texts(paths: PathLike | Iterable[PathLike]) -> list[str]:
    """Turn paths into text; a single one stands for itself. Bytes that are not UTF-8 become surrogates."""
    several = [paths] if isinstance(paths, (str, bytes, os.PathLike)) else paths
    return [os.fsdecode(path) for path in several]


def path_cell(path: str) -> str:
    """A name for the same file that no spreadsheet takes for a formula: ``=1+1.jpg`` is ``./=1+1.jpg``."""
    return f"./{path}" if path.startswith(_FORMULA) else path


def text_cell(text: str) -> str:
    """Prose that no spreadsheet takes for a formula: an apostrophe before it says that it is text."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def of_cell(cell: str) -> str:
    """What `path_cell` or `text_cell` was given."""
    for mark in ("./", "'"):
        rest = cell.removeprefix(mark)
        if rest != cell and rest.startswith(_FORMULA):
            return rest
    return cell
