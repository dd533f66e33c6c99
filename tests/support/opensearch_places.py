"""OpenSearch for tests: a real node, where one can be had, with and without its plug-in for vectors."""

from __future__ import annotations

import atexit
import os
import uuid
from functools import cache
from typing import Any
from unittest import mock

import opensearch_node
import pytest

from cvsim.stores import opensearch_store
from cvsim.stores.opensearch import OpenSearchIndex
from cvsim.stores.opensearch_dialects import DIALECTS

SERVER_VARIABLE = "CVSIM_TEST_OPENSEARCH"
"""Address of a server that tests may write to, ``opensearch://HOST:PORT``; or ``start``: start a node."""


@cache
def server() -> str:
    """The address of a server without a name of an index; skips where none is asked for, or can be had."""
    pytest.importorskip("opensearchpy", reason="the extra 'opensearch' is not installed")
    asked = os.environ.get(SERVER_VARIABLE, "").rstrip("/")
    if not asked:
        pytest.skip(f"{SERVER_VARIABLE} names no server; 'start' fetches and starts one by Maven")
    if asked != "start":
        return asked
    if why := opensearch_node.missing():
        pytest.skip(why)
    node = opensearch_node.OpenSearchNode()
    atexit.register(node.stop)
    node.start()
    return node.location


def dropped(location: str) -> None:
    """Remove the indices of a location."""
    from opensearchpy import OpenSearch

    place, _, name = location.removeprefix("opensearch://").partition("/")
    OpenSearch(f"http://{place}").indices.delete(index=f"{name}-*", ignore_unavailable=True)


@cache
def with_plugin() -> str:
    """The location of an index that no other run uses; it is dropped at the end."""
    location = f"{server()}/test_{uuid.uuid4().hex[:12]}"
    atexit.register(dropped, location)
    return location


@cache
def without_plugin() -> str:
    """The same, of an index that was made where there was no plug-in."""
    location = f"{with_plugin()}_script"
    other: dict[str, Any] = {**DIALECTS, "knn": DIALECTS["script"]}
    with mock.patch.object(opensearch_store, "DIALECTS", other):
        OpenSearchIndex(location).close()
    atexit.register(dropped, location)
    return location


_open: dict[str, OpenSearchIndex] = {}


def emptied(location: str) -> OpenSearchIndex:
    """An open and empty index there."""
    index = _open.get(location)
    if index is None or index._closed:
        index = _open[location] = OpenSearchIndex(location)
        atexit.register(index.close)
    index.clear()
    return index


LOCATIONS = {"opensearch": with_plugin, "opensearch-script": without_plugin}
