"""Why a pair scores what it scores, and why a group holds together. No drawing here."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cvsim.images.holdings import in_words
from cvsim.reports.wording import keep_words, percent, quantity, relation_words
from cvsim.settings import PROFILES
from cvsim.types import DedupeResult, Group, Member, ScoredPair

_MOST_COMPANIONS = 3
"""Names that a line has room for."""


@dataclass(frozen=True, slots=True)
class WaterfallStep:
    """One bar of a waterfall.

    Attributes
    ----------
    label : str
    similarity : float or None
        In [0, 1]; None for the prior, and where a signal had no evidence.
    weight : float
        What this step adds, in log-odds: ``end - start``.
    start, end : float
        The log-odds before and after it.
    """

    label: str
    similarity: float | None
    weight: float
    start: float
    end: float


def waterfall(pair: ScoredPair) -> tuple[WaterfallStep, ...]:
    """The prior and each signal in turn; the last `end` is the log-odds of the pair's score.

    The chart that record linkage made customary: every part of the score is a bar that starts where the
    one before it ended.
    """
    steps = [WaterfallStep("prior", None, pair.prior, 0.0, pair.prior)]
    for comparison in pair.comparisons:
        start = steps[-1].end
        steps.append(
            WaterfallStep(
                comparison.feature, comparison.shown, comparison.weight, start, start + comparison.weight
            )
        )
    return tuple(steps)


def span(steps: tuple[WaterfallStep, ...]) -> tuple[float, float]:
    """Lowest and highest finite log-odds that the steps reach, zero included."""
    reached = [0.0, *(end for step in steps if math.isfinite(end := step.end))]
    return min(reached), max(reached)


def verdict(pair: ScoredPair, threshold: float) -> tuple[str, str]:
    """How sure it is, and what that means at `threshold`: one sentence in two parts, and what happened."""
    same = pair.score >= threshold
    text = f" that they are the same: {'linked' if same else 'not linked'} at {percent(threshold)}."
    if same:
        words = relation_words(pair.relation)
        text += f" {words[:1].upper()}{words[1:]}."
        if pair.contained:
            text += f" {pair.contained} shows a part of {'b' if pair.contained == 'a' else 'a'}."
        text += f" {proof_words(pair)}" if pair.proof is not None else ""
    return f"{percent(pair.score)} sure", text


_PROVED = {
    "same-bytes": "{copy} can go: it is the same file, byte for byte.",
    "same-pixels": "{copy} can go: every pixel of it is in {kept}.",
    "explained": "{copy} can go: everything visible in it is in {kept}.",
    "differs": "{copy} shows something that {kept} does not.",
    "holds-more": "{copy} holds something that {kept} does not: {words}.",
    "poorer-kept": "{kept} is the poorer one of the two.",
    "not-tried": "Nothing could be proved about {copy}: {words}.",
}


def proof_words(pair: ScoredPair) -> str:
    """What is proved about the side of a pair that would go, in a sentence; empty where nothing was asked."""
    if pair.proof is None:
        return ""
    kept = "b" if pair.copy == "a" else "a"
    if pair.proof.is_enough and (pair.proof.is_mirrored or pair.proof.shows_as_much):
        return f"All that is visible in {pair.copy} is in {kept}; they do not tell which one was first."
    if pair.proof.state == "differs" and pair.contained == pair.copy:
        return f"{pair.copy} is no whole copy."
    return _PROVED[pair.proof.state].format(copy=pair.copy, kept=kept, words=pair.proof.words)


_LEFT = {
    "differs": "they show something else",
    "holds-more": "hold more",
    "poorer-kept": "are better than the kept file",
    "not-tried": "could not be proved",
    "": "stay for other reasons",
}


def left_in_words(result: DedupeResult) -> str:
    """``"12 left: they show something else (8), hold more (3), could not be proved (1)"``, or empty."""
    counts = Counter(
        "" if member.proof is None or member.proof.is_enough else member.proof.state
        for group in result.groups
        for member in group.members
        if is_left(group, member)
    )
    if not counts:
        return ""
    why = ", ".join(f"{words} ({counts[state]:,})" for state, words in _LEFT.items() if counts[state])
    why = why if counts["differs"] else f"they {why}"
    return f"{counts.total():,} left: {why}"


def doubtful_words(links: Sequence[ScoredPair]) -> str:
    """What links are that were left out, in a sentence."""
    left = f"{quantity(len(links), 'doubtful link')} left out"
    joins = "it would join" if len(links) == 1 else "each would join"
    return f"{left}: {joins} two groups, and nothing else supports it."


def links(group: Group) -> Mapping[str, ScoredPair]:
    """Find the edge that ties each member but the kept one to its group, by the member's path.

    Its own edge with the file that is kept for it where there is one; otherwise that of a byte-for-byte twin,
    which says the same of both; otherwise its strongest.
    """
    kept_for = group.kept_for
    best: dict[str, ScoredPair] = {}
    for edge in group.edges:
        for path, other in ((edge.pair.a, edge.pair.b), (edge.pair.b, edge.pair.a)):
            strength, known = (other == kept_for[path], edge.score), best.get(path)
            if known is None or strength > (_other(known, path) == kept_for[path], known.score):
                best[path] = edge
    best.pop(group.keep, None)
    return {path: _of_twin(path, edge, best, group) for path, edge in best.items()}


def _of_twin(path: str, edge: ScoredPair, best: Mapping[str, ScoredPair], group: Group) -> ScoredPair:
    if edge.relation != "identical-file" or edge.copy is not None or is_with_kept(edge, group):
        return edge
    twins = best.get(_other(edge, path))
    return twins if twins is not None and is_with_kept(twins, group) else edge


def is_with_kept(edge: ScoredPair, group: Group) -> bool:
    """Whether an edge is one with the group's kept file, and so speaks about keeping that one."""
    return group.keep in (edge.pair.a, edge.pair.b)


