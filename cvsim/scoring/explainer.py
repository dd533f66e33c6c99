"""From rows of scores to explained pairs: what happened, which side is a part, what each signal added."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.arrays import sigmoid
from cvsim.executors.artefacts import stored_or_made
from cvsim.features.evidence import reversed_evidence
from cvsim.proof.holds import have_equal_pixel_rules, holdings_of
from cvsim.reading.extraction import working_px
from cvsim.reading.identity import (
    EDGES_KEY,
    IDENTITY_KEY,
    PIXELS_KEY,
    EdgesJob,
    IdentityJob,
    PixelDigestJob,
    have_equal_edges,
    is_same_code,
    may_be_equal,
)
from cvsim.scoring.model import IDENTITY
from cvsim.scoring.relation import CopyRule, PairFacts, Verdict, relation_by_geometry, relation_by_tiles
from cvsim.types import Comparison, ImageRecord, Pair, Proof, ScoredPair, Side

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.reading.collection import Collection
    from cvsim.scoring.model import FusionModel
    from cvsim.scoring.scorer import Scores
    from cvsim.types import Indices

_LOOKS_IDENTICAL = {"tiles": 0.97, "phash": 0.95, "pixels": 0.97}
SAME_BYTES_WEIGHT = 60.0
"""Log-odds of equal bytes: more than all signals together."""
MIN_EXPLAINED_SHARE = 0.1
MAX_ROUNDING, MAX_ROUNDING_REDUCED = 2, 16
"""Grey levels between the squares of two files of the same pixels; and where one may have been decoded at a
fraction of its size and the other not."""


class Explainer:
    """Explains rows of scores.

    Parameters
    ----------
    collection : Collection
    scores : Scores
    model : FusionModel
    verdicts : dict, optional
        Verdicts that are known already, by the pair's nodes; new ones are added.
    copies : CopyRule, optional
        Which pairs are copies; all if not given.
    """

    def __init__(
        self,
        collection: Collection,
        scores: Scores,
        model: FusionModel,
        *,
        verdicts: dict[tuple[int, int], Verdict] | None = None,
        n_workers: int = 1,
        copies: CopyRule | None = None,
    ) -> None:
        self._nodes, self._scores, self._store = collection.nodes, scores, collection.store
        self._model = model
        self._n_workers = n_workers
        self._working_px = working_px(collection.features)
        self._weights = {
            k: np.broadcast_to(v, len(scores)) for k, v in self._model.weights(scores.similarities).items()
        }
        self._squares = collection.told(lambda feature, packed: feature.whole_squares(packed))
        self._has_color = collection.told(lambda feature, packed: feature.has_color(packed))
        self._verdicts = {} if verdicts is None else verdicts
        self._copies = copies

    @property
    def prior(self) -> float:
        """Of the model, in log-odds."""
        return self._model.prior

    def verdict(self, row: int) -> Verdict:
        """What happened between the two nodes of a row."""
        pair = self._nodes_of(row)
        if pair not in self._verdicts:
            self._judge(np.array([row]))
        return self._verdicts[pair]

    def rows_with_geometry(self, rows: Indices) -> Indices:
        """Those of the rows of which more is known than what whole pictures tell: no others show a part."""
        return rows[self._scores.evidence["share"][rows] >= MIN_EXPLAINED_SHARE]

    def _nodes_of(self, row: int) -> tuple[int, int]:
        return int(self._scores.a[row]), int(self._scores.b[row])

    def _judge(self, rows: Indices) -> None:
        """Have a verdict on each of the rows."""
        scores, unknown = self._scores, np.full(len(rows), np.nan)
        tiles, color = (
            unknown if (values := scores.similarities.get(name)) is None else values[rows]
            for name in ("tiles", "color")
        )
        shares = scores.evidence["share"][rows]
        is_copy = np.ones(len(rows), bool)
        if self._copies is not None and len(rows):
            is_copy = self._copies.are_copies({n: v[rows] for n, v in scores.similarities.items()})
        columns = scores.a[rows], scores.b[rows], shares, tiles, color, scores.orientation[rows], is_copy
        for row, a, b, share, tile, tint, turn, copy in zip(
            rows.tolist(), *(column.tolist() for column in columns), strict=True
        ):
            if (a, b) in self._verdicts:
                continue
            if not copy:
                self._verdicts[a, b] = Verdict.of("similar")
                continue
            look = self._look(a, b, 1.0 if math.isnan(tint) else tint)
            if share >= MIN_EXPLAINED_SHARE:
                self._verdicts[a, b] = relation_by_geometry(scores.evidence[row], look)
            else:
                self._verdicts[a, b] = relation_by_tiles(tile, turn, look)

    def _look(self, a: int, b: int, color: float) -> PairFacts:
        first, second = self._nodes[a].first, self._nodes[b].first
        one_is_gray = self._has_color is not None and bool(self._has_color[a] != self._has_color[b])
        size_a, size_b = (first.width_px, first.height_px), (second.width_px, second.height_px)
        return PairFacts(size_a, size_b, color, one_is_gray, second.size_bytes > first.size_bytes)

    def confirm_pixels(self, rows: Indices) -> None:
        """Say so where the pixels of two files are equal; decodes at full size only where that is likely."""
        identity = self._scores.similarities.get(IDENTITY)
        is_known = np.zeros(len(rows), bool) if identity is None else identity[rows] == 1
        candidates = self._as_alike_as_can_be(rows[~is_known])
        self._judge(candidates)
        alike = [row for row in candidates.tolist() if self._looks_identical(row)]
        alike += rows[is_known].tolist()
        records = {}
        for row in alike:
            for node in (self._scores.a[row], self._scores.b[row]):
                record = self._nodes[int(node)].first
                records[record.digest] = record
        identities = self._identities(records)
        pairs = [
            tuple(self._nodes[int(n)].digest for n in (self._scores.a[r], self._scores.b[r])) for r in alike
        ]
        open_ = [(a, b) for a, b in pairs if may_be_equal(identities.get(a), identities.get(b))]
        edges = self._edges({d: records[d] for pair in open_ for d in pair})
        undecided = {d for a, b in open_ if have_equal_edges(edges.get(a), edges.get(b)) for d in (a, b)}
        pixels = self._pixel_digests({d: records[d] for d in undecided})
        equal = {
            row: (a, b)
            for row, (a, b) in zip(alike, pairs, strict=True)
            if is_same_code(identities.get(a), identities.get(b))
            or (a in pixels and pixels[a] == pixels.get(b))
        }
        # What was decoded is the first picture at 8 bits, and values mean what a profile says.
        concerned = [records[digest] for pair in equal.values() for digest in pair]
        holdings = holdings_of(concerned, self._store, self._n_workers)
        for row, (a, b) in equal.items():
            if a in holdings and b in holdings and have_equal_pixel_rules(holdings[a], holdings[b]):
                self._verdicts[self._nodes_of(row)] = Verdict.of("identical-pixels")

    def rows_of_equal_pixels(self, rows: Indices) -> list[int]:
        """Those of the rows that `confirm_pixels` found to be equal."""
        found = (row for row in rows.tolist() if self._nodes_of(row) in self._verdicts)
        return [row for row in found if self.verdict(row).relation == "identical-pixels"]

    def _as_alike_as_can_be(self, rows: Indices) -> Indices:
        similarity = self._scores.similarities
        asked = {name: least for name, least in _LOOKS_IDENTICAL.items() if name in similarity}
        if not asked:  # signals of products say nothing about pixels: no reason to decode two whole files
            return rows[:0]
        for name, least in asked.items():
            rows = rows[~(similarity[name][rows] < least)]
        return rows

    def _looks_identical(self, row: int) -> bool:
        a, b = (self._nodes[n].first for n in self._nodes_of(row))
        return (
            (a.width_px, a.height_px) == (b.width_px, b.height_px)
            and self.verdict(row).relation in ("re-encoded", "similar")
            and self._have_equal_squares(row)
        )

    def _have_equal_squares(self, row: int) -> bool:
        """Whether the small grey squares of two files of one size differ by no more than decoding does.

        Of the whole pictures: where a border seems to end is decided by single grey levels.
        """
        if self._squares is None:
            return True
        a, b = self._nodes_of(row)
        size = self._nodes[a].first
        may_be_reduced = max(size.width_px, size.height_px) > self._working_px
        difference = self._squares[a].astype(np.int16) - self._squares[b]
        most = MAX_ROUNDING_REDUCED if may_be_reduced else MAX_ROUNDING
        return int(np.abs(difference).max(initial=0)) <= most

    def _identities(self, records: Mapping[str, ImageRecord]) -> dict[str, bytes]:
        return self._stored_or_made(IDENTITY_KEY, records, IdentityJob)

    def _edges(self, records: Mapping[str, ImageRecord]) -> dict[str, bytes]:
        return self._stored_or_made(EDGES_KEY, records, EdgesJob)

    def _pixel_digests(self, records: Mapping[str, ImageRecord]) -> dict[str, bytes]:
        return self._stored_or_made(PIXELS_KEY, records, PixelDigestJob)

    def _stored_or_made(
        self, key: str, records: Mapping[str, ImageRecord], make_job: Callable[[Mapping[str, str]], Any]
    ) -> dict[str, bytes]:
        """An artefact of each picture, by digest; where it cannot be made the relation stays what it is."""
        paths = {digest: record.path for digest, record in records.items()}
        return stored_or_made(self._store, key, paths, make_job, self._n_workers)

    def pair(self, row: int, first: ImageRecord, second: ImageRecord) -> ScoredPair:
        """The explained pair of two files, one of each node of the row, in the order that is given."""
        return self.pairs(np.array([row]), [(first, second)])[0]

    def pairs(self, rows: Indices, sides: Sequence[tuple[ImageRecord, ImageRecord]]) -> list[ScoredPair]:
        """`pair` of each row and the two files of it; of many at once in a fraction of the time."""
        columns = [
            (name, values[rows].tolist(), self._weights[name][rows].tolist())
            for name, values in self._scores.similarities.items()
        ]
        found = []
        scores = self._probability[rows].tolist()
        self._judge(rows)
        for k, (row, (first, second)) in enumerate(zip(rows.tolist(), sides, strict=True)):
            is_reversed = first.digest != self._nodes[int(self._scores.a[row])].digest
            verdict = self.verdict(row)
            contained = verdict.contained
            if contained is not None and is_reversed:
                contained = "b" if contained == "a" else "a"
            comparisons = tuple(
                Comparison(
                    name,
                    None if math.isnan(similarities[k]) else similarities[k],
                    weights[k],
                    self._detail(name, row, is_reversed),
                )
                for name, similarities, weights in columns
                if name != IDENTITY or not math.isnan(similarities[k])
            )
            pair = Pair(first.path, second.path)
            found.append(
                ScoredPair(
                    pair,
                    self._model.prior,
                    scores[k],
                    verdict.relation,
                    contained,
                    comparisons,
                    verdict.changes,
                )
            )
        return found

    @cached_property
    def _probability(self) -> NDArray[np.float64]:
        return np.asarray(sigmoid(self._scores.log_odds), np.float64)

    def _detail(self, name: str, row: int, is_reversed: bool) -> dict[str, Any]:
        if name not in ("keypoints", "pixels"):
            return {}
        evidence = self._scores.evidence[row]
        if name == "keypoints" and evidence["n_inliers"] >= 0:
            return {"n_inliers": int(evidence["n_inliers"])}
        if name == "pixels" and not np.isnan(evidence["share"]):
            shown = reversed_evidence(evidence) if is_reversed else evidence
            return {
                "correlation": round(float(shown["correlation"]), 4),
                "coverage_a": round(float(shown["coverage_a"]), 4),
                "coverage_b": round(float(shown["coverage_b"]), 4),
                "matrix": [[round(float(v), 5) for v in line] for line in shown["matrix"]],
            }
        return {}

    @staticmethod
    def identical(
        first: ImageRecord, second: ImageRecord, prior: float, *, paths: tuple[str, str] | None = None
    ) -> ScoredPair:
        """The pair of two files of the same bytes."""
        same = Comparison("bytes", 1.0, SAME_BYTES_WEIGHT)
        score = float(sigmoid(np.float64(prior + SAME_BYTES_WEIGHT)))
        a, b = paths or (first.path, second.path)
        return ScoredPair(Pair(a, b), prior, score, "identical-file", None, (same,), ("identical-file",))


def with_proof(edge: ScoredPair, copy: ImageRecord, kept: ImageRecord, proof: Proof) -> ScoredPair:
    """The edge once it is known whether one of its sides can go: what happened may look otherwise then."""
    verdict = Verdict(edge.changes or (edge.relation,), edge.contained, "pasted" in edge.changes)
    is_resized = sorted((copy.width_px, copy.height_px)) != sorted((kept.width_px, kept.height_px))
    if edge.relation != "identical-file":
        verdict = verdict.proved(proof, is_resized=is_resized)
    side: Side = "a" if edge.pair.a == copy.path else "b"
    if proof.state == "differs" and verdict.contained == side:
        proof = replace(proof, boxes=())  # laid over the whole picture, a part of it differs everywhere
    return replace(
        edge,
        relation=verdict.relation,
        changes=verdict.changes,
        contained=verdict.contained,
        proof=proof,
        copy=side,
    )
