from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cvsim.actions.plan import Plan, make_plan, roots_of
from cvsim.errors import ActionError
from cvsim.types import Group, ImageRecord, Member, Pair, Proof, ScoredPair

DIGEST = "0123456789abcdef" * 4


def row(path: str, group: int = 1, decision: str = "keep", **more: Any) -> dict[str, Any]:
    return {
        "path": path, "digest": DIGEST, "size_bytes": 1, "mtime_ns": 2, "group": group,
        "decision": decision, "rule": "size", "reason": "", **more,
    }  # fmt: skip


DOCUMENT = {
    "schema": "cvsim.plan/1",
    "roots": ["/p"],
    "entries": [row("/p/a.jpg"), row("/p/b.jpg", 1, "remove")],
}


def edit(change: Callable[[Any], object]) -> Any:
    document = copy.deepcopy(DOCUMENT)
    change(document)
    return document


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(schema="cvsim.plan/2"), "cvsim.plan/1"),
        (lambda d: d.pop("roots"), '"roots" and "entries"'),
        (lambda d: d.update(entries={}), '"roots" and "entries"'),
        (lambda d: d.update(roots=["relative"]), "not an absolute, plain path"),
        (lambda d: d.update(roots=[3]), "not an absolute, plain path"),
        (lambda d: d.update(roots=["/p/../etc"]), "not an absolute, plain path"),
        (lambda d: d["entries"].append("x"), "entry 3: not an object"),
        (lambda d: d["entries"][1].pop("decision"), "entry 2: decision is missing"),
        (
            lambda d: d["entries"][1].update(decision="Remove"),
            r"entry 2 \(/p/b.jpg\): the decision is 'Remove'",
        ),
        (lambda d: d["entries"][1].update(decision=None), "decision is None, not str"),
        (lambda d: d["entries"][1].update(group=True), "group is True, not int"),
        (lambda d: d["entries"][1].update(group=0), "numbered from 1"),
        (lambda d: d["entries"][1].update(size_bytes=-1), "size is negative"),
        (lambda d: d["entries"][1].update(mtime_ns=1.5), "mtime_ns is 1.5"),
        (lambda d: d["entries"][1].update(digest="abc"), "64 lower-case"),
        (lambda d: d["entries"][1].update(path="b.jpg"), "not absolute"),
        (lambda d: d["entries"][1].update(path="/p/../etc/b.jpg"), "not absolute and plain"),
        (lambda d: d["entries"][1].update(path="/p//b.jpg"), "not absolute and plain"),
        (lambda d: d["entries"][1].update(path="/p/b\0.jpg"), "not absolute and plain"),
        (lambda d: d["entries"][1].update(path="/q/b.jpg"), "outside the roots"),
        (lambda d: d["entries"][1].update(path="/pq/b.jpg"), "outside the roots"),
        (lambda d: d["entries"][1].update(path="/p"), "outside the roots"),
        (lambda d: d["entries"][1].update(path="/p/a.jpg"), "twice, first as entry 1"),
        (lambda d: d["entries"][0].update(decision="remove"), "group 1: files are to go but none is kept"),
        (lambda d: d["entries"][0].update(decision="skip"), "group 1: files are to go but none is kept"),
        (lambda d: d["entries"][0].update(group=2), "group 1: files are to go but none is kept"),
    ],
)
def test_nonsense_is_refused_and_named(change: Callable[[Any], object], message: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(edit(change)))
    with pytest.raises(ActionError, match=message):
        Plan.load(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "[" * 100_000, "\xff"])
def test_what_is_no_plan_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ActionError):
        Plan.load(tmp_path / "plan.json")


def test_all_problems_are_told_at_once_up_to_ten() -> None:
    document = edit(lambda d: d.update(entries=[row(f"/q/{i}") for i in range(15)]))
    with pytest.raises(ActionError) as caught:
        Plan.from_json(document)
    assert "entry 10" in str(caught.value)
    assert "and 5 more" in str(caught.value)


def test_saved_plans_read_back_the_same_whatever_the_names(tmp_path: Path) -> None:
    names = ["/p/ü\udcff.jpg", '/p/"quoted"\n.jpg', "/p/日本.jpg"]
    document = edit(lambda d: d["entries"].extend(row(name, 1, "skip", note=[1]) for name in names))
    document["made_by"] = "cvsim"
    plan = Plan.from_json(document)
    plan.save(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json") == plan
    text = (tmp_path / "plan.json").read_text()
    assert "日本" in text
    assert json.loads(text) == document
    assert len(text.splitlines()) == 2 + len(plan.entries)


def test_the_plan_of_a_run() -> None:
    def member(path: str, proposed: bool) -> Member:
        return Member(ImageRecord(path, DIGEST, 4, 3, 10, 20), 0.99, proposed, "because")

    proof = Proof("differs", ((1, 2, 3, 4),))
    edges = (ScoredPair(Pair("a.jpg", "b.jpg"), -6.0, 0.99, "cropped", "b", (), ("cropped",), proof, "b"),)
    members = (member("a.jpg", False), member("b.jpg", True), member("c.jpg", False))
    group = Group(7, members, "a.jpg", "size", edges, 0.99, 0.99, 1)
    plan = make_plan(roots_of(["."]), [group])
    assert [entry.decision for entry in plan.entries] == ["keep", "remove", "skip"]
    assert plan.entries[1].path == f"{Path.cwd()}/b.jpg"
    extra = dict(plan.entries[1].extra)
    assert extra.pop("proof") == {
        "state": "differs", "boxes": [[1, 2, 3, 4]], "words": "", "kept": DIGEST, "asked": True
    }  # fmt: skip
    assert extra.pop("proposed") == "remove"
    assert extra == {"score": 0.99, "relation": "cropped", "changes": ["cropped"], "contained": "this"}


def test_roots_of_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").touch()
    (tmp_path / "inner").mkdir()
    given = [str(tmp_path / "inner"), str(tmp_path), f"{tmp_path}/", str(tmp_path / "x.jpg")]
    assert roots_of(given) == (str(tmp_path),)


def test_edits_keep_the_plan_whole() -> None:
    plan = Plan.from_json(DOCUMENT)
    assert plan.decided("/p/b.jpg", "skip").entries[1].decision == "skip"
    assert plan.decided("/p/b.jpg", "keep").entries[1].rule == "you"
    with pytest.raises(ActionError, match="none is kept"):
        plan.decided("/p/a.jpg", "remove")
    with pytest.raises(ActionError, match="not in the plan"):
        plan.decided("/p/zzz", "keep")
    turned = plan.with_kept("/p/b.jpg", {"/p/a.jpg": "a copy"})
    assert [entry.decision for entry in turned.entries] == ["remove", "keep"]
    assert [entry.decision for entry in plan.with_kept("/p/b.jpg", {}).entries] == ["skip", "keep"]
