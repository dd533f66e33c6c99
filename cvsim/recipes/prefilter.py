"""The recipe of prefilter: the few pairs that are worth a heavier system's time, best first.

The share of all true pairs that they hold is measured on copies made of the user's own pictures.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np

from cvsim.candidates.sharded import joins_over
from cvsim.errors import UsageError
from cvsim.executors import open_executor
from cvsim.files import FilePath, JsonResult, delivered
from cvsim.groups.evaluation import RECALL_CUTOFFS
from cvsim.groups.rules import GroupRules
from cvsim.images.scan import require_paths, scan
from cvsim.progress import SilentProgress
from cvsim.reading.collection import Collection
from cvsim.reading.files import read_files
from cvsim.reading.nodes import Node, Sides
from cvsim.recipes.linking import Linker
from cvsim.recipes.prefilter_pairs import (
    LeveledPairs,
    RankedPairs,
    blank_pairs,
    leveled_pairs,
    linked_pairs,
    ranked_pairs,
)
from cvsim.recipes.prefilter_sample import CopySample
from cvsim.recipes.scoring_plan import ScoringPlan, require_copies, scoring_plan
from cvsim.reports.pairs import csv_chunks, write_pairs
from cvsim.settings import PROFILES
from cvsim.stores import Store, on_sound_store
from cvsim.types import ImageRecord, Skipped

if TYPE_CHECKING:
    from cvsim.progress import Progress
    from cvsim.settings import Settings

N_SAMPLED = 32
"""Pictures of which copies are made."""
MAX_REPEATED = 8
"""Identical files up to which each has the pairs of its picture; of more, the first one has them for all."""
MAX_ADDED_SHARE = 0.0001
"""Of all pairs: so many more are kept than the recall asks for, to be on the safe side."""


class CandidatePair(NamedTuple):
    """A pair of files worth a look, and its score: that of `compare`."""

    a: str
    b: str
    score: float


@dataclass(frozen=True, eq=False)
class Prefiltered(JsonResult):
    """Candidate pairs, best first. Iterate over it; it makes each pair when it is asked for.

    Attributes
    ----------
    n_images : int
    n_pairs : int
        Candidates.
    n_all_pairs : int
        Of all images that might be compared.
    wanted_recall : float
    recall : float or None
        Share of the pairs among made copies, and with their originals, that are kept at `cutoff`; None
        where no copy could be made.
    n_copies : int
        Made to measure that; 0 for a trained profile, whose recall was measured in training, on products held
        out.
    cutoff : float
        The score from which pairs are kept that nothing else speaks for.
    skipped : tuple of Skipped
    """

    n_images: int
    n_pairs: int
    n_all_pairs: int
    wanted_recall: float
    recall: float | None
    n_copies: int
    cutoff: float
    skipped: tuple[Skipped, ...]
    _candidates: RankedPairs
    _nodes: Sequence[Node]

    @property
    def share_spared(self) -> float:
        """Of all pairs, those that need no second look."""
        return 1.0 - self.n_pairs / self.n_all_pairs if self.n_all_pairs else 0.0

    @overload
    def to_csv(self, path: None = None) -> str: ...
    @overload
    def to_csv(self, path: FilePath) -> None: ...
    def to_csv(self, path: FilePath | None = None) -> str | None:
        """Give the columns ``a``, ``b`` and ``score`` as text, or write them to a file.

        Parameters
        ----------
        path : path, optional
        """
        return delivered(csv_chunks(self), path)

    def write(self, path: FilePath) -> None:
        """Write the pairs in the format that the file's ending asks for.

        Parameters
        ----------
        path : path
            ``.csv``, ``.jsonl`` or ``.parquet``, which needs the extra ``parquet``.

        Raises
        ------
        UsageError
            Another ending.
        CvsimError
            The file cannot be written.
        """
        write_pairs(path, self)

    def document(self) -> dict[str, Any]:
        """What ``cvsim prefilter --json`` prints."""
        return {
            "images": self.n_images,
            "pairs": self.n_pairs,
            "all_pairs": self.n_all_pairs,
            "share_spared": self.share_spared,
            "wanted_recall": self.wanted_recall,
            "recall": self.recall,
            "copies": self.n_copies,
            "cutoff": self.cutoff,
            "skipped": [{"path": item.path, "reason": item.reason} for item in self.skipped],
        }

    def __len__(self) -> int:
        return self.n_pairs

    def __iter__(self) -> Iterator[CandidatePair]:
        for node in self._nodes:
            yield from _identical(node)
        for i, j, score in self._candidates.rows():
            for first, second in product(_standing(self._nodes[i]), _standing(self._nodes[j])):
                a, b = sorted((first.path, second.path))
                yield CandidatePair(a, b, score)


def prefilter(
    paths: Sequence[str],
    settings: Settings,
    *,
    recall: float = 0.99,
    n_sampled: int = N_SAMPLED,
    listed: Iterable[str] = (),
    progress: Progress | None = None,
) -> Prefiltered:
    """Find the candidate pairs under `paths`.

    Raises
    ------
    UsageError
        A path does not exist, or the recall is no share.
    """
    if not 0.0 < recall <= 1.0:
        raise UsageError(f"the recall is a share, over 0 and at most 1; {recall} is not")
    listed = list(listed)
    require_paths(paths, listed)
    progress = progress or SilentProgress()
    require_copies(settings, "prefilter measures its recall on")
    plan = scoring_plan(settings)
    trained = None if settings.profile in PROFILES else _trained_cutoff(plan, recall)
    if trained is not None:
        plan = replace(plan, min_nearness=_log_odds(trained[0]) - plan.model.prior)
    return on_sound_store(
        settings.cache,
        lambda store: _on_store(store, paths, listed, settings, plan, trained, recall, n_sampled, progress),
    )


def _on_store(
    store: Store,
    paths: Sequence[str],
    listed: Sequence[str],
    settings: Settings,
    plan: ScoringPlan,
    trained: tuple[float, float | None] | None,
    recall: float,
    n_sampled: int,
    progress: Progress,
) -> Prefiltered:
    with open_executor(settings.scheduler, settings.n_workers) as executor:
        found = scan([*paths, *settings.reference], listed=listed, **settings.scan.keywords)
        reading = read_files(found, plan.features, store, executor=executor, progress=progress)
        nodes = Sides.of(settings).nodes(reading.records, reading.roots)
        collection = Collection(nodes, plan.features, store)
        rules = GroupRules.of(settings, plan.threshold)
        linker = Linker(collection, plan, rules, progress=progress, n_workers=settings.n_workers)
        joins = joins_over(executor, store)
        n_all_pairs = _n_all_pairs(collection)
        if trained is not None:
            (cutoff, measured), n_copies = trained, 0
            kept = linked_pairs(linker, cutoff, joins)
        else:
            blank = blank_pairs(collection)
            candidates = leveled_pairs(linker, blank, joins)
            sample = CopySample.of(
                linker,
                candidates,
                n_sampled,
                pairs_blank=blank is not None,
                executor=executor,
                progress=progress,
                n_workers=settings.n_workers,
            )
            cutoff = _lowered(sample.cutoff_for(recall), candidates, n_all_pairs)
            kept = ranked_pairs(linker, candidates, cutoff)
            n_copies = sample.n_copies
            measured = sample.recall(cutoff)[0] if n_copies else None
    n_files = np.array([len(_standing(node)) for node in nodes], np.int64)
    n_identical = sum(1 for node in nodes for _ in _identical(node))
    return Prefiltered(
        n_images=len(reading.records),
        n_pairs=int((n_files[kept.a] * n_files[kept.b]).sum()) + n_identical,
        n_all_pairs=n_all_pairs,
        wanted_recall=recall,
        recall=measured,
        n_copies=n_copies,
        cutoff=cutoff,
        skipped=reading.skipped,
        _candidates=kept,
        _nodes=nodes,
    )


def _lowered(cutoff: float, candidates: LeveledPairs, n_all_pairs: int) -> float:
    """The lowest cutoff that costs hardly any more pairs than this one: recall that is almost free."""
    most = candidates.n_from(cutoff) + MAX_ADDED_SHARE * n_all_pairs
    return min(c for c in RECALL_CUTOFFS if c <= cutoff and candidates.n_from(c) <= most)


def _trained_cutoff(plan: ScoringPlan, wanted: float) -> tuple[float, float | None]:
    """The highest score that keeps the wanted share of the pairs of one product, as training measured it."""
    found = {float(cutoff): share for cutoff, share in plan.pair_recall.items()}
    if not found:
        return RECALL_CUTOFFS[-1], None
    goal = min(wanted, max(found.values()))
    cutoff = max(cutoff for cutoff, share in found.items() if share >= goal)
    return cutoff, found[cutoff]


def _log_odds(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))


def _standing(node: Node) -> tuple[ImageRecord, ...]:
    """The files of a picture that stand in its pairs: all, or the first where that would be too many."""
    return node.records if len(node.records) <= MAX_REPEATED else node.records[:1]


def _identical(node: Node) -> Iterator[CandidatePair]:
    """The pairs of identical files; where they are too many, each with the first."""
    first = _standing(node)
    pairs = combinations(first, 2) if len(first) > 1 else product(first, node.records[1:])
    return (CandidatePair(a.path, b.path, 1.0) for a, b in pairs)


def _n_all_pairs(collection: Collection) -> int:
    """Pairs of files that may be compared at all."""
    sides = collection.side.tolist()
    sizes = (
        np.bincount(collection.side, [len(node.records) for node in collection.nodes]).astype(int).tolist()
    )
    rows = np.array([sides.index(side) for side in range(len(sizes))], np.int64)
    n_all = 0
    for side, size in enumerate(sizes):
        allowed = collection.is_allowed(rows[side : side + 1].repeat(len(rows) - side), rows[side:])
        counts = np.array(sizes[side:], np.int64)
        n_all += int((size * counts * allowed)[1:].sum())
        n_all += size * (size - 1) // 2 if allowed[0] else 0
    return n_all
