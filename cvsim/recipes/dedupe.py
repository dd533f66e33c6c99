"""The recipe of `cvsim dedupe`, step by step."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from cvsim.actions.beside import names_beside
from cvsim.candidates.sharded import joins_over
from cvsim.executors import open_executor
from cvsim.features.sharpness import Sharpness
from cvsim.groups.rules import GroupRules
from cvsim.images.archives import why_only_read
from cvsim.images.scan import require_paths, scan
from cvsim.progress import Clock, SilentProgress
from cvsim.reading.collection import Collection
from cvsim.reading.extraction import working_px
from cvsim.reading.files import read_files
from cvsim.reading.nodes import Sides
from cvsim.reading.plain_pictures import digest_pixels
from cvsim.recipes.against import opened_index
from cvsim.recipes.linking import Linker, score_candidates
from cvsim.recipes.proving import Prover
from cvsim.recipes.report_groups import doubtful_links, marked_groups
from cvsim.recipes.scoring_plan import ScoringPlan, require_copies, scoring_plan
from cvsim.stores import BesideStore, Store, on_sound_store
from cvsim.types import DedupeResult

if TYPE_CHECKING:
    from cvsim.executors.base import Executor
    from cvsim.images.scan import Scan
    from cvsim.progress import Progress
    from cvsim.reading.files import Reading
    from cvsim.reading.indexed import IndexedFiles
    from cvsim.settings import Settings
    from cvsim.types import Group, ImageRecord

_log = logging.getLogger(__name__)


def dedupe(
    paths: Sequence[str],
    settings: Settings,
    *,
    listed: Iterable[str] = (),
    progress: Progress | None = None,
) -> DedupeResult:
    """Find groups of pictures that show the same.

    Parameters
    ----------
    paths : sequence of str
    settings : Settings
    listed : iterable of str
        More paths, of which those that are gone are skipped.
    progress : Progress, optional
    """
    run = _Run.of(paths, list(listed), settings, progress or SilentProgress())
    with opened_index(settings, run.plan.features) as indexed:
        return on_sound_store(settings.cache, lambda store: run.beside(store, indexed))


@dataclass(frozen=True, eq=False)
class _Run:
    """What a run is asked, in the parts that its steps use."""

    paths: Sequence[str]
    listed: Sequence[str]
    settings: Settings
    plan: ScoringPlan
    rules: GroupRules
    progress: Progress
    clock: Clock

    @classmethod
    def of(cls, paths: Sequence[str], listed: Sequence[str], settings: Settings, progress: Progress) -> _Run:
        """The parts; what makes no sense is refused before anything is read."""
        clock, plan = Clock(), scoring_plan(settings)
        if settings.against is not None:
            require_copies(settings, "an index finds")
        rules = GroupRules.of(settings, plan.threshold)
        require_paths(paths, listed)
        return cls(paths, listed, settings, plan, rules, progress, clock)

    def beside(self, store: Store, indexed: IndexedFiles | None) -> DedupeResult:
        """Run on a store; what an index holds is read from there."""
        if indexed is None:
            return self._on(store, None)
        with BesideStore(store, indexed.store) as both:
            return self._on(both, indexed)

    def _on(self, store: Store, indexed: IndexedFiles | None) -> DedupeResult:
        n_workers, mark = self.settings.n_workers, self.clock.mark
        there = () if indexed is None else indexed.records
        with open_executor(self.settings.scheduler, n_workers) as executor:
            found, n_own = self._found(indexed)
            mark("scan")
            reading = self._read(found, store, executor)
            mark("read")
            sides = Sides.of(self.settings, frozenset(record.path for record in there))
            nodes = sides.nodes([*reading.records, *there], reading.roots)
            collection = Collection(nodes, self.plan.features, store)
            digest_pixels(collection, n_workers)
            rules = self._rules(indexed, self._sharpness(collection))
            linker = Linker(collection, self.plan, rules, progress=self.progress, n_workers=n_workers)
            score_candidates(linker, joins_over(executor, store), self.clock)
            with Prover(linker, rules, self.progress, n_workers=n_workers) as prover:
                prover.check_groups()
                mark("check groups")
                groups = prover.proved_groups()
            mark("prove")
        groups = marked_groups(groups, sides.indexed, rules.keep)
        return self._result(reading, linker, groups, indexed, n_own)

    def _found(self, indexed: IndexedFiles | None) -> tuple[Scan, int]:
        """The files to read, and how many more lie under the paths that the index knows."""
        folders = [*self.paths, *self.settings.reference]
        with self.progress.task("Finding files", None):
            found = scan(folders, listed=self.listed, **self.settings.scan.keywords)
        return (found, 0) if indexed is None else indexed.without_own(found)

    def _read(self, found: Scan, store: Store, executor: Executor) -> Reading:
        wanted = (*self.plan.features, *self._measures())
        reading = read_files(found, wanted, store, executor=executor, progress=self.progress)
        if not executor.is_remote:
            executor.close()  # its children, which take as much memory as this process and have no more work
        return reading

    def _measures(self) -> tuple[Sharpness, ...]:
        """What is taken of pictures for the keep rules alone."""
        if not self.rules.keep.asks_for_sharpness:
            return ()
        measure = Sharpness()
        measure.working_px = working_px(self.plan.features)
        return (measure,)

    def _sharpness(self, collection: Collection) -> Mapping[str, float]:
        """By digest, as far as it was taken: not of what only an index knows."""
        found: dict[str, float] = {}
        for measure in self._measures():
            kept = collection.store.descriptors(measure.key, set(collection.digests))
            found = {digest: measure.from_bytes(data) for digest, data in kept.items() if data is not None}
        return found

    def _rules(self, indexed: IndexedFiles | None, sharpness: Mapping[str, float]) -> GroupRules:
        """With what is known of files by where they lie, and how sharp they are."""
        why_away = why_only_read if indexed is None else indexed.why_away
        keep = replace(self.rules.keep, why_away=why_away, beside=names_beside(), sharpness=sharpness.get)
        return replace(self.rules, keep=keep)

    def _result(
        self,
        reading: Reading,
        linker: Linker,
        groups: tuple[Group, ...],
        indexed: IndexedFiles | None,
        n_own: int,
    ) -> DedupeResult:
        n_indexed = 0 if indexed is None else len(indexed.records)
        stats: dict[str, Any] = {"n_decoded": reading.n_decoded, "n_read": reading.n_read}
        stats |= {"bytes_read": reading.bytes_read, "n_scored": len(linker.scores)}
        stats |= {"n_verified": linker.scorer.n_verified, "seconds": self.clock.seconds}
        stats["n_left_out"] = len(linker.left_out)
        stats |= {"n_indexed": n_indexed, "n_indexed_under_paths": n_own}
        _log.info("done: %s", stats)
        return DedupeResult(
            _described(self.paths, self.settings, self.plan),
            reading.counts(groups, n_indexed),
            groups,
            reading.skipped,
            stats,
            new=() if indexed is None else _new(reading.records, groups),
            doubtful=doubtful_links(linker),
        )


def _new(records: Sequence[ImageRecord], groups: Sequence[Group]) -> tuple[str, ...]:
    """Paths of what was read and is in no group with an indexed file."""
    with_indexed = [group for group in groups if any(member.indexed for member in group.members)]
    known = {member.record.path for group in with_indexed for member in group.members}
    return tuple(record.path for record in records if record.path not in known)


def _described(paths: Sequence[str], settings: Settings, plan: ScoringPlan) -> dict[str, Any]:
    """The settings as the report shows them: enough to repeat the run, and nothing of this machine."""
    described = asdict(settings)
    for name in ("cache", "workers", "scheduler"):
        described.pop(name)
    described["threshold"] = plan.threshold
    described["keep"] = settings.keep_rules
    described["signals"] = [feature.name for feature in plan.features]
    described["model"] = f"{plan.model.name} {plan.model.version}"
    return {"paths": list(paths), **described}
