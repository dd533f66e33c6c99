"""``cvsim compare``."""

from __future__ import annotations

from typing import Any

import click

from cvsim.cli import options


@click.command(epilog="Example: cvsim compare a.jpg b.jpg")
@click.argument("a", type=click.Path(exists=True, dir_okay=False))
@click.argument("b", type=click.Path(exists=True, dir_okay=False))
@options.scoring
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@options.general
def compare(a: str, b: str, as_json: bool, config: str | None, quiet: bool, **given: Any) -> None:
    """Show every signal of the pictures A and B, its weight, the score and the relation.

    The score is the one that dedupe would give the pair.
    """
    settings = options.settings_from(config, given)

    from cvsim import api

    pair = api.compare(a, b, settings=settings)
    if as_json:
        from cvsim.reports.json import comparison_document, dumps

        click.echo(dumps(comparison_document(pair)), nl=False)
        return
    from cvsim.cli.console import result_console
    from cvsim.cli.render_pair import print_pair
    from cvsim.pipeline import make_plan

    print_pair(result_console(), pair, make_plan(settings).threshold)
