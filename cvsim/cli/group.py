"""The ``cvsim`` command itself: which verbs there are, and how each of them may end.

A verb's module is imported when the verb is used and not before, so that ``cvsim --help`` starts at once.
"""

from __future__ import annotations

import importlib
import logging
import sys
import traceback
from typing import IO, Any

import click
from click.shell_completion import CompletionItem

from cvsim._version import __version__
from cvsim.cli.command import VerbGroup, after_interrupt
from cvsim.errors import CvsimError, UsageError

VERBS = {
    "dedupe": "Find groups of copies; touches nothing.",
    "review": "Look at copies in the browser, decide, apply, undo.",
    "apply": "Carry out a plan, so that it can be taken back.",
    "undo": "Take back what apply did.",
    "compare": "Say why two pictures are the same, or why not.",
    "index": "Keep pictures so that they can be searched.",
    "search": "Look for a picture in an index.",
    "serve": "Search an index in the browser, or by a JSON API.",
    "prefilter": "Write the pairs worth a heavier system's time.",
    "fetch": "Download the images of a dataset.",
    "cluster": "Group product photos.",
    "train": "Learn a profile from labelled product photos.",
    "classify": "Assign photos to known products.",
    "features": "Write the pictures' vectors.",
    "plot": "Draw maps, contact sheets and projector files.",
    "evaluate": "Measure a grouping against the right answers.",
    "cache": "Look at, empty or tidy the cache.",
    "info": "Show versions, optional parts, formats and where the cache is.",
    "completion": "Let your shell complete commands, options and values.",
    "help": "Read the manual, a topic at a time.",
}
"""Each verb is the command of the same name in the module of the same name."""

EXIT_INTERRUPTED = 130


class Failure(click.ClickException):
    """An error of cvsim as one line on stderr; with ``-v`` the traceback goes before it."""

    def __init__(self, error: CvsimError) -> None:
        super().__init__(str(error) or type(error).__name__)
        self.exit_code = 2 if isinstance(error, UsageError) else 1  # type: ignore[misc]

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the error, printable, on stderr."""
        if logging.getLogger("cvsim").isEnabledFor(logging.INFO) and self.__cause__ is not None:
            click.echo("".join(traceback.format_exception(self.__cause__)), file=file or sys.stderr, nl=False)
        from cvsim.names import printable

        lines = (printable(line) for line in self.message.splitlines())
        click.echo("cvsim: " + "\n       ".join(lines), file=file or sys.stderr)


class Program(VerbGroup):
    """Imports a verb on its first use and maps the errors of all of them in one place."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the verbs in the order of the help."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb that is asked for."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = getattr(importlib.import_module(f"cvsim.cli.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Name the verbs that begin so, without importing them."""
        verbs = [
            CompletionItem(name, help=words) for name, words in VERBS.items() if name.startswith(incomplete)
        ]
        return [*verbs, *click.Command.shell_complete(self, ctx, incomplete)]

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb, and end with the right exit code."""
        try:
            value = super().invoke(ctx)
            # Here and not at exit, where a closed pipe could no longer be answered.
            sys.stdout.flush()
        except CvsimError as error:
            raise Failure(error) from error
        except KeyboardInterrupt:
            click.echo(f"\ncvsim: {after_interrupt(ctx.meta)}", err=True)
            ctx.exit(EXIT_INTERRUPTED)
        return value


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: cvsim dedupe photos --html report.html. The manual: cvsim help.",
)
@click.version_option(__version__, message="cvsim %(version)s")
def cvsim() -> None:
    """Find pictures that are the same, and say why.

    The result goes to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage, 3
    --check found duplicates, 4 --check found no picture to look at, 130 interrupted.
    """
