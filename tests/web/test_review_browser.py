"""The page in a real browser: decided by keyboard, reloaded, applied, taken back."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import pytest
from review_plan import MARKUP, Workplace
from review_program import PHONE, Program, on_group, opened, wait_for_standing, wait_for_text, wait_until

from cvsim.actions.plan import Plan
from cvsim.groups.decisions import Decisions

pytest.importorskip("starlette", reason="pip install 'cvsim[web]'")

MIDDLE_OF_CANVAS = """() => {
    const canvas = document.querySelector("#laid canvas");
    const [w, h] = [canvas.width / 5 | 0, canvas.height / 5 | 0];
    const { data } = canvas.getContext("2d").getImageData(2 * w, 2 * h, w, h);
    let [light, opaque] = [0, 0];
    for (let i = 0; i < data.length; i += 4) {
        light += data[i] + data[i + 1] + data[i + 2];
        opaque += data[i + 3];
    }
    return [light / data.length * 4 / 3, opaque / data.length * 4 / 255];
}"""
"""Mean brightness, 0 to 255, and opacity, 0 to 1, of the middle of what is laid over each other."""


def test_three_groups_by_keyboard_then_reload_apply_and_undo(
    page: Any, place: Workplace, program: Program
) -> None:
    before = place.tree()
    page.keyboard.press("Enter")  # group 1: accepted
    on_group(page, 2)
    page.keyboard.press("t")  # group 2: keep the first copy instead
    wait_for_standing(page, "2 of 5 decided")
    page.wait_for_selector("article[data-group='2'][data-state='decided']")
    page.keyboard.press("j")
    on_group(page, 3)
    page.keyboard.press("n")  # group 3: no duplicate
    on_group(page, 4)
    wait_for_standing(page, "3 of 5 decided")

    plan = Plan.load(place.plan)  # it was saved at once
    kept, other = plan.groups[3]
    assert {e.extra.get("reviewed") for n in (1, 2, 3) for e in plan.groups[n]} == {True}
    assert Decisions.load(str(place.decisions)).answer(kept.digest, other.digest) == "not-a-duplicate"
    assert place.tree() == before

    page.reload()
    on_group(page, 4)
    wait_for_standing(page, "3 of 5 decided · 3 files")
    page.keyboard.press("u")
    wait_for_standing(page, "2 of 5 decided")
    on_group(page, 3)
    page.keyboard.press("n")
    wait_for_standing(page, "3 of 5 decided")

    page.click("#apply-button")
    assert "3 files" in page.text_content("#apply-count")
    page.click("#apply-go")
    page.wait_for_selector("#apply-after:not([hidden])", timeout=30_000)
    assert page.text_content("#apply-words").startswith("3 files")
    gone = {entry.path for n in (1, 2) for entry in plan.groups[n] if entry.decision == "remove"}
    left = place.tree()
    names = {os.path.relpath(path, place.photos) for path in gone}
    assert set(before) - set(left) == names
    assert len(list((program.home / "data" / "Trash" / "files").iterdir())) == 3

    page.click("#apply-undo")
    wait_for_text(page, "#apply-words", "brought back")
    page.wait_for_selector("#apply-after:not([hidden])", timeout=30_000)
    assert place.tree() == before
    page.click("#apply-close")
    wait_for_standing(page, "3 of 5 decided · 3 files")


def test_one_group_is_moved_and_brought_back_and_ctrl_c_ends_it(
    page: Any, place: Workplace, program: Program
) -> None:
    before = place.tree()
    page.keyboard.press("Enter")
    on_group(page, 2)
    page.click("#apply-button")
    page.check("input[name=action][value=move]")
    page.fill("#apply-folder", str(place.folder / "away"))
    page.click("#apply-dry")
    page.wait_for_selector("#apply-after:not([hidden])")
    assert "would go" in page.text_content("#apply-words")
    assert place.tree() == before
    page.click("#apply-close")
    page.click("#apply-button")
    page.click("#apply-go")
    page.wait_for_selector("#apply-after:not([hidden])")
    assert (place.folder / "away" / "zzz.jpg").exists()
    page.click("#apply-close")
    page.click("#filters label:has-text('Applied')")
    on_group(page, 1)
    assert page.is_disabled("[data-do=accept]")
    page.click("[data-do=restore]")
    wait_for_text(page, "#apply-words", "brought back")
    assert place.tree() == before

    page.goto("about:blank")
    code, said = program.stop()
    assert code == 0
    assert f"cvsim review {place.plan}" in said
    assert "Traceback" not in said


def test_many_at_once_above_a_score_and_filters(gallery: Any, shown: Program) -> None:
    gallery.click("#more-filters summary")
    gallery.select_option("select[name=relation]", "re-encoded")
    on_group(gallery, 2)
    wait_until(gallery, "document.querySelectorAll('#list .row').length === 1")
    gallery.select_option("select[name=relation]", "")
    wait_until(gallery, "document.querySelectorAll('#list .row').length === 5")
    gallery.click("#bulk-button")
    wait_for_text(gallery, "#bulk-count", "group")
    gallery.evaluate("document.getElementById('bulk-score').value = 0")
    gallery.dispatch_event("#bulk-score", "input")
    wait_for_text(gallery, "#bulk-count", "5 groups")
    gallery.click("#bulk-go")
    wait_for_standing(gallery, "5 of 5 decided")
    wait_for_text(gallery, "#main", "Everything is decided")
    rows = json.loads(shown.plan.read_bytes())["entries"]
    assert all(row["reviewed"] for row in rows)
    gallery.keyboard.press("u")
    wait_for_standing(gallery, "0 of 5 decided")


def test_pictures_are_laid_over_each_other_and_zoomed(gallery: Any) -> None:
    gallery.keyboard.press("j")
    on_group(gallery, 2)
    wait_until(
        gallery,
        "[...document.querySelectorAll('.pane:not([hidden]) img')].every(image => image.naturalWidth >= 100)",
    )
    for key, mode in (("2", "blink"), ("3", "slide"), ("4", "difference")):
        gallery.keyboard.press(key)
        gallery.wait_for_selector(f"#stage[data-mode={mode}] canvas")
        assert gallery.is_visible("#laid-words")
    gallery.wait_for_timeout(300)
    # Copies agree: the middle of their difference is dark, and the canvas is drawn at all.
    brightness, drawn = gallery.evaluate(MIDDLE_OF_CANVAS)
    assert drawn > 0.99
    assert brightness < 25
    gallery.keyboard.press("1")
    gallery.keyboard.press("+")
    assert gallery.text_content("#zoom-words") == "1.5 ×"
    transforms = gallery.eval_on_selector_all(
        ".pane:not([hidden]) img", "all => all.map(i => i.style.transform)"
    )
    assert all("scale(1.5)" in transform for transform in transforms)


def test_a_name_with_markup_is_only_a_name(gallery: Any) -> None:
    assert MARKUP in gallery.text_content("#main")
    assert MARKUP in gallery.text_content("#list")
    assert gallery.title() == "Review · cvsim"
    assert gallery.query_selector("[onerror]") is None


def test_the_token_leaves_the_address(gallery: Any, shown: Program, browser: Any) -> None:
    assert "token" not in gallery.url
    (cookie,) = gallery.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    elsewhere = browser.new_context().new_page()
    answer = elsewhere.goto(re.sub(r"\?.*", "", shown.address))
    assert answer.status == 403
    elsewhere.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(browser: Any, shown: Program, scheme: str) -> None:
    for page in opened(browser, shown, PHONE, color_scheme=scheme, has_touch=True):
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert page.evaluate("document.getElementById('main').scrollWidth") <= PHONE["width"]
        page.tap("#open-list")
        page.wait_for_selector("#list .row >> nth=1", state="visible")
        page.tap("#list .row >> nth=1")
        on_group(page, 2)
        page.tap("[data-do=accept]")
        on_group(page, 3)
        page.tap("#undo")
        on_group(page, 2)


def test_the_focus_stays_keys_can_be_switched_off_and_a_link_skips_the_list(gallery: Any) -> None:
    gallery.keyboard.press("Tab")
    assert gallery.evaluate("document.activeElement.className") == "to-main"
    gallery.keyboard.press("Enter")
    assert gallery.evaluate("document.activeElement.id") == "main"
    gallery.focus("[data-mode=blink]")
    gallery.keyboard.press("Space")
    gallery.wait_for_selector("#stage[data-mode=blink]")
    assert gallery.evaluate("document.activeElement.dataset.mode") == "blink"
    gallery.focus("[data-do=skip]")
    gallery.keyboard.press("Enter")
    on_group(gallery, 2)
    assert gallery.evaluate("document.activeElement.dataset.do") == "skip"
    gallery.keyboard.press("?")
    gallery.uncheck("#keys-on")
    gallery.keyboard.press("Escape")
    gallery.keyboard.press("j")
    gallery.wait_for_timeout(300)
    on_group(gallery, 2)


def test_a_rule_for_many_shows_what_it_would_do(gallery: Any) -> None:
    gallery.click("#bulk-button")
    gallery.check("[name=rule][value=remove-under]")
    assert gallery.is_disabled("#bulk-go")
    copies = gallery.eval_on_selector_all(
        "[name=under] option", "all => all.find(one => one.textContent.includes('copies')).value"
    )
    gallery.select_option("[name=under]", copies)
    wait_for_text(gallery, "#bulk-count", "4 groups")
    wait_for_text(gallery, "#bulk-frees", "5 files would go, which frees")
    gallery.click("#bulk-go")
    wait_for_standing(gallery, "4 of 5 decided · 5 files,")
    wait_for_standing(gallery, "will be freed")
    gallery.keyboard.press("u")
    wait_for_standing(gallery, "0 of 5 decided")


def test_several_are_chosen_among_all_files_of_a_group(gallery: Any) -> None:
    gallery.click("#list .row:nth-child(2)")
    on_group(gallery, 2)
    gallery.keyboard.press("5")
    boxes = gallery.locator("#grid input[type=checkbox]")
    assert boxes.count() == 2
    assert gallery.is_disabled("[data-chosen=leave]")
    for number in range(2):
        boxes.nth(number).check()
    gallery.click("[data-chosen=leave]")
    gallery.wait_for_selector("article[data-state=decided] #grid:not([hidden])")
    assert gallery.locator("#grid .card.skip").count() == 2
    gallery.keyboard.press("u")
    wait_for_standing(gallery, "0 of 5 decided")


@pytest.mark.parametrize(
    ("width", "scheme", "keys"),
    [
        (1400, "light", "1"),
        (390, "dark", "5"),
        pytest.param(1400, "light", "15?", marks=pytest.mark.long),
        pytest.param(390, "dark", "15?", marks=pytest.mark.long),
    ],
)
def test_axe_has_nothing_serious_against_it(
    browser: Any, axe: Any, shown: Program, width: int, scheme: str, keys: str
) -> None:
    for page in opened(browser, shown, {"width": width, "height": 860}, color_scheme=scheme):
        for key in keys:
            page.keyboard.press(key)
            page.wait_for_timeout(100)
            assert [found for found in axe(page) if found[1] in ("serious", "critical")] == []
