"""Make ``samples/photos`` and ``samples/truth.csv``: a small, messy folder of pictures for the first command.

    python samples/make_samples.py [FOLDER]

The originals come from `scenes`, each from its seed; the copies show what happens to pictures. ``truth.csv``
says for every file which photograph it shows (`group`, empty for a file that is none) and what was done to
it (`kind`). The same libraries write the same bytes; other versions may differ in the last bits.
"""

from __future__ import annotations

import csv
import io
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from alterations import RGB, altered, captioned, cropped, encoded, framed, pasted, scaled, tilted, toned
from PIL import Image
from scenes import scene

HERE = Path(__file__).parent
EXIF_MODEL, EXIF_ORIENTATION, EXIF_DATE, EXIF_PART, EXIF_TAKEN = 0x0110, 0x0112, 0x0132, 0x8769, 0x9003

# file -> (seed, width, height, when it was taken)
ORIGINALS: dict[str, tuple[int, int, int, str]] = {
    "holiday/mountains.jpg": (10, 720, 480, "2023:07:02 08:14:09"),
    "holiday/harbour.jpg": (15, 640, 480, "2023:07:04 17:40:31"),
    "holiday/field.jpg": (13, 720, 480, "2023:07:05 20:51:44"),
    "holiday/forest.jpg": (17, 512, 680, "2023:07:06 10:05:12"),
    "holiday/pebbles.jpg": (24, 640, 400, "2023:07:06 15:22:58"),
    "holiday/from-the-plane.jpg": (19, 640, 480, "2023:07:09 12:33:20"),
    "town/street.jpg": (12, 720, 540, "2024:02:11 16:48:03"),
    "town/posters.jpg": (16, 640, 480, "2024:02:11 17:02:47"),
    "home/table.jpg": (11, 720, 540, "2024:03:20 11:30:00"),
    "home/books.jpg": (8, 640, 480, "2024:03:20 11:36:15"),
}


@dataclass
class SampleFolder:
    """Writes files and remembers the truth about each."""

    root: Path
    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, file: str, content: bytes, group: str, kind: str) -> None:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.rows.append((file, group, kind))

    def content(self, file: str) -> bytes:
        return (self.root / file).read_bytes()

    def pixels(self, file: str) -> RGB:
        """(H, W, 3) uint8, as a viewer of the file would copy them."""
        return np.asarray(Image.open(io.BytesIO(self.content(file))).convert("RGB"))

    def copy(
        self, source: str, file: str, kind: str, change: Callable[[RGB], RGB], quality: int = 66
    ) -> None:
        """An altered copy of a file that is there, in the format of its name."""
        image_format = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP"}[Path(file).suffix]
        options = {} if image_format == "PNG" else {"quality": quality}
        rgb = np.ascontiguousarray(change(self.pixels(source)))
        self.add(file, encoded(rgb, image_format, **options), Path(source).stem, kind)


def camera_file(rgb: RGB, taken: str, quality: int = 68, orientation: int = 1) -> bytes:
    """A JPEG with what a camera notes in it."""
    exif = Image.Exif()
    exif[EXIF_MODEL], exif[EXIF_ORIENTATION], exif[EXIF_DATE] = "Box Camera 1", orientation, taken
    exif.get_ifd(EXIF_PART)[EXIF_TAKEN] = taken
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality, exif=exif)
    return buffer.getvalue()


def add_originals(folder: SampleFolder) -> None:
    for file, (seed, width, height, taken) in ORIGINALS.items():
        folder.add(file, camera_file(scene(seed, width, height), taken), Path(file).stem, "original")


