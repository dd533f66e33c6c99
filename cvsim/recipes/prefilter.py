"""The recipe of prefilter: the few pairs that are worth a heavier system's time, best first, and the share of
all true pairs that they hold, measured on copies made of the user's own pictures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cvsim.arrays import sigmoid
from cvsim.candidates.blocking import unique_pairs, without_pairs
from cvsim.candidates.sharded import joins_over
from cvsim.errors import CvsimError, UsageError
from cvsim.executors import open_executor
from cvsim.executors.base import Demand
from cvsim.features.base import Feature
from cvsim.groups.components import Grouping, connected_components
from cvsim.images.decode import decode
from cvsim.images.encoded import Content, read_content
from cvsim.progress import SilentProgress
from cvsim.reading.collection import (
    Node,
    find_files,
    make_nodes,
    n_pixels,
    pack_descriptors,
    read_files,
    require_paths,
)
from cvsim.reading.extraction import DECODER, artefacts, working_px
from cvsim.recipes.alterations import (
    ALTERATIONS,
    JPEG_QUALITIES,
    MAX_PX,
    PASTED_SHARES,
    altered,
    jpeg_bytes,
    pasted,
)
from cvsim.recipes.dedupe import MAX_ALL_PAIRS, Clock, Run, make_plan, open_run_store, sides_of
from cvsim.scoring.scorer import Scores
from cvsim.settings import PROFILES
from cvsim.stores import Extraction, ImageInfo, MemoryStore
from cvsim.types import ImageRecord, Skipped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.executors.base import Executor
    from cvsim.progress import Progress
    from cvsim.recipes.dedupe import Plan
    from cvsim.settings import Settings
    from cvsim.types import RGB, Indices

CUTOFFS = (0.95, 0.8, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)
"""Scores from which pairs are kept: the first that reaches the recall. Below the last is only chance."""
N_SAMPLED = 32
"""Pictures of which copies are made."""
N_NEIGHBOURS = 2
"""Of each group: those in whole-picture signals, compared whatever else speaks for them."""
NEIGHBOUR_SIGNALS = ("phash", "color")
MAX_COMPARED = 5000
MAX_REPEATED = 8
"""Identical files up to which each has the pairs of its picture; of more, the first one has them for all."""
MAX_ADDED_SHARE = 0.0001
"""Of all pairs: so many more are kept than the recall asks for, to be on the safe side."""
MAX_BLANK_SHARE = 0.0005
"""Of all pairs: as many of blank pictures are taken at most. Blank ones can be told apart by no signal."""
MIN_BLANK_PAIRS = 500
_ALTER_TIMEOUT_S = 60.0


class CandidatePair(NamedTuple):
    """A pair of files worth a look, and its score: that of `compare`."""

    a: str
    b: str
    score: float


@dataclass(frozen=True, eq=False)
class Prefiltered:
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
    _candidates: _Ranked
    _nodes: Sequence[Node]

    @property
    def share_spared(self) -> float:
        """Of all pairs, those that need no second look."""
        return 1.0 - self.n_pairs / self.n_all_pairs if self.n_all_pairs else 0.0

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
    if not listed:
        require_paths(paths)
    progress = progress or SilentProgress()
    plan = make_plan(settings)
    trained = None if settings.profile in PROFILES else _trained_cutoff(plan, recall)
    if trained is not None:
        plan = replace(plan, min_nearness=_log_odds(trained[0]) - plan.model.prior)
    store = open_run_store(settings)
    executor = open_executor(settings.scheduler, settings.n_workers)
    try:
        found = find_files([*paths, *settings.reference], listed, settings.scan)
        reading = read_files(found, plan.features, store, executor=executor, progress=progress)
        nodes = make_nodes(reading.records, sides_of(reading, settings))
        run = Run(plan, settings, nodes, store, progress, joins_over(executor, store))
        n_all_pairs = _n_all_pairs(run, nodes)
        if trained is not None:
            (cutoff, measured), n_copies = trained, 0
            kept = _linked(run, cutoff)
        else:
            blank = _blank_pairs(run)
            candidates = _candidates(run, blank)
            sample = _Sample.of(
                run,
                candidates,
                n_sampled,
                pairs_blank=blank is not None,
                executor=executor,
                progress=progress,
            )
            cutoff = _lowered(sample.cutoff_for(recall), candidates, n_all_pairs)
            kept = _ranked(run, candidates, cutoff)
            n_copies = sample.n_copies
            measured = sample.recall(cutoff)[0] if n_copies else None
    finally:
        executor.close()
        store.close()
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


def _lowered(cutoff: float, candidates: _Candidates, n_all_pairs: int) -> float:
    """The lowest cutoff that costs hardly any more pairs than this one: recall that is almost free."""
    most = candidates.n_from(cutoff) + MAX_ADDED_SHARE * n_all_pairs
    return min(c for c in CUTOFFS if c <= cutoff and candidates.n_from(c) <= most)


def _trained_cutoff(plan: Plan, wanted: float) -> tuple[float, float | None]:
    """The highest score that keeps the wanted share of the pairs of one product, as training measured it."""
    found = {float(cutoff): share for cutoff, share in plan.pair_recall.items()}
    if not found:
        return CUTOFFS[-1], None
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


def _n_all_pairs(run: Run, nodes: Sequence[Node]) -> int:
    """Pairs of files that may be compared at all."""
    sizes: dict[str, int] = {}
    for node in nodes:
        sizes[node.side] = sizes.get(node.side, 0) + len(node.records)
    sides = sorted(sizes)
    first = {side: k for k, side in enumerate(node.side for node in nodes)}
    rows = np.array([first[side] for side in sides], np.int64)
    n_all = 0
    for k, side in enumerate(sides):
        allowed = run.is_allowed(rows[k : k + 1].repeat(len(rows) - k), rows[k:])
        counts = np.array([sizes[other] for other in sides[k:]], np.int64)
        n_all += int((sizes[side] * counts * allowed)[1:].sum())
        n_all += sizes[side] * (sizes[side] - 1) // 2 if allowed[0] else 0
    return n_all


@dataclass(frozen=True, eq=False)
class _Candidates:
    """Pairs of nodes, each kept at any cutoff up to its `level`.

    That is its score, or more: all pairs of a group are kept whatever they score themselves (a crop of a
    turned copy may match the original and not the copy), those of a picture with a whole group as long as one
    of them is, and those of blank pictures, of which nothing can be said.

    Attributes
    ----------
    a, b : (n,) int64
    level : (n,) float64
    scores : Scores
        Of some of them.
    """

    a: Indices
    b: Indices
    level: NDArray[np.float64]
    scores: Scores

    def n_from(self, cutoff: float) -> int:
        return int((self.level >= cutoff).sum())


def _candidates(run: Run, blank: tuple[Indices, Indices] | None, others: Sequence[str] = ()) -> _Candidates:
    """Candidates of a run, with what nearest neighbours, chains of links and blank pictures add.

    Parameters
    ----------
    run : Run
    blank : pair of (n,) int64, or None
    others : sequence of str
        Digests of pictures in the run's store that are no part of it, and as likely to be neighbours.
    """
    n = len(run.nodes)
    scores = run.score_candidates(Clock())
    labels = _grouping(run, scores).labels
    nearest = _new_pairs(n, _allowed(run, *_neighbours(run, labels, others)), scores)
    scores = scores.joined(run.score(nearest, "Comparing neighbours"))
    grouping = _grouping(run, scores)
    blank = blank or (scores.a[:0], scores.b[:0])
    more = _allowed(run, *_group_pairs(grouping, scores))
    a, b = unique_pairs(n, (scores.a, scores.b), more, blank)
    level = _group_levels(grouping, scores, a, b)
    known = np.searchsorted(a * n + b, scores.a * n + scores.b)
    level[known] = np.maximum(level[known], sigmoid(scores.log_odds))
    level[np.searchsorted(a * n + b, blank[0] * n + blank[1])] = 1.0
    return _Candidates(a, b, level, scores)


def _ranked(run: Run, candidates: _Candidates, cutoff: float) -> _Ranked:
    """The candidates of a cutoff with their scores, best first."""
    kept = candidates.level >= cutoff
    a, b = candidates.a[kept], candidates.b[kept]
    new = _new_pairs(len(run.nodes), (a, b), candidates.scores)
    scores = candidates.scores.joined(run.score(new, "Comparing chains"))
    wanted = np.isin(scores.a * len(run.nodes) + scores.b, a * len(run.nodes) + b)
    a, b, score = scores.a[wanted], scores.b[wanted], sigmoid(scores.log_odds[wanted])
    order = np.lexsort((b, a, -score))
    return _Ranked(a[order], b[order], score[order])


def _linked(run: Run, cutoff: float) -> _Ranked:
    """The pairs of a trained profile from a cutoff on, best first."""
    scores = run.score_candidates(Clock())
    score = sigmoid(scores.log_odds)
    kept = np.flatnonzero(score >= cutoff)
    order = kept[np.lexsort((scores.b[kept], scores.a[kept], -score[kept]))]
    return _Ranked(scores.a[order], scores.b[order], score[order])


class _Ranked(NamedTuple):
    """Scored pairs of nodes, best first."""

    a: Indices
    b: Indices
    score: NDArray[np.float64]

    def rows(self) -> Iterator[tuple[int, int, float]]:
        for i, j, score in zip(self.a, self.b, self.score, strict=True):
            yield int(i), int(j), round(float(score), 6)


def _new_pairs(n: int, pairs: tuple[Indices, Indices], scores: Scores) -> tuple[Indices, Indices]:
    return without_pairs(n, unique_pairs(n, pairs), (scores.a, scores.b))


def _grouping(run: Run, scores: Scores) -> Grouping:
    return connected_components(
        len(run.nodes), scores.a, scores.b, sigmoid(scores.log_odds), run.plan.threshold
    )


def _group_levels(grouping: Grouping, scores: Scores, a: Indices, b: Indices) -> NDArray[np.float64]:
    """1 for each pair inside a group, else the best score that one of the two has in the other's group."""
    labels, n_groups = grouping.labels, grouping.n_groups
    ends = np.concatenate([scores.a, scores.b]) * n_groups + labels[np.concatenate([scores.b, scores.a])]
    known, row = np.unique(ends, return_inverse=True)
    best = np.zeros(len(known) + 1)
    np.maximum.at(best, row, np.tile(sigmoid(scores.log_odds), 2))

    def of_picture(picture: Indices, other: Indices) -> NDArray[np.float64]:
        asked = picture * n_groups + labels[other]
        found = np.searchsorted(known, asked)
        return np.where(np.append(known, -1)[found] == asked, best[found], 0.0)

    return np.where(labels[a] == labels[b], 1.0, np.maximum(of_picture(a, b), of_picture(b, a)))


