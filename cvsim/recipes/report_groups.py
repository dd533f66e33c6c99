"""From labelled nodes to the groups of a report: what to keep, what to propose, how firm it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from cvsim.groups.propose import Choice
from cvsim.proof.prove import SAME_BYTES, FileRef, file_ref
from cvsim.scoring.explainer import Explainer, with_proof
from cvsim.types import Group, Holdings, ImageRecord, Member, Proof, ScoredPair

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.groups.components import Grouping
    from cvsim.groups.keep import KeepRules
    from cvsim.groups.rules import GroupRules
    from cvsim.reading.nodes import Node
    from cvsim.recipes.linking import Linker
    from cvsim.scoring.scorer import Scores
    from cvsim.types import Indices


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
    """

    choice: Choice
    known: tuple[ScoredPair, ...]
    links: tuple[ScoredPair, ...]
    weakest_link: float
    weakest_pair: float | None
    bridges: int

    def to_prove(self) -> list[tuple[FileRef, FileRef]]:
        """Copies and kept file, where a proof decides."""
        kept = file_ref(self.choice.keeper)
        return [(file_ref(record), kept) for record in self.choice.worth_proving(self.known)]


def draft_groups(linker: Linker, rules: GroupRules) -> list[Draft]:
    """The groups that are worth showing, in the order of their smallest paths."""
    linker.confirm_pixels(np.flatnonzero(linker.groups().linked[: len(linker.scores)]))
    grouping, scores, nodes = linker.groups(), linker.scores, linker.collection.nodes
    explainer = linker.explainer()
    linked = grouping.linked[: len(scores)]
    rows_of = _ByGroup(scores, grouping)
    builder = _Builder(nodes, scores, linked, explainer, rules)
    drafts = []
    has_more = np.array([len(node.records) > 1 for node in nodes], bool)
    may_show = np.bincount(grouping.labels, has_more, grouping.n_groups) + grouping.sizes > 1
    for label in np.flatnonzero(may_show).tolist():
        members = rows_of.nodes(label)
        if draft := builder.build(members, rows_of.rows(label), grouping, label):
            drafts.append(draft)
    return sorted(drafts, key=lambda draft: min(record.path for record in draft.choice.records))


def finished_groups(
    drafts: Sequence[Draft],
    proofs: Mapping[tuple[str, str], Proof],
    holdings: Mapping[str, Holdings],
) -> tuple[Group, ...]:
    """The groups with what was proved, numbered in order.

    Parameters
    ----------
    drafts : sequence of Draft
    proofs : mapping of (str, str) to Proof
        By the digests of copy and kept file.
    holdings : mapping of str to Holdings
        Of every member, by digest.
    """
    return tuple(_finished(draft, number, proofs, holdings) for number, draft in enumerate(drafts, 1))


def doubtful_links(linker: Linker) -> tuple[ScoredPair, ...]:
    """Links that would have joined two groups and that nothing else supports, by their files."""
    nodes = linker.collection.nodes
    rows = linker.rows_left_out()
    ends = [(nodes[int(linker.scores.a[row])], nodes[int(linker.scores.b[row])]) for row in rows]
    pairs = linker.explainer().pairs(
        np.array(rows, np.int64), [_by_path(first.first, second.first) for first, second in ends]
    )
    return tuple(sorted(pairs, key=_sides))


def _finished(
    draft: Draft,
    number: int,
    proofs: Mapping[tuple[str, str], Proof],
    holdings: Mapping[str, Holdings],
) -> Group:
    choice, keeper = draft.choice, draft.choice.keeper
    by_path = {record.path: record for record in choice.records}

    def proved(edge: ScoredPair) -> ScoredPair:
        if keeper.path not in _sides(edge):
            return edge
        copy = by_path[_other(edge, keeper.path)]
        proof = SAME_BYTES if copy.digest == keeper.digest else proofs.get((copy.digest, keeper.digest))
        return edge if proof is None else with_proof(edge, copy, keeper, proof)

    own = {_other(edge, keeper.path): edge for edge in map(proved, draft.known) if edge.copy is not None}
    score_with = {
        _other(edge, keeper.path): edge.score for edge in draft.known if keeper.path in _sides(edge)
    }
    proposals = choice.propose([proved(edge) for edge in draft.known])
    listed = [
        Member(
            record,
            1.0 if record is keeper else score_with.get(record.path),
            proposal.remove,
            proposal.reason,
            holdings.get(record.digest, Holdings()),
            own[record.path].proof if record.path in own else None,
        )
        for record, proposal in zip(choice.records, proposals, strict=True)
    ]
    listed.sort(key=lambda member: (member.record is not keeper, member.record.path))
    return Group(
        id=number,
        members=tuple(listed),
        keep=keeper.path,
        rule=choice.rule,
        edges=tuple(sorted(map(proved, draft.links), key=_sides)),
        weakest_link=1.0 if np.isnan(draft.weakest_link) else draft.weakest_link,
        weakest_pair=draft.weakest_pair,
        bridges=draft.bridges,
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

    def build(self, members: Indices, rows: Indices, grouping: Grouping, label: int) -> Draft | None:
        nodes = {n: self._nodes[n] for n in members.tolist()}
        records = [record for node in nodes.values() for record in node.records]
        if len(records) < 2 or not _is_worth_showing(nodes.values()):
            return None
        reference = {r.path for node in nodes.values() if node.is_reference for r in node.records}
        records.sort(key=lambda r: r.path)
        kept, rule = self._rules.keep.choose(records, lambda r: r.path in reference)
        keeper = records[kept]
        kept_node = next(n for n, node in nodes.items() if keeper in node.records)
        lead = {n: keeper if n == kept_node else node.first for n, node in nodes.items()}
        scored = self._explainer.pairs(rows, [self._leads(row, lead) for row in rows.tolist()])
        is_link = self._linked[rows]
        stars = list(self._stars(nodes, lead))
        links = [pair for pair, link in zip(scored, is_link, strict=True) if link] + stars
        known = scored + stars + self._more_edges(records, keeper, kept_node, rows)
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
        return Draft(
            choice,
            tuple(known),
            tuple(links),
            float(grouping.weakest_link[label]),
            min((pair.score for pair in scored + stars), default=None),
            int(grouping.n_bridges[label]) + _n_star_bridges(nodes.values()),
        )

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
        self, records: Sequence[ImageRecord], keeper: ImageRecord, kept_node: int, rows: Indices
    ) -> list[ScoredPair]:
        """Edges with the kept file of those that stand for no node: they share a score, not an edge."""
        of, sides = [], []
        for row in rows.tolist():
            a, b = int(self._scores.a[row]), int(self._scores.b[row])
            other = b if a == kept_node else a if b == kept_node else None
            for record in () if other is None else self._nodes[other].records[1:]:
                of.append(row)
                sides.append(_by_path(keeper, record))
        edges = self._explainer.pairs(np.array(of, np.int64), sides)
        edges += [
            self._identical(keeper, record)
            for record in records
            if record.digest == keeper.digest and record is not keeper
        ]
        return edges


def _is_worth_showing(nodes: Collection[Node]) -> bool:
    """Copies within references alone, or within one path when only pairs between paths count, are not."""
    if all(node.is_reference for node in nodes):
        return False
    is_between_only = any(node.root is not None for node in nodes)
    return not is_between_only or len({node.side for node in nodes}) > 1


def _n_star_bridges(nodes: Iterable[Node]) -> int:
    return sum(len(node.records) - 1 for node in nodes if node.has_pairs_inside)
