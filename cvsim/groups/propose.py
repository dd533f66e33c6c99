"""Which members of a group are proposed for removal, and why, in words.

A file is proposed only when everything that can be seen in it can be seen in the kept file:

- it has a scored edge of its own with the kept file, at or above the threshold: being in one group
  through a third picture is not enough;
- the edge's relation says it is a full copy (`FULL_COPY`), or one that was asked for by ``--include``;
- the kept file is not the side that shows only a part of the other; and under ``cropped`` and
  ``pasted`` it is this file that does: two overlapping crops each show something of their own;
- it is not protected (``--reference`` folders and protected folders);
- a kept file that is damaged replaces identical files only, since nobody knows which part of the
  others it holds;
- nobody answered about it that it is to stay (see `cvsim.groups.decisions`);
- no pixel is given away that nobody decided about: where the kept file won for being intact or
  protected, not by a keep rule that a person can order, a member with more pixels stays.

What a full copy is: ``rotated`` and ``mirrored`` hold the same picture turned; ``re-encoded`` and
``resized`` hold it at another quality, which the keep rules weigh. ``recolored`` is not one: a colour
picture is gone for good when its grey version is the one kept, and a grey version may be work that
somebody wants; it takes ``--include recolored``.

How the pipeline calls it::

    rules = KeepRules.parse(settings.keep)
    index, rule = rules.choose(records, protected=is_reference)
    proposals = propose(records, index, edges, rules=rules, rule=rule, threshold=settings.threshold,
                        include=parse_include(settings.include), protected=is_reference,
                        decisions=Decisions.load(settings.decisions))
    members = [Member(record, score, proposal.remove, proposal.reason)
               for record, proposal in zip(records, proposals)]
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from cvsim.errors import SettingsError
from cvsim.groups.decisions import Decisions
from cvsim.groups.keep import KeepRules, Protected
from cvsim.types import ImageRecord, ScoredPair

FULL_COPY = frozenset({"identical-file", "identical-pixels", "re-encoded", "resized", "rotated", "mirrored"})
"""Relations whose files are proposed for removal by default."""
INCLUDABLE = ("pasted", "cropped", "edited", "similar", "recolored")
"""Relations that ``--include`` adds."""
_NEEDS_CONTAINED = frozenset({"cropped", "pasted"})

_IN_WORDS: Mapping[str, str] = {
    "identical-file": "the same file, byte for byte",
    "identical-pixels": "the same pixels",
    "re-encoded": "the same picture, encoded again",
    "resized": "the same picture at another size",
    "recolored": "the same picture in other colours",
    "edited": "an edited version",
    "cropped": "a part",
    "pasted": "pasted together with something else",
    "rotated": "the same picture, turned",
    "mirrored": "the same picture, mirrored",
    "similar": "a similar picture",
}


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is proposed for one member.

    Attributes
    ----------
    remove : bool
        Proposed for removal.
    reason : str
        Why it is kept, proposed or left alone, in words.
    """

    remove: bool
    reason: str


def parse_include(text: str | Iterable[str] | None) -> frozenset[str]:
    """Relations from ``"pasted,cropped"``.

    Raises
    ------
    SettingsError
        A relation that cannot be included; those that can are named.
    """
    parts = text.split(",") if isinstance(text, str) else list(text or ())
    include = {part.strip() for part in parts if part.strip()}
    if unknown := include - set(INCLUDABLE) - FULL_COPY:
        raise SettingsError(
            f"--include does not know {', '.join(sorted(unknown))}; choose from: {', '.join(INCLUDABLE)}"
        )
    return frozenset(include)


