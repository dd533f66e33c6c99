"""One contract for every engine of an index: the same hits for the same queries."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import engine_places
import numpy as np
import pytest
from generate import altered, save_image, scene

import cvsim
from cvsim.recipes.search import Query
from cvsim.stores import Extraction, ImageKeys, KnownFile, SearchableStore, open_index

KINDS = ("jpeg-low", "half", "grey", "crop50", "rotated90", "mirrored", "captioned", "tilted")
ENGINES: dict[str, Callable[[Path], str]] = {
    "sqlite": lambda folder: os.fspath(folder / "index.db"),
    **{name: lambda folder, place=place: place() for name, place in engine_places.LOCATIONS.items()},
}
MARKED = ["sqlite", *engine_places.MARKED]


@pytest.fixture(params=MARKED)
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    found = ENGINES[request.param](tmp_path)
    if request.param in engine_places.LOCATIONS:
        engine_places.emptied(found).close()
    return found


@pytest.fixture
def empty(location: str) -> Iterator[SearchableStore]:
    with open_index(location) as store:
        yield store


def test_the_store_finds_exactly_what_a_plain_search_finds(empty: SearchableStore) -> None:
    store, n = empty, 60
    rng = np.random.default_rng(3)
    hashes = rng.integers(0, 2**64, (n, 2), np.uint64)
    hashes[1] = hashes[0] ^ np.uint64(0b1011)
    words = rng.integers(0, 200, (n, 40)).astype(np.uint32)
    vectors = rng.normal(size=(n, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    digests = [f"{k:02x}{k * 7919 % 251:062x}" for k in range(n)]
    for digest in digests:
        store.put(Extraction(digest, artefacts={"x": b"y"}))
        store.put_file(digest.encode(), KnownFile(1, 1, 1, 1, digest))
    keys = {d: ImageKeys({"h": hashes[k]}, {"w": words[k]}, {"v": vectors[k]}) for k, d in enumerate(digests)}
    store.put_keys(keys)
    store.put_keys(dict(list(keys.items())[:10]))  # twice is once
    assert store.keyed() == set(digests)
    assert store.keyed(digests[:3]) == set(digests[:3])
    assert store.n_keyed() == n

    query = hashes[0, :1]
    distance = np.bitwise_count(hashes ^ query[0]).min(axis=1)
    for radius in (0, 3, 25, 30, 64):
        within = {digests[k] for k in np.flatnonzero(distance <= radius)}
        assert store.within_bits("h", query, radius) == within
    assert store.within_bits("h", hashes[:2].ravel(), 0) == set(digests[:2])

    asked = np.unique(words[5])
    shared = sorted((-len(np.intersect1d(w, asked)), digests[k]) for k, w in enumerate(words))
    expected = [(d, -n) for n, d in shared if n]
    assert expected[0] == (digests[5], len(asked))
    assert store.by_words("w", asked, 7) == expected[:7]
    assert store.by_words("w", asked, 100, 5) == [item for item in expected if item[1] >= 5]

    nearest = store.nearest("v", vectors[9], 5)
    cosines = vectors @ vectors[9]
    assert [d for d, _ in nearest] == [digests[k] for k in np.argsort(-cosines)[:5]]
    assert [c for _, c in nearest] == pytest.approx(np.sort(cosines)[::-1][:5].tolist(), abs=1e-3)

    store.delete(digests[5:6])
    assert digests[5] not in dict(store.by_words("w", asked, n))
    assert digests[5] not in dict(store.nearest("v", vectors[5], n))
    assert store.within_bits("h", hashes[5], 0) == store.within_bits("unknown", hashes[5], 64) == set()
    assert store.by_words("unknown", asked, 9) == store.nearest("unknown", vectors[5], 9) == []
    assert store.n_keyed() == n - 1


def test_words_that_very_many_pictures_share_are_all_counted(empty: SearchableStore) -> None:
    """More of them than an engine gives in one answer."""
    n_pictures, n_words = 180, 100
    words = np.arange(n_words, dtype=np.uint32)
    digests = [f"{k * 53 % 256:02x}{k:062x}" for k in range(n_pictures)]
    for digest in digests:
        empty.put(Extraction(digest, artefacts={"x": b"y"}))
        empty.put_file(digest.encode(), KnownFile(1, 1, 1, 1, digest))
    empty.put_keys({digest: ImageKeys({}, {"w": words}, {}) for digest in digests})
    expected = [(digest, n_words) for digest in sorted(digests)]
    assert empty.by_words("w", words, n_pictures) == expected
    assert empty.by_words("w", words, 7) == expected[:7]


def test_files_labels_and_notes(empty: SearchableStore) -> None:
    store = empty
    a, b = "a" * 64, "b" * 64
    paths = {b"/p/1": a, b"/p/2\xff": a, b"/p/q/3": b, b"/p0": b, b"/p": b, b"/P/1": b}
    for path, digest in paths.items():
        store.put_file(path, KnownFile(1, 2, 3, 4, digest))
    assert store.files_of([a, "c" * 64]) == {a: [b"/p/1", b"/p/2\xff"]}
    assert set(store.files_under(b"/p")) == {b"/p", b"/p/1", b"/p/2\xff", b"/p/q/3"}
    assert store.files_under(b"/p/1") == {b"/p/1": KnownFile(1, 2, 3, 4, a)}
    assert set(store.files_under(b"/")) == set(paths)
    assert store.files_under(b"/none") == {}

    store.put_labels([(b"/p/1", "cup"), (b"/p/1", 'a "quoted" \\ one'), (b"/p/q/3", "cup"), (b"/p/1", "cup")])
    assert store.labels_of([b"/p/1", b"/p0"]) == {b"/p/1": ('a "quoted" \\ one', "cup")}
    assert store.labelled("cup") == {a, b}
    assert store.labelled('a "quoted" \\ one') == {a}
    store.put_labels([(b"/p/1", "hat \udcff")])
    assert store.labelled("cup") == {b}
    assert store.labelled("hat \udcff") == {a}
    store.forget_files([b"/p/1"])
    assert store.labels_of([b"/p/1"]) == {}

    assert (store.note("n", "1"), store.note("n", "2"), store.note("n", "3")) == ("", "1", "2")
    assert (store.describe("d", "1"), store.describe("d", "2")) == ("1", "1")
    assert store.orphans() == set()
    store.forget_files([b"/p/2\xff"])
    assert store.orphans() == {a}


@pytest.fixture(scope="module", params=[5, pytest.param(25, marks=pytest.mark.long)])
def n_scenes(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def originals(n_scenes: int, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("originals")
    for seed in range(n_scenes):
        save_image(folder / f"{seed}.jpg", scene(seed, 320, 240))
    return folder


@pytest.fixture(scope="module")
def queries(n_scenes: int) -> list[Query]:
    from cvsim.recipes.index import Signals
    from cvsim.settings import Settings

    features = Signals.of(Settings()).features
    pictures = (altered(scene(seed, 320, 240), kind, seed) for seed in range(n_scenes) for kind in KINDS)
    return [Query.of(picture, features) for picture in pictures]


def hits_of(location: str, originals: Path, queries: list[Query]) -> list[list[tuple[object, ...]]]:
    with cvsim.Index.open(location, workers=2) as index:
        assert index.add([originals]).n_images == len(list(originals.iterdir()))
    with cvsim.Index.open(location, create=False) as index:
        return [
            [
                (hit.path, hit.score, hit.profile, hit.relation, hit.contained)
                for hit in index.search(query, k=5)
            ]
            for query in queries
        ]


@pytest.fixture(scope="module")
def expected(
    originals: Path, queries: list[Query], tmp_path_factory: pytest.TempPathFactory
) -> list[list[tuple[object, ...]]]:
    return hits_of(os.fspath(tmp_path_factory.mktemp("index") / "index.db"), originals, queries)


@pytest.mark.parametrize("engine", engine_places.MARKED)
def test_the_same_hits_for_many_queries(
    engine: str,
    n_scenes: int,
    originals: Path,
    queries: list[Query],
    expected: list[list[tuple[object, ...]]],
) -> None:
    location = engine_places.LOCATIONS[engine]()
    engine_places.emptied(location).close()
    assert len(queries) == n_scenes * len(KINDS) >= 40
    found = hits_of(location, originals, queries)
    assert found == expected
    first = [Path(str(hits[0][0])).name for hits in found]
    assert first == [f"{seed}.jpg" for seed in range(n_scenes) for _ in KINDS]


@pytest.mark.parametrize("engine", engine_places.MARKED)
def test_an_index_in_an_engine_keeps_step_with_the_files(engine: str, tmp_path: Path) -> None:
    location = engine_places.LOCATIONS[engine]()
    engine_places.emptied(location).close()
    photos = tmp_path / "photos"
    for seed in range(4):
        save_image(photos / f"{seed}.jpg", scene(seed, 240, 180))
    with cvsim.Index.open(location) as index:
        index.add([photos])
        (photos / "0.jpg").rename(photos / "renamed.jpg")
        (photos / "1.jpg").unlink()
        save_image(photos / "2.jpg", scene(50, 240, 180))
        report = index.add([photos], forget=True)
        assert (report.n_new, report.n_vanished) == (1, 2)
        everything = index.search(scene(0, 240, 180), k=50)
        assert sorted(Path(hit.path).name for hit in everything) == ["2.jpg", "3.jpg", "renamed.jpg"]
        assert index.store.keyed() == {hit.record.digest for hit in everything}
        again = index.add([photos])
        assert (again.n_new, again.n_known, again.n_vanished) == (0, 3, 0)
