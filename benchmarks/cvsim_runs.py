"""Running cvsim over a labelled set: figures of its report, and of all the candidate pairs behind it."""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from console import SimpleProgress
from labelled_sets import LIGHT_KINDS, LabelledSet

from cvsim.arrays import sigmoid
from cvsim.executors import LocalExecutor
from cvsim.groups.evaluation import Contingency, evaluate, recall_by_kind
from cvsim.groups.rules import GroupRules
from cvsim.images.scan import scan
from cvsim.reading.collection import Collection as Pictures
from cvsim.reading.files import read_files
from cvsim.reading.nodes import make_nodes
from cvsim.recipes.dedupe import dedupe
from cvsim.recipes.linking import Linker, score_candidates
from cvsim.recipes.scoring_plan import ScoringPlan
from cvsim.scoring.scorer import Scores
from cvsim.settings import Settings
from cvsim.stores import open_cache
from cvsim.types import DedupeResult

EXPECTED_RELATIONS: Mapping[str, frozenset[str]] = {
    kind: frozenset(relations.split())
    for relations, kinds in (
        ("identical-pixels", "png"),
        ("re-encoded", "jpeg10 webp40"),
        ("resized", "down4 up2 squeeze"),
        ("recolored", "bright gamma2 lowcontrast gray sepia"),
        ("edited", "blur noise text sticker border letterbox"),
        ("cropped", "crop90 crop80 crop50 crop25"),
        ("pasted", "frame50 frame25"),
        ("rotated", "rot3 rot15 rot90 rot180"),
        ("re-encoded rotated", "exif6"),
        ("mirrored", "flip"),
    )
    for kind in kinds.split()
}
"""What an edge between an original and its copy must be called, by what made the copy."""
N_NAMED = 50
"""False edges that are listed by name, to be looked at."""


def run_dedupe(data: LabelledSet, effort: str, cache_file: Path) -> tuple[DedupeResult, dict[str, float]]:
    """A cold run, and what it cost in this process and its children."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{cache_file}{suffix}").unlink(missing_ok=True)
    cache_file.parent.mkdir(parents=True, exist_ok=True)
    settings = Settings(effort=effort, cache=str(cache_file))  # type: ignore[arg-type]
    wall, cpu = perf_counter(), _cpu_s()
    result = dedupe([str(data.folder)], settings)
    return result, {"wall_s": perf_counter() - wall, "cpu_s": _cpu_s() - cpu}


def _cpu_s() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def labels_of(groups: Iterable[Iterable[str]], files: Sequence[str]) -> np.ndarray:
    """One label a file, in the order of `files`; who is in no group stands alone."""
    label = {name: -1 - k for k, name in enumerate(files)}
    for k, group in enumerate(groups):
        label.update(dict.fromkeys((Path(path).name for path in group), k))
    return np.array([label[name] for name in files])


def grouping_figures(data: LabelledSet, labels: np.ndarray) -> dict[str, Any]:
    """How well a grouping of the set's files, one label each, agrees with the truth."""
    files = data.files
    true = np.array([data.group[f] for f in files])
    kinds = [data.kind[f] for f in files]
    figures: dict[str, Any] = evaluate(labels, true).document()
    table = Contingency.of(labels, true)
    n_true_groups = np.bincount(table.predicted)
    figures["n_false_pairs"] = int(_pairs(table.predicted_sizes) - _pairs(table.counts))
    figures["n_impure_groups"] = int((n_true_groups > 1).sum())
    figures["n_groups"] = int((table.predicted_sizes > 1).sum())
    figures["kinds"] = recall_by_kind(labels, true, kinds)
    light = [recall for kind, recall in figures["kinds"].items() if kind in LIGHT_KINDS]
    figures["light_recall"] = float(np.mean(light)) if light else None
    return figures


