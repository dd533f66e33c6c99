from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from cvsim.names import printable


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
