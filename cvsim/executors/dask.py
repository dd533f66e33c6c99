"""Work on many machines, through a scheduler of Dask.

Any worker may be lost at any moment: what it had is done by another. What fails on a worker is done once
more in this process before that is believed, since the other machine may lack the file, the memory or the
rights. So the results are those of `cvsim.executors.local`, wherever they come from.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import importlib.util
import logging
import pickle
import queue
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from cvsim._version import __version__
from cvsim.errors import CvsimError, MissingExtraError, RemoteError
from cvsim.executors.base import NO_MORE, Item, Job, Payload, Result
from cvsim.executors.local import LocalExecutor, process_executor
from cvsim.executors.opencv_threads import one_opencv_thread
from cvsim.executors.worker_processes import WorkerProcesses

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_TIMEOUT_S = 15.0
"""How long a scheduler may take to answer."""
ANSWER_TIMEOUT_S = 30.0
"""How long a scheduler that is known may take to answer."""
NO_WORKERS_TIMEOUT_S = 60.0
"""How long a first worker may take to come, and another one after the last has gone."""
_POLL_S = 2.0
_ITEMS_A_THREAD = 2
"""At work or waiting for it: a worker that is done finds its next item there."""
_DECIDING = ("numpy", "cv2", "PIL", "simplejpeg", "pillow_heif")
"""What decides about pixels, and so about groups."""
_KEPT = "What is finished is kept: the same command goes on from there"

_log = logging.getLogger(__name__)


class DaskExecutor:
    """Runs jobs on the workers of a Dask scheduler. It connects when there is a first item.

    A worker both loads and runs an item, so what is loaded does not travel. A job and its items must be
    picklable, and cvsim on the workers must be the one that is here.

    Parameters
    ----------
    scheduler : str
        ``"tcp://HOST:PORT"``, or ``"local:N"`` for N processes on this machine.
    n_workers : int, optional
        Items at work at once in this process, of those that are done again here.
    connect_timeout_s, no_workers_timeout_s : float

    Raises
    ------
    MissingExtraError
        Dask is not installed.
    """

    is_remote = True

    def __init__(
        self,
        scheduler: str,
        n_workers: int | None = None,
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        no_workers_timeout_s: float = NO_WORKERS_TIMEOUT_S,
    ) -> None:
        if importlib.util.find_spec("distributed") is None:
            raise MissingExtraError("Runs on several machines", "dask")
        self.scheduler = scheduler
        self._n_workers = n_workers
        self._connect_timeout_s = connect_timeout_s
        self._no_workers_timeout_s = no_workers_timeout_s
        self._client: Client | None = None
        self._own_workers: WorkerProcesses | None = None

    def map(
        self, job: Job[Item, Payload, Result], items: Iterable[Item], *, timeout_s: float = 10.0
    ) -> Iterator[tuple[Item, Result | CvsimError]]:
        """Yield each item with its result or its error, as they are completed (see `Executor.map`).

        Raises
        ------
        RemoteError
            The scheduler or all its workers are away, or a worker runs another cvsim. Results that were
            yielded are good.
        """
        rest = iter(items)
        first = next(rest, NO_MORE)
        if first is NO_MORE:
            return
        client = self._connected()
        failed: list[Any] = []
        for item, outcome in _WorkerMap(self, client, job, timeout_s).results(_after(first, rest)):
            if isinstance(outcome, CvsimError):
                failed.append(item)
            else:
                yield item, outcome
        if failed:
            _log.warning(
                "%d items could not be done on %s, and are done here: workers must find the pictures under "
                "the same paths",
                len(failed),
                self.scheduler,
            )
            with LocalExecutor(self._n_workers) as executor:
                yield from executor.map(job, failed, timeout_s=timeout_s)

    def close(self) -> None:
        """Leave the scheduler; end the processes that were started here."""
        if self._client is not None:
            self._client.close(timeout=2)
            self._client = None
        if self._own_workers is not None:
            self._own_workers.close()
            self._own_workers = None

    def __enter__(self) -> DaskExecutor:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _connected(self) -> Client:
        if self._client is not None:
            return self._client
        from distributed import Client

        address = self.scheduler
        if address.startswith("local:"):
            self._own_workers = WorkerProcesses(int(address.removeprefix("local:")))
            address = self._own_workers.address
        try:
            _knock(address, self._connect_timeout_s)
            self._client = Client(address, timeout=self._connect_timeout_s, set_as_default=False)
        except (OSError, ValueError) as exc:  # a TimeoutError is an OSError
            raise RemoteError(
                f"no Dask scheduler answers at {address}: start one with `dask scheduler`, and workers with "
                f"`dask worker {address}`, or leave --scheduler out"
            ) from exc
        try:
            self._client.wait_for_workers(1, timeout=self._no_workers_timeout_s)
        except TimeoutError as exc:
            raise RemoteError(self._without_workers()) from exc
        return self._client

    def _without_workers(self) -> str:
        if self._own_workers is not None:
            return f"the worker processes of {self.scheduler} ended. {_KEPT}"
        return (
            f"the scheduler at {self.scheduler} has no workers: start some with "
            f"`dask worker {self.scheduler}`. {_KEPT}"
        )


class _WorkerMap:
    """One call of `DaskExecutor.map`."""

    def __init__(self, executor: DaskExecutor, client: Client, job: Any, timeout_s: float) -> None:
        self._executor, self._client = executor, client
        self._pickled_job = pickle.dumps(job, protocol=pickle.HIGHEST_PROTOCOL)
        self._timeout_s = timeout_s
        self._running: dict[Future[Any], Any] = {}
        self._done: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        self._n_threads = 1
        self._asked_at = self._alone_since = float("-inf")

    def results(self, items: Iterator[Any]) -> Iterator[tuple[Any, Any]]:
        try:
            self._look_around()
            self._start(items)
            while self._running:
                try:
                    future = self._done.get(timeout=_POLL_S)
                except queue.Empty:
                    self._look_around()
                else:
                    yield self._running.pop(future), self._result(future)
                self._start(items)
        finally:
            if self._running and self._client.status == "running":
                self._client.cancel(list(self._running))

    def _start(self, items: Iterator[Any]) -> None:
        """Hand out items until every thread of the workers has enough."""
        if time.monotonic() - self._asked_at > _POLL_S:
            self._look_around()
        while len(self._running) < _ITEMS_A_THREAD * self._n_threads:
            item = next(items, NO_MORE)
            if item is NO_MORE:
                return
            # A key of its own: a task must not meet what is left of one of a driver that was killed.
            future = self._client.submit(
                run_item, self._pickled_job, item, self._timeout_s, versions(), pure=False
            )
            self._running[future] = item
            future.add_done_callback(self._done.put)

    def _look_around(self) -> None:
        """Count the workers' threads.

        Raises
        ------
        RemoteError
            The scheduler is gone, or there has been no worker for too long.
        """
        try:
            if self._client.status != "running":
                raise OSError(self._client.status)
            scheduler: Any = self._client.scheduler
            threads = self._client.sync(scheduler.ncores, callback_timeout=ANSWER_TIMEOUT_S)
        except (OSError, ValueError) as exc:
            raise self._lost() from exc
        self._n_threads, self._asked_at = sum(threads.values()), time.monotonic()
        if self._n_threads:
            self._alone_since = self._asked_at
        elif self._asked_at - self._alone_since > self._executor._no_workers_timeout_s:
            raise RemoteError(self._executor._without_workers())

    def _result(self, future: Future[Any]) -> Any:
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        try:
            return future.result()
        except KilledWorker as exc:
            raise RemoteError(
                f"several workers ended over the same pictures ({exc.last_worker.address} last): they may "
                f"need more memory. {_KEPT}"
            ) from exc
        except (FutureCancelledError, OSError) as exc:
            raise self._lost() from exc
        except RemoteError:
            raise
        except Exception as exc:  # what a worker of another version may raise, is anything
            raise RemoteError(
                f"a worker of {self._executor.scheduler} cannot run cvsim {__version__} "
                f"({type(exc).__name__}: {exc}): install that version there"
            ) from exc

    def _lost(self) -> RemoteError:
        return RemoteError(f"the connection to {self._executor.scheduler} is lost. {_KEPT}")


def _knock(address: str, timeout_s: float) -> None:
    """Raise OSError unless a scheduler answers: a client waits forever at a port where nobody answers."""
    from distributed.core import rpc
    from distributed.security import Security

    async def ask() -> None:
        arguments = Security().get_connection_args("client")
        async with rpc(address, timeout=timeout_s, connection_args=arguments) as scheduler:
            await asyncio.wait_for(scheduler.identity(), timeout_s)

    with ThreadPoolExecutor(1) as thread:  # the calling one may have an event loop of its own
        thread.submit(asyncio.run, ask()).result()


@functools.cache
def versions() -> Mapping[str, str | None]:
    """Versions of cvsim and of what decodes pictures, here; None for what is not installed."""
    found: dict[str, str | None] = {"cvsim": __version__}
    for name in _DECIDING:
        is_there = importlib.util.find_spec(name) is not None
        found[name] = importlib.import_module(name).__version__ if is_there else None
    return found


@one_opencv_thread()
def run_item(
    pickled_job: bytes, item: Any, timeout_s: float, wanted: Mapping[str, str | None]
) -> Any | CvsimError:
    """On a worker: the item's result, or the error that is its result.

    Raises
    ------
    RemoteError
        The worker would give another result than the one that asks.
    """
    if versions() != wanted:
        own = versions()
        other = [f"{name} {own.get(name)} instead of {v}" for name, v in wanted.items() if own.get(name) != v]
        raise RemoteError(
            f"a worker has {', '.join(other)}: install the same versions on all machines, so that they find "
            "the same groups"
        )
    job = pickle.loads(pickled_job)
    ((_, outcome),) = process_executor().map(job, [item], timeout_s=timeout_s)
    return outcome


def _after(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest
