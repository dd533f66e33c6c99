"""Who may reach a page: where it is bound, the names that it answers to, and a token that lasts."""

from __future__ import annotations

import ipaddress
import os
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass

from cvsim.errors import UsageError
from cvsim.web.guard import new_token

LOOPBACK = "127.0.0.1"
_MIN_TOKEN = 20


@dataclass(frozen=True, slots=True)
class Access:
    """How a page is reached.

    Attributes
    ----------
    host : str
        Address or name that it is bound to.
    token : str or None
        None: a new one for each run.
    certificate, key : str or None
        Files, for an encrypted connection.
    """

    host: str = LOOPBACK
    token: str | None = None
    certificate: str | None = None
    key: str | None = None

    @classmethod
    def of(cls, host: str | None, token_file: str | None, certificate: str | None, key: str | None) -> Access:
        """From what was asked for.

        Raises
        ------
        UsageError
            A page for others needs a token that lasts; a certificate comes with its key.
        """
        host = host or LOOPBACK
        if not is_loopback(host) and token_file is None:
            raise UsageError(
                f"--host {host} lets others in: give a --token-file, which holds what lets them in"
            )
        if (certificate is None) != (key is None):
            raise UsageError("--tls-cert and --tls-key belong together")
        return cls(host, None if token_file is None else lasting_token(token_file), certificate, key)

    @property
    def scheme(self) -> str:
        """Of its address."""
        return "http" if self.certificate is None else "https"

    @property
    def warning(self) -> str | None:
        """What whoever starts it should know."""
        if is_loopback(self.host) or self.certificate is not None:
            return None
        return (
            f"the page is at {self.host} without encryption: whoever is on the way reads the token and the "
            "pictures. Give --tls-cert and --tls-key, or put a proxy in front that encrypts"
        )

    def answers_to(self, port: int) -> Callable[[str], bool]:
        """Which Host headers are its own."""
        names = {self.host, LOOPBACK, "localhost", "[::1]", socket.gethostname(), socket.getfqdn()}
        own = {f"{name.lower()}:{port}" for name in names}
        own |= {name.lower() for name in names if port == (80 if self.certificate is None else 443)}
        is_everywhere = self.host in ("0.0.0.0", "::")

        def answers(host: str) -> bool:
            host = host.lower()
            return host in own or (is_everywhere and _is_address(host, port))

        return answers

    def address(self, port: int, token: str) -> str:
        """What to open."""
        host = socket.getfqdn() if self.host in ("0.0.0.0", "::") else self.host
        shown = f"[{host}]" if ":" in host else host
        return f"{self.scheme}://{shown}:{port}/?token={token}"


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _is_address(host: str, port: int) -> bool:
    """Whether a Host header is a bare address: no other site's name points there."""
    name, _, given = host.rpartition(":")
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return given == str(port)


def lasting_token(file: str) -> str:
    """The token in a file, which is made, for its owner's eyes only, where there is none.

    Raises
    ------
    UsageError
        It cannot be read or made, others can read it, or what it holds is too short.
    """
    try:
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(descriptor, "w", encoding="ascii") as made:
                made.write(new_token() + "\n")
        with open(file, encoding="ascii") as held:
            mode = os.fstat(held.fileno()).st_mode
            token = held.read(1000).strip()
    except (OSError, UnicodeError) as exc:
        raise UsageError(f"{file}: cannot be used as a token file: {exc}") from exc
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UsageError(f"{file}: others can read the token; chmod 600 {file}")
    if len(token) < _MIN_TOKEN or not all(c.isalnum() or c in "-_" for c in token):
        raise UsageError(
            f"{file}: a token has at least {_MIN_TOKEN} letters, digits, - and _; remove the file for a new "
            "one"
        )
    return token