def _group_pairs(grouping: Grouping, scores: Scores) -> tuple[Indices, Indices]:
    """All pairs inside each group, and those of a picture with a group one of whose pairs may be kept."""
    labels, n_groups = grouping.labels, grouping.n_groups
    sizes = np.bincount(labels, minlength=n_groups)
    may_be_kept = (sigmoid(scores.log_odds) >= CUTOFFS[-1]) & (labels[scores.a] != labels[scores.b])
    a, b = scores.a[may_be_kept], scores.b[may_be_kept]
    between = np.concatenate([a * n_groups + labels[b], b * n_groups + labels[a]])
    grouped = np.flatnonzero(sizes[labels] > 1)
    picture, group = np.divmod(np.unique(np.append(between, grouped * n_groups + labels[grouped])), n_groups)
    small = sizes[group] <= MAX_ALL_PAIRS
    picture, group = picture[small], group[small]
    repeats = sizes[group]
    order = np.argsort(labels, kind="stable")
    start = np.cumsum(sizes) - sizes
    place = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    return np.repeat(picture, repeats), order[np.repeat(start[group], repeats) + place]


def _neighbours(run: Run, labels: Indices, others: Sequence[str]) -> tuple[Indices, Indices]:
    """The best picture of each group, with those of other groups that are nearest by whole-picture signals.

    No hash and no word need be shared: what is left of a low-contrast picture under a caption may still
    be nearer to the original than anything else. Up to `MAX_COMPARED` groups: each is compared with each.
    """
    none = np.zeros(0, np.int64)
    order = np.lexsort((np.arange(len(labels)), -n_pixels(run.nodes), labels))
    rows = order[np.unique(labels[order], return_index=True)[1]]
    digests = [*(run.digests[int(row)] for row in rows), *others]
    if len(rows) < 2 or len(digests) > MAX_COMPARED:
        return none, none
    features = [feature for feature in run.plan.features if feature.name in NEIGHBOUR_SIGNALS]
    packed = pack_descriptors(features, digests, run.store)
    every = np.arange(len(digests))
    a, b = [none], [none]
    for i in range(len(rows)):
        found: dict[str, Any] = {}
        for feature in features:
            found |= feature.compare_many(packed[feature.name], np.full(len(every), i), every)
        nearness = run.plan.model.log_odds(found) + np.zeros(len(every))
        nearness[i] = -np.inf
        nearest = np.argsort(-nearness, kind="stable")[:N_NEIGHBOURS]
        nearest = nearest[nearest < len(rows)]
        a.append(np.full(len(nearest), rows[i]))
        b.append(rows[nearest])
    return np.concatenate(a), np.concatenate(b)


