"""How the bits of a hash are cut into chunks for multi-index hashing, and at what cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
"""(n, k) uint64: k words of 64 bits a hash; bit ``i`` is bit ``i % 64`` of word ``i // 64``."""

# Chosen by hand, like the costs in `_scanning`: they decide how long a search takes, never what it finds.
_MAX_WIDTH_BITS = 22
"""Bits of a chunk: its table of buckets has four million entries then."""
_TABLE_NS = 2.0
"""Nanoseconds that each entry of a chunk's table of buckets takes."""
_N_SAMPLED_PAIRS = 1 << 14
"""Pairs of hashes that tell how often bits differ together."""
_N_PLANS_MEASURED = 3
"""Of the plans that promise most, those that are tried on the sample."""
_WORTH_PLANNING_S = 0.03
"""Planning takes about this long."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some bits of the hash, and how many of them may differ between two hashes that meet here."""

    bits: tuple[int, ...]
    flips: int


@dataclass(frozen=True, slots=True)
class Costs:
    """What a backend pays for a verified candidate, a hash probing one mask, and a pair by brute force."""

    candidate_ns: float
    probe_ns: float
    brute_ns: float

    def under(self, n_shifts: int) -> Costs:
        """The same where each candidate is looked at under so many shifts: reading it is paid only once."""
        factor = (1 + n_shifts) / 2
        return Costs(self.candidate_ns * factor, self.probe_ns, self.brute_ns * factor)


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """The chunks to search, and the time that they are expected to take.

    Every pair within the radius agrees on at least one chunk up to that chunk's flips, because
    ``sum(chunk.flips + 1) == radius + 1`` (the pigeonhole principle: were every chunk to exceed its
    flips, the distance would exceed the radius).
    """

    chunks: tuple[Chunk, ...]
    expected_s: float


def ball_size(width_bits: int, flips: int) -> int:
    """Number of values within `flips` bits of a value of `width_bits` bits."""
    return sum(math.comb(width_bits, k) for k in range(min(flips, width_bits) + 1))


def flip_masks(width_bits: int, flips: int) -> NDArray[np.uint32]:
    """All masks of at most `flips` of `width_bits` bits, the lightest first."""
    masks = [
        sum(1 << bit for bit in bits)
        for weight in range(min(flips, width_bits) + 1)
        for bits in combinations(range(width_bits), weight)
    ]
    return np.array(masks, np.uint32)


def chunk_masks(chunk: Chunk, shifts: Words) -> NDArray[np.uint32]:
    """List by what the keys of two hashes that meet in the chunk may differ, under any of the shifts.

    A shift that changes none or all bits of the chunk in the same way as another one costs nothing more.
    """
    masks = flip_masks(len(chunk.bits), chunk.flips)
    keys = np.unique(chunk_keys(shifts, chunk.bits))
    return masks if not keys.any() else np.unique(masks[:, None] ^ keys)


def mirror_chunk(chunk: Chunk, mirror: Sequence[int], chunks: Sequence[Chunk]) -> int | None:
    """Find the position among `chunks` of the mirror image of one.

    That is the chunk of the bits that `mirror` puts in place of this one's, with as many flips; None if there
    is none.
    """
    bits = {mirror[bit] for bit in chunk.bits}
    alike = (k for k, other in enumerate(chunks) if other.flips == chunk.flips and bits == set(other.bits))
    return next(alike, None)


def _effort(position: int, chunks: Sequence[Chunk], mirror: Sequence[int] | None) -> float:
    """The share of a chunk's work that is left to do: see `plan_chunks`."""
    if mirror is None:
        return 1.0
    partner = mirror_chunk(chunks[position], mirror, chunks)
    if partner is None or partner > position:
        return 1.0
    return 0.5 if partner == position else 0.0


