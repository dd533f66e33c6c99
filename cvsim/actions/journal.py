"""The journal: JSON lines, each on the disk before the next thing happens.

First line ``{"schema": "cvsim.journal/1"}``, then one line an event::

    {"event": "run", "id": ..., "action": "trash", "roots": [...], "plan": ..., "at": ...}
    {"event": "start", "step": 1, "action": "trash", "path": ..., "digest": ..., "kept": ..., ...}
    {"event": "done", "step": 1, ...}         or   {"event": "aborted", "step": 1, "reason": ...}
    {"event": "undo", "step": 1}
    {"event": "undone", "step": 1}            or   {"event": "undo-aborted", "step": 1, "reason": ...}

Steps are numbered through the file. One file can hold several runs: applying a plan again goes on where
the last run stopped, and what was undone can be applied again. A last line that a crash tore is dropped:
nothing is ever done before its line is whole and synced.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import platformdirs

from cvsim.errors import ActionError, UsageError
from cvsim.files import write_all
from cvsim.names import printable

JOURNAL_SCHEMA = "cvsim.journal/1"
StepState = Literal["started", "done", "aborted", "undoing", "undone"]
_AFTER: Mapping[str, StepState] = {
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
_NEEDED: Mapping[str, Mapping[str, type]] = {
    "run": {"id": str, "roots": list, "made_folders": list},
    "start": {
        "step": int,
        "run": str,
        "action": str,
        "path": str,
        "digest": str,
        "inode": list,
        "attributes": dict,
    },
}
_NEEDED_BY_ACTION: Mapping[str, Mapping[str, type]] = {
    "trash": {},
    "move": {"target": str, "made_folders": list},
    "hardlink": {"kept": str, "kept_inode": list},
    "symlink": {"kept": str, "link": str},
    "reflink": {"kept": str},
    "delete": {},
    "metadata": {"digest_after": str, "donor": str, "offset": int, "removed": str, "inserted": str},
}

_log = logging.getLogger(__name__)


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


class Journal:
    """A journal that is open, locked and appended to.

    Parameters
    ----------
    path : str
        Made if it does not exist.
    create : bool
        False for undo: a missing journal is an error then.

    Raises
    ------
    UsageError
        There is none and it is not to be made.
    ActionError
        It cannot be opened or is none, or another apply or undo holds it.
    """

    def __init__(self, path: str, *, create: bool = True) -> None:
        self.path = os.path.abspath(path)
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        try:
            self._fd = os.open(path, flags, 0o666)
        except FileNotFoundError as exc:
            raise UsageError(f"The journal {printable(path)} does not exist and cannot be made") from exc
        except OSError as exc:
            raise ActionError(
                f"The journal {printable(path)} cannot be opened ({exc.strerror}); "
                "name another: --journal FILE"
            ) from exc
        try:
            self._lock()
            data, torn = _whole_lines(_read_all(self._fd))
            self.steps, self.runs = _replay(data, self.path)
            if torn:
                os.ftruncate(self._fd, len(data))
            if not data:
                self._append({"schema": JOURNAL_SCHEMA})
                _sync_folder(self.path)
        except BaseException:
            os.close(self._fd)
            raise
        self._run = self.runs[-1]["id"] if self.runs else ""

    def _lock(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise ActionError(
                f"Another cvsim apply or undo is using the journal {printable(self.path)}; wait for it to end"
            ) from exc
        except OSError as exc:
            _log.warning("The journal cannot be locked (%s)", exc.strerror)

    def close(self) -> None:
        """Close the file and give its lock back."""
        os.close(self._fd)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def roots(self) -> list[str]:
        """Every folder that any of its runs worked in."""
        return list(dict.fromkeys(root for run in self.runs for root in run["roots"]))

    def begin(self, action: str, roots: tuple[str, ...], **fields: Any) -> None:
        """Begin a run."""
        run = {
            "event": "run",
            "id": secrets.token_hex(4),
            "action": action,
            "roots": list(roots),
            **fields,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self._append(run)
        self.runs.append(run)
        self._run = run["id"]

    def next_step(self, action: str, path: str, digest: str) -> JournalStep:
        """A step that has a number but no line yet."""
        return JournalStep(len(self.steps) + 1, self._run, action, path, digest, "started")

    def start(self, step: JournalStep, **fields: Any) -> None:
        """Put a step on the disk; only then may it be carried out."""
        step.fields.update(fields)
        line = {"event": "start", "step": step.number, "run": step.run, "action": step.action}
        self._append({**line, "path": step.path, "digest": step.digest, **fields})
        self.steps.append(step)

    def record(self, step: JournalStep, event: str, **fields: Any) -> None:
        """Note what became of a step: done, aborted, undo, undone, undo-aborted."""
        self._append({"event": event, "step": step.number, **fields})
        step.fields.update(fields)
        step.state = _AFTER[event]

    def unsettled(self) -> list[JournalStep]:
        """Steps that a crash left between two events."""
        return [step for step in self.steps if step.state in ("started", "undoing")]

    def _append(self, event: Mapping[str, Any]) -> None:
        end = os.fstat(self._fd).st_size
        try:
            write_all(self._fd, json.dumps(event).encode() + b"\n")
            os.fsync(self._fd)
        except OSError as exc:
            # Half a line is worse than none; the next reader would drop it anyway.
            os.ftruncate(self._fd, end)
            raise ActionError(
                f"The journal {printable(self.path)} cannot be written ({exc.strerror}); stopped. "
                "Make room, then run the same command again: it goes on from here"
            ) from exc


def read_steps(path: str) -> list[JournalStep]:
    """The steps of a journal, read without locking or changing it.

    Raises
    ------
    UsageError
        There is no such file.
    ActionError
        It is no journal.
    """
    try:
        with open(path, "rb") as stream:
            data, _ = _whole_lines(stream.read())
    except OSError as exc:
        raise UsageError(f"The journal {printable(path)} cannot be read: {exc.strerror}") from exc
    return _replay(data, path)[0]


def _read_all(fd: int) -> bytes:
    os.lseek(fd, 0, os.SEEK_SET)
    with open(fd, "rb", closefd=False) as stream:
        return stream.read()


def _whole_lines(data: bytes) -> tuple[bytes, bool]:
    end = data.rfind(b"\n") + 1
    if end < len(data) and end == 0 and not b'{"schema": "cvsim.journal'.startswith(data[:25]):
        raise ActionError("This file is no journal of cvsim; name another: --journal FILE")
    return data[:end], end < len(data)


def _replay(data: bytes, path: str) -> tuple[list[JournalStep], list[dict[str, Any]]]:
    """Steps and runs from the whole lines of a journal."""
    steps: list[JournalStep] = []
    runs: list[dict[str, Any]] = []
    for number, event in _events(data, path):
        kind = event.pop("event")
        if not _is_complete(kind, event):
            raise ActionError(f"Line {number} of the journal {printable(path)} lacks something: {kind}")
        if kind == "run":
            runs.append({"event": "run", **event})
        elif kind == "start" and event["step"] == len(steps) + 1:
            head = {key: event.pop(key) for key in ("run", "action", "path", "digest")}
            steps.append(JournalStep(event.pop("step"), **head, state="started", fields=event))
        elif kind in _AFTER and _may_follow(event, steps, kind):
            step = steps[event.pop("step") - 1]
            step.fields.update(event)
            step.state = _AFTER[kind]
        else:
            raise ActionError(f"Line {number} of the journal {printable(path)} makes no sense there: {kind}")
    return steps, runs


def _is_complete(kind: str, event: Mapping[str, Any]) -> bool:
    """Whether an event holds what undoing needs, in the right types."""
    needed = dict(_NEEDED.get(kind, {"step": int}))
    if kind == "start":
        needed |= _NEEDED_BY_ACTION.get(str(event.get("action")), {"action": type(None)})
    return all(type(event.get(key)) is kind_of for key, kind_of in needed.items())


def _may_follow(event: Mapping[str, Any], steps: list[JournalStep], kind: str) -> bool:
    return 1 <= event["step"] <= len(steps) and steps[event["step"] - 1].state in _ALLOWED[kind]


def _events(data: bytes, path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(data.splitlines(), 1):
        try:
            event = json.loads(line)
            if number == 1:
                if event["schema"] != JOURNAL_SCHEMA:
                    raise ValueError(f"its schema is {event['schema']!r}")
                continue
            if not isinstance(event["event"], str):
                raise ValueError("no event")
        except (ValueError, KeyError, TypeError) as exc:
            if number == 1:
                raise ActionError(
                    f"{printable(path)} is no journal of cvsim; name another: --journal FILE"
                ) from exc
            raise ActionError(f"Line {number} of the journal {printable(path)} is damaged: {exc}") from exc
        yield number, event


def _sync_folder(path: str) -> None:
    fd = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def default_path(plan_path: str) -> str:
    """The journal that lies beside a plan: ``plan.json`` -> ``plan.journal.jsonl``."""
    stem, extension = os.path.splitext(plan_path)
    return f"{stem if extension.lower() == '.json' else plan_path}.journal.jsonl"


def remember(path: str) -> None:
    """Note where a journal lies, so that ``cvsim undo`` finds the newest without being told."""
    index = _index_path()
    line = json.dumps(os.path.abspath(path))
    try:
        os.makedirs(os.path.dirname(index), exist_ok=True)
        with open(index, "a+", encoding="utf-8") as stream:
            stream.seek(0)
            if line not in stream.read().splitlines():
                stream.write(line + "\n")
    except OSError as exc:
        _log.warning("%s cannot be written (%s): name the journal when you undo", index, exc.strerror)


def newest() -> str:
    """The journal that was written last, of those that this user made and that are still there.

    Raises
    ------
    UsageError
        There is no journal that could be undone.
    """
    try:
        with open(_index_path(), encoding="utf-8") as stream:
            known = [json.loads(line) for line in stream if line.strip()]
    except (OSError, ValueError):
        known = []
    there = [path for path in known if os.path.isfile(path)]
    if not there:
        raise UsageError("No journal is known here; name one: cvsim undo JOURNAL")
    newest: str = max(there, key=lambda path: os.stat(path).st_mtime_ns)
    return newest


def _index_path() -> str:
    return os.path.join(platformdirs.user_state_dir("cvsim"), "journals")
