from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import pytest
from generate import save_image, scene

from cvsim.errors import UsageError
from cvsim.images.scan import Alias, Scan, read_names, scan


def names(found: Scan, below: Path) -> list[str]:
    return [os.path.relpath(entry.path, below) for entry in found.files]


def make(folder: Path, *files: str, content: bytes = b"x") -> None:
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def test_finds_files_at_every_depth_sorted_by_code_point(tmp_path: Path) -> None:
    make(tmp_path, "b.jpg", "a/z.jpg", "a/b/c/d.png", "Z.jpg", "é.jpg", "a.jpg")
    assert names(scan([tmp_path]), tmp_path) == ["Z.jpg", "a.jpg", "a/b/c/d.png", "a/z.jpg", "b.jpg", "é.jpg"]


def test_an_entry_says_what_stat_says(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", content=b"12345")
    (entry,) = scan([tmp_path]).files
    status = os.stat(tmp_path / "a.jpg")
    assert (entry.size_bytes, entry.mtime_ns, entry.inode, entry.device) == (
        5,
        status.st_mtime_ns,
        status.st_ino,
        status.st_dev,
    )
    assert entry.root == str(tmp_path)


def test_paths_are_spelled_as_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "photos/a.jpg")
    monkeypatch.chdir(tmp_path)
    for given_path, expected in [
        ("photos", "photos/a.jpg"),
        ("photos/", "photos/a.jpg"),
        (".", "./photos/a.jpg"),
        ("photos/a.jpg", "photos/a.jpg"),
        (str(tmp_path), str(tmp_path / "photos/a.jpg")),
    ]:
        assert [entry.path for entry in scan([given_path]).files] == [expected]


def test_hidden_files_and_folders_are_off_unless_asked_for_or_named(tmp_path: Path) -> None:
    make(tmp_path, ".h.jpg", ".folder/a.jpg", "b.jpg")
    assert names(scan([tmp_path]), tmp_path) == ["b.jpg"]
    assert names(scan([tmp_path], hidden=True), tmp_path) == [".folder/a.jpg", ".h.jpg", "b.jpg"]
    assert names(scan([tmp_path / ".folder", tmp_path / ".h.jpg"]), tmp_path) == [".folder/a.jpg", ".h.jpg"]


@pytest.mark.parametrize(
    ("glob", "left"),
    [
        ("*.png", ["a.jpg", "cache/b.jpg", "deep/cache/d.jpg"]),
        ("cache", ["a.jpg", "c.png"]),
        ("cache/", ["a.jpg", "c.png"]),
        ("deep/*", ["a.jpg", "c.png", "cache/b.jpg"]),
        ("cache/*.jpg", ["a.jpg", "c.png", "deep/cache/d.jpg"]),
        ("**/a.jpg", ["c.png", "cache/b.jpg", "deep/cache/d.jpg"]),
        ("[ac].*", ["cache/b.jpg", "deep/cache/d.jpg"]),
    ],
)
def test_exclude_matches_names_and_paths_below_the_root(tmp_path: Path, glob: str, left: list[str]) -> None:
    make(tmp_path, "a.jpg", "c.png", "cache/b.jpg", "deep/cache/d.jpg")
    assert names(scan([tmp_path], exclude=[glob]), tmp_path) == left


