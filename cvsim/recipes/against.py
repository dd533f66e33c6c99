"""An index as what there is already: opened, and refused where it does not hold what a run needs of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cvsim.errors import CvsimError, StoreError, UsageError
from cvsim.reading.extraction import DECODER, artefact_keys
from cvsim.reading.indexed import IndexedFiles
from cvsim.recipes.scoring_plan import scoring_plan
from cvsim.settings import EFFORTS, PROFILES, Settings
from cvsim.stores import open_index

if TYPE_CHECKING:
    from cvsim.features.base import Feature
    from cvsim.stores import SearchableStore


@contextmanager
def opened_index(settings: Settings, features: Sequence[Feature[Any]]) -> Iterator[IndexedFiles | None]:
    """The files of the index that a run is made against, until the block ends; None without an index.

    Raises
    ------
    UsageError
        There is no index, or it is empty.
    StoreError
        It was made by another version or holds other signals: the message says what to do. Also where it is
        damaged, and what is said at the end of the block counts.
    """
    if settings.against is None:
        yield None
        return
    with open_index(settings.against, create=False) as store, store.sound():
        yield _indexed_files(store, settings, features)


def _indexed_files(
    store: SearchableStore, settings: Settings, features: Sequence[Feature[Any]]
) -> IndexedFiles:
    files = store.known_files()
    digests = {known.digest for known in files.values()}
    if not files:
        raise UsageError(
            f"{store.location} holds no picture; fill it with cvsim index PATH --store {store.location}"
        )
    images = store.images(DECODER, digests)
    failed = store.failures(DECODER, digests)
    if unknown := digests - images.keys() - failed.keys():
        what = "its pictures" if len(unknown) == len(digests) else f"{len(unknown):,} of its pictures"
        raise StoreError(
            f"{store.location}: another version of cvsim decoded {what}, or indexing was interrupted; bring "
            f"it up to date with cvsim index PATH --store {store.location}"
        )
    if lacking := images.keys() - store.complete(artefact_keys(features), images.keys()):
        raise StoreError(_what_is_lacking(store, settings, images.keys(), len(lacking)))
    return IndexedFiles.of(store, files, images)


def _what_is_lacking(store: SearchableStore, settings: Settings, digests: Any, n_lacking: int) -> str:
    """Say which effort the index was made for, or that another version made it."""
    store_option = f"--store {store.location}"
    begun = f"{store.location} does not hold what --effort {settings.effort} needs"
    if 0 < n_lacking < len(digests):
        return f"{begun} of {n_lacking:,} of its pictures; run cvsim index PATH {store_option} to the end"
    if settings.profile not in PROFILES or settings.signals or settings.embedding:
        return f"{begun} with these signals; run dedupe without --profile, --signals and --embedding"
    usual_first = sorted(EFFORTS, key=lambda effort: effort != Settings().effort)
    held = [effort for effort in usual_first if _holds(store, settings, effort, digests)]
    if held:
        return (
            f"{begun}; add --effort {held[0]}, or have it kept with "
            f"cvsim index PATH {store_option} --also {settings.effort}"
        )
    return f"{begun}: another version of cvsim made it; index the pictures again into a new file"


def _holds(store: SearchableStore, settings: Settings, effort: Any, digests: Any) -> bool:
    try:
        features = scoring_plan(replace(settings, effort=effort)).features
        return bool(store.complete(artefact_keys(features), digests))
    except CvsimError:
        return False
