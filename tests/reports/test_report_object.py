"""`cvsim.Report`, over a result made by hand."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest
from made_result import made_result

import cvsim
from cvsim.types import ImageRecord


def thumbnail(record: ImageRecord) -> bytes:
    return b"\xff\xd8" + record.path.encode()


def test_it_shows_the_result() -> None:
    result = made_result()
    report = cvsim.Report(result)
    assert (report.groups, report.skipped, report.counts) == (result.groups, result.skipped, result.counts)
    assert repr(report) == "<Report: 2 groups, 2 duplicates in 5 images>"


def test_every_form_is_written(tmp_path: Path) -> None:
    report = cvsim.Report(made_result(), thumbnail)
    report.to_csv(tmp_path / "r.csv")
    report.to_html(tmp_path / "r.html")
    assert (tmp_path / "r.csv").read_bytes() == report.csv_bytes()
    assert (tmp_path / "r.html").read_text(encoding="utf-8").count("data:image/jpeg") == 5
    assert json.loads(report.to_json())["counts"]["groups"] == 2


def test_the_page_links_to_the_files_from_where_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports").mkdir()
    cvsim.Report(made_result()).to_html("reports/r.html")
    assert 'href="../p/a.jpg"' in (tmp_path / "reports" / "r.html").read_text(encoding="utf-8")


def test_what_it_holds_is_let_go_once() -> None:
    closed: list[int] = []
    with cvsim.Report(made_result(), thumbnail, lambda: closed.append(1)) as report:
        assert b"data:image/jpeg" in report.html_bytes()
    report.close()
    assert closed == [1]
    assert b"data:image/jpeg" not in report.html_bytes()
    del report
    gc.collect()
    assert closed == [1]


def test_a_report_that_is_gone_holds_nothing() -> None:
    closed: list[int] = []
    cvsim.Report(made_result(), thumbnail, lambda: closed.append(1))
    gc.collect()
    assert closed == [1]
