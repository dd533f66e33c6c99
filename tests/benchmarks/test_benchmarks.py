"""The benchmarks run, on pictures made here, and their own arithmetic is right."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generate import copy_set, near_miss, save_image, scene
from PIL import Image

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
KINDS = ("jpeg-low", "half", "grey", "cropped")


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Data and sets as the benchmarks want them, small."""
    root = tmp_path_factory.mktemp("world")
    data, work = root / "data", root / "work"
    for k in range(2):
        first, second = near_miss(200 + k)
        save_image(data / "distractors" / f"shelf_{k}a.jpg", first)
        save_image(data / "distractors" / f"shelf_{k}b.jpg", second)
        save_image(data / "products-catalogue" / "images" / f"item_{k}.jpg", scene(300 + k, 320, 240))
        save_image(data / "camera" / f"camera_{k}.jpg", scene(400 + k, 640, 480))
    for k, name in enumerate(("copies-a", "copies-b", "copies-a-light", "copies-b-light", "copies")):
        copy_set(work / "sets" / name, 2, KINDS, n_others=1, seed=10 * k)
    readme = root / "README.md"
    readme.write_text((BENCHMARKS / "README.md").read_text(encoding="utf-8"), encoding="utf-8")
    return {"data": data, "work": work, "readme": readme, "root": root}


def run_benchmark(script: str, world: dict[str, Path], *more: str) -> dict[str, Any]:
    result = world["root"] / f"{script}.json"
    command = [sys.executable, BENCHMARKS / f"{script}.py", "--data", world["data"], "--work", world["work"]]
    command += ["--json", result, "--readme", world["readme"], *more]
    run = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(result.read_text(encoding="utf-8"))


def section(world: dict[str, Path], name: str) -> str:
    text = world["readme"].read_text(encoding="utf-8")
    return text.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]


def test_accuracy_reports_cvsim_and_a_peer(world: dict[str, Path]) -> None:
    chosen = ["--efforts", "fast", "--peers", "imagehash phash"]
    result = run_benchmark("accuracy", world, "--parts", "cvsim,pairs,peers", *chosen)
    figures = result["cvsim"]["fast"]["copies-b"]
    assert figures["n_images"] == 2 * (1 + len(KINDS)) + 1
    assert figures["pair_precision"] == 1.0
    assert set(figures["kinds"]) == set(KINDS)
    assert [row["high"] for row in result["pairs"]["fast"]["calibration"]["part b"]] == [0.8, 0.95, 0.99, 1.0]
    peer = result["peers"]["imagehash phash"]["copies-b"]
    assert peer["chosen_on_a"]["pair_recall"] <= peer["best_here"]["pair_recall"]
    for name in ("accuracy", "accuracy-light", "accuracy-kinds", "accuracy-negatives", "accuracy-relations"):
        assert "| cvsim fast |" in section(world, name) or "cvsim fast" in section(world, name)
    assert "imagehash phash" in section(world, "accuracy")


def test_accuracy_goes_on_where_it_stopped(world: dict[str, Path]) -> None:
    def run() -> dict[str, Any]:
        return run_benchmark("accuracy", world, "--parts", "cvsim", "--efforts", "fast")["cvsim"]

    assert run() == run()  # times included: the second run measured nothing


def test_speed_reports_ratios_to_the_floor(world: dict[str, Path]) -> None:
    chosen = ["--parts", "runs,degenerate", "--sets", "camera", "--camera-files", "4", "--rounds", "1"]
    few = ["--efforts", "fast", "--peers", "imagehash phash", "--degenerate-files", "12"]
    result = run_benchmark("speed", world, *chosen, *few)
    camera = result["runs"]["camera"]
    assert camera["n_files"] == 4
    assert camera["programs"]["decode floor"]["cpu_ratio"] == {"median": 1.0, "min": 1.0, "max": 1.0}
    assert camera["programs"]["cvsim fast, cold"]["n_runs"] == 1
    stats = camera["stats"]["fast"]
    assert stats["cold"]["stats"]["n_decoded"] == 4
    assert stats["warm"]["stats"]["n_decoded"] == stats["warm"]["stats"]["n_read"] == 0
    assert {row["set"] for row in result["degenerate"]} >= {"identical files", "blank pictures"}
    assert "cvsim fast, warm" in section(world, "speed")


