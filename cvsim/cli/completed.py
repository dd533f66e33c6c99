"""The values that a shell completes for options which take names."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem

KnownNames = Callable[[], Iterable[str]]
"""A function, so that nothing is imported for a run that completes nothing."""
Completed = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def one_of(names: KnownNames, *, or_file: bool = False) -> Completed:
    """Complete a name, or a file where that may stand there, too."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        found = [CompletionItem(name) for name in names() if name.startswith(incomplete)]
        return [*found, CompletionItem(incomplete, type="file")] if or_file else found

    return complete


def several_of(names: KnownNames) -> Completed:
    """Complete the last of names between commas; one that stands there already is not offered again."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",")
        left = (name for name in names() if name not in before.split(","))
        return [CompletionItem(f"{before}{comma}{name}") for name in left if name.startswith(last)]

    return complete


def keep_rules() -> Iterable[str]:
    """The rules of ``--keep``; those that want an argument end in a colon."""
    from cvsim.groups.keep import rule_names

    return (name.partition(":")[0] + ":" * (":" in name) for name in rule_names())


def relations_to_include() -> Iterable[str]:
    """What ``--include`` takes."""
    from cvsim.groups.propose import INCLUDABLE

    return INCLUDABLE


def actions() -> Iterable[str]:
    """What ``--action`` takes."""
    from cvsim.actions.apply import ACTIONS

    return ("move:" if name == "move" else name for name in ACTIONS)


def preprocessing() -> Iterable[str]:
    """What ``--preprocess`` takes."""
    from cvsim.features.embedding import PREPROCESSING

    return PREPROCESSING


def profiles() -> Iterable[str]:
    """The built-in profiles of copies."""
    from cvsim.settings import PROFILES

    return PROFILES


def presets() -> Iterable[str]:
    """Networks that ``--embedding`` knows by name."""
    from cvsim.products.pretrained import NETWORKS

    return NETWORKS


def signals() -> Iterable[str]:
    """What ``--signals`` takes, those of other packages included."""
    from cvsim.features import known_features

    return sorted(known_features())
