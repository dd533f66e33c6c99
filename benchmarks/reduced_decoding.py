"""How many bits decoding a JPEG at a reduced size adds to each hash, against decoding at full size.

    python benchmarks/reduced_decoding.py FOLDER [-n 60] [-o benchmarks/results/reduced_decoding.json]

FOLDER holds JPEG photographs; those whose longer side is under twice the working size are left out, since
nothing is reduced there. The distances are those that a cached hash has from the one of `imagehash` on the
full picture: the price of decoding once and small.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from cvsim.errors import ImageError
from cvsim.features import make_features
from cvsim.images.encoded import read_content
from cvsim.reading.extraction import WORKING_PX

HASHES = ("ahash", "dhash", "phash64", "phash256", "whash", "phash")
FULL_PX = 1 << 20


def distances(path: Path, features: tuple[Any, ...]) -> list[int] | None:
    """Bits between the two decodings of a file, by feature; None for a file that does not count."""
    try:
        content = read_content(str(path))
        full = content.decode(longest_px=FULL_PX)
        if content.format != "jpeg" or full.damaged or max(full.rgb.shape) < 2 * WORKING_PX:
            return None
        reduced = content.decode(longest_px=WORKING_PX)
    except ImageError:
        return None
    found = []
    for feature in features:
        (said,) = feature.compare(feature.extract(reduced.rgb), feature.extract(full.rgb))
        if said.similarity is None:
            return None
        found.append(said.detail["distance_bits"])
    return found


def measure(folder: Path, n_pictures: int) -> dict[str, Any]:
    """Mean, 95th percentile and largest distance of each hash, in bits."""
    features = make_features(HASHES)
    rows: list[list[int]] = []
    for path in sorted(folder.rglob("*")):
        if len(rows) == n_pictures:
            break
        if path.is_file() and (row := distances(path, features)) is not None:
            rows.append(row)
    if not rows:
        sys.exit(f"{folder}: no JPEG photograph of at least {2 * WORKING_PX} pixels")
    table = np.array(rows)
    hashes = {
        name: {
            "mean_bits": round(float(column.mean()), 2),
            "p95_bits": round(float(np.percentile(column, 95)), 1),
            "max_bits": int(column.max()),
        }
        for name, column in zip(HASHES, table.T, strict=True)
    }
    return {"n_pictures": len(rows), "working_px": WORKING_PX, "hashes": hashes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-n", type=int, default=60, help="pictures at the most")
    parser.add_argument("-o", type=Path, help="also write the figures here, as JSON")
    arguments = parser.parse_args()
    result = measure(arguments.folder, arguments.n)
    print(f"{result['n_pictures']} pictures, decoded at {result['working_px']} px and at full size")
    for name, row in result["hashes"].items():
        print("{:9} mean {:5} bits, 95 % within {}, at most {}".format(name, *row.values()))
    if arguments.o:
        arguments.o.parent.mkdir(parents=True, exist_ok=True)
        arguments.o.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
