"""Artefacts of files that are made when they are asked for: taken from the store, or from the file once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from cvsim.errors import CvsimError
from cvsim.executors.local import LocalExecutor
from cvsim.stores import Extraction

if TYPE_CHECKING:
    from cvsim.stores import Store


def stored_or_made(
    store: Store,
    key: str,
    paths: Mapping[str, str],
    make_job: Callable[[Mapping[str, str]], Any],
    n_workers: int | None = None,
) -> dict[str, bytes]:
    """An artefact of each file, by digest; of those that could not be made, none.

    Parameters
    ----------
    store : Store
    key : str
        Under what the artefact is kept.
    paths : mapping of str to str
        Where the file of each digest lies.
    make_job : callable
        From digests by path to a job for an executor; its items are paths, its results bytes.
    n_workers : int, optional
    """
    if not paths:
        return {}
    known = store.descriptors(key, list(paths))
    found = {digest: data for digest, data in known.items() if data}
    todo = {path: digest for digest, path in paths.items() if digest not in known}
    if not todo:
        return found
    with LocalExecutor(n_workers) as executor:
        for path, outcome in executor.map(make_job(todo), sorted(todo)):
            if isinstance(outcome, CvsimError):
                continue  # it was readable a moment ago
            found[todo[path]] = outcome
            store.put(Extraction(todo[path], artefacts={key: outcome}))
    return found
