#!/usr/bin/env python3
"""Bursts and near views under ``--profile alike``: what is found of them, and what is linked by mistake.

    python benchmarks/bursts.py --data DATA --eval EVAL --work FOLDER [--domains DOMAINS] [--effort default]

Reports on bursts made from the photographs of part b (see `burst_sets`), none of which the model was fitted
to, and on folders of pictures of one sort of which no two are the same. The table goes into README.md.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

from burst_sets import KINDS, bursts_of
from console import SimpleProgress
from domain_sets import SHOWN_IN_MANY_COLORS, domain_sets
from labelled_sets import LabelledSet
from tables import README, count, share, table, write_section

import cvsim
from cvsim.settings import EFFORTS

BLURRED = ("shaken", "defocused")
SHARP = ("original", "still", "shift5", "shift10", "shift20", "nearer", "moving", "exposed")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folders of photographs")
    parser.add_argument("--eval", type=Path, help="the maker of copy sets")
    parser.add_argument("--work", type=Path, required=True, help="sets and caches")
    parser.add_argument("--domains", type=Path, help="folders of pictures of one sort each")
    parser.add_argument("--effort", choices=EFFORTS, action="append")
    parser.add_argument("--json", type=Path, help="where the figures are written")
    parser.add_argument("--readme", type=Path, default=README, help="whose table is written")
    arguments = parser.parse_args()
    bursts = bursts_of(arguments.data, arguments.eval, arguments.work / "sets", "b")
    domains = [] if arguments.domains is None else domain_sets(arguments.domains)
    found: dict[str, Any] = {}
    for effort in arguments.effort or EFFORTS:
        report = looked_at(bursts, effort, arguments.work)
        found[effort] = {
            "kinds": recall_by_kind(bursts, report),
            "pairs": pair_figures(bursts, report),
            "sharpest": sharper_first(bursts, report),
            "domains": {
                data.name: pair_figures(data, looked_at(data, effort, arguments.work))["false links"]
                for data in domains
            },
        }
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    write_section("bursts", figures(found), arguments.readme)
    print(figures(found))


def looked_at(data: LabelledSet, effort: str, work: Path) -> cvsim.Report:
    """The groups of a set."""
    cache = work / f"alike-{data.name}-{data.fingerprint}-{effort}.sqlite"
    progress = SimpleProgress()
    return cvsim.dedupe(data.folder, profile="alike", effort=effort, cache=cache, progress=progress)  # type: ignore[arg-type]


def recall_by_kind(data: LabelledSet, report: cvsim.Report) -> dict[str, float]:
    """Of the frames of each kind, the share that is in one group with the first frame of its scene."""
    group_of = {
        Path(member.record.path).name: group.id for group in report.groups for member in group.members
    }
    first = {data.group[name]: group_of.get(name) for name in data.files if data.kind[name] == "original"}
    hits: dict[str, list[bool]] = defaultdict(list)
    for name in data.files:
        if data.kind[name] in KINDS:
            group = first[data.group[name]]
            hits[data.kind[name]].append(group is not None and group_of.get(name) == group)
    return {kind: sum(hits[kind]) / len(hits[kind]) for kind in KINDS if hits[kind]}


def pair_figures(data: LabelledSet, report: cvsim.Report) -> dict[str, Any]:
    """Links, those between different scenes, and groups that hold more than one scene."""
    n_links, n_false = 0, 0
    for group in report.groups:
        for edge in group.edges:
            a, b = (data.group[Path(side).name] for side in (edge.pair.a, edge.pair.b))
            n_links += 1
            is_right = data.name == SHOWN_IN_MANY_COLORS and edge.relation == "recolored"
            n_false += a != b and not is_right
    scenes = [{data.group[Path(member.record.path).name] for member in g.members} for g in report.groups]
    mixed = sum(len(scene) > 1 for scene in scenes)
    return {"links": n_links, "false links": n_false, "groups": len(scenes), "mixed groups": mixed}


def sharper_first(data: LabelledSet, report: cvsim.Report) -> float:
    """Of the pairs of a frame that is in focus and a blurred one of the same group, those in that order."""
    right: Counter[bool] = Counter()
    for group in report.groups:
        known = [(data.kind[Path(m.record.path).name], m.sharpness or 0.0) for m in group.members]
        sharp = [value for kind, value in known if kind in SHARP]
        blurred = [value for kind, value in known if kind in BLURRED]
        right.update(one > other for one, other in product(sharp, blurred))
    return right[True] / max(right.total(), 1)


def figures(found: Mapping[str, Any]) -> str:
    """Markdown: a column an effort."""
    efforts = list(found.values())
    rows = [
        (f"found: {kind}", *(share(effort["kinds"][kind], 2) for effort in efforts))
        for kind in KINDS
        if kind in efforts[0]["kinds"]
    ]
    rows += [
        (f"{what}", *(count(effort["pairs"][what]) for effort in efforts)) for what in efforts[0]["pairs"]
    ]
    rows.append(("sharp before blurred", *(share(effort["sharpest"]) for effort in efforts)))
    rows += [
        (f"false links: {name}", *(count(effort["domains"][name]) for effort in efforts))
        for name in efforts[0]["domains"]
    ]
    return table(["", *found], rows)


if __name__ == "__main__":
    main()
