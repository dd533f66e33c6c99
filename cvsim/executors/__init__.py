"""Running one job over many items: in threads, in child processes that can be killed, on other machines.

Other packages add schedulers under the entry point group `cvsim.executors`, by the scheme of their address:
``ray`` for ``ray://HOST:PORT``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cvsim.errors import SettingsError
from cvsim.executors.local import LocalExecutor, process_executor

if TYPE_CHECKING:
    from cvsim.executors.base import Executor

__all__ = ["LocalExecutor", "open_executor", "process_executor"]

EXECUTOR_ENTRY_POINTS = "cvsim.executors"
"""A callable ``(scheduler, n_workers)`` that gives an `Executor`, by scheme."""
DASK_SCHEMES = ("local", "tcp", "tls")


def open_executor(scheduler: str | None = None, n_workers: int | None = None) -> Executor:
    """What runs the jobs of a run: close it, or leave its ``with`` block, at the end.

    Parameters
    ----------
    scheduler : str or None
        ``"local:N"`` or ``"tcp://HOST:PORT"`` of Dask (see `cvsim.executors.dask`), or the address of a
        scheduler that another package adds; None: this machine alone.
    n_workers : int or None
        Items at work at once where nothing else says so; the number of usable cores if not given.

    Raises
    ------
    SettingsError
        Nothing is known that speaks to that scheduler.
    MissingExtraError
        A scheduler is given, and Dask is not installed.
    """
    if scheduler is None:
        return LocalExecutor(n_workers)
    scheme = scheduler.partition(":")[0]
    if scheme not in DASK_SCHEMES:
        return _added(scheme, scheduler, n_workers)
    from cvsim.executors.dask import DaskExecutor

    return DaskExecutor(scheduler, n_workers)


def _added(scheme: str, scheduler: str, n_workers: int | None) -> Executor:
    """The executor of another installed package."""
    from importlib.metadata import entry_points

    known = {point.name: point for point in entry_points(group=EXECUTOR_ENTRY_POINTS)}
    if scheme not in known:
        named = ", ".join(sorted({*known, *DASK_SCHEMES}))
        raise SettingsError(f"{scheduler}: no such scheduler is known; known: {named}")
    executor: Executor = known[scheme].load()(scheduler, n_workers)
    return executor
