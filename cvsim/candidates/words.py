"""Candidate pairs from local features: an inverted index of words, and a vote on what they agree about.

A word is a run of descriptor bits. Two keypoints that share a word, and whose whole descriptors are near,
propose that their pictures are related by some turn and some scale; a pair of pictures is a candidate
when enough keypoints propose about the same. No step is quadratic in the number of pictures: words that
occur too often say nothing and are dropped.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cvsim.arrays import ragged_range
from cvsim.features.base import SCALE_FACTOR
from cvsim.settings import available_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from cvsim.features.base import Keypoints
    from cvsim.types import Indices

N_ANGLES = 12
"""Bins of 30 degrees for the turn between two keypoints, as in Lowe, "Distinctive image features from
scale-invariant keypoints" (2004), section 7.3."""
LEVELS_A_BIN = 2
N_SCALES = 16
"""There are more of these than levels in any pyramid."""
LANDING_PX = 100.0
"""The width of the bins for where one picture's centre lands in the other; a keypoint's angle and level are
rough. Chosen by hand, not tuned."""
PART_ROWS = 1 << 19
"""Keypoints that are searched at once."""
WANTED_ROWS = 1 << 15
"""Keypoints that are compared at once with those that are looked for: few enough for a core's own cache."""
BALLOT_ROWS = 1 << 15
"""Keypoints whose votes are counted at once."""


@dataclass(frozen=True, slots=True)
class WordRule:
    """How words are cut and how many votes make a candidate.

    Attributes
    ----------
    n_tables : int
        Words of a descriptor; each is an index of its own.
    word_bits : int
        Bits of a word; ``n_tables * word_bits`` is at most 256.
    max_occurrences : int
        A word that more keypoints share is dropped.
    max_distance_bits : int
        Distance up to which two descriptors that share a word are a match.
    min_votes : int
        Agreeing keypoints that make a candidate.
    """

    n_tables: int = 8
    word_bits: int = 20
    max_occurrences: int = 48
    max_distance_bits: int = 48
    min_votes: int = 4


def word_keys(bits: NDArray[np.uint64], table: int, word_bits: int) -> NDArray[np.uint32]:
    """Word number `table` of each descriptor, (n, 4) uint64 to (n,) uint32."""
    first = table * word_bits
    word, shift = divmod(first, 64)
    value = bits[:, word] >> np.uint64(shift)
    if shift + word_bits > 64:
        value = value | (bits[:, word + 1] << np.uint64(64 - shift))
    return (value & np.uint64((1 << word_bits) - 1)).astype(np.uint32)


def pairs_by_words(keypoints: Keypoints, rule: WordRule = WordRule()) -> tuple[Indices, Indices, Indices]:
    """Pairs of pictures that share enough agreeing words.

    A mirror image, by `Keypoints.n_upright`, is a picture of its own; two of them are not compared, for what
    they share, the pictures share.

    Returns
    -------
    a, b : (n_pairs,) int64
        ``a < b``, in lexicographic order.
    votes : (n_pairs,) int64
        The most keypoints of each pair that agree about one turn and one scale.
    """

    def matched(table: int) -> Iterator[WordMatches]:
        parts = _table_parts(keypoints, rule, table, PART_ROWS)
        return (part.matches(rule.max_distance_bits) for part in parts)

    return _pairs_of_tables(keypoints, matched, rule)


def _pairs_of_tables(
    keypoints: Keypoints, matched: Callable[[int], Iterable[WordMatches]], rule: WordRule
) -> tuple[Indices, Indices, Indices]:
    """What `pairs_by_words` returns, from the matches in each table: these are found on all cores."""

    def codes(table: int) -> list[Indices]:
        return [matches.to_codes(len(keypoints.owner)) for matches in matched(table)]

    with ThreadPoolExecutor(min(rule.n_tables, available_cores())) as threads:
        found = itertools.chain.from_iterable(threads.map(codes, range(rule.n_tables)))
        return pairs_of_matches(keypoints, found, rule)


@dataclass(frozen=True, eq=False)
class WordPart:
    """A part of the whole search, which depends on nothing else.

    Its keypoints are ordered so that those with equal words follow each other, and of these the upright ones
    come first.

    Attributes
    ----------
    rows : (n,) int64
        Positions in the collection's keypoints.
    lengths : (n_runs,) int64
        Keypoints of each word, in order; together `n`.
    n_upright : (n_runs,) int64
        How many of these are of pictures as they are: two mirror images are not compared.
    owner : (n,) int64
    bits : (n, 4) uint64
    """

    rows: Indices
    lengths: Indices
    n_upright: Indices
    owner: Indices
    bits: NDArray[np.uint64]

    def matches(self, max_distance_bits: int) -> WordMatches:
        """Keypoints of two pictures with one word and near descriptors."""
        found = []
        for i, j in _within_runs(self.lengths, self.n_upright):
            near = _near_ones(self.bits, i, self.bits, j, max_distance_bits)
            i, j = i[near], j[near]
            different = self.owner[i] != self.owner[j]
            found.append((i[different], j[different]))
        none = np.zeros(0, np.int64)
        i = np.concatenate([none, *(i for i, _ in found)])
        j = np.concatenate([none, *(j for _, j in found)])
        return WordMatches(self.rows[i], self.rows[j])


