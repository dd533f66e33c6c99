"""Folders of pictures of which it is known which are the same.

Copies come from a maker outside of this repository: ``--eval`` names its folder, with ``make_dev_set.py
OUT [--part a|b] [--kinds light]``, which writes ``OUT/images`` and ``OUT/truth.csv`` (file,group,kind).
Folders of photographs of which no two are the same come from ``--data``. Flat pictures are drawn here.
"""

from __future__ import annotations

import csv
import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

LIGHT_KINDS = frozenset(
    {
        "jpeg10",
        "png",
        "webp40",
        "down4",
        "up2",
        "squeeze",
        "bright",
        "gamma2",
        "gray",
        "blur",
        "noise",
        "text",
    }
    | {"border", "rot3", "crop90"}
)
"""The kinds of a light set; the mean of their recalls is reported by itself."""
N_FLAT = 200


@dataclass(frozen=True)
class LabelledSet:
    """A folder of pictures with their truth.

    Attributes
    ----------
    name : str
    folder : Path
        Holds the pictures, and nothing else.
    group, kind : dict of str to str
        By file name: what shows the same, and what made it (``"original"``, ``"distractor"``, ...).
    """

    name: str
    folder: Path
    group: dict[str, str]
    kind: dict[str, str]

    @property
    def files(self) -> list[str]:
        """Names, sorted."""
        return sorted(self.group)

    @property
    def fingerprint(self) -> str:
        """Changes with the names and sizes of its files, so that no other set's results are taken for its."""
        listing = "".join(f"{name} {(self.folder / name).stat().st_size}\n" for name in self.files)
        return hashlib.sha256(listing.encode()).hexdigest()[:8]

    @property
    def truth_file(self) -> Path:
        """The answer file of a copy set."""
        return self.folder.parent / "truth.csv"


def copy_set(evaluation: Path | None, sets: Path, part: str | None = None, kinds: str = "all") -> LabelledSet:
    """A set of altered copies, made on first use under ``sets/<name>``.

    Parameters
    ----------
    evaluation : Path or None
        The folder of ``make_dev_set.py``; None: the set must have been made.
    part : "a", "b" or None
        Two halves that share no photograph; None: both together.
    kinds : str
    """
    name = "-".join(["copies", *([] if part is None else [part]), *([] if kinds == "all" else [kinds])])
    out = sets / name
    if not (out / "truth.csv").exists():
        if evaluation is None:
            raise SystemExit(f"{out} is missing, and no --eval folder was given to make it")
        unfinished = sets / f"{name}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(evaluation / "make_dev_set.py"), str(unfinished), "--kinds", kinds]
        subprocess.run(command + ([] if part is None else ["--part", part]), check=True, stdout=sys.stderr)
        unfinished.rename(out)
    with (out / "truth.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return LabelledSet(
        name, out / "images", {r["file"]: r["group"] for r in rows}, {r["file"]: r["kind"] for r in rows}
    )


def different_photographs(folder: Path) -> LabelledSet:
    """A folder of which no two files are the same, but for files of the same bytes."""
    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in (".jpg", ".jpeg", ".png"))
    group = {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
    return LabelledSet(folder.name, folder, group, dict.fromkeys(group, "distractor"))


def flat_pictures(sets: Path) -> LabelledSet:
    """Pictures that show next to nothing, all different: one colour, two, a ramp, darkness."""
    folder = sets / "flat" / "images"
    if not folder.exists():
        unfinished = sets / "flat.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        (unfinished / "images").mkdir(parents=True)
        rng = np.random.default_rng(20261120)
        for k in range(N_FLAT):
            suffix = ("jpg", "png")[k // 4 % 2]
            cv2.imwrite(str(unfinished / "images" / f"flat_{k:03}.{suffix}"), _flat_picture(k, rng))
        unfinished.rename(sets / "flat")
    files = [f.name for f in folder.iterdir()]
    return LabelledSet("flat", folder, {f: f for f in files}, dict.fromkeys(files, "distractor"))


def _flat_picture(k: int, rng: np.random.Generator) -> np.ndarray:
    height, width = (int(v) for v in rng.integers(240, 640, 2))
    first, second = rng.integers(0, 256, (2, 3))
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    if k % 4 == 0:
        share = np.zeros_like(x)
    elif k % 4 == 1:
        angle = rng.uniform(0, 2 * np.pi)
        share = (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5) > rng.uniform(-0.3, 0.3)).astype(float)
    elif k % 4 == 2:
        share = x if rng.random() < 0.5 else y
    else:
        dark = rng.normal(rng.uniform(0, 12), rng.uniform(1, 4), (height, width, 3))
        return np.clip(dark, 0, 255).astype(np.uint8)
    return (first + share[..., None] * (second - first)).round().astype(np.uint8)
