"""A collection: the pictures of a run as a value, with what scoring needs of them all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from cvsim.errors import DamagedStoreError
from cvsim.reading.identity import pixel_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.features.base import Feature
    from cvsim.reading.nodes import Node
    from cvsim.stores import Store
    from cvsim.types import Indices

T = TypeVar("T")


class Collection:
    """The pictures of a run, by position.

    Parameters
    ----------
    nodes : sequence of Node
    features : sequence of Feature
    store : Store
        Holds the descriptors of every node.

    Attributes
    ----------
    digests : list of str
        Of the nodes' contents.
    packed : dict of str to packed descriptors
        By feature name, of all features but the one that lays pictures over each other, whose descriptors
        are fetched when they are needed.
    n_pixels : (n,) int64
        Of each picture; a damaged one counts as none.
    side : (n,) int64
        The side of each node, from 0.
    is_reference : (n,) bool
        Of which two are no pair.
    is_plain : (n,) bool
        Of which no whole-picture feature has evidence: flat, nearly black, or all but empty.
    """

    def __init__(self, nodes: Sequence[Node], features: Sequence[Feature[Any]], store: Store) -> None:
        self.nodes, self.features, self.store = nodes, tuple(features), store
        self.digests = [node.digest for node in nodes]
        self.packed, self.is_plain = pack_descriptors(features, self.digests, store)
        self.n_pixels = np.array([0 if n.first.damaged else n.first.n_pixels for n in nodes], np.int64)
        sides = {side: k for k, side in enumerate(sorted({node.side for node in nodes}))}
        self.side: Indices = np.array([sides[node.side] for node in nodes], np.int64)
        self.is_reference = _mask(node.is_reference for node in nodes)
        self._between_only = any(node.root is not None for node in nodes)
        contents = {digest: k for k, digest in enumerate(dict.fromkeys(self.digests))}
        self._content = np.array([contents[digest] for digest in self.digests], np.int64)

    def __len__(self) -> int:
        return len(self.nodes)

    def quality(self) -> NDArray[np.float64]:
        """(n,) about the order in which keep rules prefer pictures: it saves work and decides nothing."""
        sizes = np.array([node.first.size_bytes for node in self.nodes], np.int64)
        return np.argsort(np.lexsort((sizes, self.n_pixels))).astype(np.float64)

    def is_allowed(self, a: Indices, b: Indices) -> NDArray[np.bool_]:
        """Which pairs count: not both under references, and between two arguments if only those do."""
        allowed = ~(self.is_reference[a] & self.is_reference[b])
        if self._between_only:
            allowed &= self.side[a] != self.side[b]
        return allowed

    def differ(self, a: Indices, b: Indices) -> NDArray[np.bool_]:
        """Which pairs are of two contents."""
        different: NDArray[np.bool_] = self._content[a] != self._content[b]
        return different

    def told(self, ask: Callable[[Feature[Any], Any], T | None]) -> T | None:
        """What the first feature answers that knows: `ask` gets each feature and its packed descriptors."""
        answers = (ask(f, self.packed[f.name]) for f in self.features if not f.overlays)
        return next((answer for answer in answers if answer is not None), None)

    @cached_property
    def pixels(self) -> Indices:
        """See `cvsim.reading.identity.pixel_numbers`."""
        return pixel_numbers(self.digests, self.store)

    def same_pixels(self) -> tuple[Indices, Indices]:
        """Neighbouring nodes of equal pixels."""
        order = np.argsort(self.pixels, kind="stable")
        ordered = self.pixels[order]
        k = np.flatnonzero((ordered[1:] == ordered[:-1]) & (ordered[1:] >= 0))
        return order[k], order[k + 1]

    def same_content(self) -> tuple[Indices, Indices]:
        """Neighbouring nodes of one content: the same bytes on two sides."""
        b = np.flatnonzero(np.r_[False, self._content[1:] == self._content[:-1]][: len(self)])
        allowed = self.is_allowed(b - 1, b)
        return b[allowed] - 1, b[allowed]


def pack_descriptors(
    features: Sequence[Feature[Any]], digests: Sequence[str], store: Store
) -> tuple[dict[str, Any], NDArray[np.bool_]]:
    """Packed descriptors by feature name, and (n,) whether a picture has evidence of none of them.

    A feature that overlays pictures has none: its descriptors are fetched when they are needed.
    """
    packed: dict[str, Any] = {}
    is_plain = np.ones(len(digests), bool)
    for feature in features:
        if feature.overlays:
            continue
        data = store.descriptors(feature.key, set(digests))
        if not data.keys() >= set(digests):
            raise DamagedStoreError(f"{store.location} has lost what it held of {feature.name}")
        packed[feature.name] = feature.pack(
            [None if (d := data.get(digest)) is None else feature.from_bytes(d) for digest in digests]
        )
        if feature.sees_pixels:
            is_plain &= _mask(not data[digest] for digest in digests)
    return packed, is_plain


def _mask(flags: Iterable[bool]) -> NDArray[np.bool_]:
    return np.fromiter(flags, bool)
