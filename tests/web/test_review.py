"""The state behind the page: every decision is on the disk, and can be taken back."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from generate import burst, save_image, scene
from review_plan import Workplace

pytest.importorskip("starlette", reason="pip install 'cvsim[web]'")

import anyio
import httpx

import cvsim
from cvsim.actions.apply import apply_plan
from cvsim.actions.plan import Entry, Plan
from cvsim.actions.undo import undo_journal
from cvsim.errors import ActionError, ImageError, UsageError
from cvsim.groups.decisions import Decisions
from cvsim.recipes.compare import compare
from cvsim.settings import Settings
from cvsim.stores import open_cache
from cvsim.web.bulk import BulkRule, RuleCounts, bulk_change
from cvsim.web.pairs import Pairs
from cvsim.web.pictures import SIZES_PX, Pictures
from cvsim.web.review import Review
from cvsim.web.review_app import make_review_app
from cvsim.web.review_groups import Filters
from cvsim.web.review_views import picture_views


def opened(place: Workplace) -> Review:
    pairs = Pairs(Settings(cache=str(place.folder / "cache.db"), workers=1))
    return Review(str(place.plan), str(place.decisions), pairs.proposals)


@pytest.fixture
def review(place: Workplace) -> Review:
    return opened(place)


def decisions_of(review: Review, number: int) -> dict[str, str]:
    return {os.path.basename(entry.path): entry.decision for entry in review.group(number).entries}


def file(review: Review, number: int, name: str) -> int:
    (path,) = (e.path for e in review.group(number).entries if e.path.endswith(name))
    return review.number[path]


def accept_all(review: Review, min_score: float, filters: Filters) -> list[int]:
    change = bulk_change(review, BulkRule("sure", min_score=min_score), filters)
    review.change_many("accepted many", change.before, change.after)
    return list(change.after)


def test_groups_for_looking_name_the_sharpest_and_let_nothing_go(tmp_path: Path) -> None:
    frames = burst(tmp_path / "frames", 0)
    shutil.copy(frames[0], tmp_path / "frames" / "again.jpg")
    settings = Settings(profile="alike", cache=str(tmp_path / "cache.db"), workers=1)
    cvsim.dedupe(tmp_path / "frames", settings=settings).to_plan(tmp_path / "plan.json")
    pairs = Pairs(settings)
    review = Review(str(tmp_path / "plan.json"), str(tmp_path / "decisions.json"), pairs.proposals)
    shown = picture_views(review, review.group(1), pairs.facts(review.group(1).entries))
    assert (shown[0].name, shown[0].reason) == ("burst0-1.jpg", "kept because it is the sharpest")
    assert {picture.reason for picture in shown[1:]} == {"this group is for looking at"}
    review.keep(1, file(review, 1, "again.jpg"))
    assert "remove" not in decisions_of(review, 1).values()


def test_accepting_is_in_the_plan_at_once(review: Review, place: Workplace) -> None:
    assert review.accept(2).state == "decided"
    assert {entry.extra.get("reviewed") for entry in Plan.load(place.plan).groups[2]} == {True}
    again = opened(place)
    assert again.group(2).state == "decided"
    assert again.group(3).state == "open"
    assert (again.totals().decided, again.totals().files) == (1, 2)


def test_another_file_is_kept_and_only_full_copies_of_it_go(review: Review) -> None:
    group = review.keep(2, file(review, 2, "scene0-again.jpg"))
    assert group.state == "decided"
    assert decisions_of(review, 2) == {
        "scene0.jpg": "remove",
        "scene0-again.jpg": "keep",
    }
    assert [entry.decision for entry in group.entries].count("remove") == 2
    assert all(entry.rule == "you" for entry in group.entries)
    pairs = {e.path: e.extra["relation"] for e in group.entries if e.decision == "remove"}
    assert len(pairs) == 2


def test_what_is_no_full_copy_stays_when_another_file_is_kept(place: Workplace) -> None:
    plan = Plan.load(place.plan)
    stranger = save_image(place.photos / "stranger.jpg", scene(77, 320, 240))
    digest = place.tree()["stranger.jpg"]
    entry = Entry(str(stranger), digest, stranger.stat().st_size, 1, 2, "remove", "size", "")
    Plan(plan.roots, (*plan.entries, entry), plan.extra).save(place.plan)
    review = opened(place)
    review.keep(2, file(review, 2, "scene0-again.jpg"))
    assert decisions_of(review, 2)["stranger.jpg"] == "skip"


def test_a_reference_is_never_proposed(place: Workplace) -> None:
    settings = Settings(
        cache=str(place.folder / "cache.db"), workers=1, reference=(str(place.photos / "originals"),)
    )
    review = Review(str(place.plan), str(place.decisions), Pairs(settings).proposals)
    review.keep(3, file(review, 3, "copies/scene1.jpg"))
    assert all(entry.decision != "remove" for entry in review.group(3).entries)


def test_answers_are_remembered_and_forgotten_by_undo(review: Review, place: Workplace) -> None:
    kept, other = review.group(3).kept, review.group(3).others[0]
    group = review.answer(3, review.number[other.path], "not-a-duplicate")
    assert group.state == "decided"
    assert not group.removed
    assert Decisions.load(str(place.decisions)).answer(kept.digest, other.digest) == "not-a-duplicate"
    assert review.undo() == 3
    assert Decisions.load(str(place.decisions)).answer(kept.digest, other.digest) is None
    assert review.group(3).state == "open"


def test_one_answer_does_not_decide_about_the_rest_of_a_group(review: Review) -> None:
    assert review.answer(2, file(review, 2, "scene0-again.jpg"), "keep-both").state == "open"
    assert review.answer(2, file(review, 2, "copies/scene0.jpg"), "keep-both").state == "decided"


def test_many_are_accepted_above_a_score_and_within_the_filters(place: Workplace) -> None:
    plan = Plan.load(place.plan)
    scored = [replace(e, extra={**e.extra, "score": 0.9 + e.group / 100}) for e in plan.entries]
    Plan(plan.roots, tuple(scored), plan.extra).save(place.plan)
    review = opened(place)
    assert not bulk_change(review, BulkRule("sure", min_score=0.955), Filters()).after
    assert list(bulk_change(review, BulkRule("sure", min_score=0.9 + 4 / 100), Filters()).after) == [4, 5]
    copies = Filters(folder=str(place.photos / "copies"))
    assert accept_all(review, 0.9, copies) == [2, 3, 4, 5]
    assert review.group(1).state == "open"
    assert review.undo() == 2
    assert review.totals().decided == 0


def test_a_proposal_without_a_score_is_not_accepted_in_bulk(place: Workplace) -> None:
    plan = Plan.load(place.plan)
    entries = [replace(entry, extra={}) if entry.group == 3 else entry for entry in plan.entries]
    Plan(plan.roots, tuple(entries), plan.extra).save(place.plan)
    assert 3 not in accept_all(opened(place), 0.0, Filters())


@pytest.mark.parametrize(
    ("rule", "n_groups", "gone"),
    [
        (BulkRule("sure", min_score=0.5), 5, 6),
        (BulkRule("pass"), 0, 0),
        (BulkRule("largest"), 5, 6),
        (BulkRule("keep-under", folder="originals"), 4, 5),
        (BulkRule("remove-under", folder="copies"), 4, 5),
        (BulkRule("remove-under", folder="elsewhere"), 0, 0),
    ],
)
def test_a_rule_for_many_is_counted_done_and_taken_back_at_once(
    review: Review, place: Workplace, rule: BulkRule, n_groups: int, gone: int
) -> None:
    rule = replace(rule, folder=rule.folder and str(place.photos / rule.folder))
    before = place.plan.read_bytes()
    change = bulk_change(review, rule, Filters())
    assert (len(change.after), len(change.removed)) == (n_groups, gone)
    assert place.plan.read_bytes() == before
    review.change_many("decided", change.before, change.after)
    assert (review.totals().decided, review.totals().files) == (n_groups, gone)
    if n_groups:
        review.undo()
    assert review.totals().decided == 0
    assert json.loads(place.plan.read_bytes()) == json.loads(before)


def test_a_rule_removes_nothing_that_is_no_full_copy_of_what_it_keeps(
    review: Review, place: Workplace
) -> None:
    """The originals are larger than the copies, but for one that was only encoded again."""
    for rule in (
        BulkRule("keep-under", folder=str(place.photos / "copies")),
        BulkRule("remove-under", folder=str(place.photos / "originals")),
    ):
        removed = [entry.path for entry in bulk_change(review, rule, Filters()).removed]
        assert [path for path in removed if "/originals/" in path and "scene0" not in path] == []


def test_what_was_counted_is_done_and_counted_anew_after_a_change(place: Workplace) -> None:
    review = opened(place)
    pairs = Pairs(Settings(cache=str(place.folder / "cache.db"), workers=1))
    counts = RuleCounts(review, pairs)
    rule = BulkRule("keep-under", folder=str(place.photos / "copies"))
    change = counts.change(rule, Filters())
    assert change is not None
    assert [e.path for e in change.removed] == [str(place.photos / "originals" / "scene0.jpg")] * len(
        change.removed
    )
    assert counts.change(rule, Filters()) is change
    assert counts.progress is None
    review.accept(2)
    again = counts.change(rule, Filters())
    assert again is not None
    assert 2 not in again.after


def test_a_rule_is_not_counted_to_its_end_once_another_is_asked_for(place: Workplace) -> None:
    review = opened(place)
    pairs = Pairs(Settings(cache=str(place.folder / "cache.db"), workers=1))
    counts = RuleCounts(review, pairs)
    rule = BulkRule("keep-under", folder=str(place.photos / "copies"))
    ask = review.proposals

    def asked_meanwhile(*given: Any) -> Any:
        if asked.pop("first", None):
            assert counts.change(BulkRule("largest"), Filters()) is not None
        return ask(*given)

    asked = {"first": True}
    review.proposals = asked_meanwhile
    assert counts.change(rule, Filters()) is None


def test_files_of_the_same_bytes_need_no_comparison(place: Workplace) -> None:
    a = place.photos / "alone.jpg"
    b = place.photos / "again.jpg"
    b.write_bytes(a.read_bytes())
    cvsim.dedupe([place.photos], cache=str(place.folder / "cache.db")).to_plan(place.plan)
    review = opened(place)
    (group,) = (g for g in review.groups.values() if str(a) in {e.path for e in g.entries})
    settings = Settings(cache=str(place.folder / "cache.db"), workers=1)
    found = Pairs(settings).compare(*group.entries)
    a_path, b_path = (entry.path for entry in group.entries)
    assert found == compare(a_path, b_path, settings, kept="a")


def test_a_group_without_a_proposal_is_passed_over(review: Review) -> None:
    review.decide(3, [review.number[review.group(3).others[0].path]], "skip")
    review.undo()
    group = review.group(3)
    nothing = tuple(replace(e, decision="skip") if e in group.others else e for e in group.entries)
    review.change_many("prepared", {3: group.entries}, {3: nothing})
    change = bulk_change(review, BulkRule("pass"), Filters())
    assert list(change.after) == [3]
    review.change_many("passed over", change.before, change.after)
    assert review.group(3).state == "decided"
    assert review.totals().files == 0


def test_a_file_is_opened_by_its_number_and_by_nothing_else(review: Review) -> None:
    asked: list[tuple[str, bool]] = []

    def opener(path: str, reveal: bool) -> bool:
        asked.append((path, reveal))
        return not reveal

    pairs = Pairs(Settings(cache=None, workers=1))
    app = make_review_app(review, pairs, Pictures(review.paths_of, lambda: None), opener)  # type: ignore[arg-type,return-value]

    def post(**body: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                return await client.post("/open", json=body)

        return anyio.run(send)

    number = review.number[review.group(1).kept.path]
    assert post(group=1, file=number).json() == {"opened": True}
    refused = post(group=1, file=number, reveal=True)
    assert refused.status_code == 409
    assert review.group(1).kept.path in refused.json()["error"]
    assert post(group=1, file=10**6).status_code == 404
    assert post(group=1, path="/etc/passwd").status_code == 400
    assert asked == [(review.group(1).kept.path, False), (review.group(1).kept.path, True)]


def test_what_the_page_opens_with_comes_with_it_once(review: Review, place: Workplace) -> None:
    def answers(page: httpx.Response) -> dict[str, str]:
        block = re.search(r'<script type="application/json" id="answers">(.*)</script>', page.text)
        assert block is not None
        found: dict[str, str] = json.loads(block[1])
        return found

    async def talk() -> None:
        pairs = Pairs(Settings(cache=str(place.folder / "cache.db"), workers=1))
        pictures = Pictures(review.paths_of, lambda: open_cache(str(place.folder / "cache.db")))
        app = make_review_app(review, pairs, pictures)
        app.state.csrf = "a"
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
                ready: dict[str, str] = {}
                with anyio.fail_after(60):
                    while not ready:
                        await anyio.sleep(0.05)
                        ready = answers(await client.get("/"))
                for address, text in ready.items():
                    assert (await client.get(address)).text == text
                assert answers(await client.get("/")) == {}

    anyio.run(talk)


def test_filters_and_orders(review: Review, place: Workplace) -> None:
    review.accept(4)
    assert review.find(Filters(state="open")) == [1, 2, 3, 5]
    assert review.find(Filters(state="decided")) == [4]
    assert review.find(Filters(relation="re-encoded")) == [2]
    assert review.find(Filters(text="SCENE1")) == [3]
    assert review.find(Filters(folder=str(place.photos / "cop"))) == []
    assert set(review.find(Filters(folder=str(place.photos)))) == {1, 2, 3, 4, 5}
    sizes = [review.group(number).n_bytes for number in review.find(Filters(order="bytes"))]
    assert sizes == sorted(sizes, reverse=True)


def test_undo_takes_back_any_history_bit_for_bit(review: Review, place: Workplace) -> None:
    before = place.plan.read_bytes()
    rng = random.Random(7)
    n_changes = 0
    for _ in range(25):
        number = rng.choice(list(review.groups))
        group = review.group(number)
        other = review.number[rng.choice(group.others).path]
        act: Any = rng.choice(
            [
                lambda n, f: review.accept(n),
                lambda n, f: review.answer(n, f, "keep-both"),
                lambda n, f: review.decide(n, [f], "skip"),
                lambda n, f: review.decide(n, [f], "remove"),
                lambda n, f: review.keep(n, f),
            ]
        )
        act(number, other)
        n_changes += 1
        assert Plan.load(place.plan).groups[number] == review.group(number).entries
    for _ in range(n_changes):
        review.undo()
    assert place.plan.read_bytes() == before
    with pytest.raises(ActionError, match="nothing to take back"):
        review.undo()


def test_a_plan_that_another_program_changed_is_not_overwritten(review: Review, place: Workplace) -> None:
    plan = Plan.load(place.plan)
    plan.decided(plan.entries[1].path, "skip").save(place.plan)
    with pytest.raises(ActionError, match="another program"):
        review.accept(2)
    assert Plan.load(place.plan).entries[1].decision == "skip"
    assert review.accept(2).state == "decided"  # it was read anew
    assert Plan.load(place.plan).entries[1].decision == "skip"


def test_only_decided_groups_are_carried_out(review: Review, place: Workplace) -> None:
    review.accept(3)
    before = place.tree()
    away = place.folder / "away"
    applied = apply_plan(review.decided_plan(), f"move:{away}", review.journal)
    assert applied.count("done") == 1
    review.look_again()
    assert review.group(3).state == "done"
    assert review.totals().gone == 1
    assert set(before) - set(place.tree()) == {"copies/scene1.jpg"}
    for change in (lambda: review.accept(3), review.undo):
        with pytest.raises(ActionError, match="gone already"):
            change()
    assert opened(place).group(3).state == "done"
    undo_journal(review.journal)
    review.look_again()
    assert review.group(3).state == "decided"
    assert place.tree() == before


def test_a_changed_file_is_neither_kept_nor_compared(review: Review, place: Workplace) -> None:
    other = review.group(3).others[0]
    save_image(Path(other.path), scene(50, 320, 240))
    with pytest.raises(ImageError, match="changed since"):
        review.keep(3, review.number[other.path])
    Path(other.path).unlink()
    with pytest.raises(ImageError, match="scene1"):
        review.keep(3, review.number[other.path])
    assert review.group(3).state == "open"


def test_an_empty_plan_is_nothing_to_review(tmp_path: Path) -> None:
    Plan((str(tmp_path),), ()).save(tmp_path / "plan.json")
    with pytest.raises(UsageError, match="nothing to review"):
        Review(str(tmp_path / "plan.json"), str(tmp_path / "d"), lambda *_: ({}, {}))


def test_ten_thousand_groups(tmp_path: Path) -> None:
    """Opened, filtered, decided and saved whole."""
    entries = [
        Entry(
            f"{tmp_path}/{number % 90}/{number}-{k}.jpg",
            f"{3 * number + k:064x}",
            1000,
            1,
            number,
            "remove" if k else "keep",
            "size",
            "",
            {"score": 0.99, "relation": "resized", "contained": None} if k else {},
        )
        for number in range(1, 10_001)
        for k in range(2)
    ]
    Plan((str(tmp_path),), tuple(entries)).save(tmp_path / "plan.json")
    review = Review(str(tmp_path / "plan.json"), str(tmp_path / "d"), lambda *_: ({}, {}))
    assert len(review.find(Filters(order="doubt"))) == 10_000
    assert review.accept(9_999).state == "decided"
    assert len(accept_all(review, 0.99, Filters(folder=f"{tmp_path}/3"))) > 100
    saved = json.loads((tmp_path / "plan.json").read_bytes())["entries"]
    assert sum(row.get("reviewed", False) for row in saved) == 2 * review.totals().decided


# --- pictures ----------------------------------------------------------------------------------------------


@pytest.fixture
def pictures(review: Review, place: Workplace) -> Iterator[Pictures]:
    made = Pictures(review.paths_of, lambda: open_cache(str(place.folder / "cache.db")))
    yield made
    made.close()


def test_pictures_are_bounded(review: Review, pictures: Pictures) -> None:
    from io import BytesIO

    from PIL import Image

    digest = review.group(1).kept.digest
    for size, longest_px in SIZES_PX.items():
        width, height = Image.open(BytesIO(pictures.get(digest, size))).size
        assert max(width, height) <= longest_px
        assert abs(width / height - 320 / 240) < 0.02


def test_a_picture_of_unknown_content_is_not_made(review: Review, pictures: Pictures) -> None:
    with pytest.raises(KeyError):
        pictures.get("0" * 64, "large")


def test_a_decoder_that_fails_ends_no_page(review: Review, pictures: Pictures) -> None:
    entry = review.group(3).others[0]
    Path(entry.path).write_bytes(b"\xff\xd8\xff\xe0 nothing")
    with pytest.raises(ImageError, match="changed"):
        pictures.get(entry.digest, "large")
    assert pictures.get(review.group(3).kept.digest, "large")
