"""The search page's API behind its guard: what it answers, and what it refuses."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from generate import altered, encoded, save_image, scene
from PIL import Image

pytest.importorskip("starlette", reason="pip install 'cvsim[web]'")
pytest.importorskip("httpx", reason="pip install 'cvsim[remote]'")

from faulty_server import SVG, faulty_server
from starlette.testclient import TestClient

import cvsim
from cvsim.recipes.opened_index import open_searchable
from cvsim.settings import Settings
from cvsim.web.guard import Guard
from cvsim.web.search_app import make_search_app, uploads
from cvsim.web.search_service import SearchLimits, SearchService

PORT, TOKEN = 8765, "the-token"
LIMITS = SearchLimits(max_upload_bytes=400_000, max_pixels=1_000_000, per_minute=500)
BEARER = {"authorization": f"Bearer {TOKEN}"}
FILE = {**BEARER, "content-type": "application/octet-stream"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    for seed in range(4):
        save_image(folder / "photos" / f"{seed}.jpg", scene(seed, 320, 240))
    (folder / "labels.csv").write_text("file,label\n0.jpg,cup\n")
    with cvsim.Index.open(folder / "index.db", workers=2) as index:
        index.add([folder / "photos"], labels=folder / "labels.csv")
    return folder / "index.db"


def client_for(store: Path, limits: SearchLimits = LIMITS, allow_private: bool = False) -> TestClient:
    service = SearchService(
        lambda: open_searchable(store, Settings(), create=False), limits, allow_private=allow_private
    )
    app = make_search_app(service)
    guard = Guard(app, port=PORT, token=TOKEN, uploads=uploads(limits))
    app.state.csrf = guard.csrf
    return TestClient(guard, base_url=f"http://127.0.0.1:{PORT}")


@pytest.fixture(scope="module")
def client(store: Path) -> Iterator[TestClient]:
    with client_for(store) as client:
        yield client


@pytest.fixture(scope="module")
def query() -> bytes:
    return encoded(altered(scene(2, 320, 240), "crop50", 2), "JPEG", quality=80)


def test_an_upload_finds_its_original(client: TestClient, query: bytes) -> None:
    answer = client.post("/api/search?k=2", content=query, headers=FILE)
    assert answer.status_code == 200
    first, second = answer.json()["hits"]
    assert (Path(first["path"]).name, first["relation"], first["contained"]) == ("2.jpg", "cropped", "a")
    assert second["profile"] == "product"
    thumbnail = client.get(f"/api/thumbnail/{first['digest']}", headers=BEARER)
    assert Image.open(io.BytesIO(thumbnail.content)).size == (176, 132)


def test_a_file_may_be_sent_as_an_image_or_in_a_form(client: TestClient, query: bytes) -> None:
    plain = client.post("/api/search?k=2", content=query, headers=FILE).json()["hits"]
    as_image = client.post("/api/search?k=2", content=query, headers={**BEARER, "content-type": "image/jpeg"})
    assert as_image.json()["hits"] == plain
    in_form = client.post("/api/search?k=2", files={"file": ("a.jpg", query)}, headers=BEARER)
    assert in_form.json()["hits"] == plain
    for answer in (
        client.post("/api/search", files={"other": ("a.jpg", query)}, headers=BEARER),
        client.post(
            "/api/search",
            content=query,
            headers={**BEARER, "content-type": "multipart/form-data; boundary=x"},
        ),
    ):
        assert answer.status_code == 400
        assert answer.json()["error"]


def test_hits_come_in_pages(client: TestClient, query: bytes) -> None:
    whole = client.post("/api/search?k=4", content=query, headers=FILE).json()
    assert (len(whole["hits"]), whole["offset"], whole["more"]) == (4, 0, False)
    asked = {"digest": whole["query_digest"], "k": 1}
    pages = [
        client.post("/api/search-like", json={**asked, "offset": n}, headers=BEARER).json() for n in range(4)
    ]
    assert [page["hits"] for page in pages] == [[hit] for hit in whole["hits"]]
    assert [page["more"] for page in pages] == [True, True, True, False]


def test_a_hit_is_the_next_query(client: TestClient, query: bytes) -> None:
    hit = client.post("/api/search?k=1", content=query, headers=FILE).json()["hits"][0]
    answer = client.post("/api/search-like", json={"digest": hit["digest"]}, headers=BEARER).json()
    assert (answer["hits"][0]["path"], answer["hits"][0]["relation"]) == (hit["path"], "identical-file")
    assert client.post("/api/search-like", json={"digest": "0" * 64}, headers=BEARER).status_code == 404
    large = client.get(f"/api/picture/{hit['digest']}", headers=BEARER)
    assert Image.open(io.BytesIO(large.content)).size == (320, 240)


def test_labels_and_folders_are_named_and_narrow_a_search(
    client: TestClient, query: bytes, store: Path
) -> None:
    found = client.get("/api/filters", headers=BEARER).json()
    assert found["labels"] == [{"name": "cup", "n": 1}]
    folder = str(store.parent / "photos")
    assert {"path": folder, "n": 4} in found["folders"]
    inside = client.post("/api/search", params={"folder": folder + "/"}, content=query, headers=FILE).json()
    assert len(inside["hits"]) == 4
    elsewhere = client.post("/api/search?folder=/nowhere", content=query, headers=FILE).json()
    assert elsewhere["hits"] == []
    assert client.post("/api/search?folder=photos", content=query, headers=FILE).status_code == 400


def test_a_label_narrows_it(client: TestClient, query: bytes) -> None:
    hits = client.post("/api/search?label=cup", content=query, headers=FILE).json()["hits"]
    assert [(Path(hit["path"]).name, hit["labels"]) for hit in hits] == [("0.jpg", ["cup"])]


def test_the_page_and_its_description(client: TestClient) -> None:
    page = client.get("/", headers=BEARER)
    assert "4 pictures" in page.text
    for name in re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text):
        assert client.get(name, headers=BEARER).status_code == 200
    description = client.get("/openapi.json", headers=BEARER).json()
    assert description["openapi"].startswith("3.1")
    for path in description["paths"]:
        assert client.get(path.replace("{digest}", "x"), headers=BEARER).status_code in (200, 404, 405)


def test_the_answer_is_what_the_description_says(client: TestClient, query: bytes) -> None:
    schemas = client.get("/openapi.json", headers=BEARER).json()["components"]["schemas"]
    answer = client.post("/api/search", content=query, headers=FILE).json()
    assert set(answer) == set(schemas["Hits"]["required"])
    for hit in answer["hits"]:
        assert set(hit) == set(schemas["Hit"]["required"])
        assert hit["relation"] in schemas["Hit"]["properties"]["relation"]["enum"]


# --- attacks ----------------------------------------------------------------------------------------------


def test_without_the_token_there_is_nothing(client: TestClient, query: bytes) -> None:
    kind = {"content-type": "application/octet-stream"}
    for headers in (
        kind,
        {**kind, "authorization": "Bearer wrong"},
        {**kind, "cookie": f"cvsim-{PORT}=wrong"},
    ):
        assert client.post("/api/search", content=query, headers=headers).status_code == 403
    assert client.get("/openapi.json").status_code == 403


def test_another_site_gets_nothing(client: TestClient, query: bytes) -> None:
    cookie = {"cookie": f"cvsim-{PORT}={TOKEN}", "content-type": "application/octet-stream"}
    foreign = {**cookie, "origin": "https://evil.example"}
    assert client.post("/api/search", content=query, headers=foreign).status_code == 403
    own = {**cookie, "origin": f"http://127.0.0.1:{PORT}"}
    assert client.post("/api/search", content=query, headers=own).status_code == 403  # no CSRF header
    assert (
        client.post("/api/search", content=query, headers={**FILE, "host": "evil.example"}).status_code == 421
    )


def test_refusals_are_json_for_programs_and_a_page_for_people(client: TestClient) -> None:
    answers = [
        client.get("/openapi.json"),
        client.put("/api/search", headers=BEARER),
        client.get("/api/search", headers=BEARER),
        client.post("/api/search", content=b"x", headers={**BEARER, "content-type": "text/plain"}),
        client.get("/nothing", headers=BEARER),
        client.get("/", headers={"host": "evil.example"}),
    ]
    assert [answer.status_code for answer in answers] == [403, 405, 405, 415, 404, 421]
    assert all(answer.json()["error"] for answer in answers)
    assert "<p>Open the address" in client.get("/", headers={"accept": "text/html"}).text


def test_an_oversize_upload_is_refused(client: TestClient) -> None:
    assert (
        client.post("/api/search", content=b"\xff\xd8\xff" + b"0" * 400_000, headers=FILE).status_code == 413
    )

    def endless() -> Iterator[bytes]:
        for _ in range(50):
            yield b"\0" * 100_000

    assert client.post("/api/search", content=endless(), headers=FILE).status_code == 413


def png_bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that claims to be huge."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 20_000))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (png_bomb(60_000, 60_000), "over the limit"),
        (SVG, "not an image"),
        (b"<!doctype html><script>alert(1)</script>" * 5, "not an image"),
        (b"", "empty file"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 100, ""),
        (b"RIFF\x10\0\0\0WEBPVP8 " + b"\xff" * 64, ""),
    ],
    ids=["bomb", "svg", "html", "nothing", "broken jpeg", "broken webp"],
)
def test_what_is_no_picture_is_refused_in_words(client: TestClient, data: bytes, words: str) -> None:
    answer = client.post("/api/search", content=data, headers=FILE)
    assert answer.status_code == 422
    assert words in answer.json()["error"]


def test_a_large_jpeg_is_refused_by_its_header(store: Path) -> None:
    data = encoded(scene(1, 320, 240), "JPEG")
    with client_for(store, SearchLimits(max_pixels=320 * 240 - 1)) as client:
        assert client.post("/api/search", content=data, headers=FILE).status_code == 422


@pytest.mark.parametrize(
    "path",
    ["/static/../search_app.py", "/static/%2e%2e/search_app.py", "/static/..%2f..%2f..%2fetc%2fpasswd",
     "/api/thumbnail/..%2f..%2fetc%2fpasswd", "/api/thumbnail/" + "0" * 64, "/etc/passwd"],
)  # fmt: skip
def test_no_path_leads_out(client: TestClient, path: str) -> None:
    assert client.get(path, headers=BEARER).status_code == 404


def test_odd_requests_are_refused_in_words(client: TestClient, query: bytes) -> None:
    for k in ("0", "-1", "101", "x", ""):
        assert client.post(f"/api/search?k={k}", content=query, headers=FILE).status_code == 400
    for body in (b"", b"[]", b"{", b'{"url": 3}', b'{"url": "x", "label": []}', b"[" * 50_000):
        answer = client.post(
            "/api/search-url", content=body, headers={**BEARER, "content-type": "application/json"}
        )
        assert answer.status_code == 400
        assert answer.json()["error"]


def test_urls_into_the_private_network_are_refused(client: TestClient, query: bytes) -> None:
    with faulty_server(query) as server:
        for url in (
            f"{server.url}/ok",
            "http://localhost/",
            "http://[::1]/",
            "http://169.254.169.254/",
            "file:///x",
        ):
            answer = client.post("/api/search-url", json={"url": url}, headers=BEARER)
            assert answer.status_code == 400, url
        assert not server.hits


def test_a_url_is_searched_where_that_is_allowed(store: Path, query: bytes) -> None:
    with faulty_server(query) as server, client_for(store, allow_private=True) as client:
        answer = client.post("/api/search-url", json={"url": f"{server.url}/moved", "k": 1}, headers=BEARER)
        assert Path(answer.json()["hits"][0]["path"]).name == "2.jpg"
        assert (
            client.post("/api/search-url", json={"url": f"{server.url}/svg"}, headers=BEARER).status_code
            == 400
        )


def test_too_many_searches_are_put_off(store: Path, query: bytes) -> None:
    with client_for(store, SearchLimits(per_minute=2)) as client:
        statuses = [client.post("/api/search", content=query, headers=FILE).status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        last = client.post("/api/search", content=query, headers=FILE)
        assert 0 < int(last.headers["retry-after"]) <= 60
