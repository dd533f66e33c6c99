from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from cvsim.errors import ActionError
from cvsim.groups.decisions import Decisions
from cvsim.groups.propose import Choice, Proposal
from cvsim.types import ImageRecord, Pair, Proof, ScoredPair

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def propose(
    records: list[ImageRecord], kept: int, edges: list[ScoredPair], *, threshold: float, decisions: Decisions
) -> tuple[Proposal, ...]:
    return Choice(records, kept, threshold, decisions=decisions).propose(edges)


def edge(a: str, b: str) -> ScoredPair:
    return ScoredPair(Pair(a, b), -6.0, 0.99, "resized", None, (), proof=Proof("explained"))


def record(path: str, digest: str) -> ImageRecord:
    return ImageRecord(path, digest, 100, 80, 5000, 1, "jpeg")


def test_answers_last_in_a_file_and_the_last_one_counts(tmp_path: Path) -> None:
    path = str(tmp_path / "decisions.jsonl")
    decisions = Decisions.load(path)
    decisions.remember(path, "keep-both", B, A, ("b.jpg", "a\udcff.jpg"))
    decisions.remember(path, "not-a-duplicate", A, C)
    decisions.remember(path, "keep-both", A, A)
    decisions.remember(path, "not-a-duplicate", B, C)
    decisions.remember(path, "forget", C, B)
    again = Decisions.load(path)
    assert again == decisions
    assert (again.answer(A, B), again.answer(C, A), again.answer(A, A)) == (
        "keep-both",
        "not-a-duplicate",
        "keep-both",
    )
    assert again.answer(B, C) is None
    assert '"names": ["a\\udcff.jpg", "b.jpg"]' in Path(path).read_text()


def test_separated_pairs_stay_so_after_a_rename(tmp_path: Path) -> None:
    path = str(tmp_path / "decisions")
    Decisions.load(path).remember(path, "not-a-duplicate", A, B)
    pairs = [edge("new name.jpg", "y.jpg"), edge("new name.jpg", "z.jpg")]
    digests = {"new name.jpg": A, "y.jpg": B, "z.jpg": C}
    assert Decisions.load(path).separate(pairs, digests) == [pairs[1]]
    assert Decisions.load(None).separate(pairs, digests) == pairs


@pytest.mark.parametrize("answer", ["keep-both", "not-a-duplicate"])
def test_what_was_answered_about_is_not_proposed(answer: str, tmp_path: Path) -> None:
    path = str(tmp_path / "decisions")
    records = [record("a", A), record("b", B), record("c", C), record("c2", C)]
    edges = [edge("a", "b"), edge("a", "c"), edge("a", "c2")]
    decisions = Decisions.load(path)

    def removed(kept: int = 0) -> list[bool]:
        proposals = propose(records, kept, edges, threshold=0.9, decisions=decisions)
        return [one.remove for one in proposals]

    assert removed() == [False, True, True, True]
    decisions.remember(path, answer, B, C)  # type: ignore[arg-type]
    assert removed() == [False, False, False, False]
    decisions.remember(path, "forget", B, C)
    decisions.remember(path, answer, A, B)  # type: ignore[arg-type]
    assert removed() == [False, False, True, True]


def test_an_identical_file_goes_unless_it_was_named_itself(tmp_path: Path) -> None:
    path = str(tmp_path / "decisions")
    records = [record("a", A), record("a2", A), record("b", B)]
    pairs = [ScoredPair(Pair("a", "a2"), -6.0, 1.0, "identical-file", None, ()), edge("a", "b")]
    decisions = Decisions.load(path)
    decisions.remember(path, "keep-both", A, B)
    assert [one.remove for one in propose(records, 0, pairs, threshold=0.9, decisions=decisions)] == [
        False,
        True,
        False,
    ]
    decisions.remember(path, "keep-both", A, A)
    assert not any(one.remove for one in propose(records, 0, pairs, threshold=0.9, decisions=decisions))


def test_files_edited_by_hand_or_torn_by_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "decisions"
    Decisions.load(str(path)).remember(str(path), "keep-both", A, B)
    whole = path.read_text()
    for tail in ('{"answer": "keep-bo', "\n\n"):
        path.write_text(whole + tail)
        assert Decisions.load(str(path)).answer(A, B) == "keep-both"
        Decisions.load(str(path)).remember(str(path), "keep-both", A, C)
        assert len(Decisions.load(str(path)).answers) == 2
    path.write_text(whole.rstrip("\n"))
    Decisions.load(str(path)).remember(str(path), "keep-both", A, C)
    assert len(Decisions.load(str(path)).answers) == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nonsense", "damaged"),
        ("[]", "no answer"),
        ('{"schema": "cvsim.decisions/2"}', "this cvsim knows"),
        ('{"answer": "maybe"}', "there are: not-a-duplicate, keep-both"),
        ('{"answer": "keep-both", "a": "x", "b": null}', "64 lower-case"),
    ],
)
def test_nonsense_is_refused_with_its_line(line: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "d").write_text('{"schema": "cvsim.decisions/1"}\n' + line + "\n")
    with pytest.raises(ActionError, match=f"Line 2 .*{message}"):
        Decisions.load(str(tmp_path / "d"))


def test_answers_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "d")
    decisions = Decisions.load(path)
    with pytest.raises(ActionError, match="byte for byte"):
        decisions.remember(path, "not-a-duplicate", A, A)
    with pytest.raises(ActionError, match="no answer about two digests"):
        decisions.remember(path, "perhaps", A, B)  # type: ignore[arg-type]
    with pytest.raises(ActionError, match="cannot be written"):
        decisions.remember(str(tmp_path), "keep-both", A, B)
    assert not decisions.answers


@given(st.lists(st.tuples(st.sampled_from([A, B, C]), st.sampled_from([A, B, C]))))
def test_the_order_of_the_two_never_matters(asked: list[tuple[str, str]]) -> None:
    decisions = Decisions({(A, B): "keep-both"})
    for one, other in asked:
        assert decisions.answer(one, other) == decisions.answer(other, one)


def test_a_line_that_is_nested_without_end_is_an_error_of_that_line(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    for end in ("\n", ""):
        path.write_text('{"schema": "cvsim.decisions/1"}\n' + "[" * 100_000 + "]" * 100_000 + end)
        with pytest.raises(ActionError, match=r"Line 2 .*damaged"):
            Decisions.load(str(path))
