"""The plan: what is to happen to which file, readable and editable by hand, checked strictly when read.

A plan is JSON (``cvsim.plan/1``) with one entry a line. To change it, change an entry's ``decision``:

- ``keep``: stays, and vouches for the files of its group that go. A group that gives up a file has one.
- ``remove``: goes, in the way that ``cvsim apply --action`` names.
- ``skip``: stays, and vouches for nothing.

What goes rests on the entry's ``proof``; who changes a decision to ``remove`` writes ``"proof": "by-hand"``.

How the pipeline writes one, from finished groups::

    make_plan(roots_of(paths), groups).save(path)

How the review page edits one: `Plan.decided` and `Plan.with_kept` return a new plan, which is checked
like one that is read; `Plan.save` writes it whole or not at all.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import reprlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from cvsim.actions.filesystem import parents
from cvsim.actions.paths import is_plain_absolute
from cvsim.errors import ActionError, UsageError
from cvsim.files import write
from cvsim.images.holdings import in_words
from cvsim.names import printable
from cvsim.types import PROVED, Group, Proof, ScoredPair, is_digest

PLAN_SCHEMA = "cvsim.plan/1"
BY_HAND = "by-hand"
"""The ``proof`` of what a person decided."""
INDEXED = "indexed"
"""Key of an entry: the file is known from an index, and no plan touches it."""
REVIEWED = "reviewed"
"""Key of an entry: a person agreed with it as it stands."""
OF_PAIR = ("score", "relation", "changes", "contained", "proof")
"""Keys of an entry that speak of its pair with the kept file."""
Decision = Literal["keep", "remove", "skip"]
_KNOWN_DECISIONS = get_args(Decision)
_SURROGATE = re.compile("[\ud800-\udfff]")
_readable = json.JSONEncoder(ensure_ascii=False).encode
_MOST_PROBLEMS = 10
_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the plan.

    Attributes
    ----------
    path : str
        Absolute; bytes that are not UTF-8 as surrogate escapes.
    digest : str
        SHA-256 of the content that was looked at.
    size_bytes, mtime_ns : int
    group : int
        Number of the group, from 1.
    decision : {"keep", "remove", "skip"}
    rule : str
        The keep rule that decided, or ``"you"``.
    reason : str
        Why, in words for a person.
    extra : mapping
        Keys of others, carried through unchanged. cvsim itself writes ``score``, ``relation``, ``changes``,
        ``contained`` and ``proof`` (of the file's own pair with the kept one) where there is such a pair,
        ``holds``, in words, where a file holds more than a picture, ``proposed``, the decision of the run,
        ``indexed`` of a file that the run knew from an index, and ``reviewed`` where a person agreed.
    """

    path: str
    digest: str
    size_bytes: int
    mtime_ns: int
    group: int
    decision: Decision
    rule: str = ""
    reason: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


