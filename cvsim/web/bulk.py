"""Rules for many groups at once: what each would decide, so that it can be shown before it is done.

A rule speaks about groups that wait for a decision. About a group for which it would let nothing go, or
of which a file cannot be read, it says nothing: that one goes on waiting.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from cvsim.actions.plan import Entry
from cvsim.errors import ImageError
from cvsim.web.review import Filters, GroupView, Review, kept_instead, reviewed

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


def bulk_change(review: Review, rule: BulkRule, filters: Filters) -> BulkChange:
    """What a rule would decide about the groups that pass the filters; nothing is changed."""
    before: dict[int, tuple[Entry, ...]] = {}
    after: dict[int, tuple[Entry, ...]] = {}
    for number in review.find(replace(filters, state="open")):
        group = review.group(number)
        entries = _decided(review, rule, group)
        if entries is not None:
            before[number], after[number] = group.entries, tuple(map(reviewed, entries))
    return BulkChange(before, after)


def _decided(review: Review, rule: BulkRule, group: GroupView) -> Sequence[Entry] | None:
    if rule.name == "pass":
        return None if group.removed else group.entries
    if rule.name == "sure":
        is_sure = group.sure and group.score is not None and group.score >= rule.min_score
        return group.entries if is_sure else None
    chosen = rule.chosen(group)
    if chosen is None:
        return None
    try:
        entries = group.entries if chosen is group.kept else kept_instead(review, group, chosen)
    except ImageError:
        return None
    entries = [e if e.decision != "remove" or rule.goes(e) else _stays(e, rule) for e in entries]
    return entries if any(entry.decision == "remove" for entry in entries) else None


def _stays(entry: Entry, rule: BulkRule) -> Entry:
    where = (
        "in the folder that you keep" if rule.name == "keep-under" else "outside the folder that you clear"
    )
    return replace(entry, decision="skip", rule="you", reason=f"it lies {where}")


def _kept_first(group: GroupView) -> list[Entry]:
    """`max` takes the first of equals: the kept file, if it is one of them."""
    return [group.kept, *group.others]
