"""How connections are made for `cvsim.fetch.client`: to checked addresses only, and not for ever."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import httpcore

if TYPE_CHECKING:
    from cvsim.fetch.addresses import AddressGuard, Deadline


def connection_pool(
    guard: AddressGuard, deadline: Deadline, ssl_context: ssl.SSLContext, n_connections: int
) -> httpcore.ConnectionPool:
    """A pool, by host name, whose connections go to what `guard` allows and end by `deadline`."""
    return httpcore.ConnectionPool(
        ssl_context=ssl_context,
        max_connections=n_connections,
        max_keepalive_connections=n_connections,
        keepalive_expiry=10.0,
        network_backend=_GuardedBackend(guard, deadline),
    )


class _GuardedBackend(httpcore.SyncBackend):
    """Connects to the very addresses that were checked, not to whatever a name means by then."""

    def __init__(self, guard: AddressGuard, deadline: Deadline) -> None:
        self._guard, self._deadline = guard, deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in self._guard.addresses(host, port):
            left_s = self._deadline.cut(timeout)
            try:
                stream = super().connect_tcp(address, port, left_s, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failure = exc
            else:
                return _BoundedStream(stream, self._deadline)
        raise failure


class _BoundedStream(httpcore.NetworkStream):
    """A connection on which no single step outlasts the attempt that it is made for."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.cut(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.cut(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, self._deadline.cut(timeout))
        return _BoundedStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
