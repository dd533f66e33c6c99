"""How often a photo's nearest neighbour shows the same product: the autoencoder's code against raw pixels.

    python benchmarks/autoencoder.py --set cartons=FOLDER [--epochs 40]

A set is a folder with ``images/`` and ``labels.csv``. The autoencoder sees all pictures and no label. Raw
pixels are taken twice: as many values as the code has, and all that the autoencoder sees. Needs the extra
``torch``. Writes ``results/autoencoder.json``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from cvsim.features.embedding import Embedding
from cvsim.groups.evaluation import read_labels
from cvsim.images.decode import decode
from cvsim.products.autoencoder import AUTOENCODER_PX, N_EPOCHS
from cvsim.recipes.labelling import labels_for
from cvsim.recipes.products import read_vectors, train_autoencoder, vector_features
from cvsim.settings import Settings

RESULTS = Path(__file__).parent / "results" / "autoencoder.json"
SMALL_PX = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", action="append", required=True, metavar="NAME=FOLDER", dest="sets")
    parser.add_argument("--epochs", type=int, default=N_EPOCHS)
    options = parser.parse_args()
    found = {}
    for entry in options.sets:
        name, _, folder = entry.partition("=")
        found[name] = measured(Path(folder), options.epochs)
        print(name, json.dumps(found[name]), flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def measured(folder: Path, n_epochs: int) -> dict[str, float]:
    settings = replace(Settings(), cache=None)
    vectors = read_vectors([str(folder / "images")], vector_features(["gradient"], None), settings)
    labels = np.array(labels_for(vectors.files, read_labels(folder / "labels.csv")))
    start = time.process_time()
    network = train_autoencoder(vectors, n_epochs=n_epochs)
    seconds = time.process_time() - start
    pictures = [decode(data, longest_px=256).rgb for data in vectors.thumbnails if data is not None]
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        file.write(network)
        file.flush()
        embedding = Embedding(file.name)
        code = embedding.pack([embedding.extract(rgb) for rgb in pictures])
    return {
        "n_images": len(pictures),
        "n_dims": code.shape[1],
        "epochs": n_epochs,
        "training_cpu_s": round(seconds, 1),
        "autoencoder": nearest_is_same(code, labels),
        f"raw pixels, {SMALL_PX} x {SMALL_PX}": nearest_is_same(raw(pictures, SMALL_PX), labels),
        f"raw pixels, {AUTOENCODER_PX} x {AUTOENCODER_PX}": nearest_is_same(
            raw(pictures, AUTOENCODER_PX), labels
        ),
    }


def raw(pictures: list[np.ndarray], side_px: int) -> np.ndarray:
    small = [cv2.resize(rgb, (side_px, side_px), interpolation=cv2.INTER_AREA).ravel() for rgb in pictures]
    return np.array(small, np.float32) / 255


def nearest_is_same(rows: np.ndarray, labels: np.ndarray) -> float:
    """Share of the pictures whose nearest neighbour, by distance or cosine, has their label; the better."""
    unit = (rows - rows.mean(axis=0)) / np.linalg.norm(rows - rows.mean(axis=0), axis=1, keepdims=True)
    squares = (rows * rows).sum(axis=1)
    found = []
    for nearness in (unit @ unit.T, 2 * rows @ rows.T - squares[None, :] - squares[:, None]):
        np.fill_diagonal(nearness, -np.inf)
        found.append(float((labels[nearness.argmax(axis=1)] == labels).mean()))
    return round(max(found), 4)


if __name__ == "__main__":
    main()
