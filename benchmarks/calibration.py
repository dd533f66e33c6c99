#!/usr/bin/env python3
"""Whether a score says how often such pairs are the same, over all sorts of pictures together.

    python benchmarks/calibration.py --data DATA --eval EVAL --work FOLDER \\
        --domains DOMAINS --real FOLDER --domain-copies FOLDER [--effort default] [--workers 1]

All candidate pairs are taken: of part b of the copy set, of what phones, networks and editors make of
photographs, of pictures of one sort each and altered copies of them, and of photographs of which no two are
the same. Nothing is drawn by lot here; the seeds of the copies are their makers'. ``termshots`` is left out:
whether one text in two schemes of colours is one picture depends on who asks. Prints the links between
different pictures that are left, and writes the tables of README.md.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cvsim_runs import calibration, scored_collection
from domain_sets import SHOWN_IN_MANY_COLORS, domain_sets
from flat_pictures import flat_pictures
from labelled_sets import SAME_BY_EYE, LabelledSet, copy_set, different_photographs, read_truth
from tables import README, count, share, table, write_section

from cvsim.arrays import sigmoid
from cvsim.recipes.scoring_plan import scoring_plan
from cvsim.settings import EFFORTS, Settings, available_cores

BINS = ((0.5, 0.8), (0.8, 0.9), (0.9, 0.95), (0.95, 0.99), (0.99, 1.0))
HARD_NEGATIVES = ("distractors", "products-catalogue")
NEARLY_CERTAIN = 0.99
"""No false link should score above."""


@dataclass(frozen=True, eq=False)
class ScoredPairs:
    """The candidate pairs of a set.

    Attributes
    ----------
    name : str
        Of the set.
    score : (n,) float64
    is_same : (n,) bool
    files : list of (str, str)
    """

    name: str
    score: np.ndarray
    is_same: np.ndarray
    files: list[tuple[str, str]]

    def false_links(self, threshold: float) -> Iterator[tuple[float, str, str, str]]:
        """Score, set and files of pairs that are linked and show different pictures."""
        for row in np.flatnonzero(~self.is_same & (self.score >= threshold)).tolist():
            yield (float(self.score[row]), self.name, *self.files[row])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folders of photographs")
    parser.add_argument("--eval", type=Path, help="the maker of copy sets")
    parser.add_argument("--work", type=Path, required=True, help="sets and caches")
    parser.add_argument("--domains", type=Path, required=True, help="folders of pictures of one sort each")
    parser.add_argument("--real", type=Path, required=True, help="photographs with real-world alterations")
    parser.add_argument("--domain-copies", type=Path, required=True, help="altered copies, by domain")
    parser.add_argument("--effort", choices=EFFORTS, action="append")
    parser.add_argument("--workers", type=int, default=available_cores())
    parser.add_argument("--readme", type=Path, default=README, help="whose tables are written")
    arguments = parser.parse_args()
    bins: list[Sequence[Any]] = []
    left: list[Sequence[Any]] = []
    for effort in arguments.effort or ("fast", "default"):
        pairs = [scored(data, effort, arguments) for data in labelled_sets(arguments)]
        bins += bin_rows(effort, pairs)
        left += false_rows(effort, pairs)
    header = ["effort", "scored", "pairs", "mean score", "same", "95 % interval", "meets the bin"]
    content = table(header, bins)
    content += "\n\n" + table(
        ["effort", "false links in", f"up to {NEARLY_CERTAIN}", "above", "highest"], left
    )
    write_section("calibration", content, arguments.readme)
    print(content)


def labelled_sets(arguments: argparse.Namespace) -> Iterator[LabelledSet]:
    """All sets, each by itself: no pair is of two of them."""
    sets = arguments.work / "sets"
    yield copy_set(arguments.eval, sets, "b")
    yield read_truth(arguments.real, "real")
    for domain in domain_sets(arguments.domains):
        if domain.name != SHOWN_IN_MANY_COLORS:
            yield domain
            yield read_truth(arguments.domain_copies / domain.name, f"{domain.name}-copies")
    for name in HARD_NEGATIVES:
        yield different_photographs(arguments.data / name)
    yield flat_pictures(sets)


def scored(data: LabelledSet, effort: str, arguments: argparse.Namespace) -> ScoredPairs:
    """The candidate pairs of a set, with what is kept of them from other runs."""
    cache = arguments.work / "caches" / f"{data.name}-{effort}.sqlite"
    cache.parent.mkdir(parents=True, exist_ok=True)
    settings = Settings(effort=effort, cache=str(cache), workers=arguments.workers)  # type: ignore[arg-type]
    with scored_collection(data, scoring_plan(settings), settings) as collection:
        candidates = collection.candidates
        names = [Path(node.first.path).name for node in collection.linker.collection.nodes]
        files = [
            (names[a], names[b]) for a, b in zip(candidates.a.tolist(), candidates.b.tolist(), strict=True)
        ]
        by_eye = np.array([tuple(sorted(pair)) in SAME_BY_EYE for pair in files], bool)
        return ScoredPairs(data.name, sigmoid(candidates.log_odds), collection.is_same | by_eye, files)


def bin_rows(effort: str, pairs: Sequence[ScoredPairs]) -> Iterator[Sequence[Any]]:
    """Of all sets together, a row for each bin."""
    score = np.concatenate([one.score for one in pairs])
    is_same = np.concatenate([one.is_same for one in pairs])
    for row in calibration(score, is_same, BINS):
        if not row["n"]:
            continue
        low, high = row["interval"]
        verdict = "yes" if row["is_inside"] else "within its interval" if row["meets"] else "no"
        yield (
            effort,
            f"{row['low']:g} to {row['high']:g}",
            count(row["n"]),
            share(row["mean_score"]),
            share(row["share"], 4),
            f"{share(low, 4)} to {share(high, 4)}",
            verdict,
        )


def false_rows(effort: str, pairs: Sequence[ScoredPairs]) -> Iterator[Sequence[Any]]:
    """What is linked and different, named on the console, and counted by set."""
    threshold = scoring_plan(Settings(effort=effort)).threshold  # type: ignore[arg-type]
    links = sorted((link for one in pairs for link in one.false_links(threshold)), reverse=True)
    for score, *names in links:
        print(f"{effort} {score:.4f}", *names)
    of_set = Counter(name for _, name, *_ in links)
    certain = Counter(name for score, name, *_ in links if score > NEARLY_CERTAIN)
    for name, n in sorted(of_set.items()):
        highest = max(score for score, one, *_ in links if one == name)
        yield effort, name, count(n - certain[name]), count(certain[name]), share(highest, 4)


if __name__ == "__main__":
    main()
