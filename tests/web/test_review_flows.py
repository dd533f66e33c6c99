"""What can be done on the review page is done by keys alone, with a mouse, and by touch on a phone."""

from __future__ import annotations

from typing import Any

import pytest
from review_plan import MARKUP
from review_program import Program, on_group, wait_for_standing, wait_for_text, wait_until

pytest.importorskip("starlette", reason="pip install 'cvsim[web]'")

UNREACHED = """() => {
    const all = "a[href], button, input, select, summary, [tabindex='0']";
    const isThere = (one) => one.checkVisibility({ visibilityProperty: true }) && !one.disabled;
    const isOwn = (one) => one.type !== "radio" || one.checked; // arrows change the choice
    return [...document.querySelectorAll(all)]
        .filter((one) => isThere(one) && isOwn(one) && !one.hasAttribute("data-was-reached"))
        .map((one) => one.outerHTML.slice(0, 120));
}"""
"""Controls that a person sees and that the focus never was on."""

CONTRAST = """(selector) => {
    const style = getComputedStyle(document.querySelector(selector));
    const light = (color) => {
        const parts = color.match(/[0-9.]+/g).slice(0, 3).map((part) => part / 255);
        const [r, g, b] = parts.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const [lower, higher] = [light(style.color), light(style.backgroundColor)].sort((a, b) => a - b);
    return (higher + 0.05) / (lower + 0.05);
}"""
"""Contrast of an element's text with its own ground, by WCAG 2.2."""
LEAST_CONTRAST = 4.5


