"""What happened to a copy has the name of what was done to it: every kind of `generate`, over some scenes."""

from __future__ import annotations

import shutil
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from generate import KINDS, altered, save_image, scene
from PIL import Image

from cvsim.recipes.dedupe import dedupe
from cvsim.scoring.relation import PairFacts, relation_by_tiles
from cvsim.settings import Settings
from cvsim.types import Relation, ScoredPair

MAX_WRONG = 1
"""Of the scenes; those whose copy is not linked at all are counted apart."""

EXPECTED: dict[str, set[Relation]] = {
    "copy": {"identical-file"},
    "png": {"identical-pixels"},
    "jpeg": {"re-encoded"},
    "jpeg-low": {"re-encoded"},
    "webp": {"re-encoded"},
    "half": {"resized"},
    "smaller": {"resized"},
    "larger": {"resized"},
    "squeezed": {"resized"},
    "brighter": {"recolored"},
    "darker": {"recolored"},
    "gamma": {"recolored"},
    "low-contrast": {"recolored"},
    "grey": {"recolored"},
    "sepia": {"recolored"},
    "noisy": {"edited"},
    "blurred": {"edited"},
    "sharpened": {"edited"},
    "captioned": {"edited"},
    "stickered": {"edited"},
    "bordered": {"edited"},
    "letterboxed": {"edited"},
    "crop90": {"cropped"},
    "crop80": {"cropped"},
    "crop50": {"cropped"},
    "crop25": {"cropped"},
    "rotated90": {"rotated"},
    "rotated180": {"rotated"},
    "rotated270": {"rotated"},
    "tilted": {"rotated", "cropped", "edited"},
    "mirrored": {"mirrored"},
    "upside-down": {"mirrored"},
    "pasted": {"pasted"},
}
WEAK = {"sharpened", "jpeg-low"}
"""Kinds whose relation is known to be wrong more often; a kind leaves this set once it holds.

Strong compression changes colours as far as a second colour of one product does. It is called recoloured
then, which is the safe side: what is called re-encoded is proposed for removal.
"""

SHOWS_MORE = {"pasted"}
SHOWS_LESS = {"crop90", "crop80", "crop50", "crop25"}


@dataclass(frozen=True)
class Edge:
    """The link between an original and one copy, seen from the copy."""

    relation: str
    contained: str
    """``"copy"``, ``"original"`` or ``""``: which of the two shows only a part of the other."""


