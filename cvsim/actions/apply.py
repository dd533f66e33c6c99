"""Carrying out a plan: every file is checked when its turn comes, every step can be taken back.

For each group, in order: every kept file is opened, compared with its digest and decoded in full. If one
of them fails, the group is left alone. Then each file that is to go is opened and compared, and goes. One
that has changed, was replaced, or is gone is skipped and said.

Applying again goes on where the last run stopped: what the journal knows as done is not done twice.
"""

from __future__ import annotations

import base64
import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from cvsim.actions import steps
from cvsim.actions.beside import Companion
from cvsim.actions.companions import Companions
from cvsim.actions.filesystem import CheckedFile, FolderTree, RefusedError, locked
from cvsim.actions.journal import Journal, read_steps, remember
from cvsim.actions.journal_events import JournalStep
from cvsim.actions.metadata import Capture, add_capture, read_capture, sha256
from cvsim.actions.places import roots_tree
from cvsim.actions.plan import BY_HAND, Entry, Plan, rests_on_proof
from cvsim.actions.settle import settle_all
from cvsim.errors import ActionError, CvsimError, SettingsError
from cvsim.files import JsonResult
from cvsim.images.decode import decode
from cvsim.names import folded, is_listed, printable
from cvsim.progress import Progress, SilentProgress

ACTIONS = ("trash", "move", *steps.LINKS, "delete")
EntryStatus = Literal["done", "would", "already", "skipped"]
_FULL_SIZE_PX = 2**31
_UNPROVED = (
    "nothing proves that the kept file holds all of it; look at it with cvsim review, or, if you are sure, "
    f'write "proof": "{BY_HAND}" into its line of the plan'
)


