"""A review: the groups of a plan, what a person decided about them, and the way back.

Every decision is in the plan file, and every answer in the decisions file, before it counts: closing the
browser, or killing the program, loses nothing. Which groups were decided is in the plan too, as
``"reviewed": true`` on their entries.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from cvsim.actions.carry import carried_out
from cvsim.actions.journal import default_path
from cvsim.actions.plan import OF_PAIR, REVIEWED, Decision, Entry, Plan, entry_text, pair_extra, plan_text
from cvsim.errors import ActionError, CvsimError, UsageError
from cvsim.files import write
from cvsim.groups.decisions import Answer, Decisions
from cvsim.types import ScoredPair
from cvsim.web.review_groups import ORDERS, Filters, GroupView, Totals

Proposals = Callable[[Sequence[Entry], Entry, Decisions], tuple[dict[str, str], dict[str, ScoredPair]]]
"""(entries of a group, the one to keep, answers) -> what may go then, and each one's pair with it."""
MAX_FOLDERS = 400


@dataclass(frozen=True, slots=True)
class _Said:
    """An answer that was given, and what counted before."""

    digests: tuple[str, str]
    names: tuple[str, str]
    before: Answer


@dataclass(frozen=True, slots=True)
class _Change:
    """What one decision changed, enough to take it back: the groups, and their rows by place in the plan."""

    words: str
    before: Mapping[int, GroupView]
    rows: Mapping[int, str]
    said: tuple[_Said, ...] = ()


