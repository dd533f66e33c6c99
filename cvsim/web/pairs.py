"""What is known of files and of two of them: from the pipeline, remembered for the life of a page."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cvsim.actions.plan import INDEXED, Entry
from cvsim.errors import ImageError
from cvsim.executors import LocalExecutor
from cvsim.groups.decisions import Decisions
from cvsim.groups.keep import KeepRules
from cvsim.groups.propose import CHOSEN_BY_HAND, Choice, parse_include
from cvsim.images.scan import scan
from cvsim.progress import SilentProgress
from cvsim.reading.files import read_files
from cvsim.reading.nodes import under_any
from cvsim.recipes.compare import compare, same_content
from cvsim.recipes.scoring_plan import scoring_plan
from cvsim.settings import Settings
from cvsim.stores import open_run_store
from cvsim.types import ImageRecord, Pair, ScoredPair

Stamp = tuple[int, int, int, int]
"""What changes when a file does."""
_MOST_REMEMBERED = 5000


def _stamp(path: str) -> Stamp | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@dataclass(frozen=True, slots=True)
class Facts:
    """What the files of a group are now.

    Attributes
    ----------
    records : mapping of str to ImageRecord
        What is known of each file that holds what the plan says, by path.
    missing : mapping of str to str
        Path -> why there is no record.
    """

    records: Mapping[str, ImageRecord]
    missing: Mapping[str, str]


class Pairs:
    """Looks at files and compares them. For several threads; one works at a time.

    Parameters
    ----------
    settings : Settings
        Those of the run that made the plan: pairs get the scores that it gave.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._plan = scoring_plan(settings)
        self.threshold = self._plan.threshold
        self.rules = KeepRules.parse(settings.keep_rules)
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[Stamp, ImageRecord]] = {}
        self._known: OrderedDict[tuple[str, str], ScoredPair] = OrderedDict()

    def facts(self, entries: Sequence[Entry]) -> Facts:
        """Look at the files of a group; those that have not changed since the last look are only asked so."""
        digests = {entry.path: entry.digest for entry in entries}
        with self._lock:
            known = {
                p: self._seen[p][1] for p in digests if p in self._seen and self._seen[p][0] == _stamp(p)
            }
            missing = self._read([path for path in digests if path not in known], known)
        for path, record in known.items():
            if record.digest != digests[path]:
                missing[path] = "it has changed since it was looked at"
        return Facts({path: r for path, r in known.items() if path not in missing}, missing)

    def _read(self, paths: Sequence[str], known: dict[str, ImageRecord]) -> dict[str, str]:
        """Add records of files that are read, or found unchanged in the cache; why others have none."""
        if not paths:
            return {}
        stamps = {path: _stamp(path) for path in paths}
        store = open_run_store(self.settings.cache)
        try:
            found = scan((), listed=paths, **self.settings.scan.keywords)
            with LocalExecutor(self.settings.n_workers) as executor:
                reading = read_files(
                    found, self._plan.features, store, executor=executor, progress=SilentProgress()
                )
        finally:
            store.close()
        for record in reading.records:
            known[record.path] = record
            if (stamp := stamps[record.path]) is not None:
                self._seen[record.path] = stamp, record
        reasons = dict.fromkeys((p for p in paths if p not in known), "it is not there any more")
        reasons |= {item.path: item.reason for item in reading.skipped}
        for alias in found.aliases:
            reasons[alias.path] = f"it is {alias.same_as} under a second name"
        return {path: reasons[path] for path in paths if path in reasons}

    def compare(self, a: Entry, b: Entry) -> ScoredPair:
        """The pair as `cvsim compare` gives it.

        Raises
        ------
        ImageError
            One of the two is gone, or not what the plan says.
        """
        facts = self.facts([a, b])
        for entry in (a, b):
            if entry.path in facts.missing:
                raise ImageError(f"{entry.path}: {facts.missing[entry.path]}")
        return self._compare(a, b, facts)

    def _compare(self, a: Entry, b: Entry, facts: Facts) -> ScoredPair:
        if a.digest == b.digest:
            return same_content(facts.records[a.path], facts.records[b.path], self._plan, "a")
        key = a.digest, b.digest
        with self._lock:
            pair = self._known.get(key)
            if pair is None:
                pair = compare(a.path, b.path, self.settings, kept="a")
                self._known[key] = pair
                if len(self._known) > _MOST_REMEMBERED:
                    self._known.popitem(last=False)
            self._known.move_to_end(key)
        return replace(pair, pair=Pair(a.path, b.path))

    def proposals(
        self, entries: Sequence[Entry], keep: Entry, decisions: Decisions
    ) -> tuple[dict[str, str], dict[str, ScoredPair]]:
        """What of a group may go once another file of it is kept.

        Returns
        -------
        removals : dict of str to str
            Path -> reason.
        pairs : dict of str to ScoredPair
            Each other file's own pair with the kept one.

        Raises
        ------
        ImageError
            The file to keep is gone, or not what the plan says.
        """
        facts = self.facts(entries)
        if keep.path not in facts.records:
            raise ImageError(f"{keep.path}: {facts.missing[keep.path]}")
        there = [entry for entry in entries if entry.path in facts.records]
        pairs = {entry.path: self._compare(keep, entry, facts) for entry in there if entry is not keep}
        records = [facts.records[entry.path] for entry in there]
        references = [*self.settings.reference, *(one.path for one in entries if one.extra.get(INDEXED))]
        choice = Choice(
            records,
            there.index(keep),
            self.threshold,
            self.rules,
            CHOSEN_BY_HAND,
            parse_include(self.settings.include),
            lambda record: under_any(record.path, references),
            decisions,
            only_included=self.settings.is_for_looking,
        )
        proposals = choice.propose(pairs.values())
        proposed = {
            record.path: proposal.reason
            for record, proposal in zip(records, proposals, strict=True)
            if proposal.remove
        }
        return proposed, pairs
