"""The search page and its JSON API: routes over a `SearchService`.

Pictures are asked for by the digest of their content: no path ever comes in.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from cvsim._version import __version__
from cvsim.errors import CvsimError, ImageError, RemoteError
from cvsim.reports.pages import page_templates
from cvsim.types import is_digest
from cvsim.web.search_openapi import openapi
from cvsim.web.search_service import MAX_K, BusyError, SearchLimits, SearchService

UPLOAD_PATH = "/api/search"


def make_search_app(service: SearchService) -> Starlette:
    """The application. It belongs behind a `cvsim.web.guard.Guard`; by itself it lets everyone in."""
    page = _SearchPage(service)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(service.close)

    return Starlette(
        routes=[
            Route("/", page.shell, methods=["GET"]),
            Route(UPLOAD_PATH, page.search, methods=["POST"]),
            Route("/api/search-url", page.search_url, methods=["POST"]),
            Route("/api/thumbnail/{digest:str}", page.thumbnail, methods=["GET"]),
            Route("/openapi.json", page.openapi, methods=["GET"]),
            Mount("/static", StaticFiles(packages=[("cvsim.web", "static")]), name="static"),
        ],
        exception_handlers={CvsimError: _said, HTTPException: _http_error},
        lifespan=lifespan,
    )


def uploads(limits: SearchLimits) -> dict[str, int]:
    """What the guard is to let in as files."""
    return {UPLOAD_PATH: limits.max_upload_bytes}


class _SearchPage:
    def __init__(self, service: SearchService) -> None:
        self._service = service
        self._templates = page_templates("cvsim.web")

    def shell(self, request: Request) -> Response:
        text = self._templates.get_template("search.html").render(
            csrf=request.app.state.csrf,
            version=__version__,
            n_images=self._service.n_images(),
            max_bytes=self._service.limits.max_upload_bytes,
        )
        return HTMLResponse(text)

    async def search(self, request: Request) -> Response:
        """A file as the body; `k` and `label` in the query string."""
        data = await request.body()
        k, label = _count(request.query_params.get("k", "10")), request.query_params.get("label") or None
        return _answer(await run_in_threadpool(self._service.search_bytes, data, "upload", k, label))

    async def search_url(self, request: Request) -> Response:
        """JSON: ``url``, and ``k`` and ``label`` if wanted."""
        asked = _object(await request.body())
        url, label = asked.get("url"), asked.get("label") or None
        if not isinstance(url, str) or not isinstance(label, str | None):
            raise HTTPException(400, "url and label are texts")
        k = _count(asked.get("k", 10))
        return _answer(await run_in_threadpool(self._service.search_url, url, k, label))

    def thumbnail(self, request: Request) -> Response:
        digest = request.path_params["digest"]
        data = self._service.thumbnail(digest) if is_digest(digest) else None
        if data is None:
            raise HTTPException(404, "There is no such picture")
        return Response(data, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})

    def openapi(self, request: Request) -> Response:
        return JSONResponse(openapi(self._service.limits))


def _answer(document: dict[str, Any]) -> Response:
    # Paths may hold bytes that are not UTF-8: as escapes they get through.
    return Response(json.dumps(document, ensure_ascii=True, allow_nan=False), media_type="application/json")


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise HTTPException(400, "A JSON object is expected")
    return found


def _count(value: object) -> int:
    try:
        k = int(str(value))
    except ValueError:
        k = 0
    if not 1 <= k <= MAX_K:
        raise HTTPException(400, f"k is a number from 1 to {MAX_K}")
    return k


def _said(_request: Request, exc: Exception) -> Response:
    status, headers = 500, {}
    if isinstance(exc, BusyError):
        status, headers = 429, {"retry-after": str(math.ceil(exc.after_s))}
    elif isinstance(exc, ImageError):
        status = 422
    elif isinstance(exc, RemoteError):
        status = 400
    return JSONResponse({"error": str(exc)}, status, headers)


def _http_error(_request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    return JSONResponse({"error": exc.detail}, exc.status_code)
