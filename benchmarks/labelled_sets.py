"""Folders of pictures of which it is known which are the same.

Copies come from a maker outside of this repository: ``--eval`` names its folder, with ``make_dev_set.py
OUT [--part a|b] [--kinds light]``, which writes ``OUT/images`` and ``OUT/truth.csv`` (file,group,kind).
Folders of photographs of which no two are the same come from ``--data``.
"""

from __future__ import annotations

import csv
import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

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


SAME_BY_EYE = frozenset(
    {
        ("item_0089.jpg", "item_0139.jpg"),
        ("item_0146.jpg", "item_0290.jpg"),
        ("shelf_0463.jpg", "shelf_0468.jpg"),
    }
)
"""Pairs of the collections of different photographs that show the same to anybody's eye."""


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
    return read_truth(out, name)


def read_truth(folder: Path, name: str) -> LabelledSet:
    """A set of ``images/`` with ``truth.csv`` (file,group,kind)."""
    with (folder / "truth.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return LabelledSet(
        name, folder / "images", {r["file"]: r["group"] for r in rows}, {r["file"]: r["kind"] for r in rows}
    )


def different_photographs(folder: Path, part: str | None = None, sets: Path | None = None) -> LabelledSet:
    """A folder, or its ``images/``, of which no two files are the same, but for files of the same bytes.

    Parameters
    ----------
    folder : Path
    part : "a", "b" or None
        Two halves that share no subject, copied under `sets` on first use: every second label where
        ``labels.csv`` names them, else the first and the last files by name, as they were taken.
    sets : Path, optional
    """
    images = folder / "images" if (folder / "images").is_dir() else folder
    files = sorted(f for f in images.iterdir() if f.suffix.lower() in (".jpg", ".jpeg", ".png"))
    name = folder.name
    if part is not None and sets is not None:
        name = f"{name}-{part}"
        files = _copied(_half(files, folder / "labels.csv", part), sets / name)
        images = sets / name
    group = {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
    return LabelledSet(name, images, group, dict.fromkeys(group, "distractor"))


def _half(files: list[Path], labels: Path, part: str) -> list[Path]:
    if not labels.exists():
        middle = len(files) // 2
        return files[:middle] if part == "a" else files[middle:]
    with labels.open(newline="") as stream:
        label = {row["file"]: row["label"] for row in csv.DictReader(stream)}
    chosen = set(sorted(set(label.values()))[0 if part == "a" else 1 :: 2])
    return [f for f in files if label.get(f.name) in chosen]


def _copied(files: list[Path], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for source in files:
        if not (folder / source.name).exists():
            shutil.copy(source, folder)
    return [folder / source.name for source in files]