def test_a_named_file_is_taken_whatever_the_globs_say(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    assert names(scan([tmp_path / "a.jpg"], exclude=["*.jpg"], min_size_bytes=100), tmp_path) == ["a.jpg"]


@pytest.mark.parametrize("glob", ["", "/", "[a", "a[!b", "/a.jpg", "./a.jpg", "../a"])
def test_a_pattern_that_can_match_nothing_is_refused(tmp_path: Path, glob: str) -> None:
    with pytest.raises(UsageError, match="pattern"):
        scan([tmp_path], exclude=[glob])


def test_brackets_that_are_closed_are_none_the_worse(tmp_path: Path) -> None:
    make(tmp_path, "a[1].jpg", "b].jpg", "c.jpg")
    assert names(scan([tmp_path], exclude=["a[[]1].jpg", "[!a-c]", "[]]", "b[]].jpg"]), tmp_path) == ["c.jpg"]


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"include_ext": ["JPG", ".png"]}, ["a.jpg", "deep/er/b.PNG", "deep/large.jpg"]),
        ({"exclude_ext": ["txt", "*.jpg"]}, ["deep/er/b.PNG", "none"]),
        ({"max_depth": 1}, ["a.jpg", "none"]),
        ({"max_depth": 2, "max_size_bytes": 99}, ["a.jpg", "deep/c.txt", "none"]),
        ({"min_size_bytes": 2}, ["deep/large.jpg"]),
    ],
)
def test_the_filters(tmp_path: Path, options: dict[str, Any], left: list[str]) -> None:
    make(tmp_path, "a.jpg", "none", "deep/c.txt", "deep/er/b.PNG")
    make(tmp_path, "deep/large.jpg", content=b"x" * 100)
    assert names(scan([tmp_path], **options), tmp_path) == left


def test_pictures_of_too_few_pixels_are_left_out_by_their_headers(tmp_path: Path) -> None:
    for name in ("small.jpg", "small.png", "small.webp"):
        save_image(tmp_path / name, scene(1, 60, 40))
    save_image(tmp_path / "large.jpg", scene(1, 80, 60))
    make(tmp_path, "unknown.jpg", content=b"\xff\xd8\xff\xe0 and no more")
    found = scan([tmp_path, tmp_path / "small.png"], min_pixels=60 * 40 + 1)
    assert names(found, tmp_path) == ["large.jpg", "small.png", "unknown.jpg"]
    assert len(scan([tmp_path], min_pixels=60 * 40).files) == 5


