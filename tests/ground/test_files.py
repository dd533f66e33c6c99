from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cvsim.errors import CvsimError
from cvsim.files import write


def test_a_report_replaces_the_old_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    path.write_text("old")
    write(path, [b"n", b"ew"])
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["r.html"]


def test_when_writing_fails_the_old_one_stays_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    path.write_text("old")

    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write(path, chunks())
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["r.html"]


def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "target")
    write(link, [b"new"])
    assert link.is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


def test_a_device_is_written_to(tmp_path: Path) -> None:
    write(os.devnull, [b"x"])
    assert not Path(os.devnull).is_file()


@pytest.mark.parametrize("name", ["no/such/folder.html", "f" * 300 + ".html"])
def test_what_can_not_be_written_is_named_with_the_reason(tmp_path: Path, name: str) -> None:
    with pytest.raises(CvsimError, match="cannot be written"):
        write(tmp_path / name, [b"x"])


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_is_said(tmp_path: Path) -> None:
    with pytest.raises(CvsimError, match="No space left"):
        write("/dev/full", [b"x"])
