"""Multi-index hashing finds exactly what comparing every pair finds, on both backends."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cvsim.candidates import _chunks, _scanning, exhaustive, hamming
from cvsim.candidates._chunks import Chunk, ChunkPlan
from cvsim.errors import MissingExtraError, UsageError
from cvsim.features.perceptual_hash import _MASKS_64, turned_words

needs_numba = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="numba is not installed")
BACKENDS = ["numpy", pytest.param("numba", marks=needs_numba)]


@pytest.fixture(autouse=True)
def _never_brute_force(monkeypatch):
    """Small collections are compared pair by pair; here even they must go through the chunks."""
    costs = _chunks.Costs(candidate_ns=100.0, probe_ns=1.0, brute_ns=1e6)
    monkeypatch.setattr(_scanning, "_NUMPY_COSTS", costs)
    monkeypatch.setattr(_scanning, "_NUMBA_COSTS", costs)


def make_hashes(seed: int, n: int, n_words: int, style: str) -> np.ndarray:
    """(n, n_words): like real hashes, far from random: clustered, correlated, repeated, with dead bits."""
    rng = np.random.default_rng(seed)
    if style == "smooth":
        field = rng.normal(size=(n, 64 * n_words)).cumsum(axis=1)
        bits = field > np.median(field, axis=1, keepdims=True)
        hashes = np.packbits(bits, axis=1, bitorder="little").view(np.uint64)
    else:
        hashes = rng.integers(0, 2**64, size=(n, n_words), dtype=np.uint64)
    if style == "dead bits":
        hashes &= np.uint64(0xFFFF_0000_000F_0000)
    if style == "clustered":
        centers = rng.integers(0, max(1, n // 5), size=n)
        bits = rng.random((n, 64 * n_words)) < rng.choice([0.0, 0.02, 0.1, 0.2], size=(n, 1))
        hashes = hashes[centers] ^ np.packbits(bits, axis=1, bitorder="little").view(np.uint64)
    return np.ascontiguousarray(hashes)


hash_sets = st.builds(
    make_hashes,
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 150),
    n_words=st.integers(1, 4),
    style=st.sampled_from(["random", "clustered", "smooth", "dead bits"]),
)


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=30, deadline=None)
@given(hashes=hash_sets, radius=st.integers(0, 16), n_threads=st.integers(1, 2))
def test_pairs_equal_brute_force(backend, hashes, radius, n_threads):
    a, b = hamming.pairs_within(hashes, radius, backend=backend, n_threads=n_threads)
    expected_a, expected_b = exhaustive.hamming_pairs_within(hashes, radius)
    np.testing.assert_array_equal(a, expected_a)
    np.testing.assert_array_equal(b, expected_b)


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=30, deadline=None)
@given(hashes=hash_sets, radius=st.integers(0, 16), cut=st.floats(0, 1))
def test_join_equals_brute_force(backend, hashes, radius, cut):
    n_queries = int(cut * len(hashes))
    queries, stored = hashes[:n_queries], hashes[n_queries // 2 :]
    found = hamming.join_within(queries, stored, radius, backend=backend)
    for got, expected in zip(found, exhaustive.hamming_join_within(queries, stored, radius), strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 80), radius=st.integers(0, 12))
def test_variants_equal_brute_force(backend, seed, n, radius):
    stored = make_hashes(seed, n, 1, "clustered")[:, 0]
    rng = np.random.default_rng(seed)
    variants = stored[rng.integers(0, n, size=(n, 8))] ^ (
        np.uint64(1) << rng.integers(0, 64, (n, 8), dtype=np.uint64)
    )
    variants[rng.random(n) < 0.2] = variants[0]
    variants[:, 0] = stored
    near = np.bitwise_count(variants[:, :, None] ^ stored[None, None, :]).min(axis=1) <= radius
    expected = np.nonzero(np.triu(near | near.T, k=1))
    a, b = hamming.join_variants_within(stored, variants, radius, backend=backend).expand()
    np.testing.assert_array_equal(np.stack([a, b]), np.stack(expected))


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 120),
    style=st.sampled_from(["random", "clustered", "smooth", "dead bits"]),
    radius=st.integers(0, 14),
)
def test_variants_that_differ_by_one_value_equal_brute_force(backend, seed, n, style, radius):
    """Mirrored and turned hashes: each half of the variants is one column under the same shifts."""
    stored = make_hashes(seed, n, 1, style)[:, 0]
    rng = np.random.default_rng(seed)
    shifts = np.concatenate([np.zeros(1, np.uint64), rng.integers(0, 2**64, 3, dtype=np.uint64)])
    turned = stored.byteswap() ^ shifts[2]
    variants = np.concatenate([stored[:, None] ^ shifts, turned[:, None] ^ shifts], axis=1)
    near = np.bitwise_count(variants[:, :, None] ^ stored[None, None, :]).min(axis=1) <= radius
    expected = np.nonzero(np.triu(near | near.T, k=1))
    a, b = hamming.join_variants_within(stored, variants, radius, backend=backend).expand()
    np.testing.assert_array_equal(np.stack([a, b]), np.stack(expected))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 120),
    share=st.floats(0, 1),
    style=st.sampled_from(["random", "clustered", "dead bits"]),
)
def test_pairs_with_a_wanted_one_are_those_of_all_pairs(seed, n, share, style):
    stored = make_hashes(seed, n, 1, style)
    variants = turned_words(stored, _MASKS_64)[:, :, 0]
    is_wanted = np.random.default_rng(seed).random(n) < share
    a, b = hamming.join_variants_within(stored[:, 0], variants, 12).expand()
    found = set(zip(*hamming.join_variants_with(stored[:, 0], variants, is_wanted, 12).expand(), strict=True))
    with_one = {(i, j) for i, j in zip(a, b, strict=True) if is_wanted[i] or is_wanted[j]}
    # Items of one hash come together, wanted or not.
    assert with_one <= found <= set(zip(a, b, strict=True))


def parity_chunks(flips: tuple[int, ...]) -> list[Chunk]:
    """The bits of an 8 x 8 hash by the parities of row and column: transposing exchanges the middle two."""
    where = [(row, column) for row in (0, 1) for column in (0, 1)]
    of = {w: tuple(63 - 8 * u - v for u in range(w[0], 8, 2) for v in range(w[1], 8, 2)) for w in where}
    return [Chunk(of[w], n) for w, n in zip(where, flips, strict=True)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("flips", [(2, 2, 2, 3), (3, 2, 2, 2), (2, 3, 2, 2), (2, 2, 3, 2)])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
@pytest.mark.parametrize("style", ["clustered", "dead bits"])
def test_pairs_that_are_found_from_one_side_equal_brute_force(monkeypatch, backend, flips, order, style):
    """Chunks that a transposition keeps, exchanges, or (with other flips) neither."""
    chunks = parity_chunks(flips)
    plan = ChunkPlan(tuple(chunks[k] for k in order), 0.0)
    monkeypatch.setattr(_scanning, "plan_chunks", lambda *args: plan)
    stored = make_hashes(7, 400, 1, style)
    rng = np.random.default_rng(1)
    near = np.uint64(1) << rng.integers(0, 64, (6, 200), dtype=np.uint64)
    copies = turned_words(stored[:200], _MASKS_64)[np.arange(200), rng.integers(0, 8, 200)]
    stored[200:] = copies ^ np.bitwise_xor.reduce(near)[:, None]
    variants = turned_words(stored, _MASKS_64)[:, :, 0]
    near = np.bitwise_count(variants[:, :, None] ^ stored[None, None, :, 0]).min(axis=1) <= 12
    expected = np.nonzero(np.triu(near | near.T, k=1))
    assert len(expected[0]) >= 100
    found = hamming.join_variants_within(stored[:, 0], variants, 12, backend=backend).expand()
    np.testing.assert_array_equal(np.stack(found), np.stack(expected))


def test_transposed_hashes_are_known_as_such():
    stored = make_hashes(3, 50, 1, "random")
    variants = turned_words(stored, _MASKS_64)
    shifts = np.unique(_MASKS_64[:, 0]).reshape(-1, 1)
    mirror = hamming._mirror_of(np.ascontiguousarray(variants[:, 4]), stored, shifts)
    assert mirror == tuple(bit % 8 * 8 + bit // 8 for bit in range(64))
    assert hamming._mirror_of(stored.byteswap() ^ np.uint64(1), stored, shifts) is None
    assert hamming._mirror_of(np.roll(stored, 1), stored, shifts) is None
    kept = np.ascontiguousarray(variants[:, 4])
    assert hamming._mirror_of(kept, stored, np.array([[0], [1 << 6]], np.uint64)) is None


@settings(max_examples=30, deadline=None)
@given(hashes=hash_sets, radius=st.integers(0, 16))
def test_stars_and_pairs_reach_everything_that_all_pairs_reach(hashes, radius):
    join = hamming.join_pairs_within(hashes, radius)
    np.testing.assert_array_equal(hashes[join.representatives[join.inverse]], hashes)
    assert len(np.unique(hashes[join.representatives], axis=0)) == len(join.representatives)
    star_a, star_b = join.stars()
    assert len(star_a) == len(hashes) - len(join.representatives)
    assert (star_a < star_b).all()
    assert (hashes[star_a] == hashes[star_b]).all()
    assert join.n_expanded == len(join.expand()[0])


def test_equal_hashes_cost_no_pairs():
    hashes = np.zeros(1_000_000, np.uint64)
    hashes[-1] = 1
    join = hamming.join_pairs_within(hashes, 8)
    assert join.a.tolist() == [0]
    assert join.b.tolist() == [999_999]
    assert join.n_expanded == 999_999 * 999_998 // 2 + 999_999


@pytest.mark.parametrize("n_bits", [64, 128, 256])
@pytest.mark.parametrize("radius", range(0, 40, 3))
def test_every_plan_keeps_the_pigeonhole(n_bits, radius):
    hashes = make_hashes(0, 500, n_bits // 64, "smooth")
    costs = _chunks.Costs(candidate_ns=10.0, probe_ns=0.1, brute_ns=1e6)
    no_shift = np.zeros((1, n_bits // 64), np.uint64)
    plan = _chunks.plan_chunks(hashes, hashes, radius, 500 * 499 // 2, costs, no_shift)
    bits = [bit for chunk in plan.chunks for bit in chunk.bits]
    assert len(bits) == len(set(bits)), "chunks share a bit"
    if bits:
        assert sum(chunk.flips + 1 for chunk in plan.chunks) == radius + 1


def test_a_radius_as_wide_as_the_hash_finds_all_pairs():
    hashes = make_hashes(3, 40, 1, "random")
    assert len(hamming.pairs_within(hashes, 64)[0]) == 40 * 39 // 2


def test_no_hashes():
    a, b = hamming.pairs_within(np.empty(0, np.uint64), 8)
    assert (len(a), len(b)) == (0, 0)
    i, j = hamming.join_within(np.empty((0, 4), np.uint64), np.empty((0, 4), np.uint64), 8)
    assert (len(i), len(j)) == (0, 0)


@pytest.mark.parametrize("hashes", [np.zeros(3, np.int64), np.zeros((2, 2, 2), np.uint64)])
def test_other_arrays_are_refused(hashes):
    with pytest.raises(UsageError, match="uint64"):
        hamming.pairs_within(hashes, 3)


def test_a_negative_radius_is_refused():
    with pytest.raises(UsageError, match="negative"):
        hamming.pairs_within(np.zeros(3, np.uint64), -1)


def test_hashes_of_two_sizes_are_not_compared():
    with pytest.raises(UsageError, match="same feature"):
        hamming.join_within(np.zeros((2, 1), np.uint64), np.zeros((2, 4), np.uint64), 3)


def test_without_numba_only_asking_for_it_by_name_fails(monkeypatch):
    monkeypatch.setitem(sys.modules, "cvsim.candidates._hamming_numba", None)
    monkeypatch.setattr(_scanning, "_NUMBA_START_S", 0.0)
    hashes = make_hashes(0, 100, 1, "clustered")
    with pytest.raises(MissingExtraError, match=r"cvsim\[fast\]"):
        hamming.pairs_within(hashes, 3, backend="numba")
    assert len(hamming.pairs_within(hashes, 3)[0]) == len(exhaustive.hamming_pairs_within(hashes, 3)[0])
