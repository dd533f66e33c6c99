"""Pictures of one sort each (charts, icons, pages, ...): all different, but for a few known pairs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from labelled_sets import LabelledSet, different_photographs

BESIDE = ("imagehash phash", "imagehash dhash", "perception PHash 16 isometric", "czkawka")
"""The peers that are shown beside cvsim, at their usual thresholds."""
SHOWN_IN_MANY_COLORS = "termshots"
"""One text in many schemes of colours: a link called ``recolored`` is right there."""


def domain_sets(folder: Path) -> list[LabelledSet]:
    """Each folder in `folder`, with the pairs of its ``true_pairs.json`` as groups."""
    true_pairs = json.loads((folder / "true_pairs.json").read_text(encoding="utf-8"))
    return [
        _with_pairs(different_photographs(one), true_pairs.get(one.name, ()))
        for one in sorted(folder.iterdir())
        if one.is_dir()
    ]


def _with_pairs(data: LabelledSet, pairs: Any) -> LabelledSet:
    group = dict(data.group)
    for a, b in pairs:
        old, new = group[b], group[a]
        group = {name: new if label == old else label for name, label in group.items()}
    return replace(data, group=group)


def n_false_links(data: LabelledSet, figures: Mapping[str, Any]) -> int:
    """Links between pictures that are not the same."""
    right = figures["false_relations"].get("recolored", 0) if data.name == SHOWN_IN_MANY_COLORS else 0
    return int(figures["n_false_edges"] - right)