def _pairs(sizes: np.ndarray) -> int:
    return int((sizes * (sizes - 1) // 2).sum())


def report_figures(data: LabelledSet, result: DedupeResult) -> dict[str, Any]:
    """What a report says: agreement, weak pairs, relations, and false edges by name."""
    groups = [[m.record.path for m in group.members] for group in result.groups]
    figures = grouping_figures(data, labels_of(groups, data.files))
    weakest = [group.weakest_pair for group in result.groups if group.weakest_pair is not None]
    figures["n_weak_groups"] = sum(score < 0.5 for score in weakest)
    figures["relations"] = relation_counts(data, result)
    edges = [(Path(e.pair.a).name, Path(e.pair.b).name, e) for group in result.groups for e in group.edges]
    false = [
        {"a": a, "b": b, "score": edge.score, "relation": edge.relation}
        for a, b, edge in edges
        if data.group[a] != data.group[b]
    ]
    figures["n_false_edges"], figures["false_edges"] = len(false), false[:N_NAMED]
    figures["false_relations"] = dict(Counter(edge["relation"] for edge in false))
    figures["n_skipped"] = len(result.skipped)
    figures["stats"] = dict(result.stats)
    return figures


def relation_counts(data: LabelledSet, result: DedupeResult) -> dict[str, dict[str, int]]:
    """Of the edges between an original and its copy: relation by kind of the copy."""
    counts: dict[str, Counter[str]] = {}
    for group in result.groups:
        for edge in group.edges:
            kinds = [data.kind[Path(path).name] for path in (edge.pair.a, edge.pair.b)]
            same = data.group[Path(edge.pair.a).name] == data.group[Path(edge.pair.b).name]
            if same and "original" in kinds:
                kind = kinds[1] if kinds[0] == "original" else kinds[0]
                counts.setdefault(kind, Counter())[edge.relation] += 1
    return {kind: dict(sorted(found.items())) for kind, found in sorted(counts.items())}


def relation_accuracy(counts: Mapping[str, Mapping[str, int]]) -> dict[str, float]:
    """Share of edges with an expected relation, by kind, and over all edges."""
    right = {
        kind: sum(n for relation, n in found.items() if relation in EXPECTED_RELATIONS.get(kind, ()))
        for kind, found in counts.items()
    }
    total = {kind: sum(found.values()) for kind, found in counts.items()}
    shares = {kind: right[kind] / total[kind] for kind in counts}
    return {"all": sum(right.values()) / max(1, sum(total.values())), **shares}


@dataclass(frozen=True, eq=False)
class Collection:
    """A labelled set as a run sees it, with all its candidate pairs scored.

    Attributes
    ----------
    data : LabelledSet
    linker : Linker
    candidates : Scores
        Pairs that were proposed by hashes or words; not those that only checking groups looked at.
    is_same : (n,) bool
        Of the candidates.
    """

    data: LabelledSet
    linker: Linker
    candidates: Scores
    is_same: np.ndarray

    def labels_at(self, threshold: float) -> np.ndarray:
        """The groups that the candidates make at a threshold: one label a file, in the order of the set's."""
        self.linker.rules, self.linker.scores = GroupRules(threshold), self.candidates
        labels = self.linker.groups().labels
        groups: dict[int, list[str]] = {}
        for node, label in zip(self.linker.collection.nodes, labels.tolist(), strict=True):
            groups.setdefault(label, []).extend(record.path for record in node.records)
        return labels_of(groups.values(), self.data.files)

    def relations(self) -> dict[str, dict[str, int]]:
        """Of every original with each of its copies, where they are linked: relation by kind of the copy."""
        files = [
            (k, Path(r.path).name)
            for k, node in enumerate(self.linker.collection.nodes)
            for r in node.records
        ]
        originals = {self.data.group[name]: k for k, name in files if self.data.kind[name] == "original"}
        copies = [(k, name) for k, name in files if self.data.group[name] in originals]
        # A file of the original's own bytes is the original; it needs no comparison.
        copies = [(k, name) for k, name in copies if k != originals[self.data.group[name]]]
        sides = [sorted((k, originals[self.data.group[name]])) for k, name in copies]
        a, b = np.array(sides, np.int64).reshape(-1, 2).T
        self.linker.scores = self.linker.scorer.score(a, b)
        linked = np.flatnonzero(sigmoid(self.linker.scores.log_odds) >= self.linker.plan.threshold)
        explainer = self.linker.explainer()
        explainer.confirm_pixels(linked)
        counts: dict[str, Counter[str]] = {}
        for row in linked.tolist():
            kind = self.data.kind[copies[row][1]]
            counts.setdefault(kind, Counter())[explainer.verdict(row).relation] += 1
        return {kind: dict(sorted(found.items())) for kind, found in sorted(counts.items())}


@contextmanager
def scored_collection(data: LabelledSet, plan: ScoringPlan, settings: Settings) -> Iterator[Collection]:
    """All candidate pairs of a set under a plan; descriptors and verified pairs come from the cache."""
    progress = SimpleProgress()
    store = open_cache(settings.cache or None)
    try:
        found = scan([str(data.folder)], **settings.scan.keywords)
        executor = LocalExecutor(settings.n_workers)
        reading = read_files(found, plan.features, store, executor=executor, progress=progress)
        nodes = make_nodes(reading.records)
        pictures = Pictures(nodes, plan.features, store)
        linker = Linker(pictures, plan, progress=progress, n_workers=settings.n_workers)
        score_candidates(linker)
        candidates = linker.scores
        group = np.array([data.group[Path(node.first.path).name] for node in nodes])
        yield Collection(data, linker, candidates, group[candidates.a] == group[candidates.b])
    finally:
        store.close()


CALIBRATION_BINS = ((0.5, 0.8), (0.8, 0.95), (0.95, 0.99), (0.99, 1.0))


def calibration(
    score: np.ndarray, is_same: np.ndarray, bins: Sequence[tuple[float, float]] = CALIBRATION_BINS
) -> list[dict[str, Any]]:
    """Of pairs scored within each bin: how many there are and how many of them are the same.

    Each with Wilson's 95 % interval for the share that would be seen in more such pairs, and whether
    that interval meets the bin.
    """
    rows = []
    for low, high in bins:
        inside = (score >= low) & ((score < high) | (high == 1.0))
        n, n_same = int(inside.sum()), int(is_same[inside].sum())
        row: dict[str, Any] = {"low": low, "high": high, "n": n, "n_same": n_same}
        if n:
            bottom, top = wilson(n_same, n)
            row |= {"share": n_same / n, "interval": [bottom, top], "mean_score": float(score[inside].mean())}
            row["is_inside"], row["meets"] = low <= n_same / n <= high, bottom <= high and top >= low
        rows.append(row)
    return rows


def wilson(n_hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval of a share (1927): sound at 0, at 1 and for few trials."""
    share, spread = n_hits / n, z * z / n
    center = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * np.sqrt(share * (1 - share) / n + spread / (4 * n))
    return max(0.0, float(center - half)), min(1.0, float(center + half))
