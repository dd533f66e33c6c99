from __future__ import annotations

from pathlib import Path

from cvsim.names import folded, is_listed


def test_only_the_spelling_that_the_folder_lists_is_listed(tmp_path: Path) -> None:
    (tmp_path / "Photos").mkdir()
    (tmp_path / "Photos" / "A.jpg").touch()
    assert is_listed(str(tmp_path / "Photos" / "A.jpg"))
    assert not is_listed(str(tmp_path / "Photos" / "a.jpg"))


def test_case_and_composition_are_folded() -> None:
    assert folded("/x/CAFÉ.jpg") == folded("/x/cafe\u0301.JPG")
    assert folded("/x/a.jpg") != folded("/x/b.jpg")
    assert folded("/x/\udcff.jpg") == "/x/\udcff.jpg"
