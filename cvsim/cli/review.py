"""``cvsim review``."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import click

from cvsim.actions.support import require_held_folders
from cvsim.cli import options
from cvsim.cli.command import Verb
from cvsim.cli.plan_file import PlanFile, overwriting, own_plan
from cvsim.settings import Settings


@click.command(cls=Verb, epilog="Example: cvsim review photos")
@options.paths
@options.scoring
@options.references
@options.between_only
@options.keeping
@click.option(
    "--decisions",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Heed and remember answers in FILE.  [default: one of your own]",
)
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Where the plan of a PATH is written.  [default: among your own plans, one for the same PATHs]",
)
@overwriting
@options.page
@options.running
@options.general
def review(
    paths: tuple[str, ...],
    listed: list[str],
    plan_file: str | None,
    force: bool,
    fresh: bool,
    port: int,
    no_browser: bool,
    config: str | None,
    quiet: bool,
    **given: Any,
) -> None:
    """Look at groups of copies in the browser, decide by keyboard, apply and undo.

    Give a plan of cvsim dedupe --plan, or paths: then copies are looked for first. The page is on this
    machine only, for whoever has its address. Every decision is saved in the plan at once; no picture is
    touched before you apply. Ctrl-C ends it. The same command goes on where you were, also after pictures
    were renamed or added; --fresh starts anew.
    """
    from cvsim.web import require_server

    require_server()
    require_held_folders()
    settings = options.settings_from(config, given)
    settings = replace(settings, decisions=os.path.abspath(settings.decisions or _own_decisions()))
    with _with_cache(settings) as settings:
        if not _is_plan(paths, listed):
            plan = PlanFile(plan_file or own_plan([*paths, *listed]), force=force, fresh=fresh)
            plan_file = _new_plan(plan, paths, listed, settings, quiet)
        elif plan_file is not None or force or fresh:
            raise click.UsageError(
                "--plan, --force and --fresh are about the plan of a PATH; this is a plan already."
            )
        else:
            plan_file = paths[0]
        _serve(plan_file, settings, given, port, open_browser=not no_browser, quiet=quiet)


def _is_plan(paths: Sequence[str], listed: Sequence[str]) -> bool:
    """Whether the one argument is a plan: a file that begins as JSON, which no picture does."""
    if len(paths) != 1 or listed or not os.path.isfile(paths[0]):
        return False
    try:
        with open(paths[0], "rb") as stream:
            return stream.read(64).lstrip().startswith(b"{")
    except OSError:
        return False


def _as_planned(made_with: Any, plan_file: str, settings: Settings, given: Mapping[str, Any]) -> Settings:
    """The settings of the run that made the plan, but for what was given now."""
    from cvsim.errors import ActionError
    from cvsim.settings import with_values

    if not isinstance(made_with, dict):
        raise ActionError(f"The settings in {plan_file} are {made_with!r}, not an object")
    names = ("profile", "effort", "threshold", "signals", "include", "keep", "reference")
    return with_values(
        settings,
        {name: made_with[name] for name in names if name in made_with and given.get(name) in (None, ())},
    )


def _new_plan(
    plan: PlanFile, paths: Sequence[str], listed: Sequence[str], settings: Settings, quiet: bool
) -> str:
    from cvsim.api.pictures import dedupe
    from cvsim.cli.console import progress_bars
    from cvsim.errors import CvsimError

    plan.require_own([*paths, *listed, *settings.reference])
    with progress_bars(quiet) as progress:
        report = dedupe(paths, listed=listed, settings=settings, progress=progress)
    if not report.groups:
        raise CvsimError("There is nothing to review: no two of these pictures are the same.")
    said = plan.write(report)
    if said and not quiet:
        click.echo(f"cvsim: {said}", err=True)
    return plan.path


def _serve(
    plan_file: str,
    settings: Settings,
    given: Mapping[str, Any],
    port: int,
    *,
    open_browser: bool,
    quiet: bool,
) -> None:
    from cvsim.names import printable
    from cvsim.stores import open_run_store
    from cvsim.web.pairs import Pairs
    from cvsim.web.pictures import Pictures
    from cvsim.web.review import Review
    from cvsim.web.review_app import make_review_app
    from cvsim.web.server import serve

    assert settings.decisions is not None
    # The plan, which may be long, is read once; only then it is known how its pairs are compared.
    state = Review(plan_file, settings.decisions, lambda *asked: pairs.proposals(*asked))
    settings = _as_planned(state.extra.get("settings", {}), plan_file, settings, given)
    pairs = Pairs(settings)
    pictures = Pictures(state.paths_of, lambda: open_run_store(settings.cache))

    def on_ready(address: str) -> None:
        click.echo(address)
        if not quiet:
            click.echo("cvsim: open this address; Ctrl-C ends it, and loses nothing", err=True)

    serve(
        lambda: make_review_app(state, pairs, pictures, _open_file),
        port=port,
        open_browser=open_browser,
        on_ready=on_ready,
    )
    if not quiet:
        click.echo(f"cvsim: go on with: cvsim review {printable(plan_file)}", err=True)


def _open_file(path: str, reveal: bool) -> bool:
    """Whether the desktop has a program that opens a file, or shows it in its folder."""
    return click.launch(path, locate=reveal) == 0


@contextmanager
def _with_cache(settings: Settings) -> Iterator[Settings]:
    """A cache there must be, since a page asks again and again: without one, one that ends with it."""
    if settings.cache is not None:
        yield settings
        return
    with tempfile.TemporaryDirectory(prefix="cvsim-") as folder:
        yield replace(settings, cache=os.path.join(folder, "cache.db"))


def _own_decisions() -> str:
    import platformdirs

    folder = platformdirs.user_data_dir("cvsim")
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, "decisions.jsonl")
