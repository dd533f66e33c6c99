"""The hits of a search as plain values: what ``cvsim search --json`` prints and the page's API sends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cvsim.types import Hit


def hits_document(query: str, hits: Sequence[Hit]) -> dict[str, Any]:
    """The query's name and its hits, in order."""
    return {"query": query, "hits": [hit_document(hit) for hit in hits]}


def hit_document(hit: Hit) -> dict[str, Any]:
    """One hit."""
    return {
        "path": hit.path,
        "score": hit.score,
        "profile": hit.profile,
        "relation": hit.relation,
        "contained": hit.contained,
        "labels": list(hit.labels),
        "width_px": hit.record.width_px,
        "height_px": hit.record.height_px,
        "signals": [
            {"name": c.feature, "similarity": _number(c.similarity), "weight": round(c.weight, 4)}
            for c in hit.comparisons
        ],
    }


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), 6)
