"""The reference section of README.md, made from the commands themselves.

    python tests/reference.py        writes it into README.md; test_readme fails while it is out of date

Options that every command takes, or every command with PATH, are listed once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from cvsim.cli import options
from cvsim.cli.group import cvsim as program

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- reference: begin -->", "<!-- reference: end -->"

Row = tuple[str, str]
"""An option as it is typed, and its help."""


def verbs() -> dict[str, click.Command]:
    """Every command by what is typed for it, those within groups included: ``cache clear``."""
    context = click.Context(program, info_name="cvsim")
    return dict(_verbs(program, context, ""))


def _verbs(group: click.Group, context: click.Context, prefix: str) -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        if isinstance(command, click.Group):
            yield from _verbs(command, context, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def option_rows(command: click.Command) -> list[Row]:
    return [_row(p) for p in command.params if isinstance(p, click.Option) and not p.hidden]


def _row(option: click.Option) -> Row:
    if option.is_flag or option.count:
        value = ""
    elif isinstance(option.type, click.Choice):
        value = " " + "\\|".join(str(choice) for choice in option.type.choices)
    else:
        value = " " + (option.metavar or option.type.name.upper()).replace("|", "\\|")
    typed = ", ".join([*option.opts, *option.secondary_opts])
    help_text = " ".join((option.help or "").split()).replace("|", "\\|")
    return f"`{typed}{value}`", help_text


def arguments(command: click.Command) -> str:
    return " ".join(
        p.metavar or p.name.upper() for p in command.params if isinstance(p, click.Argument) and p.name
    )


def first_line(command: click.Command) -> str:
    return (command.help or "").strip().partition("\n")[0]


def reference() -> str:
    """Markdown of the whole section, without its markers."""
    commands = verbs()
    everywhere, with_path = _rows_of(options.general), _rows_of(options.paths)
    lines = []
    for name, command in commands.items():
        own = [row for row in option_rows(command) if row not in everywhere + with_path]
        lines += [
            f"#### `{f'cvsim {name} {arguments(command)}'.strip()}`",
            "",
            first_line(command),
            "",
            *_table(own),
        ]
    lines += ["#### Every command with `PATH...`", "", *_table(with_path)]
    lines += ["#### Every command", "", *_table(everywhere)]
    return "\n".join(lines).rstrip()


def _rows_of(decorator: Callable[[Any], Any]) -> list[Row]:
    """The options that a decorator of `cvsim.cli.options` adds."""
    return option_rows(click.command()(decorator(lambda: None)))


def _table(rows: list[Row]) -> list[str]:
    if not rows:
        return []
    return ["| option | |", "|---|---|", *(f"| {typed} | {text} |" for typed, text in rows), ""]


def with_reference(readme: str) -> str:
    """`readme` with the section between its markers made anew."""
    pattern = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    assert pattern.search(readme), f"README.md has no {BEGIN} ... {END}"
    return pattern.sub(lambda _: f"{BEGIN}\n{reference()}\n{END}", readme)


if __name__ == "__main__":
    README.write_text(with_reference(README.read_text(encoding="utf-8")), encoding="utf-8")
