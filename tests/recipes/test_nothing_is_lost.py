"""After the default plan is applied every distinct content is still there, whatever the folder holds."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from generate import RGB, scene
from hypothesis import HealthCheck, event, given, settings, strategies as st
from kinds_of_files import MORE, changed
from PIL import Image

from cvsim.actions.apply import apply_plan
from cvsim.actions.plan import make_plan, roots_of
from cvsim.actions.undo import undo_journal
from cvsim.recipes.dedupe import dedupe
from cvsim.settings import Settings

pytest.importorskip("pillow_heif", reason="needs the extra 'heif'").register_heif_opener()

SIZE = (320, 240)


def applied(folder: Path, journal: Path) -> set[str]:
    """Names of the files that are gone once the default plan has been applied."""
    before = {path.name for path in folder.iterdir()}
    result = dedupe([str(folder)], Settings(cache=None, workers=1))
    apply_plan(make_plan(roots_of([str(folder)]), result.groups), f"move:{journal}.gone", str(journal))
    return before - {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("kind", MORE)
def test_a_file_that_holds_more_is_never_lost_and_comes_back_with_the_others(
    kind: str, tmp_path: Path
) -> None:
    ending, make, other_ending, less = MORE[kind]
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / f"one{ending}").write_bytes(make(0))
    (folder / f"two{ending}").write_bytes(make(1))
    (folder / f"plain{other_ending}").write_bytes(less())
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    gone = applied(folder, tmp_path / "journal")
    kept = {f"one{ending}", f"two{ending}"}
    if kind != "gain map":
        assert not gone & kept
    assert len(gone & kept) < 2
    undo_journal(str(tmp_path / "journal"))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("names", [("a", "b", "c"), ("c", "b", "a")])
@pytest.mark.parametrize("by", [Image.Resampling.BICUBIC, Image.Resampling.LANCZOS])
def test_what_was_enlarged_does_not_replace_what_it_was_made_from(
    names: tuple[str, ...], by: Image.Resampling, tmp_path: Path
) -> None:
    original = Image.fromarray(scene(7, *SIZE))
    original.save(tmp_path / f"{names[0]}.jpg", quality=90)
    Image.open(tmp_path / f"{names[0]}.jpg").resize((640, 480), by).save(
        tmp_path / f"{names[1]}.jpg", quality=95
    )
    Image.open(tmp_path / f"{names[0]}.jpg").save(tmp_path / f"{names[2]}.jpg", quality=70)
    (group,) = dedupe([str(tmp_path)], Settings(cache=None, workers=1)).groups
    assert Path(group.keep).stem == names[0]
    assert f"{names[2]}.jpg" in {Path(member.record.path).name for member in group.members if member.proposed}


@pytest.mark.parametrize("effort", ["fast", "default"])
def test_a_captioned_version_is_not_the_original_however_large(effort: str, tmp_path: Path) -> None:
    """It differs from all others: were it kept, nothing could be proposed."""
    photo = cv2.GaussianBlur(scene(11, 480, 360), (0, 0), 1.2)
    captioned = photo.copy()
    cv2.putText(captioned, "Summer", (40, 330), 0, 1.6, (255, 255, 255), 4)
    for name, rgb, quality in (("a", captioned, 98), ("b", photo, 92), ("c", photo, 70)):
        (tmp_path / f"{name}.jpg").write_bytes(saved(rgb, "JPEG", quality=quality))
    (group,) = dedupe([str(tmp_path)], Settings(cache=None, workers=1, effort=effort)).groups
    assert Path(group.keep).name == "b.jpg"
    assert group.rule == "original (others show the same)"
    assert [Path(m.record.path).name for m in group.members if m.proposed] == ["c.jpg"]


COPIES: Mapping[str, Callable[[RGB], bytes]] = {
    "q90.jpg": lambda rgb: saved(rgb, "JPEG", quality=90),
    "q60.jpg": lambda rgb: saved(rgb, "JPEG", quality=60),
    "png.png": lambda rgb: saved(rgb, "PNG"),
    "webp.webp": lambda rgb: saved(rgb, "WEBP", quality=80),
    "few.gif": lambda rgb: saved(rgb, "GIF"),
    "half.jpg": lambda rgb: saved(
        cv2.resize(rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), "JPEG"
    ),
    "turned.jpg": lambda rgb: saved(np.rot90(rgb), "JPEG", quality=90),
}
CHANGES: Mapping[str, Callable[[RGB, int], RGB]] = {
    "as it is": lambda rgb, seed: rgb,
    "a figure": changed,
    "grey": lambda rgb, seed: np.repeat(rgb.mean(2, keepdims=True), 3, 2).astype(np.uint8),
    "toned": lambda rgb, seed: (rgb.mean(2, keepdims=True) * (1, 0.9, 0.7)).astype(np.uint8),
    "cropped": lambda rgb, seed: rgb[20:-20, 30:-10],
    "word": lambda rgb, seed: cv2.putText(rgb.copy(), f"no {seed}", (20, 200), 0, 0.8, (255, 255, 255), 2),
}


def saved(rgb: RGB, format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb)).save(stream, format, **options)
    return stream.getvalue()


folders = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(sorted(CHANGES)), st.sampled_from(sorted(COPIES))),
    min_size=3,
    max_size=9,
    unique=True,
)


@settings(max_examples=5, suppress_health_check=[HealthCheck.too_slow])
@given(folders)
def test_every_distinct_content_is_still_there(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[int, str, str]]
) -> None:
    check_that_no_content_is_lost(tmp_path_factory, files)


@pytest.mark.long
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(folders)
def test_every_distinct_content_is_still_there_in_many_folders(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[int, str, str]]
) -> None:
    check_that_no_content_is_lost(tmp_path_factory, files)


def check_that_no_content_is_lost(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[int, str, str]]
) -> None:
    base = tmp_path_factory.mktemp("property")
    folder = base / "photos"
    folder.mkdir()
    content = {}
    for number, (seed, change, copy) in enumerate(files):
        rgb = CHANGES[change](scene(seed, *SIZE), seed)
        name = f"{number} {change} {copy}"
        (folder / name).write_bytes(COPIES[copy](rgb))
        content[name] = seed, change
    gone = applied(folder, base / "journal")
    event(f"{len(gone)} gone")
    assert {content[name] for name in content.keys() - gone} == set(content.values())
    undo_journal(str(base / "journal"))
    assert {path.name for path in folder.iterdir()} == set(content)
