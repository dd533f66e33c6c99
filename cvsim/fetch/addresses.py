"""Which addresses may be connected to, and for how long: what the network client asks before it connects."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cvsim.errors import FetchError

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""IPv4 addresses as IPv6 ones (RFC 6052)."""

Resolve = Callable[[str, int], list[str]]
"""Addresses of a host name, as text."""


class Deadline(threading.local):
    """Until when this thread's attempt may last; a thread reads its answers itself."""

    end: float | None = None

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Set the deadline so many seconds from now, for the block."""
        self.end = time.monotonic() + seconds
        try:
            yield
        finally:
            self.end = None

    def cut(self, timeout_s: float | None) -> float | None:
        """`timeout_s`, or less where less is left."""
        if self.end is None:
            return timeout_s
        left_s = max(self.end - time.monotonic(), 0.001)
        return left_s if timeout_s is None else min(timeout_s, left_s)


@dataclass(frozen=True)
class AddressGuard:
    """Says which addresses a name may be connected to."""

    resolve: Resolve
    allow_private: bool

    def addresses(self, host: str, port: int) -> list[str]:
        """Find the addresses of a host, all of which must be allowed.

        Raises
        ------
        FetchError
            One is not public: a host that mixes public and private addresses is treated as an attack.
        """
        found = self.resolve(host, port)
        for address in found:
            if not self.allow_private and not is_public(address):
                raise FetchError(
                    f"{host} is on a private network ({address}), which is refused; "
                    "allow it with --allow-private if you mean it"
                )
        return found


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, also one that is wrapped in another."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip.is_site_local:
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def addresses_of(host: str, port: int) -> list[str]:
    """What the system's resolver says of a name."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise FetchError(f"{host} cannot be looked up: {reason}", retryable=True, unreachable=True) from exc
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
