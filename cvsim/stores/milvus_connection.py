"""The way to Milvus: where it is, how it is asked, and what its errors mean to a person.

Everything foreign is met here: pymilvus is imported only here, when a location asks for it, and whatever it
raises leaves as a `StoreError` that says what to do. Each call has a time limit, since pymilvus would by
itself ask a server that is gone again and again for minutes.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from cvsim.errors import MissingExtraError, StoreError, UsageError, WrongStoreError

Fields = Mapping[str, Any]

DEFAULT_PORT = 19530
DEFAULT_NAME = "cvsim"
DEFAULT_TIMEOUT_S = 30.0
TOKEN_VARIABLE = "CVSIM_MILVUS_TOKEN"
OLDEST_VERSION, NEWEST_MAJOR = (2, 3), 2
"""2.3 is the first that replaces rows of the same key, and the one that cvsim is tested against."""
_CONNECT_S = 15.0
MAX_EMBEDDED_ROWS = 16_383
"""That a query of the embedded engine gives, as measured."""
MAX_HITS = 16_384
"""What Milvus gives of one search at most."""
_MESSAGE_BYTES, _MESSAGE_ROWS = 8 << 20, 4096
"""What is written at once. The client's library joins the vectors of a message anew for each row and frees
none of it before the message is sent: 129,000 rows of one byte each took 8 GB."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_FILE_NAME = re.compile(r"[A-Za-z0-9._-]{1,35}")
_UNREACHABLE = ("fail connecting", "unavailable", "connection refused", "failed to connect", "socket closed")
_SLOW = ("deadline", "retry timeout", "retry run out", "timed out", "timeout")


@dataclass(frozen=True, slots=True)
class Address:
    """Where an index in Milvus is.

    Attributes
    ----------
    location : str
        As it was given, without the password.
    uri : str
        Address of the server; empty for a file.
    file : str
        File of an embedded Milvus; empty for a server.
    name : str
        What the index's collections begin with.
    token : str
        ``user:password``, or empty.
    timeout_s : float
        How long one call may take.
    """

    location: str
    uri: str
    file: str
    name: str
    token: str
    timeout_s: float

    @classmethod
    def of(cls, location: str) -> Address:
        """From ``milvus://[user:pass@]host[:port][/name]`` or ``milvus-lite://file``, with ``?timeout_s=N``.

        ``milvus+tls://`` asks for an encrypted connection. The user and the password may also come from the
        environment variable `TOKEN_VARIABLE`.

        Raises
        ------
        UsageError
            It is neither.
        """
        place, _, asked = location.partition("?")
        try:
            timeout_s = float(parse_qs(asked).get("timeout_s", [str(DEFAULT_TIMEOUT_S)])[0])
            parts = urlsplit(place)
            host, port = parts.hostname, parts.port or DEFAULT_PORT
        except ValueError as exc:
            raise UsageError(f"{location}: {exc}; write {_FORM}") from exc
        if place.startswith("milvus-lite://") and timeout_s > 0:
            return cls._of_file(place, timeout_s)
        name = parts.path.strip("/") or DEFAULT_NAME
        if not host or not _NAME.fullmatch(name) or timeout_s <= 0:
            raise UsageError(f"{_shown(location)} is no place of an index; write {_FORM}")
        scheme = "https" if parts.scheme.endswith("+tls") else "http"
        token = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        shown_host = f"[{host}]" if ":" in host else host
        return cls(
            _shown(location),
            f"{scheme}://{shown_host}:{port}",
            "",
            name,
            os.environ.get(TOKEN_VARIABLE, "") if token == ":" else token,
            timeout_s,
        )

    @classmethod
    def _of_file(cls, location: str, timeout_s: float) -> Address:
        file = location.removeprefix("milvus-lite://")
        if not _FILE_NAME.fullmatch(os.path.basename(file)):
            raise UsageError(
                f"{location}: the name of the file must be of at most 35 letters, digits, dots, dashes and "
                "underscores, such as milvus-lite://pictures.milvus"
            )
        return cls(location, "", os.path.abspath(file), DEFAULT_NAME, "", timeout_s)

    @property
    def connect_s(self) -> float:
        """How long a server may take to be met; an embedded one has to start first."""
        return 2 * self.timeout_s if self.file else min(self.timeout_s, _CONNECT_S)

    @property
    def is_there(self) -> bool:
        """False where it is a file that does not exist."""
        return not self.file or os.path.exists(self.file)


_FORM = "milvus://HOST:PORT/NAME for a server or milvus-lite://FILE for a file"


def _shown(location: str) -> str:
    """The location without a password."""
    return re.sub(r"(//[^/@:]*):[^/@]*@", r"\1:***@", location)


