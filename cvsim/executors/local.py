"""All work on this machine: threads, and a child process a thread for what cannot be trusted."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import math
import pickle
import queue
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from cvsim.errors import CvsimError, DecodeError, MemoryNotAllowedError, TooLargeError
from cvsim.executors.allowance import OPTION, allowed_bytes
from cvsim.executors.base import NO_MORE, Demand, Item, Job, Payload, Result
from cvsim.executors.child import Child, ChildEndedError, ChildTimeoutError, unexpected
from cvsim.executors.fork_server import ForkServer, can_inherit, prepare
from cvsim.settings import available_cores

CHILD_MEMORY_BYTES = 400_000_000
"""What one isolated run may allocate beside the memory that it asks for: small pictures, and what is taken of
them."""
SHARED_MEMORY_BYTES = 300_000_000
"""What all runs at work together may take by their own account; a larger one runs alone."""

_SLOTS_PER_WORKER = 16
_HOLD_S = 0.005

_log = logging.getLogger(__name__)


class LocalExecutor:
    """Runs jobs in threads, and their isolated parts in child processes that outlive the items.

    Threads suffice for what releases the interpreter's lock (reading, hashing, decoding, most of OpenCV
    and numpy), and share memory. A thread whose item is isolated hands it to a child and waits, so there
    are never more than `n_workers` items at work. Children start when they are first needed.

    Parameters
    ----------
    n_workers : int, optional
        Items at work at once; the number of usable cores if not given.
    child_memory_bytes : int
        What one isolated run may allocate, beside what it asks for, before it fails.
    """

    is_remote = False

    def __init__(self, n_workers: int | None = None, *, child_memory_bytes: int = CHILD_MEMORY_BYTES) -> None:
        self.n_workers = n_workers or available_cores()
        self.child_memory_bytes = child_memory_bytes
        self.allowed_bytes = allowed_bytes()
        self._idle: list[Child] = []
        self._server: ForkServer | None = None
        self._lock = threading.Lock()
        self._n_maps = 0

    def map(
        self, job: Job[Item, Payload, Result], items: Iterable[Item], *, timeout_s: float = 10.0
    ) -> Iterator[tuple[Item, Result | CvsimError]]:
        """Yield each item with its result or its error, as they are completed (see `Executor.map`)."""
        with self._lock:
            self._n_maps += 1
            map_ = _LocalMap(self, job, items, timeout_s, key=self._n_maps)
        return map_.results()

    def close(self) -> None:
        """End the child processes."""
        with self._lock:
            children, self._idle = self._idle, []
            server, self._server = self._server, None
        for child in children:
            child.close()
        if server is not None:
            server.close()

    def __enter__(self) -> LocalExecutor:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()

    def _fork_server(self, job_class: type) -> None:
        """Have the fork server be a fork of this process while it can be: before threads are started.

        This serves jobs that are prepared; the others hardly ever need a child.
        """
        with self._lock:
            if self._server is None and hasattr(job_class, "prepare") and can_inherit():
                prepare(job_class)
                self._server = ForkServer(inherits=True)

    def _take_child(self, job_class: type) -> Child:
        while True:
            with self._lock:
                child = self._idle.pop() if self._idle else None
            if child is None:
                return self._new_child(job_class)
            if child.is_alive:
                return child
            child.close()

    def _new_child(self, job_class: type) -> Child:
        server = self._living_server()
        try:
            return server.child(job_class)
        except (OSError, ChildEndedError):
            # As a child, the fork server may end for reasons of the system's: a second, fresh one tells.
            with self._lock:
                if self._server is server:
                    self._server = None
            server.close()
        return self._living_server().child(job_class)

    def _living_server(self) -> ForkServer:
        with self._lock:
            if self._server is None:
                self._server = ForkServer()
            return self._server

    def _give_back(self, child: Child) -> None:
        with self._lock:
            self._idle.append(child)


@functools.cache
def process_executor() -> LocalExecutor:
    """One that lives as long as this process, for jobs that come one by one: its children are kept.

    Each map on it works on one item at a time, and several threads may have one each.
    """
    return LocalExecutor(1)


class _LocalMap:
    """One call of `LocalExecutor.map`: threads that take items from a shared iterator."""

    def __init__(
        self, executor: LocalExecutor, job: Any, items: Iterable[Any], timeout_s: float, *, key: int
    ) -> None:
        self._executor = executor
        self._job = job
        self._items = iter(items)
        self._timeout_s = timeout_s
        self._key = key
        self._take = threading.Lock()
        self._pickled_job: bytes | None = None
        # Results that nobody has asked for yet hold their threads back, so memory is bounded.
        self._free_slots = threading.Semaphore(executor.n_workers * _SLOTS_PER_WORKER)
        self._done: queue.SimpleQueue[list[tuple[Any, Any]] | _Ended] = queue.SimpleQueue()
        self._budget = _Budget(SHARED_MEMORY_BYTES)
        self._stopped = threading.Event()
        self._busy: set[Child] = set()
        self._busy_lock = threading.Lock()

    def results(self) -> Iterator[tuple[Any, Any]]:
        first = next(self._items, NO_MORE)
        if first is NO_MORE:
            return
        self._items = itertools.chain([first], self._items)
        self._executor._fork_server(type(self._job))
        threads = [
            threading.Thread(target=self._work, name=f"cvsim-{i}", daemon=True)
            for i in range(self._executor.n_workers)
        ]
        for thread in threads:
            thread.start()
        try:
            n_running = len(threads)
            while n_running:
                done = self._done.get()
                if isinstance(done, _Ended):
                    if done.failure is not None:
                        raise done.failure
                    n_running -= 1
                    continue
                for item, result in done:
                    self._free_slots.release()
                    yield item, result
        finally:
            self._stop(threads)

    def _stop(self, threads: list[threading.Thread]) -> None:
        self._stopped.set()
        self._budget.open()
        with self._busy_lock:
            for child in self._busy:
                child.kill()
        self._free_slots.release(len(threads))
        for thread in threads:
            thread.join()

    def _work(self) -> None:
        """A thread's life."""
        outbox = _Outbox(self._done)
        failure: BaseException | None = None
        try:
            while True:
                if not self._free_slots.acquire(blocking=False):
                    outbox.flush()
                    self._free_slots.acquire()
                if self._stopped.is_set():
                    break
                with self._take:
                    item = next(self._items, NO_MORE)
                if item is NO_MORE:
                    self._free_slots.release()
                    break
                outbox.put(item, self._result(item, outbox))
        except BaseException as exc:
            failure = exc
        outbox.flush()
        self._done.put(_Ended(failure))

    def _result(self, item: Any, outbox: _Outbox) -> Any:
        try:
            payload = self._job.load(item)
            demand = self._job.demand(payload)
            self._require_allowed(demand)
            if demand.isolated or demand.memory_bytes:  # may take long, or wait long
                outbox.flush()
            with self._budget.hold(demand.memory_bytes):
                if demand.isolated:
                    return self._run_isolated(payload, demand)
                return self._job.run(payload)
        except CvsimError as exc:
            return exc
        except MemoryError:
            return TooLargeError("it needs more memory than there is")
        except _JobError as exc:
            raise exc.cause from exc
        except Exception as exc:
            _log.exception("unexpected error on %r", item)
            return unexpected(exc)

    def _require_allowed(self, demand: Demand) -> None:
        allowed = self._executor.allowed_bytes
        if demand.memory_bytes <= allowed:
            return
        needed = math.ceil(demand.memory_bytes / 1e8) / 10
        raise MemoryNotAllowedError(
            f"it needs about {needed:.1f} GB of memory, and one picture may take {allowed / 1e9:.1f} GB "
            f"here; {OPTION} {math.ceil(needed)}G allows it"
        )

    def _run_isolated(self, payload: Any, demand: Demand) -> Any:
        try:
            return self._run_in_child(payload, demand)
        except ChildEndedError:
            pass
        # A child can end for reasons that are not the payload's (the system short of memory, a kill):
        # only one that ends a second, fresh child is to blame.
        try:
            return self._run_in_child(payload, demand)
        except ChildEndedError:
            raise DecodeError("the decoder crashed") from None

    def _run_in_child(self, payload: Any, demand: Demand) -> Any:
        timeout_s = self._timeout_s + demand.extra_s
        memory_bytes = self._executor.child_memory_bytes + demand.memory_bytes
        child = self._ready_child()
        with self._busy_lock:
            self._busy.add(child)
        is_sound = True
        try:
            if self._stopped.is_set():
                raise DecodeError("the run was stopped")
            return child.run(payload, timeout_s, memory_bytes)
        except ChildTimeoutError:
            is_sound = False
            raise DecodeError(f"the decoder took longer than {round(timeout_s, 1):g} s") from None
        except ChildEndedError:
            is_sound = False
            raise
        finally:
            with self._busy_lock:
                self._busy.discard(child)
            if is_sound:
                self._executor._give_back(child)
            else:
                child.close()

    def _ready_child(self) -> Child:
        """A living child with this map's job loaded."""
        try:
            child = self._executor._take_child(type(self._job))
            if child.job_key != self._key:
                child.load_job(self._key, self._pickled())
        except (ChildEndedError, ChildTimeoutError, OSError) as exc:
            raise _JobError(RuntimeError("a child process for decoding could not be started")) from exc
        except RuntimeError as exc:
            raise _JobError(exc) from exc
        return child

    def _pickled(self) -> bytes:
        with self._take:
            if self._pickled_job is None:
                try:
                    self._pickled_job = pickle.dumps(self._job, protocol=pickle.HIGHEST_PROTOCOL)
                except Exception as exc:
                    raise RuntimeError(f"the job cannot be pickled: {exc}") from exc
            return self._pickled_job


