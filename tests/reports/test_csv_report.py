from __future__ import annotations

import csv
import io
import os

import pytest
from hypothesis import given, strategies as st
from made_result import made_result, renamed

from cvsim.names import path_cell
from cvsim.reports.csv import COLUMNS, to_csv


def rows(content: bytes) -> list[dict[str, str]]:
    text = content.decode("utf-8", "surrogateescape")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_one_row_a_picture() -> None:
    found = rows(to_csv(made_result()))
    assert tuple(found[0]) == COLUMNS
    assert [(row["group"], row["decision"], row["path"]) for row in found] == [
        ("1", "keep", "p/a.jpg"),
        ("1", "remove", "p/b.jpg"),
        ("2", "keep", "q/c.jpg"),
        ("2", "remove", "q/d.jpg"),
        ("2", "-", "q/e.jpg"),
    ]
    assert [row["relation"] for row in found] == ["", "resized", "", "resized", ""]
    assert found[4]["score"] == ""
    assert float(found[1]["score"]) == made_result().groups[0].edges[0].score


def test_lines_end_as_the_rfc_says() -> None:
    content = to_csv(made_result())
    assert content.count(b"\r\n") == content.count(b"\n") == 6


@pytest.mark.parametrize("name", ["=1+1.jpg", "+a.jpg", "-a.jpg", "@a.jpg", "\ta.jpg", "\ra.jpg"])
def test_a_name_that_looks_like_a_formula_is_still_the_name_of_the_file(name: str) -> None:
    row = rows(to_csv(renamed(made_result(), "p/b.jpg", name)))[1]
    assert row["path"] == f"./{name}"


@given(st.binary(min_size=1).map(os.fsdecode))
def test_every_name_survives_and_none_begins_a_formula(name: str) -> None:
    path = rows(to_csv(renamed(made_result(), "p/b.jpg", name)))[1]["path"]
    assert path.removeprefix("./") == name.removeprefix("./")
    assert path[0] not in "=+-@\t\r\n"
    assert path_cell(name) == path
