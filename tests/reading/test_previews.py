"""Thumbnails: made of the files when they are asked for, once."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from generate import save_image, scene
from PIL import Image

import cvsim
from cvsim.reading.extraction import THUMBNAIL_KEY, THUMBNAIL_PX
from cvsim.stores import open_cache


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two copies of one picture, one of them in a format that is decoded in a child, and a stranger."""
    folder = tmp_path / "photos"
    folder.mkdir()
    save_image(folder / "a.jpg", scene(1, 480, 360))
    save_image(folder / "b.png", scene(1, 480, 360))
    save_image(folder / "alone.jpg", scene(2, 480, 360))
    return folder


def kept(cache: Path) -> dict[str, bytes | None]:
    with open_cache(cache) as store:
        return store.descriptors(THUMBNAIL_KEY)


def test_thumbnails_are_made_for_a_page_alone(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    report = cvsim.dedupe([folder], cache=str(cache))
    assert kept(cache) == {}
    page = report.to_html()
    assert page.count("data:image/jpeg") == 2
    thumbnails = kept(cache)
    assert len(thumbnails) == 2  # none of what is in no group
    for data in thumbnails.values():
        assert Image.open(io.BytesIO(data or b"")).size == (THUMBNAIL_PX, THUMBNAIL_PX * 3 // 4)


def test_thumbnails_are_made_once(folder: Path, tmp_path: Path) -> None:
    report = cvsim.dedupe([folder], cache=str(tmp_path / "cache"))
    page = report.to_html()
    for file in folder.iterdir():
        file.unlink()
    assert report.to_html() == page


def test_a_file_that_has_changed_is_shown_without(folder: Path) -> None:
    report = cvsim.dedupe([folder], cache=None)
    save_image(folder / "a.jpg", scene(3, 480, 360))
    (folder / "b.png").unlink()
    page = report.to_html()
    assert "data:image/jpeg" not in page
    assert "a.jpg" in page
    assert "b.png" in page


def test_a_picture_is_shown_through_any_of_its_names(folder: Path) -> None:
    (folder / "c.jpg").write_bytes((folder / "a.jpg").read_bytes())
    report = cvsim.dedupe([folder], cache=None)
    (folder / "c.jpg").unlink()
    assert report.to_html().count("data:image/jpeg") == 3
