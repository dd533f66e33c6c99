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
    """A folder, or its ``images/``, of which no two files are the same, but for files of the same bytes."""
    images = folder / "images" if (folder / "images").is_dir() else folder
    files = sorted(f for f in images.iterdir() if f.suffix.lower() in (".jpg", ".jpeg", ".png"))
    group = {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
    return LabelledSet(folder.name, images, group, dict.fromkeys(group, "distractor"))
