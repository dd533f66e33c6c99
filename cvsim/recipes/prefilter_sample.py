"""How much of what there is to find a cutoff keeps, measured on copies made of the user's own pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.errors import CvsimError
from cvsim.executors.base import Demand
from cvsim.features.base import Feature
from cvsim.groups.components import connected_components
from cvsim.groups.evaluation import RECALL_CUTOFFS
from cvsim.images.decode import decode
from cvsim.images.encoded import Content, read_content
from cvsim.reading.collection import Collection
from cvsim.reading.extraction import DECODER, artefacts, working_px
from cvsim.reading.nodes import Node
from cvsim.recipes.alterations import (
    ALTERATIONS,
    JPEG_QUALITIES,
    MAX_PX,
    PASTED_SHARES,
    altered,
    jpeg_bytes,
    pasted,
)
from cvsim.recipes.linking import Linker
from cvsim.recipes.prefilter_pairs import NEIGHBOUR_SIGNALS, LeveledPairs, blank_pairs, leveled_pairs
from cvsim.stores import Extraction, ImageInfo, MemoryStore
from cvsim.types import ImageRecord

if TYPE_CHECKING:
    from cvsim.executors.base import Executor
    from cvsim.progress import Progress
    from cvsim.types import RGB, Indices

_ALTER_TIMEOUT_S = 60.0


@dataclass(frozen=True, eq=False)
class CopySample:
    """Candidates among copies that were made of a few pictures, and which of them are true.

    Attributes
    ----------
    n_copies : int
        Made of all originals together.
    n_true : (n_originals,) int64
        True pairs among each original and its copies.
    candidates : LeveledPairs or None
    original : (n,) int64
        Of both sides of each candidate; -1 where they have two.
    """

    n_copies: int
    n_true: Indices
    candidates: LeveledPairs | None
    original: Indices

    @classmethod
    def of(
        cls,
        linker: Linker,
        candidates: LeveledPairs,
        n_sampled: int,
        *,
        pairs_blank: bool,
        executor: Executor,
        progress: Progress,
        n_workers: int = 1,
    ) -> CopySample:
        """Make copies of some pictures and find candidates among them."""
        collection = linker.collection
        chosen = _representatives(linker, candidates)
        store = MemoryStore()
        job = CopiesJob.of(collection, chosen[:n_sampled], chosen[n_sampled:])
        source = _make_copies(collection, chosen[:n_sampled], job, store, executor, progress)
        if len(source) < 2:
            return cls(0, np.zeros(0, np.int64), None, np.zeros(0, np.int64))
        nodes = [Node(digest, (_record(digest),)) for digest in sorted(source)]
        copies = Collection(nodes, collection.features, store)
        others = _put_descriptors(collection, chosen[n_sampled:], store)
        blank = blank_pairs(copies, most=np.inf) if pairs_blank else None
        found = leveled_pairs(Linker(copies, linker.plan, n_workers=n_workers), blank, others=others)
        owner = np.array([source[node.digest] for node in nodes])
        counts = np.bincount(owner)
        original = np.where(owner[found.a] == owner[found.b], owner[found.a], -1)
        return cls(len(nodes), counts * (counts - 1) // 2, found, original)

    def recall(self, cutoff: float) -> tuple[float, float]:
        """Share of the true pairs that are kept, and its standard error over the originals."""
        assert self.candidates is not None
        kept = self.original[(self.candidates.level >= cutoff) & (self.original >= 0)]
        n_kept = np.bincount(kept, minlength=len(self.n_true))
        shares = n_kept[self.n_true > 0] / self.n_true[self.n_true > 0]
        error = shares.std(ddof=1) / len(shares) ** 0.5 if len(shares) > 1 else 0.0
        return float(n_kept.sum() / self.n_true.sum()), float(error)

    def cutoff_for(self, wanted: float) -> float:
        """See `best_cutoff`; without copies the lowest."""
        if self.candidates is None:
            return RECALL_CUTOFFS[-1]
        return best_cutoff([self.recall(cutoff) for cutoff in RECALL_CUTOFFS], wanted)


def best_cutoff(recalls: Sequence[tuple[float, float]], wanted: float) -> float:
    """The highest of `RECALL_CUTOFFS` with the wanted recall, or with as much as can be told from the best.

    The sample is small, so what is asked for must be reached by more than its standard error. Where no cutoff
    does, a lower one would pay for what may be chance: the one-standard-error rule of L. Breiman et al.,
    "Classification and regression trees" (1984).

    Parameters
    ----------
    recalls : sequence of (float, float)
        Recall and its standard error, by cutoff.
    wanted : float
    """
    surely = [recall - error for recall, error in recalls]
    if max(surely) >= wanted:
        return next(cutoff for cutoff, least in zip(RECALL_CUTOFFS, surely, strict=True) if least >= wanted)
    best, error = max(recalls)
    return next(
        cutoff for cutoff, (recall, _) in zip(RECALL_CUTOFFS, recalls, strict=True) if recall >= best - error
    )


def _representatives(linker: Linker, candidates: LeveledPairs) -> list[int]:
    """The best picture of each group, in the order of digests, which is no order at all.

    Copies of copies would be harder to find than those that people make: a crop of a crop shows nothing.
    """
    n, nodes = len(linker.collection), linker.collection.nodes
    grouping = connected_components(n, candidates.a, candidates.b, candidates.level, linker.plan.threshold)
    pixels = linker.collection.n_pixels
    best = [members[int(np.argmax(pixels[members]))] for members in grouping.groups(min_size=1)]
    return sorted(int(k) for k in best if not nodes[int(k)].first.damaged)


def _make_copies(
    collection: Collection,
    chosen: Sequence[int],
    job: CopiesJob,
    store: MemoryStore,
    executor: Executor,
    progress: Progress,
) -> dict[str, int]:
    """Put the copies of the chosen pictures into `store`; the number of its original by digest."""
    paths = [collection.nodes[k].first.path for k in chosen]
    source: dict[str, int] = {}
    with progress.task("Making copies", len(paths)) as advance:
        for path, outcome in executor.map(job, paths, timeout_s=_ALTER_TIMEOUT_S):
            advance(1)
            if isinstance(outcome, CvsimError):
                continue  # a picture that cannot be read again is no sample
            for extraction in outcome:
                store.put(extraction)
                source[extraction.digest] = paths.index(path)
    return source


def _put_descriptors(collection: Collection, rows: Sequence[int], store: MemoryStore) -> list[str]:
    """Put into `store` what neighbours are found by of some pictures of the run; their digests."""
    digests = [collection.digests[row] for row in rows]
    for feature in collection.features:
        if feature.name in NEIGHBOUR_SIGNALS:
            for digest, data in collection.store.descriptors(feature.key, digests).items():
                store.put(Extraction(digest, artefacts={feature.key: data}))
    return digests


def _record(digest: str) -> ImageRecord:
    return ImageRecord(path=digest, digest=digest, width_px=1, height_px=1, size_bytes=0, mtime_ns=0)


@dataclass
class CopiesJob:
    """Makes every kind of copy of one picture, and takes the features of each, for an executor."""

    features: tuple[Feature[Any], ...]
    others: dict[str, str]

    @classmethod
    def of(cls, collection: Collection, chosen: Sequence[int], rest: Sequence[int]) -> CopiesJob:
        """Pasted into pictures that are not chosen, so that two chosen ones never meet in one copy."""
        paths = [collection.nodes[k].first.path for k in chosen]
        others = {path: collection.nodes[k].first.path for path, k in zip(paths, rest, strict=False)}
        return cls(collection.features, others)

    def load(self, item: str) -> tuple[Content, Content | None]:
        """Read what is worked on; see `Job.load`."""
        other = self.others.get(item)
        return read_content(item), None if other is None else read_content(other)

    def demand(self, payload: tuple[Content, Content | None]) -> Demand:
        """Say what the work takes; see `Job.demand`."""
        known = [content for content in payload if content is not None]
        return Demand(any(c.is_risky for c in known), max(c.memory_bytes for c in known))

    def run(self, payload: tuple[Content, Content | None]) -> list[Extraction]:
        """Do the work; see `Job.run`."""
        content, other = payload
        rgb = content.decode(longest_px=MAX_PX).rgb
        background = None if other is None else other.decode(longest_px=MAX_PX).rgb
        seed = int(content.digest[:8], 16)
        return [
            self._extraction(f"{content.digest}:{kind}", data)
            for kind, data in copies_of(rgb, background, seed)
        ]

    def _extraction(self, name: str, data: bytes) -> Extraction:
        decoded = decode(data, longest_px=working_px(self.features))
        digest = hashlib.sha256(name.encode()).hexdigest()
        image = ImageInfo(decoded.width_px, decoded.height_px, decoded.format)
        return Extraction(digest, decoder=DECODER, image=image, artefacts=artefacts(decoded, self.features))


def copies_of(rgb: RGB, background: RGB | None, seed: int) -> Iterator[tuple[str, bytes]]:
    """Every kind of copy of a picture, as JPEG files, the picture itself first."""
    yield "original", jpeg_bytes(rgb, 95)
    for kind, quality in JPEG_QUALITIES.items():
        yield kind, jpeg_bytes(rgb, quality)
    for kind in ALTERATIONS:
        yield kind, jpeg_bytes(altered(rgb, kind, seed))
    if background is not None:
        for kind, share in PASTED_SHARES.items():
            yield kind, jpeg_bytes(pasted(rgb, background, share, seed))
