from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from onnx_models import mean_color_model
from product_photos import photo

from cvsim.cli.group import cvsim

N_PRODUCTS, N_PHOTOS = 6, 5


def run(*arguments: Path | str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cvsim, list(map(str, arguments)))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


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
    code, out, err = run("train", shop / "images", "--labels", labels, "-o", path, "-q")
    assert (code, err) == (0, "")
    assert "30 pictures of 6 products" in out
    assert "classifying: accuracy 1.000 on the photos that it learned" in out
    assert "on photos held out of known products" in out
    return path


def test_train_cluster_evaluate(shop, profile, tmp_path):
    out_file = tmp_path / "found.csv"
    code, out, _ = run("cluster", shop / "images", "--profile", profile, "-o", out_file, "--json")
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
    code, _, err = run("features", folder, "-o", tmp_path / "f.npy")
    assert code == 0
    assert "a.png" in err
    table = np.load(tmp_path / "f.npy", allow_pickle=False)
    assert table.dtype == np.float32
    assert (tmp_path / "f.txt").read_text().split() == ["a.png", "b.png", "c.png"]
    assert np.isnan(table[0]).all()
    assert np.array_equal(table[1], table[2])
    code, _, _ = run("cluster", folder, "-o", tmp_path / "l.npy", "-q", "--n-clusters", "1")
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
    code, out, _ = run("classify", shop / "images", "--profile", profile, "-o", "-")
    assert code == 0
    rows = [line.split(",") for line in out.splitlines()]
    assert rows[0] == ["file", "label", "probability"]
    right = [row[1] == f"product {row[0][2]}" for row in rows[1:]]
    assert sum(right) >= 24
    assert all(0 <= float(row[2]) <= 1 for row in rows[1:])


def test_new_pictures_are_assigned_to_groups_that_nobody_named(shop, tmp_path):
    labels, profile = tmp_path / "four.csv", tmp_path / "four.npz"
    how = ("--n-clusters", "4", "-o", labels, "--save-profile", profile, "-q")
    assert run("cluster", shop / "images", *how)[0] == 0
    code, out, _ = run("classify", shop / "images", "--profile", profile, "-o", "-")
    found = dict(line.split(",")[:2] for line in out.splitlines())
    known = dict(line.split(",") for line in labels.read_text().splitlines())
    assert code == 0
    assert len(set(found.values())) == 5  # with the header
    assert np.mean([found[file] == label for file, label in known.items()]) > 0.8
    code, _, err = run("dedupe", shop / "images", "--profile", profile, "-q")
    assert (code, "scores no pairs" in err) == (2, True)


def test_files_of_two_folders_are_told_apart(shop, tmp_path):
    content = (shop / "images" / "0_0.png").read_bytes()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x\ny.png").write_bytes(content)
    both = (tmp_path / "a", tmp_path / "b")
    assert run("features", *both, "-o", tmp_path / "f.npy", "-q")[0] == 0
    assert (tmp_path / "f.txt").read_text().splitlines() == ["a/x\\ny.png", "b/x\\ny.png"]
    assert run("cluster", *both, "-o", tmp_path / "l.csv", "-q")[0] == 0
    assert run("evaluate", tmp_path / "l.csv", tmp_path / "l.csv", "--json")[1].count('"n_images": 2') == 1


@pytest.mark.parametrize("prefix", ["", "images/", "elsewhere/"])
def test_labels_that_fit_another_folder_are_refused_before_reading(shop, tmp_path, prefix):
    (tmp_path / "l.csv").write_text(f"file,label\n{prefix}0_0.png,x\n{prefix}1_0.png,y\n")
    given, fits = (shop, shop / "images") if prefix == "" else (shop / "images", shop)
    code, _, err = run("train", given, "--labels", tmp_path / "l.csv", "-o", tmp_path / "m.npz")
    assert code == 2
    assert "are not there" in err
    assert (f"they are under {fits}:" in err) == (prefix != "elsewhere/")