@dataclass
class Review:
    """The state behind the page. For several threads.

    Parameters
    ----------
    path : str
        The plan file; each change replaces it.
    decisions_path : str
        Where answers are remembered.
    proposals : callable
        See `Proposals`.

    Attributes
    ----------
    groups : dict of int to GroupView
    version : int
        Another one after each change.
    roots, extra
        As of `Plan`.
    """

    path: str
    decisions_path: str
    proposals: Proposals
    groups: dict[int, GroupView] = field(init=False, default_factory=dict)
    version: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.lock = threading.RLock()
        self.journal = default_path(self.path)
        self.decisions = Decisions.load(self.decisions_path)
        self._load()

    def _load(self) -> None:
        self._stamp = _stamp(self.path)
        plan = Plan.load(self.path)
        if not plan.entries:
            raise UsageError("There is nothing to review: no group of copies was found.")
        self.roots, self.extra = plan.roots, plan.extra
        self._changes: list[_Change] = []
        # Rows stay where they are in the file, also where groups were mixed by hand.
        self._rows = [entry_text(entry) for entry in plan.entries]
        self.paths = tuple(entry.path for entry in plan.entries)
        self.number = {path: number for number, path in enumerate(self.paths)}
        self._of_digest: dict[str, list[str]] = {}
        for entry in plan.entries:
            self._of_digest.setdefault(entry.digest, []).append(entry.path)
        gone = self._carried_out()
        self.groups = {
            number: GroupView(number, entries, gone & {entry.path for entry in entries})
            for number, entries in plan.groups.items()
        }
        self._changed()

    def _changed(self) -> None:
        """What was added up before counts no more."""
        self.version += 1
        self._totals: Totals | None = None

    # ---- Looking ----

    def group(self, number: int) -> GroupView:
        """Raises KeyError for an unknown number."""
        with self.lock:
            return self.groups[number]

    def entry(self, group: GroupView, file: int) -> Entry:
        """The entry of a group whose place in the plan is `file`; raises KeyError."""
        for entry in group.entries:
            if self.number[entry.path] == file:
                return entry
        raise KeyError(file)

    def paths_of(self, digest: str) -> tuple[str, ...]:
        """The files of the plan with this content."""
        return tuple(self._of_digest.get(digest, ()))

    def find(self, filters: Filters) -> list[int]:
        """Numbers of the groups that pass, in order."""
        with self.lock:
            groups = [group for group in self.groups.values() if filters.lets_through(group)]
        return [group.number for group in sorted(groups, key=ORDERS[filters.order])]

    def totals(self) -> Totals:
        """Add up what has been decided."""
        with self.lock:
            if self._totals is None:
                self._totals = Totals.of(self.groups.values())
            return self._totals

    def relations(self) -> list[tuple[str, int]]:
        """Relations with how many groups hold them, the commonest first."""
        counts = Counter(relation for group in self.groups.values() for relation in group.relations)
        return counts.most_common()

    def folders(self) -> list[tuple[str, int]]:
        """Folders with how many groups have a file right in them, by path; the fullest, if there are many."""
        counts = Counter(folder for group in self.groups.values() for folder in group.folders)
        return sorted(counts.most_common(MAX_FOLDERS))

    @property
    def last_change(self) -> str | None:
        """What `undo` would take back, in words."""
        return self._changes[-1].words if self._changes else None

    # ---- Deciding ----

    def accept(self, number: int) -> GroupView:
        """Agree with the group as it stands."""
        with self.lock:
            group = self._changeable(number)
            return self._change(group, [reviewed(entry) for entry in group.entries], "accepted")

    def keep(self, number: int, file: int) -> GroupView:
        """Keep this file; of the rest of its group, only what is a full copy of it goes."""
        group, chosen = self.group(number), self.entry(self.group(number), file)
        entries = [reviewed(entry) for entry in kept_instead(self, group, chosen)]
        with self.lock:
            if self._changeable(number).entries != group.entries:
                raise ActionError("The group was changed just now; look again.")
            return self._change(group, entries, f"kept {_name(chosen)}")

    def change_many(
        self, words: str, before: Mapping[int, tuple[Entry, ...]], after: Mapping[int, tuple[Entry, ...]]
    ) -> None:
        """Decide about many groups at once, as one decision; see `cvsim.web.bulk`."""
        with self.lock:
            if any(self._changeable(number).entries != entries for number, entries in before.items()):
                raise ActionError("Groups were changed just now; look again.")
            if after:
                self._commit(words, after)

    def decide(self, number: int, files: Sequence[int], decision: Decision) -> GroupView:
        """Let more files go, or leave them alone, without an answer that is remembered."""
        with self.lock:
            group = self._changeable(number)
            chosen = [self.entry(group, file) for file in files]
            words = "removed by hand" if decision == "remove" else "left alone by hand"
            plan = Plan(self.roots, group.entries)
            for entry in chosen:
                plan = plan.decided(entry.path, decision, words)
            name = _name(chosen[0]) if len(chosen) == 1 else f"{len(chosen)} files"
            return self._change(group, _settled(plan.entries), f"{words}: {name}")

    def answer(self, number: int, file: int, answer: Answer) -> GroupView:
        """Leave a file alone because it is no duplicate of the kept one, or because both are wanted."""
        with self.lock:
            group = self._changeable(number)
            entry, kept = self.entry(group, file), group.kept
            if entry is kept:
                raise ActionError("This is the kept file; choose another one of the group.")
            words = "no duplicate, you said" if answer == "not-a-duplicate" else "you keep both"
            changed = Plan(self.roots, group.entries).decided(entry.path, "skip", words).entries
            said = _Said(
                (kept.digest, entry.digest),
                (_name(kept), _name(entry)),
                self.decisions.answer(kept.digest, entry.digest) or "forget",
            )
            self._refuse_foreign_changes()  # before the answer is on the disk
            self._remember(said, answer)
            return self._change(group, _settled(changed), f"{answer}: {_name(entry)}", (said,))

    def undo(self) -> int:
        """Take back the last decision; returns the number of its (first) group."""
        with self.lock:
            if not self._changes:
                raise ActionError("There is nothing to take back.")
            change = self._changes[-1]
            for number in change.before:
                self._changeable(number)
            self._refuse_foreign_changes()
            for said in change.said:
                self._remember(said, said.before)
            self._put(change.before, change.rows)
            self._changes.pop()
            return min(change.before)

    def _remember(self, said: _Said, answer: Answer) -> None:
        self.decisions.remember(self.decisions_path, answer, *said.digests, said.names)

    def _changeable(self, number: int) -> GroupView:
        group = self.groups[number]
        if group.gone:
            raise ActionError("Files of this group are gone already; bring them back first.")
        return group

    def _change(
        self, group: GroupView, entries: Iterable[Entry], words: str, said: tuple[_Said, ...] = ()
    ) -> GroupView:
        self._commit(words, {group.number: tuple(entries)}, said)
        return self.groups[group.number]

    def _commit(
        self, words: str, after: Mapping[int, tuple[Entry, ...]], said: tuple[_Said, ...] = ()
    ) -> None:
        before = {number: self.groups[number] for number in after}
        rows = {
            (place := self.number[new.path]): self._row_after(place, old, new)
            for number, group in before.items()
            for old, new in zip(group.entries, after[number], strict=True)
        }
        change = _Change(words, before, {place: self._rows[place] for place in rows}, said)
        self._put({number: GroupView(number, entries) for number, entries in after.items()}, rows)
        self._changes.append(change)

    def _row_after(self, place: int, old: Entry, new: Entry) -> str:
        """The row of a changed entry. Of what was only agreed with, the old one is right but for its end."""
        row = self._rows[place]
        if new is old:
            return row
        return f'{row[:-1]}, "{REVIEWED}": true}}' if _is_agreed(old, new) else entry_text(new)

    def _put(self, groups: Mapping[int, GroupView], rows: Mapping[int, str]) -> None:
        """Write the plan with these groups changed, then believe it."""
        self._refuse_foreign_changes()
        all_rows = self._rows.copy()
        for place, row in rows.items():
            all_rows[place] = row
        text = plan_text(self.roots, self.extra, all_rows)
        write(self.path, [text.encode()], durable=True, error=ActionError)
        self._stamp = _stamp(self.path)
        self._rows = all_rows
        self.groups |= groups
        self._changed()

    def _refuse_foreign_changes(self) -> None:
        if _stamp(self.path) == self._stamp:
            return
        self._load()
        raise ActionError(
            "The plan was changed by another program. It was read anew: look, and decide again."
        )

    # ---- Carrying out ----

    def decided_plan(self) -> Plan:
        """The plan in which only decided groups remove anything."""
        with self.lock:
            self._refuse_foreign_changes()
            entries = [
                entry if group.state != "open" or entry.decision != "remove" else _on_hold(entry)
                for group in self.groups.values()
                for entry in group.entries
            ]
            return Plan(self.roots, tuple(entries), self.extra)

    def look_again(self) -> None:
        """Take in what the journal says by now."""
        gone = self._carried_out()
        with self.lock:
            for number, group in self.groups.items():
                still = gone & {entry.path for entry in group.entries}
                if still != group.gone:
                    self.groups[number] = GroupView(number, group.entries, still)
            self._changed()

    def _carried_out(self) -> frozenset[str]:
        return carried_out(self.journal, self.paths)


