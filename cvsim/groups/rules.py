"""What decides about a group besides its scores: the threshold, the keep rules, what may go, and answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cvsim.groups.decisions import Decisions
from cvsim.groups.keep import KeepRules
from cvsim.groups.propose import parse_include

if TYPE_CHECKING:
    from cvsim.settings import Settings


@dataclass(frozen=True, eq=False)
class GroupRules:
    """The rules of a run's groups.

    Attributes
    ----------
    threshold : float
        Score from which a pair is linked, inclusive.
    keep : KeepRules
        Which file of a group stays.
    include : frozenset of str
        Relations that are proposed for removal besides full copies.
    decisions : Decisions
        What people have answered.
    only_included : bool
        Full copies are no exception: nothing but `include` is proposed for removal.
    """

    threshold: float
    keep: KeepRules = field(default_factory=KeepRules.parse)
    include: frozenset[str] = frozenset()
    decisions: Decisions = field(default_factory=lambda: Decisions.load(None))
    only_included: bool = False

    @classmethod
    def of(cls, settings: Settings, threshold: float) -> GroupRules:
        """The rules that the settings ask for; `threshold` is that of the scoring plan.

        Raises
        ------
        SettingsError
            A keep rule or a relation is not known.
        ActionError
            The file of decisions cannot be read.
        """
        return cls(
            threshold,
            KeepRules.parse(settings.keep_rules),
            parse_include(settings.include),
            Decisions.load(settings.decisions),
            settings.is_for_looking,
        )
