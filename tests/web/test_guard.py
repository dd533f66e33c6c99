"""Attacks on the page: what a web site, a program of another user or a hostile file name may try."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from review_plan import MARKUP, Workplace

pytest.importorskip("starlette", reason="pip install 'cvsim[web]'")
pytest.importorskip("httpx", reason="pip install 'cvsim[remote]'")

import anyio
import httpx

from cvsim.settings import Settings
from cvsim.stores import open_cache
from cvsim.web.guard import CSRF_HEADER, MAX_BODY_BYTES, Guard
from cvsim.web.pairs import Pairs
from cvsim.web.pictures import Pictures
from cvsim.web.review import Review
from cvsim.web.review_app import make_review_app

PORT = 8765
HOME = f"http://127.0.0.1:{PORT}"
TOKEN = "the-token-of-this-test"


class Browser:
    """Sends requests straight to the application, and keeps its cookies."""

    def __init__(self, app: Guard) -> None:
        self._app = app
        self.cookies = httpx.Cookies()

    def get(self, address: str, **options: Any) -> httpx.Response:
        return self.request("GET", address, **options)

    def post(self, address: str, **options: Any) -> httpx.Response:
        return self.request("POST", address, **options)

    def request(
        self, method: str, address: str, raw_path: bytes | None = None, **options: Any
    ) -> httpx.Response:
        """`raw_path` goes out as it is: a client would tidy it up."""

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url=HOME, cookies=self.cookies) as client:
                request = client.build_request(method, address, **options)
                if raw_path is not None:
                    request.url = request.url.copy_with(raw_path=raw_path)
                answer = await client.send(request)
                self.cookies = client.cookies
                return answer

        return anyio.run(send)


class Page:
    """A guarded page and a browser that was given its address."""

    def __init__(self, place: Workplace) -> None:
        cache = str(place.folder / "cache.db")
        pairs = Pairs(Settings(cache=cache, workers=1))
        self.review = Review(str(place.plan), str(place.decisions), pairs.proposals)
        self.pictures = Pictures(self.review.paths_of, lambda: open_cache(cache))
        app = make_review_app(self.review, pairs, self.pictures)
        self.guard = Guard(app, port=PORT, token=TOKEN)
        app.state.csrf = self.guard.csrf
        self.browser = self.stranger()

    def stranger(self) -> Browser:
        """A client that knows nothing but the port."""
        return Browser(self.guard)

    def enter(self) -> None:
        assert self.browser.get(f"/?token={TOKEN}").status_code == 200

    def post(self, address: str, body: Any, **headers: str) -> httpx.Response:
        return self.browser.post(
            address, json=body, headers={"origin": HOME, CSRF_HEADER: self.guard.csrf, **headers}
        )


@pytest.fixture
def page(place: Workplace) -> Iterator[Page]:
    made = Page(place)
    made.enter()
    yield made
    made.pictures.close()


def addresses(page: Page) -> list[str]:
    digest = page.review.group(1).kept.digest
    return ["/", "/groups", "/rows?numbers=1", "/group/1", "/group/1/1", f"/picture/{digest}/small", "/work"]


# --- who may come in ---------------------------------------------------------------------------------------


def test_the_opened_address_lets_its_browser_in_and_nobody_else(page: Page) -> None:
    for address in [*addresses(page), "/static/review.js"]:
        assert page.browser.get(address).status_code == 200, address
        assert page.stranger().get(address).status_code == 403, address


def test_the_key_is_a_strict_cookie_that_scripts_can_not_read(page: Page) -> None:
    answer = page.stranger().get(f"/?token={TOKEN}")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN not in answer.text
    assert TOKEN not in page.browser.get("/").text


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", "é"])
def test_a_wrong_token_opens_nothing(page: Page, token: str) -> None:
    stranger = page.stranger()
    assert stranger.get("/", params={"token": token}).status_code == 403
    stranger.cookies.set(f"cvsim-{PORT}", "wrong")
    assert stranger.get("/").status_code == 403


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        f"evil.example:{PORT}",
        "127.0.0.1",
        "127.0.0.1:1",
        f"127.0.0.1.evil.example:{PORT}",
        "",
    ],
)
def test_a_foreign_host_is_refused_even_with_the_token(page: Page, host: str) -> None:
    """DNS rebinding: a site's own name is made to point here."""
    for address in ["/", f"/?token={TOKEN}", "/groups"]:
        answer = page.browser.get(address, headers={"host": host})
        assert answer.status_code == 421
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", f"https://127.0.0.1:{PORT}", "http://127.0.0.1:1", HOME + ".x"]
)
def test_a_foreign_origin_is_refused(page: Page, origin: str) -> None:
    assert page.browser.get("/groups", headers={"origin": origin}).status_code == 403
    assert page.post("/decide", {"group": 1, "action": "accept"}, origin=origin).status_code == 403
    assert page.review.totals().decided == 0


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_a_browser_says_comes_from_elsewhere_is_refused(page: Page, site: str) -> None:
    headers = {"sec-fetch-site": site}
    assert page.browser.get("/", headers=headers).status_code == 403
    assert page.post("/decide", {"group": 1, "action": "accept"}, **headers).status_code == 403


