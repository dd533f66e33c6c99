from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from cvsim.errors import SettingsError
from cvsim.groups.keep import KeepRules, Standing, says_copy
from cvsim.settings import DEFAULT_KEEP
from cvsim.types import Held, Holdings, ImageRecord


def record(path: str, **values: object) -> ImageRecord:
    base = ImageRecord(path, "0" * 64, 100, 80, 5000, 10**18, "jpeg")
    return dataclasses.replace(base, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rules", "better", "rule"),
    [
        ("resolution", {"width_px": 200}, "resolution"),
        ("size", {"size_bytes": 9000}, "size"),
        ("metadata", {"has_gps": True}, "metadata"),
        ("metadata", {"taken_at": "2020-01-01T00:00:00"}, "metadata"),
        ("oldest", {"mtime_ns": 10**17}, "oldest"),
        ("newest", {"mtime_ns": 10**19}, "newest"),
        ("format", {"format": "png"}, "format"),
        ("format:gif/png/jpg", {"format": "gif"}, "format:gif/png/jpg"),
        (DEFAULT_KEEP, {"mtime_ns": 10**17}, "oldest"),
    ],
)
def test_each_rule_decides_and_is_named(rules: str, better: dict[str, object], rule: str) -> None:
    records = [record("a.jpg"), record("z.jpg", **better), record("b.jpg")]
    assert KeepRules.parse(rules).choose(records) == (1, rule)


def test_the_sharpest_is_kept_where_the_difference_is_one() -> None:
    known = {"a" * 64: 8.0, "b" * 64: 11.9, "c" * 64: 12.0}
    rules = dataclasses.replace(KeepRules.parse("sharpest,resolution"), sharpness=known.get)
    soft, sharp = record("a.jpg", digest="a" * 64, width_px=9000), record("b.jpg", digest="b" * 64)
    as_sharp = record("c.jpg", digest="c" * 64, width_px=50)
    unknown = record("d.jpg", digest="d" * 64, width_px=9000)
    assert rules.choose([soft, sharp, unknown]) == (1, "sharpest")
    assert rules.choose([soft, as_sharp, sharp]) == (2, "resolution")  # a hundredth sharper is as sharp
    assert KeepRules.parse("sharpest,resolution").choose([soft, sharp]) == (0, "resolution")  # nobody looked


def test_rules_on_names_and_folders() -> None:
    records = [record("/x/IMG_1 (copy).jpg"), record("/y/IMG_1.jpg"), record("/best/c/IMG_10.jpg")]
    assert KeepRules.parse("longest-name").choose(records) == (0, "longest-name")
    assert KeepRules.parse("shortest-name").choose(records) == (1, "shortest-name")
    assert KeepRules.parse("folder:/best,path").choose(records) == (2, "folder:/best")
    assert KeepRules.parse("folder:/bes").choose(records)[1] == "path"
    assert KeepRules.parse("folder:/none,folder:/y/").choose(records) == (1, "folder:/y/")
    assert KeepRules.parse("path").choose(records) == (2, "path")
    assert KeepRules.parse(["folder:/a, b", "path"]).rules[0].name == "folder:/a, b"


def test_damage_and_protection_come_before_every_rule() -> None:
    rules = KeepRules.parse("resolution")
    damaged = record("a/a.jpg", width_px=4000, damaged=True)
    small, large = record("lib/s.jpg"), record("b/l.jpg", width_px=400)
    assert rules.choose([damaged, small]) == (1, "intact")
    assert rules.choose([damaged, small, large]) == (2, "resolution")
    assert rules.choose([large, small], protected={"lib"}) == (1, "protected")
    assert rules.choose([large, small], protected=lambda one: one.path == "lib/s.jpg") == (1, "protected")
    assert rules.choose([damaged, large], protected={"a"}) == (1, "intact")
    assert rules.why(small, damaged) == "intact"
    assert rules.why(large, small) == "resolution"


