"""The self-join of a collection in shards: each done anywhere, its result kept under what it was made of.

A shard is a pure function of its input, so it may be done twice or on another machine, and its result is
stored under the digest of that input: a run that was killed, or one with a few more pictures, finds the
shards that are done already.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from cvsim.candidates.blocking import LOCAL_JOINS, Joins
from cvsim.candidates.hamming import HammingJoin, distinct_variants, join_blocks
from cvsim.candidates.words import WordMatches, WordPart, WordRule, pairs_of_matches, word_parts
from cvsim.errors import CvsimError
from cvsim.executors.base import Demand
from cvsim.stores import Extraction

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.executors.base import Executor
    from cvsim.features.base import Keypoints
    from cvsim.stores import Store
    from cvsim.types import Indices

HASH_BLOCK = 1 << 16
"""How many hashes a block has on average; fewer are joined faster than they are sent to a worker."""
WORD_SHARD = 1 << 18
"""About how many keypoints a shard has at most."""
HASH_KEY, WORD_KEY = "hash-join:1", "word-join:2"
"""Their numbers are raised whenever a shard would give another result."""

_log = logging.getLogger(__name__)


def joins_over(executor: Executor, store: Store) -> Joins:
    """Joins in shards where the executor reaches other processes, and all in this one where it does not."""
    return ShardedJoins(executor, store) if executor.is_remote else LOCAL_JOINS


@dataclass(frozen=True, eq=False)
class HashShard:
    """Two blocks of a collection's hashes, or one and None: itself with itself.

    Attributes
    ----------
    rows : (n, 1 + v) uint64
        What each item is found by, then what it looks for.
    others : (m, 1 + v) uint64 or None
    radius_bits : int
    """

    rows: NDArray[np.uint64]
    others: NDArray[np.uint64] | None
    radius_bits: int

    @property
    def digest(self) -> str:
        """Hash the input, which names the result."""
        others = b"" if self.others is None else self.others.tobytes()
        return _digest(self.radius_bits, self.rows.shape, self.rows.tobytes(), others)

    def run(self) -> bytes:
        """Positions in `rows` and in `others` of the pairs, as (2, n) int64."""
        return np.stack(join_blocks(self.rows, self.others, self.radius_bits)).tobytes()


@dataclass(frozen=True, eq=False)
class WordShard:
    """Keypoints of a few words.

    Attributes
    ----------
    part : WordPart
        Its rows are numbered from 0 and its owners likewise: what they are elsewhere changes nothing.
    max_distance_bits : int
    """

    part: WordPart
    max_distance_bits: int

    @classmethod
    def of(cls, part: WordPart, max_distance_bits: int) -> WordShard:
        """Number the rows and owners of a part from 0."""
        owner = np.unique(part.owner, return_inverse=True)[1]
        rows = np.arange(len(part.rows))
        return cls(WordPart(rows, part.lengths, part.n_upright, owner, part.bits), max_distance_bits)

    @property
    def digest(self) -> str:
        """Hash the input, which names the result."""
        part = self.part
        arrays = tuple(a.tobytes() for a in (part.lengths, part.n_upright, part.owner, part.bits))
        return _digest(self.max_distance_bits, part.bits.shape, *arrays)

    def run(self) -> bytes:
        """Positions of the keypoints that match, as (2, n) int64."""
        return np.stack(self.part.matches(self.max_distance_bits)).tobytes()


def _digest(*parts: object) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else repr(part).encode()
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()


Shard = HashShard | WordShard
Where = TypeVar("Where")


class ShardJob:
    """Does a shard, for an executor."""

    def load(self, item: Shard) -> Shard:
        """Give the shard itself, which holds all that it needs."""
        return item

    def demand(self, payload: Shard) -> Demand:
        """Say what the work takes; see `Job.demand`."""
        return Demand()

    def run(self, payload: Shard) -> bytes:
        """Join one shard; see `Job.run`."""
        return payload.run()


class ShardedJoins:
    """`cvsim.candidates.blocking.Joins` over an executor.

    Parameters
    ----------
    executor : Executor
    store : Store
        Gets the result of each shard as soon as it is there.
    hash_block, word_shard : int
        See `HASH_BLOCK` and `WORD_SHARD`.

    Attributes
    ----------
    n_done, n_known : int
        Shards done, and found in the store.
    """

    def __init__(
        self, executor: Executor, store: Store, *, hash_block: int = HASH_BLOCK, word_shard: int = WORD_SHARD
    ) -> None:
        self._executor, self._store = executor, store
        self._hash_block, self._word_shard = hash_block, word_shard
        self.n_done = self.n_known = 0

    def by_hashes(
        self, stored: NDArray[np.uint64], variants: NDArray[np.uint64], radius_bits: int
    ) -> HammingJoin:
        """Pair hashes that are near; see `Joins.by_hashes`."""
        rows, representatives, inverse = distinct_variants(stored, variants)
        if len(rows) <= self._hash_block:
            return LOCAL_JOINS.by_hashes(stored, variants, radius_bits)
        order = np.lexsort(rows.T[::-1])
        blocks = _blocks(rows[order], order, self._hash_block)
        shards = (
            (HashShard(own, None if other is own else other, radius_bits), (own_order, other_order))
            for k, (own, own_order) in enumerate(blocks)
            for other, other_order in blocks[k:]
        )
        found = [np.zeros(0, np.int64)]
        for (own_order, other_order), pairs in self._results(shards, HASH_KEY):
            i, j = own_order[pairs[0]], other_order[pairs[1]]
            found.append(np.minimum(i, j) * len(rows) + np.maximum(i, j))
        codes = np.unique(np.concatenate(found))
        return HammingJoin(
            representatives, inverse, representatives[codes // len(rows)], representatives[codes % len(rows)]
        )

    def by_words(self, keypoints: Keypoints, rule: WordRule) -> tuple[Indices, Indices, Indices]:
        """Find the pairs of pictures that share words; see `Joins.by_words`."""
        n = len(keypoints.owner)
        if n <= self._word_shard:
            return LOCAL_JOINS.by_words(keypoints, rule)
        shards = (
            (WordShard.of(part, rule.max_distance_bits), part.rows)
            for part in word_parts(keypoints, rule, self._word_shard)
        )
        codes = [
            WordMatches(rows[pairs[0]], rows[pairs[1]]).to_codes(n)
            for rows, pairs in self._results(shards, WORD_KEY)
        ]
        return pairs_of_matches(keypoints, codes, rule)

    def _results(self, shards: Iterable[tuple[Shard, Where]], key: str) -> Iterator[tuple[Where, Indices]]:
        """Give the origin of each shard and its result, which comes from the store if it is known there."""
        known: list[tuple[Where, bytes]] = []
        # Not by digest: two shards may be made of the same.
        at_work: dict[int, Where] = {}

        def unknown() -> Iterator[Shard]:
            for shard, where in shards:
                data = self._store.descriptors(key, [shard.digest]).get(shard.digest)
                if data is None:
                    at_work[id(shard)] = where
                    yield shard
                else:
                    known.append((where, data))

        for shard, outcome in self._executor.map(ShardJob(), unknown()):
            if isinstance(outcome, CvsimError):
                raise outcome
            self._store.put(Extraction(shard.digest, artefacts={key: outcome}))
            self._store.flush()  # from now on it is not lost, however this run ends
            self.n_done += 1
            yield at_work.pop(id(shard)), _pairs(outcome)
        self.n_known += len(known)
        for where, data in known:
            yield where, _pairs(data)
        _log.info("%s: %d shards done, %d known so far", key, self.n_done, self.n_known)


def _pairs(data: bytes) -> Indices:
    return np.frombuffer(data, np.int64).reshape(2, -1)


def _blocks(
    rows: NDArray[np.uint64], order: Indices, n_rows: int
) -> list[tuple[NDArray[np.uint64], Indices]]:
    """The rows, which are sorted, in blocks of about so many, each with its part of `order`.

    Where a block ends is for its last hash to say, not for a count: a picture more changes one block, and
    all shards without it are known already.
    """
    mixed = rows[:, 0] * np.uint64(0x9E3779B97F4A7C15)
    ends = np.flatnonzero(mixed >> np.uint64(32) < np.uint64((1 << 32) // n_rows)) + 1
    pairs = zip(np.split(rows, ends), np.split(order, ends), strict=True)
    return [(own, own_order) for own, own_order in pairs if len(own)]
