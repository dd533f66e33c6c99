"""The recipe of `cvsim dedupe`, step by step."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from cvsim.actions.beside import names_beside
from cvsim.candidates.sharded import joins_over
from cvsim.executors import open_executor
from cvsim.groups.rules import GroupRules
from cvsim.images.archives import why_only_read
from cvsim.images.scan import require_paths, scan
from cvsim.progress import Clock, SilentProgress
from cvsim.reading.collection import Collection
from cvsim.reading.files import read_files
from cvsim.reading.nodes import Sides
from cvsim.reading.plain_pictures import digest_pixels
from cvsim.recipes.against import opened_index
from cvsim.recipes.linking import Linker, score_candidates
from cvsim.recipes.proving import Prover
from cvsim.recipes.report_groups import doubtful_links, marked_groups
from cvsim.recipes.scoring_plan import ScoringPlan, scoring_plan
from cvsim.stores import BesideStore, Store, on_sound_store
from cvsim.types import DedupeResult

if TYPE_CHECKING:
    from cvsim.progress import Progress
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
    progress, listed, clock = progress or SilentProgress(), list(listed), Clock()
    plan = scoring_plan(settings)
    described = _described(paths, settings, plan)
    rules = GroupRules.of(settings, plan.threshold)
    require_paths(paths, listed)

    with opened_index(settings, plan.features) as indexed:

        def run(store: Store) -> DedupeResult:
            if indexed is None:
                return _on_store(paths, listed, settings, plan, rules, store, progress, clock, described)
            with BesideStore(store, indexed.store) as both:
                return _on_store(
                    paths, listed, settings, plan, rules, both, progress, clock, described, indexed
                )

        return on_sound_store(settings.cache, run)


def _on_store(
    paths: Sequence[str],
    listed: Sequence[str],
    settings: Settings,
    plan: ScoringPlan,
    rules: GroupRules,
    store: Store,
    progress: Progress,
    clock: Clock,
    described: dict[str, Any],
    indexed: IndexedFiles | None = None,
) -> DedupeResult:
    with open_executor(settings.scheduler, settings.n_workers) as executor:
        found = scan([*paths, *settings.reference], listed=listed, **settings.scan.keywords)
        n_own, why_away = 0, why_only_read
        if indexed is not None:
            found, n_own = indexed.without_own(found)
            why_away = indexed.why_away
        beside = names_beside()
        rules = replace(rules, keep=replace(rules.keep, why_away=why_away, beside=beside))
        clock.mark("scan")
        reading = read_files(found, plan.features, store, executor=executor, progress=progress)
        if not executor.is_remote:
            executor.close()  # its children, which take as much memory as this process and have no more work
        clock.mark("read")

        there = () if indexed is None else indexed.records
        sides = Sides.of(settings, frozenset(record.path for record in there))
        nodes = sides.nodes([*reading.records, *there], reading.roots)
        collection = Collection(nodes, plan.features, store)
        digest_pixels(collection, settings.n_workers)
        linker = Linker(collection, plan, rules, progress=progress, n_workers=settings.n_workers)
        score_candidates(linker, joins_over(executor, store), clock)
        with Prover(linker, rules, progress, n_workers=settings.n_workers) as prover:
            prover.check_groups()
            clock.mark("check groups")
            groups = prover.proved_groups()
        clock.mark("prove")
    groups = marked_groups(groups, sides.indexed, why_away, beside)
    stats: dict[str, Any] = {"n_decoded": reading.n_decoded, "n_read": reading.n_read}
    stats |= {"bytes_read": reading.bytes_read, "n_scored": len(linker.scores)}
    stats |= {"n_verified": linker.scorer.n_verified, "seconds": clock.seconds}
    stats["n_left_out"] = len(linker.left_out)
    stats |= {"n_indexed": len(there), "n_indexed_under_paths": n_own}
    _log.info("done: %s", stats)
    counts = reading.counts(groups, len(there))
    new = () if indexed is None else _new(reading.records, groups)
    doubtful = doubtful_links(linker)
    return DedupeResult(described, counts, groups, reading.skipped, stats, new=new, doubtful=doubtful)


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
    described["signals"] = [feature.name for feature in plan.features]
    described["model"] = f"{plan.model.name} {plan.model.version}"
    return {"paths": list(paths), **described}
