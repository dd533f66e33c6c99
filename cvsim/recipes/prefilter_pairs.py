"""Which pairs of a collection may be worth a heavier system's time, and up to which cutoff each is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cvsim.arrays import sigmoid
from cvsim.candidates.blocking import LOCAL_JOINS, Joins, unique_pairs
from cvsim.groups.components import Grouping, connected_components
from cvsim.groups.evaluation import RECALL_CUTOFFS
from cvsim.reading.collection import pack_descriptors
from cvsim.recipes.linking import MAX_ALL_PAIRS, score_candidates
from cvsim.scoring.scorer import Scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.reading.collection import Collection
    from cvsim.recipes.linking import Linker
    from cvsim.types import Indices

N_NEIGHBOURS = 2
"""Of each group: those in whole-picture signals, compared whatever else speaks for them."""
NEIGHBOUR_SIGNALS = ("phash", "color")
MAX_COMPARED = 5000
MAX_BLANK_SHARE = 0.0005
"""Of all pairs: as many of blank pictures are taken at most. Blank ones can be told apart by no signal."""
MIN_BLANK_PAIRS = 500


@dataclass(frozen=True, eq=False)
class LeveledPairs:
    """Pairs of nodes, each kept at any cutoff up to its `level`.

    That is its score, or more: all pairs of a group are kept whatever they score themselves (a crop of a
    turned copy may match the original and not the copy), those of a picture with a whole group as long as one
    of them is, and those of blank pictures, of which nothing can be said.

    Attributes
    ----------
    a, b : (n,) int64
    level : (n,) float64
    """

    a: Indices
    b: Indices
    level: NDArray[np.float64]

    def n_from(self, cutoff: float) -> int:
        """Count the pairs that a cutoff keeps."""
        return int((self.level >= cutoff).sum())


def leveled_pairs(
    linker: Linker,
    blank: tuple[Indices, Indices] | None,
    joins: Joins = LOCAL_JOINS,
    others: Sequence[str] = (),
) -> LeveledPairs:
    """Candidates of a run, with what nearest neighbours, chains of links and blank pictures add.

    Parameters
    ----------
    linker : Linker
        Gets the scores.
    blank : pair of (n,) int64, or None
    joins : Joins
    others : sequence of str
        Digests of pictures in the run's store that are no part of it, and as likely to be neighbours.
    """
    n = len(linker.collection)
    score_candidates(linker, joins)
    labels = _grouping(linker).labels
    nearest = _allowed(linker.collection, *_neighbours(linker, labels, others))
    linker.score_all(unique_pairs(n, nearest), "Comparing neighbours")
    scores, grouping = linker.scores, _grouping(linker)
    blank = blank or (scores.a[:0], scores.b[:0])
    more = _allowed(linker.collection, *_group_pairs(grouping, scores))
    a, b = unique_pairs(n, (scores.a, scores.b), more, blank)
    level = _group_levels(grouping, scores, a, b)
    known = np.searchsorted(a * n + b, scores.a * n + scores.b)
    level[known] = np.maximum(level[known], sigmoid(scores.log_odds))
    level[np.searchsorted(a * n + b, blank[0] * n + blank[1])] = 1.0
    return LeveledPairs(a, b, level)


def ranked_pairs(linker: Linker, candidates: LeveledPairs, cutoff: float) -> RankedPairs:
    """The candidates of a cutoff with their scores, best first."""
    kept = candidates.level >= cutoff
    a, b = candidates.a[kept], candidates.b[kept]
    n = len(linker.collection)
    linker.score_all(unique_pairs(n, (a, b)), "Comparing chains")
    scores = linker.scores
    wanted = np.isin(scores.a * n + scores.b, a * n + b)
    a, b, score = scores.a[wanted], scores.b[wanted], sigmoid(scores.log_odds[wanted])
    order = np.lexsort((b, a, -score))
    return RankedPairs(a[order], b[order], score[order])


def linked_pairs(linker: Linker, cutoff: float, joins: Joins = LOCAL_JOINS) -> RankedPairs:
    """The pairs of a trained profile from a cutoff on, best first."""
    score_candidates(linker, joins)
    scores = linker.scores
    score = sigmoid(scores.log_odds)
    kept = np.flatnonzero(score >= cutoff)
    order = kept[np.lexsort((scores.b[kept], scores.a[kept], -score[kept]))]
    return RankedPairs(scores.a[order], scores.b[order], score[order])


class RankedPairs(NamedTuple):
    """Scored pairs of nodes, best first."""

    a: Indices
    b: Indices
    score: NDArray[np.float64]

    def rows(self) -> Iterator[tuple[int, int, float]]:
        """Yield each pair with its score."""
        for i, j, score in zip(self.a, self.b, self.score, strict=True):
            yield int(i), int(j), round(float(score), 6)


def _grouping(linker: Linker) -> Grouping:
    scores = linker.scores
    probability = sigmoid(scores.log_odds)
    return connected_components(
        len(linker.collection), scores.a, scores.b, probability, linker.plan.threshold
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
    may_be_kept = (sigmoid(scores.log_odds) >= RECALL_CUTOFFS[-1]) & (labels[scores.a] != labels[scores.b])
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


def _neighbours(linker: Linker, labels: Indices, others: Sequence[str]) -> tuple[Indices, Indices]:
    """The best picture of each group, with those of other groups that are nearest by whole-picture signals.

    No hash and no word need be shared: what is left of a low-contrast picture under a caption may still
    be nearer to the original than anything else. Up to `MAX_COMPARED` groups: each is compared with each.
    """
    none = np.zeros(0, np.int64)
    order = np.lexsort((np.arange(len(labels)), -linker.collection.n_pixels, labels))
    rows = order[np.unique(labels[order], return_index=True)[1]]
    digests = [*(linker.collection.digests[int(row)] for row in rows), *others]
    if len(rows) < 2 or len(digests) > MAX_COMPARED:
        return none, none
    features = [feature for feature in linker.plan.features if feature.name in NEIGHBOUR_SIGNALS]
    packed, _ = pack_descriptors(features, digests, linker.collection.store)
    every = np.arange(len(digests))
    a, b = [none], [none]
    for i in range(len(rows)):
        found: dict[str, Any] = {}
        for feature in features:
            found |= feature.compare_many(packed[feature.name], np.full(len(every), i), every)
        nearness = linker.plan.model.log_odds(found) + np.zeros(len(every))
        nearness[i] = -np.inf
        nearest = np.argsort(-nearness, kind="stable")[:N_NEIGHBOURS]
        nearest = nearest[nearest < len(rows)]
        a.append(np.full(len(nearest), rows[i]))
        b.append(rows[nearest])
    return np.concatenate(a), np.concatenate(b)


def blank_pairs(collection: Collection, most: float | None = None) -> tuple[Indices, Indices] | None:
    """Pairs of pictures that hold no evidence for any hash; None where there are too many of them.

    That a signal says nothing about a pair does not make it different, so somebody else has to look.
    """
    n = len(collection)
    searched = [feature for feature in collection.features if feature.search == "hamming"]
    has_keys = np.full(n, not searched)
    for feature in searched:
        keys = feature.hash_keys(collection.packed[feature.name])
        if keys is not None:
            has_keys[keys.owner] = True
    blank = np.flatnonzero(~has_keys)
    most = max(MIN_BLANK_PAIRS, MAX_BLANK_SHARE * n * (n - 1) / 2) if most is None else most
    if len(blank) * (len(blank) - 1) / 2 > most:
        return None
    i, j = np.triu_indices(len(blank), 1)
    return _allowed(collection, blank[i], blank[j])


def _allowed(collection: Collection, a: Indices, b: Indices) -> tuple[Indices, Indices]:
    keep = collection.is_allowed(a, b) & collection.differ(a, b)
    return a[keep], b[keep]
