"""For any tree, groups, rules and answers: nothing unique is lost, and undo brings everything back."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, event, given, settings, strategies as st
from photo_library import jpeg, snapshot, write
from PIL import Image
from test_metadata import exif_block

from cvsim.actions.apply import apply_plan
from cvsim.actions.plan import Plan, make_plan
from cvsim.actions.undo import undo_journal
from cvsim.errors import CvsimError
from cvsim.groups.decisions import Answer, Decisions
from cvsim.groups.keep import KeepRules
from cvsim.groups.propose import INCLUDABLE, Choice
from cvsim.images.decode import decode, pixel_digest
from cvsim.types import Group, ImageRecord, Member, Pair, Proof, ProofState, Relation, ScoredPair

NAMES = ("a", "b c", "ü", "\udcff", "x.y", "IMG_1", "-n", "new\nline")
FOLDERS = ("", "x", "x/y", "z\udcfe", "protected")
ENDINGS = (".jpg", ".JPG", ".png")
COMPANIONS = (".xmp", ".json", ".mov", ".cr2", ".jpg.xmp")
RULES = ("resolution", "size", "oldest", "newest", "path", "longest-name", "format:png/jpeg", "folder:x")


@st.composite
def picture(draw: st.DrawFn) -> bytes:
    """One of a few pictures, so that some are identical; some damaged, some no picture at all."""
    seed, quality = 1, draw(st.sampled_from([90, 90, 60]))
    kind = draw(st.sampled_from(["jpeg", "jpeg", "jpeg", "dated", "dated", "png", "cut", "junk"]))
    data = jpeg(seed, quality, exif_block() if kind == "dated" else b"")
    if kind == "png":
        buffer = io.BytesIO()
        Image.open(io.BytesIO(data)).save(buffer, "png")
        data = buffer.getvalue()
    return {"cut": data[:-60], "junk": b"junk"}.get(kind, data)


@dataclass
class Case:
    """Files with their content, groups by position, and everything that was asked for."""

    files: dict[str, bytes]
    companions: dict[str, bytes]
    groups: list[list[str]]
    edges: list[ScoredPair]
    rules: KeepRules
    include: set[str]
    answers: dict[tuple[int, int], Answer]
    action: str
    carry: bool
    edits: list[str]


@st.composite
def cases(draw: st.DrawFn, action: str) -> Case:
    path = st.builds(
        lambda folder, name, ending: f"{folder}/{name}{ending}".lstrip("/"),
        *(st.sampled_from(values) for values in (FOLDERS, NAMES, ENDINGS)),
    )
    files = draw(st.dictionaries(path, picture(), min_size=4, max_size=10))
    names = draw(st.permutations(sorted(files)))
    cut = draw(st.integers(len(names) // 2, len(names)))
    groups = [group for group in (names[:cut], names[cut:]) if len(group) > 1]
    edges = []
    for group in groups:
        for position, one in enumerate(sorted(group)):
            for other in sorted(group)[position + 1 :]:
                edges += [_edge(draw, one, other, files)] if draw(st.integers(0, 9)) != 9 else []
    companions = {}
    for name in names:
        if draw(st.integers(0, 4)) == 0:
            companion = str(Path(name).with_suffix(draw(st.sampled_from(COMPANIONS))))
            companions[companion] = draw(st.sampled_from([b"same", name.encode("utf-8", "surrogateescape")]))
    pair = st.tuples(st.integers(0, len(names) - 1), st.integers(0, len(names) - 1))
    return Case(
        files,
        companions,
        groups,
        edges,
        KeepRules.parse(draw(st.lists(st.sampled_from(RULES), min_size=1, max_size=3))),
        draw(st.sets(st.sampled_from(INCLUDABLE))),
        draw(st.dictionaries(pair, st.sampled_from(["keep-both", "not-a-duplicate"]), max_size=2)),
        action,
        draw(st.booleans()),
        draw(st.lists(st.sampled_from(names), max_size=1)),
    )


def _edge(draw: st.DrawFn, a: str, b: str, files: dict[str, bytes]) -> ScoredPair:
    relation = "identical-file" if files[a] == files[b] else draw(st.sampled_from(get_args(Relation)))
    states = ["explained"] * 4 + [state for state in get_args(ProofState) if state != "same-bytes"]
    state = "same-bytes" if relation == "identical-file" else draw(st.sampled_from(states))
    contained = None if relation == "identical-file" else draw(st.sampled_from([None, None, "a", "b"]))
    return ScoredPair(
        Pair(a, b),
        -6.0,
        draw(st.sampled_from([1.0, 0.95, 0.95, 0.9])),
        relation,
        contained,
        (),
        (relation,),
        Proof(state),
    )


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def is_intact(data: bytes) -> bool:
    try:
        return not decode(data, longest_px=2**31).damaged
    except CvsimError:
        return False


def same_picture(data: bytes, digest: str, case: Case) -> bool:
    """The file that the plan keeps; a date may have come to it, its pixels are the same."""
    original = next(one for one in case.files.values() if sha(one) == digest)
    return data == original or (case.carry and pixel_digest(data) == pixel_digest(original))


def plan_of(case: Case, root: Path) -> tuple[Plan, list[list[Path]]]:
    """What the pipeline does with the groups of a run."""
    records = {name: record(root / name, data, age) for age, (name, data) in enumerate(case.files.items())}
    digests = [sha(data) for _, data in sorted(case.files.items())]
    keys = {tuple(sorted((digests[a], digests[b]))): answer for (a, b), answer in case.answers.items()}
    decisions = Decisions(keys)  # type: ignore[arg-type]
    edges = [
        dataclasses.replace(e, pair=Pair(str(root / e.pair.a), str(root / e.pair.b))) for e in case.edges
    ]
    digest_of = {one.path: one.digest for one in records.values()}
    edges = decisions.separate(edges, digest_of)
    protected = {str(root / "protected")}
    groups = []
    for number, names in enumerate(case.groups, 1):
        members = [records[name] for name in names]
        kept, rule = case.rules.choose(members, protected)
        choice = Choice(members, kept, 0.95, case.rules, rule, case.include, protected, decisions)
        proposals = choice.propose(edges)
        group = tuple(
            Member(one, None, what.remove, what.reason) for one, what in zip(members, proposals, strict=True)
        )
        own = tuple(e for e in edges if e.pair.a in {m.path for m in members})
        groups.append(Group(number, group, members[kept].path, rule, own, 1.0, None, 0))
    return make_plan([str(root)], groups), [[root / name for name in names] for names in case.groups]


def record(path: Path, data: bytes, age: int) -> ImageRecord:
    write(path, data, age=age, mode=0o600 + age)
    status, intact = path.stat(), is_intact(data)
    format = "png" if data[:4] == b"\x89PNG" else "jpeg"
    return ImageRecord(str(path), sha(data), 32, 24, status.st_size, status.st_mtime_ns, format, not intact)


@pytest.mark.parametrize("action", ["trash", "move", "hardlink", "symlink", "delete"])
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data())
def test_nothing_unique_is_lost_and_undo_restores(action: str, memory: Path, data: st.DataObject) -> None:
    case = data.draw(cases(action))
    base = Path(tempfile.mkdtemp(dir=memory))
    root = base / "photos"
    for name, content in case.companions.items():
        if name not in case.files:
            write(root / name, content)
    plan, groups = plan_of(case, root)
    for name in case.edits:  # somebody edits a file between plan and apply
        with (root / name).open("ab") as stream:
            stream.write(b"edited")
    before = snapshot(root, folder_times=True)
    intact_before = [any(is_intact(path.read_bytes()) for path in group) for group in groups]
    where = f"move:{base / 'target'}" if action == "move" else action
    carry = case.carry and case.action in ("trash", "move", "delete")

    applied = apply_plan(plan, where, str(base / "journal"), carry_metadata=carry)

    for group, was_intact in zip(groups, intact_before, strict=True):
        left = [path.read_bytes() for path in group if path.exists()]
        assert not was_intact or any(is_intact(one) for one in left)
        assert left
    _assert_every_loss_is_vouched_for(plan, case, root, before)
    assert not any(path.startswith("protected/") for path in set(before) - set(snapshot(root)))

    event(f"{min(applied.count('done'), 3)} done")
    undone = undo_journal(str(base / "journal"))

    if case.action != "delete":
        assert undone.count("skipped") == 0, undone
        assert snapshot(root, folder_times=True) == before
    else:
        gone = {str(Path(one.path).relative_to(root)) for one in undone.outcomes if one.status == "deleted"}
        assert set(before) - set(snapshot(root)) == gone
    pictures = [one for one in undone.outcomes if one.action != "metadata"]
    assert applied.count("done") == len(pictures)
    shutil.rmtree(base)


def _assert_every_loss_is_vouched_for(plan: Plan, case: Case, root: Path, before: dict[str, object]) -> None:
    """A file is gone only with a kept file there that it had an edge of its own with, or as its companion."""
    after = snapshot(root)
    edges = {frozenset((str(root / e.pair.a), str(root / e.pair.b))) for e in case.edges if e.score >= 0.95}
    kept = {entry.group: entry for entry in plan.entries if entry.decision == "keep"}
    stems = set()
    for entry in plan.entries:
        name = str(Path(entry.path).relative_to(root))
        if name in after:
            continue
        voucher = kept[entry.group]
        assert entry.decision == "remove"
        assert frozenset((entry.path, voucher.path)) in edges
        assert same_picture(Path(voucher.path).read_bytes(), voucher.digest, case)
        stems.add(Path(name).with_suffix(""))
    for name in set(before) - set(after) - set(case.files):
        assert Path(name).with_suffix("") in stems or Path(name).with_suffix("").with_suffix("") in stems
        if case.action == "delete":
            copies = [data for other, data in case.companions.items() if other != name and other in after]
            assert case.companions[name] in copies
