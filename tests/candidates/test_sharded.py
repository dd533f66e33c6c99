"""The self-join in shards finds what the join of the whole finds, and keeps what is done."""

from __future__ import annotations

import numpy as np
import pytest

from cvsim.candidates.blocking import LOCAL_JOINS
from cvsim.candidates.sharded import HASH_KEY, ShardedJoins
from cvsim.candidates.words import WordRule
from cvsim.executors import LocalExecutor
from cvsim.features.base import Keypoints
from cvsim.stores import MemoryStore

RADIUS = 8


def hashes(n: int, seed: int, n_variants: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of which some are near each other, some equal; the variants begin with the hash itself."""
    rng = np.random.default_rng(seed)
    stored = rng.integers(0, 1 << 63, n, dtype=np.uint64)
    copies = rng.integers(0, n, n // 2)
    flips = np.uint64(1) << rng.integers(0, 64, (n // 2, 6)).astype(np.uint64)
    stored[: n // 2] = stored[copies] ^ np.bitwise_xor.reduce(flips[:, : seed % 7], axis=1)
    variants = rng.integers(0, 1 << 63, (n, n_variants), dtype=np.uint64)
    variants[:, 0] = stored
    variants[n // 4 : n // 2, 1] = stored[: n // 2 - n // 4]
    return stored, variants


def keypoints(n_pictures: int, n_each: int, seed: int) -> Keypoints:
    rng = np.random.default_rng(seed)
    n = n_pictures * n_each
    bits = rng.integers(0, 1 << 63, (n, 4), dtype=np.uint64)
    bits[n_each : 2 * n_each] = bits[:n_each]
    bits[3 * n_each : 4 * n_each] = bits[:n_each] ^ np.uint64(1 << 40)
    angle, level = np.zeros(n, np.uint8), np.zeros(n, np.uint8)
    return Keypoints(np.repeat(np.arange(n_pictures), n_each), bits, angle, level, np.zeros(n, np.complex64))


@pytest.mark.parametrize("seed", [1, 4])
@pytest.mark.parametrize("block", [8, 40, 1000])
def test_blocks_of_hashes_find_the_same_pairs(seed: int, block: int) -> None:
    stored, variants = hashes(120, seed)
    expected = LOCAL_JOINS.by_hashes(stored, variants, RADIUS)
    with LocalExecutor(2) as executor, MemoryStore() as store:
        joins = ShardedJoins(executor, store, hash_block=block)
        found = joins.by_hashes(stored, variants, RADIUS)
        assert (joins.n_done > 1) == (block < 1000)
    assert len(expected.a) > 5
    for name in ("representatives", "inverse", "a", "b"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name


def test_parts_of_words_find_the_same_pairs() -> None:
    points = keypoints(12, 40, 1)
    rule = WordRule()
    expected = LOCAL_JOINS.by_words(points, rule)
    with LocalExecutor(2) as executor, MemoryStore() as store:
        joins = ShardedJoins(executor, store, word_shard=50)
        assert all(map(np.array_equal, joins.by_words(points, rule), expected))
        assert joins.n_done > rule.n_tables
        again = ShardedJoins(executor, store, word_shard=50)
        assert all(map(np.array_equal, again.by_words(points, rule), expected))
        assert (again.n_done, again.n_known) == (0, joins.n_done + joins.n_known)
    assert set(zip(expected[0].tolist(), expected[1].tolist(), strict=True)) >= {(0, 1), (0, 3)}


def test_no_keypoints() -> None:
    found = LOCAL_JOINS.by_words(keypoints(0, 40, 1), WordRule())
    assert [len(column) for column in found] == [0, 0, 0]


def test_a_run_that_ends_early_loses_no_shard() -> None:
    stored, variants = hashes(300, 4)
    with LocalExecutor(1) as executor, MemoryStore() as store:
        first = ShardedJoins(executor, store, hash_block=30)
        whole = first.by_hashes(stored, variants, RADIUS)
        kept = sorted(store.descriptors(HASH_KEY))
        store.delete(kept[: len(kept) // 2])
        second = ShardedJoins(executor, store, hash_block=30)
        found = second.by_hashes(stored, variants, RADIUS)
        assert (second.n_done, second.n_known) == (len(kept) // 2, len(kept) - len(kept) // 2)
        assert np.array_equal(found.a, whole.a)


def test_a_picture_more_leaves_most_shards_as_they_were() -> None:
    stored, variants = hashes(600, 3)
    with LocalExecutor(1) as executor, MemoryStore() as store:
        ShardedJoins(executor, store, hash_block=60).by_hashes(stored[:-1], variants[:-1], RADIUS)
        joins = ShardedJoins(executor, store, hash_block=60)
        joins.by_hashes(stored, variants, RADIUS)
    assert joins.n_done < 0.4 * joins.n_known
