"""Bursts and near views, made from single photographs: what `--profile alike` is fitted to and measured on.

Each photograph becomes a scene, of which a hand-held camera takes several frames: it shifts, turns, tilts
and comes nearer by a few per cent to a fifth of the picture, near things move against far ones, something in
the scene moves, the exposure changes, the hand shakes, the focus fails. Most scenes carry the EXIF of a
camera that took them within seconds of each other, and the next scene seconds or minutes later: pictures of
different scenes taken in one second are what time must not link.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
from labelled_sets import LabelledSet, copy_set, read_truth
from PIL import Image

FRAME_PX = 640
"""Longer side of a frame."""
VIEW = 0.76
"""Share of the photograph's sides that a frame shows: the rest is what the camera moves over."""
SHIFTED = {"still": 0.004, "shift5": 0.05, "shift10": 0.10, "shift20": 0.20}
"""How far the camera moved between two frames, as a share of the frame, by kind."""
KINDS = (
    *SHIFTED,
    "tilted",
    "nearer",
    "parallax",
    "moving",
    "exposed",
    "noisy",
    "shaken",
    "defocused",
)
UNDATED = 0.3
"""Share of the scenes without any EXIF, as messengers send them."""
OTHER_PHONE = 0.15
"""Share of the frames that another phone took at the same time."""
CAMERAS = (("Foxglove", "F100"), ("Foxglove", "F200"), ("Larkspur", "Nova 7"), ("Larkspur", "Nova 9"))
RUN, RUN_EACH = 7, 4
"""After each fourth scene so many single pictures are taken in a row, after each other one."""
START = datetime(2024, 5, 4, 10, 0, 0)


@dataclass(frozen=True)
class Shot:
    """When and by what a frame was taken; no camera: the file says neither."""

    taken: datetime
    camera: tuple[str, str] | None


