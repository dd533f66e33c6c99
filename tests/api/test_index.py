"""An index: what goes in is found again, it keeps step with the files, it scores as compare does."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from generate import altered, copy_set, encoded, save_image, scene
from PIL import Image

import cvsim
from cvsim.cli.group import cvsim as program
from cvsim.errors import ImageError, StoreError, UsageError
from cvsim.reading import extraction, files
from cvsim.recipes import index as recipe
from cvsim.reports.search_sheet import SheetCell, search_sheet

KINDS = ("jpeg-low", "half", "grey", "crop50", "rotated90", "mirrored", "captioned", "tilted")
N_SCENES = 6


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("originals")
    for seed in range(N_SCENES):
        save_image(folder / f"{seed}.jpg", scene(seed, 320, 240))
    return folder


@pytest.fixture(scope="module")
def store(originals: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    location = tmp_path_factory.mktemp("index") / "pictures.db"
    with cvsim.Index.open(location, workers=2) as index:
        report = index.add([originals])
    assert (report.n_files, report.n_new, report.n_vanished) == (N_SCENES, N_SCENES, 0)
    return location


def names(hits: list) -> list[str]:
    return [Path(hit.path).name for hit in hits]


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_finds_its_original_first(store: Path, kind: str) -> None:
    with cvsim.Index.open(store) as index:
        for seed in range(N_SCENES):
            hits = index.search(altered(scene(seed, 320, 240), kind, seed), k=3)
            assert names(hits)[0] == f"{seed}.jpg"
            assert hits[0].profile == "copy"
            assert [hit.profile for hit in hits[1:]] == ["product", "product"]


def test_the_scores_are_those_of_compare(store: Path, originals: Path, tmp_path: Path) -> None:
    for kind in ("jpeg-low", "crop50", "rotated90"):
        query = save_image(tmp_path / f"{kind}.jpg", altered(scene(2, 320, 240), kind, 2))
        with cvsim.Index.open(store) as index:
            hit = index.search(query, k=1)[0]
        pair = cvsim.compare(query, originals / "2.jpg", cache=None)
        assert hit.score == pytest.approx(pair.score, abs=1e-6)
        assert hit.contained == pair.contained
        # A comparison looks closer than a search, and may find what was lost to a strong compression.
        assert pair.relation in (hit.relation, "edited")
        assert [c.feature for c in hit.comparisons] == [c.feature for c in pair.comparisons]


def test_every_kind_of_query_gives_the_same(store: Path, originals: Path) -> None:
    path = originals / "3.jpg"
    rgb = np.asarray(Image.open(path))
    with cvsim.Index.open(store) as index:
        hits = [index.search(query, k=4) for query in (path, os.fspath(path), Image.open(path), rgb)]
    assert hits[0][0].relation == "identical-file"
    assert [names(found) for found in hits] == [names(hits[0])] * 4


def test_a_negative_finds_its_original(store: Path) -> None:
    with cvsim.Index.open(store) as index:
        hits = index.search(255 - scene(3, 320, 240), k=2)
    assert (names(hits)[0], hits[0].profile, hits[1].profile) == ("3.jpg", "copy", "product")


def test_a_stranger_has_no_copies_but_look_alikes(store: Path) -> None:
    with cvsim.Index.open(store) as index:
        hits = index.search(scene(900, 320, 240), k=N_SCENES + 5)
        assert [hit.profile for hit in hits] == ["product"] * N_SCENES
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert index.search(np.full((50, 50, 3), 128, np.uint8), k=3) is not None


def test_hits_that_are_copies_of_each_other_share_a_group(tmp_path: Path) -> None:
    from cvsim.recipes.search import groups_of

    for seed in range(3):
        save_image(tmp_path / "photos" / f"{seed}.jpg", scene(seed, 320, 240))
    save_image(tmp_path / "photos" / "1-half.jpg", altered(scene(1, 320, 240), "half", 1))
    shutil.copy(tmp_path / "photos" / "2.jpg", tmp_path / "photos" / "2-again.jpg")
    with cvsim.Index.open(tmp_path / "index.db") as index:
        index.add([tmp_path / "photos"])
        hits = index.search(scene(900, 320, 240), k=9)  # copies of none
        numbers = groups_of(index.store, index.signals, hits, index.settings)
    members: dict[int, set[str]] = {}
    for name, number in zip(names(hits), numbers, strict=True):
        members.setdefault(number, set()).add(name)
    assert sorted(map(sorted, members.values())) == [
        ["0.jpg"],
        ["1-half.jpg", "1.jpg"],
        ["2-again.jpg", "2.jpg"],
    ]
    assert numbers[0] == 1
    assert set(numbers) == {1, 2, 3}


def test_what_a_killed_run_left_is_cleared_away(tmp_path: Path) -> None:
    photo = save_image(tmp_path / "photos" / "a.jpg", scene(1, 160, 120))
    with cvsim.Index.open(tmp_path / "index.db", effort="fast") as index:
        index.add([photo.parent])
        (old,) = index.store.keyed()
        # As if it was killed after the changed file was read, and before what it held was forgotten.
        index.store.note("adding", "begun")
        index.store.forget_files([bytes(photo)])
        save_image(photo, scene(2, 160, 120))
        index.add([photo.parent])
        assert index.store.n_keyed() == 1
        assert old not in index.store.keyed()
        assert index.store.orphans() == set()


def test_a_second_run_asks_only_for_the_files_under_its_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, folder in enumerate(("a", "b")):
        save_image(tmp_path / folder / f"{seed}.jpg", scene(seed, 160, 120))
    with cvsim.Index.open(tmp_path / "index.db", effort="fast") as index:
        index.add([tmp_path / "a"])
        index.add([tmp_path / "b"])
        asked: list[object] = []
        for name in ("known_files", "images", "failures", "complete", "keyed", "orphans"):
            call = getattr(index.store, name)

            def watched(*arguments: object, call: object = call, **named: object) -> object:
                asked.append(arguments[-1] if arguments else None)
                return call(*arguments, **named)  # type: ignore[operator]

            monkeypatch.setattr(index.store, name, watched)
        index.add([tmp_path / "a"])
        assert asked
        assert all(found is not None and len(found) <= 1 for found in asked)  # type: ignore[arg-type]


def test_the_index_keeps_step_with_the_files(tmp_path: Path) -> None:
    photos, location = tmp_path / "photos", tmp_path / "index.db"
    for seed in range(5):
        save_image(photos / f"{seed}.jpg", scene(seed, 240, 180))
    with cvsim.Index.open(location) as index:
        index.add([photos])
    (photos / "0.jpg").rename(photos / "renamed.jpg")
    (photos / "1.jpg").unlink()
    save_image(photos / "2.jpg", scene(50, 240, 180))
    save_image(photos / "new.jpg", scene(60, 240, 180))
    shutil.copy(photos / "3.jpg", photos / "again.jpg")
    with cvsim.Index.open(location) as index:
        report = index.add([photos], forget=True)
        assert (report.n_new, report.n_vanished) == (2, 2)
        everything = index.search(scene(0, 240, 180), k=50)
        assert sorted(names(everything)) == ["2.jpg", "3.jpg", "4.jpg", "again.jpg", "new.jpg", "renamed.jpg"]
        assert names(index.search(scene(50, 240, 180), k=1)) == ["2.jpg"]
        assert names(index.search(scene(3, 240, 180), k=2)) == ["3.jpg", "again.jpg"]
        again = index.add([photos])
        assert (again.n_new, again.n_known, again.n_vanished) == (0, 6, 0)
        assert index.store.keyed() == {hit.record.digest for hit in everything}


def test_files_of_a_drive_that_is_away_stay_known_until_they_are_forgotten(tmp_path: Path) -> None:
    drive = tmp_path / "drive"
    for seed in range(3):
        save_image(drive / "photos" / f"{seed}.jpg", scene(seed, 240, 180))
    with cvsim.Index.open(tmp_path / "index.db") as index:
        index.add([drive])
        (drive / "photos").rename(tmp_path / "unplugged")
        report = index.add([drive])
        assert (report.n_vanished, report.n_missing) == (0, 3)
        assert names(index.search(scene(1, 240, 180), k=1)) == ["1.jpg"]
        (tmp_path / "unplugged").rename(drive / "photos")
        again = index.add([drive])
        assert (again.n_new, again.n_known, again.n_missing) == (0, 3, 0)
        (drive / "photos" / "0.jpg").rename(drive / "photos" / "moved.jpg")
        (drive / "photos" / "1.jpg").unlink()
        report = index.add([drive])
        assert (report.n_vanished, report.n_missing) == (1, 1)
        assert index.add([drive], forget=True).n_vanished == 1
        assert sorted(names(index.search(scene(9, 240, 180), k=9))) == ["2.jpg", "moved.jpg"]


def test_an_index_of_another_version_says_so_and_is_brought_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(2):
        save_image(tmp_path / "photos" / f"{seed}.jpg", scene(seed, 160, 120))
    asked = ["index", str(tmp_path / "photos"), "--store", str(tmp_path / "index.db")]
    with monkeypatch.context() as earlier:
        for module in (extraction, files, recipe):
            earlier.setattr(module, "DECODER", "decoder:0:1")
        earlier.setattr(recipe, "__version__", "0.1.9")
        assert "made this index" not in CliRunner().invoke(program, asked).output
    printed = CliRunner().invoke(program, asked).output
    assert "cvsim 0.1.9 made this index: 2 pictures were read again" in printed
    again = json.loads(CliRunner().invoke(program, [*asked, "--json"]).stdout)
    assert (again["read_again"], again["made_by"], again["images"]) == (0, "", 2)


def test_folders_that_are_not_named_are_left_alone(tmp_path: Path) -> None:
    for seed, folder in enumerate(("a", "b")):
        save_image(tmp_path / folder / f"{seed}.jpg", scene(seed, 160, 120))
    with cvsim.Index.open(tmp_path / "index.db", effort="fast") as index:
        index.add([tmp_path / "a"])
        index.add([tmp_path / "b"])
        assert len(index.search(scene(5, 160, 120), k=5)) == 2
        assert index.remove([tmp_path / "a"]) == 1
        assert names(index.search(scene(5, 160, 120), k=5)) == ["1.jpg"]


def test_labels_narrow_the_search(originals: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("file,label\n0.jpg,cup\n1.jpg,cup\n1.jpg,red\n2.jpg,hat\n")
    with cvsim.Index.open(tmp_path / "index.db", effort="fast") as index:
        index.add([originals], labels=labels)
        hits = index.search(originals / "2.jpg", k=10, label="cup")
        assert sorted(names(hits)) == ["0.jpg", "1.jpg"]
        assert {Path(h.path).name: h.labels for h in hits}["1.jpg"] == ("cup", "red")
        assert index.search(originals / "2.jpg", k=10, label="none") == []
        labels.write_text("file,label\nnowhere.jpg,cup\n")
        with pytest.raises(UsageError, match=r"nowhere\.jpg"):
            index.add([originals], labels=labels)


def test_another_process_sees_what_was_added(store: Path, originals: Path, tmp_path: Path) -> None:
    location = tmp_path / "index.db"
    shutil.copy(store, location)
    new = save_image(tmp_path / "new" / "new.jpg", scene(77, 320, 240))
    with cvsim.Index.open(location) as reader:
        assert reader.search(new, k=1)[0].profile == "product"
        with cvsim.Index.open(location) as writer:
            writer.add([new.parent])
        assert reader.search(new, k=1)[0].relation == "identical-file"


def test_an_index_of_other_signals_is_refused(store: Path) -> None:
    before = store.read_bytes()
    with pytest.raises(StoreError, match="filled with other signals"):
        cvsim.Index.open(store, effort="fast")
    assert store.read_bytes() == before


def test_an_index_knows_the_signals_that_it_was_made_with(tmp_path: Path) -> None:
    photo = save_image(tmp_path / "photos" / "a.jpg", scene(1, 160, 120))
    with cvsim.Index.open(tmp_path / "fast.db", effort="fast") as index:
        index.add([photo.parent])
        made = index.signals.description
    with cvsim.Index.open(tmp_path / "fast.db", create=False) as index:
        assert (index.settings.effort, index.signals.description) == ("fast", made)
        assert index.search(photo, k=1)[0].relation == "identical-file"
        index.store.note("made with", "")  # as an earlier version left it
    with cvsim.Index.open(tmp_path / "fast.db", create=False) as index:
        assert index.settings.effort == "fast"


def test_an_index_says_which_network_it_was_made_with(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="pip install 'cvsim[embeddings]'")
    from onnx_models import mean_color_model

    network = Path(mean_color_model(tmp_path / "net.onnx"))
    photo = save_image(tmp_path / "photos" / "a.jpg", scene(1, 160, 120))
    with cvsim.Index.open(tmp_path / "index.db", effort="fast", embedding=network) as index:
        index.add([photo.parent])
    with cvsim.Index.open(tmp_path / "index.db", create=False) as index:
        assert [f.name for f in index.signals.product][-1] == "embedding"
    network.rename(tmp_path / "elsewhere.onnx")
    with pytest.raises(StoreError, match=r"made with the network .*net\.onnx, which is not there"):
        cvsim.Index.open(tmp_path / "index.db", create=False)
    with cvsim.Index.open(
        tmp_path / "index.db", effort="fast", embedding=tmp_path / "elsewhere.onnx"
    ) as index:
        assert index.search(photo, k=1)[0].relation == "identical-file"


def test_files_are_labelled_by_the_list_beside_them_or_by_their_folder(tmp_path: Path) -> None:
    for seed, name in enumerate(("shop/cup/0.jpg", "shop/cup/old/1.jpg", "shop/2.jpg", "fetched/3.jpg")):
        save_image(tmp_path / name, scene(seed, 120, 90))
    (tmp_path / "fetched" / "labels.csv").write_text("file,label\n3.jpg,hat\n")
    with cvsim.Index.open(tmp_path / "index.db", effort="fast") as index:
        index.add([tmp_path / "shop", tmp_path / "fetched"], by_label=True)
        found = index.search(scene(9, 120, 90), k=9)
        assert sorted((Path(hit.path).name, hit.labels) for hit in found) == [
            ("0.jpg", ("cup",)),
            ("1.jpg", ("cup",)),
            ("2.jpg", ()),
            ("3.jpg", ("hat",)),
        ]
        assert index.store.labels(9) == [("cup", 2), ("hat", 1)]
        below = index.search(scene(9, 120, 90), k=9, label="cup", folder=tmp_path / "shop" / "cup" / "old")
        assert names(below) == ["1.jpg"]


def test_a_cache_is_no_index(tmp_path: Path) -> None:
    from cvsim.stores import open_store

    open_store(tmp_path / "cache.db", "cache").close()
    with pytest.raises(StoreError, match="not an index"):
        cvsim.Index.open(tmp_path / "cache.db")


def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    copy_set(tmp_path, 6, ("half", "grey", "jpeg"))
    location = tmp_path / "index.db"
    command = [sys.executable, "-m", "cvsim", "index", str(tmp_path / "images"), "--store", str(location)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    while not location.exists():
        time.sleep(0.01)
    time.sleep(0.7)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = subprocess.run([*command, "--json"], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["files"] == 24
    with cvsim.Index.open(location) as index:
        assert len(index.store.keyed()) == 24
        assert index.add([tmp_path / "images"]).n_new == 0


# --- commands ---------------------------------------------------------------------------------------------


def run(*arguments: object, stdin: bytes | None = None) -> tuple[int, str]:
    done = CliRunner().invoke(program, [str(a) for a in arguments], input=stdin)
    return done.exit_code, done.output


def test_the_commands(originals: Path, tmp_path: Path) -> None:
    location, query = tmp_path / "index.db", tmp_path / "query.png"
    Image.fromarray(altered(scene(1, 320, 240), "crop50", 1)).save(query)
    code, output = run("index", originals, "--store", location)
    assert code == 0, output
    assert "6 images: 6 new" in output
    code, output = run("search", query, "--store", location, "-k", 3, "--picture", tmp_path / "hits.png")
    assert code == 0, output
    assert output.index("1.jpg") < output.index("looks alike")
    copy, *alike = [line for line in output.splitlines() if ".jpg" in line]
    assert "%" in copy
    assert "cropped" in copy
    assert alike
    assert all(re.match(r"[01]\.\d\d +similarity, looks alike", line) for line in alike)
    assert Image.open(tmp_path / "hits.png").size[0] > 3 * 180
    code, output = run("search", query, "--store", location, "--json", "-k", 2)
    document = json.loads(output)
    assert list(document) == ["query", "hits"]
    assert {"path", "score", "profile", "relation", "signals"} <= set(document["hits"][0])
    data = encoded(scene(4, 320, 240), "JPEG", quality=60)
    code, output = run("search", "-", "--store", location, "--json", "-k", 1, stdin=data)
    assert json.loads(output)["hits"][0]["path"] == str(originals / "4.jpg")


def test_wrong_calls(store: Path, tmp_path: Path) -> None:
    code, output = run("search", "x.jpg", "--store", tmp_path / "none.db")
    assert (code, "make it with cvsim index" in output) == (2, True)
    assert not (tmp_path / "none.db").exists()
    code, output = run("search", tmp_path / "none.jpg", "--store", store)
    assert (code, "no such file" in output) == (2, True)
    code, output = run("search", "-", "--store", store, stdin=b"no picture")
    assert (code, "not an image" in output) == (1, True)
    with cvsim.Index.open(store) as index, pytest.raises(ImageError):
        index.search(store)


def test_a_query_by_url(store: Path, originals: Path) -> None:
    pytest.importorskip("httpx", reason="the extra 'remote' is not installed")
    from faulty_server import faulty_server

    with faulty_server((originals / "5.jpg").read_bytes()) as server:
        code, output = run("search", f"{server.url}/ok", "--store", store)
        assert (code, "private network" in output) == (1, True)
        code, output = run("search", f"{server.url}/ok", "--store", store, "--allow-private", "--json")
        assert json.loads(output)["hits"][0]["path"] == str(originals / "5.jpg")
        code, output = run("search", f"{server.url}/svg", "--store", store, "--allow-private")
        assert (code, "not an image" in output) == (1, True)


def test_a_sheet_has_a_cell_for_each(photo: np.ndarray) -> None:
    one = Image.open(io.BytesIO(search_sheet([SheetCell(photo, ("query",))])))
    seven = Image.open(
        io.BytesIO(search_sheet([SheetCell(photo, ("a", "b", "c"))] * 6 + [SheetCell(None, ("d",))]))
    )
    assert (seven.width, seven.height) == (5 * one.width, 2 * one.height)