class MilvusConnection:
    """One connection, and the few things that an index asks of Milvus.

    Parameters
    ----------
    address : Address

    Raises
    ------
    StoreError
        It cannot be reached, does not answer, or is of a version that will not do.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._loaded: set[str] = set()
        self._deleted_from: set[str] = set()
        self._pymilvus = _imported(address)
        with self._mapped("connect to"):
            uri = address.uri or self._started(address)
            self._client = self._pymilvus.MilvusClient(
                uri, token=address.token, timeout=address.connect_s, dedicated=True
            )
        try:
            if not address.file:
                self._check_version()
        except BaseException:
            self.close()
            raise

    def _reading(self, collection: str) -> dict[str, Any]:
        """How a read is asked: it sees what this connection wrote, and else waits for nobody.

        The first one of a collection has it loaded. Milvus does not tell at what moment it deleted: the read
        after that waits for all there is.
        """
        self._load(collection)
        level = "Strong" if collection in self._deleted_from else "Session"
        self._deleted_from.discard(collection)
        return {"consistency_level": level, "timeout": self.address.timeout_s}

    @property
    def is_embedded(self) -> bool:
        """Tell whether Milvus runs in this process, on a file."""
        return bool(self.address.file)

    def _started(self, address: Address) -> str:
        from milvus_lite.server_manager import server_manager_instance

        Path(address.file).parent.mkdir(parents=True, exist_ok=True)
        uri = server_manager_instance.start_and_get_uri(address.file)
        if uri is None:
            raise StoreError(
                f"{address.location} cannot be opened: another process uses it (an embedded Milvus takes "
                "one at a time), or it is no such file; close the other process or name another file"
            )
        return str(uri)

    def _check_version(self) -> None:
        with self._mapped("ask the version of"):
            text = self._client.get_server_version(timeout=self.address.timeout_s)
        found = re.match(r"v?(\d+)\.(\d+)", text)
        version = (int(found[1]), int(found[2])) if found else (0, 0)
        if version < OLDEST_VERSION or version[0] > NEWEST_MAJOR:
            raise StoreError(
                f"{self.address.location} is Milvus {text or 'of an unknown version'}, and cvsim needs "
                f"{OLDEST_VERSION[0]}.{OLDEST_VERSION[1]} or a later {NEWEST_MAJOR}.x; use another server. "
                "Nothing was changed"
            )

    # Collections

    def fields_of(self, collection: str) -> set[str] | None:
        """Names of the fields of a collection; None where there is none."""
        with self._mapped("read"):
            if not self._client.has_collection(collection, timeout=self.address.timeout_s):
                return None
            described = self._client.describe_collection(collection, timeout=self.address.timeout_s)
            return {str(field["name"]) for field in described["fields"]}

    def create(self, collection: str, fields: Sequence[tuple[str, str, int]], metric: str) -> None:
        """Make a collection, whose last field is its vector; no other may have its name.

        Parameters
        ----------
        collection : str
        fields : sequence of (name, type, size)
            Types of pymilvus; the first field is the key. The size is that of a text or vector.
        metric : str
            The metric by which the vector is compared.
        """
        types, client = self._pymilvus.DataType, self._client
        schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
        index = client.prepare_index_params()
        for k, (name, kind, size) in enumerate(fields):
            sizes = {"VARCHAR": {"max_length": size}, "INT64": {}}.get(kind, {"dim": size})
            schema.add_field(name, getattr(types, kind), is_primary=k == 0, **sizes)
            if kind == "INT64" and not self.is_embedded:  # which searches without one
                index.add_index(name, index_type="STL_SORT")
        vector, kind, _ = fields[-1]
        # Exact, for the same answers everywhere; an approximate index would be another line here.
        index.add_index(
            vector, index_type="BIN_FLAT" if kind == "BINARY_VECTOR" else "FLAT", metric_type=metric
        )
        with self._mapped("write to"):
            client.create_collection(
                collection,
                schema=schema,
                index_params=index,
                consistency_level="Strong",  # what deleting by a condition goes by
                timeout=self.address.timeout_s,
            )

    def _load(self, collection: str) -> None:
        """Have a collection ready to be asked, with all that was written to it until its first use.

        Only those that are asked are loaded: words alone are most of what there is.
        """
        if collection in self._loaded:
            return
        self._client.load_collection(collection, timeout=self.address.timeout_s)
        # All later reads see at least this moment: what other processes wrote before is there.
        self._client.query(
            collection,
            filter="number == -1",
            output_fields=["number"],
            consistency_level="Strong",
            timeout=self.address.timeout_s,
        )
        self._loaded.add(collection)

    # Rows

    def insert(self, collection: str, rows: Sequence[Fields], *, replacing: bool = False) -> None:
        """Write rows, in messages of a bearable size; `replacing` those of the same key."""
        write = self._client.upsert if replacing else self._client.insert
        for part in _portions(rows):
            with self._mapped("write to"):
                write(collection, part, timeout=self.address.timeout_s)

    def delete(self, collection: str, filter: str) -> None:
        """Delete the rows that a filter lets through."""
        self._deleted_from.add(collection)
        with self._mapped("write to"):
            self._load(collection)
            self._client.delete(collection, filter=filter, timeout=self.address.timeout_s)

    def query(self, collection: str, filter: str, fields: Sequence[str]) -> list[dict[str, Any]]:
        """Read fields of the rows that a filter lets through."""
        with self._mapped("read"):
            return list(
                self._client.query(
                    collection, filter=filter, output_fields=list(fields), **self._reading(collection)
                )
            )

    def count(self, collection: str, filter: str) -> int:
        """Count the rows that a filter lets through."""
        with self._mapped("read"):
            found = self._client.query(
                collection, filter=filter, output_fields=["count(*)"], **self._reading(collection)
            )
            return int(found[0]["count(*)"])

    def search(
        self,
        collection: str,
        vectors: Sequence[Any],
        filter: str,
        limit: int,
        metric: str,
        fields: Sequence[str],
        radius: float | None = None,
    ) -> list[list[dict[str, Any]]]:
        """The nearest rows of each vector, nearest first; only those nearer than `radius` if it is given."""
        params = {} if radius is None else {"radius": radius}
        with self._mapped("search"):
            return list(
                self._client.search(
                    collection,
                    data=list(vectors),
                    filter=filter,
                    limit=limit,
                    output_fields=list(fields),
                    search_params={"metric_type": metric, "params": params},
                    **self._reading(collection),
                )
            )

    def close(self) -> None:
        """Close the connection."""
        with suppress(Exception):  # what counts was written before
            self._client.close()
        if self.is_embedded:
            from milvus_lite.server_manager import server_manager_instance

            with suppress(Exception):
                server_manager_instance.release_server(self.address.file)

    @contextmanager
    def _mapped(self, doing: str) -> Iterator[None]:
        """Turn what pymilvus and gRPC raise into `StoreError`."""
        import grpc

        try:
            yield
        except StoreError:
            raise
        except (self._pymilvus.MilvusException, grpc.RpcError, OSError, RuntimeError, ValueError) as exc:
            raise _explained(exc, self.address, doing) from exc


def _imported(address: Address) -> Any:
    try:
        import pymilvus

        if address.file:
            import milvus_lite  # noqa: F401
    except ImportError as exc:
        raise MissingExtraError("an index in Milvus", "milvus") from exc
    # It prints a trace of each failed call on standard error; what matters of it is in the error raised here.
    for name in ("pymilvus", "pymilvus.milvus_client"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    return pymilvus


def _explained(exc: Exception, address: Address, doing: str) -> StoreError:
    message = str(getattr(exc, "message", "") or exc)
    text, place = message.lower(), address.location
    again = "nothing that was written is lost: run the same command again then"
    if any(word in text for word in ("unauthenticated", "auth check failure", "permission deny")):
        return StoreError(
            f"{place} refuses the user or the password; give them as milvus://USER:PASSWORD@HOST, or as "
            f"USER:PASSWORD in the environment variable {TOKEN_VARIABLE}"
        )
    if any(word in text for word in _UNREACHABLE):
        return StoreError(
            f"cannot {doing} {place}: nothing answers there as a Milvus server does. Start the server, or "
            f"correct the address; {again}"
        )
    if any(word in text for word in _SLOW):
        return StoreError(
            f"cannot {doing} {place}: no answer within {address.timeout_s:g} s. The server is down or "
            f"overloaded: look at it, or allow more with ?timeout_s={4 * address.timeout_s:g} at the end of "
            f"the address; {again}"
        )
    return StoreError(f"cannot {doing} {place}: {message}; {again}")


def other_layout(address: Address, why: str) -> WrongStoreError:
    """The error for an index that this version of cvsim cannot use."""
    return WrongStoreError(
        f"the index {address.name} at {address.location} {why}; it was left as it is. Index the pictures "
        "under another name"
    )


def _portions(rows: Sequence[Fields]) -> Iterator[list[dict[str, Any]]]:
    """Rows in lists of a few megabytes."""
    portion: list[dict[str, Any]] = []
    n_bytes = 0
    for row in rows:
        portion.append(dict(row))
        n_bytes += 64 + sum(len(value) for value in row.values() if isinstance(value, (str, bytes)))
        if n_bytes >= _MESSAGE_BYTES or len(portion) >= _MESSAGE_ROWS:
            yield portion
            portion, n_bytes = [], 0
    if portion:
        yield portion


def no_index(address: Address) -> UsageError:
    """Say that no index is where one was to be opened, and how to make it."""
    place = address.location
    return UsageError(f"{place}: there is no index there; make it with cvsim index PATH --store {place}")