def _blank_pairs(run: Run, most: float | None = None) -> tuple[Indices, Indices] | None:
    """Pairs of pictures that hold no evidence for any hash; None where there are too many of them.

    That a signal says nothing about a pair does not make it different, so somebody else has to look.
    """
    n = len(run.nodes)
    searched = [feature for feature in run.plan.features if feature.search == "hamming"]
    has_keys = np.full(n, not searched)
    for feature in searched:
        keys = feature.hash_keys(run.packed[feature.name])
        if keys is not None:
            has_keys[keys.owner] = True
    blank = np.flatnonzero(~has_keys)
    most = max(MIN_BLANK_PAIRS, MAX_BLANK_SHARE * n * (n - 1) / 2) if most is None else most
    if len(blank) * (len(blank) - 1) / 2 > most:
        return None
    i, j = np.triu_indices(len(blank), 1)
    return _allowed(run, blank[i], blank[j])


def _allowed(run: Run, a: Indices, b: Indices) -> tuple[Indices, Indices]:
    digests = np.array(run.digests)
    keep = run.is_allowed(a, b) & (digests[a] != digests[b]) if len(a) else np.zeros(0, bool)
    return a[keep], b[keep]


# --- measuring on made copies -----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Sample:
    """Candidates among copies that were made of a few pictures, and which of them are true.

    Attributes
    ----------
    n_copies : int
        Made of all originals together.
    n_true : (n_originals,) int64
        True pairs among each original and its copies.
    candidates : _Candidates or None
    original : (n,) int64
        Of both sides of each candidate; -1 where they have two.
    """

    n_copies: int
    n_true: Indices
    candidates: _Candidates | None
    original: Indices

    @classmethod
    def of(
        cls,
        run: Run,
        candidates: _Candidates,
        n_sampled: int,
        *,
        pairs_blank: bool,
        executor: Executor,
        progress: Progress,
    ) -> _Sample:
        chosen = _representatives(run, candidates)
        store = MemoryStore()
        job = CopiesJob.of(run, chosen[:n_sampled], chosen[n_sampled:])
        source = _make_copies(run, chosen[:n_sampled], job, store, executor, progress)
        if len(source) < 2:
            return cls(0, np.zeros(0, np.int64), None, np.zeros(0, np.int64))
        settings = replace(run.settings, between_only=False, reference=(), decisions=None)
        nodes = [Node(digest, "", (_record(digest),)) for digest in sorted(source)]
        copies = Run(run.plan, settings, nodes, store, SilentProgress())
        others = _put_descriptors(run, chosen[n_sampled:], store)
        blank = _blank_pairs(copies, most=np.inf) if pairs_blank else None
        found = _candidates(copies, blank, others)
        owner = np.array([source[node.digest] for node in nodes])
        counts = np.bincount(owner)
        original = np.where(owner[found.a] == owner[found.b], owner[found.a], -1)
        return cls(len(nodes), counts * (counts - 1) // 2, found, original)

    def recall(self, cutoff: float) -> tuple[float, float]:
        """Share of the true pairs that are kept, and its standard error over the originals."""
        assert self.candidates is not None
        kept = self.original[(self.candidates.level >= cutoff) & (self.original >= 0)]
        n_kept = np.bincount(kept, minlength=len(self.n_true))
        shares = n_kept[self.n_true > 0] / self.n_true[self.n_true > 0]
        error = shares.std(ddof=1) / len(shares) ** 0.5 if len(shares) > 1 else 0.0
        return float(n_kept.sum() / self.n_true.sum()), float(error)

    def cutoff_for(self, wanted: float) -> float:
        """See `best_cutoff`; without copies the lowest."""
        if self.candidates is None:
            return CUTOFFS[-1]
        return best_cutoff([self.recall(cutoff) for cutoff in CUTOFFS], wanted)


def best_cutoff(recalls: Sequence[tuple[float, float]], wanted: float) -> float:
    """The highest of `CUTOFFS` with the wanted recall, or with as much as can be told from the best.

    The sample is small, so what is asked for must be reached by more than its standard error. Where no cutoff
    does, a lower one would pay for what may be chance: the one-standard-error rule of L. Breiman et al.,
    "Classification and regression trees" (1984).

    Parameters
    ----------
    recalls : sequence of (float, float)
        Recall and its standard error, by cutoff.
    wanted : float
    """
    surely = [recall - error for recall, error in recalls]
    if max(surely) >= wanted:
        return next(cutoff for cutoff, least in zip(CUTOFFS, surely, strict=True) if least >= wanted)
    best, error = max(recalls)
    return next(
        cutoff for cutoff, (recall, _) in zip(CUTOFFS, recalls, strict=True) if recall >= best - error
    )


def _representatives(run: Run, candidates: _Candidates) -> list[int]:
    """The best picture of each group, in the order of digests, which is no order at all.

    Copies of copies would be harder to find than those that people make: a crop of a crop shows nothing.
    """
    n = len(run.nodes)
    grouping = connected_components(n, candidates.a, candidates.b, candidates.level, run.plan.threshold)
    pixels = n_pixels(run.nodes)
    best = [members[int(np.argmax(pixels[members]))] for members in grouping.groups(min_size=1)]
    return sorted(int(k) for k in best if not run.nodes[int(k)].first.damaged)


def _make_copies(
    run: Run,
    chosen: Sequence[int],
    job: CopiesJob,
    store: MemoryStore,
    executor: Executor,
    progress: Progress,
) -> dict[str, int]:
    """Put the copies of the chosen pictures into `store`; the number of its original by digest."""
    paths = [run.nodes[k].first.path for k in chosen]
    source: dict[str, int] = {}
    with progress.task("Making copies", len(paths)) as advance:
        for path, outcome in executor.map(job, paths, timeout_s=_ALTER_TIMEOUT_S):
            advance(1)
            if isinstance(outcome, CvsimError):
                continue  # a picture that cannot be read again is no sample
            for extraction in outcome:
                store.put(extraction)
                source[extraction.digest] = paths.index(path)
    return source


def _put_descriptors(run: Run, rows: Sequence[int], store: MemoryStore) -> list[str]:
    """Put into `store` what neighbours are found by of some pictures of the run; their digests."""
    digests = [run.digests[row] for row in rows]
    for feature in run.plan.features:
        if feature.name in NEIGHBOUR_SIGNALS:
            for digest, data in run.store.descriptors(feature.key, digests).items():
                store.put(Extraction(digest, artefacts={feature.key: data}))
    return digests


def _record(digest: str) -> ImageRecord:
    return ImageRecord(path=digest, digest=digest, width_px=1, height_px=1, size_bytes=0, mtime_ns=0)


@dataclass
class CopiesJob:
    """Makes every kind of copy of one picture, and takes the features of each, for an executor."""

    features: tuple[Feature[Any], ...]
    others: dict[str, str]

    @classmethod
    def of(cls, run: Run, chosen: Sequence[int], rest: Sequence[int]) -> CopiesJob:
        """Pasted into pictures that are not chosen, so that two chosen ones never meet in one copy."""
        paths = [run.nodes[k].first.path for k in chosen]
        others = {path: run.nodes[k].first.path for path, k in zip(paths, rest, strict=False)}
        return cls(run.plan.features, others)

    def load(self, item: str) -> tuple[Content, Content | None]:
        other = self.others.get(item)
        return read_content(item), None if other is None else read_content(other)

    def demand(self, payload: tuple[Content, Content | None]) -> Demand:
        known = [content for content in payload if content is not None]
        return Demand(any(c.is_risky for c in known), max(c.memory_bytes for c in known))

    def run(self, payload: tuple[Content, Content | None]) -> list[Extraction]:
        content, other = payload
        rgb = content.decode(longest_px=MAX_PX).rgb
        background = None if other is None else other.decode(longest_px=MAX_PX).rgb
        seed = int(content.digest[:8], 16)
        return [
            self._extraction(f"{content.digest}:{kind}", data)
            for kind, data in copies_of(rgb, background, seed)
        ]

    def _extraction(self, name: str, data: bytes) -> Extraction:
        decoded = decode(data, longest_px=working_px(self.features))
        digest = hashlib.sha256(name.encode()).hexdigest()
        image = ImageInfo(decoded.width_px, decoded.height_px, decoded.format)
        return Extraction(
            digest, decoder=DECODER, image=image, artefacts=artefacts(decoded.rgb, self.features)
        )


def copies_of(rgb: RGB, background: RGB | None, seed: int) -> Iterator[tuple[str, bytes]]:
    """Every kind of copy of a picture, as JPEG files, the picture itself first."""
    yield "original", jpeg_bytes(rgb, 95)
    for kind, quality in JPEG_QUALITIES.items():
        yield kind, jpeg_bytes(rgb, quality)
    for kind in ALTERATIONS:
        yield kind, jpeg_bytes(altered(rgb, kind, seed))
    if background is not None:
        for kind, share in PASTED_SHARES.items():
            yield kind, jpeg_bytes(pasted(rgb, background, share, seed))
