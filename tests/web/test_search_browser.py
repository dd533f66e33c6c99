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


LOADED = "() => [...document.images].slice(0, 3).every(i => i.complete && i.naturalWidth > 0)"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("page")
    for seed in range(5):
        save_image(folder / "photos" / f"photo-{seed}.jpg", scene(seed, 480, 360))
    save_image(folder / "photos" / "small-photo-3.jpg", altered(scene(3, 480, 360), "half", 3))
    save_image(folder / "photos" / "<img src=x onerror=alert(1)>.jpg", scene(9, 480, 360))
    for seed in range(20, 28):
        save_image(folder / "photos" / "cups" / f"cup-{seed}.jpg", scene(seed, 240, 180))
    with cvsim.Index.open(folder / "index.db", workers=2) as index:
        index.add([folder / "photos"], by_label=True)
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
    opened.wait_for_selector("#label option:nth-child(2)", state="attached")  # its script has run
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
    assert page.locator("#alike li").count() == 10
    assert "group" not in page.text_content("#alike")
    page.click("#copies li summary")
    assert "keypoints" in page.text_content("#copies li table")
    page.wait_for_function(LOADED)
    for width in (1400, 390):
        if os.environ.get("CVSIM_SCREENSHOT"):
            page.set_viewport_size({"width": width, "height": 900})
            page.screenshot(path=f"{os.environ['CVSIM_SCREENSHOT']}-{width}.png")


def test_a_picked_file_that_is_no_picture_is_said(page: Any, tmp_path: Path) -> None:
    file = tmp_path / "page.jpg"
    file.write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    page.set_input_files("#file", file)
    page.wait_for_selector("#status.bad")
    assert "not an image" in page.text_content("#status")
    assert page.locator("#results li").count() == 0


def test_an_address_inside_is_refused(page: Any) -> None:
    page.fill("#url", "http://127.0.0.1:1/x.jpg")
    page.click("#by-url button")
    page.wait_for_selector("#status.bad")
    assert "private network" in page.text_content("#status")


def test_by_keys_alone(page: Any, tmp_path: Path) -> None:
    query = save_image(tmp_path / "query.jpg", altered(scene(3, 480, 360), "crop50", 3))
    # Asked for before any key: the browser takes a moment to pass choosers on, and shows its own until then.
    page.on("filechooser", lambda chooser: chooser.set_files(query))
    for _ in range(2):  # the link to the hits is first
        page.keyboard.press("Tab")
    page.wait_for_function("document.activeElement.id === 'file'")
    page.keyboard.press("Enter")
    page.wait_for_selector("#copies li")
    for _ in range(20):
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


def test_everything_goes_by_keyboard(page: Any, tmp_path: Path) -> None:
    queries = [save_image(tmp_path / f"query-{seed}.png", scene(seed, 480, 360)) for seed in (1, 2)]
    page.set_input_files("#file", queries)
    page.wait_for_function("() => document.querySelectorAll('#queries [aria-current]').length === 2")
    page.wait_for_selector("#more:not([hidden])")
    assert page.locator("#results li").count() == 12
    page.focus("#more")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelectorAll('#results li').length === 15")
    assert page.is_hidden("#more")

    page.focus("#copies .open")
    page.keyboard.press("Enter")
    page.wait_for_selector("#viewer[open]")
    assert page.text_content("#viewer-path").endswith("/photos/photo-1.jpg")
    page.wait_for_function(
        "() => [...document.querySelectorAll('#stage .frame img')].every(i => i.naturalWidth > 0)"
    )
    page.keyboard.press("ArrowRight")
    second = page.text_content("#viewer-title")
    page.keyboard.press("+")
    assert page.text_content("#zoom-words") == "1.5 ×"
    page.keyboard.press("c")
    page.wait_for_function("() => document.querySelector('#copy').textContent !== 'Copy path'")
    page.keyboard.press("s")
    page.wait_for_function("() => document.querySelectorAll('#queries li').length === 3")
    page.wait_for_function(f"() => document.querySelector('#copies .name')?.textContent === '{second}'")
    assert "the same file" in page.text_content("#copies .score")
    assert "%" not in page.text_content("#alike")
    assert "similarity 0." in page.text_content("#alike li .score")

    page.select_option("#label", "cups")
    page.wait_for_function(
        "() => [...document.querySelectorAll('#results .name')].every(n => /^cup/.test(n.textContent))"
    )
    assert page.locator("#results li").count() == 8
    page.focus("#copies .open, #alike .open")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.className") == "open"


def test_a_picture_picked_before_the_script_runs_is_asked_for(
    browser: Any, address: str, tmp_path: Path
) -> None:
    """A page is seen before its script has come, and a person may be quick, or the line slow."""
    page = browser.new_page()
    held: list[Any] = []
    page.route("**/search.js", lambda route: held.append(route))
    page.goto(address)
    page.set_input_files("#file", save_image(tmp_path / "query.png", scene(2, 480, 360)))
    while not held:
        page.wait_for_timeout(50)
    held[0].continue_()
    page.wait_for_selector("#copies li")
    assert page.text_content("#copies li .name") == "photo-2.jpg"
    page.close()


def test_a_large_file_is_told_what_to_do(page: Any, tmp_path: Path) -> None:
    (tmp_path / "large.jpg").write_bytes(b"\xff\xd8\xff" + bytes(31_000_000))
    page.set_input_files("#file", tmp_path / "large.jpg")
    page.wait_for_selector("#status.bad")
    assert "over the limit of 30 MB" in page.text_content("#status")
    assert "--max-upload" in page.text_content("#status")


HITS, VIEWED = [(1180, "hits"), (390, "hits")], [(390, "viewer"), (1180, "viewer")]


@pytest.mark.parametrize(
    "steps", [HITS[:1] + VIEWED[:1], pytest.param(HITS + VIEWED, marks=pytest.mark.long)]
)
def test_axe_has_nothing_against_it(
    page: Any, axe: Any, tmp_path: Path, steps: list[tuple[int, str]]
) -> None:
    page.set_input_files("#file", save_image(tmp_path / "query.png", scene(1, 480, 360)))
    page.wait_for_selector("#copies li")
    for width, state in steps:
        page.set_viewport_size({"width": width, "height": 860})
        if state == "viewer" and not page.is_visible("#viewer"):
            page.click("#copies .open")
        assert axe(page) == [], (width, state)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