def test_odd_cookies_of_other_local_pages_do_no_harm(page: Page) -> None:
    stranger = page.stranger()
    cookie = f'odd={{"a": [1, 2]}}; cvsim-1=x; cvsim-{PORT}={TOKEN}; bad name=\x01'
    assert stranger.get("/groups", headers={"cookie": cookie}).status_code == 200
    assert stranger.get("/groups", headers={"cookie": f"xcvsim-{PORT}={TOKEN}"}).status_code == 403


# --- changes -----------------------------------------------------------------------------------------------


CHANGES = ("/decide", "/bulk", "/open", "/undo", "/apply", "/restore")


@pytest.mark.parametrize("address", CHANGES)
def test_a_change_needs_the_pages_own_header_origin_and_json(page: Page, address: str) -> None:
    csrf = {CSRF_HEADER: page.guard.csrf}
    body = {"group": 1, "action": "accept", "min_score": 0}
    attempts: dict[str, dict[str, Any]] = {
        "no header": {"json": body, "headers": {"origin": HOME}},
        "a wrong header": {"json": body, "headers": {"origin": HOME, CSRF_HEADER: "x"}},
        "no origin": {"json": body, "headers": csrf},
        "a form": {"data": {"group": "1", "action": "accept"}, "headers": {"origin": HOME, **csrf}},
        "plain text": {"content": "{}", "headers": {"origin": HOME, "content-type": "text/plain", **csrf}},
    }
    before = page.review.path, page.review.totals()
    for name, attempt in attempts.items():
        assert page.browser.post(address, **attempt).status_code in (403, 415), name
    assert page.browser.get(address).status_code == 405
    assert (page.review.path, page.review.totals()) == before


def test_large_bodies_are_not_read(page: Page) -> None:
    large = "x" * (MAX_BODY_BYTES + 1)
    assert page.post("/decide", {"group": 1, "action": large}).status_code == 413

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 10_000

    headers = {"origin": HOME, CSRF_HEADER: page.guard.csrf, "content-type": "application/json"}
    assert page.browser.post("/decide", content=endless(), headers=headers).status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        [],
        "text",
        {"group": "1", "action": "accept"},
        {"group": True, "action": "accept"},
        {"group": -1, "action": "accept"},
        {"group": 1, "action": "delete", "file": 0},
        {"group": 1, "action": ["accept"]},
        {"group": 10**30, "action": "accept"},
        {"group": 1, "action": "keep", "file": 10**30},
        {"group": 1, "action": "keep", "file": "/etc/passwd"},
    ],
)
def test_nonsense_is_refused_and_changes_nothing(page: Page, body: Any) -> None:
    assert page.post("/decide", body).status_code in (400, 404)
    assert page.review.totals().decided == 0


