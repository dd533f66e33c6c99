"""`dedupe` over folders with known truth: what it finds, and what makes no difference to it."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from generate import Copy, altered, copy_set, near_miss, save_image, scene
from PIL import Image

from cvsim.cli.group import cvsim as program
from cvsim.reading.identity import PIXELS_KEY
from cvsim.recipes import dedupe as pipeline
from cvsim.recipes.compare import compare
from cvsim.recipes.dedupe import dedupe
from cvsim.recipes.index import Signals
from cvsim.recipes.scoring_plan import scoring_plan
from cvsim.reports.json import document
from cvsim.settings import PROFILES, Settings
from cvsim.stores import open_cache
from cvsim.types import DedupeResult, ScoredPair

KINDS = ("jpeg", "half", "grey", "crop80", "mirrored", "captioned")
WHOLE_KINDS = ("jpeg", "half", "grey", "rotated90", "mirrored", "captioned")
SIZE = (480, 360)

Paths = frozenset[str]


def run(*paths: Path, cache: Path | None = None, **settings: Any) -> DedupeResult:
    values = {"cache": None if cache is None else str(cache), "workers": 2, **settings}
    return dedupe([str(path) for path in paths], Settings(**values))


def names(result: DedupeResult) -> set[Paths]:
    """Groups by the names of their files."""
    return {frozenset(os.path.basename(m.record.path) for m in group.members) for group in result.groups}


def true_groups(rows: Iterable[Copy]) -> set[Paths]:
    members: dict[str, set[str]] = {}
    for row in rows:
        members.setdefault(row.group, set()).add(row.file)
    return {frozenset(files) for files in members.values() if len(files) > 1}


def proposed(result: DedupeResult) -> set[str]:
    return {os.path.basename(m.record.path) for g in result.groups for m in g.members if m.proposed}


def edges(result: DedupeResult) -> list[ScoredPair]:
    return [edge for group in result.groups for edge in group.edges]


def answer(result: DedupeResult) -> str:
    """What must not depend on how a run is made, byte for byte."""
    whole = document(result)
    return json.dumps([whole[key] for key in ("groups", "skipped", "counts")])


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    copy_set(folder, 3, KINDS, size=SIZE, n_others=3)
    (folder / "images" / "notes.txt").write_text("no picture")
    (folder / "images" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    return folder


@pytest.fixture(scope="module")
def rows(library: Path) -> list[Copy]:
    with (library / "truth.csv").open(encoding="utf-8") as stream:
        return [Copy(row["file"], row["group"], row["kind"]) for row in csv.DictReader(stream)]


@pytest.fixture(scope="module")
def found(library: Path) -> DedupeResult:
    return run(library / "images")


@pytest.fixture(scope="module")
def remembered(library: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[DedupeResult, Path]:
    """A run that began with an empty cache, and the cache."""
    cache = tmp_path_factory.mktemp("cache") / "cache.sqlite"
    result = run(library / "images", cache=cache)
    assert result.stats["n_decoded"] > 0
    return result, cache


@pytest.fixture
def cache(remembered: tuple[DedupeResult, Path], tmp_path: Path) -> Path:
    """A copy of the cache of a run over the library."""
    return Path(shutil.copy(remembered[1], tmp_path / "copy.sqlite"))


# --- the answer -------------------------------------------------------------------------------------------


def test_the_groups_are_the_truth(found: DedupeResult, rows: list[Copy]) -> None:
    assert names(found) == true_groups(rows)
    assert (found.counts.files, found.counts.skipped) == (len(rows) + 2, 2)
    assert found.counts.files == found.counts.images + found.counts.skipped


def test_only_copies_of_the_whole_are_proposed(found: DedupeResult, rows: list[Copy]) -> None:
    kinds = {row.file: row.kind for row in rows}
    # A mirrored copy has as many pixels as its original: either may be the one to keep.
    assert {kinds[name] for name in proposed(found)} <= {"jpeg", "half", "mirrored", "original"}
    for group in found.groups:
        (keeper,) = [m for m in group.members if m.record.path == group.keep]
        assert not keeper.proposed
        assert kinds[os.path.basename(group.keep)] not in {"half", "crop80"}
    assert found.counts.duplicates == len(proposed(found))
    sizes = [m.record.size_bytes for g in found.groups for m in g.members if m.proposed]
    assert found.counts.reclaimable_bytes == sum(sizes)


def test_fast_finds_what_shows_the_whole_picture(tmp_path: Path) -> None:
    truth = copy_set(tmp_path, 3, WHOLE_KINDS, size=SIZE, n_others=2, seed=23)
    assert names(run(tmp_path / "images", effort="fast")) == true_groups(truth)


def test_thorough_finds_the_same_groups(library: Path, rows: list[Copy]) -> None:
    assert names(run(library / "images", effort="thorough")) == true_groups(rows)


def test_every_score_is_the_sum_of_its_parts(found: DedupeResult) -> None:
    for edge in edges(found):
        log_odds = edge.prior + sum(comparison.weight for comparison in edge.comparisons)
        assert edge.score == pytest.approx(1 / (1 + np.exp(-log_odds)), abs=1e-12)
        assert all(c.weight == 0 for c in edge.comparisons if c.similarity is None)


def test_what_a_group_says_of_itself(found: DedupeResult) -> None:
    threshold = found.settings["threshold"]
    for group in found.groups:
        paths = {member.record.path for member in group.members}
        pairs = [(edge.pair.a, edge.pair.b) for edge in group.edges]
        assert pairs == sorted(set(pairs))
        assert all(a < b and {a, b} <= paths for a, b in pairs)
        assert all(edge.score >= threshold for edge in group.edges)
        assert min(edge.score for edge in group.edges) <= group.weakest_link
        assert group.weakest_pair is not None
        assert group.weakest_pair <= min(edge.score for edge in group.edges)
        with_keeper = {frozenset(pair): e.score for pair, e in zip(pairs, group.edges, strict=True)}
        for member in group.members:
            own = with_keeper.get(frozenset((member.record.path, group.keep)))
            assert own is None or member.score == own
    assert [group.id for group in found.groups] == list(range(1, len(found.groups) + 1))
    firsts = [min(m.record.path for m in group.members) for group in found.groups]
    assert firsts == sorted(firsts)


def test_compare_says_what_dedupe_says(found: DedupeResult, tmp_path: Path) -> None:
    settings = Settings(cache=str(tmp_path / "cache.sqlite"), workers=2)
    for edge in edges(found)[::9]:
        again = compare(edge.pair.a, edge.pair.b, settings)
        assert (again.score, again.comparisons) == (edge.score, edge.comparisons)
        assert again.proof is not None
        if again.copy == edge.copy:
            assert again == edge
        back = compare(edge.pair.b, edge.pair.a, settings)
        assert back.score == edge.score
        if back.relation != edge.relation:  # where the proof tells an edit, which dedupe had not asked for
            assert (edge.proof, back.relation) == (None, "edited")
            assert back.proof is not None
            assert back.proof.state == "differs"
        assert back.contained == {"a": "b", "b": "a", None: None}[edge.contained]


def test_a_higher_threshold_only_takes_links_away(library: Path, found: DedupeResult, tmp_path: Path) -> None:
    strict = run(library / "images", threshold=0.9999)
    links = {(e.pair, e.score) for e in edges(found)}
    assert {(e.pair, e.score) for e in edges(strict)} <= links
    assert all(edge.score >= 0.9999 for edge in edges(strict))


def test_one_signal_alone_can_be_asked_for(library: Path) -> None:
    for signals in (("phash", "tiles"), ("ahash", "tiles"), ("phash256", "phash")):
        result = run(library / "images", signals=signals)
        assert list(result.settings["signals"]) == list(signals)


def test_a_negative_is_found_also_mirrored_and_turned(tmp_path: Path) -> None:
    orders = {"plain": lambda a: a, "mirrored": np.fliplr, "turned": np.rot90}
    for seed, order in enumerate(orders.values()):
        rgb = scene(seed, 480, 360)
        save_image(tmp_path / f"{seed}-film.jpg", rgb)
        save_image(tmp_path / f"{seed}-negative.png", np.ascontiguousarray(order(255 - rgb)))
    result = run(tmp_path)
    assert names(result) == {frozenset((f"{k}-film.jpg", f"{k}-negative.png")) for k in range(3)}
    assert proposed(result) == set()


@pytest.mark.parametrize("size", [(1600, 100), (100, 1600), (2000, 84)])
def test_copies_of_strips_are_found(tmp_path: Path, size: tuple[int, int]) -> None:
    """Squeezed to a square, soft shapes of a strip have edges across it and hardly any other."""
    for seed in range(4):
        strip = _soft_shapes(seed, *size)
        save_image(tmp_path / f"{seed}-strip.png", strip)
        save_image(tmp_path / f"{seed}-jpeg.jpg", strip)
        half = Image.fromarray(strip).resize((size[0] // 2, size[1] // 2), Image.Resampling.LANCZOS)
        half.save(tmp_path / f"{seed}-half.png")
    wanted = {
        frozenset(f"{seed}-{name}" for name in ("strip.png", "jpeg.jpg", "half.png")) for seed in range(4)
    }
    assert names(run(tmp_path)) == wanted


def _soft_shapes(seed: int, width: int, height: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 1, (height, width, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 9)
    return np.asarray(np.clip(128 + 50 * soft / soft.std(), 0, 255), np.uint8)


def test_near_misses_are_left_alone(tmp_path: Path) -> None:
    for seed in range(6):
        for k, rgb in enumerate(near_miss(seed, 400, 300)):
            save_image(tmp_path / f"{seed}-{k}.jpg", rgb)
    assert run(tmp_path).groups == ()


def test_pictures_without_content_do_not_collide(tmp_path: Path) -> None:
    """Flat, two-tone and nearly black pictures say nothing, so none is a copy of another."""
    rng = np.random.default_rng(0)
    for k in range(6):
        flat = np.full((240, 320, 3), rng.integers(0, 256, 3), np.uint8)
        save_image(tmp_path / f"flat-{k}.png", flat)
        two = flat.copy()
        two[100:] = rng.integers(0, 256, 3)
        save_image(tmp_path / f"two-{k}.png", two)
        save_image(tmp_path / f"dark-{k}.png", rng.integers(0, 3, (240, 320, 3)).astype(np.uint8))
        save_image(tmp_path / f"dot-{k}.png", np.full((1, 1, 3), 20 * k, np.uint8))
        save_image(tmp_path / f"line-{k}.png", np.full((1, 400, 3), 20 * k, np.uint8))
    result = run(tmp_path)
    assert result.skipped == ()
    assert names(result) == set()


def test_nothing_to_do(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty").counts.files == 0
    for signals in (("ahash",), ("phash",), ("local",), ("color",)):
        assert run(tmp_path / "empty", signals=signals).groups == ()
    save_image(tmp_path / "one" / "one.jpg", scene(0, 320, 240))
    assert run(tmp_path / "one").counts.images == 1


# --- what makes no difference (more of it in test_same_answer.py) ------------------------------------------


@pytest.mark.usefixtures("cold_start")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_children_that_decoded_end_with_the_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They take as much memory as the run itself, and nothing that follows needs them."""
    others, started = own_children(), set()  # a test before this one may have left some
    read, collection = pipeline.read_files, pipeline.Collection

    def watched(*args: Any, **kwargs: Any) -> Any:
        reading = read(*args, **kwargs)
        started.update(own_children() - others)
        return reading

    def checked(*args: Any) -> Any:
        assert not started & own_children()
        return collection(*args)

    monkeypatch.setattr(pipeline, "read_files", watched)
    monkeypatch.setattr(pipeline, "Collection", checked)
    save_image(tmp_path / "isolated.webp", scene(0, *SIZE))
    run(tmp_path)
    assert started


