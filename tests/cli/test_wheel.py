"""The wheel, without the source tree: every verb does its work, and the manual is there."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from faulty_server import faulty_server

from cvsim.cli.group import VERBS
from cvsim.cli.help import topics

ROOT = Path(__file__).parents[2]
PHOTOS = (
    "holiday/field.jpg",
    "edits/field-crop.jpg",
    "town/street.jpg",
    "phone/street-small.jpg",
    "home/table.jpg",
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a wheel of this tree was installed into, its dependencies left out."""
    if importlib.util.find_spec("hatchling") is None or importlib.util.find_spec("pip") is None:
        pytest.skip("building a wheel takes pip and hatchling: pip install 'cvsim[test]'")
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("cvsim-*.whl")
    target = folder / "site"
    install = [*pip, "install", "--no-deps", "--no-index", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=120)
    return target


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few of the samples, in a folder for each half of them."""
    place = tmp_path_factory.mktemp("place")
    for number, name in enumerate(PHOTOS):
        target = place / "photos" / "ab"[number % 2] / Path(name).name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "samples" / "photos" / name, target)
    rows = [f"{path.relative_to(place / 'photos').as_posix()},{path.stem[:5]}" for path in images(place)]
    (place / "labels.csv").write_text("\n".join(["file,label", *rows, ""]), encoding="utf-8")
    return place


def images(place: Path) -> list[Path]:
    return sorted((place / "photos").rglob("*.jpg"))


def environment(installed: Path, place: Path) -> dict[str, str]:
    home = str(place / "home")
    places = {"HOME": home, "XDG_CACHE_HOME": f"{home}/cache", "XDG_CONFIG_HOME": f"{home}/config"}
    return {**os.environ, **places, "PYTHONPATH": str(installed)}


def run(installed: Path, place: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "cvsim", *arguments]
    done = subprocess.run(
        command, cwd=place, env=environment(installed, place), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, (arguments, done.stderr)
    return done.stdout


def test_it_is_the_wheel_that_runs(installed: Path, workplace: Path) -> None:
    program = "import cvsim; print(cvsim.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=workplace,
        env=environment(installed, workplace),
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()).is_relative_to(installed)


def test_what_is_no_code_is_in_it_too(installed: Path) -> None:
    source = ROOT / "cvsim"
    data = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    }
    there = {path.relative_to(installed / "cvsim").as_posix() for path in (installed / "cvsim").rglob("*")}
    assert data - there == set()


COMMANDS = [
    "dedupe photos --html report.html --csv copies.csv --plan plan.json",
    "apply plan.json --action move:aside --yes",
    "undo",
    "compare photos/a/field.jpg photos/b/field-crop.jpg --picture why.png",
    "index photos --store photos.db",
    "search photos/b/field-crop.jpg --store photos.db -k 2",
    "prefilter photos -o pairs.csv --sample 1",
    "cluster photos -o groups.csv",
    "train photos --labels labels.csv -o shop.npz",
    "classify photos --profile shop.npz -o known.csv",
    "features photos -o features.npy",
    "plot photos -o map.html",
    "evaluate groups.csv labels.csv --json",
    "cache info",
    "cache check",
    "completion bash",
    "info --json",
    "help",
]
"""In this order: what one writes another reads."""
ONE_AFTER_THE_OTHER = """
import contextlib, io, json, sys
from cvsim.cli.group import cvsim
printed = []
for line in sys.argv[1:]:
    with contextlib.redirect_stdout(io.StringIO()) as stdout:
        try:
            cvsim(line.split(), prog_name="cvsim")
        except SystemExit as end:
            assert not end.code, (line, end.code)
    printed.append(stdout.getvalue())
print(json.dumps(printed))
"""
"""A program that runs commands in one process, where what they all import is imported once."""
SERVERS = ["review plan.json --no-browser", "serve --store photos.db --no-browser"]
NEEDED = {"serve": "starlette", "review": "starlette", "fetch": "httpx"}


def test_every_verb_is_tried() -> None:
    assert {line.split()[0] for line in [*COMMANDS, *SERVERS, "fetch"]} == set(VERBS)


def test_every_verb_runs(installed: Path, workplace: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ONE_AFTER_THE_OTHER, *COMMANDS],
        cwd=workplace,
        env=environment(installed, workplace),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    printed = {line.split()[0]: said for line, said in zip(COMMANDS, json.loads(done.stdout), strict=True)}
    assert "2 groups" in printed["dedupe"]
    assert len(images(workplace)) == len(PHOTOS)
    assert "Cropped" in printed["compare"]
    assert "field" in printed["search"]
    assert json.loads(printed["evaluate"])["n_images"] == len(PHOTOS)
    assert json.loads(printed["info"])["cvsim"]
    assert [topic for topic in topics() if f"cvsim help {topic}" not in printed["help"]] == []
    for name in (
        "report.html",
        "copies.csv",
        "why.png",
        "pairs.csv",
        "known.csv",
        "features.npy",
        "map.html",
    ):
        assert (workplace / name).stat().st_size > 0


def test_the_manual_is_there(installed: Path, workplace: Path) -> None:
    assert "# Which file stays" in run(installed, workplace, "help", "keep-rules")
    assert "Usage: cvsim undo" in run(installed, workplace, "help", "undo")


@pytest.mark.parametrize("line", SERVERS)
def test_a_page_is_served(installed: Path, workplace: Path, line: str) -> None:
    pytest.importorskip(NEEDED[line.split()[0]], reason="the extra 'web' is not installed")
    process = subprocess.Popen(
        [sys.executable, "-m", "cvsim", *line.split()],
        cwd=workplace,
        env=environment(installed, workplace),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        said = ""
        while not re.search(r"http://127\.0\.0\.1:\d+/", said):
            more = process.stdout.readline()
            assert more, said
            said += more
    finally:
        process.terminate()
        process.stdout.close()
        process.wait(timeout=30)


def test_images_are_fetched(installed: Path, workplace: Path) -> None:
    pytest.importorskip(NEEDED["fetch"], reason="the extra 'remote' is not installed")
    with faulty_server(images(workplace)[0].read_bytes()) as server:
        entries = [{"image_id": 1, "url": f"{server.url}/ok/1"}]
        (workplace / "list.json").write_text(json.dumps({"images": entries}), encoding="utf-8")
        run(installed, workplace, "fetch", "list.json", "-o", "fetched", "--allow-private")
    assert (workplace / "fetched" / "1.jpg").exists()
