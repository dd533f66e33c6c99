"""The OpenAPI 3.1 description of the search API."""

from __future__ import annotations

from typing import Any, get_args

from cvsim._version import __version__
from cvsim.types import Relation
from cvsim.web.search_service import MAX_K, MAX_OFFSET, SearchLimits

_TEXT: dict[str, Any] = {"type": "string"}
_BINARY: dict[str, Any] = {"type": "string", "format": "binary"}
_DIGEST_SCHEMA: dict[str, Any] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
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
            "/api/search-like": {"post": _search_like()},
            "/api/filters": {"get": _filters()},
            "/api/thumbnail/{digest}": {
                "get": _picture("thumbnail", "A small JPEG of a picture of the index.")
            },
            "/api/picture/{digest}": {"get": _picture("picture", "A large JPEG of a picture of the index.")},
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Hits": _hits(),
                "Hit": _hit(),
                "Filters": _filters_schema(),
                "Error": _object({"error": _TEXT}),
            },
        },
    }


def _search_file(limits: SearchLimits) -> dict[str, Any]:
    return {
        "operationId": "search",
        "summary": "Look for the picture in the body, the content of an image file.",
        "description": f"At most {limits.max_upload_bytes:,} bytes and {limits.max_pixels:,} pixels.",
        "parameters": [{"name": name, "in": "query", "schema": schema} for name, schema in _wanted().items()],
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": _BINARY},
                "image/*": {"schema": _BINARY},
                "multipart/form-data": {"schema": _object({"file": _BINARY})},
            },
        },
        "responses": _responses("400", "408", "413", "415", "422", "429"),
    }


def _search_url() -> dict[str, Any]:
    schema = _object({"url": {"type": "string", "format": "uri"}, **_wanted()}, ["url"])
    return {
        "operationId": "searchUrl",
        "summary": "Look for the picture at an http or https URL.",
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": _responses("400", "408", "413", "415", "422", "429"),
    }


def _search_like() -> dict[str, Any]:
    schema = _object({"digest": _DIGEST_SCHEMA, **_wanted()}, ["digest"])
    return {
        "operationId": "searchLike",
        "summary": "Look for a picture of the index, or go on with a query that was asked a short while ago.",
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": _responses("400", "404", "408", "413", "415", "429"),
    }


def _filters() -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Filters"}}}
    return {
        "operationId": "filters",
        "summary": "The commonest labels and folders of the index, and how many pictures each has.",
        "responses": {"200": {"description": "Both, in order.", "content": content}, **_everywhere()},
    }


def _picture(id: str, summary: str) -> dict[str, Any]:
    return {
        "operationId": id,
        "summary": summary,
        "parameters": [{"name": "digest", "in": "path", "required": True, "schema": _DIGEST_SCHEMA}],
        "responses": {
            "200": {"description": "The picture.", "content": {"image/jpeg": {"schema": _BINARY}}},
            "404": _error("There is no such picture."),
            "422": _error("It cannot be shown: it is gone, or was changed."),
            **_everywhere(),
        },
    }


def _everywhere() -> dict[str, Any]:
    """What every address may answer."""
    return {
        "403": _error("The token is missing or wrong, or another site asks."),
        "405": _error("There is no such method here."),
        "421": _error("The request names another host."),
        "500": _error("It failed."),
        "503": _error("The index does not answer."),
    }


def _responses(*statuses: str) -> dict[str, Any]:
    words = {
        "400": "A value is out of range, the body is malformed, or a URL gave no picture.",
        "404": "There is no such picture or query.",
        "408": "The body did not arrive in time.",
        "413": "Too many bytes.",
        "415": "Another content type than those of the request.",
        "422": "No picture, one that cannot be decoded, or one of too many pixels.",
        "429": "Too many searches or files at once; Retry-After says when.",
    }
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Hits"}}}
    return {
        "200": {"description": "Copies by falling score, then look-alikes.", "content": content},
        **{status: _error(words[status]) for status in statuses},
        **_everywhere(),
    }


def _error(words: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {"description": words, "content": content}


def _hits() -> dict[str, Any]:
    hits = {"type": "array", "items": {"$ref": "#/components/schemas/Hit"}}
    return _object(
        {
            "query": _TEXT,
            "query_digest": {
                **_DIGEST_SCHEMA,
                "description": "What searchLike takes for more hits of it.",
            },
            "seconds": {"type": "number"},
            "offset": {"type": "integer", "minimum": 0},
            "more": {"type": "boolean", "description": "Whether there are hits after these."},
            "hits": hits,
        }
    )


def _filters_schema() -> dict[str, Any]:
    number = {"type": "integer", "minimum": 0}
    labels = {"type": "array", "items": _object({"name": _TEXT, "n": number})}
    folders = {"type": "array", "items": _object({"path": _TEXT, "n": number})}
    return _object({"labels": labels, "folders": folders})


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


def _wanted() -> dict[str, Any]:
    """Which hits are wanted."""
    return {
        "k": {"type": "integer", "minimum": 1, "maximum": MAX_K, "default": 10},
        "offset": {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0},
        "label": _TEXT,
        "folder": {"type": "string", "description": "An absolute path: only files below it."},
    }