def own_children() -> set[str]:
    threads = Path("/proc/self/task").iterdir()
    return {child for thread in threads for child in (thread / "children").read_text().split()}


def test_other_names_give_the_same_links(library: Path, found: DedupeResult, tmp_path: Path) -> None:
    """Scores and relations hang on the pictures, not on what the files are called."""
    files = sorted((library / "images").glob("*.jpg"))
    random.Random(2).shuffle(files)
    for k, file in enumerate(files):
        shutil.copy(file, tmp_path / f"{k:03}.jpg")

    def links(result: DedupeResult) -> Counter[Any]:
        digest = {m.record.path: m.record.digest for g in result.groups for m in g.members}
        found = Counter()
        for edge in edges(result):
            part = None if edge.contained is None else digest[getattr(edge.pair, edge.contained)]
            sides = frozenset((digest[edge.pair.a], digest[edge.pair.b]))
            found[sides, edge.score, edge.relation, part] += 1
        return found

    assert links(run(tmp_path)) == links(found)


# --- nothing is done twice --------------------------------------------------------------------------------


def test_a_second_run_reads_nothing(library: Path, cache: Path) -> None:
    stats = run(library / "images", cache=cache).stats
    assert (stats["n_decoded"], stats["n_scored"] > 0, stats["n_verified"]) == (0, True, 0)
    # What was found to be no picture is no content of the cache: it is looked at again.
    assert stats["n_read"] <= 1


