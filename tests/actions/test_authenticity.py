"""Whose journal it is: signed with the user's key, and refused when it was changed; links in it; the key."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from photo_library import jpeg, library, snapshot, write

from cvsim.actions.apply import apply_plan
from cvsim.actions.authenticity import key_path
from cvsim.actions.journal import read_steps
from cvsim.actions.plan import Plan
from cvsim.actions.undo import undo_journal
from cvsim.errors import ActionError


@pytest.fixture
def applied(tmp_path: Path) -> tuple[Plan, Path]:
    """A plan that was carried out, and its journal."""
    plan = library(tmp_path / "photos", 2, 2, identical=False)
    apply_plan(plan, f"move:{tmp_path / 'made' / 'away'}", str(tmp_path / "journal"))
    return plan, tmp_path / "journal"


def cut(lines: list[bytes]) -> list[bytes]:
    return [line[: line.rindex(b', "mac"')] + b"}" for line in lines]


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [*lines[:2], lines[2].replace(b'"group": 1', b'"group": 2'), *lines[3:]],
        lambda lines: [lines[0], *lines[2:], lines[1]],
        lambda lines: lines[:4] + lines[6:],
        lambda lines: [*lines[:-2], lines[-1], lines[-2]],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [*lines, *cut(lines[-1:])],
        lambda lines: [*lines, b'{"event": "undo", "step": 1}'],
        lambda lines: [*cut(lines[:1]), *lines[1:]],
        lambda lines: [*lines[:-1], lines[-1].replace(b'"mac": "', b'"mac": "0')],
        lambda lines: [*lines[:-1], lines[-1].replace(b'"event"', b' "event"')],
        cut,
    ],
)
def test_a_changed_journal_is_refused(
    change: Callable[[list[bytes]], list[bytes]], applied: tuple[Plan, Path], tmp_path: Path
) -> None:
    plan, journal = applied
    journal.write_bytes(b"".join(line + b"\n" for line in change(journal.read_bytes().splitlines())))
    before = snapshot(tmp_path)
    for act in (
        lambda: undo_journal(str(journal)),
        lambda: apply_plan(plan, "delete", str(journal)),
        lambda: apply_plan(plan, "delete", str(journal), dry_run=True),
        lambda: read_steps(str(journal)),
    ):
        with pytest.raises(ActionError) as caught:
            act()
        assert "\n" not in str(caught.value)
    assert snapshot(tmp_path) == before


def test_a_torn_last_line_is_dropped_and_the_chain_goes_on(applied: tuple[Plan, Path]) -> None:
    _, journal = applied
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"event": "undo", "st')
    assert undo_journal(str(journal)).count("restored") == 4
    assert journal.read_bytes().startswith(whole)
    assert not undo_journal(str(journal)).outcomes


def test_a_journal_of_another_key_is_refused_and_taken_back_when_trusted(
    applied: tuple[Plan, Path], tmp_path: Path
) -> None:
    plan, journal = applied
    os.unlink(key_path())
    with pytest.raises(ActionError, match="--trust"):
        undo_journal(str(journal))
    with pytest.raises(ActionError, match="--journal FILE"):
        apply_plan(plan, "delete", str(journal))
    assert undo_journal(str(journal), paths=[plan.entries[1].path], trust=True).count("restored") == 1
    # What was added has not made it the user's own.
    with pytest.raises(ActionError, match="--trust"):
        undo_journal(str(journal))
    assert undo_journal(str(journal), trust=True).count("restored") == 3
    assert all(os.path.exists(one.path) for one in plan.entries)


@pytest.mark.parametrize("typed", ["away", "../x/away", "./deep/er", "~/away", None])
def test_a_journal_of_an_older_version_is_taken_back_when_trusted(
    typed: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = library(tmp_path / "photos", 2, 2, identical=False)
    before = snapshot(tmp_path / "photos")
    (tmp_path / "x").mkdir()
    monkeypatch.chdir(tmp_path / "x")
    journal = tmp_path / "journal"
    apply_plan(plan, f"move:{typed}" if typed else "trash", str(journal))
    lines = cut(journal.read_bytes().splitlines())
    run = json.loads(lines[1])
    run.pop("folder", None)
    run.pop("real")
    lines[1] = json.dumps(run).encode()
    journal.write_bytes(b"".join(line + b"\n" for line in lines))
    monkeypatch.chdir("/")
    with pytest.raises(ActionError, match="--trust"):
        undo_journal(str(journal))
    assert undo_journal(str(journal), trust=True).count("restored") == 4
    assert snapshot(tmp_path / "photos") == before
    assert not [one for one in (tmp_path / "x").rglob("*") if one.is_file()]


# ---- Links in the user's own journals ----


def test_a_root_and_a_target_behind_links_come_back(tmp_path: Path) -> None:
    (tmp_path / "disk/photos").mkdir(parents=True)
    (tmp_path / "library").symlink_to(tmp_path / "disk/photos")
    (tmp_path / "other").symlink_to(tmp_path / "disk")
    plan = library(tmp_path / "library", 1, 2, identical=False)
    before = snapshot(tmp_path)
    apply_plan(plan, f"move:{tmp_path / 'other/made/away'}", str(tmp_path / "journal"))
    assert undo_journal(str(tmp_path / "journal")).count("restored") == 2
    os.unlink(tmp_path / "journal")
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("which", ["root", "target"])
def test_a_link_that_leads_elsewhere_now_is_not_followed(which: str, tmp_path: Path) -> None:
    for name in ("disk/photos", "disk/away", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    links = {"root": tmp_path / "library", "target": tmp_path / "away"}
    links["root"].symlink_to(tmp_path / "disk/photos")
    links["target"].symlink_to(tmp_path / "disk/away")
    plan = library(links["root"], 1, 2, identical=False)
    apply_plan(plan, f"move:{links['target']}", str(tmp_path / "journal"))
    links[which].unlink()
    links[which].symlink_to(tmp_path / "elsewhere")
    if which == "target":
        write(tmp_path / "elsewhere/folder 0/1 ü.jpg", jpeg(1, 89))
    before = snapshot(tmp_path / "disk"), snapshot(tmp_path / "elsewhere")
    _undo_in_vain(tmp_path)
    links[which].unlink()
    (tmp_path / "elsewhere").rename(links[which])  # nor is a folder that has taken the place of the link
    _undo_in_vain(tmp_path)
    assert (snapshot(tmp_path / "disk"), snapshot(links[which])) == before


def _undo_in_vain(base: Path) -> None:
    try:
        undone = undo_journal(str(base / "journal"))
    except ActionError:
        return
    assert undone.count("restored") == 0


# ---- The key ----


def test_the_key_is_the_users_alone(applied: tuple[Plan, Path]) -> None:
    status = os.stat(key_path())
    assert (stat.S_IMODE(status.st_mode), status.st_size) == (0o600, 32)
    assert len(os.listdir(os.path.dirname(key_path()))) == 1
    assert applied[1].read_bytes().count(b'"mac"') == len(applied[1].read_bytes().splitlines())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda key: key.chmod(0o640), "open to others"),
        (lambda key: key.chmod(0o602), "open to others"),
        (lambda key: key.write_bytes(b"short"), "damaged"),
        (lambda key: (key.unlink(), key.mkdir()), "no file of yours"),
        (lambda key: (key.rename(f"{key}.old"), key.symlink_to(f"{key}.old")), "cannot be read"),
    ],
)
def test_a_key_that_cannot_be_relied_on_is_refused(
    change: Callable[[Path], object], message: str, applied: tuple[Plan, Path], tmp_path: Path
) -> None:
    plan, journal = applied
    change(Path(key_path()))
    before = snapshot(tmp_path)
    with pytest.raises(ActionError, match=message):
        undo_journal(str(journal))
    with pytest.raises(ActionError, match=message):
        apply_plan(plan, "delete", str(tmp_path / "another"))
    assert snapshot(tmp_path) == before


def test_where_no_key_can_be_made_nothing_is_done(
    tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = library(tmp_path / "photos", 1, 1, identical=True)
    before = snapshot(tmp_path)
    (own_home / "file").touch()
    monkeypatch.setenv("XDG_DATA_HOME", str(own_home / "file"))
    with pytest.raises(ActionError, match="XDG_DATA_HOME"):
        apply_plan(plan, "delete", str(tmp_path / "journal"))
    assert snapshot(tmp_path) == before
