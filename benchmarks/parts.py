"""Benchmarks in parts, of which a run may take some: the figures of the others stay as they were."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any


def run_parts(
    parts: Mapping[str, Callable[[], Any]], chosen: Iterable[str], result: dict[str, Any], file: Path
) -> None:
    """Put what each chosen part finds into the result, and the result into the file after each."""
    for part in chosen:
        start = perf_counter()
        found = parts[part]()
        # Of efforts or sets that were not asked for, the last figures stay.
        result[part] = {**result.get(part, {}), **found} if isinstance(found, dict) else found
        print(f"{part}: {perf_counter() - start:.0f} s", file=sys.stderr)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def names(text: str) -> tuple[str, ...]:
    """For an option that takes a list."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