def add_whole_copies(folder: SampleFolder) -> None:
    """The whole picture, stored otherwise."""
    folder.add("backup/IMG_2041.jpg", folder.content("holiday/harbour.jpg"), "harbour", "identical-file")
    folder.copy("holiday/pebbles.jpg", "backup/pebbles.png", "identical-pixels", lambda rgb: rgb)
    folder.copy("holiday/mountains.jpg", "backup/mountains.webp", "re-encoded", lambda rgb: rgb, 60)
    folder.copy("holiday/mountains.jpg", "phone/mountains-480.jpg", "resized", lambda rgb: scaled(rgb, 2 / 3))
    folder.copy("town/street.jpg", "phone/street-small.jpg", "re-encoded", lambda rgb: rgb, 30)
    folder.copy("home/table.jpg", "phone/table-bw.jpg", "grey", lambda rgb: altered(rgb, "grey"))
    turned = np.ascontiguousarray(np.rot90(scaled(folder.pixels("town/posters.jpg"), 0.75)))
    sideways = camera_file(turned, ORIGINALS["town/posters.jpg"][3], orientation=6)
    folder.add("phone/posters-sideways.jpg", sideways, "posters", "exif-turned")


def add_edited_copies(folder: SampleFolder) -> None:
    """A part of the picture, or the picture in something else."""
    chance = np.random.default_rng(1)
    folder.copy(
        "holiday/field.jpg", "edits/field-crop.jpg", "cropped", lambda rgb: cropped(rgb, 0.55, chance)
    )
    folder.copy("town/street.jpg", "edits/street-flipped.jpg", "mirrored", lambda rgb: rgb[:, ::-1])
    folder.copy(
        "home/books.jpg", "edits/books-tilted.jpg", "rotated", lambda rgb: tilted(scaled(rgb, 0.9), 9)
    )
    folder.copy(
        "holiday/from-the-plane.jpg", "edits/plane-quarter.jpg", "rotated",
        lambda rgb: np.rot90(scaled(rgb, 0.8)),
    )  # fmt: skip
    folder.copy(
        "home/table.jpg", "edits/table-print.jpg", "bordered",
        lambda rgb: framed(scaled(rgb, 0.7), 32, 32, (246, 243, 235)),
    )  # fmt: skip
    folder.copy(
        "holiday/harbour.jpg", "edits/harbour-card.jpg", "captioned",
        lambda rgb: captioned(scaled(rgb, 0.8), "WISH YOU WERE HERE"),
    )  # fmt: skip
    folder.copy(
        "holiday/forest.jpg", "edits/forest-on-wall.jpg", "pasted",
        lambda rgb: pasted(rgb, scene(26, 720, 540), 0.62, chance),
    )  # fmt: skip


def add_near_misses(folder: SampleFolder) -> None:
    """Alike, and not copies: the same spot photographed again."""
    moved = scene(11, 720, 540, arrangement=1)
    folder.add("home/table-2.jpg", camera_file(moved, "2024:03:20 11:31:40"), "table-2", "moved-objects")
    evening = toned(scene(12, 720, 540, arrangement=2), gain=0.8, gamma=1.2)
    evening = np.round(evening * np.array([1.0, 0.86, 0.72])).astype(np.uint8)
    content = camera_file(evening, "2024:02:11 19:15:26")
    folder.add("town/street-later.jpg", content, "street-later", "other-view")


def add_oddities(folder: SampleFolder) -> None:
    """What every real folder holds as well."""
    flat = np.full((300, 400, 3), 236, np.uint8)
    folder.add("odd/blank.png", encoded(flat, "PNG"), "blank", "flat")
    whole = folder.content("holiday/field.jpg")
    folder.add("odd/field-unfinished.jpg", whole[: len(whole) * 17 // 20], "field", "truncated")
    folder.add("odd/notes.jpg", b"Not a picture: buy film, call Ada, return the books.\n", "", "not-an-image")


def make(root: Path) -> SampleFolder:
    """Write all sample pictures under `root`, an empty or new folder."""
    folder = SampleFolder(root)
    add_originals(folder)
    add_whole_copies(folder)
    add_edited_copies(folder)
    add_near_misses(folder)
    add_oddities(folder)
    return folder


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    shutil.rmtree(target / "photos", ignore_errors=True)
    folder = make(target / "photos")
    with (target / "truth.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("file", "group", "kind"))
        writer.writerows(sorted(folder.rows))


if __name__ == "__main__":
    main()