def test_a_folder_a_class_trains_too(shop, tmp_path):
    for file in (shop / "images").iterdir():
        folder = tmp_path / "photos" / f"p{file.stem[-1]}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file.name).write_bytes(file.read_bytes())
    code, out, _ = run("train", tmp_path / "photos", "-o", tmp_path / "m.npz", "-q", "--json")
    assert code == 0
    assert json.loads(out)["n_products"] == 6


def test_plot_writes_maps_sheets_and_projector_files(shop, tmp_path):
    images, labels = shop / "images", shop / "labels.csv"
    common = ("--labels", labels, "-q")
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
    arguments = ("--labels", tmp_path / "l.csv", "-o", tmp_path / "m.npz", "-q")
    code, out, err = run("train", shop / "images", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert not (tmp_path / "m.npz").exists()


def test_a_profile_that_is_none_is_explained(shop, tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"not a zip")
    for name, message in ((tmp_path / "bad.npz", "not a trained"), ("nonsense", "neither one of")):
        code, _, err = run("cluster", shop / "images", "--profile", name, "-o", "-", "-q")
        assert code == 2
        assert message in err


def test_a_trained_profile_scores_pairs_groups_and_candidates(shop, profile, tmp_path):
    images = shop / "images"
    pair = run("compare", images / "0_1.png", images / "1_1.png", "--profile", profile, "--json")
    same = json.loads(pair[1])
    other = json.loads(
        run("compare", images / "0_1.png", images / "1_4.png", "--profile", profile, "--json")[1]
    )
    assert same["score"] > other["score"]
    log_odds = same["prior"] + sum(signal["weight"] for signal in same["signals"])
    assert same["score"] == pytest.approx(1 / (1 + np.exp(-log_odds)))
    _, out, _ = run("dedupe", images, "--profile", profile, "-q", "--json")
    report = json.loads(out)
    right = [e["a"][-5] == e["b"][-5] for group in report["groups"] for e in group["edges"]]
    assert len(right) > 10
    assert np.mean(right) > 0.9
    assert report["counts"]["duplicates"] == 0  # other photos of a product are no copies to be removed
    edges = {(e["a"], e["b"]): e["score"] for group in report["groups"] for e in group["edges"]}
    pairs = tmp_path / "pairs.csv"
    code, out, _ = run(
        "prefilter",
        images,
        "--profile",
        profile,
        "-o",
        pairs,
        "--recall",
        "0.9",
        "--sample",
        "8",
        "-q",
    )
    assert (code, "held out" in out) == (0, True)
    rows = [line.rsplit(",", 1) for line in pairs.read_text().splitlines()[1:]]
    scores = {tuple(names.split(",")): float(score) for names, score in rows}
    assert set(edges) <= set(scores)
    assert all(scores[pair] == pytest.approx(score, abs=1e-6) for pair, score in edges.items())


def test_every_pair_above_the_threshold_is_found(shop, profile):
    images = shop / "images"
    _, out, _ = run("dedupe", images, "--profile", profile, "--threshold", "0.7", "-q", "--json")
    linked = {(e["a"], e["b"]) for group in json.loads(out)["groups"] for e in group["edges"]}
    names = sorted(str(path) for path in images.iterdir())
    for a, b in [(0, 1), (0, 7), (5, 6), (13, 29)]:
        found = run("compare", names[a], names[b], "--profile", profile, "--json")[1]
        assert (json.loads(found)["score"] >= 0.7) == ((names[a], names[b]) in linked)


def test_a_search_is_scored_by_a_trained_profile(shop, profile, tmp_path):
    store = tmp_path / "shop.db"
    assert run("index", shop / "images", "--store", store, "-q")[0] == 0
    query = shop / "images" / "0_2.png"
    code, out, _ = run("search", query, "--store", store, "--profile", profile, "-k", "5", "--json")
    hits = [hit for hit in json.loads(out)["hits"] if hit["profile"] == "product"]
    assert code == 0
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
    best = hits[0]
    pair = json.loads(run("compare", query, best["path"], "--profile", profile, "--json")[1])
    assert best["score"] == pytest.approx(pair["score"], abs=1e-3)


def test_compare_prints_the_cosine_of_an_embedding(shop, tmp_path):
    network = mean_color_model(tmp_path / "mean.onnx")
    images = shop / "images"
    _, out, _ = run(
        "compare",
        images / "0_1.png",
        images / "1_1.png",
        "--embedding",
        f"unit={network}",
        "--json",
    )
    found = {signal["name"]: signal["similarity"] for signal in json.loads(out)["signals"]}
    means = [cv2.imread(str(images / name)).reshape(-1, 3).mean(axis=0) for name in ("0_1.png", "1_1.png")]
    cosine = means[0] @ means[1] / np.linalg.norm(means[0]) / np.linalg.norm(means[1])
    assert found["embedding"] == pytest.approx(cosine, abs=2e-3)
    few = sorted(images.glob("0_*"))
    code, out, _ = run("dedupe", *few, "--embedding", f"unit={network}", "--json", "--no-cache", "-q")
    assert code == 0
    assert "embedding" in json.loads(out)["settings"]["signals"]


@pytest.mark.parametrize("verb", ["dedupe", "prefilter"])
def test_a_profile_that_can_not_score_pairs_is_explained(shop, tmp_path, verb):
    output = ("-o", tmp_path / "p.csv") if verb == "prefilter" else ()
    for name, message in (("product", "cvsim cluster"), ("nonsense", "neither one of alike, copy, product")):
        code, _, err = run(verb, shop / "images", "--profile", name, *output, "-q")
        assert code == 2
        assert message in err


def test_one_image_classes_are_mentioned_once(shop, tmp_path):
    rows = [f"{i}_{p}.png,{p}" for p in range(3) for i in range(5)] + ["0_3.png,alone"]
    (tmp_path / "l.csv").write_text("file,label\n" + "\n".join(rows) + "\n")
    code, _, err = run("train", shop / "images", "--labels", tmp_path / "l.csv", "-o", tmp_path / "m.npz")
    assert code == 0
    assert err.count("single image") == 1


def test_an_onnx_file_that_is_no_image_model_is_explained(shop, tmp_path):
    (tmp_path / "junk.onnx").write_bytes(b"no model")
    for verb in ("cluster", "features"):
        out = tmp_path / ("o.csv" if verb == "cluster" else "o.npy")
        code, _, err = run(verb, shop / "images", "--embedding", tmp_path / "junk.onnx", "-o", out)
        assert code == 2
        assert "not an ONNX model" in err


def test_no_name_or_label_is_a_formula_and_each_is_read_back(shop, tmp_path):
    folder, rows = tmp_path / "p", ["file,label"]
    folder.mkdir()
    for product in range(3):
        for i in range(N_PHOTOS):
            name = f"={i}+{product}.png"
            (folder / name).write_bytes((shop / "images" / f"{i}_{product}.png").read_bytes())
            rows.append(f"{name},=product {product}")
    answers = tmp_path / "answers.csv"
    answers.write_text("\n".join(rows) + "\n")
    assert run("train", folder, "--labels", answers, "-o", tmp_path / "p.npz", "-q")[0] == 0
    profile = tmp_path / "p.npz"
    for number, command in enumerate((["cluster", folder], ["classify", folder, "--profile", profile])):
        found = tmp_path / f"{number}.csv"
        assert run(*command, "-o", found, "-q")[0] == 0
        cells = [cell for line in found.read_text().splitlines() for cell in line.split(",")]
        assert sum(cell.startswith("./=") for cell in cells) == 3 * N_PHOTOS
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]
        assert run("evaluate", found, answers, "--json")[0] == 0
    pairs = tmp_path / "pairs.csv"
    code, _, err = run("prefilter", folder, "-o", pairs, "--sample", "1", "-q")
    assert (code, err) == (0, "")
    assert not any(line.startswith(("=", "+", "-", "@")) for line in pairs.read_text().splitlines())
