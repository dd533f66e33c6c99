"""A program that uses cvsim, for ``mypy --strict``: it is checked, not run."""

from __future__ import annotations

import io
from pathlib import Path
from typing import assert_type

import numpy as np

import cvsim


def duplicates(folder: Path) -> list[str]:
    report = cvsim.dedupe(
        folder,
        threshold=0.95,
        effort="fast",
        exclude="*.tmp",
        min_size_bytes="10k",
        reference=[folder / "old"],
    )
    assert_type(report, cvsim.Report)
    text: str = report.to_json()
    report.to_html(folder / "report.html")
    report.to_csv("report.csv")
    graph = report.graph()
    found = [member.record.path for group in report.groups for member in group.members if member.proposed] + [
        str(node) for node in graph.nodes
    ]
    return [*found, text]


def pairs(a: Path, data: bytes) -> float:
    pair = cvsim.compare(a, data, cache=None)
    assert_type(pair, cvsim.Compared)
    other = cvsim.compare(io.BytesIO(data), np.zeros((8, 8, 3), np.uint8))
    picture: bytes = pair.to_picture()
    return pair.score + other.score + len(picture)


def candidates(folder: str) -> list[tuple[str, str]]:
    return [(pair.a, pair.b) for pair in cvsim.prefilter(folder, recall=0.9)]


def index(folder: str, query: bytes) -> list[cvsim.Hit]:
    with cvsim.Index.open("photos.db", effort="fast") as opened:
        opened.add(folder)
        return opened.search(query, k=3)


def act(report: cvsim.Report) -> int:
    applied = cvsim.apply(report, "trash", journal="journal.jsonl", dry_run=True)
    undone = cvsim.undo("journal.jsonl")
    assert_type(undone.to_json(), str)
    applied.to_json("applied.json")
    return applied.count("would") + undone.count("restored")


def products(folder: Path) -> float:
    clusters = cvsim.cluster(folder)
    clusters.to_csv(folder / "labels.csv")
    trained = cvsim.train(folder, labels=folder / "labels.csv")
    trained.to_npz("shop.npz")
    classified = cvsim.classify(folder, "shop.npz")
    cvsim.plot(folder, labels={"a.jpg": "a"}).to_html("map.html")
    vectors = cvsim.extract_features(folder).vectors
    evaluation = cvsim.evaluate("labels.csv", clusters.labels)
    assert_type(evaluation.ari, float)
    return evaluation.ari + float(vectors.sum()) + len(classified.labels)


def fetched(manifest: str) -> int:
    try:
        return cvsim.fetch_dataset(manifest, "pictures", labels="42").n_fetched
    except cvsim.UsageError as error:
        raise SystemExit(str(error)) from error
