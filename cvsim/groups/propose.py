"""Which members of a group are proposed for removal, and why, in words.

A file is proposed only when nobody could miss it while the kept file is there:

- it has a scored edge of its own with the kept file, at or above the threshold: being in one group
  through a third picture is not enough;
- this edge has a proof (`cvsim.types.PROVED`): the same bytes, the same pixels, or everything visible in
  it explained by the kept file, which holds all else that it holds. Without one, ``--include`` may still
  ask for its relation, unless it holds something more or the kept file is the poorer one;
- the kept file is not the side that shows only a part of the other; and under ``cropped`` and
  ``pasted`` it is this file that does: two overlapping crops each show something of their own;
- it is not protected (``--reference`` folders, indexed files and protected folders);
- both lie outside archives, and the kept file is there now, as it was when it was indexed;
- a kept file that is damaged replaces identical files only, since nobody knows which part of the
  others it holds;
- nobody answered about it that it is to stay (see `cvsim.groups.decisions`);
- of two that are each other's mirror image, something says which one is the original: a person, or
  the rule ``original``;
- the profile's groups are not for looking at, or ``--include`` names the relation, whatever it is;
- no pixel is given away that nobody decided about: where the kept file won for being intact or
  protected, not by a keep rule that a person can order, a member with more pixels stays.

How the pipeline calls it::

    rules = KeepRules.parse(settings.keep).knowing(standings)
    index, rule = rules.choose(records, protected=is_reference)
    choice = Choice(records, index, rules, rule, threshold, include, is_reference, decisions)
    proofs = prove(choice.worth_proving(edges))
    proposals = choice.propose(with_proofs(edges, proofs))
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cvsim.errors import SettingsError
from cvsim.groups.decisions import Decisions
from cvsim.groups.keep import SHOWS_AS_MUCH, KeepRules, Protected
from cvsim.types import ImageRecord, Proof, ScoredPair

COPIES = frozenset({"identical-file", "identical-pixels", "re-encoded", "resized", "rotated", "mirrored"})
"""Relations of full copies."""
SAME_PIXELS = frozenset({"identical-pixels"})
INCLUDABLE = ("pasted", "cropped", "edited", "similar", "recolored")
"""Relations that ``--include`` adds."""
CHOSEN_BY_HAND = "you"
"""The rule by which a person chose."""
_TELLING = ("intact", "protected", "original", "folder:")
"""Beginnings of rules that say which of two mirror images is the original."""
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
    if unknown := include - set(INCLUDABLE) - COPIES:
        raise SettingsError(
            f"--include does not know {', '.join(sorted(unknown))}; choose from: {', '.join(INCLUDABLE)}"
        )
    return frozenset(include)


@dataclass(frozen=True, slots=True)
class Choice:
    """The members of one group, the one that is kept, and what is asked about the others.

    Attributes
    ----------
    records : sequence of ImageRecord
        The group.
    kept : int
        Position of the file to keep, from `KeepRules.choose`.
    threshold : float
        Inclusive.
    rules : KeepRules
        Those that chose; the default rules if not given.
    rule : str
        The rule that chose the kept file, for its reason; `CHOSEN_BY_HAND` for a person's choice.
    include : collection of str
        Relations that may be proposed without a proof, from `parse_include`.
    protected : callable or collection of str
        What is never proposed: ``record -> bool``, or folders.
    decisions : Decisions, optional
        Remembered answers: a file that is to be kept beside another one of the group, or that is no
        duplicate of it, is not proposed, unless the kept file has the same bytes.
    only_included : bool
        The group is for looking at: only the relations of `include` are proposed, full copies no exception.
    beside : sequence of ImageRecord
        Where these are one version of what a group shows, all of the group: an answer about any of it counts.
    """

    records: Sequence[ImageRecord]
    kept: int
    threshold: float
    rules: KeepRules = field(default_factory=KeepRules.parse)
    rule: str = ""
    include: Collection[str] = ()
    protected: Protected = ()
    decisions: Decisions | None = None
    only_included: bool = False
    beside: Sequence[ImageRecord] = ()

    @property
    def keeper(self) -> ImageRecord:
        """The file that is kept."""
        return self.records[self.kept]

    def worth_proving(self, edges: Iterable[ScoredPair]) -> list[ImageRecord]:
        """The members of whom a proof decides whether they are proposed.

        Parameters
        ----------
        edges : iterable of ScoredPair
            Every scored pair of the group; those without the kept file are ignored.
        """
        own_edge = _edges_with(self.keeper.path, edges)
        return [
            record
            for record in self.records
            if record is not self.keeper
            and (edge := own_edge.get(record.path)) is not None
            and edge.relation != "identical-file"
            and self._stays_anyway(record, edge) is None
        ]

    def propose(self, edges: Iterable[ScoredPair]) -> tuple[Proposal, ...]:
        """Decide for each member, in the order of `records`; the kept file's has ``remove=False``.

        Parameters
        ----------
        edges : iterable of ScoredPair
            As for `worth_proving`, those with the kept file with their proofs.
        """
        own_edge = _edges_with(self.keeper.path, edges)
        return tuple(self._decide(record, own_edge.get(record.path)) for record in self.records)

    def _decide(self, record: ImageRecord, edge: ScoredPair | None) -> Proposal:
        if record is self.keeper:
            return Proposal(False, f"kept: {self.rule}" if self.rule else "kept")
        objection = self._stays_anyway(record, edge)
        if objection is None and edge is not None:
            objection = self._objection(record, edge)
            if objection is None:
                return Proposal(True, self._in_favour(record, edge))
        return Proposal(False, f"left alone: {objection}")

    def _stays_anyway(self, record: ImageRecord, edge: ScoredPair | None) -> str | None:
        """Why this file stays whatever a proof says, or None."""
        if self.rules.protection(self.protected)(record):
            return "protected"
        if why_away := self.rules.why_away(record.path) or self.rules.why_away(self.keeper.path):
            return why_away
        if edge is None or edge.score < self.threshold:
            return "not compared well enough with the kept file itself"
        if self.decisions is not None:
            answered = _answered(record, self.keeper, self.beside or self.records, self.decisions)
            if answered is not None:
                return answered
        if self.only_included and edge.relation not in self.include:
            return f"this group is for looking at; --include {edge.relation} proposes those"
        if edge.relation == "identical-file":
            return None
        if self.keeper.damaged:
            return "the kept file is damaged itself"
        if _contained(edge) == self.keeper.path:
            return "it shows more of the picture than the kept file"
        decided = self.rules.why(self.keeper, record, self.protected)
        is_larger = record.n_pixels > self.keeper.n_pixels and not record.damaged
        if decided in ("intact", "protected") and is_larger:
            return f"it has more pixels than the kept file, which was chosen for being {decided}"
        return None

    def _objection(self, record: ImageRecord, edge: ScoredPair) -> str | None:
        """Why this file must not be proposed though a proof could be tried, or None."""
        if edge.relation == "identical-file":
            return None
        proof = edge.proof or Proof("not-tried")
        if proof.is_enough:
            return self._about_the_original(record, edge, proof)
        if proof.state not in ("holds-more", "poorer-kept") and edge.relation in self.include:
            if edge.relation in _NEEDS_CONTAINED and _contained(edge) != record.path:
                return "it shows something that the kept file does not"
            return None
        return _unproved(proof, edge)

    def _about_the_original(self, record: ImageRecord, edge: ScoredPair, proof: Proof) -> str | None:
        """Why one cannot tell which of two files that explain each other was made from the other, or None."""
        decided = self.rules.why(self.keeper, record, self.protected)
        if self.rule == CHOSEN_BY_HAND or (decided.startswith(_TELLING) and decided != SHOWS_AS_MUCH):
            return None
        is_mirrored = proof.is_mirrored or "mirrored" in edge.changes
        if is_mirrored and "mirrored" not in self.include:
            return "one is the other's mirror image, and nothing tells which one is the original"
        if proof.shows_as_much and "resized" not in self.include:
            return "the larger one of the two shows no more, and nothing tells which one is the original"
        return None

    def _in_favour(self, record: ImageRecord, edge: ScoredPair) -> str:
        words = _IN_WORDS[edge.relation]
        reason = f"{words} of the kept file" if edge.relation == "cropped" else words
        if edge.proof is not None and edge.proof.words and edge.proof.is_enough:
            reason = edge.proof.words
        decided = self.rules.why(self.keeper, record, self.protected)
        reason += f" (score {edge.score:.3f}); the kept file wins by {decided}"
        lost = [
            name
            for name, has, kept_has in (
                ("date", record.taken_at is not None, self.keeper.taken_at is not None),
                ("position", record.has_gps, self.keeper.has_gps),
            )
            if has and not kept_has
        ]
        return f"{reason}; the kept file lacks its {' and '.join(lost)}" if lost else reason


def _contained(edge: ScoredPair) -> str | None:
    """Path of the side that is only a part of the other."""
    if edge.contained is None:
        return None
    return edge.pair.a if edge.contained == "a" else edge.pair.b


def _unproved(proof: Proof, edge: ScoredPair) -> str:
    """Why there is no proof, in words."""
    if proof.state == "holds-more":
        return f"it holds something that the kept file does not: {proof.words}"
    if proof.state == "poorer-kept":
        return "the kept file is the poorer one"
    hint = f"; --include {edge.relation} proposes those" if edge.relation in INCLUDABLE else ""
    if proof.state == "not-tried":
        return f"it could not be proved that nothing is lost{proof.words and f': {proof.words}'}{hint}"
    if edge.relation in COPIES:
        return f"it shows something that the kept file does not{hint}"
    return f"{_IN_WORDS[edge.relation]}, no full copy{hint}"


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
