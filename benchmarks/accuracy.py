#!/usr/bin/env python3
"""How much cvsim finds, how little it confuses, and what other tools find in the same files.

    python benchmarks/accuracy.py --data DATA --eval EVAL --work FOLDER [--peers-python PYTHON]

DATA holds folders of photographs (``distractors/``, ``products-catalogue/``), EVAL the maker of copy sets
(see `labelled_sets`). Models and thresholds come from part a of the copies; part b, of other photographs, is
what is reported. Everything slow is kept in FOLDER: a run that was stopped goes on where it was, and cvsim's
results are made again when its code changes. Writes ``results/accuracy.json`` and the tables of README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from ablation import run_ablation
from accuracy_tables import write_tables
from cvsim_runs import calibration, report_figures, run_dedupe, scored_collection
from domain_sets import BESIDE, domain_sets, n_false_links
from fingerprint import code_fingerprint
from flat_pictures import flat_pictures
from labelled_sets import LabelledSet, copy_set, different_photographs, read_truth
from parts import names, run_parts
from peer_runs import PeerRun, available, link_all

import cvsim
from cvsim.arrays import sigmoid
from cvsim.recipes.scoring_plan import scoring_plan
from cvsim.settings import EFFORTS, Settings

RESULTS = Path(__file__).with_name("results") / "accuracy.json"
PARTS = ("cvsim", "pairs", "peers", "ablation", "domains")
HARD_NEGATIVES = ("distractors", "products-catalogue")
ABLATED = "default"
SAME_FIGURE = 1e-9


def main() -> None:
    args = parse_args()
    bench = Bench(args)
    parts: dict[str, Callable[[], Any]] = {
        "cvsim": bench.cvsim_figures,
        "pairs": bench.pairs,
        "ablation": bench.ablation,
        "peers": bench.peers,
        "domains": bench.domains,
    }
    result = json.loads(args.json.read_text(encoding="utf-8")) if args.json.exists() else {}
    result["machine"] = machine()
    result["cvsim_version"], result["code"] = cvsim.__version__, code_fingerprint()
    run_parts(parts, args.parts, result, args.json)
    if args.readme:
        write_tables(result, args.readme)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folders of photographs")
    parser.add_argument("--eval", type=Path, help="maker and scorer of copy sets")
    parser.add_argument("--domains", type=Path, help="folders of pictures of one sort, and true_pairs.json")
    parser.add_argument("--real", type=Path, help="images/ and truth.csv of real-world alterations")
    parser.add_argument("--work", type=Path, required=True, help="sets and results on the way are kept here")
    parser.add_argument("--parts", type=names, default=PARTS, metavar=",".join(PARTS))
    parser.add_argument("--efforts", type=names, default=EFFORTS, metavar=",".join(EFFORTS))
    parser.add_argument("--peers", type=names, metavar="NAME,...", help="only these")
    parser.add_argument("--peers-python", default=sys.executable, metavar="PYTHON", help="holds the peers")
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE")
    readme = Path(__file__).with_name("README.md")
    parser.add_argument(
        "--readme", type=Path, default=readme, metavar="FILE", help="whose tables are written"
    )
    parser.add_argument("--no-readme", dest="readme", action="store_const", const=None)
    args = parser.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"unknown part {min(unknown)!r}; known: {', '.join(PARTS)}")
    return args


def machine() -> dict[str, Any]:
    return {"cpu": platform.machine(), "n_cores": os.cpu_count(), "python": platform.python_version()}


class Bench:
    """The parts of the benchmark over the sets that the arguments name."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._work: Path = args.work
        sets = args.work / "sets"
        self.negatives = [different_photographs(args.data / name) for name in HARD_NEGATIVES]
        # The halves that the models did not learn from, by themselves.
        halves = [different_photographs(args.data / name, "b", sets) for name in HARD_NEGATIVES]
        self.negatives.append(flat_pictures(sets))
        self.unseen_halves = [half for half in halves if len(half.files) > 1]

    def _copies(self, part: str, kinds: str = "all") -> LabelledSet:
        return copy_set(self._args.eval, self._work / "sets", part, kinds)

    @cached_property
    def learned(self) -> LabelledSet:
        return self._copies("a")

    @cached_property
    def reported(self) -> LabelledSet:
        return self._copies("b")

    @cached_property
    def learned_light(self) -> LabelledSet:
        return self._copies("a", "light")

    @cached_property
    def light(self) -> LabelledSet:
        return self._copies("b", "light")

    def cvsim_figures(self) -> dict[str, Any]:
        """By effort and set, what the report says."""
        return {
            effort: {
                data.name: self._kept(f"{data.name}-{data.fingerprint}-{effort}", self._dedupe, data, effort)
                for data in (self.reported, self.light, *self.negatives, *self.unseen_halves)
            }
            for effort in self._args.efforts
        }

    def _kept(self, name: str, make: Callable[..., Any], *args: Any) -> Any:
        """A result of this very code from the work folder, or made now and kept there."""
        file = self._work / "runs" / code_fingerprint() / f"{name}.json"
        if not file.exists():
            made = make(*args)
            file.parent.mkdir(parents=True, exist_ok=True)
            unfinished = file.with_suffix(".unfinished")
            unfinished.write_text(json.dumps(made), encoding="utf-8")
            unfinished.rename(file)
        return json.loads(file.read_text(encoding="utf-8"))

    def _dedupe(self, data: LabelledSet, effort: str) -> dict[str, Any]:
        result, cost = run_dedupe(data, effort, self._cache(data, effort))
        figures = {**report_figures(data, result), **cost}
        if data.truth_file.exists() and self._args.eval is not None:
            groups = [[member.record.path for member in group.members] for group in result.groups]
            self._check_scorer(data, groups, figures)
        print(
            f"{data.name} {effort}: precision {figures['pair_precision']:.4f}, recall "
            f"{figures['pair_recall']:.4f}, {figures['n_false_pairs']} false pairs, {cost['wall_s']:.0f} s",
            file=sys.stderr,
        )
        return figures

    def _cache(self, data: LabelledSet, effort: str) -> Path:
        return self._work / "caches" / f"{data.name}-{effort}.sqlite"

    def _check_scorer(self, data: LabelledSet, groups: list[list[str]], figures: dict[str, Any]) -> None:
        """An independent scorer must come to the same figures."""
        scorer = self._args.eval / "score.py"
        if not scorer.exists():
            return
        file = self._work / "groups.json"
        file.write_text(json.dumps(groups), encoding="utf-8")
        command = [sys.executable, str(scorer), str(data.truth_file), str(file), "--json"]
        scored = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        ours = {
            "precision": "pair_precision",
            "recall": "pair_recall",
            "ari": "ari",
            "false_merges": "n_false_pairs",
        }
        pairs = [(key, scored[key], figures[own]) for key, own in ours.items()]
        pairs += [(kind, value, figures["kinds"][kind]) for kind, value in scored["kinds"].items()]
        for key, theirs, own in pairs:
            if abs(theirs - own) > SAME_FIGURE:
                raise SystemExit(
                    f"{scorer} says {key} = {theirs}, cvsim.groups.evaluation {own}, of {data.name}"
                )

    def domains(self) -> dict[str, Any]:
        """False links in pictures of one sort, by set, and recall of real-world alterations, by kind."""
        sets = [] if self._args.domains is None else domain_sets(self._args.domains)
        real = [] if self._args.real is None else [read_truth(self._args.real, "real")]
        found: dict[str, Any] = {
            f"cvsim {effort}": {
                data.name: self._kept(f"{data.name}-{data.fingerprint}-{effort}", self._dedupe, data, effort)
                for data in (*sets, *real)
            }
            for effort in self._args.efforts
        }
        for effort, by_set in found.items():
            for data in sets:
                by_set[data.name]["n_false"] = n_false_links(data, by_set[data.name])
            print(f"{effort}: {sum(by_set[data.name]['n_false'] for data in sets)} false", file=sys.stderr)
        known = available(self._args.peers_python) if (sets or real) else {}
        beside = [peer for peer in BESIDE if "version" in known.get(peer, {})]
        if beside:
            folder = link_all(self._args.peers_python, beside, (*sets, *real), self._work)
            for peer in beside:
                usual = known[peer]["usual"]
                found[peer] = {data.name: PeerRun(folder, peer, data).at(usual) for data in (*sets, *real)}
        return found

    def pairs(self) -> dict[str, Any]:
        """By effort: what became of pairs scored in each bin, and what every original's copies are called."""
        return {
            effort: self._kept(f"pairs-{self.reported.fingerprint}-{effort}", self._pairs, effort)
            for effort in self._args.efforts
        }

    def _pairs(self, effort: str) -> dict[str, Any]:
        scores, same = [], []
        relations: dict[str, Any] = {}
        for data in (self.reported, *self.negatives):
            settings = Settings(effort=effort, cache=str(self._cache(data, effort)))  # type: ignore[arg-type]
            with scored_collection(data, scoring_plan(settings), settings) as collection:
                scores.append(sigmoid(collection.candidates.log_odds))
                same.append(collection.is_same)
                if data is self.reported:
                    relations = collection.relations()
        bins = {
            "part b": calibration(scores[0], same[0]),
            "with hard negatives": calibration(np.concatenate(scores), np.concatenate(same)),
        }
        return {"calibration": bins, "relations": relations}

    def ablation(self) -> dict[str, Any]:
        """Part b without each signal, and with each of the others."""
        model = scoring_plan(Settings(effort=ABLATED)).model  # type: ignore[arg-type]
        sets = self._work / "sets"
        places = (sets / "{}" / "images", sets / "{}", self._args.data / "{}")
        found = [
            [folder for place in places if (folder := Path(str(place).format(name))).is_dir()]
            for name in model.origin["negatives"]
        ]
        folders = [folder[0] for folder in found if folder]
        different = [data for data in self.negatives if data.name in HARD_NEGATIVES]
        name = f"ablation-{self.learned.fingerprint}-{self.reported.fingerprint}"
        rows = self._kept(
            name,
            run_ablation,
            ABLATED,
            self.learned,
            folders,
            self.reported,
            different,
            self._work / "caches",
        )
        return {"effort": ABLATED, "rows": rows}

    def peers(self) -> dict[str, Any]:
        """Each peer at the threshold that part a chose, at its best on part b, and on the hard negatives."""
        known = available(self._args.peers_python)
        found: dict[str, Any] = {}
        for peer, entry in known.items():
            if self._args.peers is None or peer in self._args.peers:
                found[peer] = {k: entry[k] for k in ("usual", "is_hash", "version", "absent") if k in entry}
            if "absent" in entry:
                print(f"{peer}: absent ({entry['absent']})", file=sys.stderr)
        present = [peer for peer, entry in found.items() if "version" in entry]
        negatives = (*self.negatives, *self.unseen_halves)
        sets = (self.reported, self.learned, self.light, self.learned_light, *negatives)
        folder = link_all(self._args.peers_python, present, sets, self._work)
        for peer in present:
            found[peer] |= dict(self._peer(peer, folder, known[peer]))
        return found

    def _peer(self, peer: str, folder: Path, entry: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        def links(data: LabelledSet) -> PeerRun:
            return PeerRun(folder, peer, data)

        thresholds, threshold = entry["thresholds"], None
        for learned, reported in ((self.learned, self.reported), (self.learned_light, self.light)):
            chosen, run = links(learned).best(thresholds), links(reported)
            yield (
                reported.name,
                {
                    "usual": run.at(entry["usual"]),
                    "chosen_on_a": None if chosen is None else run.at(chosen["threshold"]),
                    "best_here": run.best(thresholds),
                    "wall_s": run.wall_s,
                    "cpu_s": run.cpu_s,
                    "n_unreadable": run.n_unreadable,
                },
            )
            if reported is self.reported:
                threshold = None if chosen is None else chosen["threshold"]
        for data in (*self.negatives, *self.unseen_halves):
            yield data.name, None if threshold is None else links(data).at(threshold)
        print(f"{peer}: threshold {threshold}", file=sys.stderr)


if __name__ == "__main__":
    main()
