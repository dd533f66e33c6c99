#!/usr/bin/env python3
"""Cut-outs and what was saved of them without transparency: how many are linked, and how many strangers.

    python benchmarks/cut_outs.py --pictures FOLDER [--pictures FOLDER ...] --work FOLDER [--effort default]

Of each folder, pictures with transparent parts are taken by lot (from a seed), and saved without: laid on
white, black, grey, green and blue as JPEG, and with their alpha dropped, as `Image.convert("RGB")` does it.
A copy is found when links within its own group lead to the cut-out. imagehash, which lays nothing on
anything, is shown beside cvsim: a copy is found if its hash is near the one of the cut-out as Pillow
converts it.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
from drawn_sorts import HASH_RADIUS
from PIL import Image
from tables import README, share, table, write_section

import cvsim
from cvsim.groups.components import component_labels

GROUNDS = {
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "grey": (128, 128, 128),
    "green": (0, 180, 60),
    "blue": (20, 40, 160),
}
BARE, CUT_OUT = "no alpha", "cut-out"
KINDS = (*GROUNDS, BARE)
N_EACH, LEAST_TRANSPARENT, LEAST_PX = 40, 0.05, 32
QUALITY = 85


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--pictures", type=Path, action="append", required=True, help="with transparent parts"
    )
    parser.add_argument("--work", type=Path, required=True, help="where the sets are made")
    parser.add_argument("--effort", choices=("fast", "default", "thorough"), action="append")
    parser.add_argument("--readme", type=Path, default=README, help="whose table is written")
    arguments = parser.parse_args()
    rows: list[Sequence[Any]] = []
    for source in arguments.pictures:
        folder = laid_out(source, arguments.work / source.name)
        rows.append((source.name, "imagehash phash 8", *map(share, by_hash(folder)), ""))
        for effort in arguments.effort or ("fast", "default"):
            *found, n_false, n_proposed = by_cvsim(folder, effort)
            rows.append((source.name, effort, *map(share, found), f"{n_false}, {n_proposed}"))
    content = table(["set", "by", *KINDS, "false links, wrong proposals"], rows)
    write_section("cut-outs", content, arguments.readme)
    print(content)


def laid_out(source: Path, folder: Path) -> Path:
    """The set of a folder: cut-outs, and what was saved of each; made where it is missing."""
    if folder.is_dir():
        return folder
    folder.mkdir(parents=True)
    files = sorted(source.rglob("*.png"))
    random.Random(20261130).shuffle(files)
    for number, picture in enumerate(cut_outs(files)):
        picture.save(folder / f"{number:03}-{CUT_OUT}.png")
        for name, color in GROUNDS.items():
            ground = Image.new("RGBA", picture.size, (*color, 255))
            ground.alpha_composite(picture)
            ground.convert("RGB").save(folder / f"{number:03}-{name}.jpg", quality=QUALITY)
        picture.convert("RGB").save(folder / f"{number:03}-{BARE}.jpg", quality=QUALITY)
    return folder


def cut_outs(files: Sequence[Path]) -> Iterator[Image.Image]:
    """The first pictures that are no icons of a few pixels, have transparent parts, and are not all alike."""
    seen: set[bytes] = set()
    for file in files:
        with Image.open(file) as stored:
            picture = stored.convert("RGBA")
        pixels = np.asarray(picture)
        if min(picture.size) < LEAST_PX or (pixels[..., 3] < 128).mean() < LEAST_TRANSPARENT:
            continue
        if (look := np.asarray(picture.resize((16, 16))).tobytes()) not in seen:
            seen.add(look)
            yield picture
        if len(seen) == N_EACH:
            return


def by_cvsim(folder: Path, effort: str) -> tuple[float, ...]:
    """Found of each kind; links between different cut-outs, and files proposed because such a one is kept."""
    report = cvsim.dedupe([folder], effort=effort, cache=None)  # type: ignore[arg-type]
    names = sorted(file.name for file in folder.iterdir())
    place = {name: k for k, name in enumerate(names)}
    edges = [
        [Path(path).name for path in (e.pair.a, e.pair.b)] for group in report.groups for e in group.edges
    ]
    own = np.array([[place[a], place[b]] for a, b in edges if number(a) == number(b)], np.int64).reshape(
        -1, 2
    )
    labels = component_labels(len(names), own[:, 0], own[:, 1])
    found: Counter[str] = Counter()
    for name in names:
        one, _, kind = name.rpartition(".")[0].partition("-")
        found[kind] += int(labels[place[name]] == labels[place[f"{one}-{CUT_OUT}.png"]])
    n_wrong = sum(
        member.proposed and number(Path(member.record.path).name) != number(Path(group.keep).name)
        for group in report.groups
        for member in group.members
    )
    return *(found[kind] / found[CUT_OUT] for kind in KINDS), len(edges) - len(own), n_wrong


def by_hash(folder: Path) -> list[float]:
    """Found of each kind by imagehash's 64-bit perceptual hash."""
    originals = {number(f.name): imagehash.phash(Image.open(f)) for f in folder.glob(f"*-{CUT_OUT}.png")}
    near: Counter[str] = Counter()
    for file in folder.glob("*.jpg"):
        distance = imagehash.phash(Image.open(file)) - originals[number(file.name)]
        near[file.stem.partition("-")[2]] += int(distance <= HASH_RADIUS)
    return [near[kind] / len(originals) for kind in KINDS]


def number(name: str) -> str:
    """Of the cut-out that a file was made of."""
    return name.partition("-")[0]


if __name__ == "__main__":
    main()
