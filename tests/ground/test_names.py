from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from cvsim.names import of_cell, path_cell, printable, text_cell


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("holiday.jpg", "holiday.jpg"),
        ("caf\udce9.jpg", "caf\\xe9.jpg"),
        ("a\nb", "a\\nb"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("été 写真.png", "été 写真.png"),
        ("Screenshot 9.41\u202fAM.png", "Screenshot 9.41\u202fAM.png"),
        ("👨\u200d👩\u200d👧.jpg", "👨\u200d👩\u200d👧.jpg"),
    ],
)
def test_what_could_move_the_cursor_or_hide_is_shown(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(alphabet=st.characters(codec=None)))
def test_printable_text_is_one_line_that_any_stream_of_utf8_takes(text: str) -> None:
    shown = printable(text)
    shown.encode("utf-8")
    assert len(shown.splitlines()) <= 1
    assert not any(ord(character) < 32 or ord(character) == 127 for character in shown)


NOT_FROM_A_CELL = st.text(min_size=1).filter(lambda text: of_cell(text) == text)


@given(NOT_FROM_A_CELL | st.sampled_from("=+-@\t\r\n").flatmap(lambda mark: st.text().map(mark.__add__)))
def test_a_cell_is_no_formula_and_can_be_read_back(text: str) -> None:
    for cell in (path_cell(text), text_cell(text)):
        assert cell[0] not in "=+-@\t\r\n"
        assert of_cell(cell) == text
