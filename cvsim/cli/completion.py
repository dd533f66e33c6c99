"""``cvsim completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from cvsim.cli import options
from cvsim.cli.command import Verb

SHELLS = ("bash", "zsh", "fish")


@click.command(cls=Verb, epilog="Example: cvsim completion fish > ~/.config/fish/completions/cvsim.fish")
@click.argument("shell", type=click.Choice(SHELLS))
@options.general
@click.pass_context
def completion(context: click.Context, shell: str, config: str | None, quiet: bool) -> None:
    """Print the script that lets SHELL complete commands, options and their values.

    Evaluate it where the shell starts, in ~/.bashrc as eval "$(cvsim completion bash)", or write it into
    the folder from which your shell loads completions.
    """
    made_by = get_completion_class(shell)
    assert made_by is not None
    completer = made_by(context.find_root().command, {}, "cvsim", "_CVSIM_COMPLETE")
    click.echo(completer.source(), nl=False)
