"""Who may talk to a local page: only the browser that was given its address.

A page on loopback can be reached by every program of the machine, and by every web site that the same
browser shows: a site may send requests to 127.0.0.1, or let its own name point there (DNS rebinding). So,
before any route is looked at:

- the Host must be the one that was bound, or another site's name has been pointed here;
- the Origin, and what browsers say in Sec-Fetch-Site, must be the page's own, or another site asks;
- the cookie must hold the token that was in the opened address: a SameSite=Strict, HttpOnly cookie;
- what changes something must be a POST of JSON with the header that only the page's script can send: a
  foreign site can neither read its value nor send it without being refused at the preflight;
- bodies are small, and files come a few at a time (`cvsim.web.bodies`).

What goes out forbids the browser everything that the page does not need.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from html import escape
from urllib.parse import parse_qs

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cvsim.web.bodies import BodyError, UploadGate, drain, read_body

CSRF_HEADER = "x-cvsim-csrf"
MAX_BODY_BYTES = 64 * 1024
UPLOAD_TYPES = ("application/octet-stream", "multipart/form-data", "image/")
"""What a file is sent as. A form of a foreign page can send one, but not the header that it needs."""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; img-src 'self' blob:; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Mapping[str, str] = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_HELLO = """<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=/">
<link rel="icon" href="/static/icon.svg"><title>cvsim</title><p><a href="/">Go on</a></p>"""


class Guard:
    """ASGI middleware around one local page.

    Parameters
    ----------
    app : ASGI application
    port : int
        The port that it is reached by.
    token : str
        What the opened address carries; made by `new_token`.
    uploads : mapping of str to int, optional
        Paths that take a file instead of JSON, and how many bytes at most.
    answers_to : callable, optional
        Which Host headers are the page's own; those of loopback if not given.
    scheme : "http" or "https"

    Attributes
    ----------
    csrf : str
        What the page's script sends in the header `CSRF_HEADER` with each POST.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        port: int,
        token: str,
        uploads: Mapping[str, int] | None = None,
        answers_to: Callable[[str], bool] | None = None,
        scheme: str = "http",
    ) -> None:
        self._app = app
        self._uploads = uploads or {}
        self._token = token
        self._answers_to = answers_to or {f"127.0.0.1:{port}", f"localhost:{port}"}.__contains__
        self._scheme = scheme
        self._gate = UploadGate()
        # Cookies do not know ports: another page of cvsim must not overwrite this one's.
        self._cookie = f"cvsim-{port}"
        self.csrf = secrets.token_urlsafe(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it before the application sees it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no web sockets here: the connection ends
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            if scope["method"] not in ("GET", "HEAD"):
                await drain(receive, 2 * self._max_bytes(scope))
        elif scope["method"] == "POST":
            refusal = await self._posted(scope, receive, send)
        else:
            await self._app(scope, receive, _with_headers(send))
        if refusal is not None:
            if scope["method"] not in ("GET", "HEAD"):
                refusal.headers["connection"] = "close"
            await refusal(scope, receive, _with_headers(send))

    async def _posted(self, scope: Scope, receive: Receive, send: Send) -> Response | None:
        """Hand on a request with its body; why that cannot be, or None."""
        async with AsyncExitStack() as stack:
            try:
                if scope["path"] in self._uploads:
                    await stack.enter_async_context(self._gate.turn())
            except BodyError as error:
                await drain(receive, 2 * self._max_bytes(scope))
                return _refused(scope, error.status, error.words)
            try:
                body = await read_body(receive, self._max_bytes(scope))
            except BodyError as error:
                return _refused(scope, error.status, error.words)
            await self._app(scope, _replayed(body), _with_headers(send))
        return None

    def _refusal(self, scope: Scope, headers: Mapping[str, str]) -> Response | None:
        """Why this request goes no further, or None."""
        host = headers.get("host", "")
        if not self._answers_to(host) or _is_repeated(scope, b"host"):
            return _refused(scope, 421, "This page answers to its own address only.")
        origin = headers.get("origin")
        if origin is not None and origin != f"{self._scheme}://{host}":
            return _refused(scope, 403, "Another site asked for this; it gets nothing.")
        # The first visit may come from a link anywhere: it has the token in hand.
        if self._is_hello(scope):
            return self._hello()
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return _refused(scope, 403, "Another site asked for this; it gets nothing.")
        if not self._has_token(headers):
            return _refused(scope, 403, "Open the address that cvsim printed: it holds the key to this page.")
        if scope["method"] == "POST":
            return self._post_refusal(scope, headers)
        if scope["method"] not in ("GET", "HEAD"):
            refusal = _refused(scope, 405, "There is nothing like that here.")
            refusal.headers["allow"] = "GET, HEAD, POST"
            return refusal
        return None

    def _max_bytes(self, scope: Scope) -> int:
        return self._uploads.get(scope["path"], MAX_BODY_BYTES)

    def _post_refusal(self, scope: Scope, headers: Mapping[str, str]) -> Response | None:
        if not self._is_program(headers):
            if "origin" not in headers:
                return _refused(scope, 403, "A change must come from the page itself.")
            if not hmac.compare_digest(headers.get(CSRF_HEADER, "").encode(), self.csrf.encode()):
                return _refused(scope, 403, "The page is older than this run of cvsim: reload it.")
        kind = headers.get("content-type", "").partition(";")[0].strip()
        if scope["path"] in self._uploads:
            if not kind.startswith(UPLOAD_TYPES):
                return _refused(
                    scope, 415, "A file is sent as application/octet-stream, image/* or multipart/form-data."
                )
        elif kind != "application/json":
            return _refused(scope, 415, "Only JSON is understood here.")
        if not headers.get("content-length", "0").isdigit():
            return _refused(scope, 400, "The length of the request makes no sense.")
        if int(headers.get("content-length", "0")) > self._max_bytes(scope):
            return _refused(scope, 413, "The request is too large.")
        return None

    def _is_hello(self, scope: Scope) -> bool:
        """Whether this is the address that was opened, with the right token."""
        if scope["method"] != "GET" or scope["path"] != "/":
            return False
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        return hmac.compare_digest(given.encode(), self._token.encode())

    def _hello(self) -> Response:
        """Swap the token in the address for the cookie.

        By a page that reloads, not by a redirect: after one, a browser that came from a link elsewhere
        would hold the strict cookie back.
        """
        response = HTMLResponse(_HELLO)
        secure = self._scheme == "https"
        response.set_cookie(
            self._cookie, self._token, httponly=True, samesite="strict", path="/", secure=secure
        )
        return response

    def _is_program(self, headers: Mapping[str, str]) -> bool:
        """Whether this is no browser: a page elsewhere cannot send this header unasked."""
        kind, _, given = headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token.encode())

    def _has_token(self, headers: Mapping[str, str]) -> bool:
        if self._is_program(headers):
            return True
        # By hand: the standard parser gives up on all cookies over one odd one of another local page.
        pairs = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
        given = next((value for name, _, value in pairs if name == self._cookie), "")
        return hmac.compare_digest(given.encode(), self._token.encode())


def new_token() -> str:
    """256 random bits, fit for an address."""
    return secrets.token_urlsafe(32)


def _is_repeated(scope: Scope, name: bytes) -> bool:
    return bool(sum(key == name for key, _ in scope["headers"]) > 1)


def _refused(scope: Scope, status: int, words: str) -> Response:
    """Why a request goes no further: as a page for a person who opens one, else as JSON."""
    accepts = next((value for name, value in scope["headers"] if name == b"accept"), b"")
    if b"text/html" not in accepts or scope["path"].startswith("/api/"):
        headers = {"retry-after": "5"} if status == 429 else {}
        return JSONResponse({"error": words}, status, headers)
    page = f'<!doctype html><meta charset="utf-8"><title>cvsim</title><p>{escape(words)}</p>'
    return HTMLResponse(page, status)


def _replayed(body: bytes) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive


def _with_headers(send: Send) -> Callable[[Message], Awaitable[None]]:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = list(message.get("headers", []))
            names = {name.lower() for name, _ in given}
            added = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
            if b"cache-control" not in names:
                added.append((b"cache-control", b"no-store"))
            message = {**message, "headers": given + added}
        await send(message)

    return sending
