"""Candidates from local words: equal to a plain reference on small sets."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from itertools import combinations, product
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cvsim.candidates.words import LANDING_PX, N_ANGLES, WordRule, pairs_by_words, word_keys
from cvsim.features.base import Keypoints

RULE = WordRule(n_tables=4, word_bits=12, max_occurrences=6, max_distance_bits=40, min_votes=3)


def made(seed: int, n_pictures: int = 7, n_points: int = 14) -> Keypoints:
    """Random pictures, some of which show turned, scaled and shifted keypoints of others, with bit errors."""
    rng = np.random.default_rng(seed)
    owner, bits, angle, level, position = [], [], [], [], []
    for picture in range(n_pictures):
        n = int(rng.integers(0, n_points + 1))
        own = {
            "bits": rng.integers(0, 2, (n, 256)).astype(bool),
            "angle": rng.integers(0, 256, n),
            "level": rng.integers(0, 8, n),
            "position": rng.uniform(-300, 300, n) + 1j * rng.uniform(-300, 300, n),
        }
        if owner and n and rng.random() < 0.8:
            _borrow(rng, own, owner, bits, angle, level, position)
        owner += [picture] * n
        bits += list(own["bits"])
        angle += own["angle"].tolist()
        level += own["level"].tolist()
        position += own["position"].tolist()
    packed = np.packbits(np.array(bits, bool).reshape(-1, 256), axis=1, bitorder="little")
    return Keypoints(
        np.array(owner, np.int64),
        np.ascontiguousarray(packed).view(np.uint64).reshape(-1, 4),
        np.array(angle, np.uint8),
        np.array(level, np.uint8),
        np.array(position, np.complex64),
    )


def _borrow(rng, own, owner, bits, angle, level, position) -> None:
    """Overwrite some keypoints by those of a picture before, under one turn and scale."""
    source = int(rng.choice(owner))
    rows = [k for k, o in enumerate(owner) if o == source][: len(own["angle"])]
    turn, step = int(rng.integers(0, 256)), int(rng.integers(-2, 3))
    factor = 1.2**step * np.exp(2j * np.pi / 256 * turn)
    shift = complex(*rng.uniform(-200, 200, 2))
    for k, row in enumerate(rows):
        flips = rng.random(256) < rng.choice([0.0, 0.03, 0.1])
        own["bits"][k] = bits[row] ^ flips
        own["angle"][k] = (angle[row] + turn + rng.integers(-6, 7)) % 256
        own["level"][k] = min(7, max(0, level[row] + step))
        own["position"][k] = factor * position[row] + shift + complex(*rng.normal(0, 8, 2))


# --- the reference ----------------------------------------------------------------------------------------


def reference(points: Keypoints, rule: WordRule) -> dict[tuple[int, int], int]:
    """Votes of each candidate pair, the plain way: every two keypoints are looked at."""
    bits = [int.from_bytes(row.astype("<u8").tobytes(), "little") for row in points.bits]
    matched = {
        (i, j)
        for i, j in combinations(range(len(bits)), 2)
        if points.owner[i] != points.owner[j]
        and (bits[i] ^ bits[j]).bit_count() <= rule.max_distance_bits
        and any(_shares_word(bits, i, j, table, rule) for table in range(rule.n_tables))
    }
    by_pair: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for i, j in matched:
        by_pair[int(points.owner[i]), int(points.owner[j])].append((i, j))
    found = {}
    for pair, matches in by_pair.items():
        rough = _agreeing([_ballots_of(points, i, j)[0] for i, j in matches], rule.min_votes)
        fine = Counter()
        for (i, j), kept in zip(matches, rough, strict=True):
            if kept:
                turns_scales, landings = _ballots_of(points, i, j)
                fine.update(product(turns_scales, landings))
        votes = max(fine.values(), default=0)
        if votes >= rule.min_votes:
            found[pair] = votes
    return found


def _shares_word(bits: list[int], i: int, j: int, table: int, rule: WordRule) -> bool:
    def word(value: int) -> int:
        return value >> (table * rule.word_bits) & ((1 << rule.word_bits) - 1)

    return (
        word(bits[i]) == word(bits[j]) and sum(word(b) == word(bits[i]) for b in bits) <= rule.max_occurrences
    )


def _agreeing(ballots: list[list], min_votes: int) -> list[bool]:
    counts = Counter(ballot for each in ballots for ballot in each)
    return [any(counts[ballot] >= min_votes for ballot in each) for each in ballots]


def _ballots_of(points: Keypoints, i: int, j: int) -> tuple[list, list]:
    """What a match votes for: half-overlapping bins of turn and scale, and of where the centre lands."""
    turn = (int(points.angle[j]) - int(points.angle[i])) % 256
    half = turn * 2 * N_ANGLES // 256
    angles = [(0, half // 2), (1, (half + 1) // 2 % N_ANGLES)]
    step = int(points.level[j]) - int(points.level[i])
    scales = [(k, (step + 16 + k) // 2) for k in range(2)]
    factor = 1.2**step * np.exp(2j * np.pi / 256 * turn)
    centre = complex(points.position[j]) - factor * complex(points.position[i])
    unit = LANDING_PX * max(abs(factor), 1.0)
    across, down = ([(0, floor(v / unit)), (1, floor(v / unit + 0.5))] for v in (centre.real, centre.imag))
    return list(product(angles, scales)), list(product(across, down))


def found_by(points: Keypoints, rule: WordRule) -> dict[tuple[int, int], int]:
    a, b, votes = pairs_by_words(points, rule)
    assert (a < b).all()
    pairs = list(zip(a.tolist(), b.tolist(), strict=True))
    assert pairs == sorted(set(pairs))
    return dict(zip(pairs, votes.tolist(), strict=True))


@given(seed=st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_the_candidates_are_those_of_the_reference(seed: int) -> None:
    points = made(seed)
    assert found_by(points, RULE) == reference(points, RULE)


@given(seed=st.integers(0, 10**6), tables=st.integers(1, 8), votes=st.integers(1, 5), often=st.integers(2, 9))
@settings(max_examples=30, deadline=None)
def test_whatever_the_rule(seed: int, tables: int, votes: int, often: int) -> None:
    rule = replace(RULE, n_tables=tables, min_votes=votes, max_occurrences=often, word_bits=20)
    points = made(seed, n_pictures=5)
    assert found_by(points, rule) == reference(points, rule)


@given(seed=st.integers(0, 10**6), n_upright=st.integers(0, 7))
@settings(max_examples=40, deadline=None)
def test_two_mirror_images_are_not_compared(seed: int, n_upright: int) -> None:
    """Pictures from the one of that number on are mirror images."""
    points = made(seed)
    expected = {pair: votes for pair, votes in reference(points, RULE).items() if pair[0] < n_upright}
    mirrored = replace(points, n_upright=int(np.searchsorted(points.owner, n_upright)))
    assert found_by(mirrored, RULE) == expected


@pytest.mark.parametrize("n_rows", [1, 7, 40])
def test_however_many_are_counted_at_once(monkeypatch: pytest.MonkeyPatch, n_rows: int) -> None:
    monkeypatch.setattr("cvsim.candidates.words.BALLOT_ROWS", n_rows)
    for seed in range(20):
        points = made(seed, n_pictures=9)
        assert found_by(points, RULE) == reference(points, RULE)


def test_no_picture_at_all() -> None:
    assert found_by(made(0, n_pictures=0), RULE) == {}


def test_the_sets_do_hold_candidates() -> None:
    """Else the comparison with the reference would say nothing."""
    assert sum(len(reference(made(seed), RULE)) for seed in range(20)) >= 15


# --- what does not matter ---------------------------------------------------------------------------------


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_the_order_of_keypoints_within_a_picture_does_not_matter(seed: int) -> None:
    points = made(seed)
    rng = np.random.default_rng(seed)
    order = np.lexsort((rng.random(len(points.owner)), points.owner))
    assert found_by(_taken(points, order, points.owner[order]), RULE) == found_by(points, RULE)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_pictures_that_share_nothing_do_not_matter(seed: int) -> None:
    """The numbers of the pictures may have gaps, as where only some of a collection are looked up."""
    points = made(seed)
    gaps = replace_owner(points, points.owner * 3 + 2)
    found = {((a - 2) // 3, (b - 2) // 3): v for (a, b), v in found_by(gaps, RULE).items()}
    assert found == found_by(points, RULE)


def test_turning_the_collection_around_finds_the_same_pairs() -> None:
    """Which picture comes first may move a vote over the edge of a bin, no more."""
    n_there, n_both = 0, 0
    for seed in range(30):
        points = made(seed)
        last = int(points.owner.max(initial=0))
        order = np.argsort(last - points.owner, kind="stable")
        turned = found_by(_taken(points, order, (last - points.owner)[order]), RULE)
        back = {(last - b, last - a) for a, b in turned}
        there = set(found_by(points, RULE))
        n_there, n_both = n_there + len(there | back), n_both + len(there & back)
    assert n_both >= 0.9 * n_there > 0


def replace_owner(points: Keypoints, owner: np.ndarray) -> Keypoints:
    return Keypoints(owner, points.bits, points.angle, points.level, points.position)


def _taken(points: Keypoints, order: np.ndarray, owner: np.ndarray) -> Keypoints:
    return Keypoints(
        owner, points.bits[order], points.angle[order], points.level[order], points.position[order]
    )


# --- what is known ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("table", "word_bits"), [(0, 20), (3, 20), (6, 20), (11, 20), (4, 13), (7, 32)])
def test_words_are_cut_across_the_64_bit_words(table: int, word_bits: int) -> None:
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2**63, (20, 4)).astype(np.uint64) * np.uint64(2) + np.uint64(1)
    whole = [int.from_bytes(row.astype("<u8").tobytes(), "little") for row in bits]
    expected = [value >> (table * word_bits) & ((1 << word_bits) - 1) for value in whole]
    assert word_keys(bits, table, word_bits).tolist() == expected


def test_no_keypoints_make_no_pairs() -> None:
    nothing = Keypoints(
        np.zeros(0, np.int64),
        np.zeros((0, 4), np.uint64),
        np.zeros(0, np.uint8),
        np.zeros(0, np.uint8),
        np.zeros(0, np.complex64),
    )
    assert [len(part) for part in pairs_by_words(nothing)] == [0, 0, 0]


def test_a_word_that_everyone_shares_says_nothing() -> None:
    n = 200
    rng = np.random.default_rng(0)
    points = Keypoints(
        np.repeat(np.arange(n), 5),
        np.zeros((5 * n, 4), np.uint64),
        np.zeros(5 * n, np.uint8),
        np.zeros(5 * n, np.uint8),
        rng.normal(size=5 * n).astype(np.complex64),
    )
    assert [len(part) for part in pairs_by_words(points)] == [0, 0, 0]


def test_keypoints_that_agree_on_no_transform_are_no_candidate() -> None:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**62, (30, 4)).astype(np.uint64)
    spread = Keypoints(
        np.repeat([0, 1], 30),
        np.concatenate([bits, bits]),
        np.concatenate([np.zeros(30), np.arange(30) * 8]).astype(np.uint8),
        np.concatenate([np.zeros(30), np.arange(30) % 8]).astype(np.uint8),
        (rng.uniform(-900, 900, 60) + 1j * rng.uniform(-900, 900, 60)).astype(np.complex64),
    )
    assert len(pairs_by_words(spread, WordRule(min_votes=6))[0]) == 0
    together = replace_angle(spread)
    assert [part.tolist() for part in pairs_by_words(together, WordRule(min_votes=6))] == [[0], [1], [30]]


def replace_angle(points: Keypoints) -> Keypoints:
    half = len(points.owner) // 2
    return Keypoints(
        points.owner,
        points.bits,
        np.zeros(2 * half, np.uint8),
        np.zeros(2 * half, np.uint8),
        np.tile(points.position[:half], 2),
    )


def test_pictures_may_be_a_million() -> None:
    """Votes of different pairs are never counted together, however large the collection."""
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**62, (10, 4)).astype(np.uint64)
    other = rng.integers(0, 2**62, (10, 4)).astype(np.uint64)
    owners = [0, 256, 2**20 - 2, 2**20 - 1]
    points = Keypoints(
        np.repeat(owners, [10, 10, 10, 10]),
        np.concatenate([bits, other, bits, other]),
        np.zeros(40, np.uint8),
        np.zeros(40, np.uint8),
        np.tile(rng.normal(0, 50, 10) + 0j, 4).astype(np.complex64),
    )
    assert found_by(points, RULE) == {(0, 2**20 - 2): 10, (256, 2**20 - 1): 10}
    both = Keypoints(
        np.repeat([0, 256, 2**20 - 1], [10, 10, 20]),
        np.concatenate([bits, other, bits, other]),
        np.zeros(40, np.uint8),
        np.zeros(40, np.uint8),
        points.position,
    )
    assert found_by(both, RULE) == {(0, 2**20 - 1): 10, (256, 2**20 - 1): 10}