def _is_agreed(old: Entry, new: Entry) -> bool:
    """Whether one is the other, and agreed with."""
    return (
        (new.decision, new.rule, new.reason) == (old.decision, old.rule, old.reason)
        and list(new.extra) == [*old.extra, REVIEWED]
        and new.extra[REVIEWED] is True
        and all(new.extra[key] is value for key, value in old.extra.items())
    )


def _name(entry: Entry) -> str:
    return os.path.basename(entry.path)


def reviewed(entry: Entry) -> Entry:
    """The entry, agreed with as it stands."""
    if entry.extra.get(REVIEWED) is True:
        return entry
    extra = {**entry.extra, REVIEWED: True}
    # As `replace` would do it, which takes ten times as long, and rules make ten thousands of them.
    return Entry(
        entry.path,
        entry.digest,
        entry.size_bytes,
        entry.mtime_ns,
        entry.group,
        entry.decision,
        entry.rule,
        entry.reason,
        extra,
    )


def _settled(entries: Sequence[Entry]) -> Sequence[Entry]:
    """Decided, once nothing goes that a person has not spoken about; otherwise as it was."""
    if all(entry.rule == "you" for entry in entries if entry.decision == "remove"):
        return [reviewed(entry) for entry in entries]
    return entries


def kept_instead(review: Review, group: GroupView, chosen: Entry) -> list[Entry]:
    """The group's entries once another file is kept: only what is a full copy of that one goes."""
    removals, pairs = review.proposals(group.entries, chosen, review.decisions)
    changed = Plan(review.roots, group.entries).with_kept(chosen.path, removals).entries
    return [_with_pair(entry, chosen, pairs) for entry in changed]


def _on_hold(entry: Entry) -> Entry:
    return replace(entry, decision="skip", reason="not decided yet")


def _with_pair(entry: Entry, keep: Entry, pairs: Mapping[str, ScoredPair]) -> Entry:
    """The entry with what is known of its pair with the newly kept file, instead of the old one."""
    extra = {k: v for k, v in entry.extra.items() if k not in OF_PAIR}
    pair = pairs.get(entry.path)
    if entry.path == keep.path:
        extra["score"] = 1.0
    elif pair is not None:
        extra |= pair_extra(pair, keep.path, keep.digest, proposed=entry.decision == "remove")
    return replace(entry, extra=extra)


def _stamp(path: str) -> tuple[int, int, int]:
    try:
        status = os.stat(path)
    except OSError as exc:
        raise CvsimError(f"The plan {path} cannot be read: {exc.strerror}") from exc
    return status.st_ino, status.st_size, status.st_mtime_ns
