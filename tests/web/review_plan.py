"""A plan of made pictures, as `cvsim dedupe --plan` writes it, in a folder of the test's own."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from generate import altered, save_image, scene
from PIL import ExifTags, Image

import cvsim

MARKUP = "<img src=x onerror=document.title='owned'>&\"'.jpg"
"""A file name that is more than text to a page that is careless."""


@dataclass(frozen=True)
class Workplace:
    """A folder with ``photos/``, ``plan.json`` and ``cache.db``."""

    folder: Path

    @property
    def photos(self) -> Path:
        return self.folder / "photos"

    @property
    def plan(self) -> Path:
        return self.folder / "plan.json"

    @property
    def decisions(self) -> Path:
        return self.folder / "decisions.jsonl"

    def tree(self) -> dict[str, str]:
        """Relative path -> digest, of every photo."""
        files = (path for path in self.photos.rglob("*") if path.is_file())
        return {
            path.relative_to(self.photos).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in files
        }

    def draw_boxes(self, group: int) -> None:
        """Let the plan say of the files that go in a group that they hold pages, and where they differ."""
        plan = json.loads(self.plan.read_bytes())
        for row in plan["entries"]:
            if row["group"] == group and row["decision"] == "remove":
                row["holds"] = ["3 pages"]
                row["proof"]["boxes"] = [[10, 10, 40, 30]]
        self.plan.write_text(json.dumps(plan), encoding="utf-8")

    def copied(self, folder: Path) -> Workplace:
        """The same in another folder; the plan names that one."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        text = self.plan.read_text(encoding="utf-8").replace(str(self.folder), str(folder))
        (folder / "plan.json").write_text(text, encoding="utf-8")
        return Workplace(folder)


def noted(path: Path, taken_at: str, latitude: float | None) -> None:
    """Give a JPEG a camera, a date and, if one is given, a place."""
    exif = Image.Exif()
    exif[ExifTags.Base.Model] = "Box" if latitude is None else "Box 2"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = taken_at
    if latitude is not None:
        place = {1: "N", 2: (latitude, 0.0, 0.0), 3: "E", 4: (2.0, 0.0, 0.0)}
        exif.get_ifd(ExifTags.IFD.GPSInfo).update(place)
    with Image.open(path) as picture:
        picture.save(path, quality="keep", exif=exif)


def make_workplace(folder: Path) -> Workplace:
    """Five groups: four of an original and its smaller copies, one of which has a name of markup."""
    place = Workplace(folder)
    for number in range(4):
        original = scene(number, 320, 240)
        save_image(place.photos / "originals" / f"scene{number}.jpg", original)
        save_image(place.photos / "copies" / f"scene{number}.jpg", altered(original, "half", number))
    save_image(place.photos / "copies" / "scene0-again.jpg", scene(0, 320, 240), quality=70)
    named = scene(5, 320, 240)
    noted(save_image(place.photos / MARKUP, named), "2024:05:06 07:08:09", 48.5)
    noted(save_image(place.photos / "zzz.jpg", altered(named, "half", 5)), "2024:05:06 07:08:09", None)
    save_image(place.photos / "alone.jpg", scene(9, 320, 240))
    cvsim.dedupe([place.photos], cache=str(folder / "cache.db")).to_plan(place.plan)
    return place