_KEYS = ("path", "digest", "size_bytes", "mtime_ns", "group", "decision", "rule", "reason")
_TYPES: Mapping[str, type] = {"size_bytes": int, "mtime_ns": int, "group": int}


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked plan; making one that makes no sense raises `ActionError`.

    Attributes
    ----------
    roots : tuple of str
        Absolute folders; nothing outside is ever touched.
    entries : tuple of Entry
    extra : mapping
        Other keys of the document, carried through.
    """

    roots: tuple[str, ...]
    entries: tuple[Entry, ...]
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if problems := _problems(self):
            raise ActionError("\n  ".join(["The plan makes no sense, nothing was done:", *_few(problems)]))

    @property
    def groups(self) -> dict[int, tuple[Entry, ...]]:
        """The entries of each group, groups by number, entries as in the plan."""
        found: dict[int, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            found[entry.group].append(entry)
        return {group: tuple(found[group]) for group in sorted(found)}

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Plan:
        """Read a plan and check it.

        Raises
        ------
        UsageError
            There is no such file.
        ActionError
            It cannot be read or makes no sense; every problem is said with its entry, up to ten.
        """
        shown = printable(os.fspath(path))
        try:
            document = json.loads(Path(path).read_bytes())
        except (FileNotFoundError, IsADirectoryError) as exc:
            raise UsageError(
                f"There is no plan {shown}; make one with: cvsim dedupe PATH --plan {shown}"
            ) from exc
        except OSError as exc:
            raise ActionError(f"The plan {shown} cannot be read: {exc.strerror}") from exc
        except (ValueError, RecursionError) as exc:
            raise ActionError(f"{shown} is no plan, or was damaged when it was edited: {exc}") from exc
        return cls.from_json(document)

    @classmethod
    def from_json(cls, document: Any) -> Plan:
        """A plan from its JSON document; raises `ActionError` like `load`."""
        if not isinstance(document, dict) or document.get("schema") != PLAN_SCHEMA:
            found = document.get("schema") if isinstance(document, dict) else type(document).__name__
            raise ActionError(
                f"This is no plan that this cvsim knows: schema is {_shown(found)}, not {PLAN_SCHEMA!r}"
            )
        rows, roots = document.get("entries"), document.get("roots")
        if not isinstance(rows, list) or not isinstance(roots, list):
            raise ActionError('A plan needs the lists "roots" and "entries"')
        entries = read_rows(rows)
        extra = {key: value for key, value in document.items() if key not in ("schema", "roots", "entries")}
        return cls(tuple(roots), entries, extra)

    def to_json(self) -> str:
        """The document as text, one entry a line; ASCII where JSON needs it, readable elsewhere."""
        return plan_text(self.roots, self.extra, map(entry_text, self.entries))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan, whole or not at all.

        Raises
        ------
        ActionError
            The file cannot be written.
        """
        write(path, [self.to_json().encode()], durable=True, error=ActionError)

    def decided(self, path: str, decision: Decision, reason: str = "decided by hand") -> Plan:
        """A plan in which one file has another decision, made by a person.

        Raises
        ------
        ActionError
            No such file, or its group would give up files without a kept one.
        """
        if not any(entry.path == path for entry in self.entries):
            raise ActionError(f"{printable(path)} is not in the plan")

        def decide(entry: Entry) -> Entry:
            if entry.path != path:
                return entry
            changed = replace(entry, decision=decision, rule="you", reason=reason)
            if decision != "remove" or rests_on_proof(changed, {kept.digest for kept in self._kept(entry)}):
                return changed
            return replace(changed, extra={**entry.extra, "proof": BY_HAND})

        return replace(self, entries=tuple(decide(entry) for entry in self.entries))

    def _kept(self, entry: Entry) -> list[Entry]:
        return [one for one in self.entries if one.group == entry.group and one.decision == "keep"]

    def with_kept(self, path: str, removals: Mapping[str, str]) -> Plan:
        """A plan in which a person keeps `path`; of its group, only `removals` go.

        Parameters
        ----------
        path : str
            The file to keep.
        removals : mapping of str to str
            Path -> reason, of what `cvsim.groups.propose.propose` proposes against the new kept file.
            Everything else in the group is skipped: a copy of the old kept file need not be one of
            the new.
        """
        group = next((entry.group for entry in self.entries if entry.path == path), None)
        if group is None:
            raise ActionError(f"{printable(path)} is not in the plan")

        def decide(entry: Entry) -> Entry:
            if entry.group != group:
                return entry
            if entry.path == path:
                return replace(entry, decision="keep", rule="you", reason="kept: you")
            if entry.path in removals:
                return replace(entry, decision="remove", rule="you", reason=removals[entry.path])
            return replace(
                entry, decision="skip", rule="you", reason="left alone: no full copy of the kept file"
            )

        return replace(self, entries=tuple(decide(entry) for entry in self.entries))


def read_rows(rows: Sequence[Any]) -> tuple[Entry, ...]:
    """Entries from JSON objects; raises `ActionError` for those of the wrong shape."""
    if problems := [p for number, row in enumerate(rows, 1) for p in _row_problems(number, row)]:
        raise ActionError("\n  ".join(["The plan makes no sense, nothing was done:", *_few(problems)]))
    return tuple(
        Entry(**{key: row[key] for key in _KEYS}, extra={k: v for k, v in row.items() if k not in _KEYS})
        for row in rows
    )


def entry_row(entry: Entry) -> dict[str, Any]:
    """The JSON object of an entry."""
    return {**{key: getattr(entry, key) for key in _KEYS}, **entry.extra}


