"""What the lines of a journal may say: read strictly, for a stranger may have written them.

Every value is checked before anything uses it: what comes out is a list of steps and runs whose paths are
plain, whose numbers a system call can take, and whose names for temporary files stay in their folder.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cvsim.actions.paths import is_plain_absolute
from cvsim.errors import ActionError
from cvsim.names import printable
from cvsim.types import is_digest

JOURNAL_SCHEMA = "cvsim.journal/1"
StepState = Literal["started", "done", "aborted", "undoing", "undone"]
AFTER: Mapping[str, StepState] = {
    "done": "done",
    "aborted": "aborted",
    "undo": "undoing",
    "undone": "undone",
    "undo-aborted": "done",
}
_ALLOWED: Mapping[str, tuple[StepState, ...]] = {
    "done": ("started",),
    "aborted": ("started",),
    "undo": ("done",),
    "undone": ("undoing",),
    "undo-aborted": ("undoing",),
}
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "run": ("id", "roots", "made_folders"),
    "start": ("step", "run", "action", "path", "digest", "inode", "attributes"),
}
_NEEDED_BY_ACTION: Mapping[str, tuple[str, ...]] = {
    "trash": (),
    "move": ("target", "made_folders"),
    "hardlink": ("kept", "kept_inode"),
    "symlink": ("kept", "link"),
    "reflink": ("kept",),
    "delete": (),
    "metadata": ("digest_after", "donor", "offset", "removed", "inserted"),
}
_RUN_NAME = re.compile("[A-Za-z0-9]{1,32}")
_ATTRIBUTES: Mapping[str, tuple[int, int]] = {
    "mode": (0, 0o7777),
    "uid": (0, 2**32 - 2),
    "gid": (0, 2**32 - 2),
    "atime_ns": (-(2**63), 2**63 - 1),
    "mtime_ns": (-(2**63), 2**63 - 1),
}


def _is_text(value: Any) -> bool:
    return type(value) is str


def _is_number(value: Any, least: int = -(2**63), most: int = 2**63 - 1) -> bool:
    return type(value) is int and least <= value <= most


def _is_time(value: Any) -> bool:
    return value is None or _is_number(value)


def _is_run_name(value: Any) -> bool:
    return type(value) is str and _RUN_NAME.fullmatch(value) is not None


def _is_sha256(value: Any) -> bool:
    return type(value) is str and is_digest(value)


def _are_paths(value: Any) -> bool:
    return type(value) is list and all(map(is_plain_absolute, value))


def _are_real_paths(value: Any) -> bool:
    return type(value) is dict and all(map(is_plain_absolute, [*value, *value.values()]))


def _is_inode(value: Any) -> bool:
    """Device and number; only ever compared."""
    return value is None or (type(value) is list and all(type(one) is int for one in value))


def _is_base64(value: Any) -> bool:
    try:
        return type(value) is str and base64.b64decode(value, validate=True) is not None
    except ValueError:
        return False


def _are_attributes(value: Any) -> bool:
    if type(value) is not dict or set(value) != {*_ATTRIBUTES, "xattrs"}:
        return False
    if not all(_is_number(value[name], *limits) for name, limits in _ATTRIBUTES.items()):
        return False
    xattrs = value["xattrs"]
    return type(xattrs) is dict and all(
        _is_base64(one) and is_plain_absolute(f"/{name.replace('/', '-')}") for name, one in xattrs.items()
    )


def _is_trashed(value: Any) -> bool:
    return (
        type(value) is dict and set(value) == {"path", "info"} and all(map(is_plain_absolute, value.values()))
    )


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "step": lambda value: _is_number(value, 1),
    "run": _is_run_name,
    "id": _is_run_name,
    "roots": _are_paths,
    "made_folders": _are_paths,
    "folder": is_plain_absolute,
    "real": _are_real_paths,
    "action": _is_text,
    "path": is_plain_absolute,
    "digest": _is_sha256,
    "digest_after": _is_sha256,
    "inode": _is_inode,
    "inode_after": _is_inode,
    "kept_inode": _is_inode,
    "attributes": _are_attributes,
    "folder_mtime_ns": _is_time,
    "folder_mtime_after_ns": _is_time,
    "target": is_plain_absolute,
    "kept": is_plain_absolute,
    "donor": is_plain_absolute,
    "link": _is_text,
    "offset": lambda value: _is_number(value, 0),
    "removed": _is_base64,
    "inserted": _is_base64,
    "trashed": _is_trashed,
    "reason": _is_text,
}
"""What a value of this name must be, in whichever event it stands: the later ones win."""


@dataclass(slots=True)
class JournalStep:
    """One change of one file, as far as the journal knows it.

    Attributes
    ----------
    number : int
    run : str
        Names the run; temporary names are made from it.
    action : str
        ``"trash"``, ``"move"``, ``"hardlink"``, ``"symlink"``, ``"reflink"``, ``"delete"`` or
        ``"metadata"``.
    path : str
        The file that is changed.
    digest : str
        Digest of its content before the step.
    state : str
    fields : mapping
        Everything else that its events said, later ones winning.
    """

    number: int
    run: str
    action: str
    path: str
    digest: str
    state: StepState
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def new_name(self) -> str:
        """Name a file that is being made in the folder of `path` or of its target."""
        return f".cvsim-{self.run}-{self.number}.new"

    @property
    def old_name(self) -> str:
        """Name the file that was at `path`, until the step is through."""
        return f".cvsim-{self.run}-{self.number}.old"


def replay(data: bytes, path: str) -> tuple[list[JournalStep], list[dict[str, Any]]]:
    """Steps and runs from the whole lines of a journal.

    Parameters
    ----------
    data : bytes
    path : str
        Of the journal, for messages.

    Raises
    ------
    ActionError
        It is no journal, or a line of it is damaged or makes no sense.
    """
    steps: list[JournalStep] = []
    runs: list[dict[str, Any]] = []
    for number, event in _events(data, path):
        kind = event.pop("event")
        if fault := _fault(kind, event):
            raise ActionError(f"Line {number} of the journal {printable(path)} has no good value for {fault}")
        if kind == "run":
            runs.append({"event": "run", **event})
        elif kind == "start" and event["step"] == len(steps) + 1 and _is_known_run(event["run"], runs):
            head = {key: event.pop(key) for key in ("run", "action", "path", "digest")}
            steps.append(JournalStep(event.pop("step"), **head, state="started", fields=event))
        elif kind in AFTER and _may_follow(event, steps, kind):
            step = steps[event.pop("step") - 1]
            step.fields.update(event)
            step.state = AFTER[kind]
        else:
            shown = printable(kind[:20])
            raise ActionError(f"Line {number} of the journal {printable(path)} makes no sense there: {shown}")
    return steps, runs


def _fault(kind: str, event: Mapping[str, Any]) -> str:
    """The name of a value that is missing or no such value; empty if all is well."""
    needed = _NEEDED.get(kind, ("step",))
    if kind == "start":
        action = event.get("action")
        if not isinstance(action, str) or action not in _NEEDED_BY_ACTION:
            return "action"
        needed += _NEEDED_BY_ACTION[action]
    for name in needed:
        if event.get(name) is None:
            return name
    return next((name for name, check in _CHECKS.items() if name in event and not check(event[name])), "")


def _is_known_run(name: str, runs: list[dict[str, Any]]) -> bool:
    return any(run["id"] == name for run in reversed(runs))


def _may_follow(event: Mapping[str, Any], steps: list[JournalStep], kind: str) -> bool:
    return event["step"] <= len(steps) and steps[event["step"] - 1].state in _ALLOWED[kind]


def _events(data: bytes, path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        try:
            event = json.loads(line)
            if number == 1:
                if event["schema"] != JOURNAL_SCHEMA:
                    raise ValueError("another schema")
                continue
            if not isinstance(event["event"], str):
                raise ValueError("no event")
        except (ValueError, KeyError, TypeError, RecursionError) as exc:
            if number == 1:
                raise ActionError(
                    f"{printable(path)} is no journal of cvsim; name another: --journal FILE"
                ) from exc
            raise ActionError(f"Line {number} of the journal {printable(path)} is damaged: {exc}") from exc
        event.pop("mac", None)
        yield number, event