def focus_on(page: Any, selector: str) -> None:
    """Press Tab until an element has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"Tab never comes to {selector}")


# ---- By keys alone ----


def test_every_control_is_reached_by_tab(gallery: Any) -> None:
    gallery.keyboard.press("j")
    on_group(gallery, 2)
    gallery.focus("#more-filters summary")
    gallery.keyboard.press("Enter")
    for _ in range(90):
        gallery.keyboard.press("Tab")
        gallery.evaluate("document.activeElement.setAttribute('data-was-reached', '')")
    assert gallery.evaluate(UNREACHED) == []


def test_a_rule_for_many_and_the_way_back_by_keys(gallery: Any) -> None:
    focus_on(gallery, "#bulk-button")
    gallery.keyboard.press("Enter")
    focus_on(gallery, "[name=rule]")
    for _ in range(3):
        gallery.keyboard.press("ArrowDown")
    assert gallery.is_checked("[name=rule][value=largest]")
    wait_for_text(gallery, "#bulk-count", "5 groups")
    wait_for_text(gallery, "#bulk-frees", "6 files would go, which frees")
    focus_on(gallery, "#bulk-go")
    gallery.keyboard.press("Enter")
    wait_for_standing(gallery, "5 of 5 decided · 6 files,")
    gallery.keyboard.press("u")
    wait_for_standing(gallery, "0 of 5 decided")


def test_several_files_of_a_group_by_keys(gallery: Any) -> None:
    gallery.keyboard.press("j")
    on_group(gallery, 2)
    gallery.keyboard.press("5")
    for _ in range(2):
        focus_on(gallery, "#grid [type=checkbox]")
        gallery.keyboard.press("Space")
    wait_for_text(gallery, "#grid [data-count]", "2 chosen")
    gallery.keyboard.press("Shift+Tab")
    gallery.keyboard.press("Shift+Tab")
    assert gallery.evaluate("document.activeElement.dataset.chosen") == "leave"
    gallery.keyboard.press("Enter")
    gallery.wait_for_selector("article[data-state=decided] #grid:not([hidden])")
    gallery.keyboard.press("u")
    wait_for_standing(gallery, "0 of 5 decided")


def test_enter_accepts_after_a_dialog_was_closed(gallery: Any) -> None:
    gallery.keyboard.press("Enter")
    on_group(gallery, 2)
    focus_on(gallery, "#apply-button")
    gallery.keyboard.press("Space")
    gallery.wait_for_selector("#apply[open]")
    gallery.keyboard.press("Escape")
    wait_until(gallery, "document.activeElement.id === 'main'")  # closing gives the focus back a moment later
    gallery.keyboard.press("Enter")
    on_group(gallery, 3)
    assert gallery.query_selector("#apply[open]") is None
    for left in ("1", "0"):
        gallery.keyboard.press("u")
        wait_for_standing(gallery, f"{left} of 5 decided")


def test_the_list_is_searched_by_keys(gallery: Any) -> None:
    gallery.keyboard.press("/")
    gallery.keyboard.type("SCENE2")
    on_group(gallery, 4)
    wait_until(gallery, "document.querySelectorAll('#list .row').length === 1")
    gallery.keyboard.press("Escape")
    gallery.keyboard.press("d")  # it is a key again, and no text
    assert gallery.input_value("[name=text]") == "SCENE2"
    gallery.fill("[name=text]", "")
    wait_until(gallery, "document.querySelectorAll('#list .row').length === 5")


# ---- With a mouse ----


def test_a_file_is_opened_shown_and_its_path_copied(gallery: Any, shown: Program) -> None:
    gallery.context.grant_permissions(["clipboard-read", "clipboard-write"])
    kept = f"{shown.plan.parent / 'photos'}/{MARKUP}"
    gallery.click(".pane.kept [data-own=open]")
    wait_for_text(gallery, "#toast", "Opened")
    gallery.click(".pane.kept [data-own=reveal]")
    wait_for_text(gallery, "#toast", "Shown in its folder")
    assert shown.opened == [kept, str(shown.plan.parent / "photos")]
    gallery.click(".pane.kept [data-own=copy]")
    wait_for_text(gallery, "#toast", "Path copied")
    assert gallery.evaluate("navigator.clipboard.readText()") == kept


def test_exif_is_shown_whole_and_what_differs_is_marked(gallery: Any) -> None:
    first = gallery.eval_on_selector_all(
        "#pair .differences >> nth=0 >> tbody th", "all => all.slice(0, 2).map(one => one.textContent)"
    )
    assert first == ["Taken", "Place"]
    table = gallery.locator(".exif table")
    names = table.locator("tbody th").all_inner_texts()
    assert names[:2] == ["DateTimeOriginal", "Place"]
    assert "GPSLatitude" in names
    assert table.locator("mark").all_inner_texts()[:2] == ["none", "Box"]
    assert "differs" not in (table.locator("tr", has_text="DateTimeOriginal").get_attribute("class") or "")


def test_what_a_file_holds_and_where_it_differs_is_shown(gallery: Any) -> None:
    gallery.click("#list .row:nth-child(5)")
    on_group(gallery, 5)
    assert "3 pages" in gallery.text_content(".pane.other:not([hidden])")
    assert gallery.locator(".pane:not([hidden]) .boxes rect").count() == 1
    gallery.keyboard.press("d")
    assert gallery.is_hidden(".pane:not([hidden]) .boxes")
    gallery.keyboard.press("d")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_mode_that_is_on_can_be_read_under_the_mouse(gallery: Any, scheme: str) -> None:
    gallery.emulate_media(color_scheme=scheme)
    gallery.click("[data-mode=blink]")
    gallery.hover("[data-mode=blink]")
    assert gallery.evaluate(CONTRAST, "[data-mode=blink]") >= LEAST_CONTRAST
    gallery.click("[data-mode=side]")


# ---- By touch, 390 pixels wide ----


def test_a_rule_and_the_grid_by_touch(phone: Any) -> None:
    phone.tap("#open-list")
    phone.tap("#bulk-button")
    phone.tap("[name=rule][value=largest]")
    wait_for_text(phone, "#bulk-count", "5 groups")
    phone.tap("#bulk-go")
    wait_for_standing(phone, "5 of 5 decided")
    phone.tap("#undo")
    wait_for_standing(phone, "0 of 5 decided")
    on_group(phone, 1)
    phone.tap("#open-list")
    phone.tap("#list .row:nth-child(2)")
    on_group(phone, 2)
    phone.tap("[data-grid]")
    for card in phone.locator("#grid .card:has([type=checkbox])").all():
        card.tap()
    phone.tap("[data-chosen=leave]")
    phone.wait_for_selector("article[data-state=decided] #grid:not([hidden])")
    phone.tap("#undo")
    wait_for_standing(phone, "0 of 5 decided")


def test_a_group_is_looked_at_and_passed_by_touch(phone: Any) -> None:
    for mode in ("blink", "slide", "difference", "side"):
        phone.tap(f"[data-mode={mode}]")
        assert phone.evaluate(CONTRAST, f"[data-mode={mode}]") >= LEAST_CONTRAST
    phone.tap("[data-do=skip]")
    on_group(phone, 2)
    assert phone.evaluate("document.getElementById('main').scrollTop") == 0
    phone.tap("[data-pick] >> nth=2")
    wait_until(phone, "document.querySelectorAll('[data-pick]')[2].ariaSelected === 'true'")
    phone.tap("[data-do=accept]")
    on_group(phone, 3)
    phone.tap("#apply-button")
    phone.tap("#apply .close")
    phone.tap("#undo")
    wait_for_standing(phone, "0 of 5 decided")


def test_two_fingers_enlarge_and_one_scrolls(phone: Any) -> None:
    session = phone.context.new_cdp_session(phone)
    wait_until(phone, "document.querySelector('.pane.kept img').naturalWidth > 0")

    def touch(kind: str, *points: tuple[float, float]) -> None:
        places = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    box = phone.locator(".pane.kept .frame").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch("touchStart", (x - 40, y), (x + 40, y))
    touch("touchMove", (x - 60, y), (x + 60, y))
    touch("touchMove", (x - 80, y), (x + 80, y))
    touch("touchEnd")
    wait_for_text(phone, "#zoom-words", "2.0 ×")
    # Now and then a browser takes a tap that follows at once for a part of the pinch.
    phone.wait_for_timeout(500)
    phone.tap("[data-zoom=fit]")
    wait_for_text(phone, "#zoom-words", "Fit")
    touch("touchStart", (x, y))
    for step in range(1, 7):
        touch("touchMove", (x, y - 20 * step))
    touch("touchEnd")
    wait_until(phone, "document.getElementById('main').scrollTop > 40")
