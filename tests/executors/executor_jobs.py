"""Jobs that behave badly. A module of its own, so that child processes can import it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from cvsim.errors import DecodeError, MissingExtraError
from cvsim.executors.base import Demand


def crash() -> None:
    ctypes.string_at(0)


def allocate(n_bytes: int) -> int:
    return len(bytearray(n_bytes))


def chatter() -> str:
    print("to stdout")
    os.write(1, b"to the descriptor 1\n")
    os.write(2, b"to the descriptor 2\n")
    print("to stderr", file=sys.stderr)
    return "said"


def fail() -> None:
    raise DecodeError("as expected")


def miss() -> None:
    raise MissingExtraError("HEIC files", "heif")


def stumble() -> None:
    raise ZeroDivisionError("nobody thought of that")


def work() -> float:
    while time.process_time() < 0.3:
        pass
    return 0.3


ACTS: dict[str, Callable[[], object]] = {
    "pid": os.getpid,
    "parent": os.getppid,
    "abort": os.abort,
    "crash": crash,
    "exit": lambda: os._exit(0),
    "hang": lambda: time.sleep(1000),
    "hang deaf": lambda: (signal.signal(signal.SIGTERM, signal.SIG_IGN), time.sleep(1000)),
    "bomb": lambda: allocate(4_000_000_000),
    "a bit": lambda: allocate(50_000_000),
    "chatter": chatter,
    "work": work,
    "fail": fail,
    "miss": miss,
    "stumble": stumble,
    "large": lambda: b"x" * 5_000_000,
}


@dataclass
class Act:
    """Does in a child what the item names; items that begin with ``here`` are done in the thread."""

    @staticmethod
    def prepare() -> None:
        """Nothing, but children are then forked from this process where they can be."""

    def load(self, item: str) -> str:
        return item

    def demand(self, payload: str) -> Demand:
        return Demand(isolated=not payload.startswith("here "))

    def run(self, payload: str) -> object:
        return ACTS[payload.removeprefix("here ")]()


class Count:
    """Counts how many items are loaded, and how much memory is claimed at once."""

    def __init__(self, memory_bytes: int = 0, pause_s: float = 0.0) -> None:
        self.n_loaded = 0
        self.memory_bytes = memory_bytes
        self.pause_s = pause_s
        self.at_once = 0
        self.most_at_once = 0
        self.lock = threading.Lock()

    def load(self, item: int) -> int:
        with self.lock:
            self.n_loaded += 1
        return item

    def demand(self, payload: int) -> Demand:
        return Demand(memory_bytes=self.memory_bytes)

    def run(self, payload: int) -> int:
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(self.pause_s)
        with self.lock:
            self.at_once -= 1
        return payload * payload


class Unpicklable:
    def __init__(self) -> None:
        self.lock = threading.Lock()

    def load(self, item: int) -> int:
        return item

    def demand(self, payload: int) -> Demand:
        return Demand(isolated=True)

    def run(self, payload: int) -> int:
        return payload


class WithoutTheLock(Unpicklable):
    def __getstate__(self) -> dict[str, object]:
        return {}


class Unloadable(Unpicklable):
    def __reduce__(self) -> tuple[object, ...]:
        return (int, ("not a number",))


@dataclass
class Noted:
    """Squares a number, slowly, and notes in a file that it did."""

    notes: str
    pause_s: float = 0.0

    def load(self, item: int) -> int:
        return item

    def demand(self, payload: int) -> Demand:
        return Demand()

    def run(self, payload: int) -> int:
        time.sleep(self.pause_s)
        with open(self.notes, "a", encoding="ascii") as stream:
            stream.write(f"{payload}\n")
        return payload * payload


@dataclass
class OnlyIn:
    """Can be loaded in one process only, as a file that another machine does not have."""

    pid: int

    def load(self, item: int) -> int:
        if os.getpid() != self.pid:
            raise DecodeError("not here")
        return item

    def demand(self, payload: int) -> Demand:
        return Demand()

    def run(self, payload: int) -> int:
        return payload


class Ends:
    """Ends whatever process works on it."""

    def load(self, item: int) -> int:
        return item

    def demand(self, payload: int) -> Demand:
        return Demand()

    def run(self, payload: int) -> int:
        os._exit(1)


class Prepared(Act):
    """Says in a child where it was prepared."""

    prepared_in: ClassVar[list[int]] = []

    @staticmethod
    def prepare() -> None:
        Prepared.prepared_in.append(os.getpid())

    def run(self, payload: str) -> object:
        return self.prepared_in
