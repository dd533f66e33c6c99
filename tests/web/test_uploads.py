"""Files that are sent: few in memory at once, nobody without an answer, and nobody who stalls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

pytest.importorskip("starlette", reason="pip install 'cvsim[web]'")

from starlette.types import Message, Receive, Scope, Send

from cvsim.web import bodies
from cvsim.web.guard import Guard

PORT, TOKEN, PATH = 8765, "the-token", "/api/search"
PART = bytes(50_000)


class Counting:
    """An application that takes its time, and counts the files that it has at once."""

    def __init__(self) -> None:
        self.n_now = self.n_most = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        assert len(message["body"]) == 2 * len(PART)
        self.n_now += 1
        self.n_most = max(self.n_most, self.n_now)
        await asyncio.sleep(0.01)
        self.n_now -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


def sent(n_parts: int, *, then_stalls: bool = False) -> Callable[[], Awaitable[Message]]:
    """What a client sends: parts of a body, and then nothing more for a long time if it stalls."""
    left = n_parts

    async def receive() -> Message:
        nonlocal left
        await asyncio.sleep(0)
        if not left:
            if then_stalls:
                await asyncio.sleep(3600)
            return {"type": "http.disconnect"}
        left -= 1
        return {"type": "http.request", "body": PART, "more_body": left > 0 or then_stalls}

    return receive


async def upload(
    guard: Guard, receive: Callable[[], Awaitable[Message]]
) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, headers and body of the answer."""
    headers = [
        (b"host", f"127.0.0.1:{PORT}".encode()),
        (b"authorization", f"Bearer {TOKEN}".encode()),
        (b"content-type", b"image/jpeg"),
    ]
    scope = {"type": "http", "method": "POST", "path": PATH, "query_string": b"", "headers": headers}
    answer: list[Any] = []

    async def send(message: Message) -> None:
        answer.append(message)

    await guard(scope, receive, send)
    return answer[0]["status"], dict(answer[0]["headers"]), answer[1]["body"]


def made() -> tuple[Counting, Guard]:
    app = Counting()
    return app, Guard(app, port=PORT, token=TOKEN, uploads={PATH: 2 * len(PART)})


def test_a_few_files_are_in_memory_and_the_others_wait() -> None:
    async def run() -> list[int]:
        return [status for status, _, _ in await asyncio.gather(*(upload(guard, sent(2)) for _ in range(20)))]

    app, guard = made()
    assert asyncio.run(run()) == [200] * 20
    assert app.n_most == bodies.MAX_AT_ONCE


def test_more_than_can_wait_are_told_to_come_again() -> None:
    n = bodies.MAX_AT_ONCE + bodies.MAX_WAITING + 30

    async def run() -> list[tuple[int, dict[bytes, bytes], bytes]]:
        return list(await asyncio.gather(*(upload(guard, sent(2)) for _ in range(n))))

    app, guard = made()
    answers = asyncio.run(run())
    refused = [(headers, body) for status, headers, body in answers if status == 429]
    assert len(refused) + sum(status == 200 for status, _, _ in answers) == n
    assert 1 <= len(refused) <= 30 + bodies.MAX_AT_ONCE
    assert all(json.loads(body)["error"] and int(headers[b"retry-after"]) > 0 for headers, body in refused)
    assert app.n_most == bodies.MAX_AT_ONCE


def test_who_stalls_is_dropped_and_stands_in_nobodys_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "IDLE_S", 0.05)

    async def run() -> list[tuple[int, dict[bytes, bytes], bytes]]:
        stalled = [upload(guard, sent(1, then_stalls=True)) for _ in range(bodies.MAX_AT_ONCE)]
        return list(await asyncio.gather(*stalled, *(upload(guard, sent(2)) for _ in range(5))))

    _, guard = made()
    answers = asyncio.run(run())
    assert [status for status, _, _ in answers] == [408] * bodies.MAX_AT_ONCE + [200] * 5
    assert answers[0][1][b"connection"] == b"close"


def test_what_is_too_large_is_heard_out_before_it_is_refused() -> None:
    _, guard = made()
    status, headers, body = asyncio.run(upload(guard, sent(4)))
    assert (status, headers[b"connection"]) == (413, b"close")
    assert json.loads(body)["error"] == "The request is too large."
