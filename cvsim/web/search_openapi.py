"""The OpenAPI 3.1 description of the search API."""

from __future__ import annotations

from typing import Any, get_args

from cvsim._version import __version__
from cvsim.types import Relation
from cvsim.web.search_service import MAX_K, SearchLimits

_TEXT: dict[str, Any] = {"type": "string"}
_SHARE: dict[str, Any] = {"type": "number", "minimum": 0, "maximum": 1}


def openapi(limits: SearchLimits) -> dict[str, Any]:
    """The description of the API under these limits."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "cvsim search",
            "version": __version__,
            "description": "Send the token of the page's address as a bearer token.",
        },
        "security": [{"token": []}],
        "paths": {
            "/api/search": {"post": _search_file(limits)},
            "/api/search-url": {"post": _search_url()},
            "/api/thumbnail/{digest}": {"get": _thumbnail()},
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Hits": _hits(), "Hit": _hit(), "Error": _object({"error": _TEXT})},
        },
    }


def _search_file(limits: SearchLimits) -> dict[str, Any]:
    return {
        "operationId": "search",
        "summary": "Look for the picture in the body, the content of an image file.",
        "description": f"At most {limits.max_upload_bytes:,} bytes and {limits.max_pixels:,} pixels.",
        "parameters": [
            {"name": "k", "in": "query", "schema": _count()},
            {"name": "label", "in": "query", "schema": _TEXT},
        ],
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
        "responses": _responses("413", "415", "422", "429"),
    }


def _search_url() -> dict[str, Any]:
    schema = _object({"url": {"type": "string", "format": "uri"}, "k": _count(), "label": _TEXT}, ["url"])
    return {
        "operationId": "searchUrl",
        "summary": "Look for the picture at an http or https URL.",
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": _responses("400", "422", "429"),
    }


def _thumbnail() -> dict[str, Any]:
    digest = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    return {
        "operationId": "thumbnail",
        "summary": "A small JPEG of a picture of the index.",
        "parameters": [{"name": "digest", "in": "path", "required": True, "schema": digest}],
        "responses": {
            "200": {"description": "The picture.", "content": {"image/jpeg": {}}},
            "404": _error("There is no such picture."),
        },
    }


def _responses(*statuses: str) -> dict[str, Any]:
    words = {
        "400": "The URL gave no picture, or lies in a private network.",
        "413": "Too many bytes.",
        "415": "Another content type than application/octet-stream.",
        "422": "No picture, one that cannot be decoded, or one of too many pixels.",
        "429": "Too many searches; Retry-After says when.",
    }
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Hits"}}}
    return {
        "200": {"description": "Copies by falling score, then look-alikes.", "content": content},
        **{status: _error(words[status]) for status in statuses},
    }


def _error(words: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {"description": words, "content": content}


def _hits() -> dict[str, Any]:
    hits = {"type": "array", "items": {"$ref": "#/components/schemas/Hit"}}
    return _object({"query": _TEXT, "seconds": {"type": "number"}, "hits": hits})


def _hit() -> dict[str, Any]:
    signal = _object(
        {"name": _TEXT, "similarity": {"type": ["number", "null"]}, "weight": {"type": "number"}}
    )
    return _object(
        {
            "path": _TEXT,
            "digest": _TEXT,
            "group": {
                "type": "integer",
                "minimum": 1,
                "description": "Hits of one number are copies of one another.",
            },
            "score": _SHARE,
            "profile": {"enum": ["copy", "product"]},
            "relation": {"enum": list(get_args(Relation))},
            "contained": {"enum": ["a", "b", None]},
            "labels": {"type": "array", "items": _TEXT},
            "width_px": {"type": "integer"},
            "height_px": {"type": "integer"},
            "signals": {"type": "array", "items": signal},
        }
    )


def _object(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required or list(properties)}


def _count() -> dict[str, Any]:
    return {"type": "integer", "minimum": 1, "maximum": MAX_K, "default": 10}
