"""What every command has in common: a help in sections, and suggestions for a name that is nearly right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import click

_OWN = "Options"
_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Which files": (
        "exclude",
        "include_ext",
        "exclude_ext",
        "hidden",
        "follow_symlinks",
        "one_file_system",
        "max_depth",
        "min_size_bytes",
        "max_size_bytes",
        "min_pixels",
        "picture_memory",
        "files_from",
        "nul",
        "reference",
        "against",
        "between_only",
    ),
    "What counts as the same": ("threshold", "profile", "effort", "signals", "embedding", "preprocess"),
    "What stays, and what may go": ("keep", "include", "decisions"),
    "Output": (
        "output",
        "format",
        "limit",
        "summary",
        "pager",
        "as_json",
        "csv_file",
        "html_file",
        "plan_file",
        "force",
        "fresh",
        "graph_file",
        "picture",
        "check",
    ),
    "How it runs": ("cache", "no_cache", "workers", "scheduler", "port", "no_browser"),
    "General": ("config", "quiet", "verbose", "version"),
}
"""Parameters by the section of the help that they stand in; a command's own come first."""

_SECTION_OF = {name: title for title, names in _SECTIONS.items() for name in names}


class Verb(click.Command):
    """A command whose options stand in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, section by section."""
        rows: dict[str, list[tuple[str, str]]] = {title: [] for title in (_OWN, *_SECTIONS)}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                is_help = "--help" in parameter.opts
                rows["General" if is_help else _SECTION_OF.get(parameter.name or "", _OWN)].append(record)
        for title, records in rows.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class VerbGroup(click.Group):
    """Commands that suggest the right name for one that is nearly right."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is asked for; see `click.Group.resolve_command`."""
        name = args[0]
        if not ctx.resilient_parsing and not name.startswith("-") and self.get_command(ctx, name) is None:
            near = did_you_mean(name, self.list_commands(ctx))
            raise click.UsageError(f"There is no command {name!r}{near}", ctx)
        return super().resolve_command(ctx, args)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """What to add to the message that a name is not known: the nearest ones, or a full stop."""
    known = list(known)
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    near += [other for other in known if name in other and other not in near]
    return f"; did you mean {' or '.join(near[:3])}?" if near else "."


_WORK_IS_KEPT = "cvsim.cli.kept"


def keeps_work() -> None:
    """Say that what is done by now is kept: an interrupt may then promise it."""
    click.get_current_context().meta[_WORK_IS_KEPT] = True


def after_interrupt(meta: Mapping[str, Any]) -> str:
    """What an interrupted run leaves behind, in words."""
    if meta.get(_WORK_IS_KEPT):
        return "interrupted; what is done is kept, run it again to go on"
    return "interrupted; nothing of this run is kept"