def burst_set(photographs: Sequence[Path], out: Path, name: str, others: Sequence[Path] = ()) -> LabelledSet:
    """Bursts of the photographs, made on first use under `out`, and single pictures taken in between.

    Parameters
    ----------
    photographs : sequence of Path
        Of which no two show one scene.
    out : Path
        Gets ``images/`` and ``truth.csv`` (file,group,kind); the kind of the first frame is ``original``.
    others : sequence of Path
        Pictures of further scenes, each taken once, by the same cameras within the same minutes.
    """
    if not (out / "truth.csv").exists():
        shutil.rmtree(out, ignore_errors=True)
        (out / "images").mkdir(parents=True)
        rows = _made(photographs, others, out / "images", np.random.default_rng(20261129))
        with (out / "truth.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([("file", "group", "kind"), *rows])
    return read_truth(out, name)


def bursts_of(data: Path, evaluation: Path | None, sets: Path, part: str) -> LabelledSet:
    """Bursts of the photographs of one half of the copy set, and shelves of which no two are one scene.

    Parameters
    ----------
    data : Path
        Holds the folder ``distractors``.
    evaluation : Path or None
        See `labelled_sets.copy_set`; holds ``clean_distractors.txt``.
    part : "a" or "b"
    """
    if (sets / f"bursts-{part}" / "truth.csv").exists():
        return read_truth(sets / f"bursts-{part}", f"bursts-{part}")
    copies = copy_set(evaluation, sets, part)
    photographs = [copies.folder / file for file in copies.files if copies.kind[file] == "original"]
    if evaluation is None:
        raise SystemExit("bursts need the --eval folder with clean_distractors.txt")
    shelves = (evaluation / "clean_distractors.txt").read_text(encoding="utf-8").split()
    others = [data / "distractors" / name for name in shelves[0 if part == "a" else 1 :: 2]]
    return burst_set(photographs, sets / f"bursts-{part}", f"bursts-{part}", others)


def _made(
    photographs: Sequence[Path], others: Sequence[Path], folder: Path, random: np.random.Generator
) -> list[tuple[str, str, str]]:
    rows, n_files = [], 0
    clock = {camera: START + timedelta(hours=float(random.uniform(0, 100))) for camera in CAMERAS}
    singles = list(others)
    for number, photograph in enumerate(photographs):
        picture = _read(photograph)
        stranger = _read(photographs[(number + 1) % len(photographs)])
        camera = CAMERAS[int(random.integers(len(CAMERAS)))]
        is_dated = random.random() >= UNDATED
        frames = [("original", frame(picture, "still", random, stranger))]
        frames += [(kind, frame(picture, kind, random, stranger)) for kind in KINDS]
        for kind, rgb in frames:
            clock[camera] += timedelta(seconds=float(random.choice([0.1, 0.4, 1, 2.5, 6, 15])))
            own = camera if random.random() >= OTHER_PHONE else CAMERAS[int(random.integers(len(CAMERAS)))]
            file = f"frame_{n_files:05}.jpg"
            n_files += 1
            save(folder / file, rgb, Shot(clock[camera], own if is_dated else None), random)
            rows.append((file, f"scene{number:04}", kind))
        n_taken = RUN if number % RUN_EACH == 0 else 1
        for single in singles[:n_taken]:
            clock[camera] += timedelta(seconds=float(random.choice([0, 0.5, 1, 3, 10, 60, 600])))
            file = f"single_{n_files:05}.jpg"
            n_files += 1
            save(folder / file, fitted(_read(single)), Shot(clock[camera], camera), random)
            rows.append((file, f"single{n_files:05}", "distractor"))
        singles = singles[n_taken:]
        clock[camera] += timedelta(seconds=float(random.choice([0, 0.5, 1, 3, 10, 60, 600])))
    return rows


def _read(path: Path) -> np.ndarray:
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise SystemExit(f"{path} is no picture")
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def fitted(rgb: np.ndarray) -> np.ndarray:
    """The picture with the longer side of a frame."""
    scale = FRAME_PX / max(rgb.shape[:2])
    return cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def frame(rgb: np.ndarray, kind: str, random: np.random.Generator, stranger: np.ndarray) -> np.ndarray:
    """One frame of the scene, (h, w, 3) uint8, with a longer side of `FRAME_PX`."""
    height, width = rgb.shape[:2]
    scene = _moved(rgb, random, stranger) if kind == "moving" else rgb
    shift = SHIFTED.get(kind, float(random.uniform(0.005, 0.06)))
    angle = random.uniform(0, 2 * np.pi)
    center = np.array([width, height]) / 2 + shift * VIEW * np.array(
        [width * np.cos(angle), height * np.sin(angle)]
    ) * (1.0 if kind in SHIFTED else random.uniform(0.3, 1))
    size = np.array([width, height]) * VIEW
    if kind == "nearer":
        size *= random.choice([0.82, 0.88, 1.1, 1.2])
    turn = np.radians(random.uniform(-1, 1) * (7 if kind == "tilted" else 1.5))
    corners = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    if kind == "tilted":
        corners = corners * random.uniform(0.86, 1.04, corners.shape)
    corners = corners * size
    spun = corners @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    seen = (center + spun).astype(np.float32)
    scale = FRAME_PX / max(width, height)
    to = (round(width * scale), round(height * scale))
    target = np.array([[0, 0], [to[0], 0], [to[0], to[1]], [0, to[1]]], np.float32)
    matrix = cv2.getPerspectiveTransform(target, seen)
    grid = np.stack(np.meshgrid(np.arange(to[0]), np.arange(to[1])), axis=-1).astype(np.float32)
    at = cv2.perspectiveTransform(grid.reshape(1, -1, 2), matrix).reshape(*grid.shape)
    depth = random.uniform(0.01, 0.04) if kind == "parallax" else shift * random.uniform(0.1, 0.35)
    at += _parallax(to, float(depth) * width, random)
    view = cv2.remap(scene, at[..., 0], at[..., 1], cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT_101)
    return _taken(view, kind, random)


def _parallax(size: tuple[int, int], most_px: float, random: np.random.Generator) -> np.ndarray:
    """By how much each spot of a frame moves for being nearer or farther than the others, along one line."""
    depth = random.uniform(-1, 1, (4, 5)).astype(np.float32)
    depth = cv2.resize(depth, size, interpolation=cv2.INTER_CUBIC)
    angle = random.uniform(0, 2 * np.pi)
    return depth[..., None] * most_px * np.array([np.cos(angle), np.sin(angle)], np.float32)


def _moved(rgb: np.ndarray, random: np.random.Generator, stranger: np.ndarray) -> np.ndarray:
    """The scene with something in it elsewhere: a soft-edged part of it, or of another picture."""
    height, width = rgb.shape[:2]
    side = random.uniform(0.15, 0.35, 2)
    h, w = int(side[0] * height), int(side[1] * width)
    other = cv2.resize(stranger, (width, height)) if random.random() < 0.5 else rgb
    y, x, to_y, to_x = (int(random.integers(0, n)) for n in (height - h, width - w) * 2)
    mask = np.zeros((h, w), np.float32)
    cv2.ellipse(mask, (w // 2, h // 2), (int(w * 0.45), int(h * 0.45)), 0, 0, 360, 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), 3)[..., None]
    scene = rgb.copy()
    under = scene[to_y : to_y + h, to_x : to_x + w]
    scene[to_y : to_y + h, to_x : to_x + w] = under * (1 - mask) + other[y : y + h, x : x + w] * mask
    return scene


def _taken(view: np.ndarray, kind: str, random: np.random.Generator) -> np.ndarray:
    """What a camera makes of what it sees: blur, exposure, noise."""
    light = view.astype(np.float32)
    if kind == "shaken":
        light = shaken(light, float(random.uniform(5, 15)), float(random.uniform(0, 180)))
    if kind == "defocused":
        light = cv2.GaussianBlur(light, (0, 0), float(random.uniform(1.2, 3.5)))
    gain = random.uniform(0.6, 1.5) if kind == "exposed" else random.uniform(0.95, 1.05)
    white = random.uniform(0.93, 1.07, 3) if kind == "exposed" else 1.0
    light = light * gain * white
    noise = random.uniform(6, 16) if kind == "noisy" else random.uniform(0, 3)
    return (light + random.normal(0, noise, light.shape)).clip(0, 255).astype(np.uint8)


def shaken(light: np.ndarray, length_px: float, angle_deg: float) -> np.ndarray:
    """Blur along a straight line."""
    n = int(np.ceil(length_px)) | 1
    kernel = np.zeros((n, n), np.float32)
    kernel[n // 2] = 1
    turn = cv2.getRotationMatrix2D((n / 2 - 0.5, n / 2 - 0.5), angle_deg, 1)
    kernel = cv2.warpAffine(kernel, turn, (n, n))
    return cv2.filter2D(light, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101)


def save(path: Path, rgb: np.ndarray, shot: Shot, random: np.random.Generator) -> None:
    """Write a JPEG with the EXIF of the shot."""
    exif = Image.Exif()
    if shot.camera is not None:
        exif[0x010F], exif[0x0110] = shot.camera
        inner = exif.get_ifd(0x8769)
        inner[0x9003] = shot.taken.strftime("%Y:%m:%d %H:%M:%S")
        inner[0x9291] = f"{shot.taken.microsecond // 10000:02}"
    Image.fromarray(rgb).save(path, quality=int(random.integers(80, 96)), exif=exif)
