"""The words, numbers and file names that people read: in the terminal and in the HTML page alike."""

from __future__ import annotations

import math
from collections.abc import Mapping

from cvsim.names import printable
from cvsim.types import Hit

RELATIONS: Mapping[str, str] = {
    "identical-file": "the same file, byte for byte",
    "identical-pixels": "the same pixels in another file",
    "re-encoded": "saved again",
    "resized": "resized",
    "recolored": "other colours or brightness",
    "edited": "edited: a border, a caption, a retouch",
    "cropped": "cropped",
    "pasted": "pasted into a larger picture",
    "rotated": "turned",
    "mirrored": "mirrored",
    "similar": "similar",
}
"""What happened between two pictures, in words, in order of how little it was."""

KEEP_RULES: Mapping[str, str] = {
    "only": "it is the only one",
    "intact": "the others are damaged",
    "protected": "it lies in a protected folder",
    "there": "the others are not there now, or lie in archives",
    "original": "its name does not say copy",
    "sharpest": "it is the sharpest",
    "resolution": "it has the most pixels",
    "size": "it is the largest file",
    "metadata": "it has the most metadata",
    "companions": "its RAW or its sidecars lie beside it",
    "oldest": "it is the oldest",
    "newest": "it is the newest",
    "longest-name": "its name is the longest",
    "shortest-name": "its name is the shortest",
    "path": "its path comes first",
    "format": "its format is the best",
}
"""Why a file is kept, by the name of the rule that decided."""


def percent(probability: float) -> str:
    """``"99.7 %"``: cut, never rounded up, so that nothing below a threshold is shown at it."""
    if probability >= 1.0:
        return "100 %"
    if probability > 0.999:
        return "> 99.9 %"
    if probability < 0.001:
        return "< 0.1 %"
    return f"{math.floor(probability * 1000 + 1e-9) / 10:.1f} %"


def hit_words(hit: Hit) -> tuple[str, str]:
    """What is said of a hit.

    Of a copy, how sure that is. Of what merely looks alike, a similarity, which is no per cent of anything.
    """
    if hit.profile == "copy":
        return percent(hit.score), relation_words(hit.relation)
    return f"{hit.score:.2f}", "similarity, looks alike"


def byte_size(n_bytes: int) -> str:
    """``"3.2 MB"``, in powers of 1000 as disks and file managers count."""
    if n_bytes < 1000:
        return f"{n_bytes} B"
    value = float(n_bytes)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.5 or unit == "TB":
            break
    return f"{value:.1f} {unit}" if value < 99.95 else f"{value:.0f} {unit}"


def dimensions(width_px: int, height_px: int) -> str:
    """Write a size as ``640 × 480``."""
    return f"{width_px} × {height_px}"


def quantity(n: int, one: str, many: str | None = None) -> str:
    """``"1 group"``, ``"1,234 groups"``."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def relation_words(relation: str) -> str:
    """Say a relation in words for a person; one that has none stays as it is."""
    return RELATIONS.get(relation, relation)


def keep_words(rule: str) -> str:
    """``"it has the most pixels"`` for ``"resolution"``; a rule with an argument names it."""
    if rule.startswith("original (") and rule.endswith(")"):
        return f"it is the original: it {rule[len('original (') : -1]}"
    name, _, argument = rule.partition(":")
    if name == "folder":
        return f"it lies in {printable(argument)}"
    words = KEEP_RULES.get(name, rule)
    return f"{words} ({printable(argument)})" if argument else words
