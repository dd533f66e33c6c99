"""How much of a result is printed for a person."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HowMuch:
    """What is printed of a result.

    Attributes
    ----------
    limit : int or None
        So many groups, 0 for all; None is a screenful on a terminal, and all in a pipe or a pager.
    summary : bool
        Totals and no group.
    pager : bool
        Page by page.
    """

    limit: int | None = None
    summary: bool = False
    pager: bool = False
