"""What fine-tuning brings to products that it was not shown.

    python benchmarks/tuned_networks.py --set cartons=FOLDER --model mobilenet.onnx [--seeds 4 5 6]

A set is a folder with ``images/`` and ``labels.csv``. Products, not photos, are parted in two halves; the
network is tuned by ``train --fine-tune`` on one half and groups the other, without answers, as ``cluster
--embedding`` does. Three networks stand side by side: as it came, with the layer on top that tuning begins
with, and tuned. Prints a table: the Adjusted Rand Index of k-means that is told the true number, that of the
default, and the minutes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from products import ari, k_means

from cvsim.groups.evaluation import read_labels
from cvsim.products import fine_tuning
from cvsim.products.grouping import group, untrained
from cvsim.recipes.fine_tuning import tune_network
from cvsim.recipes.products import read_vectors, vector_features
from cvsim.settings import Settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", action="append", required=True, metavar="NAME=FOLDER", dest="sets")
    parser.add_argument("--model", required=True, help="an image network as ONNX")
    parser.add_argument("--seeds", type=int, nargs="+", default=[4, 5, 6])
    parser.add_argument("--epochs", type=int, default=fine_tuning.TUNING_EPOCHS)
    options = parser.parse_args()
    print("| set | seed | network | k-means, true k | default | groups (true) | minutes |")
    print("|---|---:|---|---:|---:|---:|---:|")
    for entry in options.sets:
        name, _, folder = entry.partition("=")
        for seed in options.seeds:
            measure(name, Path(folder), options.model, seed, options.epochs)


def measure(name: str, folder: Path, model: str, seed: int, n_epochs: int) -> None:
    """Print a row for each of the three networks."""
    answers = read_labels(folder / "labels.csv")
    products = sorted(set(answers.values()))
    drawn = np.random.default_rng(seed).permutation(len(products))
    shown = {products[k] for k in drawn[: len(products) // 2]}
    learned = {file: label for file, label in answers.items() if label in shown}
    held_out = [
        str(folder / "images" / file) for file, label in sorted(answers.items()) if label not in shown
    ]
    settings = replace(Settings(), cache=None)
    with tempfile.TemporaryDirectory() as work:
        networks = {"as it came": (model, 0.0)}
        for title, epochs in (("with the layer", 0), ("tuned", n_epochs)):
            began = time.monotonic()
            target = Path(work) / f"{epochs}.onnx"
            onnx, _ = tune_network(
                [str(folder / "images")], learned, model, settings, n_epochs=epochs, seed=seed
            )
            target.write_bytes(onnx)
            networks[title] = (str(target), (time.monotonic() - began) / 60)
        for title, (network, minutes) in networks.items():
            figures = grouped(held_out, answers, network, settings)
            print(f"| {name} | {seed} | {title} | {figures} | {minutes:.1f} |", flush=True)


def grouped(held_out: list[str], answers: dict[str, str], network: str, settings: Settings) -> str:
    """The two indices of a network on photos of products that it was not shown."""
    vectors = read_vectors(held_out, vector_features(("embedding",), network), settings)
    codes = np.unique([answers[Path(file).name] for file in vectors.files], return_inverse=True)[1]
    told = ari(codes, k_means(vectors.blocks[0], int(codes.max()) + 1))
    labels = group(untrained(vectors.blocks, vectors.sources), vectors.blocks).labels
    return f"{told:.3f} | {ari(codes, labels):.3f} | {labels.max() + 1} ({codes.max() + 1})"


if __name__ == "__main__":
    main()