def test_scale_finds_what_was_planted(world: dict[str, Path]) -> None:
    result, sizes = world["root"] / "scale.json", ["--n", "400,900", "--warm-n", "300"]
    command = [sys.executable, BENCHMARKS / "scale.py", *sizes, "--backends", "numpy", "--json", result]
    run = subprocess.run(
        list(map(str, [*command, "--readme", world["readme"]])), capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(result.read_text(encoding="utf-8"))
    for part in ("join", "groups", "add"):
        assert [row["n"] for row in found[part]["rows"]] == [400, 900]
        assert all(row["planted_recall"] == 1.0 for row in found[part]["rows"])
        assert "| 900 |" in section(world, f"scale-{part}")
    (warm,) = found["warm"]["rows"]
    assert (warm["n_read"], warm["n_decoded"], warm["n_groups"]) == (0, 0, 30)


def test_ablation_fits_again_without_each_signal(world: dict[str, Path]) -> None:
    from ablation import run_ablation
    from labelled_sets import copy_set as labelled, different_photographs

    sets = world["work"] / "sets"
    shelf = different_photographs(world["data"] / "distractors")
    learned, reported = labelled(None, sets, "a"), labelled(None, sets, "b")
    rows = run_ablation("fast", learned, [shelf.folder], reported, [shelf], world["root"])
    assert rows[0]["name"] == "all"
    assert rows[0]["difference"] == 0.0
    assert {"without phash", "without color", "with dhash"} <= {row["name"] for row in rows}


def test_sets_without_a_maker_are_asked_for(tmp_path: Path) -> None:
    from labelled_sets import copy_set as labelled

    with pytest.raises(SystemExit, match="no --eval folder"):
        labelled(None, tmp_path, "a")


def test_a_comment_changes_the_bytes_and_not_the_picture(photo: np.ndarray) -> None:
    from speed_sets import with_comment

    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG")
    commented = with_comment(buffer.getvalue(), "copy 7")
    assert commented != buffer.getvalue()
    with Image.open(io.BytesIO(commented)) as image:
        assert image.info["comment"] == b"copy 7"
        assert np.array_equal(np.asarray(image), np.asarray(Image.open(buffer)))


def test_hamming_distance_is_to_the_nearest_variant() -> None:
    from peers import PEERS, UNREADABLE, pair_distances

    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (5, 8, 64))
    described: list[Any] = [*bits, None]
    distance = iter(pair_distances(PEERS["czkawka"], described))
    for i in range(6):
        for j in range(i + 1, 6):
            if j == 5:
                assert next(distance) == UNREADABLE
                continue
            both = [(bits[i, 0] != bits[j]).sum(axis=1).min(), (bits[j, 0] != bits[i]).sum(axis=1).min()]
            assert next(distance) == min(both)


def test_wilson_interval() -> None:
    from cvsim_runs import wilson

    assert wilson(0, 10)[0] == 0.0
    assert wilson(10, 10)[1] == pytest.approx(1.0)
    # Newcombe (1998), table I: 81 of 263.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_a_process_is_measured_with_its_children() -> None:
    from processes import measure

    hold = "x = bytearray(80 << 20); x[::4096] = bytes(len(x[::4096])); sum(range(3_000_000))"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}])"
    cost = measure([sys.executable, "-c", child])
    assert cost.peak_mb > 80
    assert cost.cpu_s > 0
    with pytest.raises(RuntimeError, match="ended with 3"):
        measure([sys.executable, "-c", "raise SystemExit(3)"])


def test_memory_that_processes_share_is_counted_once() -> None:
    import processes

    fork = "import os, time; x = b'x' * (100 << 20); os.fork() and os.wait() or time.sleep(1)"
    code = (
        f"import sys; from processes import measure; print(measure([sys.executable, '-c', {fork!r}]).peak_mb)"
    )
    # From a small process, as the benchmarks do: what a child takes counts from what its parent does.
    folder = Path(processes.__file__).parent
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    assert 100 < float(said.stdout) < 180


def test_sections_are_replaced_and_nothing_else(tmp_path: Path) -> None:
    from tables import share, write_section

    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- x -->\nold\n<!-- /x -->\nafter\n")
    write_section("x", "new", readme)
    write_section("x", "new", readme)
    assert readme.read_text() == "before\n<!-- x -->\n\nnew\n\n<!-- /x -->\nafter\n"
    assert share(0.99996) == "0.999"
    assert share(1.0) == "1.000"