@dataclass(frozen=True, slots=True)
class Action:
    """What is to become of the files that go.

    Attributes
    ----------
    name : str
        One of `ACTIONS`.
    folder : str or None
        Absolute, of ``move``.
    """

    name: str
    folder: str | None = None

    @classmethod
    def parse(cls, text: str) -> Action:
        """Read ``"trash"``, ``"move:DIR"``, ...; raises `SettingsError` for anything else."""
        name, colon, folder = text.partition(":")
        if name not in ACTIONS or (name == "move") != bool(folder) or (colon and name != "move"):
            known = ", ".join("move:DIR" if one == "move" else one for one in ACTIONS)
            raise SettingsError(f"Unknown action {text!r}; choose from: {known}")
        return cls(name, os.path.abspath(os.path.expanduser(folder)) if folder else None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file.

    Attributes
    ----------
    path : str
    status : {"done", "would", "already", "skipped"}
        ``would``: in a dry run, nothing stands against it. ``already``: done by an earlier run.
    reason : str
        Why it was skipped, or where it went.
    size_bytes : int
    group : int
    """

    path: str
    status: EntryStatus
    reason: str
    size_bytes: int
    group: int


@dataclass(frozen=True, slots=True)
class Applied(JsonResult):
    """The result of `apply_plan`.

    Attributes
    ----------
    action : str
    journal : str or None
        None in a dry run.
    outcomes : tuple of Outcome
        In the order of the plan, companions after their picture.
    settled : tuple of str
        Files whose step an earlier run had left half-done.
    """

    action: str
    journal: str | None
    outcomes: tuple[Outcome, ...]
    settled: tuple[str, ...] = ()

    def count(self, status: EntryStatus) -> int:
        """Count the entries that ended so."""
        return sum(outcome.status == status for outcome in self.outcomes)

    @property
    def done_bytes(self) -> int:
        """Add up the sizes of the files that were removed."""
        return sum(outcome.size_bytes for outcome in self.outcomes if outcome.status in ("done", "would"))

    def document(self) -> dict[str, Any]:
        """What ``cvsim apply --json`` prints."""
        return {
            "schema": "cvsim.applied/1",
            "action": self.action,
            "journal": self.journal,
            "counts": {status: self.count(status) for status in get_args(EntryStatus)},
            "bytes": self.done_bytes,
            "settled": list(self.settled),
            "outcomes": [asdict(outcome) for outcome in self.outcomes],
        }


def _no_checkpoint(_word: str) -> None:
    pass


def apply_plan(
    plan: Plan,
    action: str,
    journal: str,
    *,
    dry_run: bool = False,
    carry_metadata: bool = False,
    own_files: Collection[str] = (),
    progress: Progress | None = None,
    checkpoint: Callable[[str], None] = _no_checkpoint,
) -> Applied:
    """Carry out a plan.

    Parameters
    ----------
    plan : Plan
    action : str
        ``"trash"``, ``"move:DIR"``, ``"hardlink"``, ``"symlink"``, ``"reflink"`` or ``"delete"``.
    journal : str
        File to write, usually `cvsim.actions.journal.default_path` of the plan's file. One that exists
        is continued.
    dry_run : bool
        Check everything, change nothing, write no journal.
    carry_metadata : bool
        Before a file goes, give its EXIF date and position to the kept file, if that has none.
    own_files : collection of str
        Absolute paths of cvsim's own files (the plan), which are nobody's sidecars.
    progress : Progress, optional
    checkpoint : callable
        Called between any two changes of the disk; for tests.

    Raises
    ------
    SettingsError
        The action is unknown, or does not go with `carry_metadata`.
    ActionError
        The journal or a root cannot be used, or another apply or undo is at work. A journal that is not
        the user's own is not continued.
    """
    chosen = Action.parse(action)
    if carry_metadata and chosen.name in steps.LINKS:
        raise SettingsError(f"{chosen.name} is for identical files, which have no metadata to carry over")
    if chosen.folder in plan.roots:
        raise SettingsError("move needs a folder other than the ones that were scanned")
    own = {os.path.abspath(path) for path in (*own_files, journal)}
    with contextlib.ExitStack() as stack:
        tree = stack.enter_context(FolderTree(plan.roots))
        run = PlanRun(plan, chosen, tree, carry_metadata, own)
        settled: Sequence[JournalStep] = ()
        if dry_run:
            run.learn(read_steps(journal) if os.path.exists(journal) else [])
        else:
            stack.enter_context(locked(plan.roots))
            log = stack.enter_context(Journal(journal))
            remember(log.path)
            if log.unsettled():
                with roots_tree(log) as earlier:
                    settled = settle_all(earlier, log)
            run.learn(log.steps)
            made = _make_folder(chosen.folder)
            log.begin(action, plan.roots, chosen.folder, made_folders=made)
            run.work = steps.StepWork(tree, log, checkpoint)
            if chosen.folder is not None:
                run.targets = stack.enter_context(FolderTree([chosen.folder]))
        outcomes = tuple(run.all(progress or SilentProgress()))
    return Applied(action, None if dry_run else journal, outcomes, tuple(step.path for step in settled))


def _make_folder(folder: str | None) -> list[str]:
    """Make the folder of ``move``; returns those that did not exist, the outermost first."""
    missing = []
    part = folder
    while part and not os.path.lexists(part):
        missing.append(part)
        part = os.path.dirname(part)
    try:
        if folder is not None:
            os.makedirs(folder, exist_ok=True)
    except OSError as exc:
        raise ActionError(f"The folder {printable(folder or '')} cannot be made: {exc.strerror}") from exc
    return missing[::-1]


@dataclass(slots=True)
class PlanRun:
    """One run over a plan. Without `work`, it is a dry one."""

    plan: Plan
    action: Action
    tree: FolderTree
    carry: bool
    own_files: Collection[str]
    work: steps.StepWork | None = None
    targets: FolderTree | None = None
    taken: set[str] = field(default_factory=set)
    belongings: Companions = field(init=False)
    latest: dict[str, JournalStep] = field(default_factory=dict)
    rewritten: dict[str, set[str]] = field(default_factory=dict)
    kept_inodes: dict[tuple[int, int], str] = field(default_factory=dict)
    kept_spellings: dict[str, str] = field(default_factory=dict)

    def learn(self, known: Sequence[JournalStep]) -> None:
        """Take in what earlier runs did."""
        self.latest = {step.path: step for step in known if step.action != "metadata"}
        for step in known:
            if step.action == "metadata" and step.state == "done":
                self.rewritten.setdefault(step.path, set()).add(step.fields["digest_after"])

    def all(self, progress: Progress) -> Iterator[Outcome]:
        """Carry out all entries, one after the other."""
        leaving = {entry.path for entry in self.plan.entries if entry.decision == "remove"}
        staying = {entry.path for entry in self.plan.entries if entry.decision != "remove"}
        goes_along = self.action.name in ("trash", "move")
        self.belongings = Companions(self.tree, leaving, staying, self.own_files, goes_along)
        self._know_kept()
        with progress.task("Applying", len(leaving)) as advance:
            for entries in self.plan.groups.values():
                removed = [entry for entry in entries if entry.decision == "remove"]
                if removed:
                    yield from self._group(removed, [entry for entry in entries if entry.decision == "keep"])
                    advance(len(removed))

    def _know_kept(self) -> None:
        """Know the files that stay by inode and by folded name, for one of them may be named once more."""
        for entry in self.plan.entries:
            if entry.decision != "remove":
                with contextlib.suppress(OSError):
                    status = os.stat(entry.path)
                    self.kept_inodes[status.st_dev, status.st_ino] = entry.path
                    self.kept_spellings[folded(entry.path)] = entry.path

    def _same_file(self, file: CheckedFile) -> str | None:
        """The path of a kept file that is this very file under another name or another spelling."""
        other = self.kept_spellings.get(folded(file.path))
        if other is not None and not (is_listed(other) and is_listed(file.path)):
            return other
        return self.kept_inodes.get(file.inode)

    def _group(self, removed: Sequence[Entry], kept: Sequence[Entry]) -> Iterator[Outcome]:
        todo = []
        for entry in removed:
            if not self._is_done(entry):
                todo.append(entry)
                continue
            yield Outcome(entry.path, "already", "done by an earlier run", entry.size_bytes, entry.group)
            with contextlib.suppress(RefusedError):
                yield from self._take_along(entry, self._companions(entry, kept))
        if not todo:
            return
        with contextlib.ExitStack() as stack:
            try:
                vouchers = [KeptFile.of(self, entry, stack) for entry in kept]
            except RefusedError as exc:
                for entry in todo:
                    yield Outcome(entry.path, "skipped", str(exc), entry.size_bytes, entry.group)
                return
            for entry in todo:
                yield from self._entry(entry, vouchers)

    def _is_done(self, entry: Entry) -> bool:
        """Done by an earlier run, and not put back by hand since."""
        latest = self.latest.get(entry.path)
        if latest is None or latest.state != "done" or latest.digest != entry.digest:
            return False
        return latest.action in steps.LINKS or not os.path.lexists(entry.path)

    def _entry(self, entry: Entry, vouchers: list[KeptFile]) -> Iterator[Outcome]:
        try:
            with self.tree.open_checked(entry.path, {entry.digest}) as file:
                self._check(file, vouchers)
                if not rests_on_proof(entry, {voucher.entry.digest for voucher in vouchers}):
                    raise RefusedError(_UNPROVED)
                belongings = self._companions(entry, [voucher.entry for voucher in vouchers])
                if self.carry:
                    self._carry_metadata(file, vouchers[0])
                reason = self._remove(file, vouchers, entry.group)
        except (RefusedError, OSError) as exc:
            yield Outcome(entry.path, "skipped", _words(exc), entry.size_bytes, entry.group)
            return
        yield Outcome(entry.path, self._ended, reason, entry.size_bytes, entry.group)
        yield from self._take_along(entry, belongings)

    @property
    def _ended(self) -> EntryStatus:
        return "would" if self.work is None else "done"

    def _check(self, file: CheckedFile, vouchers: Sequence[KeptFile]) -> None:
        """Everything that stands against letting this file go."""
        if same := self._same_file(file):
            raise RefusedError(
                f"it is the same file as {printable(same)}, under another name; nothing to gain"
            )
        for voucher in vouchers:
            if not voucher.file.is_unchanged():
                raise RefusedError(f"the kept file {printable(voucher.entry.path)} has just changed")
        if any(file.digest == voucher.file.digest for voucher in vouchers):
            return
        if self.action.name in steps.LINKS:
            raise RefusedError(
                f"{self.action.name} is for identical files only, and its bytes differ from the kept file's; "
                "trash or move it"
            )
        for voucher in vouchers:
            # One that was given a date by an earlier run is still a copy of what the plan knew.
            if voucher.damaged and file.digest != voucher.entry.digest:
                raise RefusedError(f"the kept file {printable(voucher.entry.path)} is damaged")

    def _remove(self, file: CheckedFile, vouchers: Sequence[KeptFile], group: int) -> str:
        """Let a checked file go; returns where to."""
        name = self.action.name
        target = self._free_target(file.path) if self.action.folder else ""
        if self.work is None:
            return f"to {printable(target)}" if target else name
        if name == "move":
            assert self.targets is not None
            steps.move(self.work, file, self.targets, target, group=group, kept=vouchers[0].entry.path)
            return f"to {printable(target)}"
        if name == "trash":
            steps.trash(self.work, file, group=group, kept=vouchers[0].entry.path)
        elif name == "delete":
            steps.delete(self.work, file, group=group, kept=vouchers[0].entry.path)
        else:
            twin = next(one for one in vouchers if one.file.digest == file.digest)
            steps.link(self.work, name, file, twin.file, group=group)
        return name

    def _free_target(self, path: str) -> str:
        """Tell where ``move`` puts a file: at its place below its root, numbered if that is taken."""
        assert self.action.folder is not None
        root, rest = self.tree.relative(path)
        names = [os.path.basename(one) for one in self.plan.roots]
        label = names[self.plan.roots.index(root)]
        if len(names) > 1:
            twins = [one for one in self.plan.roots if os.path.basename(one) == label]
            rest = os.path.join(label if len(twins) == 1 else f"{label}-{twins.index(root) + 1}", rest)
        stem, extension = os.path.splitext(os.path.join(self.action.folder, rest))
        target, number = stem + extension, 1
        while target in self.taken or os.path.lexists(target):
            number += 1
            target = f"{stem} ({number}){extension}"
        self.taken.add(target)
        return target

    # ---- Files that belong to a picture ----

    def _companions(self, entry: Entry, kept: Sequence[Entry]) -> list[Companion]:
        if self.action.name in steps.LINKS:
            return []
        return self.belongings.going_with(entry.path, [one.path for one in kept])

    def _take_along(self, entry: Entry, belongings: Sequence[Companion]) -> Iterator[Outcome]:
        for one in belongings:
            size_bytes = 0
            try:
                with self.tree.open_checked(one.path, None) as file:
                    size_bytes = file.stat.st_size
                    reason = self._remove_companion(file, entry)
                status = self._ended
            except (RefusedError, OSError) as exc:
                status, reason = "skipped", _words(exc)
            words = f"{reason}; with {printable(os.path.basename(entry.path))}"
            yield Outcome(one.path, status, words, size_bytes, entry.group)

    def _remove_companion(self, file: CheckedFile, entry: Entry) -> str:
        target = self._free_target(file.path) if self.action.folder else ""
        fields = {"group": entry.group, "companion_of": entry.path}
        if self.work is not None:
            if self.action.name == "move":
                assert self.targets is not None
                steps.move(self.work, file, self.targets, target, **fields)
            elif self.action.name == "trash":
                steps.trash(self.work, file, **fields)
            else:
                steps.delete(self.work, file, **fields)
        return f"to {printable(target)}" if target else self.action.name

    # ---- Date and position ----

    def _carry_metadata(self, file: CheckedFile, voucher: KeptFile) -> None:
        """Give the kept file what only this one knows; raises `RefusedError` if that cannot be done."""
        if file.digest == voucher.file.digest:
            return
        data = voucher.file.read()
        capture: Capture = read_capture(file.read()).lacking_in(read_capture(data))
        if not capture:
            return
        splice = add_capture(data, capture)
        if self.work is None:
            return
        after = splice.apply(data)
        steps.rewrite(
            self.work,
            voucher.file,
            after,
            sha256(after),
            donor=file.path,
            offset=splice.offset,
            removed=base64.b64encode(splice.removed).decode(),
            inserted=base64.b64encode(splice.inserted).decode(),
        )
        voucher.reopen(sha256(after))


def _words(exc: Exception) -> str:
    return f"{exc.strerror or exc}; left alone" if isinstance(exc, OSError) else str(exc)


@dataclass(slots=True)
class KeptFile:
    """A kept file, open and checked, in whose name the others go."""

    run: PlanRun
    entry: Entry
    file: CheckedFile
    damaged: bool
    stack: contextlib.ExitStack

    @classmethod
    def of(cls, run: PlanRun, entry: Entry, stack: contextlib.ExitStack) -> KeptFile:
        """Open, compare and decode; raises `RefusedError` if it cannot vouch for anything."""
        digests = {entry.digest} | run.rewritten.get(entry.path, set())
        name = printable(entry.path)
        try:
            file = stack.enter_context(run.tree.open_checked(entry.path, digests))
            damaged = decode(file.read(), longest_px=_FULL_SIZE_PX).damaged
        except RefusedError as exc:
            raise RefusedError(f"the kept file {name} cannot vouch for it: {exc}") from exc
        except (CvsimError, OSError) as exc:
            raise RefusedError(f"the kept file {name} cannot be decoded: {exc}") from exc
        return cls(run, entry, file, damaged, stack)

    def reopen(self, digest: str) -> None:
        """After its content was replaced."""
        self.file = self.stack.enter_context(self.run.tree.open_checked(self.entry.path, {digest}))
