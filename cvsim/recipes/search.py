"""The recipe of a search: one picture in, the pictures of an index out: copies first, then look-alikes.

The index says which pictures are worth a look. Their scores are made here, by the scorer of `compare`, so
that the answers do not depend on the engine.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.arrays import sigmoid
from cvsim.errors import CvsimError, DamagedStoreError, DecodeError, TooLargeError
from cvsim.executors.base import Demand
from cvsim.executors.local import LocalExecutor
from cvsim.features.base import Feature
from cvsim.images.decode import MAX_PIXELS
from cvsim.images.encoded import Content, encoded_content, read_content
from cvsim.images.source import ImageSource, decode_source
from cvsim.reading.collection import Collection as PictureCollection
from cvsim.reading.extraction import DECODER, ExtractJob, artefact_keys, artefacts, working_px
from cvsim.reading.nodes import Node
from cvsim.recipes.index import Signals, near_words, projected, word_space, words_of
from cvsim.recipes.linking import Linker, link
from cvsim.scoring.explainer import Explainer
from cvsim.stores import Extraction, ImageInfo, MemoryStore, Narrowing, SearchableStore
from cvsim.stores.searchable import ancestors, as_text
from cvsim.types import Comparison, Hit, ImageRecord, ScoredPair

if TYPE_CHECKING:
    from cvsim.settings import Settings

MAX_BY_WORDS = 128
"""Pictures that share the most words with the query, all of which are compared with it."""
MIN_SHARED_WORDS = 2
EXTRA_NEIGHBOURS = 24
EXTRA_FOR_TRAINED = 400
"""A learned metric orders neighbours in its own way, so more of them are looked at."""
DECODE_TIMEOUT_S = 15.0


@dataclass(frozen=True, eq=False)
class Query:
    """A picture to look for, with all that a search needs of it.

    Attributes
    ----------
    name : str
        What to call it.
    digest : str
        Of its bytes, or of its pixels where there are no bytes.
    image : ImageInfo
    kept : mapping of str to (bytes or None)
        Its descriptors and its thumbnail, as a store keeps them.
    path : str or None
        Where it can be read again.
    """

    name: str
    digest: str
    image: ImageInfo
    kept: Mapping[str, bytes | None]
    path: str | None = None

    @classmethod
    def of(cls, source: ImageSource, features: Collection[Feature[Any]]) -> Query:
        """From a path, an array or a Pillow image (see `cvsim.images.source`), decoded in this process.

        Raises
        ------
        ImageError
            It cannot be used.
        """
        if isinstance(source, (str, os.PathLike)):
            path = os.fsdecode(source)
            job = ExtractJob(tuple(features), thumbnails=True)
            return _made(job.run(read_content(path)), path, path)
        decoded = decode_source(source, longest_px=working_px(features))
        image = ImageInfo(decoded.width_px, decoded.height_px, decoded.format, decoded.damaged)
        digest = hashlib.sha256(decoded.rgb.tobytes()).hexdigest()
        return cls("picture", digest, image, artefacts(decoded, features, thumbnails=True))

    @property
    def record(self) -> ImageRecord:
        """The query as the record of a picture."""
        image = self.image
        return ImageRecord(
            self.path or self.name, self.digest, image.width_px, image.height_px, 0, 0, image.format
        )


class QueryReader:
    """Makes queries of bytes from anywhere, decoded in a child process: a decoder may crash or hang.

    A context manager; leaving it ends the child. Calls come from one thread.

    Parameters
    ----------
    features : collection of Feature
    max_pixels : int
        Pictures of more are refused by their header.
    """

    def __init__(self, features: Collection[Feature[Any]], max_pixels: int = MAX_PIXELS) -> None:
        self._job = QueryJob(tuple(features), max_pixels)
        self._executor = LocalExecutor(1)

    def read(self, data: bytes, name: str) -> Query:
        """The query of a file's content.

        Raises
        ------
        ImageError
            It is no picture, or one that cannot be decoded.
        """
        for _, outcome in self._executor.map(self._job, [data], timeout_s=DECODE_TIMEOUT_S):
            if isinstance(outcome, CvsimError):
                raise outcome
            return _made(outcome, name, None)
        raise AssertionError("an executor gives a result for each item")

    def close(self) -> None:
        """End the child process."""
        self._executor.close()

    def __enter__(self) -> QueryReader:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


@dataclass
class QueryJob:
    """Extracts one picture given as bytes, always where it can be killed."""

    features: tuple[Feature[Any], ...]
    max_pixels: int

    def load(self, item: bytes) -> Content:
        """Read what is worked on; see `Job.load`."""
        content = encoded_content(item)
        size = content.claimed_size
        if size is not None and size[0] * size[1] > self.max_pixels:
            raise TooLargeError(f"{size[0]} x {size[1]} pixels are over the limit of {self.max_pixels:,}")
        return content

    def demand(self, payload: Content) -> Demand:
        """Say what the work takes; see `Job.demand`."""
        return Demand(True, payload.memory_bytes, payload.extra_s)

    def run(self, payload: Content) -> Extraction:
        """Do the work; see `Job.run`."""
        return ExtractJob(self.features, thumbnails=True).run(payload)


def _made(extraction: Extraction, name: str, path: str | None) -> Query:
    if extraction.image is None:
        raise DecodeError(extraction.failure or "could not be decoded")
    return Query(name, extraction.digest, extraction.image, extraction.artefacts, path)


def indexed_query(store: SearchableStore, signals: Signals, digest: str) -> Query | None:
    """A picture of the index as a query; None where it is not in it."""
    files = store.files_of([digest]).get(digest)
    image = store.images(DECODER, [digest]).get(digest)
    if not files or image is None:
        return None
    keys = artefact_keys(signals.features, thumbnails=True)
    kept = {key: store.descriptors(key, [digest]).get(digest) for key in keys}
    return Query(os.fsdecode(files[0]), digest, image, kept)


def search(
    store: SearchableStore,
    signals: Signals,
    query: Query,
    settings: Settings,
    *,
    k: int = 10,
    label: str | None = None,
    folder: bytes | None = None,
) -> list[Hit]:
    """The best `k` pictures of the index for a query; see `cvsim.Index.search`."""
    narrowing = None if label is None and folder is None else Narrowing(label, folder)
    with store.sound():
        return _search(store, signals, query, settings, k, narrowing)


def _search(
    store: SearchableStore,
    signals: Signals,
    query: Query,
    settings: Settings,
    k: int,
    narrowing: Narrowing | None,
) -> list[Hit]:
    kept = query.kept
    candidates = _inside(store, _copy_candidates(store, signals, kept, narrowing), narrowing)
    copies = _copies(store, signals, query, kept, settings, candidates)
    same = [query.digest] if query.digest in store.images(DECODER, [query.digest]) else []
    hits = _hits(store, same, copies, narrowing)
    # Of copies that are as sure as each other, the one that shows most: nearest to the original.
    hits.sort(
        key=lambda hit: (
            hit.relation != "identical-file",
            -round(hit.score, 3),
            -hit.record.n_pixels,
            -hit.score,
            hit.path,
        )
    )
    if len(hits) < k:
        found = {hit.record.digest for hit in hits} | {query.digest}
        hits += _look_alikes(store, signals, kept, k - len(hits), found, narrowing)
    return hits[:k]


def _inside(store: SearchableStore, digests: Collection[str], narrowing: Narrowing | None) -> list[str]:
    """Those of which a file is what the search is narrowed to."""
    if narrowing is None or not digests:
        return sorted(digests)
    return sorted(_files(store, sorted(digests), narrowing))


def _copy_candidates(
    store: SearchableStore,
    signals: Signals,
    kept: Mapping[str, bytes | None],
    narrowing: Narrowing | None,
) -> set[str]:
    found: set[str] = set()
    for feature in signals.plan.features:
        data = kept[feature.key]
        if data is None:
            continue
        descriptor = feature.from_bytes(data)
        if feature.search == "hamming":
            keys = feature.hash_keys(feature.pack([descriptor]))
            if keys is not None and len(keys.owner):
                hashes = keys.looked_for(with_negatives=signals.plan.tells_negatives)
                found |= store.within_bits(feature.key, hashes.reshape(-1), feature.radius_bits)
        elif feature.search == "words":
            words = near_words(words_of(feature, descriptor))
            best = store.by_words(word_space(feature), words, MAX_BY_WORDS, MIN_SHARED_WORDS, narrowing)
            found.update(digest for digest, _ in best)
    return found


def _copies(
    store: SearchableStore,
    signals: Signals,
    query: Query,
    kept: Mapping[str, bytes | None],
    settings: Settings,
    candidates: Sequence[str],
) -> list[tuple[str, ScoredPair]]:
    """Those among the candidates that are copies, with their scores."""
    candidates = [digest for digest in candidates if digest != query.digest]
    if not candidates:
        return []
    overlay = _overlay(store, signals, query, kept, candidates)
    records = _records(store, candidates)
    asked = query.record
    nodes = [Node(d, (asked if d == query.digest else records[d],)) for d in sorted([*records, query.digest])]
    own = next(i for i, node in enumerate(nodes) if node.digest == query.digest)
    others = np.array([i for i in range(len(nodes)) if i != own], np.int64)
    collection = PictureCollection(nodes, signals.plan.features, overlay)
    linker = Linker(collection, signals.plan, n_workers=settings.n_workers)
    linker.score_all((np.minimum(others, own), np.maximum(others, own)), "Comparing pictures")
    linked = np.flatnonzero(linker.scores.log_odds >= signals.plan.min_log_odds)
    if query.path is not None:
        linker.confirm_pixels(linked)
    explainer = linker.explainer()
    return [
        (nodes[int(others[row])].digest, explainer.pair(row, asked, nodes[int(others[row])].first))
        for row in linked.tolist()
    ]


def _overlay(
    store: SearchableStore,
    signals: Signals,
    query: Query,
    kept: Mapping[str, bytes | None],
    candidates: Sequence[str],
) -> MemoryStore:
    """What scoring needs of the query and the candidates, apart from the index: a search writes nothing."""
    overlay = _apart(store, signals, candidates)
    overlay.put(Extraction(query.digest, artefacts=kept))
    return overlay


def _apart(store: SearchableStore, signals: Signals, digests: Collection[str]) -> MemoryStore:
    """What scoring needs of some pictures of the index, in memory."""
    apart = MemoryStore()
    for key in artefact_keys(signals.plan.features):
        held = store.descriptors(key, digests)
        if len(held) < len(set(digests)):
            raise DamagedStoreError("it has lost what it held of a picture")
        for digest, data in held.items():
            apart.put(Extraction(digest, artefacts={key: data}))
    return apart


def groups_of(store: SearchableStore, signals: Signals, hits: Sequence[Hit], settings: Settings) -> list[int]:
    """Which hits belong together: the number of each one's group, from 1 in the order of the hits.

    The groups are those that `cvsim.dedupe` would make of these files.
    """
    records = {hit.record.digest: hit.record for hit in hits}
    nodes = [Node(digest, (records[digest],)) for digest in sorted(records)]
    apart = _apart(store, signals, list(records))
    linker = Linker(PictureCollection(nodes, signals.plan.features, apart), signals.plan)
    labels = link(linker).labels.tolist()
    label_of = {node.digest: label for node, label in zip(nodes, labels, strict=True)}
    numbers: dict[int, int] = {}
    return [numbers.setdefault(label_of[hit.record.digest], len(numbers) + 1) for hit in hits]


def _records(store: SearchableStore, digests: Collection[str]) -> dict[str, ImageRecord]:
    """A record for each content, of its first file."""
    files = store.files_of(digests)
    images = store.images(DECODER, digests)
    if lost := files.keys() - images.keys():
        raise DamagedStoreError(f"it has lost what decoding gave of {len(lost)} pictures")
    return {digest: _record(files[digest][0], digest, images[digest]) for digest in files}


def _record(path: bytes, digest: str, info: ImageInfo) -> ImageRecord:
    return ImageRecord(
        os.fsdecode(path), digest, info.width_px, info.height_px, 0, 0, info.format, info.damaged
    )


def _hits(
    store: SearchableStore,
    same: Sequence[str],
    copies: Sequence[tuple[str, ScoredPair]],
    narrowing: Narrowing | None,
) -> list[Hit]:
    """A hit for each file of each content."""
    pairs: dict[str, ScoredPair | None] = dict(copies)
    pairs |= dict.fromkeys(same)
    hits = []
    for digest, (info, paths, labels) in _files(store, list(pairs), narrowing).items():
        pair = pairs[digest]
        for path in paths:
            record = _record(path, digest, info)
            found = pair or Explainer.identical(record, record, 0.0)
            hits.append(
                Hit(
                    record.path,
                    1.0 if pair is None else round(found.score, 6),
                    "copy",
                    found.relation,
                    found.contained,
                    found.comparisons,
                    labels.get(path, ()),
                    record,
                )
            )
    return hits


def _files(
    store: SearchableStore, digests: Sequence[str], narrowing: Narrowing | None
) -> dict[str, tuple[ImageInfo, list[bytes], dict[bytes, tuple[str, ...]]]]:
    """Of each content: what it is, its files (those that the search is narrowed to), and their labels."""
    files = store.files_of(digests)
    images = store.images(DECODER, digests)
    labels = store.labels_of([path for paths in files.values() for path in paths])
    found = {}
    for digest in digests:
        paths = [p for p in files.get(digest, ()) if _is_inside(p, labels.get(p, ()), narrowing)]
        if paths and digest in images:
            found[digest] = (images[digest], paths, labels)
    return found


def _is_inside(path: bytes, labels: Sequence[str], narrowing: Narrowing | None) -> bool:
    if narrowing is None:
        return True
    label, folder = narrowing.label, narrowing.folder
    return (label is None or as_text(label) in labels) and (folder is None or folder in ancestors(path))


def _look_alikes(
    store: SearchableStore,
    signals: Signals,
    kept: Mapping[str, bytes | None],
    n: int,
    found: Collection[str],
    narrowing: Narrowing | None,
) -> list[Hit]:
    """The nearest by the product signals, scored by all their dimensions."""
    mine = [None if (data := kept[f.key]) is None else f.from_bytes(data) for f in signals.product]
    vector = projected(mine)
    if vector is None:
        return []
    n_extra = EXTRA_NEIGHBOURS if signals.trained is None else EXTRA_FOR_TRAINED
    near = store.nearest(signals.product_space, vector, len(found) + n + n_extra, narrowing)
    digests = [d for d, _ in near if d not in found][: n + n_extra]
    held = {f.key: store.descriptors(f.key, digests) for f in signals.product}
    comparisons = {
        d: _compared(signals, mine, [held[f.key].get(d) for f in signals.product]) for d in digests
    }
    hits = []
    for digest, (info, paths, labels) in _files(store, digests, narrowing).items():
        parts = comparisons[digest]
        score = _look_alike_score(signals, parts)
        for path in paths:
            record = _record(path, digest, info)
            hits.append(
                Hit(record.path, score, "product", "similar", None, parts, labels.get(path, ()), record)
            )
    return sorted(hits, key=lambda hit: (-hit.score, hit.path))[:n]


def _compared(signals: Signals, mine: Sequence[Any], other: Sequence[bytes | None]) -> tuple[Comparison, ...]:
    found: list[Comparison] = []
    learned = {} if signals.trained is None else {f.key: f for f in signals.trained.features}
    for feature, a, data in zip(signals.product, mine, other, strict=True):
        if signals.trained is None or feature.key in learned:
            judge = learned.get(feature.key, feature)
            found += judge.compare(a, None if data is None else feature.from_bytes(data))
    if signals.trained is None:
        return tuple(found)
    curves = signals.trained.model.curves
    return tuple(
        c if c.similarity is None else replace(c, weight=float(curves[c.feature](np.array(c.similarity))))
        for c in found
    )


def _look_alike_score(signals: Signals, parts: Sequence[Comparison]) -> float:
    """The mean similarity, or by a trained profile the probability that both show one product."""
    if signals.trained is not None:
        log_odds = signals.trained.model.prior + sum(part.weight for part in parts)
        return round(float(sigmoid(log_odds)), 6)
    known = [part.similarity for part in parts if part.similarity is not None]
    return round(sum(known) / len(known), 6) if known else 0.0
