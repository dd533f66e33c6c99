"""Folders for measuring time and memory: files that are many, large, or all the same.

Files of one picture get other bytes by a JPEG comment, so that no two share a digest or a row of a cache.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

START_OF_IMAGE = b"\xff\xd8"
COMMENT = b"\xff\xfe"


def with_comment(jpeg: bytes, text: str) -> bytes:
    """The same picture in other bytes."""
    comment = text.encode("ascii")
    length = (len(comment) + 2).to_bytes(2, "big")
    return START_OF_IMAGE + COMMENT + length + comment + jpeg[len(START_OF_IMAGE) :]


def repeated(files: Sequence[Path], n: int) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of `n` files: all of `files` again and again, JPEGs under a comment of their own.

    What is no JPEG comes in the first turn only.
    """
    k = 0
    for turn in itertools.count():
        for file in files:
            data = file.read_bytes()
            is_jpeg = data.startswith(START_OF_IMAGE)
            if turn and not is_jpeg:
                continue
            if k == n:
                return
            yield f"{k:06}_{file.name}", with_comment(data, f"copy {k}") if is_jpeg else data
            k += 1


def made(folder: Path, contents: Callable[[], Iterator[tuple[str, bytes]]]) -> Path:
    """The folder, filled on first use."""
    if not folder.exists():
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        for name, data in contents():
            (unfinished / name).write_bytes(data)
        unfinished.rename(folder)
    return folder


def camera_set(data: Path, sets: Path, n: int) -> Path:
    """Large camera photos, repeated."""
    return made(sets / f"camera-{n}", lambda: repeated(sorted((data / "camera").glob("*.jpg")), n))


def trailed_set(data: Path, sets: Path, n: int) -> Path:
    """Large camera photos, repeated, each with other bytes behind its end: all proofs are to be made."""
    files = sorted((data / "camera").glob("*.jpg"))

    def contents() -> Iterator[tuple[str, bytes]]:
        for k, (name, jpeg) in enumerate(repeated(files, n)):
            yield name, jpeg + f"trailer {k}".encode("ascii")

    return made(sets / f"trailed-{n}", contents)


def mixed_set(data: Path, copies: Path, sets: Path, n: int) -> Path:
    """Pictures of all sizes and kinds: the camera's first, so that every size is there for any `n`."""
    folders = ("camera", "photos", "distractors", "products-cartons", "products-catalogue")
    files = [file for name in folders for file in sorted((data / name).rglob("*.jpg"))]
    files += sorted(copies.iterdir())
    return made(sets / f"mixed-{n}", lambda: repeated(files, n))


def one_picture(data: Path) -> Path:
    """A small photograph."""
    return min((data / "distractors").glob("*.jpg"))


def identical_set(data: Path, sets: Path, n: int) -> Path:
    """Files of the same bytes."""
    content = one_picture(data).read_bytes()
    return made(sets / f"identical-{n}", lambda: ((f"{k:06}.jpg", content) for k in range(n)))


def same_pixels_set(data: Path, sets: Path, n: int) -> Path:
    """One picture in files of other bytes each."""
    return made(sets / f"same-pixels-{n}", lambda: repeated([one_picture(data)], n))


def blank_set(sets: Path, n: int) -> Path:
    """White pictures in files of other bytes each."""
    blank = sets / "blank.jpg"
    if not blank.exists():
        from PIL import Image

        sets.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (348, 348), "white").save(blank, quality=90)
    return made(sets / f"blank-{n}", lambda: repeated([blank], n))
