"""Packed keys of an index in SQLite: after any puts, merges and deletions, what a plain search finds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from cvsim.errors import WrongStoreError
from cvsim.stores import Extraction, ImageKeys, SqliteIndex, sqlite_segments as segments

N_PUTS = segments.N_TO_MERGE**2 + 5


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("hash", "vector", "word"):
        monkeypatch.setitem(segments._BLOCK_ROWS, kind, 7)


def some_keys(rng: np.random.Generator) -> ImageKeys:
    vector = rng.normal(size=8).astype(np.float32)
    return ImageKeys(
        {"h": rng.integers(0, 64, rng.integers(0, 3)).astype(np.uint64)},
        {"w": rng.integers(0, 50, rng.integers(0, 12)).astype(np.uint32)},
        {"v": vector / np.linalg.norm(vector)} if rng.random() < 0.8 else {},
    )


def test_it_finds_what_a_plain_search_finds(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    held: dict[str, ImageKeys] = {}
    with SqliteIndex(tmp_path / "index.db") as writer, SqliteIndex(tmp_path / "index.db") as reader:
        for k in range(N_PUTS):
            names = [f"{n:064x}" for n in rng.choice(80, rng.integers(1, 4), replace=False)]
            put = {name: some_keys(rng) for name in names}
            for name in names:
                writer.put(Extraction(name, artefacts={"x": b""}))
            writer.put_keys(put)
            held |= put
            if k % 5 == 0:
                doomed = sorted(held)[k % len(held)]
                writer.delete([doomed])
                del held[doomed]
            if k % 10 == 0 or k == N_PUTS - 1:
                agree(reader, held, rng)
        levels = {level for (level,) in writer._db.execute("SELECT level FROM segment WHERE kind = 'word'")}
        assert 2 in levels
        n_blocks = writer._value("SELECT count(*) FROM block")
        assert n_blocks < 10 * N_PUTS


def agree(index: SqliteIndex, held: dict[str, ImageKeys], rng: np.random.Generator) -> None:
    assert index.keyed() == held.keys()
    assert index.n_keyed() == len(held)
    asked = np.unique(rng.integers(0, 50, 20)).astype(np.uint32)
    shared = Counter({d: len(np.intersect1d(k.words["w"], asked)) for d, k in held.items()})
    expected = sorted(((d, n) for d, n in shared.items() if n >= 2), key=lambda item: (-item[1], item[0]))
    assert index.by_words("w", asked, 6, 2) == expected[:6]
    query = rng.integers(0, 64, 2).astype(np.uint64)
    near = {d for d, k in held.items() if any(np.bitwise_count(h ^ query).min() <= 1 for h in k.hashes["h"])}
    assert index.within_bits("h", query, 1) == near
    vector = rng.normal(size=8).astype(np.float32)
    cosines = {d: float(k.vectors["v"] @ vector) for d, k in held.items() if k.vectors}
    best = sorted(cosines, key=lambda d: -cosines[d])[:5]
    found = index.nearest("v", vector, 5)
    assert [c for _, c in found] == pytest.approx([cosines[d] for d in best], abs=1e-2)


def test_rows_of_the_deleted_are_left_out_when_merging(tmp_path: Path) -> None:
    with SqliteIndex(tmp_path / "index.db") as index:
        for k in range(segments.N_TO_MERGE):
            name = f"{k:064x}"
            index.put(Extraction(name))
            index.put_keys({name: ImageKeys(words={"w": np.array([k, 9], np.uint32)})})
            if k < 3:
                index.delete([name])
        assert index._value("SELECT sum(n_rows) FROM segment") == 2 * (segments.N_TO_MERGE - 3)
        assert len(index.by_words("w", np.array([9], np.uint32), 99)) == segments.N_TO_MERGE - 3


def test_an_index_of_the_older_layout_is_refused(tmp_path: Path) -> None:
    with SqliteIndex(tmp_path / "index.db") as index:
        index._db.execute("CREATE TABLE word_list (id INTEGER PRIMARY KEY, data BLOB NOT NULL)")
    with pytest.raises(WrongStoreError, match="older version of cvsim; index the pictures again"):
        SqliteIndex(tmp_path / "index.db")
