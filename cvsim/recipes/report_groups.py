"""From labelled nodes to the groups of a report: what to keep, what to propose, how firm it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cvsim.groups.propose import Choice, Proposal
from cvsim.proof.prove import SAME_BYTES, FileRef, file_ref
from cvsim.scoring.explainer import Explainer, with_proof
from cvsim.types import Group, Holdings, ImageRecord, Member, Proof, ScoredPair, Version

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.groups.components import Grouping
    from cvsim.groups.keep import KeepRules
    from cvsim.groups.rules import GroupRules
    from cvsim.reading.nodes import Node
    from cvsim.recipes.linking import Linker
    from cvsim.scoring.scorer import Scores
    from cvsim.types import Indices

    Proofs = Mapping[tuple[str, str], Proof]


@dataclass(frozen=True, slots=True)
class Draft:
    """A group as it is before anything is proved about it.

    Attributes
    ----------
    choice : Choice
        Its members and the one that is kept.
    known : tuple of ScoredPair
        Every scored pair.
    links : tuple of ScoredPair
        Those at or above the threshold.
    weakest_link : float
        NaN for files of one content.
    weakest_pair : float or None
    bridges : int
    nodes : mapping of int to Node
        By number.
    rows : (n,) int64
        Of the scores of their pairs.
    """

    choice: Choice
    known: tuple[ScoredPair, ...]
    links: tuple[ScoredPair, ...]
    weakest_link: float
    weakest_pair: float | None
    bridges: int
    nodes: Mapping[int, Node]
    rows: Indices

    def to_prove(self) -> list[tuple[FileRef, FileRef]]:
        """Copies and kept file, where a proof decides."""
        kept = file_ref(self.choice.keeper)
        return [(file_ref(record), kept) for record in self.choice.worth_proving(self.known)]

    def proved(self, edges: Iterable[ScoredPair], proofs: Proofs) -> list[ScoredPair]:
        """The edges, those with the kept file with what was proved about the other side."""
        by_path = {record.path: record for record in self.choice.records}
        return [self._proved(edge, by_path, proofs) for edge in edges]

    def _proved(self, edge: ScoredPair, by_path: Mapping[str, ImageRecord], proofs: Proofs) -> ScoredPair:
        keeper = self.choice.keeper
        if keeper.path not in _sides(edge):
            return edge
        copy = by_path.get(_other(edge, keeper.path))
        if copy is None:
            return edge
        proof = SAME_BYTES if copy.digest == keeper.digest else proofs.get((copy.digest, keeper.digest))
        return edge if proof is None else with_proof(edge, copy, keeper, proof)

    def proposals(self, proofs: Proofs) -> dict[str, Proposal]:
        """What is proposed for each file, by its path."""
        proposed = self.choice.propose(self.proved(self.known, proofs))
        return {record.path: one for record, one in zip(self.choice.records, proposed, strict=True)}

    def left(self, proofs: Proofs) -> set[int]:
        """Nodes of which nothing is kept and nothing goes, and that are where they can be looked at."""
        proposals, choice = self.proposals(proofs), self.choice

        def is_left(node: Node) -> bool:
            return not any(
                record is choice.keeper or proposals[record.path].remove or choice.rules.why_away(record.path)
                for record in node.records
            )

        return {number for number, node in self.nodes.items() if is_left(node)}


def draft_groups(linker: Linker, rules: GroupRules) -> list[Draft]:
    """The groups that are worth showing, in the order of their smallest paths."""
    linker.confirm_pixels(np.flatnonzero(linker.groups().linked[: len(linker.scores)]))
    grouping, scores, nodes = linker.groups(), linker.scores, linker.collection.nodes
    rows_of = _ByGroup(scores, grouping)
    builder = _Builder.of(linker, rules)
    drafts = []
    has_more = np.array([len(node.records) > 1 for node in nodes], bool)
    may_show = np.bincount(grouping.labels, has_more, grouping.n_groups) + grouping.sizes > 1
    for label in np.flatnonzero(may_show).tolist():
        members = {n: nodes[n] for n in rows_of.nodes(label).tolist()}
        firm = float(grouping.weakest_link[label]), int(grouping.n_bridges[label])
        if is_worth_showing(members.values()):
            drafts.append(builder.build(members, rows_of.rows(label), *firm))
    return sorted(drafts, key=lambda draft: min(record.path for record in draft.choice.records))


def draft_versions(
    linker: Linker, rules: GroupRules, versions: Iterable[tuple[Draft, list[int]]]
) -> list[Draft]:
    """Some nodes of a group each, as if they were a group: those of whom one may be kept for the others."""
    builder, scores = _Builder.of(linker, rules), linker.scores
    drafts = []
    for group, numbers in versions:
        is_inside = np.isin(scores.a[group.rows], numbers) & np.isin(scores.b[group.rows], numbers)
        members = {n: group.nodes[n] for n in numbers}
        draft = builder.build(members, group.rows[is_inside], group.weakest_link, 0)
        drafts.append(replace(draft, choice=replace(draft.choice, beside=group.choice.records)))
    return drafts


@dataclass(frozen=True, slots=True)
class Proved:
    """A group and its versions (see `cvsim.groups.versions`) that give something up."""

    draft: Draft
    versions: tuple[Draft, ...] = ()

    def with_versions(self, linker: Linker, rules: GroupRules) -> Proved:
        """The same, the kept files of the versions standing for their nodes in the links."""
        if not self.versions:
            return self
        lead = {
            n: version.choice.keeper
            for version in self.versions
            for n, node in version.nodes.items()
            if version.choice.keeper in node.records
        }
        draft = self.draft
        again = _Builder.of(linker, rules).edges(draft.nodes, draft.rows, draft.choice.keeper, lead)
        return replace(self, draft=replace(draft, known=again.known, links=again.links))


def finished_groups(
    groups: Sequence[Proved], proofs: Proofs, holdings: Mapping[str, Holdings]
) -> tuple[Group, ...]:
    """The groups with what was proved, numbered in order.

    Parameters
    ----------
    groups : sequence of Proved
    proofs : mapping of (str, str) to Proof
        By the digests of copy and kept file.
    holdings : mapping of str to Holdings
        Of every member, by digest.
    """
    return tuple(_finished(group, number, proofs, holdings) for number, group in enumerate(groups, 1))


def doubtful_links(linker: Linker) -> tuple[ScoredPair, ...]:
    """Links that would have joined two groups and that nothing else supports, by their files."""
    nodes = linker.collection.nodes
    rows = linker.rows_left_out()
    ends = [(nodes[int(linker.scores.a[row])], nodes[int(linker.scores.b[row])]) for row in rows]
    pairs = linker.explainer().pairs(
        np.array(rows, np.int64), [_by_path(first.first, second.first) for first, second in ends]
    )
    return tuple(sorted(pairs, key=_sides))


def _finished(group: Proved, number: int, proofs: Proofs, holdings: Mapping[str, Holdings]) -> Group:
    draft, keeper = group.draft, group.draft.choice.keeper
    known, links = draft.proved(draft.known, proofs), draft.proved(draft.links, proofs)
    proposals = draft.proposals(proofs)
    own = {_other(edge, keeper.path): edge.proof for edge in known if edge.copy is not None}
    versions = []
    for version in group.versions:
        kept, rule = version.choice.keeper.path, version.choice.rule
        removed = {path: one for path, one in version.proposals(proofs).items() if one.remove}
        judged = version.proved(version.known, proofs)
        own |= {path: edge.proof for edge in judged if edge.copy and (path := _other(edge, kept)) in removed}
        why_not = proposals[kept].reason.removeprefix("left alone: ")
        reason = f"kept for copies of its own: {rule}; beside the first one it stays, too: {why_not}"
        proposals |= {**removed, kept: Proposal(False, reason)}
        links = version.proved(links, proofs)
        versions.append(Version(kept, rule, tuple(sorted(removed))))
    score_with = {_other(edge, keeper.path): edge.score for edge in known if keeper.path in _sides(edge)}
    listed = [
        Member(
            record,
            1.0 if record is keeper else score_with.get(record.path),
            proposals[record.path].remove,
            proposals[record.path].reason,
            holdings.get(record.digest, Holdings()),
            own.get(record.path),
        )
        for record in draft.choice.records
    ]
    listed.sort(key=lambda member: (member.record is not keeper, member.record.path))
    return Group(
        id=number,
        members=tuple(listed),
        keep=keeper.path,
        rule=draft.choice.rule,
        edges=tuple(sorted(links, key=_sides)),
        weakest_link=1.0 if np.isnan(draft.weakest_link) else draft.weakest_link,
        weakest_pair=draft.weakest_pair,
        bridges=draft.bridges,
        versions=tuple(sorted(versions, key=lambda version: version.keep)),
    )


def marked_groups(groups: Sequence[Group], indexed: Collection[str], keep: KeepRules) -> tuple[Group, ...]:
    """The groups with what the keep rules know of members: why they are away, companions, sharpness."""

    def marked(member: Member) -> Member:
        path = member.record.path
        return replace(
            member,
            indexed=path in indexed,
            why_away=keep.why_away(path),
            companions=tuple(keep.beside(path)),
            sharpness=keep.sharpness(member.record.digest),
        )

    return tuple(replace(group, members=tuple(map(marked, group.members))) for group in groups)


def _sides(edge: ScoredPair) -> tuple[str, str]:
    return edge.pair.a, edge.pair.b


def _other(edge: ScoredPair, path: str) -> str:
    return edge.pair.b if edge.pair.a == path else edge.pair.a


def _by_path(a: ImageRecord, b: ImageRecord) -> tuple[ImageRecord, ImageRecord]:
    return (a, b) if a.path <= b.path else (b, a)


class _ByGroup:
    """Nodes and scored rows of each group."""

    def __init__(self, scores: Scores, grouping: Grouping) -> None:
        labels = grouping.labels
        self._node_order = np.argsort(labels, kind="stable")
        self._node_ends = np.searchsorted(labels[self._node_order], np.arange(grouping.n_groups + 1))
        inside = np.flatnonzero(labels[scores.a] == labels[scores.b])
        of_row = labels[scores.a[inside]]
        order = np.argsort(of_row, kind="stable")
        self._rows = inside[order]
        self._row_ends = np.searchsorted(of_row[order], np.arange(grouping.n_groups + 1))

    def nodes(self, label: int) -> Indices:
        return self._node_order[self._node_ends[label] : self._node_ends[label + 1]]

    def rows(self, label: int) -> Indices:
        return self._rows[self._row_ends[label] : self._row_ends[label + 1]]


class _PairsOfGroup(NamedTuple):
    """Scored pairs of a group: all that are known, the links, and the lowest score."""

    known: tuple[ScoredPair, ...]
    links: tuple[ScoredPair, ...]
    weakest: float | None


class _Builder:
    def __init__(
        self,
        nodes: Sequence[Node],
        scores: Scores,
        linked: NDArray[np.bool_],
        explainer: Explainer,
        rules: GroupRules,
    ) -> None:
        self._nodes, self._scores, self._linked = nodes, scores, linked
        self._explainer, self._rules = explainer, rules

    @classmethod
    def of(cls, linker: Linker, rules: GroupRules) -> _Builder:
        """For what a linker has scored."""
        scores = linker.scores
        linked = linker.groups().linked[: len(scores)]
        return cls(linker.collection.nodes, scores, linked, linker.explainer(), rules)

    def build(self, nodes: Mapping[int, Node], rows: Indices, weakest_link: float, n_bridges: int) -> Draft:
        """A group of these nodes, of whose pairs `rows` are the scores."""
        records = [record for node in nodes.values() for record in node.records]
        reference = {r.path for node in nodes.values() if node.is_reference for r in node.records}
        records.sort(key=lambda r: r.path)
        kept, rule = self._rules.keep.choose(records, lambda r: r.path in reference)
        edges = self.edges(nodes, rows, records[kept])
        choice = Choice(
            records,
            kept,
            self._rules.threshold,
            self._rules.keep,
            rule,
            self._rules.include,
            lambda r: r.path in reference,
            self._rules.decisions,
            self._rules.only_included,
        )
        bridges = n_bridges + _n_star_bridges(nodes.values())
        return Draft(choice, edges.known, edges.links, weakest_link, edges.weakest, bridges, nodes, rows)

    def edges(
        self,
        nodes: Mapping[int, Node],
        rows: Indices,
        keeper: ImageRecord,
        standing: Mapping[int, ImageRecord] | None = None,
    ) -> _PairsOfGroup:
        """The pairs of these nodes; `standing`, by node, are files that stand for others than the first."""
        kept_node = next(n for n, node in nodes.items() if keeper in node.records)
        lead = {n: node.first for n, node in nodes.items()} | dict(standing or {}) | {kept_node: keeper}
        scored = self._explainer.pairs(rows, [self._leads(row, lead) for row in rows.tolist()])
        stars = list(self._stars(nodes, lead))
        links = [pair for pair, link in zip(scored, self._linked[rows], strict=True) if link] + stars
        records = [record for node in nodes.values() for record in node.records]
        known = scored + stars + self._more_edges(records, keeper, kept_node, rows, lead)
        weakest = min((pair.score for pair in scored + stars), default=None)
        return _PairsOfGroup(tuple(known), tuple(links), weakest)

    def _leads(self, row: int, lead: Mapping[int, ImageRecord]) -> tuple[ImageRecord, ImageRecord]:
        """The files that stand for the two nodes of a row, by path."""
        return _by_path(lead[int(self._scores.a[row])], lead[int(self._scores.b[row])])

    def _stars(self, nodes: Mapping[int, Node], lead: Mapping[int, ImageRecord]) -> Iterator[ScoredPair]:
        """Edges between files of the same bytes: each with its node's lead, nodes of one content in a row."""
        before: dict[str, ImageRecord] = {}
        for n, node in nodes.items():
            center = lead[n]
            if node.digest in before:
                yield self._identical(before[node.digest], center)
            before[node.digest] = center
            if node.has_pairs_inside:
                for record in node.records:
                    if record is not center:
                        yield self._identical(center, record)

    def _identical(self, a: ImageRecord, b: ImageRecord) -> ScoredPair:
        return Explainer.identical(*_by_path(a, b), self._explainer.prior)

    def _more_edges(
        self,
        records: Sequence[ImageRecord],
        keeper: ImageRecord,
        kept_node: int,
        rows: Indices,
        lead: Mapping[int, ImageRecord],
    ) -> list[ScoredPair]:
        """Edges with the kept file of those that stand for no node: they share a score, not an edge."""
        of, sides = [], []
        for row in rows.tolist():
            a, b = int(self._scores.a[row]), int(self._scores.b[row])
            other = b if a == kept_node else a if b == kept_node else None
            if other is None:
                continue
            for record in self._nodes[other].records:
                if record is not lead[other]:
                    of.append(row)
                    sides.append(_by_path(keeper, record))
        edges = self._explainer.pairs(np.array(of, np.int64), sides)
        edges += [
            self._identical(keeper, record)
            for record in records
            if record.digest == keeper.digest and record is not keeper
        ]
        return edges


def is_worth_showing(nodes: Collection[Node]) -> bool:
    """Copies within references alone, or within one path when only pairs between paths count, are not."""
    if sum(len(node.records) for node in nodes) < 2 or all(node.is_reference for node in nodes):
        return False
    is_between_only = any(node.root is not None for node in nodes)
    return not is_between_only or len({node.side for node in nodes}) > 1


def _n_star_bridges(nodes: Iterable[Node]) -> int:
    return sum(len(node.records) - 1 for node in nodes if node.has_pairs_inside)