class _Outbox:
    """The results of a thread, handed over a few at a time.

    Waking the reader for each would cost more than the bookkeeping of a small item.
    """

    def __init__(self, done: queue.SimpleQueue[list[tuple[Any, Any]] | _Ended]) -> None:
        self._done = done
        self._held: list[tuple[Any, Any]] = []
        self._flushed_at = time.monotonic()

    def put(self, item: Any, result: Any) -> None:
        self._held.append((item, result))
        if time.monotonic() - self._flushed_at > _HOLD_S:
            self.flush()

    def flush(self) -> None:
        if self._held:
            self._done.put(self._held)
            self._held = []
        self._flushed_at = time.monotonic()


@dataclass(frozen=True, slots=True)
class _Ended:
    """A thread has no more to do, or could not go on."""

    failure: BaseException | None


class _JobError(Exception):
    """The job itself is at fault, so no item can be run: ends the map."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _Budget:
    """Memory that runs at work share. One that wants more than there is waits until it is alone."""

    def __init__(self, total_bytes: int) -> None:
        self._total_bytes = total_bytes
        self._held_bytes = 0
        self._n_holders = 0
        self._changed = threading.Condition()
        self._is_open = False

    def open(self) -> None:
        """Let everyone pass: the work is being stopped."""
        with self._changed:
            self._is_open = True
            self._changed.notify_all()

    @contextlib.contextmanager
    def hold(self, n_bytes: int) -> Iterator[None]:
        if n_bytes <= 0:
            yield
            return
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._is_open or self._n_holders == 0 or self._held_bytes + n_bytes <= self._total_bytes
                )
            )
            self._held_bytes += n_bytes
            self._n_holders += 1
        try:
            yield
        finally:
            with self._changed:
                self._held_bytes -= n_bytes
                self._n_holders -= 1
                self._changed.notify_all()
