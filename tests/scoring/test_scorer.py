"""Scoring pairs of a collection whose local descriptors do not all fit into memory."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from generate import altered, scene

from cvsim.features import make_features
from cvsim.features.base import Feature
from cvsim.features.local import Local, LocalDescriptor
from cvsim.images.source import decode_source
from cvsim.reading.collection import Collection
from cvsim.reading.extraction import artefacts
from cvsim.reading.nodes import make_nodes
from cvsim.scoring import scorer as scoring
from cvsim.scoring.model import FusionModel
from cvsim.scoring.scorer import Scorer, Scores
from cvsim.stores import Extraction, MemoryStore, Store
from cvsim.types import ImageRecord

N_SCENES = 5


class Counted(Local):
    """Knows which of its descriptors are alive, and how many it has read."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: weakref.WeakSet[LocalDescriptor] = weakref.WeakSet()
        self.n_read = 0
        self.most_alive = 0

    def from_bytes(self, data: bytes) -> LocalDescriptor:
        descriptor = super().from_bytes(data)
        self.alive.add(descriptor)
        self.n_read += 1
        self.most_alive = max(self.most_alive, len(self.alive))
        return descriptor


@pytest.fixture(scope="module")
def blobs() -> list[bytes]:
    """Descriptors of five scenes, each with three copies; copies of one scene are five apart."""
    local, found = Local(), []
    for kind in (None, "jpeg", "crop80", "mirrored"):
        for seed in range(N_SCENES):
            rgb = scene(seed, 320, 240)
            descriptor = local.extract(rgb if kind is None else altered(rgb, kind, seed))
            assert descriptor is not None
            found.append(local.to_bytes(descriptor))
    return found


def collection(digests: list[str], features: Sequence[Feature[Any]], store: Store) -> Collection:
    return Collection(make_nodes(ImageRecord(d, d, 1, 1, 0, 0) for d in digests), features, store)


def scorer_of(blobs: list[bytes], local: Local, store: Store) -> Scorer:
    digests = [f"{k:064x}" for k in range(len(blobs))]
    for digest, blob in zip(digests, blobs, strict=True):
        store.put(Extraction(digest, artefacts={local.key: blob}))
    return Scorer(collection(digests, [local], store), FusionModel("none", 0.0, {}), min_log_odds=-np.inf)


def copies_of_scenes(n: int) -> tuple[Any, Any]:
    a, b = np.triu_indices(n, 1)
    same = a % N_SCENES == b % N_SCENES
    return a[same].astype(np.int64), b[same].astype(np.int64)


def test_search_by_words_lets_go_of_each_descriptor(blobs: list[bytes]) -> None:
    local = Counted()
    with MemoryStore() as store:
        scorer = scorer_of(blobs, local, store)
        rows = np.arange(len(blobs), dtype=np.int64)
        keys = local.word_keys(scorer.descriptors.each(rows), rows)
    assert keys is not None
    gc.collect()
    assert not local.alive
    assert local.most_alive <= 2  # the one before goes when the next one is there
    upright, mirrored = (
        [getattr(local.from_bytes(blob), name) for blob in blobs] for name in ("keypoints", "mirrored")
    )
    owners = [np.repeat(np.arange(len(blobs)), [len(k) for k in part]) for part in (upright, mirrored)]
    assert np.array_equal(keys.owner, np.concatenate(owners))
    assert keys.n_upright == len(owners[0])
    points = np.concatenate([*upright, *mirrored])
    assert np.array_equal(keys.bits.view(np.uint8), points["bits"])
    assert np.array_equal(keys.angle, points["angle"])
    assert np.array_equal(keys.level, points["level"])


def test_each_descriptor_is_read_once_where_few_are_held(
    blobs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pairs come in the order of the first picture, so those of one scene are far apart."""

    def scored() -> tuple[Scores, Counted]:
        local = Counted()
        with MemoryStore() as store:
            return scorer_of(blobs, local, store).score(*copies_of_scenes(len(blobs))), local

    whole, _ = scored()
    monkeypatch.setattr(scoring, "CHUNK_PAIRS", 3)
    monkeypatch.setattr(scoring, "MAX_HELD", 4)
    found, local = scored()
    assert local.n_read == len(blobs)
    assert local.most_alive <= 8  # those of the pairs at work, and those that are held
    assert np.array_equal(found.a, whole.a)
    assert np.array_equal(found.b, whole.b)
    assert found.evidence.tobytes() == whole.evidence.tobytes()


def test_a_glance_at_a_pair_does_not_depend_on_the_others() -> None:
    pictures = [
        scene(seed, 96, 64) if kind is None else altered(scene(seed, 96, 64), kind, seed)
        for seed in range(4)
        for kind in (None, "mirrored", "rotated90", "grey")
    ]
    features = make_features(("phash", "tiles", "color"))
    digests, store = [f"{k:064x}" for k in range(len(pictures))], MemoryStore()
    for digest, rgb in zip(digests, pictures, strict=True):
        store.put(Extraction(digest, artefacts=artefacts(decode_source(rgb, longest_px=512), features)))
    model = FusionModel("none", 0.0, {})
    scorer = Scorer(collection(digests, features, store), model, min_log_odds=-np.inf)
    a, b = np.triu_indices(len(pictures), 1)
    shuffled = np.random.default_rng(0).permutation(len(a))
    many = scorer.glance(a[shuffled], b[shuffled])
    for k, row in enumerate(shuffled.tolist()):
        one = scorer.glance(a[row : row + 1], b[row : row + 1])
        assert one.orientation[0] == many.orientation[k]
        for name, similarities in one.similarities.items():
            np.testing.assert_allclose(similarities[0], many.similarities[name][k], rtol=1e-6)
