"""The recipe of `cvsim dedupe`, step by step."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cvsim.candidates.sharded import joins_over
from cvsim.executors import open_executor
from cvsim.groups.rules import GroupRules
from cvsim.images.scan import require_paths, scan
from cvsim.progress import Clock, SilentProgress
from cvsim.reading.collection import Collection
from cvsim.reading.files import read_files
from cvsim.reading.nodes import Sides
from cvsim.reading.plain_pictures import digest_pixels
from cvsim.recipes.linking import Linker, score_candidates
from cvsim.recipes.proving import Prover
from cvsim.recipes.scoring_plan import ScoringPlan, scoring_plan
from cvsim.stores import Store, on_sound_store
from cvsim.types import DedupeResult

if TYPE_CHECKING:
    from cvsim.progress import Progress
    from cvsim.settings import Settings

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

    def run(store: Store) -> DedupeResult:
        return _on_store(paths, listed, settings, plan, rules, store, progress, clock, described)

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
) -> DedupeResult:
    with open_executor(settings.scheduler, settings.n_workers) as executor:
        found = scan([*paths, *settings.reference], listed=listed, **settings.scan.keywords)
        clock.mark("scan")
        reading = read_files(found, plan.features, store, executor=executor, progress=progress)
        if not executor.is_remote:
            executor.close()  # its children, which take as much memory as this process and have no more work
        clock.mark("read")

        nodes = Sides.of(settings).nodes(reading.records, reading.roots)
        collection = Collection(nodes, plan.features, store)
        digest_pixels(collection, settings.n_workers)
        linker = Linker(collection, plan, rules, progress=progress, n_workers=settings.n_workers)
        score_candidates(linker, joins_over(executor, store), clock)
        prover = Prover(linker, rules, progress, n_workers=settings.n_workers)
        prover.check_groups()
        clock.mark("check groups")
        groups = prover.proved_groups()
        clock.mark("prove")
    stats: dict[str, Any] = {"n_decoded": reading.n_decoded, "n_read": reading.n_read}
    stats |= {"bytes_read": reading.bytes_read, "n_scored": len(linker.scores)}
    stats |= {"n_verified": linker.scorer.n_verified, "seconds": clock.seconds}
    stats["n_left_out"] = len(linker.left_out)
    _log.info("done: %s", stats)
    counts = reading.counts(groups)
    return DedupeResult(described, counts, groups, reading.skipped, stats)


def _described(paths: Sequence[str], settings: Settings, plan: ScoringPlan) -> dict[str, Any]:
    """The settings as the report shows them: enough to repeat the run, and nothing of this machine."""
    described = asdict(settings)
    for name in ("cache", "workers", "scheduler"):
        described.pop(name)
    described["threshold"] = plan.threshold
    described["signals"] = [feature.name for feature in plan.features]
    described["model"] = f"{plan.model.name} {plan.model.version}"
    return {"paths": list(paths), **described}
