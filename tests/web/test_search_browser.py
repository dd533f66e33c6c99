"""The search page in a real browser: an altered picture is dropped, its original comes first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from generate import altered, save_image, scene

import cvsim

ROOT = Path(__file__).parents[2]
pytest.importorskip("starlette", reason="pip install 'cvsim[web]'")

PHONE = {"viewport": {"width": 390, "height": 860}, "has_touch": True, "is_mobile": True}
DROP = """([bytes, name]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/jpeg" }));
    document.querySelector("#drop").dispatchEvent(
        new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("page")
    for seed in range(5):
        save_image(folder / "photos" / f"photo-{seed}.jpg", scene(seed, 480, 360))
    save_image(folder / "photos" / "small-photo-3.jpg", altered(scene(3, 480, 360), "half", 3))
    save_image(folder / "photos" / "<img src=x onerror=alert(1)>.jpg", scene(9, 480, 360))
    with cvsim.Index.open(folder / "index.db", workers=2) as index:
        index.add([folder / "photos"])
    command = [sys.executable, "-m", "cvsim", "serve", "--store", str(folder / "index.db"), "--no-browser"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0


@pytest.fixture(params=[{}])
def page(browser: Any, address: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page; a test may ask for other options of the browser."""
    opened = browser.new_page(**{"viewport": {"width": 1180, "height": 900}, **request.param})
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("dialog", lambda dialog: (problems.append(dialog.message), dialog.dismiss()))
    opened.goto(address)
    opened.wait_for_selector("#drop")
    yield opened
    opened.close()
    assert problems == []


def test_a_dropped_picture_finds_its_original(page: Any, tmp_path: Path) -> None:
    query = save_image(tmp_path / "query.jpg", altered(scene(3, 480, 360), "crop50", 3))
    page.evaluate(DROP, [list(query.read_bytes()), "query.jpg"])
    page.wait_for_selector("#copies li")
    assert page.text_content("#copies li .name") == "photo-3.jpg"
    assert "cropped" in page.text_content("#copies li .score")
    assert page.locator("#copies li").count() == 2
    assert "group 1: 2 copies of one picture" in page.text_content("#copies li .facts")
    assert page.locator("#alike li").count() == 5
    assert "group" not in page.text_content("#alike")
    page.click("#copies li summary")
    assert "keypoints" in page.text_content("#copies li table")
    page.wait_for_function("[...document.images].slice(0, 2).every(i => i.complete && i.naturalWidth > 0)")
    if os.environ.get("CVSIM_SCREENSHOT"):
        page.screenshot(path=os.environ["CVSIM_SCREENSHOT"])


def test_a_picked_file_that_is_no_picture_is_said(page: Any, tmp_path: Path) -> None:
    file = tmp_path / "page.jpg"
    file.write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    page.set_input_files("#file", file)
    page.wait_for_selector("#status.bad")
    assert "not an image" in page.text_content("#status")
    assert page.locator("li").count() == 0


def test_an_address_inside_is_refused(page: Any) -> None:
    page.fill("#url", "http://127.0.0.1:1/x.jpg")
    page.click("#by-url button")
    page.wait_for_selector("#status.bad")
    assert "private network" in page.text_content("#status")


def test_by_keys_alone(page: Any, tmp_path: Path) -> None:
    query = save_image(tmp_path / "query.jpg", altered(scene(3, 480, 360), "crop50", 3))
    page.keyboard.press("Tab")
    with page.expect_file_chooser() as chosen:
        page.keyboard.press("Enter")
    chosen.value.set_files(query)
    page.wait_for_selector("#copies li")
    for _ in range(4):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    page.keyboard.press("Enter")
    assert page.locator("#copies details[open] table").is_visible()


@pytest.mark.parametrize("page", [PHONE], indirect=True)
def test_by_touch_on_a_phone(page: Any, tmp_path: Path) -> None:
    query = save_image(tmp_path / "query.jpg", altered(scene(3, 480, 360), "crop50", 3))
    with page.expect_file_chooser() as chosen:
        page.tap("#drop")
    chosen.value.set_files(query)
    page.wait_for_selector("#copies li")
    page.tap("#copies summary >> nth=0")
    assert page.locator("#copies details[open] table").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_axe_has_nothing_against_it(page: Any, axe: Any) -> None:
    for width in (1180, 390):
        page.set_viewport_size({"width": width, "height": 860})
        assert axe(page) == []