def propose(
    records: Sequence[ImageRecord],
    kept: int,
    edges: Iterable[ScoredPair],
    *,
    threshold: float,
    rules: KeepRules | None = None,
    rule: str = "",
    include: Collection[str] = (),
    protected: Protected = (),
    decisions: Decisions | None = None,
) -> tuple[Proposal, ...]:
    """Decide for each member of one group.

    Parameters
    ----------
    records : sequence of ImageRecord
        The group.
    kept : int
        Position of the file to keep, from `KeepRules.choose`.
    edges : iterable of ScoredPair
        Every scored pair of the group; those without the kept file are ignored.
    threshold : float
        Inclusive.
    rules : KeepRules, optional
        Those that chose; the default rules if not given.
    rule : str
        The rule that chose the kept file, for its reason.
    include : collection of str
        Relations beyond `FULL_COPY` that may be proposed, from `parse_include`.
    protected : callable or collection of str
        What is never proposed: ``record -> bool``, or folders.
    decisions : Decisions, optional
        Remembered answers: a file that is to be kept beside another one of the group, or that is no
        duplicate of it, is not proposed, unless the kept file has the same bytes.

    Returns
    -------
    tuple of Proposal
        In the order of `records`; the kept file's has ``remove=False``.
    """
    rules = rules or KeepRules.parse()
    allowed = FULL_COPY | set(include)
    is_protected = rules.protection(protected)
    keeper = records[kept]
    own_edge = _edges_with(keeper.path, edges)

    def decide(record: ImageRecord) -> Proposal:
        if record is keeper:
            return Proposal(False, f"kept: {rule}" if rule else "kept")
        edge = own_edge.get(record.path)
        if edge is None or edge.score < threshold:
            return Proposal(False, "left alone: not compared well enough with the kept file itself")
        if is_protected(record):
            return Proposal(False, "left alone: protected")
        if decisions is not None and (answered := _answered(record, keeper, records, decisions)):
            return Proposal(False, f"left alone: {answered}")
        decided = rules.why(keeper, record, protected)
        if objection := _objection(record, keeper, edge, allowed, decided):
            return Proposal(False, f"left alone: {objection}")
        return Proposal(True, _in_favour(record, keeper, edge, decided))

    return tuple(decide(record) for record in records)


def _edges_with(path: str, edges: Iterable[ScoredPair]) -> dict[str, ScoredPair]:
    """The kept file's own edges, by the path of the other side."""
    return {
        (edge.pair.b if edge.pair.a == path else edge.pair.a): edge
        for edge in edges
        if path in (edge.pair.a, edge.pair.b)
    }


def _answered(
    record: ImageRecord, keeper: ImageRecord, records: Sequence[ImageRecord], decisions: Decisions
) -> str | None:
    """The remembered answer that lets this file stay, or None."""
    if not decisions.concern(record.digest):
        return None
    same_as_kept = record.digest == keeper.digest
    for other in [keeper] if same_as_kept else records:
        answer = None if other is record else decisions.answer(record.digest, other.digest)
        if answer == "keep-both":
            return f"you chose to keep both this and {os.path.basename(other.path)}"
        if answer == "not-a-duplicate":
            return f"you said that it is no duplicate of {os.path.basename(other.path)}"
    return None


def _objection(
    record: ImageRecord, keeper: ImageRecord, edge: ScoredPair, allowed: Collection[str], decided: str
) -> str | None:
    """Why this file must not be proposed, or None."""
    if edge.relation == "identical-file":
        return None
    if keeper.damaged:
        return "the kept file is damaged itself"
    contained = None if edge.contained is None else getattr(edge.pair, edge.contained)
    if contained == keeper.path:
        return "it shows more of the picture than the kept file"
    if edge.relation not in allowed:
        hint = f"; --include {edge.relation} proposes those" if edge.relation in INCLUDABLE else ""
        return f"{_IN_WORDS[edge.relation]}, no full copy{hint}"
    if edge.relation in _NEEDS_CONTAINED and contained != record.path:
        return "it shows something that the kept file does not"
    if decided in ("intact", "protected") and record.n_pixels > keeper.n_pixels:
        return f"it has more pixels than the kept file, which was chosen for being {decided}"
    return None


def _in_favour(record: ImageRecord, keeper: ImageRecord, edge: ScoredPair, decided: str) -> str:
    words = _IN_WORDS[edge.relation]
    reason = f"{words} of the kept file" if edge.relation == "cropped" else words
    reason += f" (score {edge.score:.3f}); the kept file wins by {decided}"
    lost = [
        name
        for name, has, kept_has in (
            ("date", record.taken_at is not None, keeper.taken_at is not None),
            ("position", record.has_gps, keeper.has_gps),
        )
        if has and not kept_has
    ]
    return f"{reason}; the kept file lacks its {' and '.join(lost)}" if lost else reason
