"""`cvsim.Report`: a value that writes itself down, over results made by hand and over real runs."""

from __future__ import annotations

import io
import json
import os
import pickle
import threading
from pathlib import Path

import networkx
import pytest
from generate import save_image, scene
from made_result import made_result

import cvsim


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "photos"
    save_image(folder / "a.jpg", scene(1, 480, 360))
    save_image(folder / "b.png", scene(1, 480, 360))
    save_image(folder / "c.jpg", scene(1, 480, 360)[:, ::-1])
    save_image(folder / "alone.jpg", scene(2, 480, 360))
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache") / "cache.sqlite"


@pytest.fixture(scope="module")
def report(photos: Path) -> cvsim.Report:
    """Of a run without a cache: its pages make thumbnails of the files."""
    return cvsim.dedupe(photos, cache=None)


def test_it_shows_the_result() -> None:
    result = made_result()
    report = cvsim.Report(result)
    assert (report.groups, report.skipped, report.counts) == (result.groups, result.skipped, result.counts)
    assert repr(report) == "<Report: 2 groups, 2 duplicates in 5 images>"


@pytest.mark.parametrize("form", ["json", "csv", "html", "plan", "graphml"])
def test_every_form_is_a_text_or_a_file(report: cvsim.Report, tmp_path: Path, form: str) -> None:
    write = getattr(report, f"to_{form}")
    text = write()
    assert write(tmp_path / form) is None
    written = (tmp_path / form).read_bytes()
    if form == "html":  # that of the file has links besides
        assert written.count(b"data:image/jpeg") == text.count("data:image/jpeg") == 3
    else:
        assert written == text.encode("utf-8", "surrogateescape")


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(cvsim.CvsimError, match="cannot be written"):
        cvsim.Report(made_result()).to_csv(tmp_path / "nowhere" / "r.csv")


def test_the_page_links_to_the_files_from_where_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports").mkdir()
    cvsim.Report(made_result()).to_html("reports/r.html")
    assert 'href="../p/a.jpg"' in (tmp_path / "reports" / "r.html").read_text(encoding="utf-8")


def test_relative_paths_stay_right_wherever_the_process_goes(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    report = cvsim.dedupe("photos", cache="cache.sqlite", reference=[], keep="folder:photos,path")
    plan, page = report.to_plan(), report.to_html()
    report.to_html(tmp_path / "here.html")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert report.to_plan() == plan
    assert report.to_html() == page
    report.to_html(tmp_path / "there.html")
    assert (tmp_path / "there.html").read_bytes() == (tmp_path / "here.html").read_bytes()
    assert os.listdir() == []
    assert report.groups[0].keep == "photos/a.jpg"  # as it was given


def test_a_pair_is_drawn_wherever_the_process_goes(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    pair = cvsim.compare("a.jpg", "c.jpg", cache=None)
    monkeypatch.chdir(tmp_path)
    assert pair.to_picture()[:4] == b"\x89PNG"


@pytest.mark.parametrize("cached", [True, False])
def test_it_can_be_pickled(photos: Path, report: cvsim.Report, cache: Path, cached: bool) -> None:
    if cached:
        report = cvsim.dedupe(photos, cache=cache)
    copy = pickle.loads(pickle.dumps(report))
    assert copy == report
    assert copy.to_json() == report.to_json()
    assert copy.to_html() == report.to_html()
    assert copy.to_html().count("data:image/jpeg") == 3


def test_it_can_be_used_in_another_thread(photos: Path, cache: Path) -> None:
    report = cvsim.dedupe(photos, cache=cache)
    pages: list[str] = []
    threads = [threading.Thread(target=lambda: pages.append(report.to_html())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pages == [report.to_html()] * 3


def test_its_graph_is_the_threshold_graph(report: cvsim.Report, tmp_path: Path) -> None:
    (group,) = report.groups
    graph = report.graph()
    assert set(graph) == {member.record.path for member in group.members}
    assert graph.number_of_edges() == len(group.edges)
    for edge in group.edges:
        values = graph.edges[edge.pair.a, edge.pair.b]
        assert (values["score"], values["relation"]) == (edge.score, edge.relation)
    assert [path for path, values in graph.nodes(data=True) if values["keep"]] == [group.keep]
    report.to_graphml(tmp_path / "g.graphml")
    read = networkx.read_graphml(tmp_path / "g.graphml")
    assert set(read) == set(graph)
    assert {frozenset(e) for e in read.edges} == {frozenset(e) for e in graph.edges}
    assert read.nodes[group.keep]["width_px"] == 480
    for a, b, values in read.edges(data=True):
        assert values == {key: value for key, value in graph.edges[a, b].items() if value is not None}


def test_a_crop_is_contained_in_the_graph(tmp_path: Path) -> None:
    whole = scene(5, 640, 480)
    save_image(tmp_path / "whole.jpg", whole)
    save_image(tmp_path / "crop.jpg", whole[40:440, 60:580])
    report = cvsim.dedupe(tmp_path, cache=None)
    ((_, _, values),) = report.graph().edges(data=True)
    assert values["contained"] == str(tmp_path / "crop.jpg")
    read = networkx.read_graphml(io.BytesIO(report.to_graphml().encode()))
    assert next(iter(read.edges(data=True)))[2]["contained"] == str(tmp_path / "crop.jpg")


def test_names_that_xml_cannot_hold_are_escaped(tmp_path: Path) -> None:
    for name in (b"caf\xe9.png", b"a\x01b.png", rb"caf\xe9.png"):
        path = os.fsdecode(os.path.join(os.fsencode(tmp_path), name))
        save_image(Path(path), scene(1, 96, 64))
    text = cvsim.dedupe(tmp_path, cache=None).to_graphml()
    read = networkx.read_graphml(io.BytesIO(text.encode()))
    names = sorted(os.path.basename(node) for node in read)
    assert names == [r"a\x01b.png", r"caf\xe9.png", r"caf\xe9.png (2)"]


def test_text_keeps_the_bytes_of_names(tmp_path: Path) -> None:
    for name in (b"caf\xe9.png", b"b.png"):
        save_image(Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))), scene(1, 96, 64))
    report = cvsim.dedupe(tmp_path, cache=None)
    assert b"caf\xe9.png" in report.to_csv().encode("utf-8", "surrogateescape")
    assert json.loads(report.to_json())["counts"]["groups"] == 1
    assert json.loads(report.to_plan())["entries"]
