"""The proofs of a run: what rests on them is proposed, and which file of a group was there first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.executors.local import LocalExecutor
from cvsim.groups.keep import Standing
from cvsim.groups.propose import COPIES, SAME_PIXELS
from cvsim.progress import SilentProgress
from cvsim.proof.holds import holdings_of
from cvsim.proof.prove import FileRef, file_ref, prove
from cvsim.reading.identity import IDENTITY_KEY
from cvsim.recipes.linking import check_groups, pairs_with_kept
from cvsim.recipes.report_groups import Draft, Proved, draft_groups, draft_versions, finished_groups
from cvsim.recipes.splitting import Splitting
from cvsim.scoring.explainer import with_proof
from cvsim.types import Group, Holdings, ImageRecord, Proof, ScoredPair, Side

if TYPE_CHECKING:
    from cvsim.groups.components import Grouping
    from cvsim.groups.rules import GroupRules
    from cvsim.progress import Progress
    from cvsim.recipes.linking import Linker

MAX_CHANGES_OF_MIND = 3
"""How often another file of a group is kept because the one before was found to be poorer."""
N_ASKED = 4
"""Files of a group that are asked whether they explain each other, where the kept one explains none.

Chosen by hand: of a picture, two captioned versions and its copy, the last two are still among them."""
N_LIKELIEST = 2
"""Of what is left of a group, how many of its likeliest copies each file is compared with."""
MOST_SPLITS = 3
"""How often what is left of a group is split into versions. Chosen by hand: each time, where the file to keep
explained none of a version, others are asked."""
LOSSY = frozenset(("jpeg", "heic"))
"""Formats that store nothing without loss: of equal pixels, what is stored so was there first."""


class Prover:
    """Makes the proofs that the groups of a linker need. A context manager; leaving it ends its processes.

    Parameters
    ----------
    linker : Linker
        Scores what turns out to be needed, too.
    rules : GroupRules
    progress : Progress, optional
    n_workers : int

    Attributes
    ----------
    rules : GroupRules
        Those that were given, with what the keep rule ``original`` goes by as far as that is known.
    """

    def __init__(
        self, linker: Linker, rules: GroupRules, progress: Progress | None = None, *, n_workers: int = 1
    ) -> None:
        self.rules, self._asked = rules, rules.keep
        self._linker, self._collection = linker, linker.collection
        self._progress, self._executor = progress or SilentProgress(), LocalExecutor(n_workers)
        self._holdings: dict[str, Holdings] = {}
        self._standings: dict[str, Standing] = {}

    def __enter__(self) -> Prover:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._executor.close()

    def check_groups(self) -> None:
        """Score what is told of each group; see `linking.check_groups`."""
        self._look_for_originals(self._linker.groups())
        check_groups(self._linker, self.rules)

    def _look_for_originals(self, grouping: Grouping) -> None:
        """Have what the keep rule ``original`` goes by: what the members of groups hold, and equal pixels."""
        made = self._made_from_lossy(grouping)
        if not self._asked.asks_for_original:
            return
        nodes = self._collection.nodes
        in_groups = {int(node) for members in grouping.groups() for node in members}
        holdings = self._held_by([nodes[node].first for node in sorted(in_groups)])
        for digest in {nodes[node].digest for node in in_groups}:
            self._standings[digest] = Standing(holdings.get(digest, Holdings()), 0, digest in made)
        self._use_standings()

    def _made_from_lossy(self, grouping: Grouping) -> set[str]:
        """Digests of files without loss that are linked to a lossy one of equal pixels, the older one."""
        scores, nodes, made = self._linker.scores, self._collection.nodes, set[str]()
        for row in self._linker.confirm_pixels(np.flatnonzero(grouping.linked[: len(scores)])):
            pair = [nodes[int(node)].first for node in (scores.a[row], scores.b[row])]
            if any(record.format in LOSSY for record in pair):
                made |= {record.digest for record in pair if record.format not in LOSSY}
        return made

    def _score_with_kept(self) -> None:
        """Score all of each group with its kept file, which may turn out to be made from one of them."""
        while True:
            kept = pairs_with_kept(self._collection, self._linker.groups(), self.rules)
            self._linker.score_all(kept, "Checking groups")
            made = self._made_from_lossy(self._linker.groups())
            new = {digest for digest in made if not self._standing(digest).is_made_from_lossy}
            if not new or not self._asked.asks_for_original:
                return
            for digest in new:
                self._standings[digest] = replace(self._standing(digest), is_made_from_lossy=True)
            self._use_standings()

    def _use_standings(self) -> None:
        self.rules = replace(self.rules, keep=self._asked.knowing(self._standings))

    def proved_groups(self) -> tuple[Group, ...]:
        """The groups of the report, with proofs for what they propose.

        If the keep rules ask for the original, the file to keep gives way to one that explains it and is the
        better one, to a smaller one that shows as much, to the JPEG whose pixels it has, and, if no other
        file shows what it shows, to one that has copies: what was captioned has none, its original has.
        """
        proofs: dict[tuple[str, str], Proof] = {}

        def drafted() -> list[Draft]:
            return draft_groups(self._linker, self.rules)

        drafts = self._settled(drafted, proofs, self._score_with_kept)
        for _ in range(N_LIKELIEST):
            left = [n for draft in drafts for n in self._left(draft, proofs)]
            if not self._linker.score_nearest(left, "Checking groups"):
                break
            drafts = self._settled(drafted, proofs, self._score_with_kept)
        groups = [
            group.with_versions(self._linker, self.rules) for group in self._in_versions(drafts, proofs)
        ]
        members = [record for draft in drafts for record in draft.choice.records]
        return finished_groups(groups, proofs, self._held_by(members))

    def _settled(
        self,
        drafted: Callable[[], list[Draft]],
        proofs: dict[tuple[str, str], Proof],
        after_change: Callable[[], None] = lambda: None,
    ) -> list[Draft]:
        """The drafts once no proof speaks for another kept file; what is proved is added to `proofs`."""
        for n_found in range(1, MAX_CHANGES_OF_MIND + 2):
            drafts = drafted()
            proofs |= self._prove([pair for draft in drafts for pair in draft.to_prove()])
            if n_found > MAX_CHANGES_OF_MIND or not self._asked.asks_for_original:
                break
            news = [
                *self._found_about(drafts, proofs).items(),
                *((digest, {"n_found_better": n_found}) for digest in self._found_better(drafts, proofs)),
                *((digest, {"has_copies": True}) for digest in self._found_copied(drafts, proofs)),
            ]
            if not news:
                break
            for digest, found in news:
                self._standings[digest] = replace(self._standing(digest), **found)
            self._use_standings()
            after_change()
        return drafts

    def _in_versions(self, drafts: Sequence[Draft], proofs: dict[tuple[str, str], Proof]) -> list[Proved]:
        """The groups, with the versions of each that have copies of their own."""
        splitting = Splitting(drafts, [self._left(draft, proofs) for draft in drafts], self.rules.threshold)
        # Pages of one template hang on each other, but equal pixels belong together whatever else is linked.
        for relations in (*[COPIES] * MOST_SPLITS, SAME_PIXELS):
            parts = splitting.parts(relations)
            if not parts:
                continue
            asked = [(drafts[part.group], part.nodes) for part in parts]
            versions = self._settled(partial(self._drafted_versions, asked), proofs)
            splitting.take(parts, versions, proofs)
        return splitting.groups

    def _left(self, draft: Draft, proofs: Mapping[tuple[str, str], Proof]) -> set[int]:
        """What versions are made of; nothing where only what is asked for may go."""
        return set() if self.rules.only_included else draft.left(proofs)

    def _drafted_versions(self, versions: Sequence[tuple[Draft, list[int]]]) -> list[Draft]:
        return draft_versions(self._linker, self.rules, versions)

    def proved_pair(self, pair: ScoredPair, a: ImageRecord, b: ImageRecord, kept: Side | None) -> ScoredPair:
        """The pair with the proof that the side which is not kept can go; None: the rules choose."""
        standings = {digest: Standing(held) for digest, held in self._held_by([a, b]).items()}
        keeps_b = kept == "b" or (kept is None and self._asked.knowing(standings).choose([a, b])[0] == 1)
        copy, keeper = (a, b) if keeps_b else (b, a)
        proof = self._proof(copy, keeper)
        if kept is None and proof.state == "poorer-kept":
            back = self._proof(keeper, copy)
            if back.is_enough:
                copy, keeper, proof = keeper, copy, back
        return with_proof(pair, copy, keeper, proof)

    def _proof(self, copy: ImageRecord, kept: ImageRecord) -> Proof:
        return self._prove([(file_ref(copy), file_ref(kept))])[copy.digest, kept.digest]

    def _prove(self, pairs: Sequence[tuple[FileRef, FileRef]]) -> dict[tuple[str, str], Proof]:
        by_path = {record.path: record for node in self._collection.nodes for record in node.records}
        files = {ref.path for pair in pairs for ref in pair}
        holdings = self._held_by([by_path[path] for path in sorted(files)])
        store = self._collection.store
        codes = store.descriptors(IDENTITY_KEY, {ref.digest for pair in pairs for ref in pair})
        return prove(pairs, holdings, store, self._executor, codes=codes, progress=self._progress)

    def _found_better(self, drafts: Sequence[Draft], proofs: Mapping[tuple[str, str], Proof]) -> set[str]:
        """Of groups whose kept file is the poorer one, the file that is better and explains it."""
        back = []
        for draft in drafts:
            choice, kept = draft.choice, draft.choice.keeper
            poorer = [p for p in draft.to_prove() if proofs[p[0].digest, kept.digest].state == "poorer-kept"]
            if poorer and not choice.rules.protection(choice.protected)(kept):
                records = {record.path: record for record in choice.records}
                candidates = [records[copy.path] for copy, _ in poorer]
                best = candidates[choice.rules.choose(candidates)[0]]
                back.append((file_ref(kept), file_ref(best)))
        found = self._prove(back)
        return {better.digest for kept, better in back if found[kept.digest, better.digest].is_enough}

    def _found_copied(self, drafts: Sequence[Draft], proofs: Mapping[tuple[str, str], Proof]) -> set[str]:
        """Of groups whose kept file explains none of the others, the file that explains most of the best."""
        asked: list[list[ImageRecord]] = []
        for draft in drafts:
            choice, kept = draft.choice, draft.choice.keeper
            by_path = {record.path: record for record in choice.records}
            states = {copy.path: proofs[copy.digest, kept.digest] for copy, _ in draft.to_prove()}
            is_alone = not any(proof.is_enough for proof in states.values())
            if is_alone and not choice.rules.protection(choice.protected)(kept):
                others = [by_path[path] for path, proof in states.items() if proof.state == "differs"]
                asked.append(choice.rules.ranked(others)[:N_ASKED])
        found = self._prove(
            [
                (file_ref(copy), file_ref(kept))
                for best in asked
                for kept in best
                for copy in best
                if copy != kept
            ]
        )
        copied = set()
        for best in asked:
            n_explained = [
                sum(found[copy.digest, kept.digest].is_enough for copy in best if copy != kept)
                for kept in best
            ]
            if any(n_explained):
                copied.add(best[int(np.argmax(n_explained))].digest)
        return copied

    def _found_about(
        self, drafts: Sequence[Draft], proofs: Mapping[tuple[str, str], Proof]
    ) -> dict[str, dict[str, Any]]:
        """By digest, what proofs tell of an original that was not known before."""
        news: dict[str, dict[str, Any]] = {}
        for draft in drafts:
            records = {record.path: record for record in draft.choice.records}
            kept = draft.choice.keeper
            for copy in (records[ref.path] for ref, _ in draft.to_prove()):
                proof = proofs[copy.digest, kept.digest]
                is_smaller = proof.shows_as_much and copy.n_pixels < kept.n_pixels
                if is_smaller and not self._standing(copy.digest).shows_as_much:
                    news[copy.digest] = {"shows_as_much": True}
                is_older = proof.state == "same-pixels" and copy.format in LOSSY and kept.format not in LOSSY
                if is_older and not self._standing(kept.digest).is_made_from_lossy:
                    news[kept.digest] = {"is_made_from_lossy": True}
        return news

    def _standing(self, digest: str) -> Standing:
        return self._standings.get(digest, Standing())

    def _held_by(self, records: Sequence[ImageRecord]) -> dict[str, Holdings]:
        if missing := [record for record in records if record.digest not in self._holdings]:
            with self._progress.task("Looking at what files hold", None):
                self._holdings |= holdings_of(missing, self._collection.store, self._executor.n_workers)
        return self._holdings
