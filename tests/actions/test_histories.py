"""Applies, undos, kills and changes from outside in any order: no content is ever lost.

A history is told by its number. The suite tries a few; ``CVSIM_TEST_HISTORIES=2000`` tries as many as that.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from photo_library import LINKS, contents, jpeg, library, snapshot, write
from surroundings import folder_in_memory, use_home

from cvsim.actions.apply import apply_plan
from cvsim.actions.journal import read_steps
from cvsim.actions.undo import undo_journal
from cvsim.errors import CvsimError

N_HISTORIES = int(os.environ.get("CVSIM_TEST_HISTORIES", "12"))
N_GROUPS, N_COPIES = 2, 2
DELETING = 0.15
"""Share of the histories in which files may be deleted for good."""


class History:
    """A library, a plan, a journal, and what somebody else did meanwhile."""

    def __init__(self, base: Path, number: int) -> None:
        self.chance = random.Random(number)
        self.base, self.root, self.journal = base, base / "photos", str(base / "journal")
        self.is_of_links = self.chance.random() < 0.4
        self.plan = library(self.root, N_GROUPS, N_COPIES, identical=self.is_of_links)
        self.before = snapshot(self.root)
        self.group_of = {entry.path: entry.group for entry in self.plan.entries}
        self.touched: set[int] = set()
        """Groups in which somebody else changed something."""
        self.lost_outside: set[str] = set()
        self.deletes = self.chance.random() < DELETING
        self.said: list[str] = []

    # ---- What is there ----

    def contents(self) -> set[str]:
        places = [
            self.root,
            self.base / "target",
            self.base / "home/data/Trash/files",
            self.base / "elsewhere",
        ]
        found = contents(places)
        return {one for one in found if len(one) == 64}  # of files, not of links and folders

    def everything(self) -> list[Path]:
        """Every picture, wherever it is now."""
        places = (self.root, self.base / "target", self.base / "home/data/Trash/files")
        files = (path for place in places for path in sorted(place.rglob("*")))
        return [
            path
            for path in files
            if path.is_file() and not path.is_symlink() and not path.name.endswith(".new")  # cvsim's own
        ]

    # ---- What cvsim does ----

    def action(self) -> str:
        names = [*(LINKS[:2] if self.is_of_links else ()), "trash", "move", *(["delete"] * self.deletes)]
        name = self.chance.choice(names)
        return f"move:{self.base / 'target'}" if name == "move" else name

    def act(self) -> None:
        """Apply or undo: to its end, killed on its way, or with somebody else at work meanwhile."""
        action = self.action() if self.chance.random() < 0.6 or not os.path.exists(self.journal) else "undo"
        paths = None
        if action == "undo" and self.chance.random() < 0.3:
            paths = {self.chance.choice(self.plan.entries).path}
        way, at = self.chance.choice(["whole", "killed", "killed", "disturbed"]), self.chance.randrange(14)
        self.said.append(f"{action.partition(':')[0]} {way} {at if way != 'whole' else ''}".strip())

        def run(checkpoint: Callable[[str], None]) -> None:
            if action == "undo":
                undo_journal(self.journal, paths=paths, checkpoint=checkpoint)
            else:
                apply_plan(self.plan, action, self.journal, checkpoint=checkpoint)

        before, self.lost_outside = self.contents(), set()
        if way == "killed":
            self._killed(run, at)
        else:
            disturb = self.disturb if way == "disturbed" else lambda: None
            try:
                run(countdown(at, disturb))
            except CvsimError as exc:
                self.said[-1] += f" ({exc})"
        self.check(before)

    def _killed(self, run: Callable[[Callable[[str], None]], None], at: int) -> None:
        pid = os.fork()
        if pid == 0:
            try:
                cv2.setNumThreads(0)  # the threads of the parent are not in its copy
                run(countdown(at, lambda: os.kill(os.getpid(), signal.SIGKILL)))
            except CvsimError:
                pass
            except BaseException:
                (self.base / "traceback").write_text(traceback.format_exc())
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        if os.waitstatus_to_exitcode(status) == 1:
            raise AssertionError((self.base / "traceback").read_text())

    # ---- What somebody else does ----

    def disturb(self) -> None:
        before = self.contents()
        change = self.chance.choice(
            [
                self._edit,
                self._rename,
                self._replace,
                self._remove,
                self._take_a_name,
                self._touch,
                self._copy,
            ]
        )
        self.said.append(change.__name__)
        change()
        self.lost_outside |= before - self.contents()

    def _any(self) -> Path | None:
        there = self.everything()
        if not there:
            return None
        path = self.chance.choice(there)
        self._touches(path)
        return path

    def _touches(self, path: Path) -> None:
        if (group := self.group_of.get(str(path))) is not None:
            self.touched.add(group)
        else:  # in the trash, in the target, or a file that cvsim is making
            self.touched |= set(self.group_of.values())

    def _edit(self) -> None:
        if (path := self._any()) is not None:
            with path.open("ab") as stream:
                stream.write(b"edited %d" % self.chance.randrange(10**9))

    def _rename(self) -> None:
        if (path := self._any()) is not None:
            path.rename(path.with_name(f"renamed {self.chance.randrange(10**9)}.jpg"))

    def _replace(self) -> None:
        if (path := self._any()) is not None:
            path.unlink()
            write(path, jpeg(self.chance.randrange(10**6)))

    def _remove(self) -> None:
        if (path := self._any()) is not None:
            path.unlink()

    def _take_a_name(self) -> None:
        """A new file where one was that is gone now."""
        gone = [entry.path for entry in self.plan.entries if not os.path.lexists(entry.path)]
        if gone:
            path = Path(self.chance.choice(gone))
            self._touches(path)
            write(path, jpeg(self.chance.randrange(10**6)))

    def _touch(self) -> None:
        if (path := self._any()) is not None:
            os.utime(path, ns=(1, self.chance.randrange(10**18)))
            path.chmod(self.chance.choice([0o600, 0o644, 0o444]))

    def _copy(self) -> None:
        """Keeps a copy elsewhere: that touches nothing."""
        if there := self.everything():
            place = self.base / "elsewhere" / f"{self.chance.randrange(10**9)}.jpg"
            place.parent.mkdir(exist_ok=True)
            shutil.copyfile(self.chance.choice(there), place)

    # ---- What must hold ----

    def check(self, before: set[str]) -> None:
        lost = before - self.contents() - self.lost_outside
        deleted = {}
        for step in read_steps(self.journal) if os.path.exists(self.journal) else ():
            if step.action == "delete" and step.state != "aborted":
                deleted[step.digest] = step.path
        assert lost <= deleted.keys(), (lost, self.said)
        for digest in lost:
            group = self.group_of[deleted[digest]]
            kept = next(e for e in self.plan.entries if e.group == group and e.decision == "keep")
            assert group in self.touched or kept.digest in self.contents(), self.said

    def end(self) -> Counter[str]:
        """Undo all; what nobody else touched is as it was."""
        before, self.lost_outside = self.contents(), set()
        if os.path.exists(self.journal):
            undo_journal(self.journal)
        self.check(before)
        now = snapshot(self.root)
        for entry in self.plan.entries:
            if entry.group not in self.touched and not self.deletes:
                name = os.path.relpath(entry.path, self.root)
                assert now.get(name) == self.before[name], (name, self.said)
        if not self.touched:
            assert not [name for name in snapshot(self.base) if ".cvsim-" in name], self.said
        return Counter(word.partition(" (")[0].rstrip(" 0123456789") for word in self.said)


def countdown(n: int, strike: Callable[[], None]) -> Callable[[str], None]:
    """A checkpoint that strikes once, at its call number `n`."""
    left = [n]

    def checkpoint(_word: str) -> None:
        left[0] -= 1
        if left[0] == -1:
            strike()

    return checkpoint


def test_no_content_is_lost_in_any_history(monkeypatch: pytest.MonkeyPatch) -> None:
    tally: Counter[str] = Counter()
    start = time.monotonic()
    for number in range(N_HISTORIES):
        with folder_in_memory() as base, monkeypatch.context() as patch:
            (base / "home").mkdir()
            use_home(base / "home", patch)
            history = History(base, number)
            try:
                for _ in range(history.chance.randint(2, 7)):
                    history.disturb() if history.chance.random() < 0.25 else history.act()
                tally += history.end()
            except BaseException as exc:
                exc.add_note(f"history {number}: {history.said}")
                raise
    print(f"{N_HISTORIES} histories in {time.monotonic() - start:.0f} s: {dict(tally)}")
    assert N_HISTORIES == 0 or sum(n for what, n in tally.items() if "killed" in what) > 0
