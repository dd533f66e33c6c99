"""What a review looks at: groups as they stand, which of them are shown, and the sum of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

from cvsim.actions.plan import REVIEWED, Entry

ReviewState = Literal["open", "decided", "done"]


class _Share(NamedTuple):
    """What one group adds to `Totals`."""

    state: ReviewState
    files: int
    bytes: int
    gone: int
    proposed_bytes: int


@dataclass(frozen=True, eq=False)
class GroupView:
    """One group as it stands.

    Attributes
    ----------
    number : int
    entries : tuple of Entry
        In the order of the plan.
    gone : frozenset of str
        Paths that were carried out and not brought back.
    """

    number: int
    entries: tuple[Entry, ...]
    gone: frozenset[str] = frozenset()

    @cached_property
    def kept(self) -> Entry:
        """The file that the others are shown beside: the first kept one."""
        return next((entry for entry in self.entries if entry.decision == "keep"), self.entries[0])

    @cached_property
    def others(self) -> tuple[Entry, ...]:
        """List the files that are not kept."""
        return tuple(entry for entry in self.entries if entry is not self.kept)

    @cached_property
    def removed(self) -> tuple[Entry, ...]:
        """List the files that go."""
        return tuple(entry for entry in self.entries if entry.decision == "remove")

    @cached_property
    def state(self) -> ReviewState:
        """Say how far the group has been dealt with."""
        if self.gone:
            return "done"
        for entry in self.entries:
            if entry.extra.get(REVIEWED) is not True:
                return "open"
        return "decided"

    @cached_property
    def score(self) -> float | None:
        """How sure the least sure proposal is; of all members where nothing is proposed."""
        scores = [s for e in self.removed or self.others if (s := _score(e)) is not None]
        return min(scores, default=None)

    @cached_property
    def sure(self) -> bool:
        """Something is proposed, and every proposal has a score of its own."""
        return bool(self.removed) and all(_score(entry) is not None for entry in self.removed)

    @cached_property
    def relations(self) -> tuple[str, ...]:
        """Name the relations that groups have."""
        found = (entry.extra.get("relation") for entry in self.others)
        return tuple(dict.fromkeys(relation for relation in found if isinstance(relation, str)))

    @cached_property
    def n_bytes(self) -> int:
        """What letting go of the removed files frees."""
        return sum(entry.size_bytes for entry in self.removed)

    @cached_property
    def share(self) -> _Share:
        """What the group adds to the totals."""
        waiting = () if self.state == "open" else [e for e in self.removed if e.path not in self.gone]
        return _Share(
            self.state, len(waiting), sum(e.size_bytes for e in waiting), len(self.gone), self.n_bytes
        )

    @cached_property
    def folders(self) -> frozenset[str]:
        """Name the folders that hold files of groups."""
        return frozenset(os.path.dirname(entry.path) for entry in self.entries)


def _score(entry: Entry) -> float | None:
    value = entry.extra.get("score")
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


@dataclass(frozen=True, slots=True)
class Filters:
    """Which groups are shown, in which order; empty texts let everything through.

    Attributes
    ----------
    state : "", "open", "decided" or "done"
    relation, folder, text : str
        A relation that a member has, a folder that one lies in or below, a part of a path.
    order : "plan", "doubt" or "bytes"
    """

    state: str = ""
    relation: str = ""
    folder: str = ""
    text: str = ""
    order: str = "plan"

    def lets_through(self, group: GroupView) -> bool:
        """Tell whether a group is to be listed."""
        if self.state and group.state != self.state:
            return False
        if self.relation and self.relation not in group.relations:
            return False
        if self.folder:
            below = os.path.join(self.folder, "")
            if not any(folder == self.folder or folder.startswith(below) for folder in group.folders):
                return False
        text = self.text.casefold()
        return not text or any(text in entry.path.casefold() for entry in group.entries)


ORDERS: Mapping[str, Callable[[GroupView], Any]] = {
    "plan": lambda group: group.number,
    "doubt": lambda group: (group.score is not None, group.score, group.number),
    "bytes": lambda group: (-group.n_bytes, group.number),
}


@dataclass(frozen=True, slots=True)
class Totals:
    """How far the review is. `files` and `bytes` wait to be carried out; `gone` are files that were."""

    groups: int
    open: int
    decided: int
    done: int
    files: int
    bytes: int
    gone: int
    proposed_bytes: int

    @classmethod
    def of(cls, groups: Iterable[GroupView]) -> Totals:
        """Add up the shares of groups. Those that did not change since the last time have theirs ready."""
        columns = [*zip(*(group.share for group in groups), strict=True)]
        states, files, n_bytes, gone, proposed = columns or [()] * len(_Share._fields)
        return cls(
            groups=len(states),
            open=states.count("open"),
            decided=states.count("decided"),
            done=states.count("done"),
            files=sum(files),
            bytes=sum(n_bytes),
            gone=sum(gone),
            proposed_bytes=sum(proposed),
        )
