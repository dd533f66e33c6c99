"""Remembered answers: what a person said about two pictures, so that nobody asks twice.

A text file of JSON lines, keyed by the content of the two files, so that it survives renames and can be
carried to another machine::

    {"schema": "cvsim.decisions/1"}
    {"answer": "not-a-duplicate", "a": "<sha256>", "b": "<sha256>", "names": ["x.jpg", "y.jpg"], "at": "..."}

The last answer about a pair counts; ``"forget"`` takes one back. How the pipeline honours them::

    decisions = Decisions.load(settings.decisions)
    pairs = decisions.separate(scored_pairs, digest_by_path)        # before clustering
    proposals = propose(..., decisions=decisions)                   # within each group

``not-a-duplicate`` cuts the link between the two; should a third picture still join them, neither is
proposed for removal because of it. ``keep-both`` leaves the group as it is and proposes neither.
"""

from __future__ import annotations

import json
import os
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from cvsim.errors import ActionError
from cvsim.files import write_all
from cvsim.names import printable
from cvsim.types import ScoredPair, is_digest

DECISIONS_SCHEMA = "cvsim.decisions/1"
Answer = Literal["not-a-duplicate", "keep-both", "forget"]


@dataclass(slots=True)
class Decisions:
    """Answers by the digests of the two files, smaller first; see `load` and `remember`."""

    answers: dict[tuple[str, str], Answer]
    _asked: set[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._asked = {digest for pair in self.answers for digest in pair}

    @classmethod
    def load(cls, path: str | None) -> Decisions:
        """Read a decisions file; none yet is an empty one.

        Raises
        ------
        ActionError
            It cannot be read, or a line of it makes no sense.
        """
        answers: dict[tuple[str, str], Answer] = {}
        if path is None:
            return cls(answers)
        try:
            with open(path, "rb") as stream:
                lines = stream.read().split(b"\n")
        except FileNotFoundError:
            return cls(answers)
        except OSError as exc:
            raise ActionError(f"The decisions in {printable(path)} cannot be read: {exc.strerror}") from exc
        torn = lines.pop()  # what follows the last line end: empty, or half a line of a crash
        if torn.strip() and _is_whole(torn):
            lines.append(torn)
        for number, line in enumerate(lines, 1):
            if line.strip():
                _read_line(answers, line, f"Line {number} of {printable(path)}")
        return cls(answers)

    def concern(self, digest: str) -> bool:
        """Whether anything was ever said about this content: of most, in a group of thousands, it was not."""
        return digest in self._asked

    def answer(self, digest_a: str, digest_b: str) -> Answer | None:
        """What was said about two contents, in either order; None if nothing was."""
        said = self.answers.get(_key(digest_a, digest_b))
        return None if said == "forget" else said

    def separate(self, pairs: Iterable[ScoredPair], digests: Mapping[str, str]) -> list[ScoredPair]:
        """The pairs without those that are not duplicates.

        Parameters
        ----------
        pairs : iterable of ScoredPair
        digests : mapping of str to str
            Path -> digest, of both sides of each pair.
        """
        if not self.answers:
            return list(pairs)
        return [
            pair
            for pair in pairs
            if self.answer(digests[pair.pair.a], digests[pair.pair.b]) != "not-a-duplicate"
        ]

    def remember(
        self, path: str, answer: Answer, digest_a: str, digest_b: str, names: tuple[str, str] = ("", "")
    ) -> None:
        """Note an answer here and, synced, at the end of the file; the file is made if there is none.

        Raises
        ------
        ActionError
            The file cannot be written, or the answer makes no sense.
        """
        if answer not in get_args(Answer) or not (is_digest(digest_a) and is_digest(digest_b)):
            raise ActionError(
                f"{answer!r} is no answer about two digests; there are: {', '.join(get_args(Answer))}"
            )
        if answer == "not-a-duplicate" and digest_a == digest_b:
            raise ActionError("These files are the same, byte for byte; to leave them alone answer keep-both")
        (a, name_a), (b, name_b) = sorted(((digest_a, names[0]), (digest_b, names[1])))
        row = {"answer": answer, "a": a, "b": b, "names": [name_a, name_b]}
        row["at"] = datetime.now(UTC).isoformat(timespec="seconds")
        _append(path, row)
        self.answers[a, b] = answer
        self._asked |= {a, b}


def _key(digest_a: str, digest_b: str) -> tuple[str, str]:
    return (digest_a, digest_b) if digest_a <= digest_b else (digest_b, digest_a)


def _is_whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    except RecursionError:  # no crash leaves half a line that is nested so deeply
        return True
    return True


def _read_line(answers: dict[tuple[str, str], Answer], line: bytes, where: str) -> None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise ActionError(f"{where} is damaged: {exc}") from exc
    if not isinstance(row, dict):
        raise ActionError(f"{where} is no answer: {_shown(row)}")
    if "schema" in row:
        if row["schema"] != DECISIONS_SCHEMA:
            raise ActionError(
                f"{where} is of schema {_shown(row['schema'])}; this cvsim knows {DECISIONS_SCHEMA!r}"
            )
        return
    if row.get("answer") not in get_args(Answer):
        raise ActionError(
            f"{where}: the answer is {_shown(row.get('answer'))}; there are: {', '.join(get_args(Answer))}"
        )
    sides = str(row.get("a")), str(row.get("b"))
    if not all(map(is_digest, sides)):
        raise ActionError(f"{where}: a and b must be digests of 64 lower-case hexadecimal digits")
    answers[_key(*sides)] = row["answer"]


def _shown(value: Any) -> str:
    """A value that may be anything, short and in one line."""
    return printable(reprlib.repr(value))


def _append(path: str, row: Mapping[str, Any]) -> None:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            end = os.fstat(fd).st_size
            text = "" if end else json.dumps({"schema": DECISIONS_SCHEMA}) + "\n"
            if end and os.pread(fd, 1, end - 1) != b"\n":
                last = os.pread(fd, end, 0).rpartition(b"\n")[2]
                if _is_whole(last):
                    text = "\n"  # edited by hand, without a line end
                else:
                    os.ftruncate(fd, end - len(last))
            write_all(fd, (text + json.dumps(row) + "\n").encode())
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as exc:
        raise ActionError(f"The decisions in {printable(path)} cannot be written: {exc.strerror}") from exc