@pytest.mark.parametrize("action", ["delete", "hardlink", "symlink", "reflink", "move:/tmp", ""])
def test_only_what_can_be_taken_back_is_done_from_the_page(page: Page, place: Workplace, action: str) -> None:
    page.post("/decide", {"group": 1, "action": "accept"})
    before = place.tree()
    assert page.post("/apply", {"action": action, "n_files": 1}).status_code == 400
    assert page.post("/apply", {"action": "move", "folder": "here", "n_files": 1}).status_code == 400
    assert place.tree() == before


def test_apply_refuses_other_numbers_than_were_shown(page: Page, place: Workplace) -> None:
    page.post("/decide", {"group": 1, "action": "accept"})
    target = str(place.folder / "away")
    assert page.post("/apply", {"action": "move", "folder": target, "n_files": 7}).status_code == 409


# --- files -------------------------------------------------------------------------------------------------


def test_pictures_are_served_by_their_content_only(page: Page, place: Workplace) -> None:
    digest = page.review.group(1).kept.digest
    answer = page.browser.get(f"/picture/{digest}/large")
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.content.startswith(b"\xff\xd8")
    alone = place.tree()["alone.jpg"]  # scanned, but in no group
    for wrong in (alone, "0" * 64, digest.upper(), "1", "alone.jpg"):
        assert page.browser.get(f"/picture/{wrong}/large").status_code == 404, wrong
    for size in ("huger", "1600", "0"):
        assert page.browser.get(f"/picture/{digest}/{size}").status_code == 404, size


@pytest.mark.parametrize(
    "address",
    [
        "/picture/../../plan.json/large",
        "/picture/..%2f..%2fplan.json/large",
        "/picture/%2e%2e%2f%2e%2e%2fetc%2fpasswd/large",
        "/picture//etc/passwd/large",
        "/static/../review.py",
        "/static/..%2freview.py",
        "/static/%2e%2e/review.py",
        "/static/....//review.py",
        "/static//etc/passwd",
        "/static/",
    ],
)
def test_no_path_leads_out(page: Page, address: str) -> None:
    answer = page.browser.request("GET", "/", raw_path=address.encode())
    assert answer.status_code in (403, 404), answer.text[:200]


def test_a_file_that_was_replaced_is_not_shown(page: Page, place: Workplace) -> None:
    """Not by other content, and not by a link to a picture elsewhere."""
    kept = page.review.group(1).kept
    secret = place.photos / "alone.jpg"
    path = place.photos / MARKUP
    path.unlink()
    path.symlink_to(secret)
    assert page.browser.get(f"/picture/{kept.digest}/large").status_code == 404


# --- what goes out -----------------------------------------------------------------------------------------


def test_a_name_with_markup_is_text(page: Page) -> None:
    for address in ("/rows?numbers=1", "/group/1", "/group/1/1"):
        text = page.browser.get(address).text
        assert "<img src=x" not in text, address
        assert "&lt;img src=x onerror=document.title=&#39;owned&#39;&gt;&amp;&#34;&#39;.jpg" in text, address


def test_every_answer_forbids_what_the_page_does_not_need(page: Page) -> None:
    answers = [page.browser.get(address) for address in [*addresses(page), "/static/review.css", "/nowhere"]]
    answers += [page.stranger().get("/"), page.browser.get("/", headers={"host": "evil.example"})]
    answers += [page.post("/decide", {})]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "cache-control" in answer.headers
        assert "access-control-allow-origin" not in answer.headers


def test_the_page_asks_nobody_else(page: Page) -> None:
    texts = [page.browser.get(f"/static/{name}").text for name in ("review.js", "stage.js", "review.css")]
    texts += [
        page.browser.get(address).text for address in ("/", "/group/1", "/group/1/1", "/rows?numbers=1")
    ]
    for text in texts:
        assert "//" not in text.replace("// ", "").replace("http://www.w3.org", "").replace(HOME, "")
        assert " style=" not in text
        assert " onclick=" not in text
