"""Bodies of requests: read whole, bounded in size, number and time.

A body is in memory while its request is answered. So only a few are read at once; what comes meanwhile waits
unread, in the buffers of the network, or is told to come again. A client that stops in the middle is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import Receive

MAX_AT_ONCE = 2
"""Files in memory: 100 uploads of 29 MB took 412 MB, the processes that decode included, as
`benchmarks/search_service.py` measured."""
MAX_WAITING = 64
WAIT_S = 90.0
IDLE_S = 20.0
"""A client that sends nothing for so long is dropped,"""
TOTAL_S = 240.0
"""and one that takes longer for a whole body: 30 MB at 1 Mbit/s."""


class BodyError(Exception):
    """A body that is not read to its end: the status to answer, and in words why."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status, self.words = status, words


class UploadGate:
    """Lets in a few files at a time."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(MAX_AT_ONCE)
        self._n_waiting = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and have it until the block ends.

        Raises
        ------
        BodyError
            Too many wait already, or have waited too long.
        """
        busy = BodyError(429, "Too many files at once.")
        if self._n_waiting >= MAX_WAITING:
            raise busy
        self._n_waiting += 1
        try:
            async with asyncio.timeout(WAIT_S):
                await self._free.acquire()
        except TimeoutError:
            raise busy from None
        finally:
            self._n_waiting -= 1
        try:
            yield
        finally:
            self._free.release()


async def read_body(receive: Receive, max_bytes: int) -> bytes:
    """The whole body; what the header says of its size is not believed.

    Raises
    ------
    BodyError
        It is too large, or does not come.
    """
    body, n_bytes = bytearray(), 0
    try:
        async with asyncio.timeout(TOTAL_S):
            while True:
                async with asyncio.timeout(IDLE_S):
                    message = await receive()
                if message["type"] != "http.request":
                    raise BodyError(400, "The request was broken off.")
                n_bytes += len(message.get("body", b""))
                if n_bytes <= max_bytes:
                    body += message.get("body", b"")
                elif body:
                    body.clear()
                is_whole = not message.get("more_body", False)
                # What is too large is listened to for a while: who is cut off would not read the answer.
                if n_bytes > 2 * max_bytes or (is_whole and n_bytes > max_bytes):
                    raise BodyError(413, "The request is too large.")
                if is_whole:
                    return bytes(body)
    except TimeoutError:
        raise BodyError(408, "The request took too long to arrive.") from None


async def drain(receive: Receive, max_bytes: int) -> None:
    """Let a client that is refused send on, into nothing: one that is cut off would not read the answer."""
    n_bytes = 0
    try:
        while n_bytes <= max_bytes:
            async with asyncio.timeout(IDLE_S):
                message = await receive()
            n_bytes += len(message.get("body", b""))
            if message["type"] != "http.request" or not message.get("more_body", False):
                return
    except TimeoutError:
        return
