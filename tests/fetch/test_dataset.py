"""Downloading a dataset from a server that misbehaves, in one go and in several."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from faulty_server import FaultyServer, faulty_server
from generate import RGB
from hypothesis import given, strategies as st
from PIL import Image

pytest.importorskip("httpx", reason="the extra 'remote' is not installed")

from cvsim.cli.group import cvsim
from cvsim.errors import UsageError
from cvsim.fetch.client import Limits, RemoteClient
from cvsim.fetch.dataset import FetchResult, Wanted, fetch, file_stem, read_dataset

LIMITS = Limits(max_bytes=300_000, timeout_s=0.5, total_s=1.0, n_attempts=3, wait_s=0.01)
GOOD = ("ok", "called-text", "flaky", "cut-once", "moved")
BAD = ("missing", "html", "svg", "cut", "stall", "huge", "loop", "down")


@pytest.fixture
def server(photo: RGB) -> Iterator[FaultyServer]:
    stream = io.BytesIO()
    Image.fromarray(photo).save(stream, "JPEG", quality=85)
    with faulty_server(stream.getvalue()) as running:
        yield running


def run(wanted: list[Wanted], folder: Path, **options: object) -> FetchResult:
    with RemoteClient(LIMITS, allow_private=True) as client:
        return fetch(wanted, folder, client, **options)  # type: ignore[arg-type]


def dataset(server: FaultyServer, names: tuple[str, ...]) -> dict[str, object]:
    return {
        "images": [{"image_id": k, "url": f"{server.url}/{name}"} for k, name in enumerate(names)],
        "annotations": [{"image_id": k, "label_id": 7 if k % 2 else 8} for k in range(len(names))],
    }


def test_everything_that_can_be_had_is_and_the_rest_is_named(server: FaultyServer, tmp_path: Path) -> None:
    names = GOOD + BAD
    result = run([Wanted(name, (f"{server.url}/{name}",), ("x",)) for name in names], tmp_path / "out")
    assert (result.n_wanted, result.n_fetched, result.n_known) == (len(names), len(GOOD), 0)
    assert {o.id for o in result.failed} == set(BAD)
    assert all(o.reason for o in result.failed)
    assert {o.id for o in result.failed if o.retryable} == {"cut", "stall", "down"}
    files = {name for name in os.listdir(tmp_path / "out") if name.endswith(".jpg")}
    assert files == {f"{name}.jpg" for name in GOOD}
    assert all((tmp_path / "out" / file).read_bytes() == server.picture for file in files)
    with (tmp_path / "out" / "labels.csv").open() as stream:
        assert [(r["file"], r["label"]) for r in csv.DictReader(stream)] == [(f, "x") for f in sorted(files)]


def test_a_second_run_asks_only_for_what_may_have_passed(server: FaultyServer, tmp_path: Path) -> None:
    wanted = [Wanted(name, (f"{server.url}/{name}",)) for name in GOOD + BAD]
    run(wanted, tmp_path)
    server.hits.clear()
    result = run(wanted, tmp_path)
    assert (result.n_fetched, result.n_known, len(result.failed)) == (0, len(GOOD), len(BAD))
    assert set(server.hits) == {"/cut", "/stall", "/down"}
    run(wanted, tmp_path, retry_failed=True)
    assert {"/missing", "/html"} <= set(server.hits)


def test_a_second_url_is_tried(server: FaultyServer, tmp_path: Path) -> None:
    result = run([Wanted("a", (f"{server.url}/missing", f"{server.url}/ok"))], tmp_path)
    assert result.n_fetched == 1


def test_a_host_is_not_overrun(server: FaultyServer, tmp_path: Path) -> None:
    wanted = [Wanted(str(k), (f"{server.url}/ok/{k}",)) for k in range(30)]
    assert run(wanted, tmp_path, n_workers=8, per_host=2).n_fetched == 30
    assert server.most_at_once <= 2


def test_a_dead_host_is_left_after_a_few_tries(server: FaultyServer, tmp_path: Path) -> None:
    dead = [Wanted(f"dead{k}", (f"http://127.0.0.1:9/{k}",)) for k in range(40)]
    result = run([*dead, Wanted("a", (f"{server.url}/ok",))], tmp_path)
    assert result.n_fetched == 1
    assert len(result.failed) == 40
    assert all(o.retryable for o in result.failed)
    assert sum("times in a row" in (o.reason or "") for o in result.failed) > 20


def test_a_killed_run_goes_on_without_fetching_twice(server: FaultyServer, tmp_path: Path) -> None:
    n = 150
    list_file = tmp_path / "list.json"
    images = [{"image_id": k, "url": f"{server.url}/ok/{k}"} for k in range(n)]
    list_file.write_text(json.dumps({"images": images}))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "cvsim", "fetch", str(list_file), "-o", str(out), "--allow-private"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen([*command, "--workers", "2"], env=environment)
    deadline = time.monotonic() + 60
    while sum(server.hits.values()) < 30 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = {name for name in os.listdir(out) if name.endswith(".jpg")}
    assert 0 < len(there) < n
    done = subprocess.run([*command, "--json"], env=environment, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert report["known"] == len(there)
    assert report["fetched"] == n - len(there)
    # Those that were on their way when the process died are the only ones that are asked for again.
    assert sum(server.hits.values()) <= n + 2
    assert not [name for name in os.listdir(out) if name.endswith(".part")]


def test_the_command_takes_the_list_of_a_dataset(server: FaultyServer, tmp_path: Path) -> None:
    list_file = tmp_path / "train.json"
    list_file.write_text(json.dumps(dataset(server, ("ok", "ok/2", "missing", "ok/4"))))
    out = tmp_path / "out"
    arguments = ["fetch", str(list_file), "-o", str(out), "--label", "8", "--allow-private"]
    done = CliRunner().invoke(cvsim, arguments)
    assert done.exit_code == 0, done.output
    assert "1 image fetched" in done.output
    assert "404" in done.output
    assert (out / "labels.csv").read_text() == "file,label\n0.jpg,8\n"


def test_by_default_the_command_stays_off_the_local_network(server: FaultyServer, tmp_path: Path) -> None:
    list_file = tmp_path / "list.csv"
    list_file.write_text(f"url\n{server.url}/ok\n")
    done = CliRunner().invoke(cvsim, ["fetch", str(list_file), "-o", str(tmp_path / "out"), "--json"])
    assert "private network" in json.loads(done.output)["failed"][0]["reason"]
    assert not server.hits


# --- lists ------------------------------------------------------------------------------------------------


def test_both_spellings_of_a_dataset_are_read(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    images = [{"imageId": "1", "url": ["http://a/1", "http://b/1"]}, {"imageId": "2", "url": "http://a/2"}]
    annotations = [{"imageId": "1", "labelId": ["5", "6"]}, {"imageId": "2", "labelId": ["6"]}]
    file.write_text(json.dumps({"images": images, "annotations": annotations}))
    assert read_dataset(file, ["5"]) == [Wanted("1", ("http://a/1", "http://b/1"), ("5", "6"))]
    assert len(read_dataset(file)) == 2


def test_a_csv_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("image_id,url,label_id\nx,http://a/1,cup\nx,http://a/1,red\ny,http://a/2,\n")
    assert read_dataset(file) == [Wanted("x", ("http://a/1",), ("cup", "red")), Wanted("y", ("http://a/2",))]


@pytest.mark.parametrize("text", ["[]", "{}", "nonsense", '{"images": [{"url": 1}]}', '{"images": 3}'])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "a.json"
    file.write_text(text)
    with pytest.raises(UsageError, match="list of images"):
        read_dataset(file)


def test_an_unknown_label_lists_the_known(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("url,label\nhttp://a/1,cup\n")
    with pytest.raises(UsageError, match="there are: cup"):
        read_dataset(file, ["hat"])


@given(st.text(min_size=1))
def test_an_id_makes_a_harmless_file_name(id: str) -> None:
    name = file_stem(id)
    assert name == quote(name, safe="%~")
    assert not name.startswith(".")
    assert 0 < len(name) <= 120


@given(st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=200))
def test_two_ids_make_two_names(a: str, b: str) -> None:
    assert (file_stem(a) == file_stem(b)) == (a == b)
