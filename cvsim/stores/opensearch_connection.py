"""The way to OpenSearch: where it is, how it is asked, and what its errors mean to a person.

Everything foreign is met here: opensearch-py is imported only here, when a location asks for it, and whatever
it raises leaves as a `StoreError` that says what to do. Elasticsearch 8 and 9 take the same requests; where
the two differ is in `cvsim.stores.opensearch_dialects`.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cvsim.errors import MissingExtraError, StoreError
from cvsim.stores.opensearch_errors import AGAIN, explained, is_blocked, said

if TYPE_CHECKING:
    from cvsim.stores.opensearch_address import EngineAddress

Document = Mapping[str, Any]

OPENSEARCH_MAJORS, ELASTICSEARCH_MAJORS = (2, 3), (8, 9)
"""Versions that are spoken to. Tests run on OpenSearch 2.19; by their manuals the others answer the same."""
SWEEP_ROWS = 2000
_BULK_BYTES = 4 << 20
_BULK_ROWS = 1000
"""The engine's manual recommends messages of 5 to 15 MB at most; two cores digest these in a second."""
_MIN_BULK_ROWS = 20
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.2, 8.0
_SCROLL = "2m"
_SLOW_DELETES = 10
"""Deleting by a query may take so many times as long as another call."""


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a bulk request.

    Attributes
    ----------
    operation : "index", "create" or "update"
    collection : str
    id : str
    document : mapping
        The whole row, or the fields to update.
    """

    operation: str
    collection: str
    id: str
    document: Document


class OpenSearchConnection:
    """One connection, and the few things that an index asks of the engine.

    Parameters
    ----------
    address : EngineAddress

    Attributes
    ----------
    is_elasticsearch : bool

    Raises
    ------
    StoreError
        It cannot be reached, does not answer, or is of a version that will not do.
    """

    def __init__(self, address: EngineAddress) -> None:
        self.address = address
        self._bulk_rows = _BULK_ROWS
        self._stale: set[str] = set()
        self._library = _imported()
        with self._mapped("connect to"):
            self._client = self._library.OpenSearch(
                hosts=[{"host": address.host, "port": address.port}],
                http_auth=address.login,
                use_ssl=address.encrypted,
                verify_certs=address.encrypted,
                ssl_show_warn=False,
                ca_certs=address.authority or None,
                timeout=address.timeout_s,
                max_retries=0,
                http_compress=False,
            )
        try:
            self.is_elasticsearch = self._check_version()
        except BaseException:
            self.close()
            raise

    def _check_version(self) -> bool:
        answer = self.call("GET", "/", doing="connect to")
        version = answer.get("version") if isinstance(answer, dict) else None
        if not isinstance(version, dict) or not isinstance(version.get("number"), str):
            raise StoreError(
                f"{self.address.location} is no OpenSearch: something else answers there; correct the address"
            )
        is_opensearch = version.get("distribution") == "opensearch"
        allowed = OPENSEARCH_MAJORS if is_opensearch else ELASTICSEARCH_MAJORS
        found = re.match(r"(\d+)\.", version["number"])
        if not found or int(found[1]) not in allowed:
            kind = "OpenSearch" if is_opensearch else "Elasticsearch"
            raise StoreError(
                f"{self.address.location} is {kind} {version['number']}, and cvsim needs OpenSearch "
                f"{_either(OPENSEARCH_MAJORS)} or Elasticsearch {_either(ELASTICSEARCH_MAJORS)}; use another "
                "server. Nothing was changed"
            )
        return not is_opensearch

    # Calls

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        doing: str,
        params: Mapping[str, Any] | None = None,
        absent: bool = False,
    ) -> Any:
        """Make one request; None where `absent` is allowed and there is nothing."""
        try:
            return self._performed(method, path, body, params)
        except self._library.NotFoundError as exc:
            if absent:
                return None
            raise explained(exc, self.address, doing) from exc
        except (self._library.OpenSearchException, OSError, ValueError) as exc:
            raise explained(exc, self.address, doing) from exc

    def _performed(self, method: str, path: str, body: Any, params: Mapping[str, Any] | None) -> Any:
        """One request; where the engine has too much to do it is asked again, as long as a call may take."""
        wait_s, until = _FIRST_WAIT_S, time.monotonic() + self.address.timeout_s
        while True:
            try:
                transport = self._client.transport
                return transport.perform_request(method, path, params=dict(params or {}), body=body)
            except self._library.TransportError as exc:
                if exc.status_code != 429 or is_blocked(exc) or time.monotonic() + wait_s > until:
                    raise
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    # Writing

    def write(self, changes: Iterable[Change]) -> None:
        """Write rows in messages of a bearable size; an `update` of what is not there is passed over."""
        portion: list[tuple[int, Change, str]] = []
        n_bytes = 0
        for change in changes:
            text = _lines(change)
            portion.append((len(portion), change, text))
            n_bytes += len(text)
            if n_bytes >= _BULK_BYTES or len(portion) >= self._bulk_rows:
                self._write_all([(change, text) for _, change, text in portion])
                portion, n_bytes = [], 0
        if portion:
            self._write_all([(change, text) for _, change, text in portion])

    def _write_all(self, rows: Sequence[tuple[Change, str]]) -> None:
        """Write rows again and again until the engine took all, or for as long as a call may take.

        An engine that refuses rows since it has too much to do is given more time, and smaller messages.
        """
        self._stale.update(change.collection for change, _ in rows)
        wait_s, until = _FIRST_WAIT_S, time.monotonic() + self.address.timeout_s
        while rows:
            refused = self._sent(rows)
            if not refused:
                self._bulk_rows = min(_BULK_ROWS, self._bulk_rows + _MIN_BULK_ROWS)
                return
            self._bulk_rows = max(_MIN_BULK_ROWS, self._bulk_rows // 2)
            if time.monotonic() + wait_s > until:
                raise StoreError(
                    f"cannot write to {self.address.location}: it has had too much to do for "
                    f"{self.address.timeout_s:g} s. {AGAIN}"
                )
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
            rows = refused

    def _sent(self, rows: Sequence[tuple[Change, str]]) -> list[tuple[Change, str]]:
        """Send one message; the rows that are to be sent again."""
        answer = self.call("POST", "/_bulk", "".join(text for _, text in rows), doing="write to")
        if not answer.get("errors"):
            return []
        refused = []
        for row, item in zip(rows, answer["items"], strict=True):
            (outcome,) = item.values()
            status, error = outcome.get("status", 500), outcome.get("error")
            if status == 429 and "cluster_block_exception" not in json.dumps(error):
                refused.append(row)
            elif error is not None and not (status == 404 and row[0].operation == "update"):
                raise said(json.dumps(error), status, self.address, "write to")
        return refused

    def create_row(self, change: Change) -> bool:
        """Write a row where there is none of its key; whether there was none."""
        path = f"/{change.collection}/_create/{change.id}"
        try:
            self._performed("PUT", path, dict(change.document), None)
        except self._library.ConflictError:
            return False
        except (self._library.OpenSearchException, OSError, ValueError) as exc:
            raise explained(exc, self.address, "write to") from exc
        self._stale.add(change.collection)
        return True

    def delete(self, collection: str, query: Document) -> None:
        """Delete the rows that a query finds."""
        self.refresh(collection)
        params = {
            "conflicts": "proceed",
            "refresh": "true",
            "request_timeout": _SLOW_DELETES * self.address.timeout_s,
        }
        path = f"/{collection}/_delete_by_query"
        self.call("POST", path, {"query": query}, doing="write to", params=params)

    # Reading

    def refresh(self, *collections: str) -> None:
        """Have what this connection wrote found by searches."""
        stale = self._stale.intersection(collections)
        if stale:
            self.call("POST", f"/{','.join(sorted(stale))}/_refresh", doing="read")
            self._stale -= stale

    def rows_by_id(
        self, collection: str, ids: Sequence[str], fields: Sequence[str] | bool
    ) -> Iterator[tuple[str, Document]]:
        """The rows of these keys that are there; what was written is there at once."""
        if not ids:
            return
        source = ",".join(fields) if not isinstance(fields, bool) else "true" if fields else "false"
        answer = self.call(
            "POST", f"/{collection}/_mget", {"ids": list(ids)}, doing="read", params={"_source": source}
        )
        for row in answer["docs"]:
            if row.get("found"):
                yield row["_id"], row.get("_source", {})
            elif "error" in row:
                raise said(json.dumps(row["error"]), 500, self.address, "read")

    def search(self, collection: str, body: Document) -> dict[str, Any]:
        """Search rows; a part of the index that does not answer is an error, never a smaller answer."""
        self.refresh(collection)
        params = {"allow_partial_search_results": "false"}
        found: dict[str, Any] = self.call(
            "POST", f"/{collection}/_search", dict(body), doing="search", params=params
        )
        return found

    def sweep(
        self, collection: str, query: Document, fields: Sequence[str], per_page: int = SWEEP_ROWS
    ) -> Iterator[dict[str, Any]]:
        """All rows that a query finds, in no order."""
        self.refresh(collection)
        body = {"query": query, "_source": list(fields), "size": per_page, "sort": ["_doc"]}
        page = self.call("POST", f"/{collection}/_search", body, doing="read", params={"scroll": _SCROLL})
        try:
            while hits := page["hits"]["hits"]:
                yield from hits
                if len(hits) < per_page:
                    break
                body = {"scroll": _SCROLL, "scroll_id": page["_scroll_id"]}
                page = self.call("POST", "/_search/scroll", body, doing="read")
        finally:
            if "_scroll_id" in page:
                with suppress(StoreError):  # it ends by itself
                    self.call("DELETE", "/_search/scroll", {"scroll_id": page["_scroll_id"]}, doing="read")

    def count(self, collection: str, query: Document) -> int:
        """Count the rows that a query finds."""
        self.refresh(collection)
        return int(self.call("POST", f"/{collection}/_count", {"query": query}, doing="read")["count"])

    def size_bytes(self, collections: str) -> int:
        """Bytes on disk, of one copy of each part."""
        answer = self.call("GET", f"/{collections}/_stats/store", doing="read")
        return int(answer["_all"]["primaries"]["store"]["size_in_bytes"])

    def close(self) -> None:
        """Close the connection."""
        with suppress(Exception):  # what counts was written before
            self._client.close()

    @contextmanager
    def _mapped(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (self._library.OpenSearchException, OSError, ValueError) as exc:
            raise explained(exc, self.address, doing) from exc


def _imported() -> Any:
    try:
        import opensearchpy
    except ImportError as exc:
        raise MissingExtraError("an index in OpenSearch", "opensearch") from exc
    # It warns of each failed call on standard error; what matters of it is in the error raised here.
    logging.getLogger("opensearch").setLevel(logging.CRITICAL + 1)
    return opensearchpy


def _lines(change: Change) -> str:
    action = {change.operation: {"_index": change.collection, "_id": change.id}}
    body = {"doc": change.document} if change.operation == "update" else change.document
    return f"{json.dumps(action)}\n{json.dumps(body)}\n"


def _either(majors: Sequence[int]) -> str:
    return " or ".join(f"{major}.x" for major in majors)
