"""``cvsim help``: the manual that comes with the package, a topic at a time.

A topic is a Markdown file of ``cvsim/manual``. A terminal gets it rendered. A pipe gets plain text,
without the marks that only the tests and a browser need.
"""

from __future__ import annotations

import re
import sys
from importlib.resources import files
from importlib.resources.abc import Traversable

import click

from cvsim.cli import options
from cvsim.cli.command import Verb, did_you_mean
from cvsim.errors import UsageError

CONTENTS = "README"
"""The file of the manual that lists its topics."""

_COMMENT = re.compile(r"^<!-- .*? -->\n", re.MULTILINE)
_PICTURE = re.compile(r"^!\[[^\]]*\]\([^)]*\)\n\n?", re.MULTILINE)
_LINK_TO_TOPIC = re.compile(r"\[([^\]]*)\]\(([\w-]+)\.md[^)]*\)")
_LINK_TO_FILE = re.compile(r"\[([^\]]*)\]\((?!\w+:)[^)]*\)")
_VERBS_OF_TOPIC = re.compile(r"^<!-- verbs: (.*?) -->$", re.MULTILINE)


def topics() -> list[str]:
    """The names of all topics, in alphabetical order."""
    names = (entry.name.removesuffix(".md") for entry in _folder().iterdir() if entry.name.endswith(".md"))
    return sorted(name for name in names if name != CONTENTS)


def text_of(topic: str) -> str:
    """The Markdown of a topic, as it is written."""
    return (_folder() / f"{topic}.md").read_text(encoding="utf-8")


def verbs_of(topic: str) -> list[str]:
    """The commands that a topic explains, as its first lines name them."""
    match = _VERBS_OF_TOPIC.search(text_of(topic))
    return match[1].split() if match else []


def plain(markdown: str) -> str:
    """Markdown for a person's eyes alone: no comments, no pictures, and of links what they say."""
    text = _COMMENT.sub("", markdown)
    text = _PICTURE.sub("", text)
    text = _LINK_TO_TOPIC.sub(lambda link: _named(link[1], link[2]), text)
    return _LINK_TO_FILE.sub(r"\1", text)


def _names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in [*topics(), *_commands(context)] if name.startswith(incomplete)]


@click.command(cls=Verb, epilog="Example: cvsim help reading-results")
@click.argument("name", required=False, metavar="[TOPIC|COMMAND]", shell_complete=_names)
@options.general
@click.pass_context
def help(context: click.Context, name: str | None, config: str | None, quiet: bool) -> None:
    """Show a topic of the manual, or what a command does and takes; without a name, all topics."""
    if name is None:
        _show(text_of(CONTENTS))
        return
    commands = _commands(context)
    if name not in topics() and name not in commands:
        raise UsageError(_unknown(name, sorted({*topics(), *commands})))
    if name in topics():
        _show(text_of(name))
    if name in commands:
        if name in topics():
            click.echo()
        click.echo(_help_of(context, name))
        more = [topic for topic in topics() if topic != name and name in verbs_of(topic)]
        if more:
            click.echo(f"\nMore about it: {', '.join(f'cvsim help {topic}' for topic in more)}")


def _folder() -> Traversable:
    return files("cvsim") / "manual"


def _named(words: str, topic: str) -> str:
    """What a link to another topic says in a terminal."""
    return f"`cvsim help {topic}`" if words.strip("`") == topic else f"{words} (`cvsim help {topic}`)"


def _show(markdown: str) -> None:
    text = plain(markdown)
    if not sys.stdout.isatty():
        click.echo(text, nl=False)
        return
    from rich.markdown import Markdown

    from cvsim.cli.console import result_console

    result_console().print(Markdown(text))


def _commands(context: click.Context) -> list[str]:
    program = context.find_root().command
    return program.list_commands(context) if isinstance(program, click.Group) else []


def _help_of(context: click.Context, name: str) -> str:
    program = context.find_root().command
    assert isinstance(program, click.Group)
    command = program.get_command(context, name)
    assert command is not None
    with click.Context(command, info_name=name, parent=context.find_root()) as inner:
        return command.get_help(inner)


def _unknown(name: str, known: list[str]) -> str:
    return f"the manual has no topic {name!r}{did_you_mean(name, known)}\n'cvsim help' lists all topics"
