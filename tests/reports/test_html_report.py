from __future__ import annotations

import base64
import hashlib
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from generate import scene
from hypothesis import given, strategies as st
from made_result import chain, made_result, renamed, scored, star

from cvsim.images.raster import thumbnail
from cvsim.reports.html import to_html
from cvsim.types import DedupeResult, ImageRecord, Skipped

JPEG = thumbnail(scene(3, 64, 48), 32)
HOSTILE = "<img src=x onerror=alert(1)>\"'&{{7*7}}<script>.jpg"


class Page(HTMLParser):
    """Tags with their attributes, and text by the class of the element around it."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page(result: DedupeResult, **options: object) -> str:
    return b"".join(to_html(result, lambda record: JPEG, **options)).decode("utf-8")  # type: ignore[arg-type]


def test_thumbnails_are_inside_and_once_each() -> None:
    shown = Page(page(made_result()))
    sources = [attributes["src"] for attributes in shown.all("img")]
    assert sources == ["data:image/jpeg;base64," + base64.b64encode(JPEG).decode()] * 5
    assert all(image["decoding"] == "async" for image in shown.all("img"))


def test_a_picture_without_a_thumbnail_is_still_shown() -> None:
    content = b"".join(to_html(made_result())).decode()
    assert content.count("no preview") == 5


def test_nothing_is_asked_of_the_network_and_the_policy_forbids_it() -> None:
    content = page(made_result())
    shown = Page(content)
    policy = next(m["content"] for m in shown.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", content, re.S)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not shown.all("link")
    assert not [a for _, a in shown.tags if "style" in a or any(name.startswith("on") for name in a)]
    assert not re.search(r"https?:|@import|url\(", content)


def test_markup_in_a_file_name_stays_text() -> None:
    result = renamed(made_result(), "p/b.jpg", HOSTILE)
    result = DedupeResult(
        {"paths": [HOSTILE], "threshold": 0.95}, result.counts, result.groups, (Skipped(HOSTILE, HOSTILE),)
    )
    plain, hostile = Page(page(made_result(skipped=(Skipped("x", "y"),)))), Page(page(result))
    assert len(hostile.all("img")) == len(plain.all("img"))
    assert len(hostile.all("script")) == 1
    assert not [a for _, a in hostile.tags if "onerror" in a]
    assert hostile.texts.count(HOSTILE) >= 3


@given(st.binary(min_size=1).filter(lambda name: b"/" not in name).map(os.fsdecode))
def test_any_name_gives_a_page_with_the_same_tags(name: str) -> None:
    tags = [tag for tag, _ in Page(page(renamed(made_result(), "p/b.jpg", "p/" + name))).tags]
    assert tags == [tag for tag, _ in Page(page(made_result())).tags]


def test_pictures_link_to_their_files_byte_for_byte(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/pics/caf\xe9 #1?.jpg")
    result = renamed(made_result(star(1, "a", "b")), "b", path)
    hrefs = [
        a["href"]
        for a in Page(page(result, folder=tmp_path / "reports")).all("a")
        if a.get("class") == "frame"
    ]
    assert hrefs[1] == "../pics/caf%E9%20%231%3F.jpg"
    assert unquote_to_bytes(hrefs[1]).endswith(b"caf\xe9 #1?.jpg")
    assert not [a for a in Page(page(result)).all("a") if a.get("class") == "frame"]


def test_a_script_for_a_file_name_is_no_link_to_a_script(tmp_path: Path) -> None:
    result = renamed(made_result(star(1, "a", "b")), "b", "javascript:alert(1)")
    folder = os.getcwd()
    hrefs = [a["href"] for a in Page(page(result, folder=folder)).all("a") if a.get("class") == "frame"]
    assert hrefs[1] == "javascript%3Aalert%281%29"


def test_the_page_says_what_to_keep_why_and_what_to_doubt() -> None:
    content = page(made_result(chain(1, "k.jpg", "m.jpg", "z.jpg")))
    for words in (
        "It has the most pixels.",
        "Two of these were compared and are only 41.0 % sure",
        "before any evidence",
        "Edited: a border, a caption, a retouch, like <bdi>m.jpg</bdi>.",
        "50.0 kB <small>can be freed",
    ):
        assert words in content


def test_skipped_files_are_listed_with_their_reasons_others_last() -> None:
    skipped = (Skipped("a.txt", "not an image"), Skipped("b.jpg", "the file is empty"))
    content = page(made_result(skipped=skipped))
    assert content.index("the file is empty") < content.index("not an image")


def test_links_that_were_left_out_are_listed_and_names_stay_text() -> None:
    link = scored("p/<b>.jpg", "q/c.jpg")
    text = page(replace(made_result(), doubtful=(link,)))
    assert "1 doubtful link left out" in text
    assert "p/&lt;b&gt;.jpg" in text
    assert "Doubtful links" not in page(made_result())


def test_a_result_without_groups() -> None:
    empty = made_result()
    empty = DedupeResult(empty.settings, type(empty.counts)(files=3, images=3), (), ())
    content = page(empty)
    assert "Nothing is there twice" in content
    assert 'id="tools"' not in content


def test_thumbnails_are_taken_while_the_page_is_written() -> None:
    """Thousands of groups: what was written is not kept."""
    asked: list[str] = []

    def take(record: ImageRecord) -> bytes:
        asked.append(record.path)
        return JPEG

    result = made_result(*(star(i + 1, f"{i:04}a", f"{i:04}b") for i in range(200)))
    chunks = to_html(result, take)
    next(chunks)
    assert len(asked) < 100
    assert sum(1 for _ in chunks) > 1
    assert len(asked) == 400


@pytest.mark.parametrize("name", ["dedupe.html", "dedupe.css", "dedupe.js"])
def test_the_template_can_be_inlined(name: str) -> None:
    from importlib.resources import files

    text = files("cvsim.reports").joinpath("templates", name).read_text(encoding="utf-8")
    if name != "dedupe.html":
        assert "</s" not in text
