from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, strategies as st

from cvsim.errors import SettingsError
from cvsim.groups.decisions import Decisions
from cvsim.groups.keep import KeepRules, Standing
from cvsim.groups.propose import CHOSEN_BY_HAND, INCLUDABLE, Choice, Proposal, parse_include
from cvsim.types import PROVED, ImageRecord, Pair, Proof, ProofState, Relation, ScoredPair, Side


def record(path: str, **values: object) -> ImageRecord:
    return dataclasses.replace(ImageRecord(path, "0" * 64, 100, 80, 5000, 10**18, "jpeg"), **values)  # type: ignore[arg-type]


def edge(
    a: str,
    b: str,
    relation: str,
    contained: Side | None = None,
    score: float = 0.99,
    state: str | None = "explained",
) -> ScoredPair:
    proof = None if state is None else Proof(state, words="4 frames")  # type: ignore[arg-type]
    return ScoredPair(Pair(a, b), -6.0, score, relation, contained, (), (relation,), proof)  # type: ignore[arg-type]


OPTIONS = ("include", "protected", "threshold", "only_included")


def of_two(relation: str, contained: Side | None = None, **values: object) -> Proposal:
    """The proposal for b of (a kept, b)."""
    options = {key: values.pop(key) for key in OPTIONS if key in values}
    score, state = values.pop("score", 0.99), values.pop("state", "explained")
    kept_values, rule = values.pop("kept", {}), values.pop("rule", "")
    records = [record("a.jpg", **kept_values), record("b.jpg", **values)]  # type: ignore[arg-type]
    edges = [edge("a.jpg", "b.jpg", relation, contained, score, state)]  # type: ignore[arg-type]
    return Choice(records, 0, **{"threshold": 0.95, "rule": rule, **options}).propose(edges)[1]  # type: ignore[arg-type]


@pytest.mark.parametrize("state", [*get_args(ProofState), None])
@pytest.mark.parametrize("relation", sorted(set(get_args(Relation)) - {"identical-file", "mirrored"}))
def test_only_what_is_proved_is_proposed(relation: str, state: str | None) -> None:
    proposal = of_two(relation, "b", state=state)
    assert proposal.remove == (state in PROVED)
    assert proposal.remove or proposal.reason.startswith("left alone: ")


def test_equal_bytes_need_no_other_proof() -> None:
    assert of_two("identical-file", state=None).remove


@pytest.mark.parametrize("relation", sorted(get_args(Relation)))
def test_of_a_group_for_looking_only_what_is_included_goes(relation: str) -> None:
    """Not even equal bytes, and what is included needs the proof that it needs elsewhere."""
    looking = {"only_included": True, "include": frozenset()}
    kept = of_two(relation, "b", **looking)
    assert not kept.remove
    assert f"for looking at; --include {relation} proposes those" in kept.reason
    asked = of_two(relation, "b", only_included=True, include=parse_include(relation))
    assert asked.remove == of_two(relation, "b", include=parse_include(relation)).remove
    poorer = of_two("similar", only_included=True, include=parse_include("similar"), state="poorer-kept")
    assert not poorer.remove


def test_why_nothing_is_proved_is_said() -> None:
    assert (
        "holds something that the kept file does not: 4 frames"
        in of_two("resized", state="holds-more").reason
    )
    assert "poorer" in of_two("resized", state="poorer-kept").reason
    assert "shows something that the kept file does not" in of_two("resized", state="differs").reason
    assert "could not be proved that nothing is lost: 4 frames" in of_two("resized", state="not-tried").reason


@pytest.mark.parametrize("relation", INCLUDABLE)
def test_include_adds_its_relation_and_no_other(relation: str) -> None:
    asked = parse_include(relation)
    assert of_two(relation, "b", include=asked, state="differs").remove
    refused = of_two(relation, "b", include=set(INCLUDABLE) - {relation}, state="differs")
    assert not refused.remove
    assert f"--include {relation}" in refused.reason
    for state in ("holds-more", "poorer-kept"):
        assert not of_two(relation, "b", include=asked, state=state).remove


def test_of_mirror_images_one_goes_only_where_something_tells_the_original() -> None:
    assert "mirror image" in of_two("mirrored", width_px=90).reason
    records = [record("a.jpg"), record("a (copy).jpg")]
    rules = KeepRules.parse("original,path")
    (_, named) = Choice(records, 0, 0.9, rules).propose([edge("a.jpg", "a (copy).jpg", "mirrored")])
    assert named.remove
    assert of_two("mirrored", rule=CHOSEN_BY_HAND).remove
    assert of_two("mirrored", include=parse_include("mirrored")).remove
    assert of_two("mirrored", protected=lambda one: one.path == "a.jpg").remove


def test_of_two_that_show_the_same_the_larger_one_goes_only_where_something_tells_the_original() -> None:
    records = [record("a.jpg"), record("b.jpg", width_px=50, digest="1" * 64)]
    link = dataclasses.replace(
        edge("a.jpg", "b.jpg", "resized"), proof=Proof("explained", shows_as_much=True)
    )

    def proposed(kept: int, rules: str = "original,path", **options: Any) -> Proposal:
        standings = {records[1].digest: Standing(shows_as_much=True)}
        known = KeepRules.parse(rules).knowing(standings)
        return Choice(records, kept, 0.9, known, **options).propose([link])[1 - kept]

    for kept in (0, 1):
        assert "nothing tells" in proposed(kept).reason
        assert proposed(kept, rule=CHOSEN_BY_HAND).remove
        assert proposed(kept, include=parse_include("resized")).remove
    records[0] = record("a (copy).jpg")
    link = dataclasses.replace(link, pair=Pair("a (copy).jpg", "b.jpg"))
    assert proposed(1).remove


