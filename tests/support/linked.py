"""A linker over the pictures of a folder, with nothing scored yet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cvsim.executors import open_executor
from cvsim.groups.rules import GroupRules
from cvsim.images.scan import scan
from cvsim.progress import SilentProgress
from cvsim.reading.collection import Collection
from cvsim.reading.files import read_files
from cvsim.reading.nodes import Sides
from cvsim.recipes.linking import Linker
from cvsim.recipes.scoring_plan import scoring_plan
from cvsim.settings import Settings
from cvsim.stores import open_run_store


@contextmanager
def linker_of(folder: Path) -> Iterator[Linker]:
    settings = Settings(workers=1)
    plan = scoring_plan(settings)
    with (
        open_run_store(None) as store,
        open_executor(settings.scheduler, settings.n_workers) as executor,
    ):
        found = scan([str(folder)])
        reading = read_files(found, plan.features, store, executor=executor, progress=SilentProgress())
        nodes = Sides.of(settings).nodes(reading.records, reading.roots)
        yield Linker(Collection(nodes, plan.features, store), plan, GroupRules(plan.threshold))