class WordMatches(NamedTuple):
    """Pairs of keypoints, by position: two (n,) int64."""

    i: Indices
    j: Indices

    def to_codes(self, n: int) -> Indices:
        """``low * n + high``, (n_matches,) int64."""
        return np.minimum(self.i, self.j) * np.int64(n) + np.maximum(self.i, self.j)


def word_parts(keypoints: Keypoints, rule: WordRule, max_rows: int = PART_ROWS) -> Iterator[WordPart]:
    """The search for equal words, cut by their values into parts of about `max_rows` keypoints at most."""
    for table in range(rule.n_tables):
        yield from _table_parts(keypoints, rule, table, max_rows)


def _table_parts(keypoints: Keypoints, rule: WordRule, table: int, max_rows: int) -> Iterator[WordPart]:
    n_parts = 1
    while len(keypoints.owner) > max_rows * n_parts:
        n_parts *= 2
    ordered, order = _in_order(word_keys(keypoints.bits, table, rule.word_bits))
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]][: len(ordered)])
    lengths = np.diff(np.r_[starts, len(ordered)])
    n_upright = _n_upright(keypoints, order, starts)
    usable = (lengths > 1) & (lengths <= rule.max_occurrences) & (n_upright > 0)
    starts, lengths, n_upright = starts[usable], lengths[usable], n_upright[usable]
    part_of = ordered[starts] * n_parts >> rule.word_bits
    ends = np.searchsorted(part_of, np.arange(n_parts + 1))
    for first, end in itertools.pairwise(ends.tolist()):
        if first < end:
            _, offset = ragged_range(lengths[first:end])
            rows = order[np.repeat(starts[first:end], lengths[first:end]) + offset]
            runs = slice(first, end)
            yield WordPart(rows, lengths[runs], n_upright[runs], keypoints.owner[rows], keypoints.bits[rows])


def _n_upright(keypoints: Keypoints, order: Indices, starts: Indices) -> Indices:
    """Of the runs of `order` that begin at `starts`, how many keypoints are of pictures as they are."""
    is_upright = (order < _first_mirrored(keypoints)).astype(np.int64)
    return np.add.reduceat(is_upright, starts) if len(starts) else starts


def _first_mirrored(keypoints: Keypoints) -> int:
    return len(keypoints.owner) if keypoints.n_upright is None else keypoints.n_upright


def _in_order(keys: NDArray[np.uint32]) -> tuple[Indices, Indices]:
    """The keys in order, and the position of each; of equal ones, as they came.

    Numbers of 64 bits are sorted several times as fast as positions by a key.
    """
    n_bits = max(1, len(keys)).bit_length()
    both = (keys.astype(np.int64) << n_bits) | np.arange(len(keys))
    both.sort()
    return both >> n_bits, both & ((1 << n_bits) - 1)


def pairs_by_words_with(
    keypoints: Keypoints, is_wanted: NDArray[np.bool_], rule: WordRule = WordRule()
) -> tuple[Indices, Indices, Indices]:
    """Those of `pairs_by_words` of which one picture is wanted: a few new ones among many.

    Only the wanted keypoints are put in order, and only matches with one of them are looked at.

    Parameters
    ----------
    keypoints : Keypoints
    is_wanted : (n_keypoints,) bool
        All keypoints of a picture, or none.
    rule : WordRule
    """
    wanted = np.flatnonzero(is_wanted)
    return _pairs_of_tables(keypoints, lambda table: _matches_with(keypoints, wanted, table, rule), rule)


