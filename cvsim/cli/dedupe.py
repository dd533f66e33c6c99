"""``cvsim dedupe``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from cvsim.cli import options
from cvsim.cli.plan_file import PlanFile, overwriting

if TYPE_CHECKING:
    from cvsim.api.report import Report
    from cvsim.progress import Progress

EXIT_FOUND = 3


@click.command(epilog="Example: cvsim dedupe photos --html report.html --csv copies.csv")
@options.paths
@options.scoring
@options.references
@options.between_only
@options.keeping
@click.option(
    "--decisions",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Heed the answers that are remembered in FILE.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option(
    "--csv", "csv_file", type=options.OutputFile(), metavar="FILE", help="Write a row for each picture."
)
@click.option(
    "--html", "html_file", type=options.OutputFile(), metavar="FILE", help="Write a page with thumbnails."
)
@click.option(
    "--plan",
    "plan_file",
    type=options.OutputFile(),
    metavar="FILE",
    help="Write what to keep and what to remove, for cvsim review and cvsim apply.",
)
@overwriting
@click.option(
    "--graph",
    "graph_file",
    type=options.OutputFile((".graphml",)),
    metavar="FILE.graphml",
    help="Write the pictures of all groups and their links as a graph.",
)
@click.option("--check", is_flag=True, help="End with exit code 3 if there is any group.")
@options.running
@options.scheduler
@options.general
def dedupe(
    paths: tuple[str, ...],
    listed: list[str],
    as_json: bool,
    csv_file: str | None,
    html_file: str | None,
    plan_file: str | None,
    graph_file: str | None,
    force: bool,
    fresh: bool,
    check: bool,
    config: str | None,
    quiet: bool,
    **given: Any,
) -> None:
    """Find groups of copies under PATH... and say which to keep. Touches nothing."""
    files = {"--csv": csv_file, "--html": html_file, "--plan": plan_file, "--graph": graph_file}
    on_stdout = [name for name, file in {"--json": "-" if as_json else None, **files}.items() if file == "-"]
    if len(on_stdout) > 1:
        raise click.UsageError(
            f"{' and '.join(on_stdout)} cannot both go to stdout; give one of them a file."
        )
    settings = options.settings_from(config, given)
    if (force or fresh) and plan_file in (None, "-"):
        raise click.UsageError("--force and --fresh are about the file of --plan; name one.")
    plan = None if plan_file is None else PlanFile(plan_file, force=force, fresh=fresh)
    if plan is not None:
        plan.require_own([*paths, *listed, *settings.reference])

    from cvsim.api.pictures import dedupe as find_copies
    from cvsim.cli.console import progress_bars

    with progress_bars(quiet) as progress:
        report = find_copies(paths, listed=listed, settings=settings, progress=progress)
        if as_json:
            click.echo(report.to_json(), nl=False)
        written = _write(report, files, progress, plan)
    if not quiet:
        for file, said in written:
            words = f"wrote {click.format_filename(file)}" + (f": {said}" if said else "")
            click.echo(f"cvsim: {words}", err=True)
    if not on_stdout:
        _print(report, quiet or html_file is not None, plan_file)
    if check and report.groups:
        click.get_current_context().exit(EXIT_FOUND)


def _write(
    report: Report, files: Mapping[str, str | None], progress: Progress, plan: PlanFile | None
) -> list[tuple[str, str]]:
    """Write what is asked for; the files that were written, and what is to be said of each."""
    from cvsim.cli.console import write_text

    ways: dict[str, Callable[[str | None], str | None]] = {
        "--csv": report.to_csv,
        "--html": functools.partial(report.to_html, progress=progress),
        "--plan": report.to_plan,
        "--graph": report.to_graphml,
    }
    written = []
    for option, to_file in ways.items():
        file = files[option]
        if file == "-":
            write_text(to_file(None) or "")
        elif option == "--plan" and plan is not None:
            written.append((plan.path, plan.write(report)))
        elif file is not None:
            to_file(file)
            written.append((file, ""))
    return written


def _print(report: Report, without_hint: bool, plan_file: str | None) -> None:
    from cvsim.cli.console import notes_console, result_console
    from cvsim.cli.render_groups import print_result
    from cvsim.names import printable

    print_result(result_console(), report.result)
    notes = notes_console()
    if report.groups and notes.is_terminal and not without_hint:
        next_step = "To decide picture by picture, run cvsim review with the same paths"
        if plan_file is not None:
            next_step = f"To look and decide: cvsim review {printable(plan_file)}"
        notes.print(f"Nothing was touched. {next_step}; for a page to keep, add --html FILE", style="dim")
