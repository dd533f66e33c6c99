r"""The machine's report: one JSON document, ``cvsim.report/1``.

Equal results give equal bytes: keys in a fixed order, pure ASCII. A file name that is not UTF-8 keeps its
bytes as lone surrogates (``\udcNN``), which Python's ``os.fsencode`` turns back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from cvsim.files import dumps, dumps_line
from cvsim.images import holdings
from cvsim.types import Comparison, DedupeResult, Group, Member, ScoredPair

REPORT_SCHEMA = "cvsim.report/1"


def to_json(result: DedupeResult) -> str:
    """The whole result as one line-broken JSON document, ending in a newline."""
    return dumps(document(result))


def document(result: DedupeResult) -> dict[str, Any]:
    """The report as plain lists, dictionaries, strings and numbers."""
    return {
        "schema": REPORT_SCHEMA,
        "settings": _plain(result.settings),
        "counts": asdict(result.counts),
        "groups": [_group(group) for group in result.groups],
        "doubtful": [comparison_document(pair) for pair in result.doubtful],
        "skipped": [{"path": item.path, "reason": item.reason} for item in result.skipped],
    }


def to_jsonl(result: DedupeResult) -> str:
    """A line a group, as it stands in the document."""
    return "".join(dumps_line(_group(group)) for group in result.groups)


def comparison_document(pair: ScoredPair, threshold: float | None = None) -> dict[str, Any]:
    """A scored pair: what ``cvsim compare --json`` prints, and an edge of a group.

    Of a pair below the threshold nobody says what happened: it has no relation.
    """
    is_same = threshold is None or pair.score >= threshold
    return {
        "a": pair.pair.a,
        "b": pair.pair.b,
        "score": _number(pair.score),
        "prior": _number(pair.prior),
        "relation": pair.relation if is_same else None,
        "changes": list(pair.changes or (pair.relation,)) if is_same else [],
        "contained": pair.contained,
        "proof": proof_document(pair),
        "signals": [_signal(comparison) for comparison in pair.comparisons],
    }


def proof_document(pair: ScoredPair) -> dict[str, Any] | None:
    """What is proved about one side of a pair; None where nothing was asked."""
    if pair.proof is None:
        return None
    boxes = [list(box) for box in pair.proof.boxes]
    return {"state": pair.proof.state, "boxes": boxes, "copy": pair.copy, "words": pair.proof.words}


def _group(group: Group) -> dict[str, Any]:
    return {
        "id": group.id,
        "keep": group.keep,
        "rule": group.rule,
        "weakest_link": _number(group.weakest_link),
        "weakest_pair": _number(group.weakest_pair),
        "bridges": group.bridges,
        "members": [_member(member) for member in group.members],
        "edges": [comparison_document(edge) for edge in group.edges],
        **({"versions": [asdict(version) for version in group.versions]} if group.versions else {}),
    }


def _member(member: Member) -> dict[str, Any]:
    record = member.record
    return {
        "path": record.path,
        "width_px": record.width_px,
        "height_px": record.height_px,
        "size_bytes": record.size_bytes,
        "damaged": record.damaged,
        "score": _number(member.score),
        "proposed": member.proposed,
        "reason": member.reason,
        "holds": holdings.as_json(member.holds),
        "indexed": member.indexed,
        "why_away": member.why_away or None,
        "companions": list(member.companions),
        **({} if member.sharpness is None else {"sharpness": _number(member.sharpness)}),
    }


def _signal(comparison: Comparison) -> dict[str, Any]:
    return {
        "name": comparison.feature,
        "similarity": _number(comparison.shown),
        "weight": _number(comparison.weight),
    }


def _number(value: float | None) -> float | None:
    """A Python float, whatever kind of float it was; JSON has no word for NaN and infinity."""
    return float(value) if value is not None and math.isfinite(value) else None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return _number(value)
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
