"""A web server on this machine that misbehaves in every way that a list of old URLs meets."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HTML = b"<!doctype html><html><body>This picture has moved.</body></html>" + b" " * 200
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>" + b" " * 200


class FaultyServer(ThreadingHTTPServer):
    """Serves `picture`, a JPEG file, well and badly.

    Attributes
    ----------
    url : str
    hits : Counter of str
        Requests by path.
    most_at_once : int
        Requests that were being answered at the same time.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, picture: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.picture = picture
        self.hits: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.n_now = self.most_at_once = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are what this server is for."""


class _Handler(BaseHTTPRequestHandler):
    server: FaultyServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server
        with server.lock:
            server.hits[self.path] += 1
            server.n_now += 1
            self.is_open = True
            server.most_at_once = max(server.most_at_once, server.n_now)
        try:
            name = self.path.strip("/").partition("/")[0].partition("?")[0].replace("-", "_")
            getattr(self, f"_{name}", self._missing)()
        finally:
            self._ended()

    def _ended(self) -> None:
        """Once a request: the client may send its next one before this thread gets its turn again."""
        with self.server.lock:
            self.server.n_now -= self.is_open
            self.is_open = False

    def _send(self, status: int, body: bytes, kind: str = "image/jpeg", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self._ended()
        self.wfile.write(body)

    def _ok(self) -> None:
        time.sleep(0.01)
        self._send(200, self.server.picture)

    def _missing(self) -> None:
        self._send(404, HTML, "text/html")

    def _called_text(self) -> None:
        self._send(200, self.server.picture, "text/plain")

    def _html(self) -> None:
        self._send(200, HTML)

    def _svg(self) -> None:
        self._send(200, SVG, "image/svg+xml")

    def _empty(self) -> None:
        self._send(200, b"")

    def _flaky(self) -> None:
        if self.server.hits[self.path] < 3:
            self._send(503, b"busy", Retry_After="0")
        else:
            self._ok()

    def _down(self) -> None:
        self._send(500, b"broken")

    def _cut(self) -> None:
        self._send(200, self.server.picture[:500], Content_Length=str(len(self.server.picture)))
        self.close_connection = True

    def _cut_once(self) -> None:
        self._cut() if self.server.hits[self.path] == 1 else self._ok()

    def _unframed(self) -> None:
        """An answer without a length that ends early."""
        self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: image/jpeg\r\n\r\n" + self.server.picture[:2000])
        self.close_connection = True

    def _stall(self) -> None:
        self._send(200, self.server.picture[:500], Content_Length=str(len(self.server.picture)))
        self.server.ended.wait(20)

    def _drip(self) -> None:
        """A byte now and then, for ever: no single wait is long."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.picture)))
        self.end_headers()
        for k in range(len(self.server.picture)):
            self.wfile.write(self.server.picture[k : k + 1])
            self.wfile.flush()
            if self.server.ended.wait(0.05):
                return

    def _huge(self) -> None:
        self._send(200, self.server.picture, Content_Length=str(10**12))
        self.close_connection = True

    def _endless(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        chunk = self.server.picture + b"\0" * 65536
        while not self.server.ended.is_set():
            self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")

    def _packed(self) -> None:
        self._send(200, self.server.picture, Content_Encoding="gzip")

    def _moved(self) -> None:
        self._send(302, b"", Location="/ok/moved")

    def _loop(self) -> None:
        self._send(302, b"", Location="/loop")

    def _to_file(self) -> None:
        self._send(302, b"", Location="file:///etc/passwd")

    def _to_localhost(self) -> None:
        self._send(302, b"", Location=f"http://localhost:{self.server.server_address[1]}/ok/inner")

    def _nonsense(self) -> None:
        self.wfile.write(b"this is no HTTP\r\n\r\n")
        self.close_connection = True


@contextmanager
def faulty_server(picture: bytes) -> Iterator[FaultyServer]:
    """Runs one in a thread."""
    server = FaultyServer(picture)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
