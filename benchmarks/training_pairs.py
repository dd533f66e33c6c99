"""Labelled pairs to fit a fusion model to: candidates among copies and different photographs together."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from console import SimpleProgress
from labelled_sets import SAME_BY_EYE

from cvsim.candidates.blocking import hash_candidates, unique_pairs, without_pairs, word_candidates
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