def _matches_with(keypoints: Keypoints, wanted: Indices, table: int, rule: WordRule) -> Iterator[WordMatches]:
    """Matches of the wanted keypoints in one table, in parts."""
    bits, owner, n_upright = keypoints.bits, keypoints.owner, _first_mirrored(keypoints)
    keys = _all_word_keys(bits, table, rule.word_bits)
    n_words = 1 << rule.word_bits
    is_asked = np.zeros(n_words, bool)  # small enough for a core's own cache
    is_asked[keys[wanted]] = True
    is_asked &= np.bincount(keys, minlength=n_words) <= rule.max_occurrences
    looked_for = wanted[is_asked[keys[wanted]]]
    # The upright ones of a word come first: a mirror image is compared with no others.
    looked_for = looked_for[np.argsort(keys[looked_for], kind="stable")]
    number = np.cumsum(is_asked, dtype=np.int32) - 1
    row = np.flatnonzero(is_asked[keys])
    its_word, word = number[keys[looked_for]], number[keys[row]]
    n_wanted = np.bincount(its_word)
    n_for_mirrored = np.bincount(its_word[looked_for < n_upright], minlength=len(n_wanted))
    starts = np.cumsum(n_wanted) - n_wanted
    n_rows_upright = int(np.searchsorted(row, n_upright))
    n_others = np.concatenate([n_wanted[word[:n_rows_upright]], n_for_mirrored[word[n_rows_upright:]]])
    bits_looked_for = np.asfortranarray(bits[looked_for])  # gathered column by column
    for first in range(0, len(row), WANTED_ROWS):
        some = slice(first, first + WANTED_ROWS)
        k, offset = ragged_range(n_others[some])
        at = offset + starts[word[some]].take(k)
        bits_here = np.asfortranarray(bits[row[some]])
        near = _near_ones(bits_here, k, bits_looked_for, at, rule.max_distance_bits)
        i, j = row[some].take(k[near]), looked_for[at[near]]
        different = owner[i] != owner[j]
        yield WordMatches(i[different], j[different])


def _all_word_keys(bits: NDArray[np.uint64], table: int, word_bits: int) -> NDArray[np.uint32]:
    """`word_keys`, of so many at a time that what is in between stays in a core's own cache."""
    keys = np.empty(len(bits), np.uint32)
    for first in range(0, len(bits), WANTED_ROWS):
        some = slice(first, first + WANTED_ROWS)
        keys[some] = word_keys(bits[some], table, word_bits)
    return keys


def _near_ones(
    first: NDArray[np.uint64], i: Indices, second: NDArray[np.uint64], j: Indices, max_distance_bits: int
) -> Indices:
    """Which pairs of rows of the descriptors `first` and `second` are near, ascending."""
    half = first.shape[1] // 2
    # Most words lie in the first half, and are the same: the other one tells more.
    distance = _distance(first[:, half:], i, second[:, half:], j)
    left = np.flatnonzero(distance <= max_distance_bits)
    rest = _distance(first[:, :half], i[left], second[:, :half], j[left])
    found: Indices = left[distance[left] + rest <= max_distance_bits]
    return found


def _distance(
    first: NDArray[np.uint64], i: Indices, second: NDArray[np.uint64], j: Indices
) -> NDArray[np.uint8]:
    """Bits in which rows of half of the descriptors differ, for each pair."""
    distance = np.zeros(len(i), np.uint8)
    for column, other in zip(first.T, second.T, strict=True):
        distance += np.bitwise_count(column.take(i) ^ other.take(j))
    return distance


def pairs_of_matches(
    keypoints: Keypoints, codes: Iterable[Indices], rule: WordRule
) -> tuple[Indices, Indices, Indices]:
    """What `pairs_by_words` returns, from the matches of all its parts (see `WordMatches.to_codes`)."""
    none = np.zeros(0, np.int64)
    found = [(none, none, none)]
    found += (_vote(keypoints, i, j, rule.min_votes) for i, j in _by_pictures(keypoints.owner, codes))
    a, b, votes = (np.concatenate(columns) for columns in zip(*found, strict=True))
    return a, b, votes


def _by_pictures(owner: Indices, codes: Iterable[Indices]) -> Iterator[tuple[Indices, Indices]]:
    """The matches, each once and in order, in parts: all of a picture with those after it are in one."""
    n = len(owner)
    limits = np.unique(np.searchsorted(owner, owner[BALLOT_ROWS::BALLOT_ROWS])) * np.int64(n)
    parts = [_Distinct() for _ in range(len(limits) + 1)]
    for some in map(np.sort, codes):
        for part, new in zip(parts, np.split(some, np.searchsorted(some, limits)), strict=True):
            part.add(new)
    for part in parts:
        if len(matches := part.values()):
            yield np.divmod(matches, n)


class _Distinct:
    """Collects numbers of which many come again; holds not much more than each of them once."""

    def __init__(self) -> None:
        self._known = np.zeros(0, np.int64)
        self._new: list[Indices] = []
        self._n_new = 0

    def add(self, numbers: Indices) -> None:
        if len(numbers):
            self._new.append(numbers.copy())
            self._n_new += len(numbers)
        if self._n_new > len(self._known):
            self._settle()

    def values(self) -> Indices:
        """Each number once, ascending."""
        self._settle()
        return self._known

    def _settle(self) -> None:
        if self._new:
            numbers = np.concatenate([self._known, *self._new])
            numbers.sort()  # np.unique takes several times as long
            self._known = numbers[np.r_[True, numbers[1:] != numbers[:-1]]]
            self._new, self._n_new = [], 0


