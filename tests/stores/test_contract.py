"""What every store promises; each engine is one more line in `ENGINES`."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import engine_places
import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cvsim.errors import StoreError
from cvsim.stores import (
    CacheGuard,
    Extraction,
    ImageInfo,
    KeyInfo,
    KnownFile,
    MemoryStore,
    SqliteStore,
    Store,
    base as stores_base,
    open_index,
)


def digest(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()


A, B, C, D = (digest(number) for number in range(4))
INFO = ImageInfo(4000, 3000, "jpeg", True, "2024-05-06T07:08:09", True)

ENGINES: dict[str, Callable[[Path], Store]] = {
    "memory": lambda folder: MemoryStore(),
    "sqlite": lambda folder: SqliteStore(folder / "store.sqlite"),
    "sqlite-index": lambda folder: SqliteStore(folder / "store.sqlite", "index"),
    "scratch": lambda folder: SqliteStore(None),
    "guarded": lambda folder: CacheGuard(SqliteStore(folder / "store.sqlite")),
}
KEPT = ["sqlite", "sqlite-index", "guarded"]


def filled(store: Store) -> Store:
    """Three contents: a picture with two files, one without evidence, and one that is no picture."""
    store.put_file(b"/photos/a.jpg", KnownFile(10, 20, 30, 40, A))
    store.put_file(b"/photos/copy of a.jpg", KnownFile(10, 21, 31, 40, A))
    store.put_file(b"/photos/c.jpg", KnownFile(12, 20, 32, 40, C))
    store.put(Extraction(A, "decoder:1", INFO, artefacts={"phash:1:ab": b"12345678", "color:1:cd": b"\0\1"}))
    store.put(Extraction(B, "decoder:1", ImageInfo(1, 2), artefacts={"phash:1:ab": None, "color:1:cd": b""}))
    store.put(Extraction(C, "decoder:1", failure="not an image"))
    store.put_pairs("model:1", {(A, B): b"ab", (B, A): b"ba", (A, C): b"ac"})
    return store


@pytest.fixture(params=[*ENGINES, *engine_places.MARKED])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param in engine_places.LOCATIONS:
        yield engine_places.emptied(engine_places.LOCATIONS[request.param]())
        return
    with ENGINES[request.param](tmp_path) as store:
        yield store


class TestStore:
    def test_an_empty_store_knows_nothing(self, store: Store) -> None:
        assert store.known_files() == {}
        assert store.known_files([b"/a"]) == {}
        assert store.images("decoder:1") == store.images("decoder:1", [A]) == {}
        assert store.failures("decoder:1") == store.failures("decoder:1", [A]) == {}
        assert store.descriptors("phash:1:ab") == store.descriptors("phash:1:ab", [A]) == {}
        assert store.complete(["phash:1:ab"]) == store.complete(["phash:1:ab"], [A]) == set()
        assert store.pairs("model:1") == store.pairs("model:1", [A, B]) == {}
        assert store.info().artefacts == {}

    def test_files_round_trip(self, store: Store) -> None:
        filled(store)
        assert store.known_files([b"/photos/a.jpg", b"/photos/z.jpg"]) == {
            b"/photos/a.jpg": KnownFile(10, 20, 30, 40, A)
        }
        assert len(store.known_files()) == 3

    def test_a_changed_file_takes_the_place_of_the_old(self, store: Store) -> None:
        filled(store)
        store.put_file(b"/photos/a.jpg", KnownFile(11, 99, 30, 40, B))
        assert store.known_files([b"/photos/a.jpg"])[b"/photos/a.jpg"] == KnownFile(11, 99, 30, 40, B)

    @pytest.mark.parametrize("name", [b"caf\xe9.jpg", b"\xff\xfe\n'\"%_", "日本語".encode(), b"x" * 4096])
    def test_a_path_is_any_bytes(self, store: Store, name: bytes) -> None:
        path = b"/photos/" + name
        store.put_file(path, KnownFile(1, 2, 3, 4, A))
        assert list(store.known_files()) == list(store.known_files([path])) == [path]
        assert os.fsencode(os.fsdecode(path)) == path

    def test_times_and_inodes_of_any_size(self, store: Store) -> None:
        def stat(inode: int) -> os.stat_result:
            ten = (0o100644, inode, 2**63 + 5, 1, 0, 0, 7, 0, 0, 0)
            return os.stat_result(ten, {"st_mtime_ns": 2**64})

        store.put_file(b"/a", KnownFile.of(stat(2**64 - 1), A))
        known = store.known_files()[b"/a"]
        assert known.unchanged(stat(2**64 - 1))
        assert not known.unchanged(stat(2**64 - 2))

    def test_images_round_trip_with_their_types(self, store: Store) -> None:
        filled(store)
        assert store.images("decoder:1") == {A: INFO, B: ImageInfo(1, 2)}
        assert store.images("decoder:1", [B, C, D]) == {B: ImageInfo(1, 2)}
        assert store.images("decoder:1")[A].damaged is True
        assert store.images("decoder:1")[B].has_gps is False
        assert store.images("decoder:2") == {}

    def test_failures_are_kept_by_decoder(self, store: Store) -> None:
        filled(store)
        assert store.failures("decoder:1") == store.failures("decoder:1", [A, C]) == {C: "not an image"}
        assert store.failures("decoder:2") == {}
        store.put(Extraction(C, "decoder:2", ImageInfo(5, 6)))
        assert store.images("decoder:2") == {C: ImageInfo(5, 6)}

    def test_the_latest_outcome_counts(self, store: Store) -> None:
        filled(store)
        store.put(Extraction(C, "decoder:1", ImageInfo(5, 6)))
        store.put(Extraction(A, "decoder:1", failure="truncated"))
        assert store.failures("decoder:1") == {A: "truncated"}
        assert store.images("decoder:1").keys() == {B, C}

    def test_a_reason_may_quote_any_file_name(self, store: Store) -> None:
        reason = "cannot read caf\udce9.jpg \ud800"
        store.put(Extraction(A, "decoder:1", failure=reason))
        assert store.failures("decoder:1") == {A: reason}

    def test_no_evidence_is_neither_empty_nor_absent(self, store: Store) -> None:
        filled(store)
        assert store.descriptors("phash:1:ab") == {A: b"12345678", B: None}
        assert store.descriptors("color:1:cd", [A, B, C]) == {A: b"\0\1", B: b""}
        assert store.descriptors("phash:1:ab", [C, D]) == {}
        assert store.descriptors("other:1:ab", [A]) == {}

    def test_complete(self, store: Store) -> None:
        filled(store)
        assert store.complete(["phash:1:ab", "color:1:cd"]) == {A, B}
        assert store.complete(["phash:1:ab", "color:1:cd"], [B, C, D]) == {B}
        assert store.complete(["phash:1:ab", "other:1:ab"]) == set()
        assert store.complete([]) == {A, B, C}
        assert store.complete([], [A, D]) == {A}

    def test_artefacts_can_be_added_later(self, store: Store) -> None:
        filled(store)
        store.put(Extraction(A, artefacts={"signature:1:ef": b"s"}))
        assert store.descriptors("signature:1:ef") == {A: b"s"}
        assert store.images("decoder:1")[A] == INFO

    def test_pairs_keep_the_order_of_their_sides(self, store: Store) -> None:
        filled(store)
        assert store.pairs("model:1") == {(A, B): b"ab", (B, A): b"ba", (A, C): b"ac"}
        assert store.pairs("model:1", [A, B, D]) == {(A, B): b"ab", (B, A): b"ba"}
        assert store.pairs("model:1", [A]) == {}
        assert store.pairs("model:2") == {}

    def test_putting_the_same_again_changes_nothing(self, store: Store) -> None:
        before = filled(store).info()
        after = filled(store).info()
        assert (after.n_files, after.n_images, after.n_failures, after.n_pairs) == (3, 2, 1, 3)
        assert after.artefacts == before.artefacts
        assert before.artefacts == {"color:1:cd": KeyInfo(2, 2), "phash:1:ab": KeyInfo(2, 8)}

    def test_more_than_one_batch_and_one_query(self, store: Store) -> None:
        n = 5000
        blobs = {digest(number): b"%d" % number for number in range(n)}
        for number, (name, blob) in enumerate(blobs.items()):
            store.put_file(b"/%d" % number, KnownFile(number, 0, 0, 0, name))
            store.put(Extraction(name, "decoder:1", ImageInfo(number, 1), artefacts={"key": blob}))
        some = [digest(number) for number in range(1, n, 3)]  # looked up in portions
        most = [digest(number) for number in range(n // 4, n + 10)]  # found in one sweep
        for wanted in (some, most):
            found = {name: blobs[name] for name in wanted if name in blobs}
            assert store.descriptors("key", wanted) == found
            assert store.images("decoder:1", wanted).keys() == found.keys()
            assert store.complete(["key"], wanted) == found.keys()
        assert store.descriptors("key") == blobs
        paths = [b"/%d" % number for number in range(1, n, 3)]
        assert {known.digest for known in store.known_files(paths).values()} == set(some)

    def test_a_blob_of_megabytes(self, store: Store) -> None:
        blob = os.urandom(3 << 20)
        store.put(Extraction(A, artefacts={"big": blob}))
        assert store.descriptors("big", [A]) == {A: blob}

    def test_delete(self, store: Store) -> None:
        filled(store).delete([A, D])
        assert store.known_files().keys() == {b"/photos/c.jpg"}
        assert store.images("decoder:1") == {B: ImageInfo(1, 2)}
        assert store.descriptors("phash:1:ab") == {B: None}
        assert store.pairs("model:1") == {}
        assert filled(store).images("decoder:1").keys() == {A, B}

    def test_forget_files_leaves_their_contents(self, store: Store) -> None:
        filled(store).forget_files([b"/photos/a.jpg", b"/unknown"])
        assert store.known_files().keys() == {b"/photos/copy of a.jpg", b"/photos/c.jpg"}
        assert store.images("decoder:1")[A] == INFO

    def test_prune_what_is_gone(self, store: Store) -> None:
        filled(store)
        assert store.prune(exists=lambda path: path == b"/photos/a.jpg") == 2
        assert store.known_files().keys() == {b"/photos/a.jpg"}
        assert store.complete([]) == {A}
        assert store.pairs("model:1") == {}

    def test_prune_what_is_not_used(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        now = time.time()
        # The stores' clock alone: a client whose deadlines are counted by another would give up at once.
        monkeypatch.setattr(
            stores_base, "time", SimpleNamespace(time=lambda: now - 90 * 86_400, monotonic=time.monotonic)
        )
        filled(store).flush()
        monkeypatch.undo()
        assert store.prune(unused_days=100) == 0
        store.touch([A, D])
        assert store.prune(unused_days=30) == 2
        assert store.complete([]) == {A}
        assert store.prune(unused_days=30) == 0

    def test_prune_other_keys(self, store: Store) -> None:
        assert filled(store).prune(keep_keys=["phash:1:ab"]) == 0
        assert store.info().artefacts.keys() == {"phash:1:ab"}
        assert store.pairs("model:1") == {}
        assert store.images("decoder:1").keys() == {A, B}

    def test_clear(self, store: Store) -> None:
        filled(store).clear()
        info = store.info()
        assert (info.n_files, info.n_images, info.n_failures, info.n_pairs) == (0, 0, 0, 0)
        assert filled(store).images("decoder:1").keys() == {A, B}

    def test_abandon_takes_out_what_waits(self, store: Store) -> None:
        filled(store).flush()
        store.put_pairs("model:1", {(B, C): b"bc"})
        assert store.abandon().pairs == {"model:1": {(B, C): b"bc"}}
        assert (B, C) not in store.pairs("model:1")

    def test_a_closed_store_says_so(self, store: Store) -> None:
        store.close()
        store.close()
        with pytest.raises(StoreError, match="closed"):
            store.images("decoder:1")
        with pytest.raises(StoreError, match="closed"):
            store.put_pairs("model:1", {(A, B): b""})

    def test_an_extraction_has_one_outcome(self) -> None:
        with pytest.raises(ValueError, match="not both"):
            Extraction(A, "decoder:1", INFO, "truncated")
        with pytest.raises(ValueError, match="decoder"):
            Extraction(A, image=INFO)


@pytest.mark.parametrize("engine", engine_places.MARKED)
def test_everything_is_in_the_engine_after_reopening(engine: str) -> None:
    location = engine_places.LOCATIONS[engine]()
    with filled(engine_places.emptied(location)) as store:
        before = contents(store)
    with open_index(location, create=False) as store:
        assert contents(store) == before
        assert before[1] == {A: INFO, B: ImageInfo(1, 2)}


@pytest.mark.parametrize("engine", KEPT)
def test_everything_is_there_after_reopening(engine: str, tmp_path: Path) -> None:
    with filled(ENGINES[engine](tmp_path)) as store:
        before = contents(store)
    with ENGINES[engine](tmp_path) as store:
        assert contents(store) == before
        assert before[1] == {A: INFO, B: ImageInfo(1, 2)}


def contents(store: Store) -> tuple[object, ...]:
    return (
        store.known_files(),
        store.images("decoder:1"),
        store.failures("decoder:1"),
        [store.descriptors(key) for key in ("k0", "k1", "phash:1:ab", "color:1:cd")],
        store.pairs("model:1"),
    )


DIGESTS = st.sampled_from([digest(number) for number in range(8)])
PATHS = st.sampled_from([b"/a", b"/b\xff", b"/c d", b"/e"])
KEYS = st.sampled_from(["k0", "k1"])
BLOBS = st.none() | st.binary(max_size=12)


class AgainstDictionaries(RuleBasedStateMachine):
    """Any sequence of calls leaves a store with what plain dictionaries would hold."""

    engine = "memory"

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = ENGINES[self.engine](self.folder)
        self.files: dict[bytes, KnownFile] = {}
        self.decoded: dict[str, ImageInfo | str] = {}
        self.blobs: dict[tuple[str, str], bytes | None] = {}
        self.pairs: dict[tuple[str, str], bytes] = {}

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    @rule(path=PATHS, size=st.integers(0, 2**63 - 1), name=DIGESTS)
    def put_file(self, path: bytes, size: int, name: str) -> None:
        self.files[path] = KnownFile(size, -size, size, 0, name)
        self.store.put_file(path, self.files[path])

    @rule(
        name=DIGESTS,
        outcome=st.none() | st.builds(ImageInfo, st.integers(1, 9), st.integers(1, 9)) | st.text(),
        blobs=st.dictionaries(KEYS, BLOBS),
    )
    def put(self, name: str, outcome: ImageInfo | str | None, blobs: dict[str, bytes | None]) -> None:
        image = outcome if isinstance(outcome, ImageInfo) else None
        failure = outcome if isinstance(outcome, str) else None
        self.store.put(Extraction(name, "decoder:1", image, failure, blobs))
        if outcome is not None:
            self.decoded[name] = outcome
        self.blobs.update({(key, name): blob for key, blob in blobs.items()})

    @rule(results=st.dictionaries(st.tuples(DIGESTS, DIGESTS), st.binary(max_size=4)))
    def put_pairs(self, results: dict[tuple[str, str], bytes]) -> None:
        self.store.put_pairs("model:1", results)
        self.pairs.update(results)

    @rule(names=st.sets(DIGESTS))
    def delete(self, names: set[str]) -> None:
        self.store.delete(names)
        self.files = {path: known for path, known in self.files.items() if known.digest not in names}
        self.decoded = {name: row for name, row in self.decoded.items() if name not in names}
        self.blobs = {place: blob for place, blob in self.blobs.items() if place[1] not in names}
        self.pairs = {pair: blob for pair, blob in self.pairs.items() if names.isdisjoint(pair)}

    @rule(path=PATHS)
    def forget_file(self, path: bytes) -> None:
        self.store.forget_files([path])
        self.files.pop(path, None)

    @rule(keep=st.sets(KEYS))
    def prune_keys(self, keep: set[str]) -> None:
        self.store.prune(keep_keys={*keep, "model:1"})
        self.blobs = {place: blob for place, blob in self.blobs.items() if place[0] in keep}

    @precondition(lambda self: self.engine != "memory")
    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = ENGINES[self.engine](self.folder)

    @rule(names=st.sets(DIGESTS), keys=st.sets(KEYS, min_size=1))
    def ask_for_some(self, names: set[str], keys: set[str]) -> None:
        for key in keys:
            expected = {name: blob for (k, name), blob in self.blobs.items() if k == key and name in names}
            assert self.store.descriptors(key, names) == expected
        complete = {name for name in names if all((key, name) in self.blobs for key in keys)}
        assert self.store.complete(keys, names) == complete
        expected_pairs = {pair: blob for pair, blob in self.pairs.items() if names.issuperset(pair)}
        assert self.store.pairs("model:1", names) == expected_pairs

    @invariant()
    def holds_the_same(self) -> None:
        assert contents(self.store) == (
            self.files,
            {name: row for name, row in self.decoded.items() if isinstance(row, ImageInfo)},
            {name: row for name, row in self.decoded.items() if isinstance(row, str)},
            [
                {name: blob for (k, name), blob in self.blobs.items() if k == key}
                for key in ("k0", "k1", "phash:1:ab", "color:1:cd")
            ],
            self.pairs,
        )


def _machine(engine: str) -> type[RuleBasedStateMachine]:
    return type(f"AgainstDictionaries_{engine}", (AgainstDictionaries,), {"engine": engine})


QUICK = settings(
    max_examples=15, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestMemoryAgainstDictionaries = _machine("memory").TestCase
TestMemoryAgainstDictionaries.settings = QUICK
TestSqliteAgainstDictionaries = _machine("sqlite").TestCase
TestSqliteAgainstDictionaries.settings = QUICK
