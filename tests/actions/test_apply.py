"""Each action does what it says, and undo takes it back."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest
from photo_library import ACTIONS, LINKS, contents, entry, jpeg, library, snapshot, write

from cvsim.actions.apply import Applied, apply_plan
from cvsim.actions.journal import newest, read_steps
from cvsim.actions.plan import Plan
from cvsim.actions.undo import undo_journal
from cvsim.errors import SettingsError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "photos"


def act(plan: Plan, action: str, root: Path, **options: object) -> Applied:
    target = f"move:{root.parent / 'target'}" if action == "move" else action
    return apply_plan(plan, target, str(root.parent / "plan.journal.jsonl"), **options)  # type: ignore[arg-type]


def undo(root: Path):  # type: ignore[no-untyped-def]
    return undo_journal(str(root.parent / "plan.journal.jsonl"))


def reasons(applied: Applied) -> dict[str, str]:
    return {os.path.basename(one.path): one.reason for one in applied.outcomes if one.status == "skipped"}


@pytest.mark.parametrize("action", ACTIONS)
def test_action_and_undo(action: str, root: Path, request: pytest.FixtureRequest, own_home: Path) -> None:
    if action == "reflink":
        root = request.getfixturevalue("reflink_folder") / "act" / "photos"
    plan = library(root, 3, 2, identical=action in LINKS)
    before = snapshot(root, folder_times=True)
    digests = contents([root])

    applied = act(plan, action, root)

    assert applied.count("done") == 6, applied
    for removed in (one for one in plan.entries if one.decision == "remove"):
        path, kept = Path(removed.path), root / "kept" / f"{removed.group}.jpg"
        if action in ("trash", "move", "delete"):
            assert not os.path.lexists(path)
        if action == "hardlink":
            assert path.stat().st_ino == kept.stat().st_ino
        if action == "symlink":
            assert path.is_symlink()
            assert path.resolve() == kept.resolve()
        if action == "reflink":
            assert not path.is_symlink()
            assert path.stat().st_ino != kept.stat().st_ino
    if action == "move":
        assert (root.parent / "target" / "folder 0" / "1 ü.jpg").exists()
    if action == "trash":
        assert len(list((own_home / "data/Trash/files").iterdir())) == 6
    if action != "delete":
        assert contents([root, root.parent / "target", own_home]) >= digests
    assert act(plan, action, root).count("already") == 6
    assert newest() == applied.journal

    undone = undo(root)

    if action == "delete":
        assert undone.count("deleted") == 6
        assert {one.path for one in undone.outcomes} == {
            e.path for e in plan.entries if e.decision == "remove"
        }
    else:
        assert undone.count("restored") == 6, undone
        assert snapshot(root, folder_times=True) == before
        inodes = {os.stat(one.path).st_ino for one in plan.entries}
        assert len(inodes) == len(plan.entries)
        assert not (root.parent / "target").exists()
        assert not undo(root).outcomes
        assert act(plan, action, root).count("done") == 6


def test_dry_run_says_the_same_and_changes_nothing(root: Path) -> None:
    plan = library(root, 2, 2, identical=False)
    Path(plan.entries[1].path).write_bytes(b"changed")
    before = snapshot(root.parent, folder_times=True)
    dry = act(plan, "move", root, dry_run=True)
    assert snapshot(root.parent, folder_times=True) == before
    assert (dry.count("would"), dry.count("skipped"), dry.journal) == (3, 1, None)
    real = act(plan, "move", root)
    assert [one.reason for one in real.outcomes] == [one.reason for one in dry.outcomes]


@pytest.mark.parametrize("action", LINKS)
def test_links_are_for_identical_files(action: str, root: Path) -> None:
    applied = act(library(root, 1, 1, identical=False), action, root)
    assert "trash or move it" in reasons(applied)["1 ü.jpg"]


@pytest.mark.parametrize("text", ["", "burn", "move", "move:", "trash:x", "delete:"])
def test_unknown_actions_are_refused(text: str, root: Path) -> None:
    with pytest.raises(SettingsError, match="move:DIR"):
        apply_plan(library(root, 1, 1, identical=True), text, str(root.parent / "j"))


def test_a_move_never_replaces_and_numbers_what_is_taken(root: Path, tmp_path: Path) -> None:
    plan = library(root, 1, 1, identical=False)
    write(tmp_path / "target/folder 0/1 ü.jpg", b"somebody's")
    act(plan, "move", root)
    assert (tmp_path / "target/folder 0/1 ü.jpg").read_bytes() == b"somebody's"
    assert (tmp_path / "target/folder 0/1 ü (2).jpg").exists()
    undo(root)
    assert Path(plan.entries[1].path).exists()
    assert (tmp_path / "target/folder 0/1 ü.jpg").exists()


def test_several_roots_stay_apart_in_the_target(tmp_path: Path) -> None:
    entries = []
    for group, folder in enumerate(("a/pics", "b/pics"), 1):
        entries.append(entry(write(tmp_path / folder / "k.jpg", jpeg(group)), group, "keep"))
        entries.append(entry(write(tmp_path / folder / "x.jpg", jpeg(group, 50)), group, "remove"))
    plan = Plan((str(tmp_path / "a/pics"), str(tmp_path / "b/pics")), tuple(entries))
    applied = apply_plan(plan, f"move:{tmp_path / 'out'}", str(tmp_path / "j"))
    assert applied.count("done") == 2
    assert sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.jpg")) == [
        "pics-1/x.jpg",
        "pics-2/x.jpg",
    ]


def test_undo_overwrites_nothing(root: Path) -> None:
    plan = library(root, 1, 2, identical=False)
    act(plan, "move", root)
    Path(plan.entries[1].path).write_bytes(b"new")
    undone = undo(root)
    assert (undone.count("restored"), undone.count("skipped")) == (1, 1)
    assert "another file has its name now" in undone.outcomes[1].reason
    assert Path(plan.entries[1].path).read_bytes() == b"new"
    Path(plan.entries[1].path).unlink()
    assert undo(root).count("restored") == 1


def test_undo_of_a_link_whose_kept_file_changed_is_refused(root: Path) -> None:
    plan = library(root, 1, 1, identical=True)
    for action in ("hardlink", "symlink"):
        act(plan, action, root)
        kept, data = Path(plan.entries[0].path), jpeg(1)
        kept.write_bytes(b"changed")
        assert undo(root).count("skipped") == 1
        kept.write_bytes(data)
        assert undo(root).count("restored") == 1


def test_names_that_are_not_text_go_and_come_back(root: Path) -> None:
    write(root / "k.jpg", jpeg(1))
    names = [b"\xff\xfe.jpg", b"new\nline.jpg", b"per%cent + space.jpg", b" .jpg", b"..jpg"]
    entries = [entry(root / "k.jpg", 1, "keep")]
    for number, name in enumerate(names):
        path = os.fsencode(root) + b"/" + name
        Path(os.fsdecode(path)).write_bytes(jpeg(1, 50 + number))
        entries.append(entry(os.fsdecode(path), 1, "remove"))
    plan = Plan((str(root),), tuple(entries))
    saved = root.parent / "plan.json"
    plan.save(saved)
    plan = Plan.load(saved)
    before = snapshot(root)
    for action in ("trash", "move"):
        assert act(plan, action, root).count("done") == len(names)
        assert undo(root).count("restored") == len(names)
        assert snapshot(root) == before


def test_what_is_kept_vouches_only_when_whole(root: Path) -> None:
    whole = jpeg(1)
    cut = whole[:-60]
    kept = write(root / "k.jpg", cut)
    same, other = write(root / "same.jpg", cut), write(root / "other.jpg", whole)
    plan = Plan((str(root),), (entry(kept, 1, "keep"), entry(same, 1, "remove"), entry(other, 1, "remove")))
    applied = act(plan, "delete", root)
    assert "is damaged" in reasons(applied)["other.jpg"]
    assert other.exists()

    kept.write_bytes(b"no picture at all")
    same.write_bytes(b"no picture at all")
    plan = Plan((str(root),), (entry(kept, 1, "keep"), entry(same, 1, "remove")))
    assert "cannot be decoded" in reasons(act(plan, "delete", root))["same.jpg"]


def test_a_second_name_of_a_kept_file_is_never_removed(root: Path) -> None:
    kept = write(root / "k.jpg", jpeg(1))
    os.link(kept, root / "hard.jpg")
    (root / "soft.jpg").symlink_to(kept)
    (root / "inner").mkdir()
    (root / "alias").symlink_to(root / "inner")
    write(root / "inner/only.jpg", jpeg(1))
    paths = ("hard.jpg", "soft.jpg", "alias/only.jpg")
    plan = Plan((str(root),), (entry(kept, 1, "keep"), *(entry(root / one, 1, "remove") for one in paths)))
    for action in ("delete", "trash", "move", "hardlink"):
        why = reasons(act(plan, action, root))
        assert "the same file" in why["hard.jpg"]
        assert "symbolic link" in why["soft.jpg"]
        assert "symbolic link" in why["only.jpg"]
    assert len(list(root.rglob("*.jpg"))) == 4


def test_sidecars_films_and_raws(root: Path) -> None:
    def group(number: int, *companions: str, kept_companions: tuple[str, ...] = ()) -> list[object]:
        kept = write(root / f"{number}/kept/k.jpg", jpeg(number))
        gone = write(root / f"{number}/x.jpg", jpeg(number, 50))
        for name in companions:
            write(root / str(number) / name, f"{number} {Path(name).suffix}".encode())
        for name in kept_companions:
            write(root / str(number) / "kept" / name, f"{number} {Path(name).suffix}".encode())
        return [entry(kept, number, "keep"), entry(gone, number, "remove")]

    entries = [
        *group(1, "x.xmp", "x.jpg.json", "x.AAE", "other.xmp"),
        *group(2, "x.MOV"),
        *group(3, "x.CR2"),
        *group(4, "x.CR2", "x.xmp", kept_companions=("k.CR2", "k.xmp")),
        *group(5, "x.xmp", "x.png"),
    ]
    plan = Plan((str(root),), tuple(entries))  # type: ignore[arg-type]
    before = snapshot(root, folder_times=True)

    def gone() -> set[str]:
        return set(before) - set(snapshot(root))

    assert act(plan, "delete", root, dry_run=True).count("would") == 2 + 2
    applied = act(plan, "trash", root)
    with_sidecars = {"1/x.jpg", "1/x.xmp", "1/x.jpg.json", "1/x.AAE", "2/x.jpg", "2/x.MOV"}
    assert gone() == with_sidecars | {"4/x.jpg", "4/x.CR2", "4/x.xmp", "5/x.jpg"}
    assert "one exposure" in reasons(applied)["x.jpg"]
    undo(root)
    assert snapshot(root, folder_times=True) == before

    applied = act(plan, "delete", root)
    assert gone() == {"4/x.jpg", "4/x.CR2", "4/x.xmp", "5/x.jpg"}
    why = {one.group: one.reason for one in applied.outcomes if one.status == "skipped"}
    assert "sidecar" in why[1]
    assert "Live Photo" in why[2]
    assert "one exposure" in why[3]


def test_what_two_pictures_share_stays_with_the_one_that_stays(root: Path) -> None:
    kept, gone = write(root / "a.JPG", jpeg(1)), write(root / "a.jpg", jpeg(1))
    shared = [write(root / f"a{ending}", b"shared") for ending in (".cr2", ".xmp", ".mov")]
    plan = Plan((str(root),), (entry(kept, 1, "keep"), entry(gone, 1, "remove")))
    for action in ("trash", "delete"):
        assert act(plan, action, root).count("done") == 1
        assert not gone.exists()
        assert all(one.exists() for one in shared)
        undo(root)


def test_no_companion_vouches_for_itself(root: Path) -> None:
    """The kept file lies under the very name that the companion belongs to."""
    kept, gone = write(root / "a.jpg.png", jpeg(1)), write(root / "a.jpg", jpeg(1))
    sidecar = write(root / "a.jpg.xmp", b"of both")
    plan = Plan((str(root),), (entry(kept, 1, "keep"), entry(gone, 1, "remove")))
    assert act(plan, "delete", root).count("skipped") == 1
    assert sidecar.exists()


def test_own_files_are_nobodys_sidecar(root: Path) -> None:
    plan = library(root, 1, 1, identical=False)
    own = write(root / "folder 0/1 ü.json", b"{}")
    act(plan, "trash", root, own_files=[str(own)])
    assert own.exists()


def test_journal_is_json_lines_that_name_everything(root: Path) -> None:
    plan = library(root, 1, 1, identical=False)
    applied = act(plan, "trash", root)
    assert applied.journal is not None
    rows = [json.loads(line) for line in Path(applied.journal).read_text().splitlines()]
    assert rows[0].pop("mac")
    assert rows[0] == {"schema": "cvsim.journal/1"}
    assert [row.get("event") for row in rows[1:]] == ["run", "start", "done"]
    assert rows[2]["path"] == plan.entries[1].path
    assert rows[2]["digest"] == plan.entries[1].digest
    with open(applied.journal, "a") as stream:
        stream.write('{"event": "start", "st')  # a crash tore the last line
    assert len(read_steps(applied.journal)) == 1
    assert undo(root).count("restored") == 1


@pytest.mark.parametrize(
    ("proof", "goes"),
    [
        (None, False),
        ("by-hand", True),
        ("by hand", False),
        ({"state": "explained", "kept": "KEPT"}, True),
        ({"state": "same-pixels", "kept": "KEPT"}, True),
        ({"state": "explained", "kept": "0" * 64}, False),
        ({"state": "explained"}, False),
        ({"state": "differs", "kept": "KEPT"}, False),
        ({"state": "differs", "kept": "KEPT", "asked": True}, True),
        ({"state": "holds-more", "kept": "KEPT"}, False),
        ({"state": "not-tried", "kept": "KEPT"}, False),
    ],
)
def test_nothing_goes_without_a_proof_about_the_file_that_is_kept(
    tmp_path: Path, proof: object, goes: bool
) -> None:
    root = tmp_path / "photos"
    kept = entry(write(root / "kept.jpg", jpeg(1)), 1, "keep")
    gone = entry(write(root / "gone.jpg", jpeg(1, 60)), 1, "remove")
    if isinstance(proof, dict):
        proof = {k: kept.digest if v == "KEPT" else v for k, v in proof.items()}
    gone = dataclasses.replace(gone, extra={} if proof is None else {"proof": proof})
    applied = apply_plan(Plan((str(root),), (kept, gone)), "delete", str(tmp_path / "journal"))
    assert (root / "gone.jpg").exists() != goes
    assert goes or "by-hand" in applied.outcomes[0].reason


def test_equal_bytes_are_their_own_proof(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    kept = entry(write(root / "kept.jpg", jpeg(1)), 1, "keep")
    gone = dataclasses.replace(entry(write(root / "gone.jpg", jpeg(1)), 1, "remove"), extra={})
    assert (
        apply_plan(Plan((str(root),), (kept, gone)), "delete", str(tmp_path / "journal")).count("done") == 1
    )