def test_a_cluster_run_is_measured(
    world: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("distributed", reason="the extra 'dask' is not installed")
    import cluster

    monkeypatch.setattr(cluster, "killed_driver", lambda data, settings: cluster.run(data, settings))
    monkeypatch.setattr(
        sys, "argv", ["cluster.py", "--work", str(world["work"]), "--effort", "fast", "--no-readme"]
    )
    cluster.main()
    assert capsys.readouterr().out.count("yes") == 3


def test_a_prefilter_is_measured(
    world: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import prefilter

    arguments = ["--work", str(world["work"]), "--sets", "part b", "--recall", "0.9", "--no-readme"]
    monkeypatch.setattr(sys, "argv", ["prefilter.py", *arguments])
    prefilter.main()
    assert "| part b |" in capsys.readouterr().out


def test_regions_are_compared_both_ways() -> None:
    from regions import BLOCK, compared

    regions = np.random.default_rng(0).normal(size=(BLOCK + 3, 4, 5)).astype(np.float32)
    expected = []
    for other in regions[1:]:
        cosine = [[float(a @ b) for b in other] for a in regions[0]]
        one_way = np.mean([max(row) for row in cosine])
        expected.append((one_way + np.mean([max(column) for column in zip(*cosine, strict=True)])) / 2)
    assert np.allclose(compared(regions, 0, range(1, len(regions))), expected, atol=1e-5)
    assert compared(regions, 0, []).size == 0


def test_a_network_looks_at_regions(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the extra 'embeddings' is not installed")
    from onnx_models import mean_color_model
    from regions import RegionNetwork, compared

    for k in range(2):
        save_image(tmp_path / f"{k}.png", scene(k, 320, 240))
    network = RegionNetwork(mean_color_model(tmp_path / "model.onnx"))
    regions = np.stack([network.regions(str(tmp_path / f"{k}.png")) for k in (0, 1, 0)])
    assert np.allclose(np.linalg.norm(regions, axis=2), 1, atol=1e-5)
    near, same = compared(regions, 0, [1, 2])
    assert near < same == pytest.approx(1, abs=1e-5)


def test_many_files_are_all_read(tmp_path: Path) -> None:
    result, readme = tmp_path / "many_files.json", tmp_path / "README.md"
    readme.write_text("<!-- many_files --><!-- /many_files -->")
    command = [sys.executable, BENCHMARKS / "many_files.py", "--work", tmp_path / "work", "--json", result]
    command += ["--readme", readme, "--n-pictures", "5", "--n-folders", "250"]
    run = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    runs = json.loads(result.read_text(encoding="utf-8"))["runs"]
    assert [run["n_images"] for run in runs.values()] == [5, 5, 5, 5, 3, 3]
    assert [run["n_new"] for run in runs.values()] == [5, 0, 5, 0, 3, 0]
    assert "5 pictures in a zip" in readme.read_text()


def test_bursts_report_what_is_found_and_how_sharp(world: dict[str, Path]) -> None:
    from burst_sets import KINDS as FRAMES, burst_set

    folder = world["root"] / "burst-photographs"
    photographs = [save_image(folder / f"{k}.jpg", scene(600 + k, 800, 600)) for k in range(2)]
    others = [save_image(folder / "other.jpg", scene(610, 800, 600))]
    made = burst_set(photographs, world["work"] / "sets" / "bursts-b", "bursts-b", others)
    assert len(made.files) == 2 * (len(FRAMES) + 1) + 1
    found = run_benchmark("bursts", world, "--effort", "fast")["fast"]
    assert set(found["kinds"]) == set(FRAMES)
    assert found["kinds"]["still"] == 1
    assert found["pairs"]["false links"] == 0
    assert found["sharpest"] > 0.9
    assert "| found: still | 1.00 |" in section(world, "bursts")


def test_other_alterations_are_made_and_counted(world: dict[str, Path], tmp_path: Path) -> None:
    made = tmp_path / "made"
    chosen = ["--photos", world["data"] / "distractors", "--out", made, "--n", 1, "--n-others", 1]
    for script, options in (("other_alterations", chosen), ("altered_sets", [made, "--work", tmp_path])):
        command = [sys.executable, BENCHMARKS / f"{script}.py", *options]
        run = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
    name, n_copies, recall, n_false_links, n_wrong = run.stdout.splitlines()[2].split("|")[1:6]
    assert (name.strip(), int(n_copies), int(n_false_links), int(n_wrong)) == ("made", 40, 0, 0)
    assert float(recall) > 0.9
