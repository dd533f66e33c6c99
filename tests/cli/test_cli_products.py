from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from cvsim.cli.group import cvsim

N_PRODUCTS, N_PHOTOS = 6, 5


def run(*arguments: Path | str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cvsim, list(map(str, arguments)))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def photo(product: int, seed: int) -> np.ndarray:
    """A product of two colours on a shelf of others, moved and lit a little differently in each photo."""
    of_product, rng = np.random.default_rng(product), np.random.default_rng(1000 + seed)
    colors = of_product.integers(0, 256, (2, 3))
    rgb = cv2.resize(rng.integers(90, 160, (4, 4, 3), dtype=np.uint8), (96, 96))
    x, y = rng.integers(-6, 7, 2) + 48
    cv2.rectangle(rgb, (int(x) - 26, int(y) - 34), (int(x) + 26, int(y) + 34), colors[0].tolist(), -1)
    cv2.circle(rgb, (int(x), int(y)), 8 + product * 2, colors[1].tolist(), -1)
    return np.clip(rgb * rng.uniform(0.85, 1.15), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("shop")
    (root / "images").mkdir()
    rows = ["file,label"]
    for product in range(N_PRODUCTS):
        for i in range(N_PHOTOS):
            name = f"{i}_{product}.png"
            cv2.imwrite(str(root / "images" / name), photo(product, product * N_PHOTOS + i)[..., ::-1])
            rows.append(f"{name},product {product}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="module")
def profile(shop) -> Path:
    path = shop / "shop.npz"
    labels = shop / "labels.csv"
    code, out, err = run("train", shop / "images", "--labels", labels, "-o", path, "--no-cache", "-q")
    assert (code, err) == (0, "")
    assert "30 pictures of 6 products" in out
    return path


def test_train_cluster_evaluate(shop, profile, tmp_path):
    out_file = tmp_path / "found.csv"
    code, out, _ = run(
        "cluster", shop / "images", "--profile", profile, "-o", out_file, "--no-cache", "--json"
    )
    assert code == 0
    assert json.loads(out)["n_images"] == 30
    code, out, _ = run("evaluate", out_file, shop / "labels.csv", "--json")
    assert json.loads(out)["ari"] > 0.6


def test_arrays_are_in_path_order_and_keep_unreadable_files(shop, tmp_path):
    folder = tmp_path / "some"
    folder.mkdir()
    for name in ("b.png", "c.png"):
        (folder / name).write_bytes((shop / "images" / "0_0.png").read_bytes())
    (folder / "a.png").write_bytes((shop / "images" / "0_1.png").read_bytes()[:60])
    (folder / "notes.txt").write_text("no picture")
    code, _, err = run("features", folder, "-o", tmp_path / "f.npy", "--no-cache")
    assert code == 0
    assert "a.png" in err
    table = np.load(tmp_path / "f.npy", allow_pickle=False)
    assert table.dtype == np.float32
    assert (tmp_path / "f.txt").read_text().split() == ["a.png", "b.png", "c.png"]
    assert np.isnan(table[0]).all()
    assert np.array_equal(table[1], table[2])
    code, _, _ = run("cluster", folder, "-o", tmp_path / "l.npy", "--no-cache", "-q", "--n-clusters", "1")
    assert code == 0
    assert np.load(tmp_path / "l.npy").tolist() == [-1, 0, 0]


def test_features_from_elsewhere_round_trip(tmp_path):
    rows = np.repeat(np.eye(4), 3, axis=0) + np.random.default_rng(0).normal(size=(12, 4)) * 0.02
    np.save(tmp_path / "features.npy", rows)
    np.save(tmp_path / "labels_true.npy", np.repeat(np.arange(4), 3))
    made = tmp_path / "labels_pred.npy"
    assert run("cluster", tmp_path / "features.npy", "--threshold", "0.95", "-o", made, "-q")[0] == 0
    _, out, _ = run("evaluate", made, tmp_path / "labels_true.npy", "--json")
    assert json.loads(out)["ari"] == 1.0
    target = tmp_path / "map.html"
    labels = tmp_path / "labels_true.npy"
    assert run("plot", tmp_path / "features.npy", "--labels", labels, "-o", target, "-q")[0] == 0
    assert b"Content-Security-Policy" in target.read_bytes()


def test_classify_names_known_products(shop, profile, tmp_path):
    code, out, _ = run("classify", shop / "images", "--profile", profile, "-o", "-", "--no-cache")
    assert code == 0
    rows = [line.split(",") for line in out.splitlines()]
    assert rows[0] == ["file", "label", "probability"]
    right = [row[1] == f"product {row[0][2]}" for row in rows[1:]]
    assert sum(right) >= 24
    assert all(0 <= float(row[2]) <= 1 for row in rows[1:])


def test_a_folder_a_class_trains_too(shop, tmp_path):
    for file in (shop / "images").iterdir():
        folder = tmp_path / "photos" / f"p{file.stem[-1]}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file.name).write_bytes(file.read_bytes())
    code, out, _ = run("train", tmp_path / "photos", "-o", tmp_path / "m.npz", "--no-cache", "-q", "--json")
    assert code == 0
    assert json.loads(out)["n_products"] == 6


def test_plot_writes_maps_sheets_and_projector_files(shop, tmp_path):
    images, labels = shop / "images", shop / "labels.csv"
    common = ("--labels", labels, "--no-cache", "-q")
    assert run("plot", images, *common, "-o", tmp_path / "map.png")[0] == 0
    assert cv2.imread(str(tmp_path / "map.png")) is not None
    assert run("plot", images, *common, "-o", tmp_path / "out")[0] == 0
    out = tmp_path / "out"
    vectors = np.loadtxt(out / "vectors.tsv", delimiter="\t")
    metadata = (out / "metadata.tsv").read_text().splitlines()
    entry = json.loads((out / "projector_config.json").read_text())["embeddings"][0]
    assert entry["tensorShape"] == list(vectors.shape)
    assert len(metadata) == len(vectors) + 1 == 31
    sprite = cv2.imread(str(out / "sprite.png"))
    assert sprite.shape[0] == sprite.shape[1] == 6 * entry["sprite"]["singleImageDim"][0]
    # The picture of a row is the picture in its cell.
    row, side = 8, entry["sprite"]["singleImageDim"][0]
    cell = sprite[row // 6 * side :, row % 6 * side :][:side, :side]
    file = cv2.resize(cv2.imread(str(images / metadata[row + 1].split("\t")[0])), (side, side))
    assert np.abs(cell.astype(int) - file).mean() < 12
    assert cv2.imread(str(out / "sheet-001.png")) is not None


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("file,label\nmissing.png,x\n0_0.png,y\n", "are not there: missing.png"),
        ("name;class\n", "file and label"),
        ("file,label\n0_0.png,x\n1_0.png,x\n", "one label"),
        ("file,label\n0_0.png,x\n1_0.png,y\n", "single image"),
    ],
)
def test_wrong_labels_are_explained(shop, tmp_path, labels, message):
    (tmp_path / "l.csv").write_text(labels)
    arguments = ("--labels", tmp_path / "l.csv", "-o", tmp_path / "m.npz", "--no-cache", "-q")
    code, out, err = run("train", shop / "images", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert not (tmp_path / "m.npz").exists()


def test_a_profile_that_is_none_is_explained(shop, tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"not a zip")
    for name, message in ((tmp_path / "bad.npz", "not a trained"), ("nonsense", "neither the profile")):
        code, _, err = run("cluster", shop / "images", "--profile", name, "-o", "-", "--no-cache", "-q")
        assert code == 2
        assert message in err
