"""From labelled nodes to the groups of a report: what to keep, what to propose, how firm it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cvsim.groups.propose import propose
from cvsim.scoring.explainer import Explainer
from cvsim.types import Group, ImageRecord, Member, ScoredPair

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.groups.components import Grouping
    from cvsim.groups.rules import GroupRules
    from cvsim.reading.nodes import Node
    from cvsim.recipes.linking import Linker
    from cvsim.scoring.scorer import Scores
    from cvsim.types import Indices


def report_groups(linker: Linker, rules: GroupRules) -> tuple[Group, ...]:
    """The groups of all that is scored, numbered in the order of their smallest paths."""
    grouping, scores, nodes = linker.groups(), linker.scores, linker.collection.nodes
    explainer = linker.explainer()
    linked = grouping.linked[: len(scores)]
    explainer.confirm_pixels(np.flatnonzero(linked))
    rows_of = _ByGroup(scores, grouping)
    builder = _Builder(nodes, scores, linked, explainer, rules)
    groups = []
    has_more = np.array([len(node.records) > 1 for node in nodes], bool)
    may_show = np.bincount(grouping.labels, has_more, grouping.n_groups) + grouping.sizes > 1
    for label in np.flatnonzero(may_show).tolist():
        members = rows_of.nodes(label)
        if group := builder.build(members, rows_of.rows(label), grouping, label):
            groups.append(group)
    groups.sort(key=lambda g: min(m.record.path for m in g.members))
    return tuple(replace(group, id=k) for k, group in enumerate(groups, 1))


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

    def build(self, members: Indices, rows: Indices, grouping: Grouping, label: int) -> Group | None:
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
        proposals = propose(
            records,
            kept,
            known,
            threshold=self._rules.threshold,
            rules=self._rules.keep,
            rule=rule,
            include=self._rules.include,
            protected=lambda r: r.path in reference,
            decisions=self._rules.decisions,
        )
        score_with = {_other(edge, keeper.path): edge.score for edge in known if keeper.path in _sides(edge)}
        listed = [
            Member(r, 1.0 if r is keeper else score_with.get(r.path), p.remove, p.reason)
            for r, p in zip(records, proposals, strict=True)
        ]
        listed.sort(key=lambda m: (m.record is not keeper, m.record.path))
        weakest_link = grouping.weakest_link[label]
        return Group(
            id=0,
            members=tuple(listed),
            keep=keeper.path,
            rule=rule,
            edges=tuple(sorted(links, key=_sides)),
            weakest_link=1.0 if np.isnan(weakest_link) else float(weakest_link),
            weakest_pair=min((pair.score for pair in scored + stars), default=None),
            bridges=int(grouping.n_bridges[label]) + _n_star_bridges(nodes.values()),
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
