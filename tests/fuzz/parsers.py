"""Every file that may come from elsewhere, how cvsim reads it, and one that is sound to begin with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from onnx_models import mean_color_model
from product_vectors import make_products

from cvsim.actions.journal import read_steps
from cvsim.actions.plan import Plan
from cvsim.features.embedding import Embedding
from cvsim.fetch.dataset import MANIFEST_NAME, DownloadFolder, read_dataset
from cvsim.groups.decisions import Decisions
from cvsim.groups.evaluation import read_labels
from cvsim.products.model import SignalSource, read_product_model
from cvsim.products.training import train
from cvsim.recipes.products import load_features
from cvsim.settings import read_config
from cvsim.stores import (
    Extraction,
    ImageInfo,
    ImageKeys,
    KnownFile,
    SearchableStore,
    SqliteIndex,
    SqliteStore,
    Store,
)

A, B = "a" * 64, "b" * 64


class Parser(NamedTuple):
    """How one kind of file is read.

    Attributes
    ----------
    file_name : str
        What such a file is called: the end of its name counts.
    read : callable
        Reads the file at a path; nothing but a `CvsimError` may come out of it.
    sound : callable
        Writes a sound file to a path.
    """

    file_name: str
    read: Callable[[Path], object]
    sound: Callable[[Path], object]


def _plan(path: Path) -> None:
    entries = [
        {
            "path": f"/p/{name}", "digest": digest, "size_bytes": 1, "mtime_ns": 2, "group": 1,
            "decision": decision, "rule": "size", "reason": "", "proof": {"state": "explained", "kept": A},
        }
        for name, digest, decision in (("a", A, "keep"), ("b", B, "remove"))
    ]  # fmt: skip
    path.write_text(json.dumps({"schema": "cvsim.plan/1", "roots": ["/p"], "entries": entries}))


def _journal(path: Path) -> None:
    start = {
        "event": "start", "step": 1, "run": "abc", "action": "move", "path": "/p/x", "digest": A,
        "inode": [1, 2], "target": "/away/x", "made_folders": ["/away"],
        "attributes": {"mode": 420, "uid": 0, "gid": 0, "atime_ns": 0, "mtime_ns": 0, "xattrs": {}},
    }  # fmt: skip
    rows = [
        {"schema": "cvsim.journal/1"},
        {"event": "run", "id": "abc", "action": "move:/away", "roots": ["/p"], "made_folders": []},
        start,
        {"event": "done", "step": 1},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _decisions(path: Path) -> None:
    answer = {"answer": "keep-both", "a": A, "b": B, "names": ["x", "y"], "at": ""}
    path.write_text("".join(json.dumps(row) + "\n" for row in ({"schema": "cvsim.decisions/1"}, answer)))


def _manifest(path: Path) -> None:
    images = [{"image_id": 1, "url": ["http://a.test/1.jpg"]}]
    path.write_text(json.dumps({"images": images, "annotations": [{"image_id": 1, "label_id": "9"}]}))


def _downloads(path: Path) -> None:
    row = {
        "id": "1", "url": "http://a.test/1.jpg", "labels": ["9"], "file": None, "digest": None,
        "size_bytes": None, "reason": "gone", "retryable": False,
    }  # fmt: skip
    path.write_text(json.dumps(row) + "\n")


def _labels_npy(path: Path) -> None:
    np.save(path, np.array([0, 0, 1, -1]))


def _features(path: Path) -> None:
    np.save(path, np.ones((3, 4), np.float32))


def _profile(path: Path) -> None:
    rows, labels = make_products(6, 4)
    sources = [SignalSource("made", 1, {"a": 1})]
    names = [f"product {label}" for label in labels]
    path.write_bytes(train([rows], names, sources, provenance={}).to_bytes())


def _fill(store: Store) -> None:
    image = ImageInfo(4, 3, "JPEG")
    for digest in (A, B):
        store.put(Extraction(digest, "decoder", image, artefacts={"key": b"12345678", "none": None}))
        store.put_file(b"/p/" + digest[:1].encode(), KnownFile(1, 2, 3, 4, digest))
    store.put_pairs("model", {(A, B): b"result"})
    store.flush()


def _cache(path: Path) -> None:
    with SqliteStore(path, "cache") as store:
        _fill(store)


def _index(path: Path) -> None:
    with SqliteIndex(path) as store:
        _fill(store)
        keys = ImageKeys(
            {"hash": np.array([1, 2], np.uint64)},
            {"words": np.array([3, 4], np.uint32)},
            {"vectors": np.eye(1, 4, dtype=np.float32)[0]},
        )
        store.put_keys({A: keys, B: keys})
        store.put_labels([(b"/p/a", "label")])


def _ask(store: Store) -> None:
    store.info()
    store.known_files()
    store.images("decoder")
    store.failures("decoder")
    for digests in (None, [A, B]):
        store.complete(["key", "none"], digests)
        store.descriptors("key", digests)
        store.pairs("model", digests)


def _read_cache(path: Path) -> None:
    with SqliteStore(path, "cache") as store:
        _ask(store)


def _search(store: SearchableStore) -> None:
    store.within_bits("hash", np.array([1], np.uint64), 3)
    store.by_words("words", np.array([3], np.uint32), 5)
    store.nearest("vectors", np.eye(1, 4, dtype=np.float32)[0], 5)
    store.files_under(b"/p")
    store.files_of([A, B])
    store.labels_of([b"/p/a"])
    store.labelled("label")


def _read_index(path: Path) -> None:
    with SqliteIndex(path) as store:
        _ask(store)
        _search(store)


def _text(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


PARSERS: dict[str, Parser] = {
    "plan": Parser("plan.json", Plan.load, _plan),
    "journal": Parser("journal.jsonl", lambda path: read_steps(str(path), trust=True), _journal),
    "decisions": Parser("decisions.jsonl", lambda path: Decisions.load(str(path)), _decisions),
    "toml": Parser(
        "cvsim.toml", read_config, _text('threshold = 0.9\neffort = "fast"\nmin_size_bytes = "10k"\n')
    ),
    "labels": Parser("labels.csv", read_labels, _text('file,label\na.jpg,1\n"b,\'.jpg",2\n')),
    "labels-array": Parser("labels.npy", read_labels, _labels_npy),
    "features": Parser("features.npy", load_features, _features),
    "profile": Parser("profile.npz", read_product_model, _profile),
    "onnx": Parser("model.onnx", lambda path: Embedding(str(path)), mean_color_model),
    "manifest": Parser("list.json", read_dataset, _manifest),
    "manifest-table": Parser(
        "list.csv", read_dataset, _text("image_id,url,label_id\n1,http://a.test/1.jpg,9\n")
    ),
    "downloads": Parser(MANIFEST_NAME, lambda path: DownloadFolder(path.parent), _downloads),
    "cache": Parser("cache.sqlite", _read_cache, _cache),
    "index": Parser("index.sqlite", _read_index, _index),
}


def _npy(header: str, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data


_HUGE = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 4)}\n"
FINDINGS: dict[str, tuple[bytes, ...]] = {
    "decisions": (b"[" * 100_000 + b"]" * 100_000,),
    "downloads": (b"[" * 100_000 + b"]" * 100_000 + b"\n", b"\xff\n"),
    "manifest": (b"[" * 100_000 + b"]" * 100_000,),
    "features": (
        _npy("{'descr': '<f4', b'shape': (3, 4), }\n"),
        _npy("{'descr': '<f4', 'shape': (3\n"),
        _npy(_HUGE % 2**70),
        _npy(_HUGE % 2**45),
    ),
    "labels-array": (_npy("{'descr': '<f4', 'shape': (3\n"), _npy(_HUGE % 2**70), _npy(_HUGE % 2**45)),
}
"""What fuzzing found: inputs that ended in something else than a `CvsimError` once."""


def sound_bytes(parser: Parser, folder: Path) -> bytes:
    """The content of a sound file; `folder` is where it is made for a moment."""
    path = folder / parser.file_name
    parser.sound(path)
    data = path.read_bytes()
    path.unlink()
    return data
