"""Exact search within a Hamming radius, by multi-index hashing.

The bits of a hash are cut into chunks, each with a number of bits that may flip. By the pigeonhole
principle two hashes within the radius agree on at least one chunk up to its flips, so it is enough to
sort the hashes by each chunk once and to compare those whose chunk differs by one of the few allowed
masks (Norouzi, Punjani, Fleet, "Fast exact search in Hamming space with multi-index hashing", 2014).

Every function here returns exactly what `cvsim.candidates.exhaustive` returns, on any backend and for any
number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cvsim.arrays import ragged_range
from cvsim.candidates._chunks import Words
from cvsim.candidates._scanning import Backend, search_codes
from cvsim.errors import UsageError

if TYPE_CHECKING:
    from cvsim.types import Indices

_MIRROR_SAMPLE = 4096
"""Hashes that tell which bit of a query is which bit of the hash; then all are looked at."""


@dataclass(frozen=True, slots=True)
class HammingJoin:
    """Pairs among distinct hashes, and which items have the same one.

    Equal hashes are collapsed: 5,000 blank pages are one representative and no pair, where all their
    pairs would be 12.5 million. `stars` and `expand` bring the equal ones back.

    Attributes
    ----------
    representatives : (n_distinct,) int64 array
        Position of the first item with each distinct hash, ascending.
    inverse : (n,) int64 array
        Item ``i`` has the hash of item ``representatives[inverse[i]]``.
    a, b : (n_pairs,) int64 arrays
        Positions of representatives within the radius of each other, ``a < b``, in lexicographic order.
    """

    representatives: Indices
    inverse: Indices
    a: Indices
    b: Indices

    @property
    def sizes(self) -> Indices:
        """(n_distinct,) number of items with each distinct hash."""
        return np.bincount(self.inverse, minlength=len(self.representatives))

    @property
    def n_expanded(self) -> int:
        """Number of pairs that `expand` would return, found without making them."""
        sizes = self.sizes
        equal = int((sizes * (sizes - 1) // 2).sum())
        return equal + int((sizes[self.inverse[self.a]] * sizes[self.inverse[self.b]]).sum())

    def stars(self) -> tuple[Indices, Indices]:
        """Pairs of each representative with the other items of its hash: as many as there are such items.

        Returns
        -------
        a, b : (n - n_distinct,) int64 arrays
            ``a < b``, in lexicographic order.
        """
        centers = self.representatives[self.inverse]
        members = np.flatnonzero(centers != np.arange(len(centers)))
        order = np.lexsort((members, centers[members]))
        return centers[members][order], members[order]

    def expand(self) -> tuple[Indices, Indices]:
        """All pairs of items within the radius; quadratic in the number of equal hashes.

        Returns
        -------
        a, b : (n_expanded,) int64 arrays
            ``a < b``, in lexicographic order.
        """
        repeated = np.flatnonzero(self.sizes > 1)
        left = np.concatenate([self.inverse[self.a], repeated])
        right = np.concatenate([self.inverse[self.b], repeated])
        a, b = _expand_groups(left, self.inverse, right, self.inverse)
        wanted = (self.inverse[a] != self.inverse[b]) | (a < b)
        a, b = a[wanted], b[wanted]
        return _sorted_pairs(np.minimum(a, b), np.maximum(a, b), len(self.inverse))


def join_pairs_within(
    hashes: NDArray[np.uint64],
    radius_bits: int,
    *,
    backend: Backend = "auto",
    n_threads: int | None = None,
) -> HammingJoin:
    """Find all pairs of distinct hashes that differ in at most `radius_bits` bits.

    Parameters
    ----------
    hashes : (n,) or (n, k) uint64 array
        One hash of 64 k bits an item.
    radius_bits : int
        Inclusive, at least 0.
    backend : {"auto", "numpy", "numba"}
        Changes the time only.
    n_threads : int, optional
        All cores this process may use, by default.

    Returns
    -------
    HammingJoin

    Raises
    ------
    UsageError
        If the hashes are not uint64 of one or two dimensions, or the radius is negative.
    MissingExtraError
        If numba is asked for by name and not installed.
    """
    words = _as_words(hashes, "hashes")
    _check_radius(radius_bits)
    representatives, inverse = _distinct_rows(words)
    distinct = words[representatives]
    codes = search_codes(distinct, distinct, radius_bits, True, _no_shift(words), backend, n_threads)
    a, b = _split_codes(codes, len(distinct))
    return HammingJoin(representatives, inverse, representatives[a], representatives[b])


def pairs_within(
    hashes: NDArray[np.uint64],
    radius_bits: int,
    *,
    backend: Backend = "auto",
    n_threads: int | None = None,
) -> tuple[Indices, Indices]:
    """Find all pairs of items whose hashes differ in at most `radius_bits` bits, equal hashes included.

    ``join_pairs_within(...).expand()``: quadratic in the number of items with equal hashes. Parameters and
    errors are those of `join_pairs_within`.

    Returns
    -------
    a, b : (n_pairs,) int64 arrays
        Positions, ``a < b``, in lexicographic order.
    """
    return join_pairs_within(hashes, radius_bits, backend=backend, n_threads=n_threads).expand()


def join_within(
    queries: NDArray[np.uint64],
    stored: NDArray[np.uint64],
    radius_bits: int,
    *,
    backend: Backend = "auto",
    n_threads: int | None = None,
) -> tuple[Indices, Indices]:
    """Find, for every query, all stored hashes that differ from it in at most `radius_bits` bits.

    Parameters
    ----------
    queries : (n,) or (n, k) uint64 array
    stored : (m,) or (m, k) uint64 array
    radius_bits, backend, n_threads
        As for `join_pairs_within`, and the same errors.

    Returns
    -------
    i, j : (n_pairs,) int64 arrays
        Positions in `queries` and in `stored`, in lexicographic order.
    """
    query_words, stored_words = _as_words(queries, "queries"), _as_words(stored, "stored")
    _check_radius(radius_bits)
    if query_words.shape[1] != stored_words.shape[1] and len(query_words) and len(stored_words):
        raise UsageError(
            f"hashes of {64 * query_words.shape[1]} bits were searched among hashes of "
            f"{64 * stored_words.shape[1]}; both must come from the same feature"
        )
    return _join(query_words, stored_words, radius_bits, _no_shift(stored_words), backend, n_threads)


def _join(
    queries: Words, stored: Words, radius: int, shifts: Words, backend: Backend, n_threads: int | None
) -> tuple[Indices, Indices]:
    """Positions in `queries` and in `stored` of all pairs within the radius, equal hashes collapsed."""
    query_first, query_inverse = _distinct_rows(queries)
    stored_first, stored_inverse = _distinct_rows(stored)
    codes = search_codes(
        queries[query_first], stored[stored_first], radius, False, shifts, backend, n_threads
    )
    query_group, stored_group = _split_codes(codes, len(stored_first))
    i, j = _expand_groups(query_group, query_inverse, stored_group, stored_inverse)
    return _sorted_pairs(i, j, len(stored))


def _no_shift(words: Words) -> Words:
    return np.zeros((1, words.shape[1]), np.uint64)


def join_variants_within(
    stored: NDArray[np.uint64],
    variants: NDArray[np.uint64],
    radius_bits: int,
    *,
    backend: Backend = "auto",
    n_threads: int | None = None,
) -> HammingJoin:
    """Find all pairs of items of which one, in any of its variants, is near the other.

    Items ``i`` and ``j`` pair when any variant of ``i`` is within the radius of the stored hash of ``j``, or
    any of ``j`` of that of ``i``. With the hashes of a picture's eight orientations as variants, this finds
    turned and mirrored copies.

    Parameters
    ----------
    stored : (n,) uint64 array
        What each item is found by.
    variants : (n, v) uint64 array
        What each item looks for.
    radius_bits, backend, n_threads
        As for `join_pairs_within`, and the same errors.

    Returns
    -------
    HammingJoin
        Items are collapsed where both the stored hash and all variants are equal.
    """
    _check_radius(radius_bits)
    rows, representatives, inverse = distinct_variants(stored, variants)
    low, high = join_blocks(rows, None, radius_bits, backend=backend, n_threads=n_threads)
    return HammingJoin(representatives, inverse, representatives[low], representatives[high])


def join_variants_with(
    stored: NDArray[np.uint64],
    variants: NDArray[np.uint64],
    is_wanted: NDArray[np.bool_],
    radius_bits: int,
) -> HammingJoin:
    """Those pairs of `join_variants_within` of which one is wanted: a few new items among many.

    Parameters
    ----------
    stored, variants, radius_bits
        As there, and the same errors.
    is_wanted : (n,) bool
    """
    _check_radius(radius_bits)
    rows, representatives, inverse = distinct_variants(stored, variants)
    is_new = np.zeros(len(rows), bool)
    is_new[inverse[is_wanted]] = True
    new, old = np.flatnonzero(is_new), np.flatnonzero(~is_new)
    i, j = join_blocks(rows[new], None, radius_bits)
    k, other = join_blocks(rows[new], rows[old], radius_bits)
    a, b = np.concatenate([new[i], new[k]]), np.concatenate([new[j], old[other]])
    codes = np.minimum(a, b) * np.int64(len(rows)) + np.maximum(a, b)
    low, high = _split_codes(np.sort(codes), len(rows))
    return HammingJoin(representatives, inverse, representatives[low], representatives[high])


def distinct_variants(
    stored: NDArray[np.uint64], variants: NDArray[np.uint64]
) -> tuple[NDArray[np.uint64], Indices, Indices]:
    """Items with their variants, equal ones collapsed: what `join_blocks` joins.

    Returns
    -------
    rows : (n_distinct, 1 + v) uint64
        The stored hash, then the variants.
    representatives : (n_distinct,) int64
        The first item of each row, ascending.
    inverse : (n,) int64
        The row of each item.
    """
    words = _as_words(stored, "stored")
    if words.shape[1] != 1 or variants.ndim != 2 or len(variants) != len(words):
        raise UsageError(
            f"stored must be (n,) and variants (n, v) uint64, not {stored.shape} and {variants.shape}"
        )
    rows = np.concatenate([words, _as_words(variants, "variants")], axis=1)
    representatives, inverse = _distinct_rows(rows)
    return rows[representatives], representatives, inverse


def join_blocks(
    rows: NDArray[np.uint64],
    others: NDArray[np.uint64] | None,
    radius_bits: int,
    *,
    backend: Backend = "auto",
    n_threads: int | None = None,
) -> tuple[Indices, Indices]:
    """Pairs of rows of two blocks, of which one in any of its variants is near the other.

    Together the joins of all pairs of blocks find what the join of the whole collection finds.

    Parameters
    ----------
    rows : (n, 1 + v) uint64
        See `distinct_variants`.
    others : (m, 1 + v) uint64 or None
        None: `rows` with itself, each pair once.

    Returns
    -------
    i, j : (n_pairs,) int64
        Positions in `rows` and in `others` (in `rows`, with ``i < j``), in lexicographic order.
    """
    n = len(rows if others is None else others)
    if others is None:
        codes = _self_join(rows, radius_bits, backend, n_threads)
    else:
        i, j = _looked_up(rows, others, radius_bits, backend, n_threads)
        back_j, back_i = _looked_up(others, rows, radius_bits, backend, n_threads)
        codes = np.concatenate([i * np.int64(n) + j, back_i * np.int64(n) + back_j])
    return _split_codes(np.unique(codes), n)


def _self_join(rows: Words, radius_bits: int, backend: Backend, n_threads: int | None) -> Indices:
    """Codes ``low * n + high`` of the pairs of rows, some of them twice."""
    n = len(rows)
    parts = [np.zeros(0, np.int64)]
    for column, shifts in _shifted_columns(rows[:, 1:]):
        queries = np.ascontiguousarray(rows[:, 1 + column, None])
        known = np.ascontiguousarray(rows[:, :1])
        if np.array_equal(queries, known):
            parts.append(search_codes(known, known, radius_bits, True, shifts, backend, n_threads))
            continue
        mirror = _mirror_of(queries, known, shifts)
        if mirror is None:
            i, j = _join(queries, known, radius_bits, shifts, backend, n_threads)
        else:
            codes = search_codes(queries, known, radius_bits, False, shifts, backend, n_threads, mirror)
            i, j = _split_codes(codes, n)
        different = i != j
        parts.append(np.minimum(i, j)[different] * np.int64(n) + np.maximum(i, j)[different])
    return np.concatenate(parts)


def _mirror_of(queries: Words, known: Words, shifts: Words) -> tuple[int, ...] | None:
    """How the bits of each known hash are exchanged in its query, if it is the same exchange for all.

    Then a pair is found from both sides: what separates the query of one from the other hash separates,
    with bits exchanged, the other's query from the one. The hash of a transposed picture is such a query.
    None where it is another kind of query, where the exchange is not its own inverse or does not keep the
    shifts, or where equal hashes would have to be told apart.
    """
    sample = slice(_MIRROR_SAMPLE)
    of_known, of_queries = (
        np.unpackbits(words[sample].view(np.uint8), axis=1, bitorder="little").T for words in (known, queries)
    )
    bit_of = {column.tobytes(): bit for bit, column in enumerate(of_known)}
    mirror = tuple(bit_of.get(column.tobytes(), -1) for column in of_queries)
    is_involution = all(0 <= bit < len(mirror) and mirror[bit] == k for k, bit in enumerate(mirror))
    if not is_involution or len(_distinct_rows(known)[0]) < len(known):
        return None
    keeps_shifts = np.array_equal(np.unique(_exchanged(shifts, mirror), axis=0), shifts)
    return mirror if keeps_shifts and np.array_equal(_exchanged(known, mirror), queries) else None


def _exchanged(words: Words, mirror: tuple[int, ...]) -> Words:
    """Hashes whose bit ``i`` is bit ``mirror[i]`` of `words`."""
    result, one = np.zeros_like(words), np.uint64(1)
    for bit, source in enumerate(mirror):
        value = (words[:, source // 64] >> np.uint64(source % 64)) & one
        result[:, bit // 64] |= value << np.uint64(bit % 64)
    return result


def _looked_up(
    rows: Words, others: Words, radius_bits: int, backend: Backend, n_threads: int | None
) -> tuple[Indices, Indices]:
    """Positions of the rows of which a variant is near what one of the others is found by, and of these."""
    known = np.ascontiguousarray(others[:, :1])
    parts = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
    for column, shifts in _shifted_columns(rows[:, 1:]):
        queries = np.ascontiguousarray(rows[:, 1 + column, None])
        parts.append(_join(queries, known, radius_bits, shifts, backend, n_threads))
    return np.concatenate([i for i, _ in parts]), np.concatenate([j for _, j in parts])


def _shifted_columns(variants: Words) -> Iterator[tuple[int, Words]]:
    """Columns to search by, each with the shifts that make others of it: XOR by one and the same value.

    The hash of a mirrored picture is that of the picture with some bits changed, so that four of its eight
    orientations are searched at once.
    """
    left = list(range(variants.shape[1])) if len(variants) else []
    while left:
        lead = left[0]
        changes = variants[:, left] ^ variants[:, [lead]]
        is_shift = (changes == changes[0]).all(axis=0)
        yield lead, np.unique(changes[0, is_shift]).reshape(-1, 1)
        left = [column for column, taken in zip(left, is_shift, strict=True) if not taken]


def _as_words(hashes: NDArray[np.uint64], name: str) -> Words:
    if hashes.dtype != np.uint64 or hashes.ndim not in (1, 2):
        raise UsageError(
            f"{name} must be an (n,) or (n, k) array of uint64, not {hashes.ndim}-dimensional {hashes.dtype}"
        )
    return np.ascontiguousarray(hashes.reshape(len(hashes), -1 if hashes.size else max(1, hashes.shape[-1])))


def _check_radius(radius_bits: int) -> None:
    if radius_bits < 0:
        raise UsageError(f"a radius of {radius_bits} bits is negative; 0 finds equal hashes")


def _distinct_rows(words: Words) -> tuple[Indices, Indices]:
    """First position of each distinct row, ascending, and which of these each row equals."""
    order = np.lexsort(words.T[::-1])
    ordered = words[order]
    is_first = np.ones(len(words), bool)
    is_first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    first = order[is_first]
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    inverse = np.empty(len(words), np.int64)
    inverse[order] = rank[np.cumsum(is_first) - 1]
    return np.sort(first), inverse


def _expand_groups(
    left: Indices, left_inverse: Indices, right: Indices, right_inverse: Indices
) -> tuple[Indices, Indices]:
    """Pairs of groups -> all pairs of their members."""
    left_items, right_items = (
        np.argsort(left_inverse, kind="stable"),
        np.argsort(right_inverse, kind="stable"),
    )
    left_sizes, right_sizes = np.bincount(left_inverse), np.bincount(right_inverse)
    left_starts, right_starts = np.cumsum(left_sizes) - left_sizes, np.cumsum(right_sizes) - right_sizes
    pair, offset = ragged_range(left_sizes[left] * right_sizes[right])
    n_right = right_sizes[right[pair]]
    i = left_items[left_starts[left[pair]] + offset // n_right]
    j = right_items[right_starts[right[pair]] + offset % n_right]
    return i, j


def _sorted_pairs(a: Indices, b: Indices, n: int) -> tuple[Indices, Indices]:
    """The pairs in lexicographic order; all of `b` is below `n`."""
    codes = a * np.int64(max(n, 1)) + b
    codes.sort()
    return _split_codes(codes, n)


def _split_codes(codes: Indices, n: int) -> tuple[Indices, Indices]:
    return np.divmod(codes, np.int64(max(n, 1)))
