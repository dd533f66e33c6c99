"""What errors of OpenSearch mean to a person, and what to do about them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cvsim.errors import StoreError, UsageError, WrongStoreError
from cvsim.stores.opensearch_address import LOGIN_VARIABLE

if TYPE_CHECKING:
    from cvsim.stores.opensearch_address import EngineAddress

AGAIN = "Nothing that was written is lost: run the same command again then"


def is_blocked(exc: Any) -> bool:
    """Tell whether an index takes no rows, whatever is waited for."""
    return "cluster_block_exception" in str(exc)


def explained(exc: Exception, address: EngineAddress, doing: str) -> StoreError:
    """What an error of opensearch-py means, and what to do about it."""
    import opensearchpy

    place = address.location
    if isinstance(exc, opensearchpy.SSLError) or "certificate" in str(exc).lower():
        return StoreError(
            f"cannot {doing} {place}: its certificate is not trusted ({_short(exc)}). Name the file of your "
            "certificate authority with ?ca=FILE at the end of the address"
        )
    if isinstance(exc, opensearchpy.ConnectionTimeout):
        return StoreError(
            f"cannot {doing} {place}: no answer within {address.timeout_s:g} s. The server is down or "
            f"overloaded: look at it, or allow more with ?timeout_s={4 * address.timeout_s:g} at the end of "
            f"the address. {AGAIN}"
        )
    if isinstance(exc, opensearchpy.ConnectionError):
        return StoreError(
            f"cannot {doing} {place}: nothing answers there as an OpenSearch server does. Start the server, "
            f"or correct the address. {AGAIN}"
        )
    if isinstance(exc, opensearchpy.TransportError):
        return said(f"{exc.error} {_json(exc.info)}", exc.status_code, address, doing)
    if isinstance(exc, opensearchpy.SerializationError):
        return StoreError(f"{place} is no OpenSearch: something else answers there; correct the address")
    return StoreError(f"cannot {doing} {place}: {exc}. {AGAIN}")


def said(text: str, status: Any, address: EngineAddress, doing: str) -> StoreError:
    """What the engine's own words mean."""
    place, lower = address.location, text.lower()
    if "read-only-allow-delete" in lower or "read_only_allow_delete" in lower or "flood" in lower:
        return StoreError(
            f"cannot {doing} {place}: it takes no more rows, since its disk is nearly full (flood stage). "
            f"Free space there; the engine lifts the block by itself. {AGAIN}"
        )
    if "no space left" in lower or "disk full" in lower:
        return StoreError(f"cannot {doing} {place}: its disk is full. Free space there. {AGAIN}")
    if "read-only" in lower or ("cluster_block_exception" in lower and status == 403):
        return StoreError(
            f"cannot {doing} {place}: the index is read-only there. Ask who runs the engine. {AGAIN}"
        )
    if status in (401, 403):
        return StoreError(
            f"{place} refuses the user or the password; give them as opensearch://USER:PASSWORD@HOST, or as "
            f"USER:PASSWORD in the environment variable {LOGIN_VARIABLE}"
        )
    if status == 413:
        return StoreError(
            f"cannot {doing} {place}: it refuses messages of this size; raise http.max_content_length there. "
            + AGAIN
        )
    if "circuit_breaking_exception" in lower:
        return StoreError(f"cannot {doing} {place}: it has too little memory for this; give it more. {AGAIN}")
    if status == 429:
        return StoreError(
            f"cannot {doing} {place}: it has had too much to do for {address.timeout_s:g} s. {AGAIN}"
        )
    if status in (502, 503, 504):
        return StoreError(
            f"cannot {doing} {place}: the engine is starting, or a part of it is away (HTTP {status}). Wait "
            f"until it is healthy. {AGAIN}"
        )
    return StoreError(f"cannot {doing} {place}: HTTP {status}, {_short(text)}. {AGAIN}")


def _json(value: Any) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return str(value)


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 300 else text[:300] + "…"


def other_index(address: EngineAddress, why: str) -> WrongStoreError:
    """The error for indices that this version of cvsim cannot use."""
    return WrongStoreError(
        f"the index {address.name} at {address.location} {why}; it was left as it is. Index the pictures "
        "under another name"
    )


def no_index(address: EngineAddress) -> UsageError:
    """Say that no index is where one was to be opened, and how to make it."""
    place = address.location
    return UsageError(f"{place}: there is no index there; make it with cvsim index PATH --store {place}")
