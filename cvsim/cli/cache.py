"""``cvsim cache``: the file in which finished work is kept between runs."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cvsim.cli import options
from cvsim.cli.command import Verb, VerbGroup
from cvsim.settings import read_config

if TYPE_CHECKING:
    from cvsim.stores import StoreInfo


@click.group(cls=VerbGroup, epilog="Example: cvsim cache info", invoke_without_command=False)
def cache() -> None:
    """Look at, empty or tidy the cache.

    The cache only saves time: without it, or after it was emptied, results are the same.
    """


def _location(command: Callable[..., None]) -> Callable[..., None]:
    """``--cache FILE``, or the configuration's, or the user's own; the command gets `path`."""

    @click.option(
        "--cache", type=click.Path(dir_okay=False), metavar="FILE", help="Cache file, if not the usual one."
    )
    @options.general
    @functools.wraps(command)
    def with_path(cache: str | None, config: str | None, quiet: bool, **kwargs: Any) -> None:
        from cvsim.stores import default_cache_path

        named = cache or read_config(config).get("cache")
        command(path=Path(named) if named else default_cache_path(), quiet=quiet, **kwargs)

    return with_path


@cache.command(cls=Verb, epilog="Example: cvsim cache info --json")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@_location
def info(path: Path, as_json: bool, quiet: bool) -> None:
    """Show where the cache is and what it holds."""
    held = _read(path)
    if as_json:
        _print(_document(path, held))
        return
    from cvsim.names import printable
    from cvsim.reports.wording import byte_size, quantity

    click.echo(printable(os.fspath(path)))
    if held is None:
        click.echo("There is no cache there yet.")
        return
    click.echo(f"{byte_size(held.size_bytes)} on disk")
    click.echo(
        f"{quantity(held.n_images, 'picture')}, {quantity(held.n_files, 'file')}, "
        f"{quantity(held.n_pairs, 'scored pair')}, {quantity(held.n_failures, 'undecodable content')}"
    )
    for key, kept in sorted(held.artefacts.items()):
        click.echo(f"  {kept.n_rows:>9,}  {byte_size(kept.n_bytes):>8}  {printable(key)}")


def _read(path: Path) -> StoreInfo | None:
    # Looking must not make one.
    if not path.exists():
        return None
    from cvsim.stores import open_store

    with open_store(path, "cache") as store:
        return store.info()


def _document(path: Path, held: StoreInfo | None) -> dict[str, Any]:
    document: dict[str, Any] = {"location": os.fspath(path), "exists": held is not None}
    if held is not None:
        document |= {
            "size_bytes": held.size_bytes,
            "n_images": held.n_images,
            "n_files": held.n_files,
            "n_pairs": held.n_pairs,
            "n_failures": held.n_failures,
            "artefacts": {
                key: {"n_rows": kept.n_rows, "n_bytes": kept.n_bytes}
                for key, kept in sorted(held.artefacts.items())
            },
        }
    return document


@cache.command(cls=Verb, epilog="Example: cvsim cache check")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@_location
def check(path: Path, as_json: bool, quiet: bool) -> None:
    """Look at every row of the cache; changes nothing, and fails if something is damaged.

    Damaged rows never change a result: a run that meets one removes it and computes anew what it held.
    """
    from cvsim.errors import StoreError
    from cvsim.names import printable
    from cvsim.reports.wording import quantity
    from cvsim.stores import open_store

    if not path.exists():
        if as_json:
            _print({"location": os.fspath(path), "exists": False})
        else:
            click.echo("There is no cache there yet.")
        return
    with open_store(path, "cache") as store:
        found = store.check()
    if as_json:
        _print(
            {
                "location": os.fspath(path),
                "exists": True,
                "n_rows": found.n_rows,
                "n_damaged": found.n_damaged,
                "structure": found.structure or "ok",
            }
        )
    elif found.is_sound and not quiet:
        click.echo(f"{quantity(found.n_rows, 'row')}, none of them damaged")
    if found.structure:
        raise StoreError(
            f"the cache {printable(os.fspath(path))} is damaged ({found.structure}); run cvsim cache clear"
        )
    if found.n_damaged:
        where = f"{quantity(found.n_rows, 'row')} of the cache {printable(os.fspath(path))}"
        raise StoreError(
            f"{found.n_damaged:,} of {where} are damaged; what they held is computed anew when it is needed, "
            "or run cvsim cache clear"
        )


def _print(document: dict[str, Any]) -> None:
    from cvsim.files import dumps

    click.echo(dumps(document), nl=False)


@cache.command(cls=Verb, epilog="Example: cvsim cache clear")
@_location
def clear(path: Path, quiet: bool) -> None:
    """Remove everything from the cache, also a damaged one."""
    from cvsim.stores import clear_cache

    existed = clear_cache(path)
    if not quiet:
        click.echo("The cache is empty now." if existed else "There is no cache there yet.", err=True)


@cache.command(cls=Verb, epilog="Example: cvsim cache prune --unused-days 90")
@click.option(
    "--unused-days",
    type=click.IntRange(min=0),
    metavar="N",
    help="Also what was not used for more than N days.",
)
@_location
def prune(path: Path, unused_days: int | None, quiet: bool) -> None:
    """Remove what belongs to files that are gone, and give the space back.

    Files on a drive that is not connected now count as gone; they are read again when it is back.
    """
    from cvsim.reports.wording import quantity
    from cvsim.stores import open_store

    if not path.exists():
        if not quiet:
            click.echo("There is no cache there yet.", err=True)
        return
    with open_store(path, "cache") as store:
        n_removed = store.prune(exists=os.path.exists, unused_days=unused_days)
    if not quiet:
        click.echo(f"Removed what was kept of {quantity(n_removed, 'picture')}.", err=True)
