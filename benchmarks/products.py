"""Grouping product photos: every signal and method against MobileNetV2 with k-means.

    python benchmarks/products.py --set cartons=FOLDER --set catalogue=FOLDER [--model mobilenet.onnx]

A set is a folder with ``images/`` and ``labels.csv``. Products, not photos, are parted in two halves, several
times: what is learned on one half is measured on the other. The baseline runs on the same halves. Writes
``results/products.json`` and prints the tables.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score, silhouette_score

from cvsim.groups.evaluation import read_labels
from cvsim.products.gallery import classify, evidence_of
from cvsim.products.grouping import group, untrained
from cvsim.products.methods import TREE_OF, TREES
from cvsim.products.partition import build_tree
from cvsim.products.training import PROBABILITIES, train
from cvsim.recipes.labelling import labels_for
from cvsim.recipes.products import read_vectors, vector_features
from cvsim.settings import Settings

RESULTS = Path(__file__).parent / "results" / "products.json"
FIRST_SEED = 100
N_DRAWS = 20
"""Of products left out of classifying: how many strangers pass hangs on a few that look alike."""
CLASSIFY = (
    "accuracy",
    "known rejected",
    "unknown rejected",
    "unknown rejected when 5 % of the known are",
    "the same with weights fitted to the answers",
    "calibration error",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", action="append", required=True, metavar="NAME=FOLDER", dest="sets")
    parser.add_argument("--model", help="MobileNetV2 as ONNX; without it there is no baseline")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--cache", help="spares reading the pictures again")
    parser.add_argument(
        "--whole", action="store_true", help="only whole sets without answers; writes nothing"
    )
    options = parser.parse_args()
    if options.whole:
        for entry in options.sets:
            name, _, folder = entry.partition("=")
            print(whole_set(name, Path(folder), options.model, options.cache), flush=True)
        return
    found = {}
    for entry in options.sets:
        name, _, folder = entry.partition("=")
        found[name] = measure_set(Path(folder), options.model, options.splits, options.cache)
        print(table(name, found[name]), flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def measure_set(
    folder: Path, model: str | None, n_splits: int, cache: str | None
) -> dict[str, dict[str, list[float]]]:
    """Each figure's values over the splits, by signals and method."""
    settings = replace(Settings(), cache=cache)
    features = vector_features(None, model)
    vectors = read_vectors([str(folder / "images")], features, settings, with_details=True)
    labels = np.array(labels_for(vectors.files, read_labels(folder / "labels.csv")))
    codes = np.unique(labels, return_inverse=True)[1]
    values: dict[str, dict[str, list[float]]] = {}
    for seed in range(FIRST_SEED, FIRST_SEED + n_splits):
        drawn = np.random.default_rng(seed).permutation(codes.max() + 1)
        learn = np.isin(codes, drawn[: len(drawn) // 2])
        for row, figures in measure_split(vectors, codes, learn).items():
            for figure, value in figures.items():
                values.setdefault(row, {}).setdefault(figure, []).append(round(float(value), 4))
    for seed in range(FIRST_SEED, FIRST_SEED + N_DRAWS):
        for row, figures in measure_classify(vectors, codes, seed).items():
            for figure, value in figures.items():
                values.setdefault(row, {}).setdefault(figure, []).append(round(float(value), 4))
    return values


def whole_set(name: str, folder: Path, model: str | None, cache: str | None) -> str:
    """Markdown rows: k-means with the true number, the default, the best of 80 cuts, three hints."""
    vectors = read_vectors(
        [str(folder / "images")], vector_features(None, model), replace(Settings(), cache=cache)
    )
    codes = np.unique(labels_for(vectors.files, read_labels(folder / "labels.csv")), return_inverse=True)[1]
    names, n, k = [source.name for source in vectors.sources], len(codes), int(codes.max()) + 1
    base = ari(codes, k_means(vectors.blocks[-1], k)) if "embedding" in names else float("nan")
    rows = []
    for chosen in signal_sets(names):
        blocks = [vectors.blocks[i] for i in chosen]
        rule = untrained(blocks, [vectors.sources[i] for i in chosen])
        labels = group(rule, blocks).labels
        tree = build_tree(rule.fuse_collection(blocks), "average")
        oracle = max(ari(codes, tree.cut_into(int(m))) for m in np.unique(np.geomspace(2, n - 1, 80).round()))
        told = [group(rule, blocks, photos_per_product=max(1, n / k * m)).labels for m in (0.5, 1, 2)]
        figures = [ari(codes, labels), oracle, *(ari(codes, one) for one in told)]
        title = f"{name}, {' + '.join(names[i] for i in chosen)}"
        cells = " | ".join(f"{figure:.3f}" for figure in figures)
        rows.append(f"| {title} | {base:.3f} | {labels.max() + 1} ({k}) | {cells} |")
    return "\n".join(rows)


def signal_sets(names: list[str]) -> list[tuple[int, ...]]:
    """Which signals to try: each alone, all without the embedding, and all."""
    alone = [(k,) for k in range(len(names))]
    plain = tuple(k for k, name in enumerate(names) if name != "embedding")
    return [*alone, plain, *([(*plain, len(names) - 1)] if len(plain) < len(names) else [])]


def measure_split(vectors, codes, learn) -> dict[str, dict[str, float]]:
    names = [source.name for source in vectors.sources]
    truth, found = codes[~learn], {}
    if "embedding" in names:
        network = vectors.blocks[names.index("embedding")][~learn]
        found["baseline: MobileNetV2, k-means, true k"] = {
            "ari": ari(truth, k_means(network, len(set(truth))))
        }
        found["baseline: MobileNetV2, k-means, estimated k"] = {"ari": ari(truth, k_means(network, None))}
    for chosen in signal_sets(names):
        sources = [vectors.sources[k] for k in chosen]
        blocks = [vectors.blocks[k] for k in chosen]
        held = [block[~learn] for block in blocks]
        title = " + ".join(names[k] for k in chosen)
        found[f"{title}, untrained"] = grouped(untrained(held, sources), held, truth)
        model = train([b[learn] for b in blocks], codes[learn], sources, with_gallery=False)
        found[f"{title}, trained"] = grouped(model, held, truth)
        if len(chosen) > 1:
            for method in (*TREES, "kmeans", "density", "hdbscan"):
                found[f"{title}, trained, {method}"] = {
                    "ari": ari(truth, group(model, held, method=method).labels)
                }
    return found


def grouped(model, blocks, truth) -> dict[str, float]:
    """ARI at the program's own threshold, and how far the best threshold is above it."""
    found = group(model, blocks).labels
    own = ari(truth, found)
    method = model.grouping.method
    method = TREE_OF.get(method, method)
    tree = build_tree(model.fuse_collection(blocks), method)
    curve = model.grouping.curves[method]
    best = max(ari(truth, tree.cut(curve.height(p))) for p in PROBABILITIES)
    return {"ari": own, "gap": max(0.0, best - own), "n_groups": len(set(found.tolist()))}


def measure_classify(vectors, codes, seed) -> dict[str, dict[str, float]]:
    """Accuracy on unseen photos of known products, and how many of unknown products are rejected."""
    names = [source.name for source in vectors.sources]
    rng = np.random.default_rng(seed)
    n_products = codes.max() + 1
    unknown = np.isin(codes, rng.permutation(n_products)[: n_products // 4])
    learn = ~unknown & (rng.random(len(codes)) < 0.7)
    known = ~unknown & ~learn & np.isin(codes, codes[learn])
    found = {}
    for chosen in signal_sets(names)[-2:]:
        blocks = [vectors.blocks[k] for k in chosen]
        model = train(
            [b[learn] for b in blocks],
            codes[learn],
            [vectors.sources[k] for k in chosen],
            details=vectors.details.take(learn),
            with_grouping=False,
        )
        labels = np.array([int(label) for label in model.gallery.labels])
        asked = [([b[rows] for b in blocks], vectors.details.take(rows)) for rows in (known, unknown)]
        seen, strange = (classify(model, *photos) for photos in asked)
        oracle = surest(*(evidence_of(model, *photos)[1] for photos in asked))
        sure = [one.products.sum(axis=1) for one in (seen, strange)]
        found[f"classify: {' + '.join(names[k] for k in chosen)}"] = {
            "accuracy": (labels[seen.products.argmax(axis=1)] == codes[known]).mean(),
            "known_rejected": (seen.codes == -1).mean(),
            "unknown_rejected": (strange.codes == -1).mean(),
            "unknown_rejected_at_5_percent": rejected(
                seen.products.sum(axis=1), strange.products.sum(axis=1)
            ),
            "oracle_rejected_at_5_percent": rejected(*oracle),
            "calibration_error": calibration_error(*sure),
        }
    return found


def rejected(known, strange) -> float:
    """Share of the unknown photos that are less sure than all but a twentieth of the known ones."""
    return float((strange < np.quantile(known, 0.05)).mean())


def surest(known, strange):
    """How sure an oracle is that photos are known: the same facts, weighed by the answers themselves."""
    facts, is_known = np.concatenate([known, strange]), np.repeat([1, 0], [len(known), len(strange)])
    facts = (facts - facts.mean(axis=0)) / np.maximum(facts.std(axis=0), 1e-9)
    sure = LogisticRegression(C=100.0, max_iter=5000).fit(facts, is_known).decision_function(facts)
    return sure[: len(known)], sure[len(known) :]


def calibration_error(known, strange) -> float:
    """Mean gap, by tenths, between how sure it is that a photo is known and how often one is."""
    sure = np.concatenate([known, strange])
    is_known = np.repeat([1.0, 0.0], [len(known), len(strange)])
    weight = np.repeat([0.5 / len(known), 0.5 / len(strange)], [len(known), len(strange)])
    tenth = np.minimum((sure * 10).astype(int), 9)
    return float(np.abs(np.bincount(tenth, weight * (is_known - sure))).sum())


def k_means(rows, k: int | None):
    """k-means' labels; without k, that of the largest silhouette."""
    if k is not None:
        return KMeans(k, n_init=5, random_state=0).fit_predict(rows)
    tried = np.unique(np.geomspace(2, len(rows) // 2, 12).round().astype(int))
    labels = [KMeans(int(k), n_init=2, random_state=0).fit_predict(rows) for k in tried]
    return max(labels, key=lambda found: silhouette_score(rows, found))


def ari(truth, labels) -> float:
    return adjusted_rand_score(truth, labels)


def table(name: str, values: dict[str, dict[str, list[float]]]) -> str:
    """Markdown: mean and standard deviation over the splits, and the error against the baseline's."""
    base = values.get("baseline: MobileNetV2, k-means, true k", {}).get("ari")
    lines = [
        f"\n### {name}\n",
        "| signals and method | ARI | spread | gap to best threshold | error / baseline's |",
    ]
    lines.append("|---|---|---|---|---|")
    for row, figures in values.items():
        if "ari" not in figures:
            continue
        mean, spread = np.mean(figures["ari"]), np.std(figures["ari"])
        gap = f"{np.mean(figures['gap']):.3f}" if "gap" in figures else ""
        ratio = f"{(1 - mean) / (1 - np.mean(base)):.2f}" if base else ""
        lines.append(f"| {row} | {mean:.3f} | {spread:.3f} | {gap} | {ratio} |")
    lines += ["", "| classifying by | " + " | ".join(CLASSIFY) + " |", "|---" * (len(CLASSIFY) + 1) + "|"]
    for row, figures in values.items():
        if "accuracy" in figures:
            means = " | ".join(f"{np.mean(v):.3f}" for v in figures.values())
            lines.append(f"| {row.removeprefix('classify: ')} | {means} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
