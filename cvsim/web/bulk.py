"""Rules for many groups at once: what each would decide, so that it can be shown before it is done.

A rule speaks about groups that wait for a decision. About a group for which it would let nothing go, or
of which a file cannot be read, it says nothing: that one goes on waiting.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from cvsim.actions.plan import Entry
from cvsim.errors import ImageError
from cvsim.web.pairs import Pairs
from cvsim.web.review import Review, kept_instead, reviewed
from cvsim.web.review_groups import Filters, GroupView

RuleName = Literal["sure", "pass", "newest", "largest", "keep-under", "remove-under"]
RULE_NAMES: tuple[str, ...] = get_args(RuleName)


@dataclass(frozen=True, slots=True)
class BulkRule:
    """What is to be decided about many groups.

    Attributes
    ----------
    name : str
        ``sure``: agree where every proposal is at least that sure; ``pass``: leave alone where nothing is
        proposed; ``newest``, ``largest``: keep that file; ``keep-under``: keep what lies under the folder;
        ``remove-under``: let go what lies there, where the group has a file elsewhere.
    min_score : float
        Of ``sure``.
    folder : str
        Of the two about folders.
    """

    name: RuleName
    min_score: float = 0.0
    folder: str = ""

    def is_under(self, entry: Entry) -> bool:
        """Whether a file lies in the folder, or below it."""
        return bool(self.folder) and entry.path.startswith(os.path.join(self.folder, ""))

    def chosen(self, group: GroupView) -> Entry | None:
        """The file that the rule keeps; None where it says nothing."""
        if self.name == "newest":
            return max(_kept_first(group), key=lambda entry: entry.mtime_ns)
        if self.name == "largest":
            return max(_kept_first(group), key=lambda entry: entry.size_bytes)
        under = [entry for entry in _kept_first(group) if self.is_under(entry)]
        if not under:
            return None
        if self.name == "keep-under":
            return group.kept if group.kept in under else max(under, key=lambda entry: entry.size_bytes)
        outside = [entry for entry in _kept_first(group) if not self.is_under(entry)]
        return max(outside, key=lambda e: (e is group.kept, e.size_bytes)) if outside else None

    def decides(self, group: GroupView, chosen: Entry | None) -> bool:
        """Whether the rule speaks about a group in which it keeps `chosen`."""
        if self.name == "pass":
            return not group.removed
        if self.name == "sure":
            return group.sure and group.score is not None and group.score >= self.min_score
        return chosen is not None

    def goes(self, entry: Entry) -> bool:
        """Whether the rule lets a file go that may go."""
        if self.name == "keep-under":
            return not self.is_under(entry)
        return self.name != "remove-under" or self.is_under(entry)


@dataclass(frozen=True, slots=True)
class BulkChange:
    """What a rule decides: the entries of each group it speaks about, before and after."""

    before: Mapping[int, tuple[Entry, ...]]
    after: Mapping[int, tuple[Entry, ...]]

    @property
    def removed(self) -> list[Entry]:
        """The files that would go."""
        return [e for entries in self.after.values() for e in entries if e.decision == "remove"]


class _SupersededError(Exception):
    """Another rule is to be counted."""


class RuleCounts:
    """RuleCounts what rules would decide, and has what was counted last ready to be done.

    Parameters
    ----------
    review : Review
    pairs : Pairs
        Looks at files, where a rule keeps another file than the plan does.

    Attributes
    ----------
    progress : (int, int) or None
        Groups that were compared for the rule that is being counted, and how many there are to compare.
    """

    def __init__(self, review: Review, pairs: Pairs) -> None:
        self._review, self._pairs = review, pairs
        self._n_asked = 0
        self._last: tuple[tuple[BulkRule, Filters, int], BulkChange] | None = None
        self.progress: tuple[int, int] | None = None

    def change(self, rule: BulkRule, filters: Filters) -> BulkChange | None:
        """See `bulk_change`; None if another one was asked for before this one was counted."""
        asked = rule, filters, self._review.version
        if self._last is not None and self._last[0] == asked:
            return self._last[1]
        self._n_asked += 1
        own = self._n_asked

        def compared(done: int, total: int) -> None:
            if own != self._n_asked:
                raise _SupersededError
            self.progress = done, total

        try:
            change = bulk_change(self._review, rule, filters, look=self._pairs.facts, compared=compared)
        except _SupersededError:
            return None
        finally:
            if own == self._n_asked:
                self.progress = None
        self._last = asked, change
        return change


def bulk_change(
    review: Review,
    rule: BulkRule,
    filters: Filters,
    *,
    look: Callable[[Sequence[Entry]], object] = lambda entries: None,
    compared: Callable[[int, int], None] = lambda done, total: None,
) -> BulkChange:
    """What a rule would decide about the groups that pass the filters; nothing is changed.

    Parameters
    ----------
    review : Review
    rule : BulkRule
    filters : Filters
    look : callable
        Given all files that are about to be compared: they can be looked at together.
    compared : callable
        (groups done, groups in all), after each group whose files had to be compared. What it raises ends it.
    """
    groups = [review.group(number) for number in review.find(replace(filters, state="open"))]
    chosen = {g.number: rule.chosen(g) for g in groups} if rule.name not in ("pass", "sure") else {}
    others = [g for g in groups if chosen.get(g.number) not in (None, g.kept)]
    if others:
        look([entry for group in others for entry in group.entries])
    instead: dict[int, Sequence[Entry] | None] = {}
    for done, group in enumerate(others, 1):
        instead[group.number] = _kept_instead(review, group, chosen[group.number])
        compared(done, len(others))
    before: dict[int, tuple[Entry, ...]] = {}
    after: dict[int, tuple[Entry, ...]] = {}
    for group in groups:
        entries = instead.get(group.number, group.entries)
        if entries is None or not rule.decides(group, chosen.get(group.number)):
            continue
        if chosen:
            entries = [e if e.decision != "remove" or rule.goes(e) else _stays(e, rule) for e in entries]
            if not any(entry.decision == "remove" for entry in entries):
                continue
        before[group.number], after[group.number] = group.entries, tuple(map(reviewed, entries))
    return BulkChange(before, after)


def _kept_instead(review: Review, group: GroupView, chosen: Entry | None) -> Sequence[Entry] | None:
    """None where a file cannot be read."""
    assert chosen is not None
    try:
        return kept_instead(review, group, chosen)
    except ImageError:
        return None


def _stays(entry: Entry, rule: BulkRule) -> Entry:
    where = (
        "in the folder that you keep" if rule.name == "keep-under" else "outside the folder that you clear"
    )
    return replace(entry, decision="skip", rule="you", reason=f"it lies {where}")


def _kept_first(group: GroupView) -> list[Entry]:
    """`max` takes the first of equals: the kept file, if it is one of them."""
    return [group.kept, *group.others]
