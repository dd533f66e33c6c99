"""The recipes: dedupe and compare, stage by stage. No algorithms here."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cvsim.arrays import sigmoid
from cvsim.candidates.blocking import (
    LOCAL_JOINS,
    Joins,
    first_of_each,
    hash_candidates,
    unique_pairs,
    vector_candidates,
    without_pairs,
    word_candidates,
)
from cvsim.candidates.sharded import joins_over
from cvsim.candidates.words import WordRule
from cvsim.errors import ImageError, SettingsError
from cvsim.executors import LocalExecutor, open_executor
from cvsim.features import make_features
from cvsim.features.local import Local
from cvsim.groups.components import Grouping, connected_components
from cvsim.groups.decisions import Decisions
from cvsim.groups.keep import KeepRules
from cvsim.progress import SilentProgress
from cvsim.reading.collection import (
    Node,
    Reading,
    find_files,
    make_nodes,
    mask_of,
    n_pixels,
    pack_descriptors,
    read_files,
    require_paths,
    under_any,
)
from cvsim.reading.extraction import WORKING_PX
from cvsim.recipes.report_groups import make_groups
from cvsim.recipes.trained_signals import MappedVector, pair_model, pair_weights
from cvsim.scoring.explainer import Explainer
from cvsim.scoring.model import FusionModel, read_model
from cvsim.scoring.relation import Verdict
from cvsim.scoring.scorer import Scorer, Scores
from cvsim.settings import MIN_WORD_VOTES, PROFILES, Settings
from cvsim.stores import open_cache, open_scratch
from cvsim.types import Counts, DedupeResult, ScoredPair

if TYPE_CHECKING:
    from cvsim.features.base import Feature
    from cvsim.progress import Progress
    from cvsim.stores import Store
    from cvsim.types import Indices

MODELS = Path(__file__).parents[1] / "models"
MIN_EMBEDDING_COSINE = 0.85
"""Under the copy profile, pictures whose embeddings are that near are worth a look, whatever their hashes."""
CERTAINLY_WEAK = -4.6
"""Log-odds of 0.01: a weaker pair of a group is not searched for."""
MAX_ALL_PAIRS = 200
"""Distinct pictures of a group up to which all its pairs are scored; beyond, each with the kept one."""

_log = logging.getLogger(__name__)

cv2.setNumThreads(1)  # cvsim's own threads each work on one picture: more would only contend


@dataclass(frozen=True, eq=False)
class Plan:
    """What the settings come to: features, model, threshold."""

    features: tuple[Feature[Any], ...]
    model: FusionModel
    threshold: float
    nearness: Mapping[str, float] = field(default_factory=dict)
    """What a cosine of 1 adds to the nearness of two pictures, by signal whose vectors are searched."""
    min_nearness: float | None = None
    """Of a candidate; None: what the threshold asks for, nearness being in log-odds."""

    pair_recall: Mapping[str, float] = field(default_factory=dict)
    """Of a trained profile: share of the pairs of held-out products at each score and above."""

    @property
    def least_nearness(self) -> float:
        return self.min_log_odds - self.model.prior if self.min_nearness is None else self.min_nearness

    @property
    def min_log_odds(self) -> float:
        p = min(max(self.threshold, 1e-12), 1 - 1e-12)
        return float(np.log(p / (1 - p)))


def make_plan(settings: Settings) -> Plan:
    """Features, model and threshold of a run.

    Raises
    ------
    SettingsError
        The profile or a signal is not known.
    """
    if settings.profile not in PROFILES:
        return _trained_plan(settings)
    profile = PROFILES[settings.profile]
    names = settings.signals or profile.signals[settings.effort]
    threshold = profile.threshold if settings.threshold is None else settings.threshold
    model = read_model(MODELS / f"{profile.models[settings.effort]}.json")
    if settings.embedding is None:
        # Signals of somebody's own choice may need all the detail that there is.
        is_whole = not settings.signals
        size_px = profile.working_px[settings.effort] if is_whole else WORKING_PX
        return Plan(make_features(names, size_px), model, threshold)
    from cvsim.recipes.products import make_embedding

    embedding = make_embedding(settings.embedding)
    features = (*make_features(names), embedding)
    return Plan(features, model, threshold, {embedding.name: 1.0}, MIN_EMBEDDING_COSINE)


def _trained_plan(settings: Settings) -> Plan:
    """The plan of a profile that `cvsim train` made."""
    from cvsim.recipes.products import features_of, read_profile  # with scikit-learn, a second to load

    trained = read_profile(settings.profile)
    if settings.signals:
        raise SettingsError("a trained profile has its own signals; leave out --signals")
    features = features_of(trained, settings.embedding)
    mapped = tuple(
        MappedVector(feature, signal.map) for feature, signal in zip(features, trained.signals, strict=True)
    )
    threshold = trained.pair_threshold if settings.threshold is None else settings.threshold
    recall = trained.quality.get("pair_recall", {})
    return Plan(mapped, pair_model(trained), threshold, pair_weights(trained), pair_recall=recall)


def open_run_store(settings: Settings) -> Store:
    """The cache that the settings name, or a scratch one that ends with the process."""
    return open_scratch() if settings.cache is None else open_cache(settings.cache or None)


def dedupe(
    paths: Sequence[str],
    settings: Settings,
    *,
    listed: Iterable[str] = (),
    progress: Progress | None = None,
    on_store: Callable[[Store], None] | None = None,
) -> DedupeResult:
    """Find groups of pictures that show the same.

    Parameters
    ----------
    paths : sequence of str
    settings : Settings
    listed : iterable of str
        More paths, of which those that are gone are skipped.
    progress : Progress, optional
    on_store : callable, optional
        Takes over the store, to fetch thumbnails and to close it; closed here if not given.
    """
    progress = progress or SilentProgress()
    listed = list(listed)
    if not listed:
        require_paths(paths)
    plan = make_plan(settings)
    clock = Clock()
    store = open_run_store(settings)
    executor = open_executor(settings.scheduler, settings.n_workers)
    try:
        found = find_files([*paths, *settings.reference], listed, settings.scan)
        clock.mark("scan")
        reading = read_files(found, plan.features, store, executor=executor, progress=progress)
        if not executor.is_remote:
            executor.close()  # its children, which take as much memory as this process and have no more work
        clock.mark("read")
        nodes = make_nodes(reading.records, sides_of(reading, settings))
        run = Run(plan, settings, nodes, store, progress, joins_over(executor, store))
        scores, grouping = run.link(clock)
        groups = make_groups(nodes, scores, grouping, run.explainer(scores), settings, plan.threshold)
        clock.mark("explain")
    finally:
        executor.close()
        if on_store is None:
            store.close()
    if on_store is not None:
        on_store(store)
    stats: dict[str, Any] = {"n_decoded": reading.n_decoded, "n_read": reading.n_read}
    stats["bytes_read"] = reading.bytes_read
    stats |= {"n_scored": len(scores), "n_verified": run.scorer.n_verified, "seconds": clock.seconds}
    _log.info("done: %s", stats)
    return DedupeResult(
        _described(paths, settings, plan), _counts(reading, groups), groups, reading.skipped, stats
    )


def sides_of(reading: Reading, settings: Settings) -> dict[str, str]:
    """What each file may be paired with: see `Run.is_allowed`."""
    references = [os.path.abspath(folder) for folder in settings.reference]
    sides = {}
    for record in reading.records:
        side = "reference" if references and under_any(record.path, references) else ""
        if settings.between_only:
            side += "\0" + reading.roots[record.path]
        sides[record.path] = side
    return sides


class Run:
    """The stages between reading and reporting, over one collection."""

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        nodes: Sequence[Node],
        store: Store,
        progress: Progress,
        joins: Joins = LOCAL_JOINS,
    ) -> None:
        self.plan, self.settings, self.nodes = plan, settings, nodes
        self.store, self.progress, self.joins = store, progress, joins
        self.digests = [node.digest for node in nodes]
        contents = {digest: k for k, digest in enumerate(dict.fromkeys(self.digests))}
        self._content = np.array([contents[digest] for digest in self.digests], np.int64)
        self.packed = pack_descriptors(plan.features, self.digests, store)
        self.scorer = Scorer(
            plan.features,
            self.packed,
            self.digests,
            store,
            plan.model,
            min_log_odds=plan.min_log_odds,
            n_workers=settings.n_workers,
        )
        self._reference = mask_of(node.is_reference for node in nodes)
        sides = {side: k for k, side in enumerate(sorted({node.side for node in nodes}))}
        self._side = np.array([sides[node.side] for node in nodes], np.int64)
        # About the order in which the keep rules prefer pictures: it saves work, and decides nothing.
        sizes = np.array([node.first.size_bytes for node in nodes], np.int64)
        self._quality = np.argsort(np.lexsort((sizes, n_pixels(nodes)))).astype(np.float64)
        self._decisions = Decisions.load(settings.decisions)
        self._verdicts: dict[tuple[int, int], Verdict] = {}
        self._rules = KeepRules.parse(settings.keep)
        self._reference_paths = {r.path for node in nodes if node.is_reference for r in node.records}

    def link(self, clock: Clock) -> tuple[Scores, Grouping]:
        """Candidates, scores, groups; then what else is to be known of each group."""
        scores = self.score_candidates(clock)
        grouping = self.group(scores)
        scores = self._with_weakest(self._with_kept(scores, grouping), grouping)
        clock.mark("check groups")
        return scores, self.group(scores)

    def score_candidates(self, clock: Clock) -> Scores:
        """Scores of candidates: by hashes, then by words of one or two of each group found so far."""
        n = len(self.nodes)
        hashed = hash_candidates(self.plan.features, self.packed, self._side, self.joins)
        if self.plan.nearness:
            near = vector_candidates(self.packed, self.plan.nearness, self.plan.least_nearness)
            hashed = unique_pairs(n, hashed, near)
        scores = self._link(self._no_scores(), hashed, "Comparing pictures")
        clock.mark("hash candidates")
        local = self.scorer.local
        if local is not None:
            words = unique_pairs(n, self._word_candidates(local, self.group(scores)))
            clock.mark("word candidates")
            scores = self._link(scores, words, "Comparing parts")
            clock.mark("verify")
        return scores

    def _link(self, scores: Scores, pairs: tuple[Indices, Indices], description: str) -> Scores:
        """The scores, and those of as many of the pairs as can change a group.

        Of each picture comes first its pair with the best picture, which is likely to be kept. A pair within
        one group needs no look: whatever it came to, the groups would be the same.
        """
        a, b = without_pairs(len(self.nodes), pairs, (scores.a, scores.b))
        allowed = self.is_allowed(a, b)
        a, b = a[allowed], b[allowed]
        if self.scorer.local is None:
            return scores.joined(self.score((a, b), description))
        glance = self.scorer.glance(a, b)
        quality = self._quality
        with self.progress.task(description, len(a)) as advance:
            while len(a):
                chosen = first_of_each(a, b, quality[b], quality[a])
                scores = scores.joined(self.scorer.score(a[chosen], b[chosen], advance, glance[chosen]))
                labels = self.group(scores).labels
                left = ~chosen & (labels[a] != labels[b])
                advance(int((~chosen & ~left).sum()))
                a, b, glance = a[left], b[left], glance[left]
        return scores

    def _no_scores(self) -> Scores:
        none = np.zeros(0, np.int64)
        return self.scorer.score(none, none)

    def _word_candidates(self, local: Local, grouping: Grouping) -> tuple[Indices, Indices]:
        rule = WordRule(min_votes=MIN_WORD_VOTES[self.settings.effort])
        quality = n_pixels(self.nodes)
        packed = self.scorer.descriptors
        return word_candidates(local, packed, grouping.labels, quality, self._side, rule, self.joins)

    def score(self, pairs: tuple[Indices, Indices], description: str) -> Scores:
        """Scores of those of the pairs that are allowed; `description` says what for, while it lasts."""
        allowed = self.is_allowed(*pairs)
        a, b = pairs[0][allowed], pairs[1][allowed]
        with self.progress.task(description, len(a)) as advance:
            return self.scorer.score(a, b, advance)

    def is_allowed(self, a: Indices, b: Indices) -> Any:
        """Which pairs count: two contents, not both under references, between roots if only those do."""
        allowed = ~(self._reference[a] & self._reference[b])
        if self.settings.between_only:
            allowed &= self._side[a] != self._side[b]
        return allowed

    def group(self, scores: Scores) -> Grouping:
        """Groups by the scores, containment and what people have decided."""
        a, b = self._same_content()
        probability = sigmoid(scores.log_odds)
        probability = np.where(self._is_separated(scores, probability), 0.0, probability)
        explainer = self.explainer(scores)
        linked = np.flatnonzero(probability >= self.plan.threshold)
        part = np.full(len(scores), -1)
        pasted = np.zeros(len(scores), bool)
        for k in explainer.rows_with_geometry(linked).tolist():
            verdict = explainer.verdict(k)
            pasted[k] = verdict.pasted
            if verdict.contained is not None:
                part[k] = scores.a[k] if verdict.contained == "a" else scores.b[k]
        return connected_components(
            len(self.nodes),
            np.concatenate([scores.a, a]),
            np.concatenate([scores.b, b]),
            np.concatenate([probability, np.ones(len(a))]),
            self.plan.threshold,
            part=np.concatenate([part, np.full(len(a), -1)]),
            pasted=np.concatenate([pasted, np.zeros(len(a), bool)]),
        )

    def _is_separated(self, scores: Scores, probability: Any) -> Any:
        """Pairs that somebody said are no duplicates."""
        separated = np.zeros(len(scores), bool)
        if self._decisions.answers:
            for k in np.flatnonzero(probability >= self.plan.threshold).tolist():
                a, b = self.digests[int(scores.a[k])], self.digests[int(scores.b[k])]
                separated[k] = self._decisions.answer(a, b) == "not-a-duplicate"
        return separated

    def _same_content(self) -> tuple[Indices, Indices]:
        """Neighbouring nodes of one content: the same bytes on two sides."""
        same = [k for k in range(1, len(self.digests)) if self.digests[k] == self.digests[k - 1]]
        b = np.array(same, np.int64)
        allowed = self.is_allowed(b - 1, b)
        return b[allowed] - 1, b[allowed]

    def _with_kept(self, scores: Scores, grouping: Grouping) -> Scores:
        """The scores, and those of every member with the picture of its group that is to be kept."""
        parts = []
        for members in grouping.groups():
            kept = members[self._kept(members)]
            others = members[members != kept]
            parts.append((np.full(len(others), kept), others))
        return scores.joined(self._score_new(unique_pairs(len(self.nodes), *parts), scores))

    def _kept(self, members: Indices) -> int:
        """Position among the members of the one that the keep rules choose."""
        records = [self.nodes[node].first for node in members.tolist()]
        return self._rules.choose(records, lambda record: record.path in self._reference_paths)[0]

    def _score_new(self, pairs: tuple[Indices, Indices], scores: Scores) -> Scores:
        a, b = without_pairs(len(self.nodes), pairs, (scores.a, scores.b))
        different = self._content[a] != self._content[b]
        return self.score((a[different], b[different]), "Checking groups")

    def _with_weakest(self, scores: Scores, grouping: Grouping) -> Scores:
        """The scores, and that of the weakest pair of each group that is not too large.

        Only pairs that may be weaker than the weakest one known are scored, the most suspect first: a pair
        cannot score below what its global signals alone come to, and most groups show their weakest
        pair within a few. Below one in a hundred, weaker does not matter.
        """
        small = [m for m in grouping.groups() if 2 < len(m) <= MAX_ALL_PAIRS]
        corners = [(m, *np.triu_indices(len(m), 1)) for m in small]
        pairs = unique_pairs(len(self.nodes), *((m[i], m[j]) for m, i, j in corners))
        a, b = without_pairs(len(self.nodes), pairs, (scores.a, scores.b))
        allowed = self.is_allowed(a, b) & (self._content[a] != self._content[b])
        a, b = a[allowed], b[allowed]
        labels, found = grouping.labels, [scores]
        glance = self.scorer.glance(a, b)
        least = self.scorer.least_log_odds(glance)
        order = np.lexsort((b, a, least, labels[a]))
        a, b, least, glance = a[order], b[order], least[order], glance[order]
        weakest = np.full(grouping.n_groups, np.inf)
        with self.progress.task("Checking groups", len(a)) as advance:
            while len(a):
                inside = labels[found[-1].a] == labels[found[-1].b]
                np.minimum.at(weakest, labels[found[-1].a[inside]], found[-1].log_odds[inside])
                known = weakest[labels[a]]
                open_ = (least < known) & (known > CERTAINLY_WEAK)
                advance(int((~open_).sum()))
                a, b, least, glance = a[open_], b[open_], least[open_], glance[open_]
                chosen = np.r_[True, labels[a[1:]] != labels[a[:-1]]][: len(a)]
                found.append(self.scorer.score(a[chosen], b[chosen], advance, glance[chosen]))
                a, b, least, glance = a[~chosen], b[~chosen], least[~chosen], glance[~chosen]
        return scores.joined(*found[1:])

    def explainer(self, scores: Scores) -> Explainer:
        """What turns rows of `scores` into explained pairs."""
        return Explainer(
            self.nodes,
            scores,
            self.plan,
            self.packed,
            self.store,
            verdicts=self._verdicts,
            n_workers=self.settings.n_workers,
        )


def _described(paths: Sequence[str], settings: Settings, plan: Plan) -> dict[str, Any]:
    """The settings as the report shows them: enough to repeat the run, and nothing of this machine."""
    described = asdict(settings)
    for name in ("cache", "workers", "scheduler"):
        described.pop(name)
    described["threshold"] = plan.threshold
    described["signals"] = [feature.name for feature in plan.features]
    described["model"] = f"{plan.model.name} {plan.model.version}"
    return {"paths": list(paths), **described}


def _counts(reading: Reading, groups: Sequence[Any]) -> Counts:
    proposed = [member.record for group in groups for member in group.members if member.proposed]
    return Counts(
        files=reading.n_files,
        images=len(reading.records),
        skipped=len(reading.skipped),
        groups=len(groups),
        duplicates=len(proposed),
        reclaimable_bytes=sum(record.size_bytes for record in proposed),
    )


class Clock:
    """Seconds by stage, for those who ask where the time went."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = perf_counter()

    def mark(self, stage: str) -> None:
        now = perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now


