#!/usr/bin/env python3
"""Run cvsim once over a folder and print, as JSON, what it counted: decodes, reads, seconds by stage.

python benchmarks/run_stats.py FOLDER --effort fast --cache FILE
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from importlib.util import find_spec

EXTRAS = {
    "fast": "numba",
    "embeddings": "onnxruntime",
    "heif": "pillow_heif",
    "web": "starlette",
    "remote": "httpx",
    "plot": "matplotlib",
    "parquet": "pyarrow",
    "milvus": "pymilvus",
    "dask": "distributed",
}
"""Extras, and a module that each brings."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--effort", default="default")
    parser.add_argument("--cache", required=True)
    args = parser.parse_args()
    from cvsim.recipes.dedupe import dedupe
    from cvsim.settings import Settings

    result = dedupe([args.folder], Settings(effort=args.effort, cache=args.cache))
    extras = [extra for extra, module in EXTRAS.items() if find_spec(module)]
    print(json.dumps({"stats": dict(result.stats), "counts": asdict(result.counts), "extras": extras}))


if __name__ == "__main__":
    main()
