from __future__ import annotations

import shutil

import numpy as np
import pytest

from cvsim.reports.maps import map_html

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOW = "needs a browser: apt-get install chromium, and pip install playwright"

playwright = pytest.importorskip("playwright.sync_api", reason=HOW)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=HOW)


@pytest.mark.parametrize("size", [(1400, 700), (500, 900)])
def test_a_map_fills_the_window_whatever_its_shape(tmp_path, size):
    width, height = size
    page_file = tmp_path / "map.html"
    corners = np.array([[0.0, 0.0], [1.0, 1.0]])
    page_file.write_bytes(map_html({"pca": corners}, ["a", "b"], ["0", "1"], [None, None]))
    with playwright.sync_playwright() as library:
        browser = library.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": height})
        page.goto(page_file.as_uri())
        bottom_left, top_right = page.evaluate("[place(0), place(1)]")
        browser.close()
    assert 0 < bottom_left[0] < 0.1 * width
    assert 0.9 * width < top_right[0] < width
    assert 0 < top_right[1] < 0.1 * height
    assert 0.9 * height < bottom_left[1] < height
