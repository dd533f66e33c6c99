"""Journals and plans of any content: an error in one line or a journal or plan, never anything else."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from cvsim.actions.journal import read_steps
from cvsim.actions.plan import Plan, rests_on_proof
from cvsim.actions.undo import undo_journal
from cvsim.errors import ActionError, UsageError

DIGEST = "0123456789abcdef" * 4
HEAD = {"schema": "cvsim.journal/1"}
RUN = {"event": "run", "id": "abc", "action": "trash", "roots": ["/none"], "made_folders": []}
START = {
    "event": "start", "step": 1, "run": "abc", "action": "move", "path": "/none/x", "digest": DIGEST,
    "inode": [1, 2], "target": "/away/x", "made_folders": ["/away"], "kept": "/none/y", "kept_inode": [1, 3],
    "link": "y", "digest_after": DIGEST, "donor": "/none/z", "offset": 3, "removed": "", "inserted": "YQ==",
    "folder_mtime_ns": 1,
    "attributes": {"mode": 420, "uid": 0, "gid": 0, "atime_ns": 0, "mtime_ns": 0, "xattrs": {"user.a": ""}},
}  # fmt: skip
DONE = {"event": "done", "step": 1, "trashed": {"path": "/t/files/x", "info": "/t/info/x.trashinfo"}}
PLAN = {
    "schema": "cvsim.plan/1",
    "roots": ["/p"],
    "entries": [
        {
            "path": f"/p/{name}", "digest": DIGEST, "size_bytes": 1, "mtime_ns": 2, "group": 1,
            "decision": decision, "rule": "size", "reason": "", "proof": {"state": "differs", "kept": DIGEST},
        }
        for name, decision in (("a", "keep"), ("b", "remove"))
    ],
}  # fmt: skip


def lines(*rows: dict[str, Any] | str) -> bytes:
    return "".join(
        (row if isinstance(row, str) else json.dumps(row)) + "\n" for row in (HEAD, *rows)
    ).encode()


deep = st.sampled_from([100, 600, 100_000]).map(lambda depth: "[" * depth + "]" * depth)
odd_paths = st.sampled_from(["", "/", "//x", "/a/../b", "x", "/\0", "/\ud800", "/x\n", "/" + "y" * 5000, "~"])
odd_numbers = st.sampled_from([0, -1, 2**63, -(2**63) - 1, 10**4000, 1.5, float("nan"), True])
anything = st.recursive(
    st.none() | st.booleans() | odd_numbers | odd_paths | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def strange(draw: st.DrawFn, value: Any) -> Any:
    """The value with some of its parts left out or replaced by anything at all."""
    if draw(st.integers(0, 11)) == 0:
        return draw(anything)
    if isinstance(value, dict):
        return {key: strange(draw, one) for key, one in value.items() if draw(st.integers(0, 19))}
    return [strange(draw, one) for one in value] if isinstance(value, list) else value


@st.composite
def strange_journals(draw: st.DrawFn) -> bytes:
    rows = [strange(draw, row) for row in (RUN, START, DONE, {"event": "undo", "step": 1})]
    for row in rows:
        if isinstance(row, dict) and draw(st.booleans()):
            actions = ["trash", "move", "hardlink", "symlink", "reflink", "delete", "metadata"]
            row["action"] = draw(st.sampled_from(actions))
    lines = [json.dumps(row) for row in (HEAD, *rows[: draw(st.integers(1, 4))])]
    if draw(st.integers(0, 9)) == 0:
        lines.append(draw(deep))
    return "".join(f"{line}\n" for line in lines).encode()


@st.composite
def strange_plans(draw: st.DrawFn) -> bytes:
    parts = {key: strange(draw, PLAN[key]) for key in ("roots", "entries")}
    text = json.dumps({"schema": "cvsim.plan/1", **parts})
    if draw(st.integers(0, 9)) == 0:
        text = text.replace('"size"', draw(deep))
    return text.encode()


def refusal(act: Callable[[], object]) -> str:
    """The message of the error, empty if there is none."""
    try:
        act()
    except (ActionError, UsageError) as exc:
        return str(exc)
    return ""


def check_journal(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder, "journal")
        journal.write_bytes(data)
        for act in (
            lambda: read_steps(str(journal), trust=True),
            lambda: undo_journal(str(journal), trust=True),
        ):
            assert len(refusal(act).splitlines()) <= 1


def check_plan(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "plan.json")
        path.write_bytes(data)
        # Every problem is in a line of its own, up to ten.
        if why := refusal(lambda: Plan.load(path)):
            assert len(why.splitlines()) <= 12
            return
        plan = Plan.load(path)
        for entry in plan.entries:
            rests_on_proof(entry, {DIGEST})
        plan.save(path)
        assert Plan.load(path) == plan or "NaN" in path.read_text()


@settings(max_examples=150)
@given(
    st.binary(max_size=300)
    | st.binary(max_size=100).map(lambda data: json.dumps(HEAD).encode() + b"\n" + data)
)
@example(b"")
@example(b"\n")
@example(b"[]\n")
@example(b"\xff\n")
def test_any_bytes_for_a_journal(data: bytes) -> None:
    check_journal(data)


@settings(max_examples=300)
@given(strange_journals())
def test_strange_journals(data: bytes) -> None:
    check_journal(data)


@settings(max_examples=100)
@given(st.binary(max_size=300))
def test_any_bytes_for_a_plan(data: bytes) -> None:
    check_plan(data)


@settings(max_examples=300)
@given(strange_plans())
def test_strange_plans(data: bytes) -> None:
    check_plan(data)


def without(row: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != key}


@pytest.mark.parametrize(
    "data",
    [
        lines(without(START, "action")),
        lines({**RUN, "roots": [5]}),
        lines({**RUN, "roots": ["relative"]}),
        lines({**RUN, "roots": {"a": 1}}),
        lines({**RUN, "id": "a/../b"}),
        lines({**RUN, "made_folders": ["/a/../b"]}),
        lines(RUN, {**START, "action": ["move"]}),
        lines(RUN, {**START, "run": "another"}),
        lines(RUN, {**START, "target": 5}),
        lines(RUN, {**START, "attributes": {**START["attributes"], "mtime_ns": 10**30}}),
        lines(RUN, {**START, "attributes": {}}),
        lines(RUN, {**START, "action": "metadata", "removed": "no base64!"}),
        lines(RUN, {**START, "action": "metadata", "offset": -1}),
        lines(RUN, {**START, "folder_mtime_ns": 1e300}),
        lines(RUN, START, {**DONE, "trashed": "/x"}),
        lines(RUN, START, {**DONE, "target": ["/x"]}),
        lines(RUN, START, {**DONE, "step": 10**4000}),
        lines(RUN, {"event": "start\n" * 100, "step": 1}),
        lines("[" * 100_000),
        lines('{"event": "run", "id": ' + "[" * 100_000 + "]" * 100_000 + "}"),
        lines('{"event": "run", "id": ' + "9" * 10_000 + "}"),
    ],
)
def test_broken_journals_are_refused_in_one_line(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "journal").write_bytes(data)
    for trust in (False, True):
        with pytest.raises(ActionError, match=r"^Line \d ") as caught:
            undo_journal(str(tmp_path / "journal"), trust=trust)
        assert len(str(caught.value).splitlines()) == 1
    assert (tmp_path / "journal").read_bytes() == data


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"size"', "[" * 100_000 + "]" * 100_000),
        ('"size"', "[" * 500 + "]" * 500),
        ('"schema": "cvsim.plan/1"', '"schema": ' + "[" * 500 + "]" * 500),
        ('"roots": ["/p"]', '"roots": [' + "[" * 500 + "]" * 500 + "]"),
        ('"size_bytes": 1', f'"size_bytes": 1{"0" * 400}'),
        ('"mtime_ns": 2', f'"mtime_ns": -2{"0" * 30}'),
        ('"/p/b"', '"/p/\\ud800"'),
        ('"/p/b"', '"/p/\\u0000"'),
    ],
)
def test_broken_plans_are_refused(old: str, new: str, tmp_path: Path) -> None:
    text = json.dumps(PLAN)
    assert old in text
    (tmp_path / "plan.json").write_text(text.replace(old, new))
    with pytest.raises(ActionError) as caught:
        Plan.load(tmp_path / "plan.json")
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "proof", [5, [], {"kept": []}, {"kept": {}, "state": []}, {"state": {}, "kept": DIGEST}]
)
def test_a_proof_of_nonsense_proves_nothing(proof: object) -> None:
    document = json.loads(json.dumps(PLAN))
    document["entries"][1]["proof"] = proof
    document["entries"][1]["digest"] = "f" * 64
    assert not rests_on_proof(Plan.from_json(document).entries[1], {DIGEST})
