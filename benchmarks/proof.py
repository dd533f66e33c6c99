#!/usr/bin/env python3
"""Whether a proof lets a visible change pass, how many true copies it proves, and what it costs.

python benchmarks/proof.py --data DATA

``DATA/photos`` holds photographs of about a megapixel, of which every second one is taken (constants were
chosen on the others); ``DATA/camera`` some of 7 megapixels and more. Pages are drawn here. Each picture is
kept at quality 95 or lossless, and a copy of it is made from the pixels before that, or after. A change
counts as visible by a formula, not by a person: see `proof_pictures.visibility`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in a worker

import cv2
import numpy as np
from PIL import Image
from proof_pictures import (
    CAPTIONS,
    CHANGES,
    ENCODINGS,
    LARGE_CHANGES,
    LARGE_ENCODINGS,
    captioned,
    opened,
    page,
    photographs,
    read,
    square,
    visibility,
    written,
)
from tables import table, write_section

from cvsim.images.encoded import read_content
from cvsim.proof.enlarged import shows_no_more
from cvsim.proof.explained import explain, proof_picture
from cvsim.proof.history import was_made_from
from cvsim.proof.holds import holdings_of_content
from cvsim.proof.prove import File, prove_pair

RESULTS = Path(__file__).with_name("results")
SEED = 20261128
RESAMPLINGS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
LONGEST_PX = (400, 640, 1024)
SIDES, LEVELS = (3, 6, 12, 24), (6, 12, 24, 48, 96)
COST_ENCODINGS = ("q75", "q75 of the original", "webp80", "half")
GRID_ENCODINGS = ("png", "q95", "q85", "q75", "q60", "q50", "q30", "webp80", "half")

Case = dict[str, Any]


def is_proved(copy: bytes, kept: bytes) -> bool:
    """Whether a proof says that the copy may go."""
    return explain(proof_picture(copy), proof_picture(kept)).state in ("explained", "same-pixels")


def pair_of(
    kind: str, change: str, files: list[Path], rng: random.Random, large: bool
) -> tuple[Image.Image, Image.Image]:
    """A picture, and the same with a change."""
    if kind == "page":
        size, px = ((2480, 3508), 36) if large else rng.choice((((620, 877), 14), ((900, 640), 18)))
        seed = rng.randrange(1 << 30)
        return page(seed, size, px), page(seed, size, px, change)
    original = opened(rng.choice(files), None if large else rng.choice(LONGEST_PX))
    if kind == "caption":
        seed = rng.randrange(1 << 30)
        first, second = (captioned(original, text, random.Random(seed)) for text in CAPTIONS[change])
        return first, second
    table = LARGE_CHANGES if large else CHANGES
    return original, Image.fromarray(table[change](np.array(original), rng))


def cases(data: Path, repeats: int, large: bool) -> Iterator[Case]:
    """One change and one encoding each: whether the changed and the unchanged copy are proved."""
    files = photographs(data / ("camera" if large else "photos"), "b")
    encodings = LARGE_ENCODINGS if large else ENCODINGS
    changes = [("photograph", name) for name in (LARGE_CHANGES if large else CHANGES)]
    changes += [("page", name) for name in ("two digits", "full stop for comma", "word")]
    changes += [("caption", name) for name in CAPTIONS]
    for number in range(repeats):
        for i, (kind, change) in enumerate(changes):
            rng = random.Random(f"{SEED} {number} {i} {large}")
            encoding = list(encodings)[(number * len(changes) + i + number) % len(encodings)]
            original, changed = pair_of(kind, change, files, rng, large)
            lossless = rng.random() < 0.5
            kept = written(original, "PNG", compress_level=1) if lossless else written(original, quality=95)
            if rng.random() < 0.5 and not lossless:
                original = read(kept)
                mask = np.any(np.asarray(changed) != np.asarray(original), axis=2, keepdims=True)
                changed = Image.fromarray(np.where(mask, np.asarray(changed), np.asarray(original)))
            copy, other = encodings[encoding](original), encodings[encoding](changed)
            yield {
                "kind": kind,
                "change": change,
                "encoding": encoding,
                "visibility": visibility(other, copy),
                "copy_proved": is_proved(copy, kept),
                "changed_proved": is_proved(other, kept),
            }


def shares(found: list[Case]) -> dict[str, Any]:
    """Of visible changes and of true copies, how many are proved."""

    def counted(key: str, column: str, rows: Iterable[Case]) -> dict[str, list[int]]:
        counts: dict[str, list[int]] = {}
        for row in rows:
            count = counts.setdefault(f"{row['kind']}: {row[key]}", [0, 0])
            count[0] += row[column]
            count[1] += 1
        return dict(sorted(counts.items()))

    visible = [row for row in found if row["visibility"] >= 1]
    nearly = [row for row in found if 0.5 <= row["visibility"] < 1]
    return {
        "visible_proved": [sum(r["changed_proved"] for r in visible), len(visible)],
        "half_visible_proved": [sum(r["changed_proved"] for r in nearly), len(nearly)],
        "copies_proved": [sum(r["copy_proved"] for r in found), len(found)],
        "visible_by_change": counted("change", "changed_proved", visible),
        "copies_by_encoding": counted("encoding", "copy_proved", found),
    }


def smallest_caught(data: Path, repeats: int) -> dict[str, dict[str, Any]]:
    """By encoding and side of a square, the fewest grey levels that are caught every time.

    Beside it the fewest at which the formula finds the change visible in most copies.
    """
    files = photographs(data / "photos", "b")
    found_by: dict[str, dict[str, Any]] = {}
    for encoding in GRID_ENCODINGS:
        row = found_by.setdefault(encoding, {})
        for side in SIDES:
            caught, seen = [], []
            for levels in LEVELS:
                found, visible = [], []
                for number in range(repeats):
                    rng = random.Random(f"{SEED} {number} {side}")
                    original = opened(rng.choice(files), 640)
                    changed = Image.fromarray(square(np.array(original), side, levels, rng))
                    copy, other = (ENCODINGS[encoding](im) for im in (original, changed))
                    found.append(not is_proved(other, written(original, quality=95)))
                    visible.append(visibility(other, copy) >= 1)
                caught += [levels] if all(found) else []
                seen += [levels] if np.mean(visible) > 0.5 else []
            row[str(side)] = {"caught": min(caught, default=None), "seen": min(seen, default=None)}
    return found_by


def firsts(data: Path, repeats: int) -> dict[str, list[int]]:
    """How often it is known which picture was made from which: [said so, of]."""
    counts: dict[str, list[int]] = {}

    def count(name: str, found: bool) -> None:
        entry = counts.setdefault(name, [0, 0])
        entry[0] += found
        entry[1] += 1

    for number, path in enumerate(photographs(data / "photos", "b")[: 2 * repeats]):
        rng = random.Random(f"{SEED} first {number}")
        original = opened(path, 800)
        kept = proof_picture(written(original, quality=rng.choice((85, 92, 95))))
        for times in (1.3, 1.5, 2, 3, 0.75, 0.66, 0.5, 0.25):
            size = round(original.width * times), round(original.height * times)
            other = original.resize(size, rng.choice(RESAMPLINGS))
            made = proof_picture(written(other, quality=rng.choice((75, 85, 95))))
            large, small = (made, kept) if times > 1 else (kept, made)
            what = "enlarged" if times > 1 else "larger than what it was reduced to,"
            count(f"shows no more: {what} {times} times", shows_no_more(large, small, 0))
        for quality, again in ((95, 90), (90, 95), (85, 92), (75, 90), (60, 85)):
            first = proof_picture(written(original, quality=quality))
            second = proof_picture(written(Image.fromarray(first.rgb), quality=again))
            sibling = proof_picture(written(original, quality=again))
            count("was made from the other one: was", was_made_from(second, first, 0))
            count("was made from the other one: the other way round", was_made_from(first, second, 0))
            count("was made from the other one: both from a third", was_made_from(sibling, first, 0))
    return counts


def read_file(path: Path, data: bytes) -> File:
    """A file as a proof gets it: read, and known what it holds."""
    path.write_bytes(data)
    content = read_content(str(path))
    return File(content, holdings_of_content(content)[0])


def costs(data: Path, repeats: int) -> dict[str, Any]:
    """CPU milliseconds of the proof of true copies: with both decodings, and of these alone."""
    cv2.setNumThreads(1)
    measured = {}
    sources = {
        "0.2 megapixels": ("photos", 510),
        "0.8 megapixels": ("photos", 1024),
        "full": ("camera", None),
    }
    asked = [(name, encoding) for name in sources for encoding in COST_ENCODINGS]
    with tempfile.TemporaryDirectory() as held:
        for name, encoding in asked:
            folder, longest = sources[name]
            spent = []
            for path in photographs(data / folder, "b")[:repeats]:
                original = opened(path, longest)
                kept = written(original, quality=95)
                source = original if encoding == "q75" else read(kept)
                copy = ENCODINGS[encoding.split()[0]](source)
                files = [read_file(Path(held) / str(i), encoded) for i, encoded in enumerate((copy, kept))]
                start = time.process_time()
                for encoded in (copy, kept):
                    proof_picture(encoded)
                decoded = time.process_time()
                assert prove_pair(*files).state != "not-tried"
                end = time.process_time()
                spent.append((end - decoded, decoded - start, original.width * original.height))
            total, decoding, pixels = np.median(np.array(spent), axis=0)
            measured[f"{name}, {encoding}"] = {
                "megapixels": round(float(pixels) / 1e6, 2),
                "ms": round(1e3 * float(total), 1),
                "ms_decoding": round(1e3 * float(decoding), 1),
            }
    return measured


def sections(results: dict[str, Any]) -> str:
    """All tables, as they stand in README.md."""
    parts = []
    for size, title in (("small", "Pictures up to 1,024 px"), ("large", "7 megapixels and more")):
        found = results[size]
        rows = [("**all visible changes**", *found["visible_proved"])]
        rows += [(name, *counts) for name, counts in found["visible_by_change"].items()]
        parts.append(table((f"{title}: visible changes", "proved", "of"), rows))
        rows = [("**all true copies**", *found["copies_proved"])]
        rows += [(name, *counts) for name, counts in found["copies_by_encoding"].items()]
        parts.append(table((f"{title}: true copies", "proved", "of"), rows))
    header = ("smallest square caught / seen, grey levels", *(f"{side} px" for side in SIDES))
    rows = [
        (name, *(f"{cell['caught'] or 'none'} / {cell['seen'] or 'none'}" for cell in row.values()))
        for name, row in results["smallest_caught"].items()
    ]
    parts.append(table(header, rows))
    rows = [(name, *counts) for name, counts in results["firsts"].items()]
    parts.append(table(("which was first", "said so", "of"), rows))
    rows = [(n, c["megapixels"], c["ms"], c["ms_decoding"]) for n, c in results["costs"].items()]
    parts.append(table(("cost of a proof, CPU ms", "megapixels", "in all", "of which decoding"), rows))
    return "\n\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=20, help="of each kind of change")
    args = parser.parse_args()
    results = {"seed": SEED, "repeats": args.repeats}
    results["small"] = shares(list(cases(args.data, args.repeats, large=False)))
    print(json.dumps(results["small"], indent=1))
    results["large"] = shares(list(cases(args.data, max(1, args.repeats // 4), large=True)))
    print(json.dumps(results["large"], indent=1))
    results["smallest_caught"] = smallest_caught(args.data, 3)
    print(json.dumps(results["smallest_caught"], indent=1))
    results["firsts"] = firsts(args.data, args.repeats)
    print(json.dumps(results["firsts"], indent=1))
    results["costs"] = costs(args.data, 9)
    print(json.dumps(results["costs"], indent=1))
    (RESULTS / "proof.json").write_text(json.dumps(results, indent=1) + "\n")
    write_section("proof", sections(results))


if __name__ == "__main__":
    main()
