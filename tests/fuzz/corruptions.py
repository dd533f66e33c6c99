"""Corrupt a cache and an index in many ways, and compare what is answered: ``corruptions.py --rounds 1000``.

Each round flips bits, cuts the file off, or swaps what two rows hold, and asks again. The answer must be that
of a fresh store, or a clear error; anything else is printed with the number of its round, and the program
fails. The number alone says what a round does: ``--first N --rounds 1`` does one again.
"""

from __future__ import annotations

import argparse
import logging
import random
import shutil
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

if __name__ == "__main__":
    root = Path(__file__).parents[2]
    sys.path[:0] = [str(root), str(root / "tests/support"), str(root / "samples")]

from generate import altered, save_image, scene

import cvsim
from cvsim.errors import CvsimError

_SWAPPED = {
    "artefact": ("id", "sum, data"),
    "decoded": ("id", "width_px, height_px, format, sum"),
    "file": ("path", "size_bytes, mtime_ns, inode, image_id, sum"),
    "pair": ("key_id, a_id, b_id", "data, sum"),
    "block": ("id", "sum, data"),
    "segment": ("id", "level, n_rows, width, first, sum"),
    "entry": ("id", "sum"),
    "image": ("id", "used_day"),
}
"""Tables, with what tells their rows apart and what is swapped of them: what a row says and its checksum."""
_HEADER_BYTES = 100
"""The header of the file is left as it is in most rounds: damaged, it is no database any more."""


class Stores(NamedTuple):
    """A cache and an index that are whole, of the same pictures, and what is answered with them."""

    folder: Path
    photos: Path
    report: str
    hits: list[tuple[str, float, str]]


def make_stores(folder: Path) -> Stores:
    """Three pictures with a small copy each, a warm cache and an index of them."""
    photos = folder / "photos"
    for seed in range(3):
        save_image(photos / f"{seed}.jpg", scene(seed, 160, 120))
        save_image(photos / f"{seed}-half.jpg", altered(scene(seed, 160, 120), "half", seed))
    report = cvsim.dedupe([photos], cache=folder / "cache.sqlite", workers=1).to_json()
    with cvsim.Index.open(folder / "index.sqlite", workers=1) as index:
        index.add([photos])
    return Stores(folder, photos, report, _hits(folder / "index.sqlite", photos))


def _hits(location: Path, photos: Path) -> list[tuple[str, float, str]]:
    with cvsim.Index.open(location, create=False, workers=1) as index:
        return [(hit.path, hit.score, hit.relation) for hit in index.search(photos / "0.jpg", k=5)]


def corrupt(path: Path, chance: random.Random) -> str:
    """Damage a store in one of three ways; which."""
    kind = chance.choice(["flip", "cut", "swap"])
    if kind == "swap":
        _swap_rows(path, chance)
        return kind
    data = bytearray(path.read_bytes())
    if kind == "cut":
        data = data[: chance.randrange(len(data))]
    else:
        first = chance.choice([0, *[_HEADER_BYTES] * 9])
        for _ in range(chance.choice([1, 8, 200])):
            data[chance.randrange(first, len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    return kind


def _swap_rows(path: Path, chance: random.Random) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        there = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
        table = chance.choice([name for name in _SWAPPED if name in there])
        key, columns = _SWAPPED[table]
        rows = db.execute(f"SELECT {key}, {columns} FROM {table} ORDER BY {key}").fetchall()
        if len(rows) < 2:
            return
        n = len(key.split(","))
        one, other = chance.sample(rows, 2)
        values = ", ".join(f"{name} = ?" for name in columns.split(", "))
        where = " AND ".join(f"{name} = ?" for name in key.split(", "))
        for its_key, content in ((one[:n], other[n:]), (other[:n], one[n:])):
            db.execute(f"UPDATE {table} SET {values} WHERE {where}", (*content, *its_key))


def one_round(stores: Stores, number: int, store: str) -> tuple[str, str]:
    """Corrupt a copy of the cache or the index and ask it; the kind of damage, and what came of it.

    Returns
    -------
    kind : str
    outcome : str
        "same", "error", or what must not be: "another answer" or "traceback: ...".
    """
    chance = random.Random(f"{store} {number}")
    with tempfile.TemporaryDirectory(dir=stores.folder) as folder:
        path = Path(shutil.copy(stores.folder / f"{store}.sqlite", folder))
        kind = corrupt(path, chance)
        ask: Callable[[], bool]
        if store == "cache":
            ask = lambda: cvsim.dedupe([stores.photos], cache=path, workers=1).to_json() == stores.report  # noqa: E731
        else:
            ask = lambda: _hits(path, stores.photos) == stores.hits  # noqa: E731
        try:
            return kind, "same" if ask() else "another answer"
        except CvsimError as exc:
            return kind, "error" if str(exc) else "an error without words"
        except Exception as exc:
            return kind, f"traceback: {exc!r}"


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--rounds", type=int, default=1000)
    arguments.add_argument("--first", type=int, default=0, help="number of the first round")
    given = arguments.parse_args()
    logging.disable(logging.CRITICAL)
    tally: Counter[tuple[str, str, str]] = Counter()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        stores = make_stores(Path(folder))
        for number in range(given.first, given.first + given.rounds):
            for store in ("cache", "index"):
                kind, outcome = one_round(stores, number, store)
                if outcome not in ("same", "error"):
                    print(f"round {number}, {store}, {kind}: {outcome}", flush=True)
                tally[store, kind, outcome.partition(":")[0]] += 1
    for (store, kind, outcome), n in sorted(tally.items()):
        print(f"{store:5}  {kind:4}  {outcome:15} {n:5}")
    return int(any(outcome not in ("same", "error") for _, _, outcome in tally))


if __name__ == "__main__":
    sys.exit(main())
