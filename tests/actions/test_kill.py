"""`apply` and `undo` are killed between any two changes of the disk; nothing is lost and both go on.

One warm process (a fork server that has imported everything) is forked for each kill.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from photo_library import ACTIONS, LINKS, State, contents, library, snapshot
from surroundings import home_variables, use_home

from cvsim.actions.apply import apply_plan
from cvsim.actions.journal import read_steps
from cvsim.actions.journal_events import JournalStep
from cvsim.actions.plan import Entry, Plan
from cvsim.actions.undo import undo_journal

warm = multiprocessing.get_context("forkserver")
NEVER = 10**9
warm.set_forkserver_preload([__name__])


@pytest.fixture(scope="module", autouse=True)
def _warm_process_finds_this_module() -> Iterator[None]:
    """The fork server takes its path from the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
        yield


def die_at(n_changes: int) -> Callable[[str], None]:
    """A checkpoint that kills the process between its changes number `n_changes` and the next."""
    seen = 0

    def checkpoint(_word: str) -> None:
        nonlocal seen
        if seen == n_changes:
            os.kill(os.getpid(), signal.SIGKILL)
        seen += 1

    return checkpoint


def run_apply(base: str, action: str, n_changes: int) -> None:
    os.environ.update(home_variables(Path(base, "home")))
    plan = Plan.load(Path(base, "plan.json"))
    apply_plan(plan, action, f"{base}/journal", checkpoint=die_at(n_changes))


def run_undo(base: str, n_changes: int) -> None:
    os.environ.update(home_variables(Path(base, "home")))
    undo_journal(f"{base}/journal", checkpoint=die_at(n_changes))


def killed(target: Callable[..., None], *arguments: object) -> bool:
    """Whether the process was killed; False if it came to its end. Any other end is an error."""
    process = warm.Process(target=target, args=arguments)
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


class Scene:
    """A library with its plan, what it looked like, and the checks that must hold at every moment."""

    def __init__(self, base: Path, action: str, n_groups: int, n_copies: int) -> None:
        self.base, self.root, self.name = base, base / "photos", action
        self.plan = library(self.root, n_groups, n_copies, identical=action in LINKS)
        self.plan.save(base / "plan.json")
        self.action = f"move:{base / 'target'}" if action == "move" else action
        self.before = snapshot(self.root)
        self.everything = contents([self.root])
        self.removed = [entry for entry in self.plan.entries if entry.decision == "remove"]

    def steps(self) -> list[JournalStep]:
        journal = self.base / "journal"
        # The key lies in the home of the process that was killed.
        return read_steps(str(journal), trust=True) if journal.exists() else []

    def check(self) -> None:
        """No content is lost and the journal tells the truth."""
        steps = self.steps()
        latest = {step.path: step for step in steps}
        here = contents([self.root, self.base / "target", self.base / "home"])
        lost = self.everything - here
        assert lost <= {step.digest for step in steps if step.action == "delete" and step.state != "aborted"}
        assert sum(step.state in ("started", "undoing") for step in steps) <= 1
        now = snapshot(self.root)
        for entry in self.plan.entries:
            path = os.path.relpath(entry.path, self.root)
            step = latest.get(entry.path)
            if step is None or step.state in ("aborted", "undone"):
                assert now[path] == self.before[path], path
            elif step.state == "done":
                self._check_done(entry, step, now.get(path))

    def _check_done(self, entry: Entry, step: JournalStep, now: State | None) -> None:
        if self.name in ("trash", "move", "delete"):
            assert now is None
        else:
            assert Path(entry.path).read_bytes() == Path(str(step.fields["kept"])).read_bytes()
        if self.name == "move":
            assert step.digest in contents([Path(str(step.fields["target"])).parent])

    def check_applied(self) -> None:
        self.check()
        done = {step.path for step in self.steps() if step.state == "done"}
        assert done == {entry.path for entry in self.removed}

    def check_undone(self) -> None:
        if self.name != "delete":
            assert snapshot(self.root) == self.before
            assert not (self.base / "target").exists()
        leftovers = [name for name in snapshot(self.base) if ".cvsim-" in name]
        assert not leftovers


@pytest.fixture
def base(request: pytest.FixtureRequest, memory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the trash is on the same filesystem as the pictures, as it is for most people."""
    folder = memory
    if request.getfixturevalue("action") == "reflink":
        folder = request.getfixturevalue("reflink_folder") / request.node.name
        folder.mkdir()
    (folder / "home").mkdir()
    use_home(folder / "home", monkeypatch)
    return folder


def last_touched(steps: list[JournalStep]) -> str:
    """The file whose step, or whose undo, was begun or ended last."""
    undone = [step for step in steps if step.state in ("undoing", "undone")]
    applied = [step for step in steps if step.state in ("started", "done")]
    last = undone[0] if undone else applied[-1] if applied else None
    return last.path if last else ""


def kill_again_and_again(scene: Scene, target: Callable[..., None], *arguments: str) -> set[str]:
    """Run, killed at another place each time, until it comes to its end; the files whose steps kills hit."""
    struck = set()
    late = (4, 5, 6) if scene.name in LINKS else (2, 3, 4)  # late enough for the step to be finished next
    for n_changes in itertools.cycle((*late, *late, 1, *late, 3)):
        if not killed(target, *arguments, n_changes):
            return struck
        scene.check()
        struck.add(last_touched(scene.steps()))
    raise AssertionError("unreachable")


@pytest.mark.parametrize("n_copies", [2, pytest.param(10, marks=pytest.mark.long)])
@pytest.mark.parametrize("action", ACTIONS)
def test_killed_in_every_step_of_many(action: str, n_copies: int, base: Path) -> None:
    scene = Scene(base, action, 5, n_copies)
    n_steps = len(scene.removed)
    assert n_steps == 5 * n_copies

    assert len(kill_again_and_again(scene, run_apply, str(base), scene.action)) >= n_steps - 1
    scene.check_applied()

    struck = kill_again_and_again(scene, run_undo, str(base))
    assert len(struck) >= n_steps - 1 or action == "delete"
    scene.check_undone()


@pytest.mark.parametrize("action", ACTIONS)
def test_killed_anywhere_then_undone_or_finished(action: str, base: Path) -> None:
    """Every place within a step; undo and apply both follow on each, undo itself killed on the way."""
    for n_changes, follow in itertools.product(range(8), ("undo", "apply")):
        place = base / f"{n_changes} {follow}"
        (place / "home").mkdir(parents=True)
        scene = Scene(place, action, 1, 2)
        assert killed(run_apply, str(place), scene.action, n_changes)
        scene.check()
        if follow == "apply":
            assert not killed(run_apply, str(place), scene.action, NEVER)
            scene.check_applied()
        killed(run_undo, str(place), n_changes)
        scene.check()
        assert not killed(run_undo, str(place), NEVER)
        scene.check_undone()