def test_a_proof_is_asked_for_where_it_decides() -> None:
    records = [record("a.jpg"), *(record(f"{name}.jpg") for name in "bcde")]
    edges = [
        edge("a.jpg", "b.jpg", "edited"),
        edge("a.jpg", "c.jpg", "identical-file"),
        edge("a.jpg", "d.jpg", "cropped", "a"),
        edge("b.jpg", "e.jpg", "resized"),
    ]
    assert [one.path for one in Choice(records, 0, 0.9).worth_proving(edges)] == ["b.jpg"]


@pytest.mark.parametrize("relation", get_args(Relation))
def test_what_shows_more_than_the_kept_file_stays(relation: str) -> None:
    if relation != "identical-file":
        assert not of_two(relation, "a", include=INCLUDABLE).remove


def test_overlapping_crops_each_show_something() -> None:
    assert "does not" in of_two("cropped", None, include=["cropped"], state="differs").reason


def test_a_link_through_a_third_picture_is_not_enough() -> None:
    records = [record("a.jpg"), record("b.jpg"), record("c.jpg")]
    edges = [edge("a.jpg", "b.jpg", "resized"), edge("b.jpg", "c.jpg", "resized")]
    proposals = Choice(records, 0, 0.95, rule="resolution").propose(edges)
    assert [one.remove for one in proposals] == [False, True, False]
    assert proposals[0].reason == "kept: resolution"


def test_threshold_is_inclusive_and_protected_files_stay() -> None:
    assert of_two("resized", score=0.95).remove
    assert not of_two("resized", score=0.9499).remove
    assert "protected" in of_two("identical-file", protected={"."}).reason


def test_protected_folders_of_the_rules_are_honoured(tmp_path: Path) -> None:
    records = [
        record("a.jpg", width_px=900),
        record(str(tmp_path / "b.jpg")),
        record(str(tmp_path / "c.jpg")),
    ]
    rules = KeepRules.parse(f"protected:{tmp_path},resolution")
    kept, rule = rules.choose(records)
    assert (kept, rule) == (1, "path")
    edges = [edge(records[1].path, one.path, "re-encoded") for one in (records[0], records[2])]
    proposals = Choice(records, kept, 0.95, rules).propose(edges)
    assert "more pixels" in proposals[0].reason
    assert "protected" in proposals[2].reason


def test_nothing_larger_goes_for_a_file_chosen_for_being_intact_or_protected() -> None:
    assert of_two("re-encoded", damaged=True, width_px=4000).remove
    assert of_two("re-encoded", damaged=True).remove
    assert "more pixels" in of_two("resized", width_px=400, protected=lambda one: one.path == "a.jpg").reason
    assert of_two("identical-file", protected=lambda one: one.path == "a.jpg").remove
    rules = KeepRules.parse("oldest")
    records = [record("a.jpg", mtime_ns=1), record("b.jpg", width_px=400)]
    chosen = Choice(records, 0, 0.9, rules).propose([edge("a.jpg", "b.jpg", "resized")])
    assert chosen[1].remove
    assert "wins by oldest" in chosen[1].reason


def test_a_damaged_kept_file_replaces_only_identical_files() -> None:
    assert not of_two("re-encoded", damaged=True, kept={"damaged": True}).remove
    assert of_two("identical-file", damaged=True, kept={"damaged": True}).remove


def test_lost_metadata_is_said() -> None:
    reason = of_two("re-encoded", taken_at="2020-01-01T00:00:00", has_gps=True).reason
    assert reason.endswith("lacks its date and position")


def test_include_refuses_unknown_relations() -> None:
    with pytest.raises(SettingsError, match="pasted, cropped, edited, similar"):
        parse_include("pastedd")


def test_a_large_group_is_looked_through_only_for_those_whom_an_answer_concerns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Thousands of copies of one picture are no reason to ask for thousands of answers of each."""
    records = [record(f"{i:03}.jpg", digest=f"{i:064x}") for i in range(200)]
    edges = [edge("000.jpg", one.path, "re-encoded") for one in records[1:]]
    decisions = Decisions({(records[7].digest, records[9].digest): "keep-both"})
    asked = []
    answer = Decisions.answer
    monkeypatch.setattr(Decisions, "answer", lambda *args: asked.append(args) or answer(*args))  # type: ignore[func-returns-value]
    proposals = Choice(records, 0, 0.9, decisions=decisions).propose(edges)
    assert [k for k, what in enumerate(proposals) if not what.remove] == [0, 7, 9]
    assert len(asked) <= 2 * len(records)


@given(st.data())
def test_every_proposed_file_has_an_edge_with_the_kept_file(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 6))
    records = [record(f"{i}.jpg", damaged=data.draw(st.booleans())) for i in range(n)]
    pairs = data.draw(
        st.sets(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda p: p[0] < p[1]))
    )
    edges = [
        edge(
            f"{a}.jpg",
            f"{b}.jpg",
            data.draw(st.sampled_from(get_args(Relation))),
            data.draw(st.sampled_from(["a", "b", None])),
            data.draw(st.floats(0.8, 1)),
        )
        for a, b in sorted(pairs)
    ]
    kept, rule = KeepRules.parse().choose(records)
    proposals = Choice(records, kept, 0.9, rule=rule).propose(edges)
    assert not proposals[kept].remove
    own = {one.pair.a for one in edges if one.pair.b == records[kept].path and one.score >= 0.9}
    own |= {one.pair.b for one in edges if one.pair.a == records[kept].path and one.score >= 0.9}
    assert {one.path for one, what in zip(records, proposals, strict=True) if what.remove} <= own
