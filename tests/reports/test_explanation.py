from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from made_result import THRESHOLD, chain, scored, star

from cvsim.reports.explanation import (
    decision,
    links,
    proof_words,
    reclaimable_bytes,
    span,
    warnings,
    waterfall,
)
from cvsim.types import Proof


def test_a_waterfall_ends_at_the_log_odds_of_the_score() -> None:
    pair = scored("a", "b", weights=(2.0, -1.5, 7.0))
    steps = waterfall(pair)
    assert steps[0].label == "prior"
    assert all(after.start == before.end for before, after in pairwise(steps))
    assert 1 / (1 + math.exp(-steps[-1].end)) == pytest.approx(pair.score)
    low, high = span(steps)
    assert low == -6.0
    assert high == pytest.approx(1.5)


def test_each_member_is_explained_by_its_own_edge_with_the_kept_file() -> None:
    group = star(1, "k", "a", "b")
    extra = scored("a", "b", weights=(9.0, 9.0))
    found = links(replace(group, edges=(*group.edges, extra)))
    assert set(found) == {"a", "b"}
    assert all("k" in (edge.pair.a, edge.pair.b) for edge in found.values())


def test_a_member_without_such_an_edge_by_its_strongest() -> None:
    assert links(chain(1, "k", "m", "z"))["z"].pair.a == "m"


def test_a_twin_is_explained_by_what_its_twin_has_with_the_kept_file() -> None:
    group = chain(1, "k", "m", "z")
    twin = replace(group.edges[1], relation="identical-file")
    found = links(replace(group, edges=(group.edges[0], twin)))
    assert found["z"] is found["m"] is group.edges[0]


def test_decisions_and_bytes() -> None:
    group = chain(1, "k", "m", "z")
    assert [decision(group, member) for member in group.members] == ["keep", "remove", "-"]
    assert reclaimable_bytes(group) == 50_000


def test_a_chain_is_flagged_with_its_weakest_pair_and_its_bridges() -> None:
    first, second = warnings(chain(1, "k", "m", "z"), THRESHOLD)
    assert "41.0 %" in first
    assert "1 picture is tied to the kept one only through another; 2 links have nothing else" in second


def test_a_star_is_not_flagged_although_all_its_links_are_bridges() -> None:
    assert not list(warnings(star(1, "k", "a", "b", "c"), THRESHOLD))


def test_a_byte_for_byte_twin_needs_no_edge_of_its_own() -> None:
    group = chain(1, "k", "m", "z")
    twin = replace(group.edges[1], relation="identical-file")
    assert not list(warnings(replace(group, edges=(group.edges[0], twin), weakest_pair=None), THRESHOLD))


def test_what_a_proof_says_names_both_sides_and_not_more_than_is_known() -> None:
    pair = replace(scored("a", "b"), copy="b")
    assert proof_words(pair) == ""
    proved = replace(pair, proof=Proof("explained"))
    assert proof_words(proved) == "b can go: everything visible in it is in a."
    for proof in (Proof("explained", is_mirrored=True), Proof("explained", shows_as_much=True)):
        assert "do not tell which one was first" in proof_words(replace(pair, proof=proof))
    assert "4 frames" in proof_words(replace(pair, proof=Proof("holds-more", words="4 frames")))