def _within_runs(lengths: Indices, n_first: Indices) -> Iterator[tuple[Indices, Indices]]:
    """All pairs of positions of each run with one of its first `n_first`; runs lie one after the other."""
    starts = np.cumsum(lengths) - lengths
    # One step d pairs the k-th of each run with the (k + d)-th: as many steps as the longest run is long.
    for step in range(1, int(lengths.max(initial=1))):
        counts = np.minimum(lengths - step, n_first)
        runs = np.flatnonzero(counts > 0)
        row, within = ragged_range(counts[runs])
        first = starts[runs][row] + within
        yield first, first + step


def _vote(keypoints: Keypoints, i: Indices, j: Indices, min_votes: int) -> tuple[Indices, Indices, Indices]:
    """Pairs of pictures of which enough matches agree; `i < j`, so the picture of `i` comes first.

    First by turn and scale, which is cheap and leaves few; these also by where the centre of one
    picture lands in the other.
    """
    turn = (keypoints.angle[j].astype(np.int64) - keypoints.angle[i]) % 256
    half_bin = turn * (2 * N_ANGLES) // 256
    step = keypoints.level[j].astype(np.int64) - keypoints.level[i]
    n_pictures = int(keypoints.owner[-1]) + 1  # the last one is of the last picture
    # Pairs are numbered densely, so that a ballot's code has room beside them.
    codes, pair = np.unique(keypoints.owner[i] * n_pictures + keypoints.owner[j], return_inverse=True)
    # Bins overlap by half on each axis, so that no agreement is cut in two.
    angle_bins = (half_bin // 2, (half_bin + 1) // 2 % N_ANGLES)
    scale_bins = tuple((step + N_SCALES + half) // LEVELS_A_BIN for half in range(LEVELS_A_BIN))
    axes = [angle_bins, scale_bins]
    kept = np.flatnonzero(_agreeing(pair, axes, min_votes))
    x, y = _landing(keypoints, i[kept], j[kept], turn[kept], step[kept])
    axes = [tuple(b[kept] for b in bins) for bins in axes] + [_overlapping(x), _overlapping(y)]
    pair, votes = _counts(pair[kept], axes, min_votes)
    return codes[pair] // n_pictures, codes[pair] % n_pictures, votes


def _landing(
    keypoints: Keypoints, i: Indices, j: Indices, turn: Indices, step: Indices
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Tell where each match puts the centre of the first picture in the second, in units of `LANDING_PX`."""
    factor = SCALE_FACTOR**step * np.exp(2j * np.pi / 256 * turn)
    centre = keypoints.position[j] - factor * keypoints.position[i]
    # The centre of a picture that is shown enlarged lands less exactly.
    unit = LANDING_PX * np.maximum(np.abs(factor), 1.0)
    return centre.real / unit, centre.imag / unit


def _overlapping(coordinate: NDArray[np.float64]) -> tuple[Indices, Indices]:
    """The two half-overlapping bins of unit width that hold a coordinate."""
    low = np.floor(np.clip(coordinate, -100, 100)).astype(np.int64)
    high = np.floor(np.clip(coordinate, -100, 100) + 0.5).astype(np.int64)
    return low + 128, high + 128


def _ballots(pair: Indices, axes: list[tuple[Indices, ...]]) -> Iterator[Indices]:
    """One code for each match and each combination of the axes' overlapping bins."""
    for choice in itertools.product(*(range(len(bins)) for bins in axes)):
        code = pair
        for bins, k in zip(axes, choice, strict=True):
            code = code * 256 + bins[k]
        yield code


def _agreeing(pair: Indices, axes: list[tuple[Indices, ...]], min_votes: int) -> NDArray[np.bool_]:
    """Matches that share some ballot with enough others."""
    agreeing = np.zeros(len(pair), bool)
    for ballot in _ballots(pair, axes):
        _, inverse, counts = np.unique(ballot, return_inverse=True, return_counts=True)
        agreeing |= counts[inverse] >= min_votes
    return agreeing


def _counts(pair: Indices, axes: list[tuple[Indices, ...]], min_votes: int) -> tuple[Indices, Indices]:
    """Pairs with enough agreeing votes, ascending, and the most votes of each."""
    winners, votes = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for ballot in _ballots(pair, axes):
        _, first, counts = np.unique(ballot, return_index=True, return_counts=True)
        enough = counts >= min_votes
        winners.append(pair[first[enough]])
        votes.append(counts[enough])
    winner, count = np.concatenate(winners), np.concatenate(votes)
    order = np.lexsort((-count, winner))
    pairs, first = np.unique(winner[order], return_index=True)
    return pairs, count[order][first]
