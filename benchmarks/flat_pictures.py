"""Pictures that show next to nothing, drawn here: a hard test of telling "no evidence" from "the same"."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
from labelled_sets import LabelledSet

N_FLAT = 200


def flat_pictures(sets: Path, part: str = "b") -> LabelledSet:
    """Pictures that show next to nothing, all different: one colour, two, a ramp, darkness."""
    name = "flat" if part == "b" else f"flat-{part}"
    folder = sets / name / "images"
    if not folder.exists():
        unfinished = sets / f"{name}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        (unfinished / "images").mkdir(parents=True)
        rng = np.random.default_rng({"a": 20261119, "b": 20261120}[part])
        for k in range(N_FLAT):
            suffix = ("jpg", "png")[k // 4 % 2]
            cv2.imwrite(str(unfinished / "images" / f"flat_{k:03}.{suffix}"), _flat_picture(k, rng))
        unfinished.rename(sets / name)
    files = [f.name for f in folder.iterdir()]
    return LabelledSet(name, folder, {f: f for f in files}, dict.fromkeys(files, "distractor"))


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