def test_it_stays_on_one_file_system(tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if not os.access(other, os.W_OK) or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system")
    with tempfile.TemporaryDirectory(dir=other) as folder:
        make(Path(folder), "there.jpg")
        make(tmp_path, "here.jpg")
        (tmp_path / "link").symlink_to(folder)
        assert len(scan([tmp_path], follow_symlinks=True).files) == 2
        assert names(scan([tmp_path], follow_symlinks=True, one_file_system=True), tmp_path) == ["here.jpg"]


def test_empty_files_are_skipped_and_small_ones_left_out(tmp_path: Path) -> None:
    make(tmp_path, "small.jpg")
    make(tmp_path, "empty.jpg", content=b"")
    found = scan([tmp_path])
    assert names(found, tmp_path) == ["small.jpg"]
    assert [(skip.path, skip.reason) for skip in found.skipped] == [
        (str(tmp_path / "empty.jpg"), "empty file")
    ]
    assert scan([tmp_path], min_size_bytes=2) == Scan()


def test_hard_links_count_once_and_are_reported(tmp_path: Path) -> None:
    make(tmp_path, "b.jpg")
    os.link(tmp_path / "b.jpg", tmp_path / "a.jpg")
    found = scan([tmp_path])
    assert names(found, tmp_path) == ["a.jpg"]
    assert found.aliases == (Alias(str(tmp_path / "b.jpg"), str(tmp_path / "a.jpg")),)


def test_a_file_given_in_two_ways_counts_once_and_is_no_alias(tmp_path: Path) -> None:
    make(tmp_path, "sub/a.jpg")
    paths = [str(tmp_path), str(tmp_path / "sub"), str(tmp_path / "sub/a.jpg"), f"{tmp_path}/sub/../sub"]
    found = scan(paths)
    assert len(found.files) == 1
    assert found.aliases == ()
    assert found == scan(reversed(paths))


def test_the_innermost_argument_is_a_files_root(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "sub/b.jpg")
    for paths in ([tmp_path, tmp_path / "sub"], [tmp_path / "sub", tmp_path]):
        assert [entry.root for entry in scan(paths).files] == [str(tmp_path), str(tmp_path / "sub")]


def test_symbolic_links_are_followed_only_when_asked_for(tmp_path: Path) -> None:
    make(tmp_path, "in/a.jpg", "out/b.jpg", "out/sub/c.jpg")
    (tmp_path / "in/b.jpg").symlink_to(tmp_path / "out/b.jpg")
    (tmp_path / "in/linked").symlink_to(tmp_path / "out/sub")
    (tmp_path / "in/broken").symlink_to(tmp_path / "nothing")
    assert names(scan([tmp_path / "in"]), tmp_path) == ["in/a.jpg"]
    followed = scan([tmp_path / "in"], follow_symlinks=True)
    assert names(followed, tmp_path) == ["in/a.jpg", "in/b.jpg", "in/linked/c.jpg"]
    assert [skip.path for skip in followed.skipped] == [str(tmp_path / "in/broken")]
    assert "link to nothing" in followed.skipped[0].reason
    assert names(scan([tmp_path / "in/linked"]), tmp_path) == ["in/linked/c.jpg"]


def test_loops_of_links_are_survived(tmp_path: Path) -> None:
    make(tmp_path, "a/b/c.jpg")
    (tmp_path / "a/b/up").symlink_to(tmp_path)
    (tmp_path / "a/self").symlink_to(tmp_path / "a/self")
    for i in range(8):  # every folder links to every other: ways without number
        make(tmp_path, f"web/{i}/{i}.jpg")
        for j in range(8):
            (tmp_path / f"web/{i}/to{j}").symlink_to(tmp_path / f"web/{j}")
    found = scan([tmp_path], follow_symlinks=True)
    assert names(found, tmp_path) == ["a/b/c.jpg", *(f"web/{i}/{i}.jpg" for i in range(8))]


def test_special_files_are_skipped_unopened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")  # opening it would block for ever
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.jpg")
        found = scan([tmp_path, "/dev/null"])
    assert found.files == ()
    reasons = {os.path.basename(skip.path): skip.reason for skip in found.skipped}
    assert reasons == {
        "pipe.jpg": "a named pipe, not a file",
        "socket.jpg": "a socket, not a file",
        "null": "a device, not a file",
    }


def test_a_missing_path_is_a_usage_error_and_a_missing_listed_one_is_skipped(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing\.jpg: no such file or folder"):
        scan([tmp_path / "nothing.jpg"])
    make(tmp_path, "a.jpg")
    found = scan([], listed=[str(tmp_path / "a.jpg"), str(tmp_path / "gone.jpg")])
    assert names(found, tmp_path) == ["a.jpg"]
    assert [skip.path for skip in found.skipped] == [str(tmp_path / "gone.jpg")]


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    with open(name, "wb") as file:
        file.write(b"x")
    (entry,) = scan([os.fsencode(tmp_path)]).files
    assert os.fsencode(entry.path) == name


def test_an_unreadable_folder_is_skipped_and_its_siblings_are_not() -> None:
    program = """
        import os, sys
        from cvsim.images.scan import scan
        if os.getuid() == 0:  # root reads everything: become nobody
            os.setgroups([]); os.setgid(65534); os.setuid(65534)
        found = scan([sys.argv[1]])
        print([os.path.basename(entry.path) for entry in found.files])
        print([(os.path.basename(skip.path), skip.reason) for skip in found.skipped])
    """
    with tempfile.TemporaryDirectory() as name:  # pytest's own folder is closed to others
        folder = Path(name)
        folder.chmod(0o755)
        make(folder, "open/a.jpg", "shut/b.jpg")
        (folder / "shut").chmod(0)
        command = [sys.executable, "-c", textwrap.dedent(program), name]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        (folder / "shut").chmod(0o755)
    assert result.stdout.splitlines() == ["['a.jpg']", "[('shut', 'permission denied')]"], result.stderr


@pytest.mark.parametrize(
    ("listing", "nul", "expected"),
    [
        (b"a.jpg\nb c.jpg\n\n", False, ["a.jpg", "b c.jpg"]),
        (b"a.jpg\nno end", False, ["a.jpg", "no end"]),
        (b"a\nb.jpg\0caf\xe9\0", True, ["a\nb.jpg", "caf\udce9"]),
        (b"", False, []),
    ],
)
def test_read_names(listing: bytes, nul: bool, expected: list[str]) -> None:
    assert read_names(io.BytesIO(listing), nul=nul) == expected
