"""The tables of README.md that `accuracy.py` writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cvsim_runs import relation_accuracy
from tables import count, number, share, table, write_section

ALL, LIGHT = "copies-b", "copies-b-light"
NEGATIVES = {
    "distractors": "shelf photos",
    "distractors-b": "of them not learned from",
    "products-catalogue": "catalogue photos",
    "products-catalogue-b": "of them not learned from",
    "flat": "flat pictures",
}
Result = Mapping[str, Any]


def write_tables(result: Result, readme: Path) -> None:
    """Put every table that the result has figures for in its place."""
    sections = {
        "accuracy": accuracy_table,
        "accuracy-light": light_table,
        "accuracy-kinds": kinds_table,
        "accuracy-negatives": negatives_table,
        "accuracy-calibration": calibration_table,
        "accuracy-relations": relations_table,
        "accuracy-ablation": ablation_table,
        "accuracy-domains": domains_table,
        "accuracy-real": real_table,
    }
    needs = {"accuracy-calibration": "pairs", "accuracy-relations": "pairs", "accuracy-ablation": "ablation"}
    needs |= dict.fromkeys(("accuracy-domains", "accuracy-real"), "domains")
    for name, make in sections.items():
        if needs.get(name, "cvsim") in result:
            write_section(name, make(result), readme)


def _efforts(result: Result) -> Iterator[tuple[str, Any]]:
    for effort, sets in result["cvsim"].items():
        yield f"cvsim {effort}", sets


def _peers(result: Result) -> list[tuple[str, Any]]:
    """Those that ran, the best first."""
    ran = [(name, peer) for name, peer in result.get("peers", {}).items() if "absent" not in peer]
    return sorted(ran, key=lambda item: -(_recall(item[1][ALL]["chosen_on_a"])))


def _recall(figures: Result | None) -> float:
    return 0.0 if figures is None else figures["pair_recall"]


def accuracy_table(result: Result) -> str:
    """All kinds of copies of part b."""
    header = [
        "part b, all kinds",
        "precision",
        "recall",
        "ARI",
        "light kinds",
        "false pairs",
        "best recall",
        "CPU s",
    ]
    rows = []
    for name, sets in _efforts(result):
        rows.append([name, *_agreement(sets[ALL]), "", number(sets[ALL]["cpu_s"])])
    for name, peer in _peers(result):
        found = peer[ALL]
        rows.append([name, *_agreement(found["chosen_on_a"]), _best(found), number(found["cpu_s"])])
    absent = [
        f"{name}: {peer['absent']}" for name, peer in result.get("peers", {}).items() if "absent" in peer
    ]
    note = "Absent: " + "; ".join(absent) + "." if absent else ""
    return f"{table(header, rows)}\n\n{_of_files(result, ALL)} {note}"


def _agreement(figures: Result | None) -> list[str]:
    if figures is None:
        return ["no safe threshold", "", "", "", ""]
    return [
        share(figures["pair_precision"], 4),
        share(figures["pair_recall"]),
        share(figures["ari"]),
        share(figures["light_recall"]),
        count(figures["n_false_pairs"]),
    ]


def _best(found: Result) -> str:
    best = found["best_here"]
    return "none" if best is None else f"{share(best['pair_recall'])} (at {best['threshold']:g})"


def _of_files(result: Result, name: str) -> str:
    first = next(iter(result["cvsim"].values()))[name]
    return f"{first['n_images']:,} files."


def domains_table(result: Result) -> str:
    """False links among pictures of one sort: for cvsim links, for the others pairs within radius."""
    shown = {name: found for name, found in result["domains"].items() if found}
    sets = [name for name in next(iter(shown.values()), {}) if name != "real"]

    def false(figures: Result) -> int:
        return int(figures.get("n_false", figures["n_false_pairs"]))

    rows = [[one, *[count(false(found[one])) for found in shown.values()]] for one in sets]
    total = ["together", *[count(sum(false(found[s]) for s in sets)) for found in shown.values()]]
    return table(["false links", *shown], [*rows, total])


def real_table(result: Result) -> str:
    """Recall of real-world alterations by kind."""
    shown = {name: found["real"] for name, found in result["domains"].items() if "real" in found}
    kinds = list(next(iter(shown.values()))["kinds"]) if shown else []
    rows = [[kind, *[share(found["kinds"].get(kind), 2) for found in shown.values()]] for kind in kinds]
    precision = ["precision", *[share(found["pair_precision"], 4) for found in shown.values()]]
    return table(["kind", *shown], [*rows, precision])


def light_table(result: Result) -> str:
    """The light set of part b: what leaves the picture whole."""
    header = [
        "part b, light kinds",
        "precision",
        "recall",
        "ARI",
        "false pairs",
        "best recall",
        "its threshold",
    ]
    rows = []
    for name, sets in _efforts(result):
        rows.append([name, *_light_agreement(sets[LIGHT]), "", ""])
    peers = [(name, peer[LIGHT]) for name, peer in _peers(result)]
    for name, found in sorted(peers, key=lambda item: -_recall(item[1]["chosen_on_a"])):
        best = found["best_here"]
        figures = ["none", ""] if best is None else [share(best["pair_recall"]), f"{best['threshold']:g}"]
        rows.append([name, *_light_agreement(found["chosen_on_a"]), *figures])
    return f"{table(header, rows)}\n\n{_of_files(result, LIGHT)}"


def _light_agreement(figures: Result | None) -> list[str]:
    row = _agreement(figures)
    return row[:3] + row[4:]


def kinds_table(result: Result) -> str:
    """Recall by kind: cvsim, and the peers that find most."""
    columns = {name: sets[ALL]["kinds"] for name, sets in _efforts(result)}
    for name, peer in _peers(result)[:6]:
        chosen = peer[ALL]["chosen_on_a"]
        if chosen is not None:
            columns[name] = chosen["kinds"]
    kinds = list(next(iter(columns.values())))
    rows = [[kind, *[share(found.get(kind), 2) for found in columns.values()]] for kind in kinds]
    lowest = ["the lowest", *[share(min(found.values(), default=0.0), 2) for found in columns.values()]]
    return table(["kind", *columns], [*rows, lowest])


def negatives_table(result: Result) -> str:
    """False pairs among photographs of which no two are the same."""
    sizes = next(iter(result["cvsim"].values()))
    shown = {name: title for name, title in NEGATIVES.items() if name in sizes}
    header = ["false pairs", *[f"{sizes[n]['n_images']:,} {title}" for n, title in shown.items()]]
    header.append("weak groups in part b")
    rows = []
    for name, sets in _efforts(result):
        false = [count(sets[n]["n_false_pairs"]) for n in shown]
        rows.append([name, *false, count(sets[ALL]["n_weak_groups"])])
    for name, peer in _peers(result):
        if peer["flat"] is not None:
            false = [count(peer[n]["n_false_pairs"]) if peer.get(n) else "" for n in shown]
            rows.append([name, *false, ""])
    return table(header, rows)


def calibration_table(result: Result) -> str:
    """Of pairs scored in a bin, how many are the same."""
    header = ["effort", "pairs of", "scored", "pairs", "same", "95 % interval", "in the bin"]
    rows = []
    for effort, pairs in result["pairs"].items():
        for collection, bins in pairs["calibration"].items():
            for found in bins:
                rows.append([effort, collection, f"{found['low']:g} to {found['high']:g}", *_bin(found)])
    return table(header, rows)


def _bin(found: Result) -> list[str]:
    if not found["n"]:
        return ["0", "", "", "empty"]
    verdict = "yes" if found["is_inside"] else "within its interval" if found["meets"] else "no"
    low, high = found["interval"]
    return [count(found["n"]), share(found["share"], 4), f"{low:.4f} to {high:.4f}", verdict]


def relations_table(result: Result) -> str:
    """Share of the linked pairs of an original and its copy that are named right, and what they are named."""
    edges = {f"{name}, edges": sets[ALL]["relations"] for name, sets in _efforts(result)}
    every = {f"cvsim {effort}, all": pairs["relations"] for effort, pairs in result["pairs"].items()}
    accuracy = {name: relation_accuracy(found) for name, found in {**edges, **every}.items()}
    shown = next((name for name in every if "default" in name), next(iter(every)))
    kinds = dict.fromkeys(kind for found in accuracy.values() for kind in found)
    rows = []
    for kind in kinds:
        named = sorted(every[shown].get(kind, {}).items(), key=lambda item: -item[1])
        said = ", ".join(f"{relation} {n}" for relation, n in named)
        rows.append([kind, *[share(found.get(kind), 2) for found in accuracy.values()], said])
    return table(["copy of an original", *accuracy, shown.replace("all", "named")], rows)


def ablation_table(result: Result) -> str:
    """What leaving each signal out costs, and what putting another in brings."""
    header = [
        "signals",
        "precision",
        "recall",
        "false pairs",
        "recall at equal precision",
        "difference",
        "± error",
    ]
    rows = []
    for row in result["ablation"]["rows"]:
        rows.append(
            [
                row["name"],
                share(row["pair_precision"], 4),
                share(row["pair_recall"], 4),
                count(row["n_false_pairs"]),
                share(row["recall_at_equal_precision"], 4) or "none",
                f"{row['difference']:+.4f}",
                f"{row['standard_error']:.4f}",
            ]
        )
    return table(header, rows)