def entry_text(entry: Entry) -> str:
    """The line of an entry, without its indent and comma."""
    return _dump(entry_row(entry))


def plan_text(roots: Iterable[str], extra: Mapping[str, Any], rows: Iterable[str]) -> str:
    """Put the document together from its parts, after a change of a few rows; nothing is checked.

    Parameters
    ----------
    roots, extra
        As of `Plan`.
    rows : iterable of str
        What `entry_text` gave, in order.
    """
    head = _dump({"schema": PLAN_SCHEMA, "roots": list(roots), **extra})
    entries = ",\n".join(f"  {row}" for row in rows)
    return f'{head[:-1]}, "entries": [\n{entries}\n]}}\n'


def roots_of(paths: Iterable[str]) -> tuple[str, ...]:
    """The folders that a plan over these arguments may touch: themselves, or the folder of a file.

    Give the ``--reference`` folders too: kept files lie there. A folder inside another is left out.
    """
    absolute = (os.path.abspath(path) for path in paths)
    roots = dict.fromkeys(path if os.path.isdir(path) else os.path.dirname(path) for path in absolute)
    return tuple(root for root in roots if not any(parent in roots for parent in parents(root)))


def make_plan(roots: Iterable[str], groups: Iterable[Group], *, folder: str = "") -> Plan:
    """The plan of a finished run: the kept file of each group stays, the proposed ones go.

    A version (see `cvsim.types.Version`) is a group of its own here, with a number beyond the others':
    whoever looks through a plan sees each file beside the one that it goes for.

    Parameters
    ----------
    roots : iterable of str
        Absolute folders, from `roots_of`.
    groups : iterable of Group
        Their members carry `proposed` and `reason` (see `cvsim.groups.propose`).
    folder : str
        Where relative paths lie; the working folder if empty.
    """
    groups = list(groups)
    numbers = itertools.count(len(groups) + 1)
    entries = []
    for group in groups:
        of_version = {version.keep: next(numbers) for version in group.versions}
        entries += _entries(group, folder, of_version)
    return Plan(tuple(roots), tuple(entries))


def _entries(group: Group, folder: str, of_version: Mapping[str, int]) -> list[Entry]:
    """The members; those of a version have its number, by the path of its kept file, for their group's."""
    version_of = group.version_of
    own = {path: edge for edge in group.edges for path in _judged(edge, version_of)}
    digests = {member.record.path: member.record.digest for member in group.members}
    rules = {group.keep: group.rule, **{version.keep: version.rule for version in group.versions}}
    entries = []
    for member in group.members:
        record = member.record
        if member.why_away:
            continue  # it can neither be looked at nor vouch for anything
        kept = version_of[record.path]
        extra: dict[str, Any] = {} if member.score is None else {"score": member.score}
        if record.path in own:
            extra = pair_extra(own[record.path], kept, digests[kept], proposed=member.proposed)
        elif record.path in of_version:
            extra = {"score": 1.0}
        elif member.proof is not None:
            extra["proof"] = _proof_document(member.proof, digests[kept], proposed=member.proposed)
        beside = [f"beside it {name}" for name in member.companions]
        if words := [*in_words(member.holds, record.format), *beside]:
            extra["holds"] = words
        if member.indexed:
            extra[INDEXED] = True
        decision: Decision = "keep" if kept == record.path else "remove" if member.proposed else "skip"
        entries.append(
            Entry(
                os.path.abspath(os.path.join(folder, record.path)),
                record.digest,
                record.size_bytes,
                record.mtime_ns,
                of_version.get(kept, group.id),
                decision,
                rules[kept],
                member.reason,
                {**extra, "proposed": decision},
            )
        )
    return sorted(entries, key=lambda entry: (entry.group != group.id, entry.group))


def _judged(edge: ScoredPair, version_of: Mapping[str, str]) -> list[str]:
    """The sides of an edge that it judges: whose kept file is the other side."""
    a, b = edge.pair.a, edge.pair.b
    return [one for one, other in ((a, b), (b, a)) if version_of[one] == other]


def _dump(value: Any) -> str:
    text = _readable(value)
    if text.isascii():
        return text
    # A lone surrogate (a byte that is no UTF-8) cannot be encoded; JSON has an escape for it.
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _few(problems: Sequence[str]) -> list[str]:
    more = len(problems) - _MOST_PROBLEMS
    return [*problems[:_MOST_PROBLEMS], *([f"and {more} more"] if more > 0 else [])]


