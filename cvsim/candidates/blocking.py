"""Which pairs of a collection are worth a score: all candidates of all features, each pair once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cvsim.candidates.hamming import HammingJoin, join_variants_with, join_variants_within
from cvsim.candidates.nearest import pairs_with_product
from cvsim.candidates.tracks import pairs_on_tracks
from cvsim.candidates.words import WordRule, pairs_by_words, pairs_by_words_with

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.features.base import Feature, Keypoints
    from cvsim.types import Indices

MAX_EXPANDED = 12
"""Up to how many pictures with one hash are all paired with each other; of more, each is paired with the
first. Chosen by hand: 12 pictures are 66 pairs."""
N_REPRESENTATIVES = 2
"""How many members of a group of whole copies are looked up by their words, for them all. Chosen by hand."""


class Joins(Protocol):
    """How a collection is joined with itself. Where that happens changes the time, never the pairs."""

    def by_hashes(
        self, stored: NDArray[np.uint64], variants: NDArray[np.uint64], radius_bits: int
    ) -> HammingJoin:
        """See `cvsim.candidates.hamming.join_variants_within`."""
        ...

    def by_words(self, keypoints: Keypoints, rule: WordRule) -> tuple[Indices, Indices, Indices]:
        """See `cvsim.candidates.words.pairs_by_words`."""
        ...


class EachDescriptor(Protocol):
    """Gives descriptors when they are needed."""

    def each(self, rows: Indices) -> Iterator[Any]:
        """Give the descriptors of some pictures, one after the other."""
        ...


class LocalJoins:
    """All in this process."""

    def by_hashes(
        self, stored: NDArray[np.uint64], variants: NDArray[np.uint64], radius_bits: int
    ) -> HammingJoin:
        """Pair hashes that are near; see `Joins.by_hashes`."""
        return join_variants_within(stored, variants, radius_bits)

    def by_words(self, keypoints: Keypoints, rule: WordRule) -> tuple[Indices, Indices, Indices]:
        """Find the pairs of pictures that share words; see `Joins.by_words`."""
        return pairs_by_words(keypoints, rule)


LOCAL_JOINS = LocalJoins()


def unique_pairs(n: int, *parts: tuple[Indices, Indices]) -> tuple[Indices, Indices]:
    """All pairs of the parts, ``a < b``, each once, in lexicographic order; no picture with itself."""
    a = np.concatenate([p[0] for p in parts]) if parts else np.zeros(0, np.int64)
    b = np.concatenate([p[1] for p in parts]) if parts else np.zeros(0, np.int64)
    low, high = np.minimum(a, b), np.maximum(a, b)
    codes = np.unique(low[low != high] * np.int64(n) + high[low != high])
    return codes // max(n, 1), codes % max(n, 1)


def without_pairs(
    n: int, pairs: tuple[Indices, Indices], known: tuple[Indices, Indices]
) -> tuple[Indices, Indices]:
    """The pairs that are not among the known ones; both as `unique_pairs` makes them."""
    codes, other = pairs[0] * np.int64(n) + pairs[1], known[0] * np.int64(n) + known[1]
    new = ~np.isin(codes, other)
    return pairs[0][new], pairs[1][new]


def first_of_each(
    a: Indices, b: Indices, value_for_a: NDArray[np.float64], value_for_b: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """(n_pairs,) True for the pairs that are worth most to one of their sides; of equals, the first."""
    chosen = np.zeros(len(a), bool)
    rows = np.arange(len(a))
    node, row = np.concatenate([a, b]), np.concatenate([rows, rows])
    order = np.lexsort((row, -np.concatenate([value_for_a, value_for_b]), node))
    ordered = node[order]
    is_first = np.r_[True, ordered[1:] != ordered[:-1]]
    chosen[row[order[is_first[: len(order)]]]] = True
    return chosen


def hash_candidates(
    features: Sequence[Feature[Any]],
    packed: Mapping[str, Any],
    side: Indices,
    joins: Joins = LOCAL_JOINS,
    is_wanted: NDArray[np.bool_] | None = None,
    *,
    with_negatives: bool = False,
) -> tuple[Indices, Indices]:
    """Pairs of pictures within the radius of each other, by any feature that is searched by hashes.

    Of each pair one is wanted, if `is_wanted`, (n,) bool, says which are. `with_negatives` also finds what
    is another picture's negative.
    """
    wanted = None if is_wanted is None or is_wanted.all() else is_wanted
    parts = []
    for feature in features:
        keys = feature.hash_keys(packed[feature.name]) if feature.search == "hamming" else None
        if keys is not None and len(keys.owner):
            found = keys.stored, keys.looked_for(with_negatives=with_negatives)
            if wanted is None:
                join = joins.by_hashes(*found, feature.radius_bits)
            else:
                join = join_variants_with(*found, wanted[keys.owner], feature.radius_bits)
            a, b = _expanded(join, side[keys.owner])
            parts.append((keys.owner[a], keys.owner[b]))
    a, b = unique_pairs(len(side), *parts)
    if wanted is None:
        return a, b
    one_is = wanted[a] | wanted[b]
    return a[one_is], b[one_is]


def track_candidates(features: Sequence[Feature[Any]], packed: Mapping[str, Any]) -> tuple[Indices, Indices]:
    """Pairs of neighbours, by any feature that is searched by tracks."""
    parts = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
    for feature in features:
        keys = feature.track_keys(packed[feature.name]) if feature.search == "track" else None
        if keys is not None:
            a, b = pairs_on_tracks(keys.track, keys.position, keys.reach)
            parts.append((keys.owner[a], keys.owner[b]))
    return np.concatenate([a for a, _ in parts]), np.concatenate([b for _, b in parts])


def _expanded(join: HammingJoin, side: Indices) -> tuple[Indices, Indices]:
    """Pairs of items, those of one hash included: all of a few, stars of many.

    A hash that two pictures share may still belong to two photographs, so a few are all worth a look; that
    of thousands would be quadratic, and the first item of each side speaks for them.
    """
    n_sides = int(side.max(initial=0)) + 1
    is_few = join.sizes <= MAX_EXPANDED
    speaks = is_few[join.inverse]
    speaks[np.unique(join.inverse * n_sides + side, return_index=True)[1]] = True
    speakers = np.flatnonzero(speaks)
    order = speakers[np.argsort(join.inverse[speakers], kind="stable")]
    group = join.inverse[order]
    starts = np.searchsorted(group, np.arange(len(join.sizes)))
    counts = np.minimum(np.bincount(group, minlength=len(join.sizes)), MAX_EXPANDED)
    pairs = _between(join, order, starts, counts)
    crowd = np.flatnonzero(~is_few[join.inverse])
    for k in range(MAX_EXPANDED):
        kth = np.flatnonzero(counts > k)
        pairs += [(order[starts[kth] + before], order[starts[kth] + k]) for before in range(k)]
        led = crowd[counts[join.inverse[crowd]] > k]
        pairs.append((order[starts[join.inverse[led]] + k], led))
    return np.concatenate([p[0] for p in pairs]), np.concatenate([p[1] for p in pairs])


def _between(
    join: HammingJoin, order: Indices, starts: Indices, sizes: Indices
) -> list[tuple[Indices, Indices]]:
    """Pairs of the speakers of two near hashes."""
    left, right = join.inverse[join.a], join.inverse[join.b]
    pairs = []
    for i in range(MAX_EXPANDED):
        for j in range(MAX_EXPANDED):
            both = np.flatnonzero((sizes[left] > i) & (sizes[right] > j))
            if not len(both):
                break
            pairs.append((order[starts[left[both]] + i], order[starts[right[both]] + j]))
    return pairs


def vector_candidates(
    packed: Mapping[str, Any], weights: Mapping[str, float], least: float
) -> tuple[Indices, Indices]:
    """Pairs of pictures whose weighted sum of cosines is at least `least`.

    Parameters
    ----------
    packed : mapping of str to (n, n_dims) float32
        By signal; rows of norm 1, or of NaN where there is no evidence, which adds nothing.
    weights : mapping of str to float
        By signal, none below 0.
    least : float
    """
    blocks = [np.nan_to_num(packed[name]) * np.float32(np.sqrt(weight)) for name, weight in weights.items()]
    # Rounding must not lose a pair that lies on the threshold.
    return pairs_with_product(np.hstack(blocks), least - 1e-4 * sum(weights.values()))


def word_candidates(
    feature: Feature[Any],
    descriptors: EachDescriptor,
    labels: Indices,
    quality: Indices,
    side: Indices,
    rule: WordRule,
    joins: Joins = LOCAL_JOINS,
    is_wanted: NDArray[np.bool_] | None = None,
) -> tuple[Indices, Indices]:
    """Pairs of pictures that share local words, looked up for the best of each group of whole copies.

    Parameters
    ----------
    labels : (n,) int64
        Groups found so far: their members show the same whole picture.
    quality : (n,) int64
        The best members of a group stand for it; ties go to the first.
    side : (n,) int64
        Each side of a group is stood for by members of its own.
    is_wanted : (n,) bool, optional
        Only pairs with one of these pictures.
    """
    cell = labels * (int(side.max(initial=0)) + 1) + side
    order = np.lexsort((np.arange(len(cell)), -quality, cell))
    ordered = cell[order]
    rank = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    rows = np.sort(order[rank < N_REPRESENTATIVES])
    keypoints = feature.word_keys(descriptors.each(rows), rows)
    if keypoints is None:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    n = len(labels)
    both = _with_mirrored(keypoints, n)
    if is_wanted is None or is_wanted.all():
        a, b, _ = joins.by_words(both, rule)
    else:
        a, b, _ = pairs_by_words_with(both, is_wanted[both.owner % n], rule)
    # A mirror image counts as a picture of its own, n further on; two of them are not compared.
    b %= n
    other = labels[a] != labels[b]
    return a[other], b[other]


def _with_mirrored(keypoints: Keypoints, n: int) -> Keypoints:
    """The keypoints of the pictures, then those of their mirror images, whose owners are counted from `n`."""
    if keypoints.n_upright is None:
        return keypoints
    owner = keypoints.owner.copy()
    owner[keypoints.n_upright :] += n
    return replace(keypoints, owner=owner)