def bit_mask(bits: Sequence[int], n_words: int) -> NDArray[np.uint64]:
    """(n_words,) uint64 with the given bits set."""
    words = [0] * n_words
    for bit in bits:
        words[bit // 64] |= 1 << (bit % 64)
    return np.array(words, np.uint64)


def chunk_keys(words: Words, bits: Sequence[int]) -> NDArray[np.uint32]:
    """The value of a chunk in each hash, (n,) uint32: bit ``i`` is ``bits[i]`` of the hash."""
    keys = np.zeros(len(words), np.uint32)
    one = np.uint64(1)
    for position, bit in enumerate(bits):
        column = words[:, bit // 64]
        keys |= ((column >> np.uint64(bit % 64)) & one).astype(np.uint32) << np.uint32(position)
    return keys


def plan_chunks(
    queries: Words,
    stored: Words,
    radius_bits: int,
    n_pairs: int,
    costs: Costs,
    shifts: Words,
    mirror: Sequence[int] | None = None,
) -> ChunkPlan:
    """The cheapest way to find all pairs within the radius; one chunk of no bits means brute force.

    Hashes of real pictures are far from random: neighbouring bits agree, some hardly vary, and a chunk
    made of such bits puts half of the collection into one bucket. So several ways to deal the bits are
    measured on randomly chosen pairs, which gives the share of all pairs that each chunk would have to
    verify. The plan changes the time, never the result.

    With a `mirror` (see `cvsim.candidates.hamming`), each pair is found from both of its sides: a chunk that
    holds the mirrored bits of another one with as many flips need not be searched, and one that holds its
    own only by half.
    """
    n_bits = 64 * queries.shape[1]
    costs = costs.under(len(shifts))
    brute = ChunkPlan((Chunk((), 0),), n_pairs * costs.brute_ns * queries.shape[1] * 1e-9)
    if brute.expected_s < _WORTH_PLANNING_S:
        return brute
    n_looked_at = n_pairs if mirror is None else n_pairs // 2
    shapes = _shapes(n_bits, radius_bits, len(queries), n_looked_at, costs)
    if not shapes or shapes[0][0] >= brute.expected_s:
        return brute
    differences = _sample_differences(queries, stored)
    best = brute
    for _, widths, flips in shapes[:_N_PLANS_MEASURED]:
        for dealt in _deals(differences, n_bits, widths, shifts):
            chunks = tuple(Chunk(bits, t) for bits, t in zip(dealt, flips, strict=True))
            n_masks = [len(chunk_masks(chunk, shifts)) for chunk in chunks]
            shares = [_share(differences, c, n, shifts) for c, n in zip(chunks, n_masks, strict=True)]
            efforts = [_effort(k, chunks, mirror) for k in range(len(chunks))]
            expected_s = _expected_s(n_masks, shares, efforts, len(queries), n_pairs, costs)
            if expected_s < best.expected_s:
                # Fewest candidates first: later chunks then skip the pairs that earlier ones have found.
                order = sorted(range(len(chunks)), key=lambda i: (shares[i], chunks[i].bits))
                best = ChunkPlan(tuple(chunks[i] for i in order), expected_s)
    return best


def _shapes(
    n_bits: int, radius_bits: int, n_queries: int, n_pairs: int, costs: Costs
) -> list[tuple[float, list[int], list[int]]]:
    """Widths and flips of chunks, with their expected seconds on random bits, the cheapest first."""
    shapes = []
    for n_chunks in range(1, min(radius_bits + 1, n_bits) + 1):
        base, n_larger = divmod(radius_bits + 1, n_chunks)
        flips = [base - 1 + (i < n_larger) for i in range(n_chunks)]
        if flips[0] > 5:
            continue
        width = min(n_bits // n_chunks, _MAX_WIDTH_BITS)
        widths = [min(width + (i < n_bits % n_chunks), _MAX_WIDTH_BITS) for i in range(n_chunks)]
        shapes.append(_balance(widths, flips, n_queries, n_pairs, costs))
    return sorted(shapes, key=lambda shape: shape[0])


def _balance(
    widths: list[int], flips: list[int], n_queries: int, n_pairs: int, costs: Costs
) -> tuple[float, list[int], list[int]]:
    """Move bits from chunks with few flips to chunks with many for as long as it pays.

    Chunks of equal flips are alike, so only the two classes (at most two values of flips occur) trade.
    """

    def seconds(width: int, t: int) -> float:
        masks = ball_size(width, t)
        candidates_ns = n_pairs * masks / 2**width * costs.candidate_ns
        return float((candidates_ns + n_queries * masks * costs.probe_ns + 2**width * _TABLE_NS) * 1e-9)

    widths = list(widths)
    while True:
        now = [seconds(w, t) for w, t in zip(widths, flips, strict=True)]
        loss = [
            seconds(w - 1, t) - s if w > 1 else math.inf for w, t, s in zip(widths, flips, now, strict=True)
        ]
        gain = [
            s - seconds(w + 1, t) if w < _MAX_WIDTH_BITS else -math.inf
            for w, t, s in zip(widths, flips, now, strict=True)
        ]
        giver, taker = loss.index(min(loss)), gain.index(max(gain))
        if loss[giver] < -1e-12:
            widths[giver] -= 1
        elif giver != taker and gain[taker] - loss[giver] > 1e-12:
            widths[giver] -= 1
            widths[taker] += 1
        else:
            return sum(now), widths, flips


def _sample_differences(queries: Words, stored: Words) -> Words:
    """XOR of randomly chosen pairs, (m, k); always the same ones."""
    rng = np.random.default_rng(0)
    n_sampled = min(_N_SAMPLED_PAIRS, len(queries) * len(stored))
    i = rng.integers(len(queries), size=n_sampled)
    j = rng.integers(len(stored), size=n_sampled)
    differences = queries[i] ^ stored[j]
    return differences[differences.any(axis=1)]


def _deals(
    differences: Words, n_bits: int, widths: list[int], shifts: Words
) -> Iterator[list[tuple[int, ...]]]:
    """Ways to deal the bits to chunks of these widths."""
    bits = list(range(n_bits))
    if len(shifts) > 1:
        # Bits that every shift changes together share a chunk: fewer masks then serve all shifts.
        changed = np.unpackbits(shifts.view(np.uint8), axis=1, bitorder="little").T.tolist()
        alike = sorted(bits, key=lambda bit: (changed[bit], bit))
        yield _slice(alike, widths)
        yield _slice(alike, widths[::-1])[::-1]
    yield _slice(bits, widths)
    yield _round_robin(bits, widths)
    bit_flags = np.unpackbits(differences.view(np.uint8), axis=1, bitorder="little")
    rate = bit_flags.mean(axis=0) if len(bit_flags) else np.full(n_bits, 0.5)
    yield _round_robin(sorted(bits, key=lambda bit: (-rate[bit], bit)), widths)
    rng = np.random.default_rng(0)
    for _ in range(3):
        yield _slice(rng.permutation(n_bits).tolist(), widths)


def _slice(bits: list[int], widths: list[int]) -> list[tuple[int, ...]]:
    rest = iter(bits)
    return [tuple(islice(rest, width)) for width in widths]


def _round_robin(bits: list[int], widths: list[int]) -> list[tuple[int, ...]]:
    dealt: list[list[int]] = [[] for _ in widths]
    rest = iter(bits)
    while any(len(hand) < width for hand, width in zip(dealt, widths, strict=True)):
        for hand, width in zip(dealt, widths, strict=True):
            if len(hand) < width:
                hand.append(next(rest))
    return [tuple(hand) for hand in dealt]


def _share(differences: Words, chunk: Chunk, n_masks: int, shifts: Words) -> float:
    """Share of all pairs that the chunk lets through; at least what random bits would give."""
    random_bits = n_masks / 2.0 ** len(chunk.bits)
    if not len(differences):
        return random_bits
    mask = bit_mask(chunk.bits, differences.shape[1])
    is_let_through = np.zeros(len(differences), bool)
    for shift in shifts:
        n_flips = np.bitwise_count((differences ^ shift) & mask).sum(axis=1, dtype=np.int64)
        is_let_through |= n_flips <= chunk.flips
    return max(float(np.mean(is_let_through)), random_bits)


def _expected_s(
    n_masks: Sequence[int],
    shares: Sequence[float],
    efforts: Sequence[float],
    n_queries: int,
    n_pairs: int,
    costs: Costs,
) -> float:
    total_ns = 0.0
    for n, share, effort in zip(n_masks, shares, efforts, strict=True):
        total_ns += effort * (share * n_pairs * costs.candidate_ns + n_queries * n * costs.probe_ns)
    return total_ns * 1e-9
