from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generate import scene
from PIL import Image

from cvsim.reports.maps import map_html

NAMES = ["left.jpg", "right.jpg", "top.jpg", "middle.jpg"]
PLACES = np.array([[0.0, 0.5], [1.0, 0.5], [0.5, 1.0], [0.5, 0.5]])


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    def thumbnail(seed: int) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(scene(seed, 96, 72)).save(stream, "JPEG")
        return stream.getvalue()

    file: Path = tmp_path_factory.mktemp("map") / "map.html"
    pictures = [thumbnail(seed) for seed in range(3)]
    file.write_bytes(
        map_html({"tsne": PLACES, "pca": PLACES[::-1]}, NAMES, ["shoe", "shoe", "", "hat"], [*pictures, None])
    )
    return file.as_uri()


@pytest.mark.parametrize("size", [(1400, 700), (500, 900)])
def test_a_map_fills_the_window_whatever_its_shape(
    browser: Any, tmp_path: Path, size: tuple[int, int]
) -> None:
    width, height = size
    page_file = tmp_path / "map.html"
    corners = np.array([[0.0, 0.0], [1.0, 1.0]])
    page_file.write_bytes(map_html({"pca": corners}, ["a", "b"], ["0", "1"], [None, None]))
    page = browser.new_page(viewport={"width": width, "height": height})
    page.goto(page_file.as_uri())
    bottom_left, top_right = page.evaluate("[place(0), place(1)]")
    page.close()
    assert 0 < bottom_left[0] < 0.1 * width
    assert 0.9 * width < top_right[0] < width
    assert 0 < top_right[1] < 0.1 * height
    assert 0.9 * height < bottom_left[1] < height


def test_by_keys_alone(browser: Any, address: str) -> None:
    page = browser.new_page(viewport={"width": 1000, "height": 800})
    page.goto(address)
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "map":
            break
    said = page.get_by_role("status")
    page.keyboard.press("ArrowRight")
    assert said.inner_text() == "middle.jpg, hat"
    page.keyboard.press("ArrowRight")
    assert said.inner_text() == "right.jpg, shoe"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    assert said.inner_text() == "top.jpg"
    before = page.evaluate("zoom")
    page.keyboard.press("+")
    assert page.evaluate("zoom") > before
    x, y = page.evaluate("place(chosen)")
    assert 0 <= x <= 1000, "the chosen picture left the window"
    assert 0 <= y <= 800, "the chosen picture left the window"
    page.keyboard.press("0")
    assert page.evaluate("zoom") == 1
    page.keyboard.press("Escape")
    assert said.inner_text() == ""
    assert page.locator("#tip").is_hidden()
    page.get_by_role("button", name="PCA").press("Enter")
    assert page.evaluate("points[0][0]") == 0.5
    assert page.get_by_role("button", name="PCA").get_attribute("aria-pressed") == "true"
    page.close()


def test_by_touch_on_a_phone(browser: Any, address: str) -> None:
    phone = browser.new_context(viewport={"width": 390, "height": 780}, has_touch=True, is_mobile=True)
    page = phone.new_page()
    page.goto(address)
    assert page.evaluate("innerWidth") == 390, "the page is laid out for a desktop"
    page.touchscreen.tap(*page.evaluate("place(1)"))
    assert page.locator("#name").inner_text() == "right.jpg"
    box = page.locator("#tip").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    session = phone.new_cdp_session(page)

    def touch(kind: str, *points: tuple[int, int]) -> None:
        session.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": x, "y": y, "id": k} for k, (x, y) in enumerate(points)]},
        )

    middle = page.evaluate("place(3)")
    x, y = map(round, middle)
    touch("touchStart", (x - 45, y), (x + 45, y))
    touch("touchMove", (x - 80, y), (x + 80, y))
    touch("touchEnd")
    assert page.evaluate("zoom") == pytest.approx(160 / 90, rel=0.05)
    moved = page.evaluate("place(3)")
    assert np.hypot(moved[0] - middle[0], moved[1] - middle[1]) < 60, (
        "what lay between the fingers did not stay"
    )
    before = page.evaluate("left")
    touch("touchStart", (200, 600))
    touch("touchMove", (260, 600))
    touch("touchEnd")
    assert page.evaluate("left") == pytest.approx(before + 60, abs=1)
    phone.close()


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
def test_axe_has_nothing_against_it(browser: Any, axe: Any, address: str, width: int, scheme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.goto(address)
    page.evaluate("choose(0)")
    found = axe(page)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.close()
    assert found == []
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
