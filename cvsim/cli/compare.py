"""``cvsim compare``."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from cvsim.cli import options
from cvsim.cli.command import Verb

if TYPE_CHECKING:
    from cvsim.api.compared import Compared
    from cvsim.settings import Settings


@click.command(cls=Verb, epilog="Example: cvsim compare a.jpg b.jpg --picture why.png")
@click.argument(
    "files", nargs=-1, required=True, metavar="A B [C ...]", type=click.Path(exists=True, dir_okay=False)
)
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
    files: tuple[str, ...],
    picture: str | None,
    as_json: bool,
    config: str | None,
    quiet: bool,
    **given: Any,
) -> None:
    """Show every signal of the pictures A and B, its weight, the score and the relation.

    The score is the one that dedupe would give the pair. Of more pictures the scores of all pairs are shown,
    and with a network the cosines.
    """
    if len(files) < 2:
        raise click.UsageError("Give two pictures, or more.")
    if len(files) > 2 and picture is not None:
        raise click.UsageError("--picture draws two pictures.")
    if as_json and picture == "-":
        raise click.UsageError("--json and --picture cannot both go to stdout; give --picture a file.")
    settings = options.settings_from(config, given)

    from cvsim.api.pictures import compare as compare_pictures

    if len(files) > 2:
        _print_all(files, settings, as_json)
        return
    pair = compare_pictures(files[0], files[1], settings=settings)
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


def _print_all(files: Sequence[str], settings: Settings, as_json: bool) -> None:
    """The scores of all pairs as a square, and the cosines of their embeddings if there are any."""
    from cvsim.api.pictures import compare as compare_pictures

    scores: list[list[float | None]] = [[1.0] * len(files) for _ in files]
    cosines: list[list[float | None]] = [[1.0] * len(files) for _ in files]
    for i, j in itertools.combinations(range(len(files)), 2):
        pair = compare_pictures(files[i], files[j], settings=settings)
        scores[i][j] = scores[j][i] = pair.score
        shown = (c.shown for c in pair.comparisons if c.feature == "embedding")
        # Of the same file twice no signal is compared.
        cosine = next(shown, 1.0 if pair.relation == "identical-file" else None)
        cosines[i][j] = cosines[j][i] = cosine
    has_cosines = settings.embedding is not None
    if as_json:
        found = {"files": list(files), "scores": scores, **({"cosines": cosines} if has_cosines else {})}
        click.echo(json.dumps(found, indent=2))
        return
    from cvsim.cli.render_pair import matrix_lines

    for title, values in [("score", scores), ("cosine", cosines)][: 1 + has_cosines]:
        click.echo("\n".join(matrix_lines(title, files, values)))


def _write_picture(pair: Compared, file: str, quiet: bool) -> None:
    from cvsim.cli.console import write_bytes

    if file == "-":
        write_bytes(pair.to_picture())
        return
    pair.to_picture(file)
    if not quiet:
        click.echo(f"cvsim: wrote {click.format_filename(file)}", err=True)