@pytest.fixture
def changing(library: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A folder of a few files that a test may change, and the cache of a run over it."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for file in (library / "images").glob("g0000_*.jpg"):
        shutil.copy2(file, folder)
    cache = tmp_path / "cache.sqlite"
    assert run(folder, cache=cache).stats["n_decoded"] > 0
    return folder, cache


def test_a_moved_or_renamed_file_is_not_decoded(changing: tuple[Path, Path]) -> None:
    folder, cache = changing
    (folder / "sub").mkdir()
    moved = sorted(folder.glob("*.jpg"))[:4]
    for k, file in enumerate(moved):
        file.rename(folder / "sub" / f"renamed-{k}.jpg")
    stats = run(folder, cache=cache).stats
    assert (stats["n_decoded"], stats["n_scored"] > 0, stats["n_verified"]) == (0, True, 0)
    assert stats["n_read"] <= len(moved)


def test_a_touched_file_is_read_and_not_decoded(changing: tuple[Path, Path]) -> None:
    folder, cache = changing
    os.utime(folder / "g0000_half.jpg", (1, 1))
    stats = run(folder, cache=cache).stats
    assert (stats["n_read"], stats["n_decoded"]) == (1, 0)


def test_a_changed_file_is_seen(changing: tuple[Path, Path]) -> None:
    folder, cache = changing
    save_image(folder / "g0000_half.jpg", scene(77, *SIZE))
    result = run(folder, cache=cache)
    assert result.stats["n_decoded"] == 1
    assert not any("g0000_half.jpg" in group for group in names(result))


def test_another_signal_decodes_again_and_leaves_the_rest(library: Path, cache: Path) -> None:
    more = run(library / "images", cache=cache, signals=("phash", "tiles", "ahash"))
    assert more.stats["n_decoded"] == more.counts.images
    assert run(library / "images", cache=cache).stats["n_decoded"] == 0


def test_fast_has_descriptors_of_its_own(library: Path, cache: Path) -> None:
    """They are taken from smaller pictures, so what others have left in the cache would be another answer."""
    fast = run(library / "images", cache=cache, effort="fast")
    assert fast.stats["n_decoded"] == fast.counts.images
    assert answer(fast) == answer(run(library / "images", effort="fast"))
    assert run(library / "images", cache=cache, effort="fast").stats["n_decoded"] == 0
    assert run(library / "images", cache=cache).stats["n_decoded"] == 0


@pytest.mark.parametrize(
    ("settings", "size_px"),
    [
        ({"effort": "fast"}, 256),
        ({"effort": "default"}, 512),
        ({"effort": "fast", "signals": ("phash", "local")}, 512),
    ],
)
def test_all_signals_are_taken_from_pixels_of_one_size(settings: dict[str, Any], size_px: int) -> None:
    plan = scoring_plan(Settings(**settings))
    assert {feature.working_px for feature in plan.features} == {size_px}
    signals = Signals.of(Settings(**settings))
    assert {feature.working_px for feature in signals.features} == {512}


# --- identical files --------------------------------------------------------------------------------------


def test_identical_files_form_a_star(tmp_path: Path) -> None:
    first = save_image(tmp_path / "a.jpg", scene(1, *SIZE))
    for name in "bcde":
        shutil.copy(first, tmp_path / f"{name}.jpg")
    (group,) = run(tmp_path).groups
    keeper = group.keep
    assert len(group.edges) == 4
    assert all(keeper in (edge.pair.a, edge.pair.b) for edge in group.edges)
    assert {edge.relation for edge in group.edges} == {"identical-file"}
    assert [member.proposed for member in group.members] == [False, True, True, True, True]
    assert group.bridges == 4


def test_thousands_of_identical_files_cost_little(tmp_path: Path) -> None:
    first = save_image(tmp_path / "a.jpg", scene(1, 320, 240)).read_bytes()
    for k in range(2000):
        (tmp_path / f"{k}.jpg").write_bytes(first)
    save_image(tmp_path / "small.jpg", altered(scene(1, 320, 240), "half"))
    result = run(tmp_path)
    (group,) = result.groups
    assert (len(group.members), len(group.edges)) == (2002, 2001)
    assert result.counts.duplicates == 2001
    # A few may be on their way before the first is known.
    assert result.stats["n_decoded"] <= 20


def test_hard_links_are_one_file(tmp_path: Path) -> None:
    first = save_image(tmp_path / "a.jpg", scene(1, 320, 240))
    os.link(first, tmp_path / "b.jpg")
    result = run(tmp_path)
    assert (result.counts.files, result.groups) == (1, ())


def test_identical_pixels_are_confirmed_where_one_file_is_decoded_at_a_fraction(tmp_path: Path) -> None:
    """A JPEG at half its size is not quite the mean of its pixels, least of all among white."""
    rgb = scene(2, 1200, 900).copy()
    rgb[300:600, 300:900] = 255
    rgb[300:600, 300:900][np.random.default_rng(0).random((300, 600)) < 0.15] = 0
    file = tmp_path / "a.jpg"
    save_image(file, rgb, quality=60)
    save_image(tmp_path / "b.png", np.asarray(Image.open(file)))
    for effort in ("fast", "default"):
        (edge,) = edges(run(tmp_path, effort=effort))
        assert edge.relation == "identical-pixels"


@pytest.mark.parametrize(("is_equal", "n_decoded_again"), [(True, 1), (False, 0)])
def test_only_what_may_be_equal_is_decoded_again(
    tmp_path: Path, is_equal: bool, n_decoded_again: int
) -> None:
    rgb = scene(2, *SIZE)
    (tmp_path / "in").mkdir()
    file = save_image(tmp_path / "in" / "a.jpg", rgb)
    save_image(tmp_path / "in" / "b.png", np.asarray(Image.open(file)) if is_equal else rgb)
    (edge,) = edges(run(tmp_path / "in", cache=tmp_path / "cache"))
    assert edge.relation == ("identical-pixels" if is_equal else "re-encoded")
    with open_cache(tmp_path / "cache") as store:
        digested = store.descriptors(PIXELS_KEY)
    assert len(digested) == 1 + n_decoded_again  # that of the PNG came with its decoding


def test_identical_pixels_are_confirmed(tmp_path: Path) -> None:
    file = save_image(tmp_path / "a.jpg", scene(2, *SIZE))
    pixels = np.asarray(Image.open(file))
    save_image(tmp_path / "b.png", pixels)
    nearly = pixels.copy()
    nearly[5, 5] ^= 1
    save_image(tmp_path / "c.png", nearly)
    inside = pixels.copy()
    inside[SIZE[1] // 2, SIZE[0] // 2] ^= 1  # not where files are compared first
    save_image(tmp_path / "d.png", inside)
    result = run(tmp_path)
    relations = {(os.path.basename(e.pair.a), os.path.basename(e.pair.b)): e.relation for e in edges(result)}
    assert relations["a.jpg", "b.png"] == "identical-pixels"
    assert relations["a.jpg", "c.png"] == relations["a.jpg", "d.png"] == "re-encoded"
    assert compare(str(file), str(tmp_path / "b.png"), Settings(cache=None)).relation == "identical-pixels"
    assert compare(str(file), str(tmp_path / "c.png"), Settings(cache=None)).relation == "re-encoded"


# --- which pairs count ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Originals in one, twenty copies of each in the other: many more than are ever compared all with all."""
    folder = tmp_path_factory.mktemp("two")
    for seed in range(2):
        rgb = scene(seed, *SIZE)
        save_image(folder / "new" / f"{seed}.jpg", rgb)
        for quality in range(60, 92, 2):
            save_image(folder / "old" / f"{seed}-q{quality}.jpg", rgb, quality=quality)
        for kind in ("mirrored", "upside-down", "rotated90", "crop80", "crop50"):
            save_image(folder / "old" / f"{seed}-{kind}.jpg", altered(rgb, kind, seed))
    save_image(folder / "new" / "own.jpg", scene(50, *SIZE))
    shutil.copy(folder / "new" / "own.jpg", folder / "new" / "own copy.jpg")
    save_image(folder / "old" / "theirs.jpg", scene(51, *SIZE))
    shutil.copy(folder / "old" / "theirs.jpg", folder / "old" / "theirs copy.jpg")
    shutil.copy(folder / "new" / "1.jpg", folder / "old" / "1-same.jpg")
    return folder / "new", folder / "old"


def crossing(result: DedupeResult) -> set[tuple[str, str]]:
    """Links between the two folders, by name."""
    return {
        (os.path.basename(edge.pair.a), os.path.basename(edge.pair.b))
        for edge in edges(result)
        if os.path.dirname(edge.pair.a) != os.path.dirname(edge.pair.b)
    }


@pytest.fixture(scope="module")
def copies_that_cross(two_folders: tuple[Path, Path]) -> set[tuple[str, str]]:
    """The pairs of an original and a copy that `compare` calls the same, one after the other."""
    new, old = two_folders
    settings = Settings(cache=None, signals=("phash", "tiles", "color", "local"))
    wanted = set()
    for seed in range(2):
        for copy in sorted(old.glob(f"{seed}-*.jpg")):
            if compare(str(new / f"{seed}.jpg"), str(copy), settings).score >= PROFILES["copy"].threshold:
                wanted.add((f"{seed}.jpg", copy.name))
    assert len(wanted) >= 40
    return wanted


def test_between_only_finds_the_copies_that_cross(
    two_folders: tuple[Path, Path], copies_that_cross: set[tuple[str, str]]
) -> None:
    result = run(*two_folders, between_only=True)
    assert all(os.path.dirname(e.pair.a) != os.path.dirname(e.pair.b) for e in edges(result))
    assert crossing(result) == copies_that_cross
    assert not any("own.jpg" in group or "theirs.jpg" in group for group in names(result))


def test_a_reference_finds_the_copies_that_cross(
    two_folders: tuple[Path, Path], copies_that_cross: set[tuple[str, str]]
) -> None:
    new, old = two_folders
    result = run(new, reference=(str(old),))
    assert crossing(result) == copies_that_cross
    sides = [{os.path.dirname(e.pair.a), os.path.dirname(e.pair.b)} for e in edges(result)]
    assert {str(old)} not in sides
    assert not [
        m for g in result.groups for m in g.members if m.proposed and m.record.path.startswith(f"{old}/")
    ]
    assert frozenset({"own.jpg", "own copy.jpg"}) in names(result)
    assert not any("theirs.jpg" in group for group in names(result))
    kept = {os.path.dirname(group.keep) for group in result.groups if len(group.members) > 2}
    assert kept == {str(old)}, "what the reference holds is there to be kept"


# --- collages ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def collages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("collages") / "photos"
    photos = [scene(seed, *SIZE) for seed in range(6)]
    for k, rgb in enumerate(photos):
        save_image(folder / f"photo{k}.jpg", rgb)
    save_image(folder / "two.jpg", np.hstack(photos[:2]))
    rows = [np.hstack(photos[2:4]), np.hstack(photos[4:6])]
    save_image(folder / "four.jpg", np.vstack(rows))
    save_image(folder / "crop.jpg", altered(photos[0], "crop50"))
    save_image(folder / "sticker.jpg", altered(photos[3], "stickered", 3))
    save_image(folder / "copy.jpg", altered(photos[5], "half"))
    return folder


@pytest.mark.parametrize("effort", ["default", "thorough"])
@pytest.mark.parametrize("include", [(), ("pasted", "cropped", "edited", "recolored", "similar")])
def test_nothing_unique_is_proposed_beside_collages(
    collages: Path, effort: str, include: tuple[str, ...]
) -> None:
    result = run(collages, effort=effort, include=include, cache=collages.parent / f"{effort}.sqlite")
    together = [group for group in names(result) if len(group & {f"photo{k}.jpg" for k in range(6)}) > 1]
    assert together == [], "two photographs are joined through a collage"
    gone = proposed(result)
    assert "copy.jpg" in gone
    assert (
        gone <= {"copy.jpg"}
        if not include
        else gone <= {"copy.jpg", "crop.jpg", "sticker.jpg"} | {f"photo{k}.jpg" for k in range(6)}
    )
    # Whatever was asked for, a photograph goes only where all of it is seen in a picture that stays.
    for group in result.groups:
        for member in group.members:
            name = os.path.basename(member.record.path)
            if member.proposed and name.startswith("photo"):
                assert os.path.basename(group.keep) in {"two.jpg", "four.jpg"}
                assert "pasted" in include
    assert not {"two.jpg", "four.jpg"} & gone


# --- answers that are remembered --------------------------------------------------------------------------


def digest_of(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def decisions(path: Path, said: str, a: Path, b: Path) -> Path:
    first, second = sorted((digest_of(a), digest_of(b)))
    rows = [{"schema": "cvsim.decisions/1"}, {"answer": said, "a": first, "b": second}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    rgb = scene(3, *SIZE)
    return save_image(tmp_path / "p" / "a.jpg", rgb), save_image(
        tmp_path / "p" / "b.jpg", altered(rgb, "half")
    )


def command(*arguments: str | Path) -> dict[str, Any]:
    done = CliRunner().invoke(
        program, ["dedupe", *map(str, arguments), "--json", "--no-cache"], catch_exceptions=False
    )
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("said", "n_groups", "n_proposed"), [("not-a-duplicate", 0, 0), ("keep-both", 1, 0), ("forget", 1, 1)]
)
def test_what_somebody_said_of_a_pair(
    pair: Any, tmp_path: Path, said: str, n_groups: int, n_proposed: int
) -> None:
    file = decisions(tmp_path / "answers.jsonl", said, *pair)
    report = command(pair[0].parent, "--decisions", file)
    assert report["counts"]["groups"] == n_groups
    assert report["counts"]["duplicates"] == n_proposed


def test_a_third_picture_may_still_join_what_was_separated(pair: Any, tmp_path: Path) -> None:
    third = save_image(tmp_path / "p" / "c.jpg", altered(scene(3, *SIZE), "jpeg"))
    file = decisions(tmp_path / "answers.jsonl", "not-a-duplicate", *pair)
    report = command(pair[0].parent, "--decisions", file)
    (group,) = report["groups"]
    assert {Path(m["path"]).name for m in group["members"]} == {"a.jpg", "b.jpg", third.name}
    assert not any(m["proposed"] for m in group["members"] if Path(m["path"]).name in {"a.jpg", "b.jpg"})


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ("oldest,size", "a.jpg"),
        ("newest", "b.jpg"),
        ("resolution,newest", "c.jpg"),
        ("folder:{}/p/sub", "c.jpg"),
    ],
)
def test_the_rules_choose_what_stays(pair: Any, tmp_path: Path, rules: str, kept: str) -> None:
    a, b = pair
    c = tmp_path / "p" / "sub" / "c.jpg"
    save_image(c, altered(scene(3, *SIZE), "jpeg"), quality=93)
    for k, file in enumerate((a, c, b)):
        os.utime(file, (1000 * (k + 1), 1000 * (k + 1)))
    (group,) = command(tmp_path / "p", "--keep", rules.format(tmp_path))["groups"]
    assert Path(group["keep"]).name == kept


def test_all_pairs_are_looked_at_within_a_group(found: DedupeResult) -> None:
    """The weakest pair of a group is one of all its pairs, linked or not."""
    for group in found.groups:
        n_links = len(group.edges)
        n_pairs = len(list(combinations(group.members, 2)))
        if n_links < n_pairs:
            assert group.weakest_pair < found.settings["threshold"]  # type: ignore[operator]


# --- real photographs -------------------------------------------------------------------------------------


def test_the_pairs_of_a_real_collection(test_data: Path) -> None:
    """Three pairs are the same picture; all else is different photographs."""
    result = run(test_data / "photos")
    assert result.skipped == ()
    stems = {frozenset(name.partition(".")[0][-3:] for name in group) for group in names(result)}
    assert stems == {frozenset(pair) for pair in (("055", "195"), ("106", "107"), ("102", "103"))}


def test_every_orientation_of_a_photograph_is_one_group(test_data: Path) -> None:
    result = run(test_data / "exif-orientation")
    assert sorted(len(group) for group in names(result)) == [9, 9]
    for group in names(result):
        assert len({name.partition("_")[0] for name in group}) == 1


def test_camera_originals_as_a_reference(test_data: Path) -> None:
    """Fifteen copies stand as their originals do, two have lost their turn; only the copies are proposed."""
    camera = str(test_data / "camera")
    result = run(test_data / "photos", reference=(camera,))
    crossing = [g for g in result.groups if any(m.record.path.startswith(camera) for m in g.members)]
    relations = Counter(edge.relation for group in crossing for edge in group.edges)
    assert relations == {"resized": 15, "rotated": 2}
    for group in crossing:
        assert group.keep.startswith(camera)
        for member in group.members:
            assert member.proposed == (not member.record.path.startswith(camera)), member
    assert result.skipped == ()


class Told:
    """Progress that remembers what it was told, and whether all of it was done."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    @contextmanager
    def task(self, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
        if not self.stages or self.stages[-1] != description:
            self.stages.append(description)
        done = 0

        def advance(n: int) -> None:
            nonlocal done
            done += n

        yield advance
        assert total is None or done == total, (description, done, total)


def test_a_run_says_all_along_what_it_is_doing(tmp_path: Path) -> None:
    for number, quality in ((0, 90), (0, 60), (1, 90)):
        save_image(tmp_path / f"{number}-{quality}.jpg", scene(number, *SIZE), quality=quality)
    told = Told()
    dedupe([str(tmp_path)], Settings(cache=None), progress=told)
    expected = ["Finding files", "Reading pictures", "Looking up pictures", "Comparing pictures"]
    expected += ["Looking up parts", "Comparing parts", "Looking at what files hold", "Checking groups"]
    assert told.stages[: len(expected)] == expected
    assert "Proving copies" in told.stages