@pytest.fixture(scope="module", params=[4, pytest.param(10, marks=pytest.mark.long)])
def n_scenes(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def edges(n_scenes: int, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[int, Edge]]:
    """Kind -> scene -> edge, from one run over originals with all their copies as a reference."""
    folder = tmp_path_factory.mktemp("relations")
    for seed in range(n_scenes):
        rgb = scene(seed, 480, 360)
        original = save_image(folder / "new" / f"{seed}.jpg", rgb)
        for kind in KINDS:
            save_image(folder / "library" / f"{seed}_{kind}.jpg", altered(rgb, kind, seed))
        save_image(folder / "library" / f"{seed}_png.png", np.asarray(Image.open(original)))
        shutil.copy(original, folder / "library" / f"{seed}_copy.jpg")
    library = str(folder / "library")
    result = dedupe([str(folder / "new")], Settings(reference=(library,), cache=None, workers=2))
    found: dict[str, dict[int, Edge]] = defaultdict(dict)
    for edge in (edge for group in result.groups for edge in group.edges):
        seed, kind, seen = _seen_from_the_copy(edge, library)
        found[kind][seed] = seen
    return found


def _seen_from_the_copy(edge: ScoredPair, library: str) -> tuple[int, str, Edge]:
    copy, original = edge.pair.a, edge.pair.b
    if not copy.startswith(library):
        copy, original = original, copy
    seed, kind = Path(copy).stem.split("_")
    assert seed == Path(original).stem, f"{copy} is linked to {original}"
    part = {"a": edge.pair.a, "b": edge.pair.b, None: ""}[edge.contained]
    return int(seed), kind, Edge(edge.relation, {copy: "copy", original: "original", "": ""}[part])


def test_every_kind_is_expected_to_be_something() -> None:
    assert set(EXPECTED) == {*KINDS, "copy", "png"}


@pytest.mark.parametrize("kind", EXPECTED)
def test_a_kind_has_its_relation(n_scenes: int, edges: dict[str, dict[int, Edge]], kind: str) -> None:
    found = edges[kind]
    assert len(found) >= 0.8 * n_scenes, "too few are linked at all"
    wrong = {seed: edge.relation for seed, edge in found.items() if edge.relation not in EXPECTED[kind]}
    if kind in WEAK and len(wrong) > MAX_WRONG:
        pytest.xfail(f"{len(wrong)} of {len(found)} wrong: {wrong}")
    assert len(wrong) <= MAX_WRONG, wrong


@pytest.mark.parametrize("kind", sorted(SHOWS_LESS))
def test_a_crop_is_the_part(edges: dict[str, dict[int, Edge]], kind: str) -> None:
    assert {edge.contained for edge in edges[kind].values()} == {"copy"}


@pytest.mark.parametrize("kind", sorted(SHOWS_MORE))
def test_a_pasted_original_is_the_part(edges: dict[str, dict[int, Edge]], kind: str) -> None:
    assert {edge.contained for edge in edges[kind].values()} == {"original"}


@pytest.mark.parametrize("kind", sorted(set(EXPECTED) - SHOWS_LESS - SHOWS_MORE - {"tilted"}))
def test_a_copy_of_the_whole_is_no_part(edges: dict[str, dict[int, Edge]], kind: str) -> None:
    assert {edge.contained for edge in edges[kind].values()} == {""}


# --- whole-picture signals alone --------------------------------------------------------------------------

SAME = PairFacts((400, 300), (400, 300), 1.0, False)


@pytest.mark.parametrize(
    ("tiles", "orientation", "look", "relation"),
    [
        (0.99, 0, SAME, "re-encoded"),
        (0.99, 0, PairFacts((400, 300), (200, 150), 1.0, False), "resized"),
        (0.99, 0, PairFacts((400, 300), (400, 300), 0.5, False), "recolored"),
        (0.99, 0, PairFacts((400, 300), (400, 300), 1.0, True), "recolored"),
        (0.99, 1, SAME, "mirrored"),
        (0.99, 2, SAME, "mirrored"),
        (0.99, 3, SAME, "rotated"),
        (0.99, 5, PairFacts((400, 300), (300, 400), 1.0, False), "rotated"),
        (0.99, 6, PairFacts((400, 300), (300, 400), 1.0, False), "rotated"),
        (0.99, 4, PairFacts((400, 300), (300, 400), 1.0, False), "mirrored"),
        (0.99, 5, SAME, "similar"),
        (0.99, 0, PairFacts((400, 300), (300, 300), 1.0, False), "similar"),
        (0.5, 0, SAME, "similar"),
        (float("nan"), 0, SAME, "similar"),
    ],
)
def test_relations_without_keypoints(tiles: float, orientation: int, look: PairFacts, relation: str) -> None:
    verdict = relation_by_tiles(tiles, orientation, look)
    assert (verdict.relation, verdict.contained) == (relation, None)


def test_what_tiles_call_a_turn_is_one() -> None:
    """The orientations of `relation_by_tiles` are those of the signal that finds them."""
    from cvsim.features.orientation import MIRRORED, N_ORIENTATIONS, turn
    from cvsim.scoring import relation

    assert set(MIRRORED) == relation.MIRRORING
    cross = np.arange(6).reshape(2, 3)
    turns = {np.rot90(cross, k).tobytes() for k in range(4)}
    for k in range(N_ORIENTATIONS):
        assert (np.ascontiguousarray(turn(cross, k)).tobytes() in turns) == (k not in MIRRORED)
