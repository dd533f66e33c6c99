"""Nothing that a person decided is lost: runs, reviews and changes of the folder in any order."""

from __future__ import annotations

import itertools
import json
import shutil
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from generate import altered, save_image, scene
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cvsim.actions.plan import Plan
from cvsim.cli.group import cvsim
from cvsim.web.review import Review
from cvsim.web.review_groups import GroupView

SCENES = 3


def dedupe(folder: Path, *arguments: str | Path, name: str = "plan.json") -> Result:
    plan, cache = folder / name, folder / "cache.db"
    asked = ["dedupe", folder / "photos", "--plan", plan, "--cache", cache, "--workers", "1", *arguments]
    return CliRunner().invoke(cvsim, [*map(str, asked)])


def review(folder: Path, name: str = "plan.json") -> Review:
    """The page's state, with the choice of what goes left to the person: each other file of the group."""
    return Review(
        str(folder / name),
        str(folder / "decisions.jsonl"),
        lambda entries, keep, _: ({e.path: "you" for e in entries if e.digest == keep.digest}, {}),
    )


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    make_pictures(folder)
    return folder


def make_pictures(folder: Path) -> None:
    for number in range(SCENES):
        original = scene(number, 240, 180)
        save_image(folder / f"{number}-original.png", original)
        for quality in (90, 80, 70):
            save_image(folder / f"{number}-copy{quality}.jpg", original, quality=quality)
        save_image(folder / f"{number}-half.jpg", altered(original, "half", number))


class Decided(RuleBasedStateMachine):
    """What was said about a content is said of it in every later plan, as long as it can hold."""

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cvsim-test-"))
        self.photos = self.folder / "photos"
        self.away = self.folder / "away"
        self.away.mkdir()
        make_pictures(self.away)
        self.photos.mkdir()
        for file in sorted(self.away.glob("*-original.png")) + sorted(self.away.glob("*-copy90.jpg")):
            shutil.move(file, self.photos / file.name)
        self.said: dict[str, str] = {}  # digest -> decision
        self.names = itertools.count()
        self.run()

    @rule()
    def run(self) -> None:
        done = dedupe(self.folder)
        assert done.exit_code == 0, done.output

    @rule(number=st.integers(0, 99), how=st.sampled_from(["accept", "keep", "leave"]))
    def decide(self, number: int, how: str) -> None:
        if not Plan.load(self.folder / "plan.json").entries:
            return  # no copy is left of anything, and there is nothing to review
        state = review(self.folder)
        group = state.groups[sorted(state.groups)[number % len(state.groups)]]
        other = group.others[number % len(group.others)]
        if how == "accept":
            after = state.accept(group.number)
        elif how == "keep":
            after = state.keep(group.number, state.number[other.path])
        else:
            after = state.decide(group.number, [state.number[other.path]], "skip")
            self.said[other.digest] = "skip"
        if after.state == "decided":
            self.said |= {entry.digest: entry.decision for entry in after.entries}

    @rule(number=st.integers(0, 99))
    def rename(self, number: int) -> None:
        files = sorted(self.photos.iterdir())
        file = files[number % len(files)]
        file.rename(self.photos / f"{next(self.names)}-renamed{file.suffix}")

    @rule(number=st.integers(0, 99))
    def remove(self, number: int) -> None:
        files = sorted(self.photos.iterdir())
        if len(files) > SCENES:
            file = files[number % len(files)]
            shutil.move(file, self.away / file.name)

    @rule(number=st.integers(0, 99))
    def add(self, number: int) -> None:
        if files := sorted(self.away.iterdir()):
            file = files[number % len(files)]
            shutil.move(file, self.photos / file.name)

    @invariant()
    def what_was_said_holds(self) -> None:
        if not hasattr(self, "said"):
            return
        plan = Plan.load(self.folder / "plan.json")  # and it makes sense
        waiting = {row["digest"] for row in plan.extra.get("remembered", [])}
        assert set(self.said) <= waiting | {entry.digest for entry in plan.entries}
        for entries in plan.groups.values():
            ours = [entry for entry in entries if entry.digest in self.said and entry.digest not in waiting]
            assert all(entry.decision == self.said[entry.digest] for entry in ours), (self.said, entries)
            if len(ours) < len(entries):
                assert GroupView(1, entries).state == "open"

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)


class DecidedAtLength(Decided):
    """More of them, and longer ones."""


