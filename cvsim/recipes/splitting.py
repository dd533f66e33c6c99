"""What the kept file of a group does not explain, asked again in the versions that it falls into."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from cvsim.groups.propose import COPIES
from cvsim.groups.versions import versions_of
from cvsim.recipes.report_groups import Draft, Proved, is_worth_showing

if TYPE_CHECKING:
    from cvsim.recipes.report_groups import Proofs


class Part(NamedTuple):
    """Nodes of a group that may be a version: the group's number, and theirs."""

    group: int
    nodes: list[int]


class Splitting:
    """Splits what is left of groups into versions, as long as these give something up.

    Parameters
    ----------
    drafts : sequence of Draft
        The groups, settled.
    left : sequence of set of int
        Of each, the nodes of which nothing is kept and nothing goes.
    threshold : float
        Of the links that count.

    Attributes
    ----------
    groups : list of Proved
        With the versions that were taken so far.
    """

    def __init__(self, drafts: Sequence[Draft], left: Sequence[set[int]], threshold: float) -> None:
        self.groups = [Proved(draft) for draft in drafts]
        self._left, self._threshold = list(left), threshold
        self._asked: list[set[tuple[int, int]]] = [set() for _ in drafts]

    def parts(self, relations: Collection[str] = COPIES) -> list[Part]:
        """The versions among what is left, by such links, that have a file to give up, perhaps."""
        return [
            Part(k, nodes)
            for k, group in enumerate(self.groups)
            for nodes in self._versions_of(group.draft, k, relations)
            if (len(nodes) > 1 or (nodes[0], nodes[0]) not in self._asked[k])
            and is_worth_showing([group.draft.nodes[n] for n in nodes])
        ]

    def _versions_of(self, draft: Draft, k: int, relations: Collection[str]) -> list[list[int]]:
        node_of = {record.path: n for n, node in draft.nodes.items() for record in node.records}
        return versions_of(self._left[k], draft.known, node_of, self._asked[k], self._threshold, relations)

    def take(self, parts: Sequence[Part], versions: Sequence[Draft], proofs: Proofs) -> None:
        """Keep those of the versions, one for each part, that give something up.

        Whether they do or not, nobody asks again whether their kept file explains their others.
        """
        for (k, _), version in zip(parts, versions, strict=True):
            kept = next(n for n, node in version.nodes.items() if version.choice.keeper in node.records)
            self._asked[k] |= {(min(n, kept), max(n, kept)) for n in version.nodes}
            if any(proposal.remove for proposal in version.proposals(proofs).values()):
                unsettled = version.left(proofs) | (self._left[k] - version.nodes.keys())
                self._left[k] &= unsettled - {kept}
                self.groups[k] = replace(self.groups[k], versions=(*self.groups[k].versions, version))