def test_protected_folders_hold_through_links(tmp_path: Path) -> None:
    library = tmp_path / "library"
    (library / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to(library)
    rules = KeepRules.parse(f"protected:{library},resolution")
    assert [rule.name for rule in rules.rules] == ["resolution"]
    loose = record(str(tmp_path / "loose.jpg"), width_px=900)
    for path in (library / "a.jpg", tmp_path / "link/inner/a.jpg"):
        safe = record(str(path))
        assert rules.choose([loose, safe]) == (1, "protected")
        assert rules.protection()(safe)
        assert not rules.protection()(loose)
    assert (
        KeepRules.parse(f"protected:{tmp_path / 'link'}").choose([loose, record(str(library / "a"))])[0] == 1
    )
    with pytest.raises(SettingsError, match="does not exist"):
        KeepRules.parse(f"protected:{tmp_path / 'libary'}")


@pytest.mark.parametrize("text", ["", " , ", "resolutoin", "folder", "folder:", "size:3", "format:"])
def test_nonsense_is_refused_with_what_there_is(text: str) -> None:
    with pytest.raises(SettingsError, match="resolution, size"):
        KeepRules.parse(text)


@given(
    st.lists(
        st.builds(
            record,
            st.text("ab/", min_size=1, max_size=5),
            width_px=st.integers(1, 3),
            size_bytes=st.integers(1, 2),
            damaged=st.booleans(),
            has_gps=st.booleans(),
        ),
        min_size=1,
        unique_by=lambda one: one.path,
    ),
    st.integers(0, 10**6),
)
def test_order_of_files_never_matters_and_intact_wins(records: list[ImageRecord], seed: int) -> None:
    rules = KeepRules.parse()
    index, rule = rules.choose(records)
    shuffled = random.Random(seed).sample(records, len(records))
    again, same_rule = rules.choose(shuffled)
    assert (records[index], rule) == (shuffled[again], same_rule)
    assert not records[index].damaged or all(one.damaged for one in records)


def standing(**values: object) -> Standing:
    names = {"n_found_better", "is_made_from_lossy", "shows_as_much", "has_copies"}
    own = {name: values.pop(name) for name in names & set(values)}
    return Standing(Holdings(**values), **own)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("better", "worse", "why"),
    [
        ({"frames": 4}, {}, "holds more"),
        ({"pictures": 3}, {}, "holds more"),
        ({"bits": 16}, {}, "holds more"),
        ({"alpha": True}, {}, "holds more"),
        ({"parts": {"film": Held(10, "f" * 64)}}, {}, "holds more"),
        ({"n_found_better": 1}, {}, "is not the poorer one"),
        ({"camera": "Maker 1"}, {}, "has a date and a camera"),
        ({}, {"is_made_from_lossy": True}, "is the older format of the same pixels"),
        ({"shows_as_much": True}, {}, "shows as much in fewer pixels"),
        ({"has_copies": True}, {}, "others show the same"),
    ],
)
def test_the_original_is_known_by_what_is_known_of_the_files(
    better: dict[str, object], worse: dict[str, object], why: str
) -> None:
    original = record("z.jpg", digest="1" * 64, taken_at="2020-01-01T00:00:00", width_px=90)
    copy = record("a.jpg", digest="2" * 64, taken_at="2020-01-01T00:00:00")
    known = {original.digest: standing(**better), copy.digest: standing(**worse)}
    rules = KeepRules.parse("original,resolution").knowing(known)
    assert rules.choose([copy, original]) == (1, f"original ({why})")
    assert KeepRules.parse("resolution").knowing(known).choose([copy, original]) == (0, "resolution")


@pytest.mark.parametrize(
    "name",
    [
        "exact copy 15.jpg", "IMG_0179 (1).jpg", "IMG_0179 - Copy.jpg", "Copy of a.jpg", "a (copy).png",
        "IMG_0179 Kopie 2.jpg", "Kopie von Bild.jpg", "photo copie.jpg", "foto - copia (3).jpg", "a_copy.jpg",
        "IMG_0179-edited.jpg", "IMG_0179_bearbeitet.jpg", "IMG~2.jpg", "照片 - 副本.jpg", "COPY.JPG",
    ],
)  # fmt: skip
def test_names_that_say_copy(name: str) -> None:
    assert says_copy(f"/folder/{name}")
    files = [record(f"/a/{name}", mtime_ns=1), record("/z/IMG_0179.jpg")]
    assert KeepRules.parse(DEFAULT_KEEP).choose(files)[0] == 1


@pytest.mark.parametrize(
    "name",
    [
        "IMG_0179.jpg",
        "photocopy.jpg",
        "copyright.png",
        "Copyshop.jpg",
        "IMG 2.jpg",
        "edition.jpg",
        "scopia.jpg",
    ],
)
def test_names_that_do_not(name: str) -> None:
    assert not says_copy(f"/my copy/{name}")
