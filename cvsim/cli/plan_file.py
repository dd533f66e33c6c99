"""The plan file that a run writes: what a person decided in an earlier one is carried over."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cvsim.actions.support import require_held_folders
from cvsim.errors import CvsimError, UsageError
from cvsim.names import printable

if TYPE_CHECKING:
    from cvsim.actions.carry import Carried
    from cvsim.actions.plan import Plan
    from cvsim.api.report import Report

C = TypeVar("C", bound=Callable[..., Any])


class PlanFile:
    """Where a plan goes, and what is there already.

    Parameters
    ----------
    path : str
    force : bool
        Write over the plan of other folders, and over what is no plan.
    fresh : bool
        Forget what was decided; the earlier plan is kept under another name.
    """

    def __init__(self, path: str, *, force: bool = False, fresh: bool = False) -> None:
        require_held_folders()
        self.path, self._force, self._fresh = path, force, fresh
        self.earlier = None if path == "-" or not os.path.exists(path) else self._load()
        if self.earlier is not None and not fresh:
            self._require_journal()

    def _load(self) -> Plan | None:
        from cvsim.actions.plan import Plan

        try:
            return Plan.load(self.path)
        except CvsimError as exc:
            if self._force:
                return None
            shown = printable(self.path)
            raise UsageError(
                f"{shown} is there already and is no plan that can be read; name another file, or give "
                f"--force to write over it\n{exc}"
            ) from exc

    def _require_journal(self) -> None:
        """Refuse a damaged journal beside the plan now, and not when a long run is over."""
        from cvsim.actions.carry import carried_out
        from cvsim.actions.journal import default_path

        try:
            carried_out(default_path(self.path), ())
        except CvsimError as exc:
            raise UsageError(
                f"what the plan {printable(self.path)} was carried out by cannot be read; name another plan, "
                f"or give --fresh to start anew\n{exc}"
            ) from exc

    def require_own(self, paths: Iterable[str]) -> None:
        """Refuse the plan of other folders, before a long run starts; see `require_same_folders`."""
        from cvsim.actions.carry import require_same_folders
        from cvsim.actions.plan import roots_of

        if self.earlier is not None and not self._force:
            require_same_folders(self.earlier, roots_of(paths), self.path)

    def write(self, report: Report) -> str:
        """Write the plan of a run with what was decided before; returns what a person should know of it."""
        from cvsim.actions.carry import carry
        from cvsim.actions.journal import default_path

        plan = report.plan()
        if self.earlier is None:
            plan.save(self.path)
            return ""
        if self._fresh:
            old = f"{os.path.splitext(self.path)[0]}-{datetime.now():%Y-%m-%d-%H%M%S}.json"
            os.replace(self.path, old)
            plan.save(self.path)
            return f"started anew; what was decided is in {printable(old)}"
        carried = carry(plan, self.earlier, default_path(self.path))
        carried.plan.save(self.path)
        return _words(carried)


def _words(carried: Carried) -> str:
    from cvsim.reports.wording import quantity

    parts = []
    if n := carried.n_decided:
        parts.append(f"{quantity(n, 'group')} {'is' if n == 1 else 'are'} decided, as you left them")
    if n := carried.n_reopened:
        parts.append(
            f"{quantity(n, 'group')} changed since you decided and {'asks' if n == 1 else 'ask'} again"
        )
    if n := carried.n_files:
        parts.append(f"{quantity(n, 'file')} {'stays' if n == 1 else 'stay'} as you decided in the plan")
    if n := carried.n_remembered:
        parts.append(
            f"{quantity(n, 'file')} that you decided about {'was' if n == 1 else 'were'} not found; "
            "the decisions wait"
        )
    return "; ".join(parts)


def own_plan(paths: Iterable[str]) -> str:
    """The plan of these folders among the user's own: the same for each run over them."""
    import hashlib

    import platformdirs

    absolute = sorted({os.path.realpath(path) for path in paths})
    folder = os.path.join(platformdirs.user_data_dir("cvsim"), "plans")
    os.makedirs(folder, exist_ok=True)
    name = "".join(c if c.isalnum() and c.isascii() else "-" for c in os.path.basename(absolute[0]))[:40]
    digest = hashlib.sha256("\0".join(absolute).encode("utf-8", "surrogateescape")).hexdigest()
    return os.path.join(folder, f"{name or 'pictures'}-{digest[:12]}.json")


def overwriting(command: C) -> C:
    """What becomes of an earlier plan: ``--force``, ``--fresh``."""
    force = click.option(
        "--force", is_flag=True, help="With --plan: write over the plan of other folders, or no plan at all."
    )
    fresh = click.option(
        "--fresh", is_flag=True, help="Start anew: carry over nothing that was decided in an earlier plan."
    )
    return force(fresh(command))
