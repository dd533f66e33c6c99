"""Pictures for tests: made, not stored. `from generate import scene, altered, copy_set`.

The scenes and the alterations are those of ``samples/``; here is what only tests want.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import scenes
from alterations import KINDS, LIGHT_KINDS, RGB, altered, encoded
from PIL import Image

__all__ = ["KINDS", "LIGHT_KINDS", "RGB", "Copy"]
__all__ += ["altered", "copy_set", "encoded", "near_miss", "save_image", "scene"]


MAX_REMEMBERED_PX = 640 * 480
"""Of a scene. Most are a quarter of that; 256 of the largest are 240 MB."""


def scene(seed: int, width: int = 640, height: int = 480, *, arrangement: int = 0) -> RGB:
    """`scenes.scene`, remembered: most tests want the same few, and one takes a tenth of a second to draw."""
    draw = _remembered if width * height <= MAX_REMEMBERED_PX else scenes.scene
    return draw(seed, width, height, arrangement=arrangement).copy()


_remembered = functools.lru_cache(maxsize=256)(scenes.scene)


@dataclass(frozen=True)
class Copy:
    """A row of the truth: `file` (relative POSIX path) shows the photograph `group`, altered by `kind`."""

    file: str
    group: str
    kind: str


def near_miss(seed: int, width: int = 320, height: int = 240) -> tuple[RGB, RGB]:
    """Two photographs of one spot: alike, and not copies."""
    return scene(seed, width, height), scene(seed, width, height, arrangement=1)


def save_image(path: Path, rgb: RGB, *, quality: int = 92) -> Path:
    """Write a picture in the format of the path's suffix; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {} if path.suffix in {".png", ".bmp", ".gif"} else {"quality": quality}
    Image.fromarray(rgb).save(path, **options)
    return path


def copy_set(
    folder: Path,
    n_scenes: int = 4,
    kinds: Sequence[str] = ("jpeg", "half", "grey"),
    *,
    size: tuple[int, int] = (320, 240),
    n_others: int = 0,
    seed: int = 0,
) -> list[Copy]:
    """Write originals, altered copies and pictures without a copy, with their truth.

    Parameters
    ----------
    folder : Path
        Gets ``images/`` with flat names and ``truth.csv`` (file,group,kind) beside it.
    n_scenes, kinds
        Each scene is written once as it is (kind ``original``) and once in each kind.
    size : (int, int)
        Width and height of the originals in pixels.
    n_others : int
        Further scenes without a copy (kind ``distractor``).
    seed : int
        Sets with seeds at least ``n_scenes + n_others`` apart share no scene.

    Returns
    -------
    list of Copy
        By file; `Copy.file` is relative to ``folder/images``.
    """
    rows = []
    for i in range(n_scenes + n_others):
        original = scene(seed + i, *size)
        group = f"g{seed + i:04d}"
        names = ("original", *kinds) if i < n_scenes else ("distractor",)
        for kind in names:
            rgb = altered(original, kind, seed + i) if kind in KINDS else original
            file = f"{group}_{kind}.jpg"
            save_image(folder / "images" / file, rgb)
            rows.append(Copy(file, group, kind))
    rows.sort(key=lambda row: row.file)
    with (folder / "truth.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("file", "group", "kind"))
        writer.writerows((row.file, row.group, row.kind) for row in rows)
    return rows
