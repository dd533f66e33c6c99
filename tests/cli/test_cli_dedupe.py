"""``cvsim dedupe`` from end to end: real pictures, real processes."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from generate import altered, save_image, scene

from cvsim.cli.group import cvsim

ROOT = Path(__file__).parents[2]
BAD_NAME = os.fsdecode(b"caf\xe9.jpg")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures, two copies of the first (one byte for byte), and two files that are no pictures."""
    folder = tmp_path_factory.mktemp("shared") / "photos"
    first = save_image(folder / "one.jpg", scene(1, 640, 480))
    shutil.copy(first, folder / BAD_NAME)
    save_image(folder / "small" / "<b>one.jpg", altered(scene(1, 640, 480), "half"))
    save_image(folder / "two.jpg", scene(2, 640, 480))
    (folder / "notes.txt").write_text("not a picture")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One for all: the first test fills it."""
    return str(tmp_path_factory.mktemp("cache") / "cache.sqlite")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cvsim, ["dedupe", *map(str, arguments)], catch_exceptions=False)


def process(
    *arguments: str | Path, cwd: Path | None = None, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "cvsim", "dedupe", *map(os.fsencode, arguments)],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=cwd,
        input=stdin,
        timeout=120,
    )


def test_the_copies_are_found_and_nothing_else(photos: Path, cache: str) -> None:
    result = run(photos, "--json", "--cache", cache)
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    (group,) = document["groups"]
    names = {os.path.basename(member["path"]) for member in group["members"]}
    assert names == {"one.jpg", BAD_NAME, "<b>one.jpg"}
    counts = document["counts"]
    assert (counts["files"], counts["images"], counts["skipped"]) == (6, 4, 2)
    assert counts["duplicates"] == sum(member["proposed"] for member in group["members"]) == 2
    reasons = {os.path.basename(item["path"]): item["reason"] for item in document["skipped"]}
    assert reasons["notes.txt"] == "not an image"
    assert set(reasons) == {"notes.txt", "broken.jpg"}


def test_paths_are_printed_as_they_were_given(photos: Path, cache: str) -> None:
    out = process("photos", "--json", "--cache", cache, cwd=photos.parent).stdout
    paths = {member["path"] for member in json.loads(out)["groups"][0]["members"]}
    assert paths == {"photos/one.jpg", "photos/" + BAD_NAME, "photos/small/<b>one.jpg"}


def test_the_same_bytes_for_any_number_of_workers_and_order_of_paths(photos: Path, cache: str) -> None:
    def groups(*arguments: str | Path) -> str:
        document = json.loads(run(*arguments, "--json", "--no-cache").stdout)
        return json.dumps([document[key] for key in ("groups", "skipped", "counts")])

    everything = sorted(photos.iterdir())
    first = groups(*everything, "--workers", "1")
    assert groups(*reversed(everything), "--workers", "2") == first


def test_for_a_person(photos: Path, cache: str) -> None:
    result = process(photos, "--cache", cache)
    assert result.returncode == 0
    out = result.stdout.decode()
    assert "Group 1 · 3 pictures" in out
    assert "caf\\xe9.jpg" in out
    assert "identical-file" in out
    assert "1 group, 2 duplicates" in out
    assert "broken.jpg" in out
    assert "notes.txt" not in out
    assert "Traceback" not in result.stderr.decode()


def test_every_form_at_once(photos: Path, cache: str, tmp_path: Path) -> None:
    html, rows = tmp_path / "r.html", tmp_path / "r.csv"
    result = run(photos, "--json", "--html", html, "--csv", rows, "--cache", cache)
    assert result.exit_code == 0
    json.loads(result.stdout)
    assert result.stderr == f"cvsim: wrote {rows}\ncvsim: wrote {html}\n"
    page = html.read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 3
    assert "&lt;b&gt;one.jpg" in page
    assert "<b>one" not in page
    assert len(rows.read_bytes().splitlines()) == 4


def test_the_formats_of_stdout_say_the_same(
    photos: Path, cache: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)

    def out(*arguments: str) -> bytes:
        return run("photos", "--cache", cache, *arguments).stdout_bytes

    document = json.loads(out("--format", "json"))
    assert [json.loads(line) for line in out("--format", "jsonl").splitlines()] == document["groups"]
    assert out("--format", "csv") == out("--csv", "-")
    members = [member for group in document["groups"] for member in group["members"]]
    proposed = [os.fsencode(member["path"]) + b"\0" for member in members if member["proposed"]]
    assert out("--format", "paths0") == b"".join(proposed)
    assert len(proposed) == 2
    summary = out("--summary").decode()
    assert "Group 1" not in summary
    assert "1 group, 2 duplicates" in summary
    assert out("--pager") == out("--limit", "0") == out()


def test_csv_on_stdout_keeps_the_bytes_of_names(photos: Path, cache: str) -> None:
    out = process(photos, "--csv", "-", "--cache", cache).stdout
    found = list(csv.DictReader(io.StringIO(out.decode("utf-8", "surrogateescape"), newline="")))
    assert b"caf\xe9.jpg" in out
    assert [row["decision"] for row in found].count("keep") == 1


def test_html_on_stdout(photos: Path, cache: str) -> None:
    out = process(photos, "--html", "-", "--cache", cache).stdout
    assert out.startswith(b"<!DOCTYPE html>")
    assert out.rstrip().endswith(b"</html>")


def test_check_tells_copies_none_and_nothing_looked_at_apart(photos: Path, cache: str) -> None:
    assert run(photos, "--check", "--cache", cache).exit_code == 3
    assert run(photos / "two.jpg", "--check", "--cache", cache).exit_code == 0
    assert run(photos, "--include-ext", "txt", "--check", "--cache", cache).exit_code == 4


def test_files_from_a_list_one_of_which_is_gone(photos: Path, cache: str) -> None:
    names = [photos / "one.jpg", photos / BAD_NAME, photos / "gone.jpg"]
    stdin = b"".join(os.fsencode(name) + b"\0" for name in names)
    result = process("--files-from", "-", "-0", "--json", "--cache", cache, stdin=stdin)
    document = json.loads(result.stdout)
    assert [len(group["members"]) for group in document["groups"]] == [2]
    assert [os.path.basename(item["path"]) for item in document["skipped"]] == ["gone.jpg"]


def test_reference_files_are_never_proposed(photos: Path, cache: str) -> None:
    result = run(photos / "one.jpg", "--reference", photos / "small", "--json", "--cache", cache)
    for group in json.loads(result.stdout)["groups"]:
        assert not [m for m in group["members"] if "small" in m["path"] and m["proposed"]]


def test_between_only(photos: Path, cache: str) -> None:
    def n_members(*arguments: str | Path) -> list[int]:
        document = json.loads(run(*arguments, "--json", "--cache", cache, "--between-only").stdout)
        return [len(group["members"]) for group in document["groups"]]

    assert n_members(photos) == []
    assert n_members(photos / "one.jpg", photos / "small") == [2]


def test_a_threshold_and_a_keep_rule(photos: Path, cache: str) -> None:
    document = json.loads(run(photos, "--json", "--keep", "shortest-name", "--cache", cache).stdout)
    assert document["groups"][0]["keep"].endswith("one.jpg")
    assert document["groups"][0]["rule"] == "shortest-name"
    assert run(photos, "--keep", "prettiest").exit_code == 2


def test_what_else_to_propose(tmp_path: Path) -> None:
    save_image(tmp_path / "p" / "color.jpg", scene(1, 640, 480))
    save_image(tmp_path / "p" / "grey.jpg", altered(scene(1, 640, 480), "grey"), quality=60)

    def proposed(*arguments: str) -> list[str]:
        document = json.loads(run(tmp_path / "p", "--json", "--no-cache", *arguments).stdout)
        members = [member for group in document["groups"] for member in group["members"]]
        return [os.path.basename(member["path"]) for member in members if member["proposed"]]

    assert proposed() == []
    assert proposed("--include", "recolored") == ["grey.jpg"]
    assert run(tmp_path / "p", "--include", "anything").exit_code == 2


def test_the_scan_options(photos: Path, cache: str) -> None:
    counts = json.loads(
        run(photos, "--exclude", "small", "--min-size", "1k", "--json", "--cache", cache).stdout
    )["counts"]
    assert (counts["images"], counts["files"]) == (3, 3)


def test_a_page_that_can_not_be_written_is_one_line(photos: Path, cache: str) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("needs a device that is always full")
    result = run(photos, "--html", "/dev/full", "--cache", cache, "-q")
    assert result.exit_code == 1
    assert result.stderr == "cvsim: /dev/full: cannot be written: No space left on device\n"
