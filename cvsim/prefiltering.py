"""The recipe of prefilter: the few pairs that are worth a heavier system's time, best first, and the share of
all true pairs that they hold, measured on copies made of the user's own pictures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cvsim.blocking import unique_pairs
from cvsim.clustering import connected_components
from cvsim.collection import Node, find_files, make_nodes, n_pixels, read_files, require_paths
from cvsim.errors import CvsimError, UsageError
from cvsim.executors import open_executor
from cvsim.executors.base import Demand
from cvsim.extraction import DECODER, WORKING_PX, artefacts
from cvsim.features.base import Feature
from cvsim.images.alterations import (
    ALTERATIONS,
    JPEG_QUALITIES,
    MAX_PX,
    PASTED_SHARES,
    altered,
    jpeg_bytes,
    pasted,
)
from cvsim.images.content import Content, read_content
from cvsim.images.decode import decode
from cvsim.pipeline import MAX_ALL_PAIRS, _Clock, _Run, _sides, make_plan, open_run_store
from cvsim.progress import SilentProgress
from cvsim.scoring import Scores
from cvsim.sharding import joins_over
from cvsim.stores import Extraction, ImageInfo, MemoryStore
from cvsim.types import ImageRecord, Skipped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.executors.base import Executor
    from cvsim.progress import Progress
    from cvsim.settings import Settings
    from cvsim.types import RGB, Indices

CUTOFFS = (0.95, 0.8, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01)
"""Scores from which pairs are kept: the first that reaches the recall. Below the last is only chance."""
N_SAMPLED = 16
"""Pictures of which copies are made."""
MAX_BLANK_SHARE = 0.0005
"""Of all pairs: as many of blank pictures are taken at most. Blank ones can be told apart by no signal."""
MIN_BLANK_PAIRS = 500
_TIMEOUT_S = 60.0


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
        Made to measure that.
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
    _candidates: _Candidates
    _nodes: Sequence[Node]

    @property
    def share_spared(self) -> float:
        """Of all pairs, those that need no second look."""
        return 1.0 - self.n_pairs / self.n_all_pairs if self.n_all_pairs else 0.0

    def __len__(self) -> int:
        return self.n_pairs

    def __iter__(self) -> Iterator[CandidatePair]:
        yield from _identical(self._nodes)
        for i, j, score in self._candidates.rows():
            a, b = sorted((self._nodes[i].first.path, self._nodes[j].first.path))
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
    store = open_run_store(settings)
    executor = open_executor(settings.scheduler, settings.n_workers)
    try:
        found = find_files([*paths, *settings.reference], listed, settings.scan)
        reading = read_files(found, plan.features, store, executor=executor, progress=progress)
        nodes = make_nodes(reading.records, _sides(reading, settings))
        run = _Run(plan, settings, nodes, store, progress, joins_over(executor, store))
        blank = _blank_pairs(run)
        candidates = _candidates(run, blank)
        sample = _Sample.of(
            run, candidates, n_sampled, pairs_blank=blank is not None, executor=executor, progress=progress
        )
    finally:
        executor.close()
        store.close()
    cutoff, measured = sample.cutoff_for(recall)
    kept = candidates.from_score(cutoff)
    n_identical = sum(len(node.records) - 1 for node in nodes)
    return Prefiltered(
        n_images=len(reading.records),
        n_pairs=len(kept) + n_identical,
        n_all_pairs=_n_all_pairs(run, nodes),
        wanted_recall=recall,
        recall=measured,
        n_copies=sample.n_copies,
        cutoff=cutoff,
        skipped=reading.skipped,
        _candidates=kept,
        _nodes=nodes,
    )


def _identical(nodes: Iterable[Node]) -> Iterator[CandidatePair]:
    """Identical files, each with the first of its kind: there is nothing to find out about the others."""
    for node in nodes:
        for record in node.records[1:]:
            yield CandidatePair(node.first.path, record.path, 1.0)


def _n_all_pairs(run: _Run, nodes: Sequence[Node]) -> int:
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
    """Scored pairs of nodes, best first; `sure` are kept at any cutoff.

    Pairs are sure that a chain of links connects (a crop of a turned copy may match the original and not
    the copy), and pairs of blank pictures, of which nothing can be said.
    """

    a: Indices
    b: Indices
    score: NDArray[np.float64]
    sure: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.a)

    def from_score(self, cutoff: float) -> _Candidates:
        keep = self.sure | (self.score >= cutoff)
        return _Candidates(self.a[keep], self.b[keep], self.score[keep], self.sure[keep])

    def rows(self) -> Iterator[tuple[int, int, float]]:
        for i, j, score in zip(self.a, self.b, self.score, strict=True):
            yield int(i), int(j), round(float(score), 6)


def _candidates(run: _Run, blank: tuple[Indices, Indices] | None) -> _Candidates:
    """Candidates of a run, with what chains of links and blank pictures add."""
    n = len(run.nodes)
    scores = run.score_candidates(_Clock())
    added = [_chained(run, scores)] + ([] if blank is None else [blank])
    extra = unique_pairs(n, *added)
    known = np.isin(extra[0] * n + extra[1], scores.a * n + scores.b)
    scores = scores.joined(run._score((extra[0][~known], extra[1][~known]), "Comparing chains"))
    sure = np.isin(scores.a * n + scores.b, extra[0] * n + extra[1])
    probability = 1 / (1 + np.exp(-scores.log_odds))
    order = np.lexsort((scores.b, scores.a, -probability))
    return _Candidates(scores.a[order], scores.b[order], probability[order], sure[order])


def _chained(run: _Run, scores: Scores) -> tuple[Indices, Indices]:
    """Pairs that links connect, directly or through others."""
    n = len(run.nodes)
    probability = 1 / (1 + np.exp(-scores.log_odds))
    grouping = connected_components(n, scores.a, scores.b, probability, run.plan.threshold)
    parts = []
    for members in grouping.groups():
        if len(members) <= MAX_ALL_PAIRS:
            i, j = np.triu_indices(len(members), 1)
            parts.append((members[i], members[j]))
    a, b = unique_pairs(n, *parts)
    return _allowed(run, a, b)


def _blank_pairs(run: _Run, most: float | None = None) -> tuple[Indices, Indices] | None:
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


def _allowed(run: _Run, a: Indices, b: Indices) -> tuple[Indices, Indices]:
    digests = np.array(run.digests)
    keep = run.is_allowed(a, b) & (digests[a] != digests[b]) if len(a) else np.zeros(0, bool)
    return a[keep], b[keep]


# --- measuring on made copies -----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Sample:
    """Candidates among copies that were made of a few pictures, and which of them are true.

    Attributes
    ----------
    n_copies, n_true : int
        Copies made; true pairs among them and their originals.
    candidates : _Candidates or None
    is_true : (n,) bool
    """

    n_copies: int
    n_true: int
    candidates: _Candidates | None
    is_true: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        run: _Run,
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
            return cls(0, 0, None, np.zeros(0, bool))
        settings = replace(run.settings, between_only=False, reference=(), decisions=None)
        nodes = [Node(digest, "", (_record(digest),)) for digest in sorted(source)]
        copies = _Run(run.plan, settings, nodes, store, SilentProgress())
        found = _candidates(copies, _blank_pairs(copies, most=np.inf) if pairs_blank else None)
        owner = np.array([source[node.digest] for node in nodes])
        counts = np.bincount(owner)
        n_true = int((counts * (counts - 1) // 2).sum())
        return cls(len(nodes), n_true, found, owner[found.a] == owner[found.b])

    def recall(self, cutoff: float) -> float:
        assert self.candidates is not None
        kept = self.candidates.sure | (self.candidates.score >= cutoff)
        return float((kept & self.is_true).sum() / self.n_true)

    def cutoff_for(self, wanted: float) -> tuple[float, float | None]:
        """The highest cutoff with the wanted recall, or else with the best that there is; and that recall."""
        if self.candidates is None:
            return CUTOFFS[-1], None
        recalls = [self.recall(cutoff) for cutoff in CUTOFFS]
        goal = min(wanted, max(recalls))
        cutoff, recall = next((c, r) for c, r in zip(CUTOFFS, recalls, strict=True) if r >= goal)
        return cutoff, recall


def _representatives(run: _Run, candidates: _Candidates) -> list[int]:
    """The best picture of each group, in the order of digests, which is no order at all.

    Copies of copies would be harder to find than those that people make: a crop of a crop shows nothing.
    """
    n = len(run.nodes)
    score = np.where(candidates.sure, 1.0, candidates.score)
    grouping = connected_components(n, candidates.a, candidates.b, score, run.plan.threshold)
    pixels = n_pixels(run.nodes)
    best = [members[int(np.argmax(pixels[members]))] for members in grouping.groups(min_size=1)]
    return sorted(int(k) for k in best if not run.nodes[int(k)].first.damaged)


def _make_copies(
    run: _Run,
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
        for path, outcome in executor.map(job, paths, timeout_s=_TIMEOUT_S):
            advance(1)
            if isinstance(outcome, CvsimError):
                continue  # a picture that can not be read again is no sample
            for extraction in outcome:
                store.put(extraction)
                source[extraction.digest] = paths.index(path)
    return source


def _record(digest: str) -> ImageRecord:
    return ImageRecord(path=digest, digest=digest, width_px=1, height_px=1, size_bytes=0, mtime_ns=0)


@dataclass
class CopiesJob:
    """Makes every kind of copy of one picture, and takes the features of each, for an executor."""

    features: tuple[Feature[Any], ...]
    others: dict[str, str]

    @classmethod
    def of(cls, run: _Run, chosen: Sequence[int], rest: Sequence[int]) -> CopiesJob:
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
        decoded = decode(data, longest_px=WORKING_PX)
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
