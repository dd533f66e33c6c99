"""Pictures from memory, folders where there should be pictures, and what is left of the process after."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from generate import save_image, scene

import cvsim

PHOTO = scene(3, 320, 240)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    save_image(folder / "photo.png", PHOTO)
    save_image(folder / "mirrored.jpg", PHOTO[:, ::-1])
    return folder / "photo.png"


@pytest.fixture(scope="module")
def expected(photo: Path) -> cvsim.Compared:
    return cvsim.compare(photo, photo.with_name("mirrored.jpg"), cache=None)


@pytest.mark.parametrize("form", ["bytes", "BytesIO", "file"])
def test_encoded_images_are_images(photo: Path, expected: cvsim.Compared, form: str) -> None:
    other = photo.with_name("mirrored.jpg")
    with photo.open("rb") as file:
        data = photo.read_bytes()
        source = {"bytes": data, "BytesIO": io.BytesIO(data), "file": file}[form]
        found = cvsim.compare(source, other, cache=None)
        assert (found.score, found.relation) == (expected.score, "mirrored")
        assert found.result.pair.a == "a"
        assert found.to_picture()[:4] == b"\x89PNG"
        assert cvsim.compare(source, source, cache=None).relation == "identical-file"
        assert cvsim.compare(source, photo, cache=None).relation == "identical-file"
        assert cvsim.compare(source, PHOTO, cache=None).relation == "identical-pixels"


def test_bytes_are_content_and_never_a_name(photo: Path) -> None:
    with pytest.raises(cvsim.ImageError, match=r"^a: not an image$"):
        cvsim.compare(os.fsencode(photo), photo, cache=None)
    with pytest.raises(cvsim.UsageError, match="binary mode"):
        cvsim.compare(io.StringIO("text"), photo, cache=None)  # type: ignore[arg-type]
    with pytest.raises(cvsim.UsageError, match="int is no picture"):
        cvsim.compare(3, photo, cache=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["bytes", "BytesIO"])
def test_an_index_is_searched_by_encoded_images(photo: Path, tmp_path: Path, form: str) -> None:
    data = photo.read_bytes()
    with cvsim.Index.open(tmp_path / "index.db") as index:
        index.add(photo.parent)
        hits = index.search(data if form == "bytes" else io.BytesIO(data), k=2)
        assert [(os.path.basename(hit.path), hit.relation) for hit in hits] == [
            ("photo.png", "identical-file"),
            ("mirrored.jpg", "mirrored"),
        ]
        with pytest.raises(cvsim.ImageError):
            index.search(b"no picture")


def test_a_folder_is_no_picture(photo: Path) -> None:
    with pytest.raises(cvsim.UsageError, match="is a folder"):
        cvsim.compare(photo, photo.parent, cache=None)
    with pytest.raises(cvsim.UsageError, match="is a folder"):
        cvsim.compare(photo.parent, photo.parent, cache=None)


def test_an_index_is_closed_as_often_as_one_likes(photo: Path, tmp_path: Path) -> None:
    index = cvsim.Index.open(tmp_path / "index.db")
    index.add(photo.parent)
    index.close()
    index.close()
    with cvsim.Index.open(tmp_path / "index.db") as again:
        again.close()


def test_a_single_path_stands_for_itself(photo: Path) -> None:
    for paths in (photo.parent, str(photo.parent), os.fsencode(photo.parent), [photo.parent]):
        assert cvsim.dedupe(paths, cache=None).counts.images == 2


def test_settings_and_options_go_together(photo: Path) -> None:
    settings = cvsim.Settings(effort="fast", between_only=True, cache=None)
    made = cvsim.dedupe(photo.parent, settings=settings, between_only=False, threshold=0.9)
    said = made.result.settings
    assert (said["effort"], said["between_only"], said["threshold"]) == ("fast", False, 0.9)


def test_opencv_has_its_threads_back(photo: Path) -> None:
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(3)
        report = cvsim.dedupe(photo.parent, cache=None)
        report.to_html()
        cvsim.compare(photo, np.zeros((9, 9, 3), np.uint8), cache=None)
        with pytest.raises(cvsim.UsageError):
            cvsim.dedupe(photo.parent / "missing", cache=None)
        threads = [threading.Thread(target=cvsim.dedupe, args=(photo.parent,), kwargs={"cache": None})] * 1
        threads += [threading.Thread(target=cvsim.compare, args=(photo, photo), kwargs={"cache": None})]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)


def test_opencv_has_one_thread_during_the_work(photo: Path) -> None:
    seen: list[int] = []

    class Looking:
        def task(self, description: str, total: int | None) -> object:
            seen.append(cv2.getNumThreads())
            return cvsim.progress.SilentProgress().task(description, total)  # type: ignore[attr-defined]

    cvsim.dedupe(photo.parent, cache=None, progress=Looking())  # type: ignore[arg-type]
    assert set(seen) == {1}
