"""Pictures from the network: the only network client of cvsim.

What answers a URL is not trusted. Only public addresses are connected to unless the caller says otherwise,
and the address that was checked is the one that is connected to, for redirects too: a name that resolves to
another address a moment later gains nothing. What comes is read up to a limit, within a time, and taken
only if its first bytes are those of a picture, whatever the server calls it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Self

from cvsim._version import __version__
from cvsim.errors import FetchError, MissingExtraError, NotAnImageError
from cvsim.fetch.addresses import AddressGuard, Deadline, Resolve, addresses_of
from cvsim.images.sniff import HEAD_BYTES, sniff

if TYPE_CHECKING:
    import httpx

_log = logging.getLogger(__name__)

MAX_FETCHED_BYTES = 50_000_000
MAX_REDIRECTS = 5
USER_AGENT = f"cvsim/{__version__} (image downloader)"
_REDIRECTS = {301, 302, 303, 307, 308}
_RETRYABLE = {408, 425, 429, 500, 502, 503, 504}
"""Statuses that may be others a moment later."""
_TAILS = {"jpeg": b"\xff\xd9", "png": b"IEND", "gif": b";"}
"""What the whole file has near its end."""
_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is asked of a server, and taken from it.

    Attributes
    ----------
    max_bytes : int
        The most bytes of one answer.
    timeout_s : float
        Without a byte.
    total_s : float
        For one attempt, redirects included: a server that sends a byte a second is no better than one that
        sends none.
    n_attempts : int
        How often one URL is tried; only errors that may pass are tried again.
    wait_s : float
        Before the second attempt, doubled for each further one.
    max_wait_s : float
        The longest wait, also of those that a server asks for.
    """

    max_bytes: int = MAX_FETCHED_BYTES
    timeout_s: float = 15.0
    total_s: float = 90.0
    n_attempts: int = 4
    wait_s: float = 1.0
    max_wait_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """A picture file from the network: `data` begins like the `format`; `url` is where it was in the end."""

    url: str
    data: bytes
    format: str
    n_attempts: int = 1


class RemoteClient:
    """Fetches pictures. May be used by several threads; a context manager.

    Connections go straight to the server: through a proxy nobody could say which address is reached.

    Parameters
    ----------
    limits : Limits
    allow_private : bool
        Also connect to addresses that are not public: this machine, the local network.
    allow_credentials : bool
        Also take URLs with a user name or a password. A stranger's ``http://known.example@other.example/`` is
        made to be misread.
    n_connections : int
        Open at once.
    resolve : callable, optional
        Looks up names; the system's way if not given.

    Raises
    ------
    MissingExtraError
        httpx is not installed.
    """

    def __init__(
        self,
        limits: Limits = Limits(),
        *,
        allow_private: bool = False,
        allow_credentials: bool = False,
        n_connections: int = 16,
        resolve: Resolve | None = None,
    ) -> None:
        self.limits = limits
        self._allow_credentials = allow_credentials
        self._deadline = Deadline()
        self._closed = threading.Event()
        guard = AddressGuard(resolve or addresses_of, allow_private)
        self._client = _make_client(guard, self._deadline, limits, n_connections)

    def fetch(self, url: str) -> Fetched:
        """Fetch the picture at an http(s) URL, trying again where that may help.

        Raises
        ------
        FetchError
            It cannot be had; the message says why.
        """
        for attempt in range(1, self.limits.n_attempts + 1):
            try:
                return self._attempt(url, attempt)
            except FetchError as error:
                if not error.retryable or attempt == self.limits.n_attempts:
                    raise
                wait_s = self._wait_s(error, attempt)
                _log.info("%s: %s; trying again in %.1f s", url, error, wait_s)
                if self._closed.wait(wait_s):
                    raise
        raise AssertionError("an attempt returns or raises")

    def close(self) -> None:
        """Let go of the connections; waits between attempts end."""
        self._closed.set()
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _wait_s(self, error: FetchError, attempt: int) -> float:
        wait_s = self.limits.wait_s * 2 ** (attempt - 1)
        return float(min(max(wait_s, error.after_s or 0.0), self.limits.max_wait_s))

    def _attempt(self, url: str, attempt: int) -> Fetched:
        with self._deadline.within(self.limits.total_s), _mapped_errors():
            for _ in range(MAX_REDIRECTS + 1):
                request = self._request(url)
                response = self._client.send(request, stream=True)
                try:
                    if response.status_code not in _REDIRECTS:
                        data, format = self._body(response)
                        return Fetched(url, data, format, attempt)
                    url = self._next_url(response)
                finally:
                    response.close()
        raise FetchError(f"more than {MAX_REDIRECTS} redirects")

    def _request(self, url: str) -> httpx.Request:
        import httpx

        try:
            request = self._client.build_request("GET", url)
        except (httpx.InvalidURL, ValueError, TypeError) as exc:
            raise FetchError(f"no valid URL: {exc}") from exc
        if request.url.scheme not in ("http", "https") or not request.url.host:
            raise FetchError("no http or https URL")
        if request.url.userinfo and not self._allow_credentials:
            raise FetchError("a URL with a user name or a password before its host is not fetched")
        return request

    @staticmethod
    def _next_url(response: httpx.Response) -> str:
        target = response.headers.get("location")
        if not target:
            raise FetchError("a redirect without a target")
        try:
            return str(response.url.join(target))
        except Exception as exc:  # whatever a hostile header makes the parser raise
            raise FetchError("a redirect to no valid URL") from exc

    def _body(self, response: httpx.Response) -> tuple[bytes, str]:
        _check_status(response)
        announced = response.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > self.limits.max_bytes:
            raise FetchError(f"{int(announced):,} bytes are over the limit of {self.limits.max_bytes:,}")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise FetchError("the answer is compressed, which was not asked for")
        data = bytearray()
        format = None
        for chunk in response.iter_raw():
            data += chunk
            if len(data) > self.limits.max_bytes:
                raise FetchError(f"more than {self.limits.max_bytes:,} bytes")
            if format is None and len(data) >= HEAD_BYTES:
                format = _format_of(data, response)
        format = format or _format_of(data, response)
        is_framed = bool(announced) or "chunked" in response.headers.get("transfer-encoding", "")
        if not is_framed and _TAILS.get(format, b"") not in data[-_TAIL_BYTES:]:
            raise FetchError("the answer ends before the picture does", retryable=True)
        return bytes(data), format