def _shown(value: Any) -> str:
    """A value that may be anything, short and in one line."""
    return printable(reprlib.repr(value))


def _row_problems(number: int, row: Any) -> Iterable[str]:
    """What is wrong with the shape of one entry."""
    if not isinstance(row, dict):
        yield f"entry {number}: not an object"
        return
    for key in _KEYS:
        if key not in row:
            yield f"entry {number}: {key} is missing"
        elif type(row[key]) is not _TYPES.get(key, str):
            yield f"entry {number}: {key} is {_shown(row[key])}, not {_TYPES.get(key, str).__name__}"


def _problems(plan: Plan) -> list[str]:
    """What is wrong with the meaning of a plan."""
    problems = []
    for root in plan.roots:
        if not is_plain_absolute(root):
            problems.append(f"root {_shown(root)}: not an absolute, plain path")
    folders = tuple(os.path.join(root, "") for root in plan.roots if isinstance(root, str))
    seen: dict[str, int] = {}
    for number, entry in enumerate(plan.entries, 1):
        found = [*_entry_problems(entry, folders)]
        if (first := seen.setdefault(entry.path, number)) != number:
            found.append(f"the path is there twice, first as entry {first}")
        problems += [f"entry {number} ({printable(entry.path)}): {problem}" for problem in found]
    for group, entries in plan.groups.items():
        decisions = {entry.decision for entry in entries}
        if "remove" in decisions and "keep" not in decisions:
            problems.append(f"group {group}: files are to go but none is kept")
    return problems


def _entry_problems(entry: Entry, folders: tuple[str, ...]) -> Iterable[str]:
    if not is_plain_absolute(entry.path):
        yield "the path is not absolute and plain (no '..', '.', '//' or '/' at its end)"
    elif not entry.path.startswith(folders):
        yield "the path lies outside the roots of the plan"
    if entry.decision == "remove" and entry.extra.get(INDEXED):
        yield "it is known from an index, whose files no plan touches; decide keep or skip"
    if entry.decision not in _KNOWN_DECISIONS:
        yield f"the decision is {_shown(entry.decision)}; it can be keep, remove or skip"
    if not is_digest(entry.digest):
        yield "the digest is not 64 lower-case hexadecimal digits"
    if entry.size_bytes < 0:
        yield "the size is negative"
    if entry.group < 1:
        yield "groups are numbered from 1"
    if max(entry.size_bytes, abs(entry.mtime_ns), entry.group) > _LARGEST:
        yield "a number is larger than any size or time"


def pair_extra(edge: ScoredPair, keep: str, kept_digest: str, *, proposed: bool) -> dict[str, Any]:
    """What an entry says of its pair with the kept file.

    Parameters
    ----------
    edge : ScoredPair
    keep, kept_digest : str
        Path and digest of the kept file.
    proposed : bool
        The file is proposed for removal.
    """
    side = edge.contained and getattr(edge.pair, edge.contained)
    contained = side and ("keep" if side == keep else "this")
    extra: dict[str, Any] = {"score": edge.score, "relation": edge.relation}
    extra |= {"changes": list(edge.changes), "contained": contained}
    if edge.proof is not None:
        extra["proof"] = _proof_document(edge.proof, kept_digest, proposed=proposed)
    return extra


def _proof_document(proof: Proof, kept_digest: str, *, proposed: bool) -> dict[str, Any]:
    document: dict[str, Any] = {"state": proof.state, "boxes": [list(box) for box in proof.boxes]}
    document |= {"words": proof.words, "kept": kept_digest}
    if proposed and not proof.is_enough:
        document["asked"] = True  # by --include
    return document


def rests_on_proof(entry: Entry, kept_digests: Collection[str]) -> bool:
    """Whether the entry's proof, or a person, says that it can go while files of these digests are kept."""
    proof = entry.extra.get("proof")
    if proof == BY_HAND:
        return True
    if entry.digest in kept_digests:
        return True
    if not isinstance(proof, Mapping) or not any(proof.get("kept") == one for one in kept_digests):
        return False
    return any(proof.get("state") == state for state in PROVED) or proof.get("asked") is True
