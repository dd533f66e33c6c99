"""One false link must not join two groups of copies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from generate import scene
from linked import linker_of
from PIL import Image

from cvsim.recipes.linking import Linker, check_groups, score_candidates
from cvsim.recipes.report_groups import doubtful_links

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


def link_by_mistake(linker: Linker, first: str, second: str) -> None:
    """Have the pair scored far above the threshold."""
    at = {Path(node.first.path).stem: k for k, node in enumerate(linker.collection.nodes)}
    a, b = sorted((at[first], at[second]))
    linker.score_all((np.array([a]), np.array([b])), "")
    is_pair = (linker.scores.a == a) & (linker.scores.b == b)
    linker.scores = replace(linker.scores, log_odds=np.where(is_pair, 9.0, linker.scores.log_odds))


def test_a_false_link_between_copies_is_left_out(linker: Linker) -> None:
    apart = {frozenset(f"{name}-{q}" for q in QUALITIES) for name in ("castle", "lake")}
    assert groups(linker) == apart
    link_by_mistake(linker, "castle-50", "lake-50")
    assert len(groups(linker)) == 1
    check_groups(linker, linker.groups(), linker.rules)
    assert groups(linker) == apart
    assert list(linker.left_out.values()) == [pytest.approx(1, abs=1e-3)]
    (link,) = doubtful_links(linker)
    assert [Path(link.pair.a).stem, Path(link.pair.b).stem] == ["castle-50", "lake-50"]
    assert link.score == pytest.approx(1, abs=1e-3)


def test_true_links_are_left_where_they_are(linker: Linker) -> None:
    before = groups(linker)
    check_groups(linker, linker.groups(), linker.rules)
    assert groups(linker) == before
    assert not linker.left_out


def test_a_link_that_the_kept_files_bear_out_stays(linker: Linker) -> None:
    link_by_mistake(linker, "castle-50", "lake-50")
    link_by_mistake(linker, "castle-95", "lake-95")
    check_groups(linker, linker.groups(), linker.rules)
    assert len(groups(linker)) == 1