TestDecided = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")(Decided.TestCase)
TestDecided.settings = settings(
    max_examples=2, stateful_step_count=12, derandomize=True, suppress_health_check=list(HealthCheck)
)
TestDecidedAtLength = pytest.mark.long(DecidedAtLength.TestCase)
TestDecidedAtLength.settings = settings(
    max_examples=8, stateful_step_count=20, derandomize=True, suppress_health_check=list(HealthCheck)
)


@pytest.fixture
def place(pictures: Path, tmp_path: Path) -> Path:
    shutil.copytree(pictures, tmp_path / "photos")
    (tmp_path / "other").mkdir()
    return tmp_path


def test_a_second_run_says_what_it_carried_over(place: Path) -> None:
    assert dedupe(place).exit_code == 0
    state = review(place)
    for number in (1, 2):
        state.accept(number)
    (place / "photos" / "0-half.jpg").rename(place / "photos" / "renamed.jpg")
    (place / "photos" / "1-copy70.jpg").unlink()
    again = dedupe(place)
    assert (
        "2 groups are decided, as you left them; 1 file that you decided about was not found" in again.output
    )
    after = review(place)
    assert [group.state for group in after.groups.values()] == ["decided", "decided", "open"]

    fresh = dedupe(place, "--fresh")
    assert "started anew" in fresh.output
    assert review(place).totals().open == SCENES
    (old,) = place.glob("plan-*.json")
    assert review(place, old.name).totals().decided == 2


def test_what_was_written_into_the_plan_by_hand_is_carried_over_and_said(place: Path) -> None:
    dedupe(place)
    plan = Plan.load(place / "plan.json")
    removed = next(entry for entry in plan.entries if entry.decision == "remove")
    plan.decided(removed.path, "skip").save(place / "plan.json")
    shutil.copy(removed.path, place / "photos" / "added.png")
    assert "1 file stays as you decided in the plan" in dedupe(place).output
    after = {entry.path: entry.decision for entry in Plan.load(place / "plan.json").entries}
    assert after[removed.path] == "skip"
    assert str(place / "photos" / "added.png") in after


def test_a_better_picture_that_came_later_is_asked_about_and_takes_nothing_away(place: Path) -> None:
    best = place / "photos" / "0-original.png"
    best.rename(place / "other" / best.name)
    dedupe(place)
    state = review(place)
    before = state.accept(1)
    (place / "other" / best.name).rename(best)
    assert "1 group changed since you decided and asks again" in dedupe(place).output
    after = review(place).group(1)
    assert after.state == "open"
    decisions = {entry.path: entry.decision for entry in after.entries}
    assert {entry.path: entry.decision for entry in before.entries}.items() <= decisions.items()
    assert decisions[str(best)] == "skip"


def test_an_edit_by_hand_is_a_decision(place: Path) -> None:
    dedupe(place)
    document = json.loads((place / "plan.json").read_bytes())
    removed = next(row for row in document["entries"] if row["decision"] == "remove")
    removed["decision"] = "skip"
    (place / "plan.json").write_text(json.dumps(document), encoding="utf-8")
    dedupe(place)
    entries = {entry.path: entry for entry in Plan.load(place / "plan.json").entries}
    assert entries[removed["path"]].decision == "skip"


def test_the_plan_of_other_folders_is_not_written_over(place: Path) -> None:
    dedupe(place)
    before = (place / "plan.json").read_bytes()
    asked = ["dedupe", str(place / "other"), "--plan", str(place / "plan.json"), "--no-cache"]
    refused = CliRunner().invoke(cvsim, asked)
    assert refused.exit_code == 2
    assert "is the plan of other folders" in refused.output
    assert (place / "plan.json").read_bytes() == before
    assert CliRunner().invoke(cvsim, [*asked, "--force"]).exit_code == 0
    assert Plan.load(place / "plan.json").entries == ()
    (place / "notes.json").write_text("my notes")
    assert "is no plan that can be read" in dedupe(place, name="notes.json").output
    assert (place / "notes.json").read_text() == "my notes"


def test_a_damaged_journal_beside_the_plan_is_said_before_the_run(place: Path) -> None:
    assert dedupe(place).exit_code == 0
    before = (place / "plan.json").read_bytes()
    (place / "plan.journal.jsonl").write_text('{"schema": "cvsim.journal/1"}\n{"event": "start"}\n')
    (place / "cache.db").unlink()
    refused = dedupe(place)
    assert refused.exit_code == 2
    assert "Line 2 of the journal" in refused.output
    assert "--fresh" in refused.output
    assert not (place / "cache.db").exists()  # nothing was read for nothing
    assert (place / "plan.json").read_bytes() == before
    assert dedupe(place, "--fresh").exit_code == 0
