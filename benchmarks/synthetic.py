"""Collections that no camera made: descriptors with planted groups, as many as are wanted, within seconds.

A hash of random bits stands for a picture. Its copies differ from it in a few bits, and some of them are
turned or mirrored, as the feature `phash` would see it. Which belong together is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

GROUP_SIZES = (2, 3, 4, 5)
SHARE_OF_GROUPS = 0.1
"""Groups for each image of the collection: about a third of all images have a copy."""
SHARE_TURNED = 0.25
"""Of the images that stand in another orientation than their group's first."""
MAX_FLIPS_LOW, MAX_FLIPS_HIGH = 5, 10
"""Bits that differ from the group's own, of the 64 that are searched and of the other 192."""
SIDE, LOW = 16, 8
CHUNK = 1 << 16


@dataclass(frozen=True)
class Collection:
    """Hashes in random order.

    Attributes
    ----------
    low, whole : (n, 1) and (n, 4) uint64
        The 64 and the 256 bits of `cvsim.features.perceptual_hash.TurnedHash`.
    true : (n,) int64
        The planted group of each.
    """

    low: Any
    whole: Any
    true: Any

    def __len__(self) -> int:
        return len(self.true)

    def descriptors(self) -> Iterator[bytes]:
        """What `TurnedHash` stores of each: one slot."""
        words = np.concatenate([self.low, self.whole], axis=1).astype("<u8")
        return map(bytes, words.view(np.uint8))


def planted_groups(n: int, rng: np.random.Generator) -> Any:
    """(n,) int64: the group of each image, ascending; most are alone in theirs."""
    sizes = rng.choice(GROUP_SIZES, size=int(n * SHARE_OF_GROUPS))
    sizes = np.concatenate([sizes, np.ones(n - sizes.sum(), np.int64)])
    return np.repeat(np.arange(len(sizes)), sizes)


def plain_hashes(n: int, radius_bits: int, seed: int) -> tuple[Any, Any]:
    """Hashes, (n,) uint64, every two of a group within the radius, and the group of each."""
    rng = np.random.default_rng(seed)
    true = planted_groups(n, rng)
    hashes = rng.integers(0, 2**64, size=int(true[-1]) + 1, dtype=np.uint64)[true]
    n_flips = rng.integers(0, radius_bits // 2 + 1, size=n)
    for flip in range(radius_bits // 2):
        bit = np.uint64(1) << rng.integers(0, 64, size=n, dtype=np.uint64)
        hashes ^= np.where(flip < n_flips, bit, np.uint64(0))
    order = rng.permutation(n)
    return hashes[order], true[order]


def make_collection(n: int, seed: int) -> Collection:
    """A collection of `n` images."""
    rng = np.random.default_rng(seed)
    true = planted_groups(n, rng)
    n_groups = int(true[-1]) + 1
    base = np.packbits(rng.integers(0, 2, (n_groups, SIDE * SIDE), dtype=np.uint8), axis=1)
    is_first = np.r_[True, true[1:] != true[:-1]]
    orientation = np.where(is_first | (rng.random(n) > SHARE_TURNED), 0, rng.integers(0, 8, n))
    low, whole = np.empty((n, 1), np.uint64), np.empty((n, 4), np.uint64)
    for start in range(0, n, CHUNK):
        part = slice(start, start + CHUNK)
        bits = np.unpackbits(base[true[part]], axis=1).reshape(-1, SIDE, SIDE)
        bits ^= _flips(len(bits), rng)
        bits[:, 0, 0] = 1  # the mean of a picture is above zero
        for k in range(1, 8):
            rows = orientation[part] == k
            bits[rows] = turned(bits[rows], k)
        whole[part] = _words(bits)
        low[part] = _words(bits[:, :LOW, :LOW])
    order = rng.permutation(n)
    return Collection(low[order], whole[order], true[order])


def _flips(n: int, rng: np.random.Generator) -> Any:
    """(n, 16, 16) uint8, 1 where a bit of a copy differs."""
    flips = np.zeros((n, SIDE, SIDE), np.uint8)
    rows = np.arange(n)
    for side, most in ((LOW, MAX_FLIPS_LOW), (SIDE, MAX_FLIPS_HIGH)):
        n_flips = rng.integers(0, most + 1, n)
        for k in range(most):
            u, v = rng.integers(0, side, (2, n))
            is_high = (u >= LOW) | (v >= LOW)
            flips[rows, u, v] |= (k < n_flips) & (is_high if side == SIDE else True)
    return flips


def turned(bits: Any, orientation: int) -> Any:
    """Signs of DCT coefficients, (n, side, side), of the picture in another orientation."""
    bits = bits.copy()
    if orientation & 1:
        bits[:, :, 1::2] ^= 1
    if orientation & 2:
        bits[:, 1::2] ^= 1
    return bits.swapaxes(1, 2) if orientation & 4 else bits


def _words(bits: Any) -> Any:
    return np.packbits(bits.reshape(len(bits), -1), axis=1).view(">u8").astype(np.uint64)
