"""Labelled pairs to fit a fusion model to: candidates among copies and different photographs together."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from console import SimpleProgress
from labelled_sets import SAME_BY_EYE, LabelledSet

from cvsim.candidates.blocking import (
    hash_candidates,
    track_candidates,
    unique_pairs,
    without_pairs,
    word_candidates,
)
from cvsim.candidates.words import WordRule
from cvsim.executors import LocalExecutor
from cvsim.features import make_features
from cvsim.groups.components import connected_components
from cvsim.images.scan import scan
from cvsim.reading.collection import Collection
from cvsim.reading.extraction import WORKING_PX
from cvsim.reading.files import read_files
from cvsim.reading.nodes import make_nodes
from cvsim.scoring.model import FusionModel
from cvsim.scoring.scorer import Scorer
from cvsim.stores import open_cache, open_scratch

WIDE_RADIUS_BITS = 17
WIDE_MIN_VOTES = 3
"""Candidates for training are taken more widely than in use: a larger collection has such pairs, too."""
STAND_IN_TILES = 0.85
"""Before there is a model: pictures that correlate by this much stand for each other in the word search."""

MOST_FROM_HASHES, MOST_FROM_WORDS = 6000, 10_000
"""Of one set: more pairs of strangers would say no more."""
SHARE_OF_INDIRECT = 0.25
"""Of the pairs of two copies of one original, how many are looked at beside those with the original."""


@dataclass(frozen=True, eq=False)
class LabelledPairs:
    """Candidate pairs of one set.

    Attributes
    ----------
    similarities : dict of str to (n,) float32
        By signal, NaN for no evidence.
    is_same, is_direct : (n,) bool
        Whether both show the same, and whether one of them is an original.
    kind : (n,) of str
        What made the copy, or one of the two.
    n_of_groups : (n,) int64
        How many of these pairs are between the same two groups: copies of two strangers say again and again
        what the strangers say.
    """

    similarities: dict[str, np.ndarray]
    is_same: np.ndarray
    is_direct: np.ndarray
    kind: np.ndarray
    n_of_groups: np.ndarray


def pairs_of(
    labelled: LabelledSet,
    names: Sequence[str],
    cache: str,
    *,
    working_px: int,
    also_same: frozenset[tuple[str, ...]] = frozenset(),
) -> LabelledPairs:
    """Candidate pairs within one set, with every copy and its original among them.

    Parameters
    ----------
    names : sequence of str
        Features by which candidates are found and compared.
    cache : str
        Where descriptors and verified pairs are kept between runs.
    working_px : int
        Longer side of the pixels that all are taken from.
    also_same : set of (str, str)
        Names, sorted, of files that show the same, whatever their groups.
    """
    features, progress = make_features(names, working_px), SimpleProgress()
    random = np.random.default_rng(1)
    with open_cache(cache) as store:
        reading = read_files(
            scan([str(labelled.folder)]), features, store, executor=LocalExecutor(2), progress=progress
        )
        collection = Collection(make_nodes(reading.records), features, store)
        name = [Path(node.first.path).name for node in collection.nodes]
        group = np.array([labelled.group.get(n, n) for n in name])
        kind = np.array([labelled.kind.get(n, "distractor") for n in name])
        scorer = Scorer(collection, FusionModel("blank", 0.0, {}), min_log_odds=-np.inf, n_workers=2)

        def some(a: Any, b: Any, most: int) -> tuple[Any, Any]:
            direct = (kind[a] == "original") | (kind[b] == "original")
            rows = (group[a] != group[b]) | direct | (random.random(len(a)) < SHARE_OF_INDIRECT)
            chosen = np.sort(random.permutation(np.flatnonzero(rows))[:most])
            return a[chosen], b[chosen]

        for feature in features:
            if feature.radius_bits:  # 0: equal words, which have no neighbours
                feature.radius_bits = WIDE_RADIUS_BITS
        with progress.task(f"Scoring pairs of {labelled.name}", None) as advance:
            whole = hash_candidates(features, collection.packed, collection.side)
            neighbours = track_candidates(features, collection.packed)
            hashed = some(*unique_pairs(len(name), whole, neighbours), MOST_FROM_HASHES)
            scores = scorer.score(*hashed, advance)
            if scorer.local is not None:
                tiles = np.nan_to_num(scores.similarities["tiles"])
                labels = connected_components(len(name), *hashed, tiles, STAND_IN_TILES).labels
                rule = WordRule(min_votes=WIDE_MIN_VOTES)
                words = word_candidates(
                    scorer.local, scorer.descriptors, labels, collection.n_pixels, collection.side, rule
                )
                new = without_pairs(len(name), unique_pairs(len(name), words), hashed)
                scores = scores.joined(scorer.score(*some(*new, MOST_FROM_WORDS), advance))
            of_originals = _with_originals(group, kind)
            new = without_pairs(len(name), unique_pairs(len(name), of_originals), (scores.a, scores.b))
            scores = scores.joined(scorer.score(*new, advance))
    a, b = scores.a, scores.b
    pairs = [tuple(sorted((name[i], name[j]))) for i, j in zip(a.tolist(), b.tolist(), strict=True)]
    known = np.array([pair not in SAME_BY_EYE for pair in pairs], bool)
    is_same = (group[a] == group[b]) | np.array([pair in also_same for pair in pairs], bool)
    direct = (kind[a] == "original") | (kind[b] == "original")
    copied = np.where(kind[a] == "original", kind[b], kind[a])
    similarities = {n: np.asarray(values)[known] for n, values in scores.similarities.items()}
    _, number = np.unique(group, return_inverse=True)
    sides = np.sort(np.column_stack([number[a], number[b]])[known], axis=1)
    _, which, n_pairs = np.unique(sides, axis=0, return_inverse=True, return_counts=True)
    n_of_groups = n_pairs[which.reshape(-1)]
    return LabelledPairs(similarities, is_same[known], direct[known], copied[known], n_of_groups)


def _with_originals(group: np.ndarray, kind: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    originals = {group[k]: k for k in np.flatnonzero(kind == "original").tolist()}
    pairs = [(originals[g], k) for k, g in enumerate(group.tolist()) if originals.get(g, k) != k]
    return np.array([i for i, _ in pairs], np.int64), np.array([k for _, k in pairs], np.int64)


def labelled_pairs(
    copies: Path,
    negatives: Sequence[Path],
    names: Sequence[str],
    cache: str | None,
    also: Sequence[str] = (),
    working_px: int = WORKING_PX,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Similarities of all candidate pairs, and whether each is the same.

    Parameters
    ----------
    copies : Path
        Holds ``images/`` and ``truth.csv`` (file,group,kind).
    negatives : sequence of Path
        Folders of photographs of which no two are the same.
    names : sequence of str
        Features by which candidates are found and compared.
    cache : str or None
        Where descriptors and verified pairs are kept between runs.
    also : sequence of str
        Features that are compared, but find no candidates.
    working_px : int
        Longer side of the pixels that all are taken from.

    Returns
    -------
    similarities : dict of str to (n,) float32
        By signal, NaN for no evidence.
    is_same : (n,) bool
    """
    with (copies / "truth.csv").open(newline="") as stream:
        truth = {row["file"]: row["group"] for row in csv.DictReader(stream)}
    features, extra = make_features(names, working_px), make_features(also, working_px)
    progress = SimpleProgress()
    with open_cache(cache) if cache else open_scratch() as store:
        found = scan([str(copies / "images"), *map(str, negatives)])
        reading = read_files(found, (*features, *extra), store, executor=LocalExecutor(2), progress=progress)
        nodes = make_nodes(reading.records)
        described = Collection(nodes, (*features, *extra), store)
        side, packed = described.side, described.packed
        blank = FusionModel("blank", 0.0, {})
        scorer = Scorer(Collection(nodes, features, store), blank, min_log_odds=-np.inf, n_workers=2)
        for feature in features:
            if feature.radius_bits:  # 0: equal words, which have no neighbours
                feature.radius_bits = WIDE_RADIUS_BITS
        with progress.task("Scoring pairs", None) as advance:
            a, b = hash_candidates(features, packed, side)
            scores = scorer.score(a, b, advance)
            if scorer.local is not None:
                tiles = np.nan_to_num(scores.similarities["tiles"])
                labels = connected_components(len(nodes), a, b, tiles, STAND_IN_TILES).labels
                rule = WordRule(min_votes=WIDE_MIN_VOTES)
                words = word_candidates(
                    scorer.local, scorer.descriptors, labels, described.n_pixels, side, rule
                )
                new = without_pairs(len(nodes), unique_pairs(len(nodes), words), (a, b))
                scores = scores.joined(scorer.score(*new, advance))
    similarities = {name: np.asarray(values) for name, values in scores.similarities.items()}
    for feature in extra:
        similarities.update(feature.compare_many(packed[feature.name], scores.a, scores.b))
    group = np.array([truth.get(Path(node.first.path).name, node.digest) for node in nodes])
    folder = np.array([Path(node.first.path).parent.as_posix() for node in nodes])
    # A photograph of one folder may be what a picture of another was pasted into: nobody knows.
    known = folder[scores.a] == folder[scores.b]
    name_of = [Path(node.first.path).name for node in nodes]
    pairs = zip(scores.a.tolist(), scores.b.tolist(), strict=True)
    known &= [tuple(sorted((name_of[i], name_of[j]))) not in SAME_BY_EYE for i, j in pairs]
    similarities = {name: values[known] for name, values in similarities.items()}
    return similarities, (group[scores.a] == group[scores.b])[known]
