"""What a job is, and what runs it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from cvsim.errors import CvsimError

Item = TypeVar("Item")
Payload = TypeVar("Payload")
Result = TypeVar("Result")
_ItemIn = TypeVar("_ItemIn", contravariant=True)
_ResultOut = TypeVar("_ResultOut", covariant=True)


@dataclass(frozen=True, slots=True)
class Demand:
    """What running one payload asks of its surroundings.

    Attributes
    ----------
    isolated : bool
        Run it in a child process: it may crash, hang, or take more memory than it should.
    memory_bytes : int
        About how much memory the run takes; large ones wait for each other, and what is more than allowed is
        refused. An isolated run gets no more than this, and what every run gets.
    extra_s : float
        How much longer than usual it may take.
    """

    isolated: bool = False
    memory_bytes: int = 0
    extra_s: float = 0.0


class Job(Protocol[_ItemIn, Payload, _ResultOut]):
    """Work on one item, in two steps, so that a file is read once wherever its work is done.

    For each item the executor calls ``load`` in a thread (of the calling process, unless it is remote), asks
    ``demand`` where the rest may happen, and calls ``run`` there: in the same thread, or in a child process.
    For the latter the job is pickled once a map and the payload once an item; only ``run`` is called in a
    child, so ``__getstate__`` may leave out what only ``load`` needs there. A job must not be a class of
    ``__main__``. If it has a static method ``prepare``, that is called once in the process that children are
    forked from, or before the first item in this one if that is forked from it: for what takes long the first
    time, and starts no thread.

    ``load`` and ``run`` are called by several threads at once. A `CvsimError` they raise is the item's
    result. Results of isolated runs travel back pickled: keep them small, never pixels.
    """

    def load(self, item: _ItemIn) -> Payload:
        """Fetch what `run` needs, e.g. read the file."""
        ...

    def demand(self, payload: Payload) -> Demand:
        """Say what running `payload` takes. Called after `load`, in the same thread."""
        ...

    def run(self, payload: Payload) -> _ResultOut:
        """Do the work."""
        ...


NO_MORE: Final = object()
"""What ``next`` gives at the end of the items; no item can be it."""


class Executor(Protocol):
    """Runs jobs. A context manager: leaving it ends every process it started.

    Attributes
    ----------
    is_remote : bool
        Jobs run in other processes, perhaps on other machines: items and results travel.
    """

    @property
    def is_remote(self) -> bool:
        """Tell whether jobs run in other processes."""

    def map(
        self, job: Job[Item, Payload, Result], items: Iterable[Item], *, timeout_s: float = 10.0
    ) -> Iterator[tuple[Item, Result | CvsimError]]:
        """Yield each item with its result, or with the error that is its result, as they are completed.

        The order is not that of `items`. An isolated run that takes longer than `timeout_s`, or ends its
        process, gives a `DecodeError`. No more items are taken than are being worked on (and a few).
        """
        ...

    def close(self) -> None:
        """End the child processes."""
        ...

    def __enter__(self) -> Executor: ...

    def __exit__(self, *exc_info: object) -> None: ...
