"""What the public functions have in common: names of options, paths, settings."""

from __future__ import annotations

import functools
import inspect
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ParamSpec, TypeVar

from cvsim.errors import SettingsError
from cvsim.names import PathLike
from cvsim.settings import Settings, with_values

P = ParamSpec("P")
T = TypeVar("T")
Paths = PathLike | Iterable[PathLike]
"""Files and folders; a single one stands for itself."""
Names = str | Sequence[str]

_log = logging.getLogger(__name__)


def public(function: Callable[P, T]) -> Callable[P, T]:
    """A public function: a keyword that it does not take is an error that names the one that was meant."""
    known = [
        name
        for name, one in inspect.signature(function).parameters.items()
        if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)
    ]

    @functools.wraps(function)
    def checked_call(*args: P.args, **kwargs: P.kwargs) -> T:
        if unknown := next((name for name in kwargs if name not in known), None):
            from difflib import get_close_matches

            near = get_close_matches(unknown, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(known)}"
            raise SettingsError(f"{function.__name__}() takes no {unknown!r}; {hint}")
        return function(*args, **kwargs)

    return checked_call


def asked_settings(settings: Settings | None, *, cache: PathLike | None = "", **options: Any) -> Settings:
    """The settings of a call: `settings`, or the defaults, under the options that were given.

    Parameters
    ----------
    settings : Settings or None
    cache : path or None
        None: no cache. ``""``: what `settings` says.
    **options
        By name; None is what was not given.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if cache != "":
        given["cache"] = cache
    return with_values(settings or Settings(), given)


def warn_of_signals(settings: Settings) -> None:
    """Say so where signals that were chosen cannot do what one might expect."""
    if not settings.signals:
        return
    from cvsim.recipes.scoring_plan import scoring_plan

    plan = scoring_plan(settings)
    signals = [signal for feature in plan.features for signal in feature.signals]
    if unweighed := plan.model.unweighed(signals):
        says = "%s: shown, but no part of the score: %s was not fitted to it"
        _log.warning(says, ", ".join(unweighed), plan.model.name)
    if (best := plan.model.best_score(signals)) < plan.threshold:
        says = "no pair of different files can be linked by these signals alone: %.3f at best, under %g"
        _log.warning(says, best, plan.threshold)


def working_folder() -> str:
    """Where relative paths of this call lie, whatever the process does later; empty if it is gone."""
    try:
        return os.getcwd()
    except OSError:
        return ""
