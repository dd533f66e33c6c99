"""Which pairs of a collection are scored, and what groups they come to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.arrays import sigmoid
from cvsim.candidates.blocking import (
    LOCAL_JOINS,
    Joins,
    first_of_each,
    hash_candidates,
    track_candidates,
    unique_pairs,
    vector_candidates,
    without_pairs,
    word_candidates,
)
from cvsim.candidates.words import WordRule
from cvsim.groups.components import Grouping, bridges_of, connected_components
from cvsim.groups.rules import GroupRules
from cvsim.progress import Clock, SilentProgress
from cvsim.scoring.explainer import Explainer
from cvsim.scoring.relation import Verdict
from cvsim.scoring.scorer import Scorer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from cvsim.groups.bridges import Split
    from cvsim.progress import Progress
    from cvsim.reading.collection import Collection
    from cvsim.recipes.scoring_plan import ScoringPlan
    from cvsim.types import Indices

    PairColumns = tuple[Indices, Indices]
    Pair = tuple[int, int]

CERTAINLY_WEAK = -4.6
"""Log-odds of 0.01: a weaker pair of a group is not searched for."""
CERTAIN = 25.0
"""Log-odds that equal pixels alone come to."""
SUPPORTED = 0.5
"""Score from which a pair speaks for a link between others of the same two groups."""
N_SUPPORTING = 4
"""Pictures linked to one end of such a link that are asked about its other end."""
N_KIN = 2
"""Best pictures of a group that are asked about what lies in another picture of the group: two, for the best
may be framed itself. Chosen by hand."""
N_ASKED_AGAIN = 12
"""Best pictures of a group that are asked where one of them nearly made a link. Of altered copies of ten
sorts of pictures and of photographs 8 find fewer, and all find no more; tried on copies of 30 other sorts."""
MAX_ALL_PAIRS = 200
"""Distinct pictures of a group up to which all its pairs may be scored; beyond, each with the kept one."""
MOST_SUSPECTS = 500
"""Pairs of a group that are looked at for its weakest one, all of up to 32 pictures: those of many pages of
one template are all as suspect, and all alike. Chosen by hand: groups of copies show theirs within a few."""


class Linker:
    """Scores pairs of a collection, and groups it by what is scored so far.

    Parameters
    ----------
    collection : Collection
    plan : ScoringPlan
    rules : GroupRules, optional
        What people have decided about pairs counts for the groups; nothing if not given.
    progress : Progress, optional
    n_workers : int

    Attributes
    ----------
    progress : Progress
    scores : Scores
        Everything that is scored so far, in the order of pairs.
    left_out : dict of (int, int) to float
        Links that alone would have joined two groups, with their scores; see `leave_out_lone_links`.
    """

    def __init__(
        self,
        collection: Collection,
        plan: ScoringPlan,
        rules: GroupRules | None = None,
        *,
        progress: Progress | None = None,
        n_workers: int = 1,
    ) -> None:
        self.collection, self.plan = collection, plan
        self.rules = rules or GroupRules(plan.threshold)
        self.scorer = Scorer(collection, plan.model, min_log_odds=plan.min_log_odds, n_workers=n_workers)
        self.progress = progress or SilentProgress()
        self._n_workers = n_workers
        self._verdicts: dict[tuple[int, int], Verdict] = {}
        self.left_out: dict[Pair, float] = {}
        none = np.zeros(0, np.int64)
        self.scores = self.scorer.score(none, none)
        self._passed_over: PairColumns = none, none

    def score(self, pairs: PairColumns, description: str) -> None:
        """Score as many of the candidates as can change a group.

        Of each picture comes first its pair with the best picture, which is likely to be kept. A pair within
        one group needs no look as long as that group holds together (see `score_fallen_apart`).
        """
        a, b = self._new(pairs)
        if self.scorer.local is None:
            self.score_all((a, b), description)
            return
        glance = self.scorer.glance(a, b)
        quality = self.collection.quality()
        with self.progress.task(description, len(a)) as advance:
            while len(a):
                chosen = first_of_each(a, b, quality[b], quality[a])
                found = self.scorer.score(a[chosen], b[chosen], advance, glance[chosen])
                self.scores = self.scores.joined(found)
                labels = self.groups().labels
                left = ~chosen & (labels[a] != labels[b])
                passed = ~chosen & ~left
                self._pass_over(a[passed], b[passed])
                advance(int(passed.sum()))
                a, b, glance = a[left], b[left], glance[left]

    def score_fallen_apart(self, description: str) -> bool:
        """Score candidates that lay within one group and do so no more; False if there are none.

        A group can fall apart by what is found later: what looked like a crop was pasted into a collage, or
        a link was left out.
        """
        a, b = self._new(self._passed_over)
        if not len(a):
            return False
        labels = self.groups().labels
        apart = labels[a] != labels[b]
        if not apart.any():
            return False
        self._passed_over = a[~apart], b[~apart]
        self.score((a[apart], b[apart]), description)
        return True

    def _pass_over(self, a: Indices, b: Indices) -> None:
        known_a, known_b = self._passed_over
        self._passed_over = np.concatenate([known_a, a]), np.concatenate([known_b, b])

    def score_nearest(self, nodes: Iterable[int], description: str) -> bool:
        """Score the likeliest copy of each of these nodes among them, by its global signals.

        Of pairs of one group that were passed over; False if there are none.
        """
        is_asked = np.zeros(len(self.collection), bool)
        is_asked[list(nodes)] = True
        grouping = self.groups()
        small = self._pairs_inside(grouping)
        a, b = self._new(unique_pairs(len(self.collection), self._passed_over, small))
        inside = is_asked[a] & is_asked[b] & (grouping.labels[a] == grouping.labels[b])
        a, b = a[inside], b[inside]
        glance = self.scorer.glance(a, b)
        # Pages of one template all look sure, and equally so: of these the ones that are most alike.
        order = np.lexsort((glance.together, self.scorer.least_log_odds(glance)))
        rank = np.empty(len(a))
        rank[order] = np.arange(len(a))
        chosen = first_of_each(a, b, rank, rank)
        self.score_all((a[chosen], b[chosen]), description)
        return bool(chosen.any())

    def score_all(self, pairs: PairColumns, description: str) -> None:
        """Score each of the pairs that is allowed and not scored yet."""
        a, b = self._new(pairs)
        with self.progress.task(description, len(a)) as advance:
            self.scores = self.scores.joined(self.scorer.score(a, b, advance))

    def _new(self, pairs: PairColumns) -> PairColumns:
        a, b = without_pairs(len(self.collection), pairs, (self.scores.a, self.scores.b))
        allowed = self.collection.is_allowed(a, b)
        return a[allowed], b[allowed]

    def score_weakest(self, grouping: Grouping, description: str) -> None:
        """Score the weakest pair of each group that is not too large.

        Only pairs that may be weaker than the weakest one known are scored, the most suspect first: a pair
        cannot score below what its global signals alone come to, and most groups show their weakest
        pair within a few. Below one in a hundred, weaker does not matter.
        """
        labels, found = grouping.labels, [self.scores]
        a, b, least, glance = self._by_suspicion(grouping)
        weakest = np.full(grouping.n_groups, np.inf)
        with self.progress.task(description, len(a)) as advance:
            while len(a):
                inside = labels[found[-1].a] == labels[found[-1].b]
                np.minimum.at(weakest, labels[found[-1].a[inside]], found[-1].log_odds[inside])
                known = weakest[labels[a]]
                open_ = (least < known) & (known > CERTAINLY_WEAK) & (len(found) <= MOST_SUSPECTS)
                advance(int((~open_).sum()))
                a, b, least, glance = a[open_], b[open_], least[open_], glance[open_]
                chosen = np.r_[True, labels[a[1:]] != labels[a[:-1]]][: len(a)]
                found.append(self.scorer.score(a[chosen], b[chosen], advance, glance[chosen]))
                a, b, least, glance = a[~chosen], b[~chosen], least[~chosen], glance[~chosen]
        self.scores = self.scores.joined(*found[1:])

    def _by_suspicion(self, grouping: Grouping) -> tuple[Indices, Indices, NDArray[np.float64], Any]:
        """Pairs of the small groups that are not scored, group by group, the most suspect first."""
        a, b = self._pairs_inside(grouping)
        glance = self.scorer.glance(a, b)
        least = self.scorer.least_log_odds(glance)
        order = np.lexsort((b, a, least, grouping.labels[a]))
        return a[order], b[order], least[order], glance[order]

    def _pairs_inside(self, grouping: Grouping) -> PairColumns:
        """Pairs of different pictures of the small groups that are not scored."""
        small = [m for m in grouping.groups() if 2 < len(m) <= MAX_ALL_PAIRS]
        corners = [(m, *np.triu_indices(len(m), 1)) for m in small]
        a, b = self._new(unique_pairs(len(self.collection), *((m[i], m[j]) for m, i, j in corners)))
        different = self.collection.differ(a, b)
        return a[different], b[different]

    def groups(self) -> Grouping:
        """Groups by the scores, containment and what people have decided."""
        a, b = self._all_edges()
        probability = self._probability()
        part, pasted = self._contained(np.flatnonzero(probability >= self.rules.threshold))
        n_same = len(a) - len(self.scores)
        return connected_components(
            len(self.collection),
            a,
            b,
            np.concatenate([probability, np.ones(n_same)]),
            self.rules.threshold,
            part=np.concatenate([part, np.full(n_same, -1)]),
            pasted=np.concatenate([pasted, np.zeros(n_same, bool)]),
        )

    def _probability(self) -> NDArray[np.float64]:
        """Of each scored pair, what it counts for groups; 0 if it was separated or left out."""
        probability = sigmoid(self.scores.log_odds)
        probability = np.where(self._is_separated(probability), 0.0, probability)
        probability[self.rows_left_out()] = 0.0
        return probability

    def _contained(self, linked: Indices) -> tuple[Indices, NDArray[np.bool_]]:
        """Which node of each scored pair is a part of the other, -1 for none, and whether it was pasted."""
        scores, explainer = self.scores, self.explainer()
        part, pasted = np.full(len(scores), -1), np.zeros(len(scores), bool)
        for k in explainer.rows_with_geometry(linked).tolist():
            verdict = explainer.verdict(k)
            pasted[k] = verdict.pasted
            if verdict.contained is not None:
                part[k] = scores.a[k] if verdict.contained == "a" else scores.b[k]
        return part, pasted

    def score_with_kin(self, description: str) -> bool:
        """Score what lies in a picture with others of that picture's group; False if nothing is new.

        A copy with a border contains the crops of its original as if they had been pasted, and joins none of
        them. Its group has others, of which the same part may be a crop.
        """
        linked = np.flatnonzero(self._probability() >= self.rules.threshold)
        _, pasted = self._contained(linked)
        return self._score_kin(np.flatnonzero(pasted), N_KIN, description)

    def score_near_misses(self, description: str) -> bool:
        """Score what is nearly linked to a picture of a group with others of it; False if nothing is new.

        What stands for a group may be its worst picture: framed, enlarged, or compressed till it hurts. Links
        that are found so are left out where less than half of what was scored between the two groups speaks
        for them: of many that are asked, one says yes by chance.
        """
        labels, probability = self.groups().labels, self._probability()
        known = self.scores
        rows = np.flatnonzero((probability >= SUPPORTED) & (probability < self.rules.threshold))
        if not self._score_kin(rows, N_ASKED_AGAIN, description):
            return False
        a, b, n = self.scores.a, self.scores.b, len(self.collection)
        probability = self._probability()
        low, high = np.minimum(labels[a], labels[b]), np.maximum(labels[a], labels[b])
        _, between, n_scored = np.unique(low * n + high, return_inverse=True, return_counts=True)
        n_support = np.bincount(between, probability >= SUPPORTED)
        is_new = ~np.isin(a * n + b, known.a * n + known.b) & (probability >= self.rules.threshold)
        for row in np.flatnonzero(is_new & (2 * n_support < n_scored)[between]).tolist():
            self.left_out[int(a[row]), int(b[row])] = float(probability[row])
        return True

    def _score_kin(self, rows: Indices, n_asked: int, description: str) -> bool:
        """Score either side of these pairs with the best of the other's group; False if nothing is new."""
        if not len(rows):
            return False
        grouping, quality = self.groups(), self.collection.quality()
        labels, a, b = grouping.labels, self.scores.a[rows], self.scores.b[rows]
        apart = labels[a] != labels[b]
        groups = {int(labels[members[0]]): members for members in grouping.groups()}
        pairs: set[Pair] = set()
        for ends in zip(a[apart].tolist(), b[apart].tolist(), strict=True):
            for end, other in (ends, ends[::-1]):
                kin = groups.get(int(labels[end]), np.array([end]))
                kin = kin[kin != end]
                best = kin[np.argsort(-quality[kin], kind="stable")[:n_asked]]
                pairs |= {_ordered((node, other)) for node in best.tolist()}
        found = np.array(sorted(pairs), np.int64).reshape(-1, 2)
        n_before = len(self.scores)
        self.score_all((found[:, 0], found[:, 1]), description)
        return len(self.scores) > n_before

    def leave_out_lone_links(self, rules: GroupRules, description: str) -> None:
        """Split groups at links that nothing else supports: one false link must not join two groups.

        A link is left out where the group would fall apart without it, into parts of two or more pictures,
        and no pair of its witnesses scores `SUPPORTED`: neither part's file to keep with the other part's or
        with the link's other end, and no neighbour of one end with the other end. Of several in one group the
        least supported goes first, for without it the others may be no links between parts any more.
        Equal pixels need no support, and what was pasted joins by rules of its own.
        """
        while True:
            grouping = self.groups()
            a, b = self._all_edges()
            lone = [split for split in bridges_of(grouping, a, b) if self._can_be_false(*split.ends)]
            linked = a[grouping.linked], b[grouping.linked]
            witnesses = [self._witnesses(split, linked, rules) for split in lone]
            pairs = np.array([pair for found in witnesses for pair in found], np.int64).reshape(-1, 2)
            n_before = len(self.scores)
            self.score_all(unique_pairs(len(self.collection), (pairs[:, 0], pairs[:, 1])), description)
            if len(self.scores) > n_before:
                continue  # some may be no lone links any more
            least: dict[int, tuple[float, float, Pair]] = {}
            for split, found in zip(lone, witnesses, strict=True):
                ends, label = _ordered(split.ends), int(grouping.labels[split.ends[0]])
                support = max(map(self._score_of, found), default=1.0)
                if support < SUPPORTED:
                    doubt = support, self._score_of(ends), ends
                    least[label] = min(doubt, least.get(label, doubt))
            if not least:
                return
            self.left_out |= {ends: score for _, score, ends in least.values()}

    def _witnesses(self, split: Split, linked: PairColumns, rules: GroupRules) -> set[Pair]:
        """Pairs that would be alike if the link were true; none where it joins the two files to keep."""
        first, second = split.ends
        kept = [kept_of(self.collection, part, rules) for part in split.parts]
        if kept == [first, second]:
            return set()
        pairs = {(kept[0], kept[1]), (kept[0], second), (first, kept[1])}
        for end, other in ((first, second), (second, first)):
            near = np.concatenate([linked[1][linked[0] == end], linked[0][linked[1] == end]])
            near = np.unique(near[near != other])[:N_SUPPORTING]
            pairs |= {(node, other) for node in near.tolist()}
        return {_ordered(pair) for pair in pairs} - {_ordered(split.ends)}

    def _can_be_false(self, first: int, second: int) -> bool:
        """Whether the link was scored, and not by equal pixels, and joins no part that was pasted."""
        row = self._row_of(_ordered((first, second)))
        if row is None or self.scores.log_odds[row] > CERTAIN:
            return False
        return not self.explainer().verdict(row).pasted

    def _row_of(self, pair: Pair) -> int | None:
        first, last = np.searchsorted(self.scores.a, [pair[0], pair[0] + 1])
        row = int(first + np.searchsorted(self.scores.b[first:last], pair[1]))
        return row if row < last and self.scores.b[row] == pair[1] else None

    def _score_of(self, pair: Pair) -> float:
        """The score of a pair; 0 where it is not allowed or was not scored."""
        row = self._row_of(pair)
        return 0.0 if row is None else float(sigmoid(self.scores.log_odds[row]))

    def _all_edges(self) -> PairColumns:
        """Sides of what `groups` groups, in its order."""
        a, b = self.collection.same_content()
        return np.concatenate([self.scores.a, a]), np.concatenate([self.scores.b, b])

    def rows_left_out(self) -> list[int]:
        """Rows of `scores` of the links in `left_out`."""
        rows = [self._row_of(pair) for pair in self.left_out]
        return [row for row in rows if row is not None]

    def _is_separated(self, probability: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Pairs that somebody said are no duplicates."""
        separated = np.zeros(len(probability), bool)
        decisions, digests = self.rules.decisions, self.collection.digests
        if decisions.answers:
            for k in np.flatnonzero(probability >= self.rules.threshold).tolist():
                a, b = digests[int(self.scores.a[k])], digests[int(self.scores.b[k])]
                separated[k] = decisions.answer(a, b) == "not-a-duplicate"
        return separated

    def confirm_pixels(self, rows: Indices) -> list[int]:
        """Which of the rows are of equal pixels: see `Explainer.confirm_pixels`.

        Their scores are what they would be if the cache had known it from an earlier run.
        """
        explainer = self.explainer()
        explainer.confirm_pixels(rows)
        equal = explainer.rows_of_equal_pixels(rows)
        self.scores = self.scores.with_equal_pixels(equal, self.plan.model)
        return equal

    def explainer(self) -> Explainer:
        """What turns rows of `scores` into explained pairs."""
        return Explainer(
            self.collection,
            self.scores,
            self.plan.model,
            verdicts=self._verdicts,
            n_workers=self._n_workers,
            copies=self.plan.copies,
        )


def _ordered(pair: Pair) -> Pair:
    return min(pair), max(pair)


def score_candidates(linker: Linker, joins: Joins = LOCAL_JOINS, clock: Clock | None = None) -> None:
    """Score all that may be links: by hashes first, then by the words of one or two of each group."""
    clock = clock or Clock()
    with linker.progress.task("Looking up pictures", None):
        found = whole_candidates(linker, joins)
    linker.score(found, "Comparing pictures")
    clock.mark("hash candidates")
    if linker.scorer.local is not None:
        with linker.progress.task("Looking up parts", None):
            found = part_candidates(linker, linker.groups(), joins)
        linker.score(found, "Comparing parts")
    clock.mark("word candidates")


def whole_candidates(linker: Linker, joins: Joins = LOCAL_JOINS) -> PairColumns:
    """Pairs that whole pictures find: equal pixels, hashes within a radius, neighbours, and near vectors."""
    collection, plan = linker.collection, linker.plan
    wanted = ~collection.is_reference
    hashed = hash_candidates(
        plan.features, collection.packed, collection.side, joins, wanted, with_negatives=plan.tells_negatives
    )
    neighbours = track_candidates(plan.features, collection.packed)
    hashed = unique_pairs(len(collection), hashed, collection.same_pixels(), neighbours)
    if not plan.nearness:
        return hashed
    near = vector_candidates(collection.packed, plan.nearness, plan.least_nearness)
    return unique_pairs(len(collection), hashed, near)


def part_candidates(linker: Linker, grouping: Grouping, joins: Joins = LOCAL_JOINS) -> PairColumns:
    """Pairs between groups that share local words: crops, and what was pasted; none without such a signal."""
    collection, local = linker.collection, linker.scorer.local
    if local is None:
        return unique_pairs(len(collection))
    rule = WordRule(min_votes=linker.plan.min_word_votes)
    packed, quality = linker.scorer.descriptors, collection.n_pixels
    is_wanted = ~collection.is_reference
    found = word_candidates(local, packed, grouping.labels, quality, collection.side, rule, joins, is_wanted)
    return unique_pairs(len(collection), found)


def pairs_with_kept(collection: Collection, grouping: Grouping, rules: GroupRules) -> PairColumns:
    """Every member with the picture of its group that is to be kept."""
    parts = []
    for members in grouping.groups():
        kept = kept_of(collection, members, rules)
        others = members[members != kept]
        parts.append((np.full(len(others), kept), others))
    a, b = unique_pairs(len(collection), *parts)
    different = collection.differ(a, b)
    return a[different], b[different]


def kept_of(collection: Collection, members: Indices, rules: GroupRules) -> int:
    """Of pictures that are the same, the one that is to be kept."""
    nodes = [collection.nodes[node] for node in members.tolist()]
    references = {r.path for node in nodes if node.is_reference for r in node.records}
    records = [node.first for node in nodes]
    return int(members[rules.keep.choose(records, lambda record: record.path in references)[0]])


def link(linker: Linker, joins: Joins = LOCAL_JOINS) -> Grouping:
    """Score all that `dedupe` does, and group."""
    score_candidates(linker, joins)
    check_groups(linker, linker.rules)
    return linker.groups()


def check_groups(linker: Linker, rules: GroupRules) -> None:
    """Score each member with the file to keep, split groups at lone links, and look for weak pairs."""
    told = "Checking groups"

    def score_with_kept() -> None:
        linker.score_all(pairs_with_kept(linker.collection, linker.groups(), rules), told)

    def check_links() -> None:
        score_with_kept()
        linker.leave_out_lone_links(rules, told)

    check_links()
    if linker.score_near_misses(told):
        check_links()
    while linker.score_with_kin(told) or linker.score_fallen_apart(told):
        check_links()
    if linker.left_out:
        score_with_kept()
    linker.score_weakest(linker.groups(), told)
