"""The review page: routes over a `Review`. No decision is made here.

Pictures are asked for by the digest of their content, files by their number in the plan: no path ever
comes in, except the folder of ``move``.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, cast

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from cvsim._version import __version__
from cvsim.actions.apply import Applied, apply_plan
from cvsim.actions.plan import Entry
from cvsim.actions.undo import Undone, undo_journal
from cvsim.errors import ActionError, CvsimError, ImageError
from cvsim.groups.decisions import Answer
from cvsim.names import printable
from cvsim.progress import Progress
from cvsim.reports import wording
from cvsim.reports.pages import page_templates
from cvsim.web import review_views
from cvsim.web.bulk import RULE_NAMES, BulkRule, RuleCounts, RuleName
from cvsim.web.pairs import Pairs
from cvsim.web.pictures import SIZES_PX, Pictures
from cvsim.web.review import Review
from cvsim.web.review_groups import ORDERS, Filters, GroupView
from cvsim.web.work import BackgroundWork, Ended

PAGE_ROWS = 50
"""Rows that the list shows at once."""
OPENING_LIST = "/groups?state=open&relation=&folder=&order=plan&text=&at="
"""What the page asks for first, with no filter set."""
MAX_FILES = 1000
MAX_TEXT = 4096
MAX_NOTES = 200
OpenFile = Callable[[str, bool], bool]
"""(path, whether to show it in its folder instead of opening it) -> whether a program was found."""
_STATES = ("", "open", "decided", "done")


@dataclass(frozen=True, slots=True)
class Parts:
    """What the page is made of."""

    review: Review
    pairs: Pairs
    pictures: Pictures
    work: BackgroundWork
    open_file: OpenFile | None


def make_review_app(
    review: Review, pairs: Pairs, pictures: Pictures, open_file: OpenFile | None = None
) -> Starlette:
    """The application. It belongs behind a `cvsim.web.guard.Guard`; by itself it lets everyone in."""
    page = _ReviewPage(Parts(review, pairs, pictures, BackgroundWork(), open_file))
    get, post = ["GET"], ["POST"]

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        ahead = threading.Thread(target=page.look_ahead, name="cvsim-look-ahead", daemon=True)
        ahead.start()
        yield
        ahead.join()
        pictures.close()

    return Starlette(
        routes=[
            Route("/", page.shell, methods=get),
            Route("/groups", page.groups, methods=get),
            Route("/rows", page.rows, methods=get),
            Route("/group/{group:int}", page.group, methods=get),
            Route("/group/{group:int}/{file:int}", page.pair, methods=get),
            Route("/picture/{digest:str}/{size:str}", page.picture, methods=get),
            Route("/work", page.work, methods=get),
            Route("/decide", page.decide, methods=post),
            Route("/bulk", page.bulk, methods=post),
            Route("/open", page.open, methods=post),
            Route("/undo", page.undo, methods=post),
            Route("/apply", page.apply, methods=post),
            Route("/restore", page.restore, methods=post),
            Mount("/static", StaticFiles(packages=[("cvsim.web", "static")]), name="static"),
        ],
        exception_handlers={CvsimError: _said, KeyError: _not_found, HTTPException: _http_error},
        lifespan=lifespan,
    )


class _ReviewPage:
    def __init__(self, parts: Parts) -> None:
        self._review, self._pairs = parts.review, parts.pairs
        self._pictures, self._work = parts.pictures, parts.work
        self._open_file = parts.open_file
        self._counts = RuleCounts(parts.review, parts.pairs)
        self._templates = page_templates("cvsim.web")
        self._adding_up = threading.Lock()
        # What the page asks for when it opens, by address, as it was at a version of the review.
        # It is given out once: files may change.
        self._opening: tuple[int, dict[str, str]] | None = None

    def _text(self, name: str, **values: Any) -> str:
        # Names that are not UTF-8 have been made printable; this is for what else a plan may hold.
        text = self._templates.get_template(name).render(**values)
        return text.encode("utf-8", "backslashreplace").decode()

    def _html(self, name: str, **values: Any) -> HTMLResponse:
        return HTMLResponse(self._text(name, **values))

    # ---- Looking ----

    def look_ahead(self) -> None:
        """Get ready what is shown first while the browser starts."""
        # The pair first: other processes work at it, and a browser that is there already asks for the rest.
        version = self._review.version
        group, others = self._first()
        answers = {}
        with suppress(CvsimError):
            for other in others[:1]:
                assert group is not None
                file = self._review.number[other.path]
                answers[f"/group/{group.number}"] = self._group(group)
                answers[f"/group/{group.number}/{file}"] = self._pair(group, other)
        self._shell("", {})
        answers[OPENING_LIST] = self._list(Filters(state="open"))
        self._opening = version, answers
        with suppress(CvsimError):
            for entry in (group.kept, *others[:1]) if group is not None else ():
                self._pictures.get(entry.digest, "large")

    def _opening_answers(self) -> dict[str, str]:
        """What is ready and still so, once."""
        version, answers = self._opening or (-1, {})
        self._opening = None
        return answers if version == self._review.version else {}

    def _first(self) -> tuple[GroupView | None, list[Entry]]:
        """The group that the page opens with, and what is shown beside its kept file, in this order."""
        for number in self._review.find(Filters(state="open"))[:1]:
            group = self._review.group(number)
            return group, review_views.in_order(group)[1:]
        return None, []

    def shell(self, request: Request) -> Response:
        return self._shell(request.app.state.csrf, self._opening_answers())

    def _shell(self, csrf: str, answers: Mapping[str, str]) -> Response:
        review = self._review
        with self._adding_up:  # who comes second finds it added up
            group, others = self._first()
            relations, totals = review.relations(), review.totals()
            folders = [
                (folder, printable(review_views.short_folder(folder, review.roots)), n)
                for folder, n in review.folders()
            ]
        first = [] if group is None else [group.number, *(review.number[other.path] for other in others[:1])]
        return self._html(
            "review.html",
            csrf=csrf,
            version=__version__,
            first=first,
            answers=answers,
            relations=relations,
            folders=[(number, words, n) for number, (_, words, n) in enumerate(folders)],
            plan=printable(os.path.abspath(review.path)),
            decisions=printable(os.path.abspath(review.decisions_path)),
            totals=totals,
            threshold=self._pairs.threshold,
        )

    def groups(self, request: Request) -> Response:
        """The numbers of the groups that pass the filters, and the rows of the page that is to be shown."""
        at = _number(request.query_params.get("at") or "0")
        return Response(self._list(self._filters(request.query_params), at), media_type="application/json")

    def _list(self, filters: Filters, at: int = 0) -> str:
        numbers = self._review.find(filters)
        page = numbers.index(at) // PAGE_ROWS if at in numbers else 0
        rows = self._rows(numbers[page * PAGE_ROWS : (page + 1) * PAGE_ROWS])
        shown = {"page": page, "rows_a_page": PAGE_ROWS, "rows": rows}
        return json.dumps({"groups": numbers, **shown, **self._standing()})

    def _rows(self, numbers: list[int]) -> str:
        rows = [review_views.row_view(self._review.group(number)) for number in numbers]
        return self._text("rows.html", rows=rows)

    def rows(self, request: Request) -> Response:
        numbers = request.query_params.get("numbers", "")
        wanted = [_number(text) for text in numbers.split(",") if text][:PAGE_ROWS]
        return HTMLResponse(self._rows(wanted))

    def group(self, request: Request) -> Response:
        return HTMLResponse(self._group(self._review.group(request.path_params["group"])))

    def _group(self, group: GroupView) -> str:
        facts = self._pairs.facts([entry for entry in group.entries if entry.path not in group.gone])
        pictures = review_views.picture_views(self._review, group, facts)
        return self._text(
            "group.html", group=group, pictures=pictures, row=review_views.row_view(group), sizes=SIZES_PX
        )

    def pair(self, request: Request) -> Response:
        """The kept file beside another one."""
        group = self._review.group(request.path_params["group"])
        return HTMLResponse(self._pair(group, self._review.entry(group, request.path_params["file"])))

    def _pair(self, group: GroupView, other: Entry) -> str:
        pair, problem, kept = None, "", group.kept
        if other.path in group.gone:
            problem = "It was removed; bring it back to compare the two again."
        else:
            try:
                pair = self._pairs.compare(kept, other)
            except ImageError as exc:
                problem = str(exc)
        facts = self._pairs.facts([entry for entry in (kept, other) if entry.path not in group.gone])
        view = review_views.pair_view(self._review, kept, other, facts, pair, problem)
        matrix = None if view.matrix is None else json.dumps(view.matrix)
        return self._text("pair.html", pair=view, matrix=matrix)

    def picture(self, request: Request) -> Response:
        digest, size = request.path_params["digest"], request.path_params["size"]
        try:
            jpeg = self._pictures.get(digest, size)
        except ImageError as exc:
            return JSONResponse({"error": str(exc)}, 404)
        headers = {"cache-control": "private, max-age=3600, immutable"}
        return Response(jpeg, media_type="image/jpeg", headers=headers)

    def _filters(self, given: Mapping[str, Any]) -> Filters:
        """Filters from an address or a body; a folder is named by its number in the list."""
        state, order = _text(given, "state"), _text(given, "order") or "plan"
        if state not in _STATES or order not in ORDERS:
            raise HTTPException(400, "There is no such filter.")
        folder = self._folder(_text(given, "folder"))
        return Filters(state, _text(given, "relation"), folder, _text(given, "text"), order)

    def _folder(self, number: str) -> str:
        """A folder by its number in the list: no path comes in."""
        folders = self._review.folders() if number else []
        return folders[_number(number)][0] if number and _number(number) < len(folders) else ""

    def _standing(self) -> dict[str, Any]:
        """How far the review is, for the head of the page."""
        totals = self._review.totals()
        words = {
            "bytes_words": wording.byte_size(totals.bytes),
            "files_words": wording.quantity(totals.files, "file"),
        }
        return {"totals": {**asdict(totals), **words}, "undo": self._review.last_change}

    # ---- Deciding ----

    async def decide(self, request: Request) -> Response:
        body = await _body(request)
        number, action = _whole(body, "group"), _text(body, "action")
        files = _several(body) if action in ("remove", "leave") else []
        file = 0 if files or action == "accept" else _whole(body, "file")
        ways: Mapping[str, Callable[[], Any]] = {
            "accept": lambda: self._review.accept(number),
            "keep": lambda: self._review.keep(number, file),
            "remove": lambda: self._review.decide(number, files, "remove"),
            "leave": lambda: self._review.decide(number, files, "skip"),
            "keep-both": lambda: self._answer(number, file, "keep-both"),
            "not-a-duplicate": lambda: self._answer(number, file, "not-a-duplicate"),
        }
        if action not in ways:
            raise HTTPException(400, "There is no such decision.")
        self._work.refuse_while_running()
        group = await run_in_threadpool(ways[action])
        return JSONResponse({"group": number, "state": group.state, **self._standing()})

    def _answer(self, number: int, file: int, answer: str) -> Any:
        return self._review.answer(number, file, cast(Answer, answer))

    async def bulk(self, request: Request) -> Response:
        """A rule for many groups: first what it would do (``dry``), then the same in earnest."""
        body = await _body(request)
        rule, filters = self._rule(body), self._filters(body)
        self._work.refuse_while_running()
        change = await run_in_threadpool(self._counts.change, rule, filters)
        if change is None:
            # No error: the page does not wait for this one any more.
            return JSONResponse({"superseded": True, **self._standing()})
        n, removed = len(change.after), change.removed
        words = wording.quantity(n, "group")
        if body.get("dry") is not True:
            review = self._review
            await run_in_threadpool(review.change_many, f"decided about {words}", change.before, change.after)
        counted = {
            "n": n,
            "groups_words": words,
            "files_words": wording.quantity(len(removed), "file"),
            "bytes_words": wording.byte_size(sum(entry.size_bytes for entry in removed)),
        }
        return JSONResponse({**counted, **self._standing()})

    def _rule(self, body: Mapping[str, Any]) -> BulkRule:
        name, score = _text(body, "rule"), body.get("min_score", 0)
        if name not in RULE_NAMES:
            raise HTTPException(400, "There is no such rule.")
        if not isinstance(score, (int, float)) or isinstance(score, bool) or not 0 <= score <= 1:
            raise HTTPException(400, "The score is a probability, from 0 to 1.")
        folder = self._folder(_text(body, "under"))
        if name.endswith("-under") and not folder:
            raise HTTPException(400, "Choose a folder.")
        return BulkRule(cast(RuleName, name), score, folder)

    async def open(self, request: Request) -> Response:
        """Open a file of the plan where the person sits, or show it in its folder."""
        body = await _body(request)
        group = self._review.group(_whole(body, "group"))
        path = self._review.entry(group, _whole(body, "file")).path
        if not os.path.lexists(path):
            raise ActionError("It is not there any more.")
        if self._open_file is None or not await run_in_threadpool(
            self._open_file, path, body.get("reveal") is True
        ):
            raise ActionError(f"No program was found that opens it. It is {path}")
        return JSONResponse({"opened": True})

    async def undo(self, request: Request) -> Response:
        await _body(request)
        self._work.refuse_while_running()
        number = await run_in_threadpool(self._review.undo)
        return JSONResponse({"group": number, **self._standing()})

    # ---- Carrying out ----

    async def apply(self, request: Request) -> Response:
        """Carry out what was decided. What the person was shown must still be so."""
        body = await _body(request)
        action, folder = _text(body, "action"), _text(body, "folder").strip()
        if action not in ("trash", "move"):
            raise HTTPException(400, "From this page files go to the trash or into a folder.")
        if action == "move" and not os.path.isabs(os.path.expanduser(folder)):
            raise HTTPException(400, "Give the whole path of the folder, from / or ~ on.")
        if _whole(body, "n_files") != self._review.totals().files:
            raise ActionError("The decisions changed since you were asked; look at the numbers again.")
        chosen = action if action == "trash" else f"move:{folder}"
        dry_run = body.get("dry_run") is True
        self._work.start(lambda progress: self._apply(chosen, dry_run, progress))
        return JSONResponse({"started": True})

    def _apply(self, action: str, dry_run: bool, progress: Progress) -> Ended:
        review = self._review
        with _looking_again(review):
            applied = apply_plan(
                review.decided_plan(),
                action,
                review.journal,
                dry_run=dry_run,
                own_files=[review.path, review.decisions_path],
                progress=progress,
            )
        return _applied(applied, dry_run)

    async def restore(self, request: Request) -> Response:
        """Bring back what one group, or the whole plan, removed."""
        body = await _body(request)
        paths = None
        if "group" in body:
            group = self._review.group(_whole(body, "group"))
            paths = {entry.path for entry in group.entries}
        self._work.start(lambda progress: self._restore(paths, progress))
        return JSONResponse({"started": True})

    def _restore(self, paths: set[str] | None, progress: Progress) -> Ended:
        with _looking_again(self._review):
            undone = undo_journal(self._review.journal, paths=paths, progress=progress)
        return _undone(undone)

    def work(self, request: Request) -> Response:
        counting = self._counts.progress
        return JSONResponse({**asdict(self._work.status), "counting": counting, **self._standing()})


@contextmanager
def _looking_again(review: Review) -> Iterator[None]:
    try:
        yield
    finally:
        review.look_again()


def _applied(applied: Applied, dry_run: bool) -> Ended:
    n, size = applied.count("would" if dry_run else "done"), wording.byte_size(applied.done_bytes)
    headline = f"{wording.quantity(n, 'file')} ({size}) {'would go' if dry_run else 'gone'}"
    if n_skipped := applied.count("skipped"):
        headline += f", {wording.quantity(n_skipped, 'file')} skipped"
    return Ended(
        headline + ".", _notes((o.path, o.reason) for o in applied.outcomes if o.status == "skipped")
    )


def _undone(undone: Undone) -> Ended:
    headline = f"{wording.quantity(undone.count('restored'), 'file')} brought back"
    if n_skipped := undone.count("skipped"):
        headline += f", {wording.quantity(n_skipped, 'file')} not"
    return Ended(
        headline + ".", _notes((o.path, o.reason) for o in undone.outcomes if o.status != "restored")
    )


def _notes(said: Iterator[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    notes = [(printable(path), printable(reason)) for path, reason in said]
    more = len(notes) - MAX_NOTES
    return (*notes[:MAX_NOTES], *([(f"and {more:,} more", "")] if more > 0 else []))


# ---- What comes in ----


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except (ValueError, RecursionError) as exc:
        raise HTTPException(400, "This is no JSON.") from exc
    if not isinstance(body, dict):
        raise HTTPException(400, "A JSON object was expected.")
    return body


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name, "")
    if not isinstance(value, str) or len(value) > MAX_TEXT or "\0" in value:
        raise HTTPException(400, f"{name} is no text that can be used.")
    return value


def _whole(given: Mapping[str, Any], name: str) -> int:
    value = given.get(name)
    if type(value) is not int or value < 0:
        raise HTTPException(400, f"{name} is no whole number.")
    return value


def _several(given: Mapping[str, Any]) -> list[int]:
    """The files that a decision is about: one, or those of a list."""
    files = given.get("files", [given.get("file")])
    if not isinstance(files, list) or not 0 < len(files) <= MAX_FILES:
        raise HTTPException(400, "files is no list of files.")
    return [_whole({"file": file}, "file") for file in files]


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise HTTPException(400, "A number was expected.")
    return int(text)


# ---- What goes out when something is wrong ----


def _said(_request: Request, exc: Exception) -> Response:
    return JSONResponse({"error": printable(str(exc))}, 409)


def _not_found(_request: Request, _exc: Exception) -> Response:
    return JSONResponse({"error": "There is nothing like that here."}, 404)


def _http_error(_request: Request, exc: Exception) -> Response:
    error = cast(HTTPException, exc)
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)
