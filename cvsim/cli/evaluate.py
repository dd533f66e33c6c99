"""``cvsim evaluate``."""

from __future__ import annotations

import click

from cvsim.cli import options
from cvsim.cli.command import Verb


@click.command(cls=Verb, epilog="Example: cvsim evaluate labels.csv answers.csv")
@click.argument("predicted", type=click.Path(exists=True, dir_okay=False))
@click.argument("answers", type=click.Path(exists=True, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@options.general
def evaluate(predicted: str, answers: str, as_json: bool, config: str | None, quiet: bool) -> None:
    """Measure the grouping PREDICTED against the right ANSWERS.

    Each is a CSV file with the columns file and label, or a .npy file of integers in the order of the
    paths. Every figure is 1 for a perfect grouping. The accuracy, too, is printed where the predicted
    labels are names of the answers, as those of classify are.
    """
    from cvsim.api.vectors import evaluate as measure

    found = measure(predicted, answers)
    if as_json:
        click.echo(found.to_json(), nl=False)
        return
    for label, value in (
        ("Adjusted Rand Index", f"{found.ari:.4f}"),
        ("pair precision", f"{found.pair_precision:.4f}"),
        ("pair recall", f"{found.pair_recall:.4f}"),
        ("pair F1", f"{found.pair_f1:.4f}"),
        ("B-cubed F1", f"{found.bcubed_f1:.4f}"),
        *([] if found.accuracy is None else [("accuracy", f"{found.accuracy:.4f}")]),
        ("images", f"{found.n_images:,}"),
        ("groups predicted", f"{found.n_predicted:,}"),
        ("groups true", f"{found.n_true:,}"),
    ):
        click.echo(f"{label:<20}{value:>10}")