def _other(edge: ScoredPair, path: str) -> str:
    return edge.pair.b if edge.pair.a == path else edge.pair.a


def in_order(group: Group) -> list[Member]:
    """The members as they are shown: each version after the others, its kept file first."""
    place = {version.keep: number for number, version in enumerate(group.versions, 1)}
    version_of = group.version_of

    def at(member: Member) -> tuple[int, bool]:
        path = member.record.path
        return place.get(version_of[path], 0), version_of[path] != path

    return sorted(group.members, key=at)


def reclaimable_bytes(group: Group) -> int:
    """What removing the proposed members would free."""
    return sum(member.record.size_bytes for member in group.members if member.proposed)


def decision(group: Group, member: Member) -> str:
    """``"keep"``, ``"remove"`` (proposed), or ``"-"`` (left alone)."""
    if member.record.path in group.kept:
        return "keep"
    return "remove" if member.proposed else "-"


def is_left(group: Group, member: Member) -> bool:
    """Whether a file is neither kept nor proposed though it might be; an indexed one never is."""
    return decision(group, member) == "-" and not member.indexed


def member_words(member: Member) -> str:
    """What its file holds, how sharp it is if a rule asked, what lies beside it, whether it is indexed.

    Empty where there is nothing of it.
    """
    held = in_words(member.holds, member.record.format)
    sharpness = "" if member.sharpness is None else f"sharpness {member.sharpness:.2f}"
    return ", ".join(filter(None, [*held, sharpness, companion_words(member), indexed_words(member)]))


def companion_words(member: Member) -> str:
    """``"beside it IMG_1.CR2, IMG_1.xmp and 2 more"``; empty where nothing belongs to it."""
    names = member.companions
    if not names:
        return ""
    more = f" and {len(names) - _MOST_COMPANIONS} more" if len(names) > _MOST_COMPANIONS else ""
    return f"beside it {', '.join(names[:_MOST_COMPANIONS])}{more}"


def indexed_words(member: Member) -> str:
    """``"indexed"``, with what is wrong with it now; empty for what the run found itself."""
    if not member.indexed:
        return ""
    return f"indexed; {member.why_away.removeprefix('the indexed file ')}" if member.why_away else "indexed"


def kept_words(group: Group) -> str:
    """Why the file to keep is kept, in words."""
    keeper = group.members[0]
    if keeper.indexed and group.rule == "protected":
        return "the index has it"
    if group.rule != "sharpest" or not keeper.sharpness:
        return keep_words(group.rule)
    # A damaged picture may look sharper, for there is an edge where its decoding ends.
    damaged = [member for member in group.members[1:] if member.record.damaged]
    words = f"{keep_words(group.rule)}{' that is whole' if damaged else ''}"
    others = [member.sharpness for member in group.members[1:] if member not in damaged and member.sharpness]
    times = keeper.sharpness / max(others) if others else 0.0
    return f"{words}, {times:.2f} times the next" if times > 1 else words


def are_for_looking(result: DedupeResult) -> bool:
    """Whether nothing of the groups can go, for the profile only looks and no relation was included."""
    profile = PROFILES.get(str(result.settings.get("profile")))
    return profile is not None and profile.for_looking and not result.settings.get("include")


def warnings(group: Group, threshold: float | None) -> Iterator[str]:
    """What a careful person would look at before trusting the group, in plain words.

    A group of two has nothing to warn about: its one link is its score.
    """
    if len(group.members) < 3:
        return
    if group.weakest_pair is not None and threshold is not None and group.weakest_pair < threshold:
        yield (
            f"Two of these were compared and are only {percent(group.weakest_pair)} sure to be the same; "
            "others between them hold the group together."
        )
    if n := _n_indirect(group):
        alone = ""
        if group.bridges:
            which, them = (
                quantity(group.bridges, "link has", "links have"),
                "it" if group.bridges == 1 else "them",
            )
            alone = f"; {which} nothing else to confirm {them}"
        yield (
            f"{quantity(n, 'picture is', 'pictures are')} tied to the kept one only through another{alone}. "
            f"The weakest link is {percent(group.weakest_link)} sure."
        )


def _n_indirect(group: Group) -> int:
    """Members without an edge of their own with the kept file; a byte-for-byte twin needs none."""
    kept = group.kept
    return sum(
        edge.relation != "identical-file" and kept.isdisjoint((edge.pair.a, edge.pair.b))
        for edge in links(group).values()
    )


def threshold_of(result: DedupeResult) -> float | None:
    """The threshold that the run used, from its settings."""
    value = result.settings.get("threshold")
    return float(value) if isinstance(value, (int, float)) else None
