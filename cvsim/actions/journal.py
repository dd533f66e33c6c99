"""The journal: JSON lines, each on the disk before the next thing happens.

First line ``{"schema": "cvsim.journal/1"}``, then one line an event::

    {"event": "run", "id": ..., "action": "trash", "roots": [...], "plan": ..., "at": ...}
    {"event": "start", "step": 1, "action": "trash", "path": ..., "digest": ..., "kept": ..., ...}
    {"event": "done", "step": 1, ...}         or   {"event": "aborted", "step": 1, "reason": ...}
    {"event": "undo", "step": 1}
    {"event": "undone", "step": 1}            or   {"event": "undo-aborted", "step": 1, "reason": ...}

Steps are numbered through the file. One file can hold several runs: applying a plan again goes on where
the last run stopped, and what was undone can be applied again. A last line that a crash tore is dropped:
nothing is ever done before its line is whole and synced. Each line ends with a ``mac``, by which the user's
own journals are known (see `cvsim.actions.authenticity`).
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import platformdirs

from cvsim.actions.authenticity import chain_of, new_chain
from cvsim.actions.journal_events import AFTER, JOURNAL_SCHEMA, JournalStep, replay
from cvsim.errors import ActionError, UsageError
from cvsim.files import write_all
from cvsim.names import printable

_log = logging.getLogger(__name__)


class Journal:
    """A journal that is open, locked and appended to.

    Parameters
    ----------
    path : str
        Made if it does not exist.
    create : bool
        False for undo: a missing journal is an error then.
    trust : bool
        Take one too that is not this user's own, or was changed; what is added to it is not signed.

    Raises
    ------
    UsageError
        There is none and it is not to be made.
    ActionError
        It cannot be opened or is none, or is not this user's own, or another apply or undo holds it.
    """

    def __init__(self, path: str, *, create: bool = True, trust: bool = False) -> None:
        self.path = os.path.abspath(path)
        fresh = new_chain() if create else None
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
            self.steps, self.runs = replay(data, self.path)
            self._chain = chain_of(data) if data else fresh
            if data and self._chain is None and not trust:
                raise ActionError(_unknown(self.path, create))
            if torn:
                os.ftruncate(self._fd, len(data))
            if create and not data:
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
    def is_own(self) -> bool:
        """Whether this user's key has signed all of it."""
        return self._chain is not None

    @property
    def roots(self) -> list[str]:
        """Every folder that any of its runs worked in."""
        return list(dict.fromkeys(root for run in self.runs for root in run["roots"]))

    def begin(self, action: str, roots: tuple[str, ...], folder: str | None, **fields: Any) -> None:
        """Begin a run; `folder` is the one that ``move`` moves to."""
        known = [*roots, *([folder] if folder else [])]
        run = {
            "event": "run",
            "id": secrets.token_hex(4),
            "action": action,
            "roots": list(roots),
            **({"folder": folder} if folder else {}),
            # Where a link was part of a path, it must lead to the same place when this is taken back.
            "real": {one: os.path.realpath(one) for one in known if os.path.realpath(one) != one},
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
        step.state = AFTER[event]

    def unsettled(self) -> list[JournalStep]:
        """Steps that a crash left between two events."""
        return [step for step in self.steps if step.state in ("started", "undoing")]

    def _append(self, event: Mapping[str, Any]) -> None:
        end = os.fstat(self._fd).st_size
        line = json.dumps(event).encode()
        if self._chain is not None:
            line = self._chain.signed(line)
        try:
            write_all(self._fd, line + b"\n")
            os.fsync(self._fd)
        except OSError as exc:
            # Half a line is worse than none; the next reader would drop it anyway.
            os.ftruncate(self._fd, end)
            raise ActionError(
                f"The journal {printable(self.path)} cannot be written ({exc.strerror}); stopped. "
                "Make room, then run the same command again: it goes on from here"
            ) from exc
        if self._chain is not None:
            self._chain.follow(line)


def read_steps(path: str, *, trust: bool = False) -> list[JournalStep]:
    """The steps of a journal, read without locking or changing it.

    Parameters
    ----------
    path : str
    trust : bool
        Take one too that is not this user's own.

    Raises
    ------
    UsageError
        There is no such file.
    ActionError
        It is no journal, or not this user's own.
    """
    try:
        with open(path, "rb") as stream:
            data, _ = _whole_lines(stream.read())
    except OSError as exc:
        raise UsageError(f"The journal {printable(path)} cannot be read: {exc.strerror}") from exc
    steps, _ = replay(data, path)
    if data and not trust and chain_of(data) is None:
        raise ActionError(_unknown(path, create=True))
    return steps


def _unknown(path: str, create: bool) -> str:
    """Refuse a journal that is not this user's own."""
    what = f"The journal {printable(path)} was not written by your cvsim, or was changed since"
    if create:
        return f"{what}; name another: --journal FILE"
    return f"{what}; nothing was done. If you know what it says, undo it with --trust"


def _read_all(fd: int) -> bytes:
    os.lseek(fd, 0, os.SEEK_SET)
    with open(fd, "rb", closefd=False) as stream:
        return stream.read()


def _whole_lines(data: bytes) -> tuple[bytes, bool]:
    end = data.rfind(b"\n") + 1
    if end < len(data) and end == 0 and not b'{"schema": "cvsim.journal'.startswith(data[:25]):
        raise ActionError("This file is no journal of cvsim; name another: --journal FILE")
    return data[:end], end < len(data)


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
    except (OSError, ValueError, RecursionError):
        known = []
    there = [path for path in known if os.path.isfile(path)]
    if not there:
        raise UsageError("No journal is known here; name one: cvsim undo JOURNAL")
    newest: str = max(there, key=lambda path: os.stat(path).st_mtime_ns)
    return newest


def _index_path() -> str:
    return os.path.join(platformdirs.user_state_dir("cvsim"), "journals")