def _format_of(data: bytearray, response: httpx.Response) -> str:
    if not data:
        raise FetchError("an empty answer", retryable=True)
    format = sniff(bytes(data[:HEAD_BYTES]))
    if format is None:
        kind = response.headers.get("content-type", "").partition(";")[0].strip()[:60]
        raise FetchError(NotAnImageError.REASON + (f" (the server calls it {kind!r})" if kind else ""))
    return format


def _check_status(response: httpx.Response) -> None:
    status = response.status_code
    if status == 200:
        return
    reason = f"the server answered {status} {response.reason_phrase[:60]}".rstrip()
    raise FetchError(reason, retryable=status in _RETRYABLE, after_s=_retry_after_s(response))


def _retry_after_s(response: httpx.Response) -> float | None:
    value = response.headers.get("retry-after", "").strip()
    if value.isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


@contextmanager
def _mapped_errors() -> Iterator[None]:
    """Turn what httpx raises into `FetchError`; our own comes through its layers unchanged."""
    import httpx

    try:
        yield
    except httpx.ConnectTimeout as exc:
        raise FetchError("no connection in time", retryable=True, unreachable=True) from exc
    except httpx.TimeoutException as exc:
        raise FetchError("the server did not go on in time", retryable=True) from exc
    except httpx.ConnectError as exc:
        raise FetchError(f"no connection: {exc}", retryable=True, unreachable=True) from exc
    except httpx.RemoteProtocolError as exc:
        raise FetchError(f"the answer broke off or is no HTTP: {exc}", retryable=True) from exc
    except httpx.HTTPError as exc:
        raise FetchError(f"the connection failed: {exc or type(exc).__name__}", retryable=True) from exc


def _make_client(guard: AddressGuard, deadline: Deadline, limits: Limits, n_connections: int) -> httpx.Client:
    """An httpx client whose every connection is made by `guard` and bounded by `deadline`."""
    try:
        import httpx

        from cvsim.fetch.network import GuardedTransport
    except ImportError as exc:
        raise MissingExtraError("Pictures from the network", "remote") from exc
    return httpx.Client(
        transport=GuardedTransport(guard, deadline, n_connections),
        timeout=httpx.Timeout(limits.timeout_s, pool=None),
        headers={"user-agent": USER_AGENT, "accept": "image/*", "accept-encoding": "identity"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # none are kept
        follow_redirects=False,
        trust_env=False,
    )
