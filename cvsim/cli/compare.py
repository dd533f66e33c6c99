"""``cvsim compare``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cvsim.cli import options
from cvsim.cli.command import Verb

if TYPE_CHECKING:
    from cvsim.api.compared import Compared


@click.command(cls=Verb, epilog="Example: cvsim compare a.jpg b.jpg --picture why.png")
@click.argument("a", type=click.Path(exists=True, dir_okay=False))
@click.argument("b", type=click.Path(exists=True, dir_okay=False))
@options.scoring
@click.option(
    "--picture",
    type=options.OutputFile((".png", ".jpg", ".jpeg")),
    metavar="FILE",
    help="Draw the two with the keypoints that agree and what overlaps, as PNG or JPEG.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@options.general
def compare(
    a: str, b: str, picture: str | None, as_json: bool, config: str | None, quiet: bool, **given: Any
) -> None:
    """Show every signal of the pictures A and B, its weight, the score and the relation.

    The score is the one that dedupe would give the pair.
    """
    if as_json and picture == "-":
        raise click.UsageError("--json and --picture cannot both go to stdout; give --picture a file.")
    settings = options.settings_from(config, given)

    from cvsim.api.pictures import compare as compare_pictures

    pair = compare_pictures(a, b, settings=settings)
    if picture is not None:
        _write_picture(pair, picture, quiet)
    if as_json:
        click.echo(pair.to_json(), nl=False)
        return
    if picture == "-":
        return
    from cvsim.cli.console import result_console
    from cvsim.cli.render_pair import print_pair
    from cvsim.recipes.scoring_plan import scoring_plan

    print_pair(result_console(), pair.result, scoring_plan(settings).threshold)


def _write_picture(pair: Compared, file: str, quiet: bool) -> None:
    from cvsim.cli.console import write_bytes

    if file == "-":
        write_bytes(pair.to_picture())
        return
    pair.to_picture(file)
    if not quiet:
        click.echo(f"cvsim: wrote {click.format_filename(file)}", err=True)
