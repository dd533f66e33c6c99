"""Where an index in OpenSearch is."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from cvsim.errors import UsageError

USUAL_PORT = 9200
USUAL_NAME = "cvsim"
CALL_TIMEOUT_S = 30.0
LOGIN_VARIABLE = "CVSIM_OPENSEARCH_LOGIN"
_ENGINE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,99}")
_PLACE_FORM = "opensearch://HOST:PORT/NAME, or opensearch+https:// for an encrypted connection"


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """Where an index in OpenSearch is.

    Attributes
    ----------
    location : str
        As it was given, without the password.
    host : str
    port : int
    name : str
        What the names of its indices begin with.
    login : tuple of (str, str) or None
        User and password.
    encrypted : bool
    authority : str
        A file of certificates to trust besides the system's; empty for none.
    timeout_s : float
        How long one call may take, and how long an engine that has too much to do is waited for.
    n_shards : int
        Parts that a new index is cut into.
    """

    location: str
    host: str
    port: int
    name: str
    login: tuple[str, str] | None
    encrypted: bool
    authority: str
    timeout_s: float
    n_shards: int

    @classmethod
    def of(cls, location: str) -> EngineAddress:
        """From ``opensearch[+https]://[user:pass@]host[:port][/name]``.

        Options follow as ``?timeout_s=N&shards=N&ca=FILE``. The user and the password may also come from the
        environment variable `LOGIN_VARIABLE`. ``elasticsearch://`` means the same: what answers there says
        what it is.

        Raises
        ------
        UsageError
            It is no such place.
        """
        place, _, asked = location.partition("?")
        shown = re.sub(r"(//[^/@:]*):[^/@]*@", r"\1:***@", location)
        try:
            given = parse_qs(asked, strict_parsing=bool(asked))
            options = {name: values[0] for name, values in given.items()}
            timeout_s = float(options.pop("timeout_s", CALL_TIMEOUT_S))
            n_shards = int(options.pop("shards", 1))
            authority = options.pop("ca", "")
            parts = urlsplit(place)
            host, port = parts.hostname, parts.port or USUAL_PORT
        except ValueError as exc:
            raise UsageError(f"{shown}: {exc}; write {_PLACE_FORM}") from exc
        name = parts.path.strip("/") or USUAL_NAME
        if (
            not host
            or not _ENGINE_NAME.fullmatch(name)
            or timeout_s <= 0
            or not 1 <= n_shards <= 1024
            or options
        ):
            raise UsageError(
                f"{shown} is no place of an index; write {_PLACE_FORM}, with a name of lower-case letters, "
                "digits, dashes and underscores"
            )
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        if not user:
            user, _, password = os.environ.get(LOGIN_VARIABLE, "").partition(":")
        return cls(
            shown,
            host,
            port,
            name,
            (user, password) if user else None,
            parts.scheme.endswith("+https"),
            authority,
            timeout_s,
            n_shards,
        )
