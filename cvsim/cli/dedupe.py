"""``cvsim dedupe``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from cvsim.cli import options
from cvsim.cli.command import Verb
from cvsim.cli.how_much import HowMuch
from cvsim.cli.plan_file import PlanFile, overwriting

if TYPE_CHECKING:
    from cvsim.api.report import Report
    from cvsim.progress import Progress

EXIT_FOUND = 3
EXIT_NOTHING_LOOKED_AT = 4
FORMATS = ("table", "json", "jsonl", "csv", "paths0", "new0")


@click.command(cls=Verb, epilog="Example: cvsim dedupe photos --html report.html --csv copies.csv")
@options.paths
@options.scoring
@options.references
@options.against
@options.between_only
@options.keeping
@click.option(
    "--decisions",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Heed the answers that are remembered in FILE.",
)
@click.option(
    "--format",
    type=click.Choice(FORMATS),
    help="What goes to stdout: a table for people, one JSON document, a JSON line a group, CSV, or the files "
    "to remove, each ended by a NUL, for xargs -0; new0: those that --against does not know.  "
    "[default: table]",
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    help="Print N groups; 0 prints all.  [default: a screenful; all that go through a pipe]",
)
@click.option("--summary", is_flag=True, help="Print totals only.")
@click.option("--pager", is_flag=True, help="Show all groups page by page.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document: --format json.")
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
@click.option(
    "--check", is_flag=True, help="End with exit code 3 if there is a group, 4 if there was no picture."
)
@options.running
@options.scheduler
@options.general
def dedupe(
    paths: tuple[str, ...],
    listed: list[str],
    format: str | None,
    limit: int | None,
    summary: bool,
    pager: bool,
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
    if as_json and format not in (None, "json"):
        raise click.UsageError(f"--json and --format {format} exclude each other.")
    format = "json" if as_json else format or "table"
    files = {"--csv": csv_file, "--html": html_file, "--plan": plan_file, "--graph": graph_file}
    on_stdout = [name for name, file in files.items() if file == "-"]
    if format != "table":
        on_stdout.insert(0, "--json" if as_json else f"--format {format}")
    if len(on_stdout) > 1:
        raise click.UsageError(
            f"{' and '.join(on_stdout)} cannot both go to stdout; give one of them a file."
        )
    if on_stdout and (limit is not None or summary or pager):
        raise click.UsageError(f"--limit, --summary and --pager are for the table, not for {on_stdout[0]}.")
    settings = options.settings_from(config, given)
    if format == "new0" and settings.against is None:
        raise click.UsageError("--format new0 lists what an index does not know; name it with --against.")
    if (force or fresh) and plan_file in (None, "-"):
        raise click.UsageError("--force and --fresh are about the file of --plan; name one.")
    plan = None if plan_file is None else PlanFile(plan_file, force=force, fresh=fresh)
    if plan is not None:
        plan.require_own([*paths, *listed, *settings.reference])

    from cvsim.api.pictures import dedupe as find_copies
    from cvsim.cli.console import progress_bars

    with progress_bars(quiet) as progress:
        report = find_copies(paths, listed=listed, settings=settings, progress=progress)
        if format != "table":
            _to_stdout(report, format)
        written = _write(report, files, progress, plan)
    if not quiet:
        for file, said in written:
            words = f"wrote {click.format_filename(file)}" + (f": {said}" if said else "")
            click.echo(f"cvsim: {words}", err=True)
    if not on_stdout:
        how_much = HowMuch(limit=limit, summary=summary, pager=pager)
        _print(report, how_much, quiet or html_file is not None, plan_file)
    if check and not report.counts.images:
        click.get_current_context().exit(EXIT_NOTHING_LOOKED_AT)
    if check and report.groups:
        click.get_current_context().exit(EXIT_FOUND)


def _to_stdout(report: Report, format: str) -> None:
    from cvsim.cli.console import write_bytes, write_text
    from cvsim.reports.json import to_jsonl
    from cvsim.reports.removals import to_new0, to_paths0

    if format in ("paths0", "new0"):
        write_bytes((to_paths0 if format == "paths0" else to_new0)(report.result))
    elif format == "csv":
        write_text(report.to_csv())
    else:
        write_text(report.to_json() if format == "json" else to_jsonl(report.result))


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


def _print(report: Report, how_much: HowMuch, without_hint: bool, plan_file: str | None) -> None:
    from cvsim.cli.console import notes_console, paged_console, result_console
    from cvsim.cli.render_groups import print_result
    from cvsim.names import printable

    if how_much.pager:
        with paged_console() as console:
            print_result(console, report.result, how_much)
        return
    print_result(result_console(), report.result, how_much)
    notes = notes_console()
    if report.groups and notes.is_terminal and not without_hint:
        next_step = "To decide picture by picture, run cvsim review with the same paths"
        if plan_file is not None:
            next_step = f"To look and decide: cvsim review {printable(plan_file)}"
        notes.print(f"Nothing was touched. {next_step}; for a page to keep, add --html FILE", style="dim")
