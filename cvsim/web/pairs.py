"""What is known of files and of two of them: from the pipeline, remembered for the life of a page."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cvsim import pipeline
from cvsim.actions.decisions import Decisions
from cvsim.actions.keep import KeepRules
from cvsim.actions.plan import Entry
from cvsim.actions.propose import parse_include, propose
from cvsim.collection import find_files, read_files, under_any
from cvsim.errors import ImageError
from cvsim.progress import SilentProgress
from cvsim.settings import Settings
from cvsim.types import ImageRecord, Pair, ScoredPair

_MOST_REMEMBERED = 5000


@dataclass(frozen=True, slots=True)
class Facts:
    """What the files of a group are now.

    Attributes
    ----------
    records : mapping of str to ImageRecord
        By path, of those that hold what the plan says.
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
        self.threshold = pipeline.make_plan(settings).threshold
        self.rules = KeepRules.parse(settings.keep)
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str], ScoredPair] = OrderedDict()

    def facts(self, entries: Sequence[Entry]) -> Facts:
        """Look at the files of a group: from the cache where they are unchanged."""
        digests = {entry.path: entry.digest for entry in entries}
        features = pipeline.make_plan(self.settings).features
        with self._lock:
            store = pipeline.open_run_store(self.settings)
            try:
                found = find_files((), list(digests), self.settings.scan)
                reading = read_files(
                    found, features, store, n_workers=self.settings.n_workers, progress=SilentProgress()
                )
            finally:
                store.close()
        same = {r.path: r for r in reading.records if r.digest == digests.get(r.path)}
        reasons = {item.path: item.reason for item in reading.skipped}
        aliases = {alias.path: alias.same_as for alias in found.aliases}
        for path in digests.keys() & aliases.keys():
            reasons[path] = "it is the same file as another one of the group, under a second name"
        for path in digests.keys() - same.keys() - reasons.keys():
            changed = any(record.path == path for record in reading.records)
            reasons[path] = "it has changed since it was looked at" if changed else "it is not there any more"
        return Facts(same, {path: reason for path, reason in reasons.items() if path in digests})

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
        return self._compare(a, b)

    def _compare(self, a: Entry, b: Entry) -> ScoredPair:
        key = a.digest, b.digest
        with self._lock:
            pair = self._known.get(key)
            if pair is None:
                pair = pipeline.compare(a.path, b.path, self.settings)
                self._known[key] = pair
                if len(self._known) > _MOST_REMEMBERED:
                    self._known.popitem(last=False)
            self._known.move_to_end(key)
        return ScoredPair(
            Pair(a.path, b.path), pair.prior, pair.score, pair.relation, pair.contained, pair.comparisons
        )

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
        pairs = {entry.path: self._compare(keep, entry) for entry in there if entry is not keep}
        records = [facts.records[entry.path] for entry in there]
        references = self.settings.reference
        proposals = propose(
            records,
            there.index(keep),
            pairs.values(),
            threshold=self.threshold,
            rules=self.rules,
            rule="you",
            include=parse_include(self.settings.include),
            protected=lambda record: under_any(record.path, references),
            decisions=decisions,
        )
        proposed = {
            record.path: proposal.reason
            for record, proposal in zip(records, proposals, strict=True)
            if proposal.remove
        }
        return proposed, pairs
