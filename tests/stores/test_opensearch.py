"""OpenSearch: where an index is, and what goes wrong with servers; test_contract has what it promises."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("opensearchpy", reason="pip install 'cvsim[opensearch]'")

from fake_engine import ELASTICSEARCH, Answer, fake_engine

from cvsim.errors import StoreError, UsageError, WrongStoreError
from cvsim.stores import Extraction, ImageKeys, open_index
from cvsim.stores.opensearch_address import LOGIN_VARIABLE, EngineAddress
from cvsim.stores.opensearch_rows import terms_within

A = "a" * 64


def test_places_of_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LOGIN_VARIABLE, raising=False)
    address = EngineAddress.of("opensearch://engine.example")
    assert (address.host, address.port, address.name) == ("engine.example", 9200, "cvsim")
    assert (address.login, address.encrypted, address.n_shards) == (None, False, 1)
    address = EngineAddress.of(
        "opensearch+https://me:pa%40ss@engine.example:443/photos?timeout_s=5&shards=3&ca=x.pem"
    )
    assert (address.login, address.encrypted, address.authority) == (("me", "pa@ss"), True, "x.pem")
    assert (address.name, address.timeout_s, address.n_shards) == ("photos", 5.0, 3)
    assert "pa%40ss" not in address.location
    monkeypatch.setenv(LOGIN_VARIABLE, "me:se:cret")
    assert EngineAddress.of("elasticsearch://[::1]:1/x").login == ("me", "se:cret")


@pytest.mark.parametrize(
    "location",
    ["opensearch://", "opensearch://host:port/x", "opensearch://host/Photos", "opensearch://host/a/b",
     "opensearch://host/_x", "opensearch://host/x?timeout_s=soon", "opensearch://host/x?timeout_s=0",
     "opensearch://host/x?shards=0", "opensearch://host/x?shard=2", "opensearch://host/x?y"],
)  # fmt: skip
def test_what_is_no_place_is_refused(location: str) -> None:
    with pytest.raises(UsageError, match="opensearch"):
        open_index(location)


@pytest.mark.parametrize("radius", [0, 3, 8, 12])
def test_a_hash_within_the_radius_shares_a_term(radius: int) -> None:
    rng = np.random.default_rng(radius)
    value = rng.integers(0, 2**64, 1, np.uint64)
    terms = terms_within("h", value, radius)
    assert terms is not None
    for _ in range(300):
        flips = np.uint64(sum(1 << int(bit) for bit in rng.choice(64, radius, replace=False)))
        near = terms_within("h", value ^ flips, 0) or []
        own = {f"{term[:7]}{band}" for band, term in enumerate(near)}
        assert own
        bands = [
            f"{terms[0][:7]}{band}{int((value[0] ^ flips) >> np.uint64(16 * band)) & 0xFFFF:04x}"
            for band in range(4)
        ]
        assert set(bands) & set(terms)


# --- what goes wrong --------------------------------------------------------------------------------------


def blocked(kind: str) -> dict[str, Any]:
    return {"error": {"type": "cluster_block_exception", "reason": f"index [x] blocked by: [{kind}]"}}


def refusing(status: int, document: Any, path: str = "/") -> Callable[..., Answer | None]:
    return lambda method, asked, body: (status, document) if asked == path else None


OLD = {"version": {"distribution": "opensearch", "number": "1.3.2"}}
FLOOD = (
    "TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block"
)


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (refusing(200, OLD), r"is OpenSearch 1\.3\.2, and cvsim needs"),
        (refusing(200, {"version": {"number": "7.17.0"}}), r"is Elasticsearch 7\.17\.0, and cvsim needs"),
        (refusing(200, {"hello": "world"}), "something else answers there"),
        (refusing(200, b"<html>"), "something else answers there"),
        (refusing(401, {"error": "Unauthorized"}), "refuses the user or the password"),
        (refusing(403, {"error": "no permissions"}), "refuses the user or the password"),
        (refusing(503, {"error": "no cluster manager"}), "is starting, or a part of it is away"),
        (lambda method, path, body: 3.0, r"no answer within 1 s.*\?timeout_s=4"),
    ],
    ids=["old", "old elastic", "json", "html", "password", "rights", "starting", "slow"],
)  # fmt: skip
def test_servers_that_will_not_do_are_told_apart(odd: Any, words: str) -> None:
    with fake_engine(odd=odd) as engine, pytest.raises(StoreError, match=words):
        open_index(engine.location)


def test_a_server_that_is_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(StoreError, match="Start the server, or correct the address") as caught:
        open_index(f"opensearch://me:secret@127.0.0.1:{port}/x?timeout_s=1")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "document", "words"),
    [
        (403, blocked(FLOOD), "its disk is nearly full"),
        (429, blocked(FLOOD), "its disk is nearly full"),
        (403, blocked("FORBIDDEN/5/index read-only (api)"), "is read-only there"),
        (500, {"error": {"type": "i_o_exception", "reason": "No space left on device"}}, "its disk is full"),
        (413, {"error": "too large"}, "http.max_content_length"),
        (429, {"error": {"type": "circuit_breaking_exception"}}, "too little memory"),
    ],
    ids=["flood", "flood as 429", "read-only", "full", "size", "memory"],
)
def test_what_keeps_rows_from_being_written_is_said(status: int, document: Any, words: str) -> None:
    with fake_engine(odd=refusing(status, document, "/_bulk")) as engine:
        store = open_index(engine.location)
        store.put(Extraction(A, artefacts={"key": b"x"}))
        with pytest.raises(StoreError, match=words) as caught:
            store.flush()
        assert "run the same command again" in str(caught.value)
        store.abandon()
        store.close()


def test_a_row_that_is_blocked_is_no_row_that_waits() -> None:
    item = {"index": {"status": 429, "error": blocked(FLOOD)["error"]}}
    with fake_engine(odd=refusing(200, {"errors": True, "items": [item]}, "/_bulk")) as engine:
        store = open_index(engine.location)
        store.put(Extraction(A, artefacts={"key": b"x"}))
        with pytest.raises(StoreError, match="its disk is nearly full"):
            store.flush()
        store.abandon()
        store.close()


def test_an_engine_with_too_much_to_do_is_given_time_and_less_at_once() -> None:
    sizes: list[int] = []

    def odd(method: str, path: str, body: str) -> Answer | None:
        if path != "/_bulk":
            return None
        n = body.count('{"index"')
        sizes.append(n)
        busy = {"status": 429, "error": {"type": "rejected_execution_exception"}}
        if len(sizes) == 1:
            return 429, {"error": {"type": "rejected_execution_exception"}}
        if len(sizes) == 2:  # it took every other row
            return 200, {
                "errors": True,
                "items": [{"index": busy if k % 2 else {"status": 201}} for k in range(n)],
            }
        return None

    with fake_engine(odd=odd) as engine:
        location = engine.location.replace("timeout_s=1", "timeout_s=9")
        with open_index(location) as store:
            sizes.clear()
            store.put(Extraction(A, artefacts={f"key{k}": b"x" for k in range(1500)}))
            store.flush()
    assert sizes[:4] == [1000, 1000, 500, 500]


def test_an_engine_that_never_has_time_is_given_up() -> None:
    busy = {"error": {"type": "rejected_execution_exception"}}
    with fake_engine(odd=refusing(429, busy, "/_bulk")) as engine:
        store = open_index(engine.location)
        store.put(Extraction(A, artefacts={"key": b"x"}))
        with pytest.raises(StoreError, match="too much to do for 1 s"):
            store.flush()
        store.abandon()
        store.close()


def test_indices_of_others_are_left_alone() -> None:
    with fake_engine() as engine:
        engine.indices["x-found"] = {"mappings": {"properties": {}}}
        with pytest.raises(WrongStoreError, match="shares its name with another index, x-found"):
            open_index(engine.location)
        engine.indices["x-found"]["mappings"]["_meta"] = {"cvsim": {"layout": "0"}}
        with pytest.raises(WrongStoreError, match="layout 0 of another version of cvsim; it was left"):
            open_index(engine.location)
        assert all(method in ("GET",) for method, _, _ in engine.asked)


def test_an_index_that_is_not_there_is_not_made() -> None:
    with fake_engine() as engine:
        with pytest.raises(UsageError, match="make it with cvsim index"):
            open_index(engine.location, create=False)
        assert not engine.indices


def test_without_the_plugin_vectors_are_compared_by_a_script() -> None:
    unknown = {"error": {"type": "illegal_argument_exception", "reason": "unknown setting [index.knn]"}}

    def odd(method: str, path: str, body: str) -> Answer | None:
        return (400, unknown) if method == "PUT" and "index.knn" in body else None

    with fake_engine(odd=odd) as engine:
        open_index(engine.location).close()
        assert engine.indices["x-found"]["mappings"]["_meta"]["cvsim"]["dialect"] == "script"


def test_elasticsearch_is_asked_in_its_own_words() -> None:
    vector = np.eye(1, 8, dtype=np.float32)[0]
    with fake_engine(ELASTICSEARCH) as engine, open_index(engine.location) as store:
        store.put_keys({A: ImageKeys({}, {}, {"v": vector})})
        properties = engine.indices["x-found"]["mappings"]["properties"]
        (field,) = [name for name, kind in properties.items() if kind["type"] == "dense_vector"]
        assert properties[field] == {"type": "dense_vector", "dims": 8, "index": True, "similarity": "cosine"}
        store.nearest("v", vector, 5)
        asked = json.loads(engine.asked[-1][2])
        assert asked["knn"]["field"] == field
        assert asked["knn"]["num_candidates"] >= asked["knn"]["k"] >= 5
        assert "index.knn" not in json.dumps(engine.indices)
