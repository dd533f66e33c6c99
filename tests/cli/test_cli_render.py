"""What a person reads in the terminal."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from made_result import chain, made_result, record, renamed, scored, star
from rich.console import Console

from cvsim.cli.console import result_console
from cvsim.cli.how_much import HowMuch
from cvsim.cli.render_groups import print_result
from cvsim.cli.render_pair import print_pair
from cvsim.types import DedupeResult, Skipped


def console(width: int = 120, *, color: bool = False) -> Console:
    return Console(
        file=io.StringIO(), width=width, force_terminal=color, markup=False, emoji=False, highlight=False
    )


def printed(result: DedupeResult, width: int = 120, *, color: bool = False) -> str:
    target = console(width, color=color)
    print_result(target, result)
    return target.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_a_group_says_what_to_keep_why_and_what_it_wins() -> None:
    lines = printed(made_result()).splitlines()
    assert lines[0] == "Group 1 · 2 pictures · 50.0 kB can be freed · keep the first: it has the most pixels"
    assert lines[1].split() == ["keep", "1280", "×", "960", "200", "kB", "p/a.jpg"]
    assert lines[2].split() == ["remove", "resized", "98.9", "%", "640", "×", "480", "50.0", "kB", "p/b.jpg"]
    assert lines[-1].startswith("2 groups, 2 duplicates, 100 kB can be freed. Looked at 5 pictures")


def test_a_link_that_is_not_with_the_kept_file_says_with_which() -> None:
    (line,) = (line for line in printed(made_result()).splitlines() if "q/e.jpg" in line)
    assert line.split()[:2] == ["leave", "edited"]
    assert line.endswith("q/e.jpg (with q/d.jpg, not the first)")


def test_weak_links_are_flagged() -> None:
    text = printed(made_result(chain(1, "k", "m", "z")))
    assert "! Two of these were compared and are only 41.0 % sure" in text
    assert "! " not in printed(made_result(star(1, "k", "m", "z")))


def test_why_pictures_are_left_alone_is_said_once_a_reason() -> None:
    text = printed(made_result(chain(1, "a", "b", "c"), chain(2, "d", "e", "f")))
    assert "2 left: they stay for other reasons (2)" in text
    assert text.count("not compared well enough") == 1


@pytest.mark.parametrize("width", [40, 60, 84, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    long = "folder/" * 20 + "picture.jpg"
    text = printed(renamed(made_result(), "p/b.jpg", long), width)
    assert max(map(len, text.splitlines())) <= width
    assert long in text.replace("\n", "")


def test_a_pipe_gets_each_picture_on_one_line() -> None:
    long = "folder/" * 60 + "picture.jpg"
    stream = io.StringIO()
    print_result(result_console(stream), renamed(made_result(), "p/b.jpg", long))
    assert any(line.endswith(long) for line in stream.getvalue().splitlines())
    assert "\x1b" not in stream.getvalue()
    assert not any(line.endswith(" ") for line in stream.getvalue().splitlines())


@pytest.mark.parametrize(
    "name", ["new\nline.jpg", "\x1b[2J\x1b]0;x\x07.jpg", "[bold red]x[/].jpg", ":smile:.jpg"]
)
def test_hostile_names_are_text(name: str) -> None:
    result = renamed(made_result(skipped=(Skipped(name, name),)), "p/b.jpg", name)
    text = printed(result, color=True)
    for harmful in ("\x1b[2J", "\x1b]0;", "\x07", "new\nline"):
        assert harmful not in text
    if name.startswith(("[", ":")):
        assert name in text


def test_links_in_a_terminal_are_escaped() -> None:
    text = printed(renamed(made_result(), "p/b.jpg", "a\x1b\\ b.jpg"), color=True)
    assert "a%1B%5C%20b.jpg" in text


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in printed(made_result(), color=True)
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b[31m" in printed(made_result(), color=True)


def test_links_that_were_left_out_are_named() -> None:
    link = scored("p/a.jpg", "q/c.jpg")
    text = printed(replace(made_result(), doubtful=(link,)))
    assert "1 doubtful link left out" in text
    assert "p/a.jpg  q/c.jpg" in text


def test_files_that_are_no_images_are_counted_and_not_listed() -> None:
    skipped = (Skipped("a.txt", "not an image"), Skipped("b.jpg", "the file is empty"))
    text = printed(made_result(skipped=skipped))
    assert "a.txt" not in text
    assert "  b.jpg  the file is empty" in text
    assert "skipped 2 files (1 of them no images)." in text


def test_nothing_found() -> None:
    empty = made_result()
    empty = replace(
        empty, groups=(), counts=replace(empty.counts, groups=0, duplicates=0, reclaimable_bytes=0)
    )
    assert printed(empty) == "No copies. Looked at 5 pictures.\n"


def test_nothing_looked_at_is_not_nothing_found() -> None:
    nothing = DedupeResult(
        {}, type(made_result().counts)(files=1, skipped=1), (), (Skipped("a", "not an image"),)
    )
    assert printed(nothing) == "There was no picture to look at; skipped 1 file (no images).\n"


def many(n_groups: int = 300) -> DedupeResult:
    groups = (star(i + 1, f"{i:03}/a.jpg", f"{i:03}/{'b' * (i % 9)}.jpg") for i in range(n_groups))
    skipped = tuple(Skipped(f"broken-{i}.jpg", "truncated JPEG") for i in range(30))
    return made_result(*groups, skipped=skipped)


@pytest.mark.parametrize(("width", "height"), [(40, 24), (80, 24), (120, 50)])
def test_a_terminal_gets_a_screenful(width: int, height: int) -> None:
    target = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    print_result(target, many())
    lines = target.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) <= height
    n_shown = sum("pictures ·" in line for line in lines)
    assert n_shown >= 1
    assert f"and {300 - n_shown} more groups ({600 - 2 * n_shown} pictures, " in "\n".join(lines)
    assert "  and 26 more" in lines


def test_a_limit_and_none() -> None:
    target = console()
    print_result(target, many(), HowMuch(limit=3))
    text = target.file.getvalue()  # type: ignore[attr-defined]
    assert text.count("Group ") == 3
    assert "and 297 more groups" in text
    assert printed(many()).count("Group ") == 300
    assert " more" not in printed(many())


def test_columns_stand_under_each_other_in_all_groups() -> None:
    lines = [line for line in printed(made_result()).splitlines() if line.endswith(".jpg")]
    assert len({line.index(" × ") for line in lines}) == 1
    assert len({line.index(line.split()[-1]) for line in lines}) == 1


def test_a_summary_counts_by_relation() -> None:
    target = console()
    print_result(target, many(), HowMuch(summary=True))
    text = target.file.getvalue()  # type: ignore[attr-defined]
    assert "Group " not in text
    assert ["resized", "300", "300", "15.0", "MB"] in [line.split() for line in text.splitlines()]


def test_damaged_pictures_are_marked() -> None:
    group = star(1, "a", "b")
    broken = replace(group.members[1], record=replace(record("b"), damaged=True))
    assert "b (damaged)" in printed(made_result(replace(group, members=(group.members[0], broken))))


@pytest.mark.parametrize("width", [50, 80, 200])
def test_a_comparison_shows_how_the_score_comes_about(width: int) -> None:
    target = console(width)
    print_pair(target, scored("a.jpg", "b\x1b.jpg", weights=(4.0, -1.5, 7.0)), 0.95)
    text = target.file.getvalue()  # type: ignore[attr-defined]
    for words in (
        "before any evidence",
        "-6.00",
        "+4.00",
        "-1.50",
        "none",
        "+3.50",
        "97.0 % sure",
        "b\\x1b.jpg",
    ):
        assert words in text
    assert "linked at 95.0 %. Resized." in text.replace("\n", " ").replace("  ", " ")
    assert max(map(len, text.splitlines())) <= width


def test_a_pair_below_the_threshold_claims_no_relation() -> None:
    target = console(100)
    print_pair(target, scored("a", "b", "similar", weights=(1.0,)), 0.95)
    text = target.file.getvalue()  # type: ignore[attr-defined]
    assert "not linked at 95.0 %" in text
    assert "imilar" not in text
