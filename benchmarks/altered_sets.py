#!/usr/bin/env python3
"""Altered copies of pictures of any sort: how many are in the group of their original, set by set.

python benchmarks/altered_sets.py --work W SET ...

Each SET holds ``images/`` and ``truth.csv`` (file,group,kind), where the kind of what was not altered is
``original``, or ``distractor`` if it has no copies. Prints a table in Markdown, with the mean of the sets.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from cvsim_runs import labels_of, run_dedupe
from labelled_sets import LabelledSet, read_truth
from tables import share, table

from cvsim.settings import EFFORTS
from cvsim.types import DedupeResult

TOTALS = ("n_copies", "n_false_links", "n_wrong")


class Found(NamedTuple):
    """Of one set."""

    name: str
    n_copies: int
    recall: float
    n_false_links: int
    n_wrong: int
    lost: dict[str, int]
    """By kind, copies that are not in the group of their original."""


def found_in(data: LabelledSet, result: DedupeResult) -> Found:
    """Count copies that are found, links between pictures that are not the same, and removals for such."""
    groups = [[m.record.path for m in group.members] for group in result.groups]
    label = dict(zip(data.files, labels_of(groups, data.files).tolist(), strict=True))
    original = {data.group[name]: name for name in data.files if data.kind[name] == "original"}
    copies = [name for name in data.files if data.kind[name] not in ("original", "distractor")]
    lost = [data.kind[name] for name in copies if label[name] != label[original[data.group[name]]]]
    links = [(edge.pair.a, edge.pair.b) for group in result.groups for edge in group.edges]
    return Found(
        data.name,
        len(copies),
        1 - len(lost) / max(1, len(copies)),
        n_different(data, links),
        n_different(data, removals(result)),
        {kind: lost.count(kind) for kind in sorted(set(lost))},
    )


def n_different(data: LabelledSet, pairs: Iterable[tuple[str, str]]) -> int:
    """Count the pairs of paths that show different pictures."""
    return sum(data.group[Path(a).name] != data.group[Path(b).name] for a, b in pairs)


def removals(result: DedupeResult) -> Iterator[tuple[str, str]]:
    """Each file that is proposed for removal, and the file that is kept for it."""
    for group in result.groups:
        kept_for = group.kept_for
        yield from ((m.record.path, kept_for[m.record.path]) for m in group.members if m.proposed)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="+", type=Path, metavar="SET")
    parser.add_argument("--work", type=Path, required=True, help="holds the caches of the runs")
    parser.add_argument("--effort", choices=EFFORTS, default="default")
    args = parser.parse_args()
    rows = []
    for folder in args.sets:
        data = read_truth(folder, folder.name)
        result, _ = run_dedupe(data, args.effort, args.work / f"{folder.name}-{args.effort}.sqlite")
        rows.append(found_in(data, result))
    lines = [(r.name, r.n_copies, share(r.recall), r.n_false_links, r.n_wrong, _words(r.lost)) for r in rows]
    mean = share(float(np.mean([r.recall for r in rows])))
    n_copies, n_false, n_wrong = (sum(getattr(r, name) for r in rows) for name in TOTALS)
    lines.append(("**all, mean**", n_copies, mean, n_false, n_wrong, ""))
    print(table(("set", "copies", "found", "false links", "wrong removals", "lost"), lines))


def _words(lost: dict[str, int]) -> str:
    return ", ".join(f"{kind} {n}" for kind, n in lost.items())


if __name__ == "__main__":
    main()
