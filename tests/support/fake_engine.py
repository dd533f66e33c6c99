"""Something that answers as OpenSearch or Elasticsearch does, or not quite, as real ones seldom do."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Any]
OPENSEARCH = {"version": {"distribution": "opensearch", "number": "2.19.1"}}
ELASTICSEARCH = {"version": {"number": "8.15.0"}, "tagline": "You Know, for Search"}


class FakeEngine:
    """Takes an index and its rows, and remembers what it was asked; what `odd` answers goes before.

    Attributes
    ----------
    asked : list of (method, path without its query, body)
    """

    def __init__(self, root: Any, odd: Callable[[str, str, str], Answer | float | None]) -> None:
        self.root, self.odd = root, odd
        self.asked: list[tuple[str, str, str]] = []
        self.indices: dict[str, Any] = {}
        self.port = 0

    @property
    def location(self) -> str:
        return f"opensearch://127.0.0.1:{self.port}/x?timeout_s=1"

    def answer(self, method: str, path: str, body: str) -> Answer:
        self.asked.append((method, path, body))
        found = self.odd(method, path, body)
        if isinstance(found, float):
            time.sleep(found)
        elif found is not None:
            return found
        if path == "/":
            return 200, self.root
        if named := re.fullmatch(r"/([\w-]+)/_mapping", path):
            return self._mapping(method, named[1], body)
        if method == "PUT" and re.fullmatch(r"/[\w-]+", path):
            self.indices[path[1:]] = json.loads(body)
            return 200, {"acknowledged": True}
        if path == "/_bulk":
            rows = [line for line in body.splitlines() if line.startswith('{"index"')]
            return 200, {"errors": False, "items": [{"index": {"status": 200}} for _ in rows]}
        if path.endswith("/_mget"):
            return 200, {"docs": [{"_id": id, "found": False} for id in json.loads(body)["ids"]]}
        if path.endswith("/_count"):
            return 200, {"count": 0 if "exists" in body else 1_000_000}
        if path.endswith("/_search"):
            return 200, {"hits": {"hits": []}}
        return 200, {}

    def _mapping(self, method: str, name: str, body: str) -> Answer:
        if name not in self.indices:
            return 404, {"error": {"type": "index_not_found_exception"}, "status": 404}
        mappings = self.indices[name]["mappings"]
        if method == "PUT":
            mappings["properties"] |= json.loads(body)["properties"]
        return 200, {name: {"mappings": mappings}}


@contextmanager
def fake_engine(
    root: Any = OPENSEARCH, odd: Callable[[str, str, str], Answer | float | None] = lambda *_: None
) -> Iterator[FakeEngine]:
    """A server on a free port of loopback until the block ends."""
    engine = FakeEngine(root, odd)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length).decode()
            status, document = engine.answer(self.command, self.path.partition("?")[0], body)
            data = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header(
                "content-type", "text/html" if isinstance(document, bytes) else "application/json"
            )
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = _any

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    engine.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield engine
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
