"""The search page and its JSON API: routes over a `SearchService`.

Pictures are asked for by the digest of their content: no path ever comes in.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from cvsim._version import __version__
from cvsim.errors import CvsimError, ImageError, RemoteError, StoreError
from cvsim.reports.pages import page_templates
from cvsim.types import is_digest
from cvsim.web.search_openapi import openapi
from cvsim.web.search_service import (
    MAX_K,
    MAX_OFFSET,
    BusyError,
    SearchLimits,
    SearchService,
    UnknownError,
    WantedHits,
)

UPLOAD_PATH = "/api/search"
_log = logging.getLogger(__name__)


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
            Route("/api/search-like", page.search_like, methods=["POST"]),
            Route("/api/filters", page.filters, methods=["GET"]),
            Route("/api/thumbnail/{digest:str}", page.thumbnail, methods=["GET"]),
            Route("/api/picture/{digest:str}", page.picture, methods=["GET"]),
            Route("/openapi.json", page.openapi, methods=["GET"]),
            Mount("/static", StaticFiles(packages=[("cvsim.web", "static")]), name="static"),
        ],
        exception_handlers={CvsimError: _said, HTTPException: _http_error, Exception: _failed},
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
        """A file as the body, or as the part `file` of a form; what is wanted in the query string."""
        wanted = _wanted(request.query_params)
        data = await _file_of(request)
        return _answer(await run_in_threadpool(self._service.search_bytes, data, "upload", wanted))

    async def search_url(self, request: Request) -> Response:
        """JSON: ``url``, and what is wanted."""
        asked = _object(await request.body())
        url = asked.get("url")
        if not isinstance(url, str):
            raise HTTPException(400, "url is a text")
        return _answer(await run_in_threadpool(self._service.search_url, url, _wanted(asked)))

    async def search_like(self, request: Request) -> Response:
        """JSON: the ``digest`` of an earlier query or of a hit, and what is wanted."""
        asked = _object(await request.body())
        digest = asked.get("digest")
        if not isinstance(digest, str) or not is_digest(digest):
            raise HTTPException(400, "digest is that of a query or of a hit")
        return _answer(await run_in_threadpool(self._service.search_like, digest, _wanted(asked)))

    def filters(self, request: Request) -> Response:
        return _answer(self._service.filters())

    def thumbnail(self, request: Request) -> Response:
        digest = request.path_params["digest"]
        data = self._service.thumbnail(digest) if is_digest(digest) else None
        if data is None:
            raise HTTPException(404, "There is no such picture")
        return Response(data, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})

    def picture(self, request: Request) -> Response:
        digest = request.path_params["digest"]
        data = self._service.picture(digest) if is_digest(digest) else None
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


async def _file_of(request: Request) -> bytes:
    """The content of the file that was sent."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await request.body()
    try:
        async with request.form(max_files=1, max_fields=8) as form:
            part = form.get("file")
            if isinstance(part, UploadFile):
                return await part.read()
    except (MultiPartException, ValueError) as exc:  # starlette's error, or that of the parser which it uses
        raise HTTPException(400, f"The form cannot be read: {getattr(exc, 'message', exc)}") from exc
    raise HTTPException(400, "The form has no part named file")


def _wanted(asked: Mapping[str, Any]) -> WantedHits:
    """Which hits are wanted: ``k``, ``offset``, ``label``, ``folder``."""
    texts = [asked.get(name) or None for name in ("label", "folder")]
    if not all(isinstance(text, str | None) and "\0" not in (text or "") for text in texts):
        raise HTTPException(400, "label and folder are texts")
    label, folder = texts
    if folder is not None and not folder.startswith("/") and not os.path.isabs(folder):
        raise HTTPException(400, "folder is an absolute path")
    k = _number(asked.get("k", 10), "k", 1, MAX_K)
    return WantedHits(k, _number(asked.get("offset", 0), "offset", 0, MAX_OFFSET), label, folder)


def _number(value: object, name: str, low: int, high: int) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = low - 1
    if isinstance(value, bool) or not low <= number <= high:
        raise HTTPException(400, f"{name} is a number from {low} to {high}")
    return number


def _said(_request: Request, exc: Exception) -> Response:
    status, headers = 500, {}
    if isinstance(exc, StoreError):
        status = 503
    elif isinstance(exc, UnknownError):
        status = 404
    elif isinstance(exc, BusyError):
        status, headers = 429, {"retry-after": str(math.ceil(exc.after_s))}
    elif isinstance(exc, ImageError):
        status = 422
    elif isinstance(exc, RemoteError):
        status = 400
    return JSONResponse({"error": str(exc)}, status, headers)


def _http_error(_request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    return JSONResponse({"error": exc.detail}, exc.status_code, exc.headers)


def _failed(_request: Request, exc: Exception) -> Response:
    _log.error("a request failed", exc_info=exc)
    return JSONResponse({"error": "cvsim failed at this; its log says where"}, 500)
