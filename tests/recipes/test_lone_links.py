"""One false link must not join two groups of copies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generate import scene
from linked import linker_of
from PIL import Image

from cvsim.recipes.linking import Linker, check_groups, score_candidates
from cvsim.recipes.report_groups import doubtful_links
from cvsim.scoring.scorer import Scores

QUALITIES = (95, 80, 50)


@pytest.fixture
def linker(tmp_path: Path) -> Iterator[Linker]:
    """Two photographs, three files of each, scored."""
    for name, seed in (("castle", 1), ("lake", 8)):
        for quality in QUALITIES:
            Image.fromarray(scene(seed, 480, 360)).save(tmp_path / f"{name}-{quality}.jpg", quality=quality)
    with linker_of(tmp_path) as found:
        score_candidates(found)
        yield found


def groups(linker: Linker) -> set[frozenset[str]]:
    nodes = linker.collection.nodes
    return {
        frozenset(Path(nodes[node].first.path).stem for node in members.tolist())
        for members in linker.groups().groups()
    }


def nodes_of(linker: Linker, first: str, second: str) -> tuple[int, int]:
    at = {Path(node.first.path).stem: k for k, node in enumerate(linker.collection.nodes)}
    a, b = sorted((at[first], at[second]))
    return a, b


def with_log_odds(scores: Scores, pair: tuple[int, int], log_odds: float) -> Scores:
    is_pair = (scores.a == pair[0]) & (scores.b == pair[1])
    return replace(scores, log_odds=np.where(is_pair, log_odds, scores.log_odds))


def link_by_mistake(linker: Linker, first: str, second: str, log_odds: float = 9.0) -> None:
    """Have the pair scored far above the threshold, or as it is said."""
    a, b = nodes_of(linker, first, second)
    linker.score_all((np.array([a]), np.array([b])), "")
    linker.scores = with_log_odds(linker.scores, (a, b), log_odds)


def test_a_false_link_between_copies_is_left_out(linker: Linker) -> None:
    apart = {frozenset(f"{name}-{q}" for q in QUALITIES) for name in ("castle", "lake")}
    assert groups(linker) == apart
    link_by_mistake(linker, "castle-50", "lake-50")
    assert len(groups(linker)) == 1
    check_groups(linker, linker.rules)
    assert groups(linker) == apart
    assert list(linker.left_out.values()) == [pytest.approx(1, abs=1e-3)]
    (link,) = doubtful_links(linker)
    assert [Path(link.pair.a).stem, Path(link.pair.b).stem] == ["castle-50", "lake-50"]
    assert link.score == pytest.approx(1, abs=1e-3)


def test_true_links_are_left_where_they_are(linker: Linker) -> None:
    before = groups(linker)
    check_groups(linker, linker.rules)
    assert groups(linker) == before
    assert not linker.left_out


def test_a_link_that_the_kept_files_bear_out_stays(linker: Linker) -> None:
    link_by_mistake(linker, "castle-50", "lake-50")
    link_by_mistake(linker, "castle-95", "lake-95")
    check_groups(linker, linker.rules)
    assert len(groups(linker)) == 1


NEARLY = 0.4
"""Log-odds of a pair that is nearly a link."""


def test_what_is_nearly_linked_is_compared_with_the_rest_of_the_group(linker: Linker) -> None:
    before = groups(linker)
    link_by_mistake(linker, "castle-95", "castle-50", NEARLY)
    assert groups(linker) != before
    check_groups(linker, linker.rules)
    assert groups(linker) == before
    assert not linker.left_out


def test_strangers_that_are_nearly_linked_stay_apart(linker: Linker) -> None:
    before = groups(linker)
    link_by_mistake(linker, "castle-95", "lake-95", NEARLY)
    check_groups(linker, linker.rules)
    assert groups(linker) == before


def test_one_of_many_that_are_asked_makes_no_link(linker: Linker, monkeypatch: pytest.MonkeyPatch) -> None:
    before, mistaken = groups(linker), nodes_of(linker, "castle-80", "lake-95")
    score = linker.scorer.score

    def mistake(*args: Any, **options: Any) -> Scores:
        return with_log_odds(score(*args, **options), mistaken, 9.0)

    monkeypatch.setattr(linker.scorer, "score", mistake)
    link_by_mistake(linker, "castle-95", "lake-95", NEARLY)
    check_groups(linker, linker.rules)
    assert groups(linker) == before
    assert list(linker.left_out) == [mistaken]
