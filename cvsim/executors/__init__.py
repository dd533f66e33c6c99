"""Running one job over many items: in threads, in child processes that can be killed, on other machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cvsim.executors.local import LocalExecutor, process_executor

if TYPE_CHECKING:
    from cvsim.executors.base import Executor

__all__ = ["LocalExecutor", "open_executor", "process_executor"]


def open_executor(scheduler: str | None = None, n_workers: int | None = None) -> Executor:
    """What runs the jobs of a run: close it, or leave its ``with`` block, at the end.

    Parameters
    ----------
    scheduler : str or None
        ``"local:N"`` or ``"tcp://HOST:PORT"`` of Dask (see `cvsim.executors.dask`); None: this machine alone.
    n_workers : int or None
        Items at work at once where nothing else says so; the number of usable cores if not given.

    Raises
    ------
    MissingExtraError
        A scheduler is given, and Dask is not installed.
    """
    if scheduler is None:
        return LocalExecutor(n_workers)
    from cvsim.executors.dask import DaskExecutor

    return DaskExecutor(scheduler, n_workers)
