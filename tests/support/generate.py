"""Pictures for tests: made, not stored. `from generate import scene, altered, copy_set`.

The scenes and the alterations are those of ``samples/``; here is what only tests want.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import scenes
from alterations import KINDS, LIGHT_KINDS, RGB, altered, encoded
from PIL import Image

__all__ = ["KINDS", "LIGHT_KINDS", "RGB", "Copy", "Shot"]
__all__ += ["altered", "burst", "copy_set", "encoded", "near_miss", "save_frame", "save_image", "scene"]


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


@dataclass(frozen=True)
class Shot:
    """What the EXIF of a frame says: seconds after ten in the morning, and make and model."""

    second: float
    camera: str = "Foxglove F100"

    def exif(self) -> Image.Exif:
        """The block, with a fraction of a second."""
        exif, whole = Image.Exif(), int(self.second)
        exif[0x010F], exif[0x0110] = self.camera.split(" ", 1)
        inner = exif.get_ifd(0x8769)
        inner[0x9003] = f"2024:05:04 {10 + whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"
        inner[0x9291] = f"{round((self.second - whole) * 100):02}"
        return exif


def save_frame(path: Path, rgb: RGB, shot: Shot | None = None) -> Path:
    """Write a JPEG as a camera does; without a shot its EXIF says nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path, quality=92, exif=Image.Exif() if shot is None else shot.exif())
    return path


def burst(folder: Path, seed: int, n_frames: int = 3, *, start: float | None = 0.0) -> list[Path]:
    """Frames of one spot, half a second apart, the camera a little elsewhere in each; all but one are soft.

    The sharp one is the last but one. Without a `start` nothing says when they were taken.
    """
    paths = []
    for k in range(n_frames):
        view = scene(seed, 640, 480, arrangement=k)
        soft = view if k == n_frames - 2 else cv2.GaussianBlur(view, (0, 0), 1.5)
        shot = None if start is None else Shot(start + k / 2)
        paths.append(save_frame(folder / f"burst{seed}-{k}.jpg", np.asarray(soft, np.uint8), shot))
    return paths
