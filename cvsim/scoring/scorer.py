"""From pairs to scores: the one place where a pair is scored, for every command and every backend."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.errors import DamagedStoreError
from cvsim.executors.forks import map_in_forks
from cvsim.features.base import overlaying
from cvsim.features.evidence import EVIDENCE, EVIDENCE_VERSION, no_evidence, similarities, without_drawn
from cvsim.groups.components import component_labels
from cvsim.scoring.model import IDENTITY, TEXTURE
from cvsim.stores.base import chunks_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cvsim.features.base import OverlayFeature
    from cvsim.reading.collection import Collection
    from cvsim.scoring.model import FusionModel
    from cvsim.stores import Store
    from cvsim.types import Indices, Similarities

CHUNK_PAIRS = 512
_FETCHED_AT_ONCE = 64
MAX_HELD = 512
"""Local descriptors held in memory from one chunk to the next, about 45 kB each, 60 once compared."""


@dataclass(frozen=True, eq=False)
class Scores:
    """Scored pairs, as columns.

    Attributes
    ----------
    a, b : (n,) int64
        ``a < b``.
    similarities : mapping of str to (n,) float32
        By signal, NaN for no evidence.
    orientation : (n,) int64
        Of `a` over `b` as whole pictures, of `cvsim.features.orientation`; 0 where no signal knows.
    evidence : (n,) array of `EVIDENCE`
        Blank where the local signal was not asked.
    log_odds : (n,) float64
    """

    a: Indices
    b: Indices
    similarities: Mapping[str, Similarities]
    orientation: Indices
    evidence: NDArray[Any]
    log_odds: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.a)

    def with_equal_pixels(self, rows: Sequence[int], model: FusionModel) -> Scores:
        """The same once the pixels of some pairs are known to be equal: as if that had been known before."""
        identity = self.similarities[IDENTITY].copy()
        new = [row for row in rows if np.isnan(identity[row])]
        if not new:
            return self
        identity[new] = 1
        log_odds = self.log_odds.copy()
        log_odds[new] += model.weights({IDENTITY: identity[new]})[IDENTITY]
        return replace(self, similarities={**self.similarities, IDENTITY: identity}, log_odds=log_odds)

    def joined(self, *others: Scores) -> Scores:
        """All of them, in the order of pairs."""
        parts = (self, *(other for other in others if len(other)))
        if len(parts) == 1:
            return self
        a, b = np.concatenate([p.a for p in parts]), np.concatenate([p.b for p in parts])
        order = np.lexsort((b, a))
        return Scores(
            a[order],
            b[order],
            {
                name: np.concatenate([p.similarities[name] for p in parts])[order]
                for name in self.similarities
            },
            np.concatenate([p.orientation for p in parts])[order],
            np.concatenate([p.evidence for p in parts])[order],
            np.concatenate([p.log_odds for p in parts])[order],
        )


@dataclass(frozen=True, eq=False)
class GlobalSimilarities:
    """What the global signals say of some pairs.

    Attributes
    ----------
    similarities : mapping of str to (n,) float32
    orientation : (n,) int64
        See `Scores`.
    """

    similarities: Mapping[str, Similarities]
    orientation: Indices

    @property
    def together(self) -> NDArray[np.float64]:
        """Of each pair the sum of what is known, (n,)."""
        none = np.zeros(len(self.orientation))
        return none + sum(np.nan_to_num(s) for s in self.similarities.values())

    def __getitem__(self, rows: Any) -> GlobalSimilarities:
        """The same of some of the pairs, by positions or by a mask."""
        return GlobalSimilarities(
            {name: s[rows] for name, s in self.similarities.items()}, self.orientation[rows]
        )


class Descriptors:
    """The local descriptors of a collection, fetched from the store when needed, a bounded number held.

    All calls come from one thread, as the store wants; what `fetch` returns may be read by others.
    """

    def __init__(self, feature: OverlayFeature[Any], digests: Sequence[str], store: Store) -> None:
        self._feature = feature
        self._digests = digests
        self._store = store
        self._held: OrderedDict[str, tuple[Any, bytes]] = OrderedDict()

    def each(self, rows: Indices) -> Iterator[Any]:
        """The descriptors of some pictures, one after the other, which are not held; None for one without."""
        for some in chunks_of(rows.tolist(), _FETCHED_AT_ONCE):
            found = self._found(list({self._digests[row] for row in some}))  # one may lie on several sides
            for row in some:
                data = found[self._digests[row]]
                yield None if data is None else self._feature.from_bytes(data)

    def _found(self, digests: Sequence[str]) -> dict[str, bytes | None]:
        found = self._store.descriptors(self._feature.key, digests)
        if len(found) < len(digests):
            raise DamagedStoreError(f"{self._store.location} has lost what it held of {self._feature.name}")
        return found

    def fetch(self, rows: Indices) -> dict[int, tuple[Any, bytes]]:
        """Get descriptors by position, each with a digest, which is equal for two of the same pixels.

        The descriptor is None for a picture without evidence.
        """
        wanted = {int(row): self._digests[int(row)] for row in rows}
        missing = sorted({digest for digest in wanted.values() if digest not in self._held})
        found = self._found(missing) if missing else {}
        for digest in missing:
            data = found[digest]
            descriptor = None if data is None else self._feature.from_bytes(data)
            self._held[digest] = descriptor, blake2b(data or b"", digest_size=16).digest()
        result = {}
        for row, digest in wanted.items():
            self._held.move_to_end(digest)
            result[row] = self._held[digest]
        while len(self._held) > MAX_HELD:
            self._held.popitem(last=False)
        return result


class Scorer:
    """Scores pairs of one collection.

    Parameters
    ----------
    collection : Collection
        A pair is stored under the digests of its sides, in the collection's store.
    model : FusionModel
    min_log_odds : float
        The local signal is left out where even its best result could not lift a pair to this.
    n_workers : int
    """

    def __init__(
        self,
        collection: Collection,
        model: FusionModel,
        *,
        min_log_odds: float,
        n_workers: int = 1,
    ) -> None:
        self._global = [feature for feature in collection.features if not feature.overlays]
        self.local = overlaying(collection.features)
        self._collection, self._packed = collection, collection.packed
        self._texture = collection.told(lambda feature, packed: feature.texture(packed))
        self._digests = collection.digests
        self._store = collection.store
        self._model = model
        self._min_log_odds = min_log_odds
        self._n_workers = n_workers
        self.n_verified = 0
        self._verified_looks: dict[tuple[bytes, bytes], bytes] = {}
        if self.local is not None:
            self.descriptors = Descriptors(self.local, self._digests, self._store)
            self._pair_key = f"pair:{EVIDENCE_VERSION}:{self.local.key}"
            self._known: dict[tuple[str, str], bytes] | None = None

    def least_log_odds(self, glance: GlobalSimilarities) -> NDArray[np.float64]:
        """What the score of each pair cannot fall below, without asking the local signal."""
        worst = self._model.least(self.local.signals if self.local is not None else ())
        least = self._model.bound(glance.similarities, upper=False)
        return np.full(len(glance.orientation), worst) + least

    def glance(self, a: Indices, b: Indices) -> GlobalSimilarities:
        """What the global signals say of the pairs ``zip(a, b)``."""
        found: dict[str, Similarities] = {}
        orientation = np.zeros(len(a), np.int64)
        order = _related_together(a, b, np.arange(len(a)))
        a, b = a[order], b[order]
        for feature in self._global:
            packed = self._packed[feature.name]
            if feature.names_orientation:
                found[feature.name], orientation = feature.compare_oriented(packed, a, b)
            else:
                found.update(feature.compare_many(packed, a, b))
        texture = self._texture
        if texture is not None:
            found[TEXTURE] = np.fmax(texture[a], texture[b])
        pixels = self._collection.pixels
        same = (pixels[a] == pixels[b]) & (pixels[a] >= 0)
        found[IDENTITY] = np.where(same, np.float32(1), np.float32(np.nan))
        return GlobalSimilarities(found, orientation)[np.argsort(order)]

    def score(
        self,
        a: Indices,
        b: Indices,
        advance: Callable[[int], None] = lambda n: None,
        glance: GlobalSimilarities | None = None,
    ) -> Scores:
        """Score the pairs ``zip(a, b)``; `advance` is told of each pair that is done."""
        glance = glance or self.glance(a, b)
        found, orientation = dict(glance.similarities), glance.orientation
        evidence = np.full(len(a), no_evidence(), EVIDENCE)
        if self.local is None:
            advance(len(a))
        else:
            asked = np.flatnonzero(self._may_reach(found, len(a)))
            advance(len(a) - len(asked))
            evidence[asked] = self._evidence(a[asked], b[asked], advance)
            found.update(similarities(evidence))
            if TEXTURE in found:
                found[TEXTURE] = without_drawn(found[TEXTURE], found["pixels"], evidence["drawn"])
        return Scores(a, b, found, orientation, evidence, self._model.log_odds(found) + np.zeros(len(a)))

    def _may_reach(self, found: Mapping[str, Similarities], n: int) -> NDArray[np.bool_]:
        assert self.local is not None
        best = self._model.most(self.local.signals)
        return self._model.bound(found, upper=True) + np.zeros(n) + best >= self._min_log_odds

    def _evidence(self, a: Indices, b: Indices, advance: Callable[[int], None]) -> NDArray[Any]:
        """Evidence of the pairs, from the store where it is known."""
        rows = np.full(len(a), no_evidence(), EVIDENCE)
        todo = []
        for k, pair in enumerate(self._pairs_of(a, b)):
            data = self._known_pairs().get(pair)
            if data is None:
                todo.append(k)
            else:
                rows[k] = np.frombuffer(data, EVIDENCE)[0]
        advance(len(a) - len(todo))
        order = _related_together(a, b, np.array(todo, np.int64))
        for start in range(0, len(order), CHUNK_PAIRS):
            part = order[start : start + CHUNK_PAIRS]
            rows[part] = self._verified(a[part], b[part], advance)
            self._remember(a[part], b[part], rows[part])
        return rows

    def _pairs_of(self, a: Indices, b: Indices) -> Iterator[tuple[str, str]]:
        for i, j in zip(a.tolist(), b.tolist(), strict=True):
            yield self._digests[i], self._digests[j]

    def _known_pairs(self) -> dict[tuple[str, str], bytes]:
        if self._known is None:
            self._known = dict(self._store.pairs(self._pair_key, self._digests))
        return self._known

    def _verified(self, a: Indices, b: Indices, advance: Callable[[int], None]) -> NDArray[Any]:
        """Evidence of the pairs, in order; half of it is the interpreter's work, so it is done in forks.

        What looks the same to the last bit is verified once, however many files show it.
        """
        assert self.local is not None
        local, fetched = self.local, self.descriptors.fetch(np.unique(np.concatenate([a, b])))
        first_of: dict[tuple[bytes, bytes], tuple[int, int]] = {}
        pairs = list(zip(a.tolist(), b.tolist(), strict=True))
        looks = [(fetched[i][1], fetched[j][1]) for i, j in pairs]
        for look, pair in zip(looks, pairs, strict=True):
            if look not in self._verified_looks:
                first_of.setdefault(look, pair)
        todo = list(first_of.values())

        def verify(k: int) -> bytes:
            i, j = todo[k]
            row: NDArray[Any] = local.evidence_or_none(fetched[i][0], fetched[j][0])
            return row.tobytes()

        rows = map_in_forks(verify, len(todo), self._n_workers)
        self._verified_looks.update(zip(first_of, rows, strict=True))
        self.n_verified += len(todo)
        advance(len(pairs))
        return np.frombuffer(b"".join(self._verified_looks[look] for look in looks), EVIDENCE)

    def _remember(self, a: Indices, b: Indices, rows: NDArray[Any]) -> None:
        new = {pair: rows[k].tobytes() for k, pair in enumerate(self._pairs_of(a, b))}
        self._store.put_pairs(self._pair_key, new)


def _related_together(a: Indices, b: Indices, rows: Indices) -> Indices:
    """The rows in an order in which pairs of one picture are near each other: it is fetched once for all."""
    n_pictures = int(max(a.max(initial=-1), b.max(initial=-1))) + 1
    label = component_labels(n_pictures, a[rows], b[rows])
    return rows[np.lexsort((b[rows], a[rows], label[a[rows]]))]
