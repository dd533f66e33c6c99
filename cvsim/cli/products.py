"""What the verbs on products share: options, and files written whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cvsim.cli import options
from cvsim.errors import UsageError

if TYPE_CHECKING:
    from cvsim.settings import Settings
    from cvsim.types import Skipped

C = TypeVar("C", bound=Callable[..., Any])

profile = click.option(
    "--profile",
    metavar="product|FILE",
    help="The built-in profile, or one that train made.  [default: product]",
)


def product_settings(config: str | None, given: dict[str, Any]) -> Settings:
    """Settings of the run; a profile is the verb's own affair."""
    return options.settings_from(config, given)


def note_skipped(skipped: Sequence[Skipped], quiet: bool) -> None:
    """Say on stderr which pictures could not be used."""
    from cvsim.names import printable

    if quiet:
        return
    shown = [s for s in skipped if s.is_worth_naming]
    for one in shown[:10]:
        click.echo(f"cvsim: skipped {printable(one.path)}: {one.reason}", err=True)
    if len(shown) > 10:
        click.echo(f"cvsim: and {len(shown) - 10} more", err=True)


def write(path: str, to_file: Callable[[str | None], str | bytes | None], quiet: bool) -> None:
    """To a file, whole or not at all, or to stdout."""
    if path == "-":
        from cvsim.cli.console import write_bytes, write_text

        content = to_file(None)
        write_text(content) if isinstance(content, str) else write_bytes(content or b"")
        return
    to_file(path)
    note_written(path, quiet)


def note_written(path: str, quiet: bool) -> None:
    """Say on stderr what was written."""
    if not quiet:
        click.echo(f"cvsim: wrote {click.format_filename(path)}", err=True)


def suffix_of(path: str, known: Sequence[str]) -> str:
    """The file's ending, which says how it is written."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in known:
        raise UsageError(f"{path}: its ending must be one of {', '.join(known)}")
    return suffix
