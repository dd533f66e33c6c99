"""Carrying what a person decided from an earlier plan into a new one, by the content of the files.

A new run writes its plan from nothing; a person's decisions must outlive that. A decision belongs to a
content (its digest), not to a path, so that it survives renames. Where a file that was decided about is not
in the new plan, its row waits in the plan, under ``"remembered"``, until the file comes back.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from cvsim.actions.filesystem import parents
from cvsim.actions.journal import read_steps
from cvsim.actions.plan import BY_HAND, OF_PAIR, REVIEWED, Entry, Plan, entry_row, read_rows, rests_on_proof
from cvsim.errors import CvsimError, UsageError
from cvsim.names import printable

REMEMBERED = "remembered"
"""Key of a plan: rows of files that were decided about and were not found by the latest run."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A new plan with the decisions of the earlier one.

    Attributes
    ----------
    plan : Plan
    n_decided : int
        Groups that are decided, as they were.
    n_reopened : int
        Groups of which something was decided, and which ask again: pictures came, or the kept one went.
    n_files : int
        Files of other groups that were decided about one by one, in the plan by hand, and are as they were.
    n_remembered : int
        Files that were decided about and are not found now.
    """

    plan: Plan
    n_decided: int = 0
    n_reopened: int = 0
    n_files: int = 0
    n_remembered: int = 0


def is_decided(entry: Entry) -> bool:
    """Whether a person spoke about this entry: on the page, or in the plan by hand."""
    proposed = entry.extra.get("proposed", entry.decision)
    by_hand = entry.rule == "you" or entry.extra.get("proof") == BY_HAND or proposed != entry.decision
    return by_hand or entry.extra.get(REVIEWED) is True


def require_same_folders(earlier: Plan, roots: Iterable[str], shown: str) -> None:
    """Refuse to put the plan of some folders in the place of another one's.

    Parameters
    ----------
    earlier : Plan
    roots : iterable of str
        Of the new plan.
    shown : str
        The file, for the message.

    Raises
    ------
    UsageError
        A folder of the earlier plan lies in none of the roots.
    """
    own = set(roots)
    others = [root for root in earlier.roots if root not in own and not any(p in own for p in parents(root))]
    if others and earlier.entries:
        raise UsageError(
            f"{printable(shown)} is the plan of other folders ({printable(others[0])}); "
            "name another file, or give --force to write over it"
        )


def carry(new: Plan, earlier: Plan, journal: str | None = None) -> Carried:
    """The new plan with what a person decided in the earlier one.

    Files are the same by content, and of equal ones by path. A group whose every file was decided about is
    decided; one that got more pictures asks again, with what was decided about the old ones. A removal counts
    only while a kept file that it rests on is in the group: where it is not, the group is as the new run
    proposes it, and the decisions wait.

    Parameters
    ----------
    new, earlier : Plan
    journal : str, optional
        Of the earlier plan: groups that were carried out stay in the plan, so that they can be brought back.
    """
    matches, unmatched = _matched(new, earlier)
    groups: list[tuple[Entry, ...]] = []
    n_decided = n_reopened = n_files = 0
    for entries in new.groups.values():
        found = {entry.path: matches[entry.path] for entry in entries if entry.path in matches}
        if not found:
            groups.append(entries)
            continue
        merged = _merged(entries, found)
        if merged is None:
            unmatched += found.values()
        groups.append(merged or entries)
        decided = merged is not None and all(entry.extra.get(REVIEWED) is True for entry in merged)
        reopened = not decided and any(entry.extra.get(REVIEWED) is True for entry in found.values())
        n_decided += decided
        n_reopened += reopened
        n_files += 0 if merged is None or decided or reopened else len(found)
    done = _carried_out(earlier, journal, {entry.path for entry in new.entries}) if journal else []
    settled = {entry.path for entries in done for entry in entries}
    number = max(new.groups, default=0)
    groups += [
        tuple(replace(entry, group=n) for entry in entries) for n, entries in enumerate(done, number + 1)
    ]
    waiting = _latest(entry for entry in unmatched if entry.path not in settled)
    roots = tuple(dict.fromkeys([*new.roots, *(_root_of(earlier, entry) for one in done for entry in one)]))
    extra = {**new.extra, **({REMEMBERED: [entry_row(entry) for entry in waiting]} if waiting else {})}
    plan = Plan(roots, tuple(entry for entries in groups for entry in entries), extra)
    return Carried(plan, n_decided, n_reopened, n_files, len(waiting))


def _matched(new: Plan, earlier: Plan) -> tuple[dict[str, Entry], list[Entry]]:
    """Path of a new entry -> what was decided about its content; and the decisions that fit nothing."""
    known: dict[str, list[Entry]] = defaultdict(list)
    decided = [entry for entry in earlier.entries if is_decided(entry)]
    newest = {(entry.digest, entry.path) for entry in decided}
    waiting = [entry for entry in _remembered(earlier) if (entry.digest, entry.path) not in newest]
    for entry in [*decided, *waiting]:
        known[entry.digest].append(entry)
    matches: dict[str, Entry] = {}
    for by_path in (True, False):
        for entry in new.entries:
            rest = known.get(entry.digest, [])
            at = next((n for n, old in enumerate(rest) if not by_path or old.path == entry.path), None)
            if entry.path not in matches and at is not None:
                matches[entry.path] = rest.pop(at)
    return matches, [entry for rest in known.values() for entry in rest]


def _remembered(plan: Plan) -> tuple[Entry, ...]:
    """The rows that wait; none if somebody damaged them, since they only spare a question."""
    rows = plan.extra.get(REMEMBERED)
    try:
        return read_rows(rows) if isinstance(rows, list) else ()
    except CvsimError:
        return ()


def _merged(entries: Sequence[Entry], found: Mapping[str, Entry]) -> tuple[Entry, ...] | None:
    """The group with its decisions; None if they cannot hold in it."""
    carried = {path: _with_decision(entry, found[path]) for entry in entries if (path := entry.path) in found}
    kept = {entry.digest for entry in carried.values() if entry.decision == "keep"}
    proposed = {entry.digest for entry in entries if entry.path not in carried and entry.decision == "keep"}
    removed = [entry for entry in carried.values() if entry.decision == "remove"]
    if removed and not kept:
        return None
    if not all(rests_on_proof(entry, kept) for entry in removed):
        return None
    return tuple(carried.get(entry.path) or _beside(entry, kept or proposed) for entry in entries)


def _with_decision(entry: Entry, old: Entry) -> Entry:
    """The entry as it was decided; what is said of its pair is about the file that was kept then."""
    extra = {key: value for key, value in entry.extra.items() if key not in OF_PAIR}
    extra |= {key: value for key, value in old.extra.items() if key in (*OF_PAIR, REVIEWED)}
    return replace(entry, decision=old.decision, rule=old.rule, reason=old.reason, extra=extra)


def _beside(entry: Entry, kept: Collection[str]) -> Entry:
    """An entry that nobody decided about, in a group where files of these digests are kept."""
    if entry.decision == "skip" or (entry.decision == "keep" and entry.digest in kept):
        return entry
    if entry.decision == "remove" and rests_on_proof(entry, kept):
        return entry
    extra = {key: value for key, value in entry.extra.items() if key not in OF_PAIR}
    reason = "left alone: it was not there when you decided about the others"
    return replace(entry, decision="skip", reason=reason, extra={**extra, "proposed": "skip"})


def _carried_out(plan: Plan, journal: str, present: Collection[str]) -> list[tuple[Entry, ...]]:
    """Groups of which files are gone by the journal, and none is part of the new plan."""
    gone = carried_out(journal, {entry.path for entry in plan.entries})
    return [
        entries
        for entries in plan.groups.values()
        if any(entry.path in gone for entry in entries)
        and not any(entry.path in present for entry in entries)
    ]


def carried_out(journal: str, paths: Collection[str]) -> frozenset[str]:
    """Which of the files are gone by the journal, and have not been brought back."""
    if not os.path.exists(journal):
        return frozenset()
    # Only shown, and only of what is gone: whose journal it is matters when it is undone.
    known = read_steps(journal, trust=True)
    latest = {step.path: step for step in known if step.action != "metadata"}
    done = {path for path, step in latest.items() if step.state == "done"}
    # What is at its place again was brought back by hand.
    return frozenset(path for path in done.intersection(paths) if not os.path.lexists(path))


def _latest(entries: Iterable[Entry]) -> list[Entry]:
    return list({(entry.digest, entry.path): entry for entry in entries}.values())


def _root_of(plan: Plan, entry: Entry) -> str:
    return next(root for root in plan.roots if entry.path.startswith(os.path.join(root, "")))