def compare(a: str, b: str, settings: Settings, *, progress: Progress | None = None) -> ScoredPair:
    """Score one pair as `dedupe` would.

    Raises
    ------
    UsageError
        A path does not exist.
    ImageError
        One of the two cannot be used.
    """
    plan = make_plan(settings)
    store = open_run_store(settings)
    try:
        found = find_files([a, b], (), settings.scan)
        with LocalExecutor(settings.n_workers) as executor:
            reading = read_files(
                found, plan.features, store, executor=executor, progress=progress or SilentProgress()
            )
        if reading.skipped:
            raise ImageError(f"{reading.skipped[0].path}: {reading.skipped[0].reason}")
        by_path = {record.path: record for record in reading.records}
        # A second name of one file is no second entry of the scan.
        first = by_path.get(a) or reading.records[0]
        second = by_path.get(b) or reading.records[-1]
        nodes = make_nodes(dict.fromkeys((first, second)), {r.path: "" for r in reading.records})
        run = Run(plan, settings, nodes, store, SilentProgress())
        if len(nodes) == 1:
            return Explainer.identical(first, second, plan.model.prior, paths=(a, b))
        scores = run.scorer.score(np.array([0]), np.array([1]))
        explainer = run.explainer(scores)
        explainer.confirm_pixels(np.array([0]))
        return explainer.pair(0, first, second)
    finally:
        store.close()
