"""Results made by hand, for tests of what is done with one: `from made_result import made_result`."""

from __future__ import annotations

import math
from dataclasses import replace

from cvsim.types import (
    Comparison,
    Counts,
    DedupeResult,
    Group,
    ImageRecord,
    Member,
    Pair,
    Relation,
    ScoredPair,
    Skipped,
)

THRESHOLD = 0.95


def record(path: str, width_px: int = 640, height_px: int = 480, size_bytes: int = 50_000) -> ImageRecord:
    return ImageRecord(path, f"{hash(path) & 0xFFFF:064x}", width_px, height_px, size_bytes, 0, "jpeg")


def scored(
    a: str, b: str, relation: Relation = "resized", weights: tuple[float, ...] = (4.0, 6.5)
) -> ScoredPair:
    """A pair whose score is what its weights sum to, over a prior of -6."""
    names = ("phash", "tiles", "color", "local")
    comparisons = tuple(Comparison(names[i], 0.9, weight, {"bits": 12}) for i, weight in enumerate(weights))
    comparisons += (Comparison("none-here", None),)
    score = 1 / (1 + math.exp(6.0 - sum(weights)))
    return ScoredPair(Pair(*sorted((a, b))), -6.0, score, relation, None, comparisons)


def star(id: int, *paths: str, relation: Relation = "resized") -> Group:
    """The first path is kept; each other one is a copy of it, proposed for removal."""
    edges = tuple(
        sorted((scored(paths[0], path, relation) for path in paths[1:]), key=lambda edge: edge.pair)
    )
    weakest = min(edge.score for edge in edges)
    members = [Member(record(paths[0], 1280, 960, 200_000), 1.0, False, "kept: resolution")]
    members += [Member(record(path), weakest, True, "the same picture at another size") for path in paths[1:]]
    return Group(id, tuple(members), paths[0], "resolution", edges, weakest, weakest, len(edges))


def chain(id: int, keep: str, middle: str, end: str) -> Group:
    """keep - middle - end, where keep and end were compared and are not alike."""
    edges = (scored(keep, middle), scored(middle, end, "edited"))
    members = (
        Member(record(keep, 1280, 960, 200_000), 1.0, False, "kept: resolution"),
        Member(record(middle), edges[0].score, True, "the same picture at another size"),
        Member(record(end), None, False, "left alone: not compared well enough with the kept file itself"),
    )
    return Group(id, members, keep, "resolution", edges, min(edge.score for edge in edges), 0.41, 2)


def made_result(*groups: Group, skipped: tuple[Skipped, ...] = ()) -> DedupeResult:
    """A result with consistent counts; two ordinary groups when none are given."""
    groups = groups or (star(1, "p/a.jpg", "p/b.jpg"), chain(2, "q/c.jpg", "q/d.jpg", "q/e.jpg"))
    members = [member for group in groups for member in group.members]
    counts = Counts(
        files=len(members) + len(skipped),
        images=len(members),
        skipped=len(skipped),
        groups=len(groups),
        duplicates=sum(member.proposed for member in members),
        reclaimable_bytes=sum(member.record.size_bytes for member in members if member.proposed),
    )
    return DedupeResult({"paths": ["p", "q"], "threshold": THRESHOLD}, counts, groups, skipped)


def renamed(result: DedupeResult, old: str, new: str) -> DedupeResult:
    """`result` with one picture under another name."""

    def name(path: str) -> str:
        return new if path == old else path

    def group(value: Group) -> Group:
        return replace(
            value,
            keep=name(value.keep),
            members=tuple(
                replace(m, record=replace(m.record, path=name(m.record.path))) for m in value.members
            ),
            edges=tuple(replace(e, pair=Pair(name(e.pair.a), name(e.pair.b))) for e in value.edges),
        )

    return replace(result, groups=tuple(map(group, result.groups)))
