"""The page of ``dedupe --html`` in a real browser: turned, filtered, printed, and read by a screen reader."""

from __future__ import annotations

from typing import Any

import pytest
from generate import scene
from made_result import chain, made_result, star

from cvsim.files import write
from cvsim.images.raster import thumbnail
from cvsim.reports.html import to_html
from cvsim.types import Skipped

JPEG = thumbnail(scene(3, 64, 48), 32)
N_GROUPS, N_EDITED = 120, 3


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Many groups of two, and a few of three with a warning and another relation."""
    folder = tmp_path_factory.mktemp("report")
    groups = [star(i + 1, f"{i:03}/a.jpg", f"{i:03}/b.jpg") for i in range(N_GROUPS - N_EDITED)]
    groups += [chain(i + 1, f"{i:03}/k.jpg", f"{i:03}/m", f"{i:03}/z") for i in range(len(groups), N_GROUPS)]
    skipped = (Skipped("x.jpg", "truncated JPEG"), Skipped("a.txt", "not an image"))
    result = made_result(*groups, skipped=skipped)
    write(folder / "r.html", to_html(result, lambda record: JPEG, folder=folder, base=str(folder)))
    return (folder / "r.html").as_uri()


def opened(browser: Any, address: str, width: int = 1400, **options: Any) -> Any:
    context = browser.new_context(viewport={"width": width, "height": 900}, **options)
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.goto(address)
    return page


def shown_ids(page: Any) -> list[str]:
    return page.eval_on_selector_all("article.group", "all => all.map(one => one.id)")  # type: ignore[no-any-return]


def test_pages_are_turned_and_one_click_shows_one_relation(browser: Any, address: str) -> None:
    page = opened(browser, address)
    assert len(shown_ids(page)) == 50
    first = shown_ids(page)
    page.click("#tools [data-turn='1']")
    assert not set(first) & set(shown_ids(page))
    page.click("nav [data-turn='1']")
    assert len(shown_ids(page)) == N_GROUPS - 100
    assert page.is_disabled("nav [data-turn='1']")
    assert page.evaluate("document.activeElement.id") == "groups"
    page.click("label:has([value=edited])")
    assert shown_ids(page) == [f"g{i}" for i in range(N_GROUPS - N_EDITED + 1, N_GROUPS + 1)]
    assert page.text_content("#shown") == f"{N_EDITED} of {N_GROUPS} groups"
    page.click("#all")
    assert shown_ids(page) == first
    page.fill("#text", "007/B.JPG")
    assert shown_ids(page) == ["g8"]
    page.context.close()


def test_a_link_to_a_group_turns_to_its_page(browser: Any, address: str) -> None:
    page = opened(browser, f"{address}#g110")
    assert "g110" in shown_ids(page)
    page.evaluate("location.hash = '#g2'")
    page.wait_for_selector("#g2")
    page.context.close()


def test_all_groups_are_on_paper_and_the_first_without_a_script(browser: Any, address: str) -> None:
    page = opened(browser, address)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert len(shown_ids(page)) == N_GROUPS
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert len(shown_ids(page)) == 50
    page.context.close()
    plain = opened(browser, address, java_script_enabled=False)
    assert plain.locator("article.group").count() == 50
    assert f"first 50 of {N_GROUPS} groups" in plain.text_content("noscript")
    plain.context.close()


def test_by_keys_alone(browser: Any, address: str) -> None:
    page = opened(browser, address)

    def focus_on(selector: str) -> None:
        for _ in range(30):
            page.keyboard.press("Tab")
            if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"Tab never comes to {selector}")

    focus_on(".skip")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "groups"
    page.keyboard.press("Home")
    page.reload()
    focus_on("[value=edited]")
    page.keyboard.press("Space")
    assert len(shown_ids(page)) == N_EDITED
    focus_on("#all")
    page.keyboard.press("Enter")
    focus_on("[data-turn='1']")
    page.keyboard.press("Enter")
    assert "g51" in shown_ids(page)
    focus_on("article a.frame")
    assert "Open" in page.evaluate("document.activeElement.getAttribute('aria-label')")
    page.context.close()


def test_by_touch_on_a_phone(browser: Any, address: str) -> None:
    page = opened(browser, address, 390, has_touch=True, is_mobile=True)
    page.tap("label:has([value=edited])")
    assert len(shown_ids(page)) == N_EDITED
    page.tap("article summary >> nth=0")
    assert page.locator("article details[open]").count() == 1
    page.tap("#all")
    page.wait_for_function("document.activeElement.id === 'text'")  # what showing all ends with
    page.locator("nav [data-turn='1']").scroll_into_view_if_needed()
    page.tap("nav [data-turn='1']")
    page.wait_for_selector("#g51", state="attached")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_axe_has_nothing_against_it(browser: Any, axe: Any, address: str, width: int, scheme: str) -> None:
    page = opened(browser, address, width, color_scheme=scheme)
    page.click("label:has([value=edited])")
    for details in page.query_selector_all("article details summary"):
        details.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert axe(page) == []
    page.context.close()
