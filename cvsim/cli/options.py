"""The options that verbs share, and how they become `Settings`.

An option that was not given is None or empty, and leaves the value of the configuration file, or the
default, in place.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from cvsim._version import __version__
from cvsim.cli import completed
from cvsim.cli.command import keeps_work
from cvsim.errors import SettingsError
from cvsim.executors.allowance import VARIABLE
from cvsim.executors.own_process import tune_own_process
from cvsim.settings import (
    DEFAULT_KEEP,
    EFFORTS,
    MOST_WORKERS,
    Settings,
    pixel_count,
    probability,
    read_config,
    size_in_bytes,
    with_values,
)

C = TypeVar("C", bound=Callable[..., Any])
Decorator = Callable[[C], C]


class ByteSize(click.ParamType):
    """``2000``, ``10k``, ``1.5MB``, ``4MiB``."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Turn what was typed into the value; see `click.ParamType.convert`."""
        if isinstance(value, int):
            return value
        try:
            return size_in_bytes(value)
        except SettingsError as exc:
            self.fail(str(exc), param, ctx)


class PixelCount(click.ParamType):
    """``300000``, ``0.3M``, ``640x480``."""

    name = "pixels"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Turn what was typed into the value; see `click.ParamType.convert`."""
        if isinstance(value, int):
            return value
        try:
            return pixel_count(value)
        except SettingsError as exc:
            self.fail(str(exc), param, ctx)


class Probability(click.ParamType):
    """``0.95``, ``95%``."""

    name = "probability"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Turn what was typed into the value; see `click.ParamType.convert`."""
        if isinstance(value, float):
            return value
        try:
            return probability(value)
        except SettingsError as exc:
            self.fail(str(exc), param, ctx)


class NameList(click.ParamType):
    """Names between commas."""

    name = "list"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Turn what was typed into the value; see `click.ParamType.convert`."""
        if isinstance(value, tuple):
            return value
        return tuple(name.strip() for name in value.split(",") if name.strip())


class OutputFile(click.Path):
    """A file to write, or ``-`` for stdout. Its folder must be there before a long run starts.

    Parameters
    ----------
    suffixes : sequence of str
        One of which the name must have, whatever its case; any will do if none are given.
    """

    def __init__(self, suffixes: Sequence[str] = ()) -> None:
        super().__init__(dir_okay=False, writable=True, allow_dash=True)
        self._suffixes = suffixes

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Turn what was typed into the value; see `click.ParamType.convert`."""
        path = super().convert(value, param, ctx)
        folder = os.path.dirname(os.path.abspath(path))
        if path != "-" and not os.path.isdir(folder):
            self.fail(f"the folder {folder!r} does not exist", param, ctx)
        if path != "-" and self._suffixes and os.path.splitext(path)[1].lower() not in self._suffixes:
            self.fail(f"{path!r} must end in {' or '.join(self._suffixes)}", param, ctx)
        return path


def general(command: C) -> C:
    """``--config``, ``-q``, ``-v`` and ``--version``: every verb takes them.

    The verb gets `config` and `quiet`; before it runs, logging is set up and the process is tuned.
    """

    @click.option(
        "--config", type=click.Path(dir_okay=False), metavar="FILE", help="Read settings from FILE."
    )
    @click.option("-q", "--quiet", is_flag=True, help="No progress bars, no hints.")
    @click.option("-v", "--verbose", count=True, help="Log what happens to stderr; -vv for more.")
    @click.version_option(__version__, message="cvsim %(version)s")
    @functools.wraps(command)
    def with_logging(*args: Any, verbose: int, **kwargs: Any) -> Any:
        _log(verbose, kwargs["quiet"])
        tune_own_process()
        return command(*args, **kwargs)

    return with_logging  # type: ignore[return-value]


def _log(verbose: int, quiet: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("cvsim: %(levelname)s: %(message)s"))
    logger = logging.getLogger("cvsim")
    logger.handlers[:] = [handler]
    levels = (logging.WARNING, logging.INFO, logging.DEBUG)
    logger.setLevel(logging.ERROR if quiet and not verbose else levels[min(verbose, 2)])
    logger.propagate = False


def paths(command: C) -> C:
    """``PATH...`` and which of the files under them are taken.

    The verb gets `paths`, the arguments as they were given, and `listed`, what ``--files-from`` names: a
    file of a list may be gone by now, one that was named may not.
    """

    @click.argument("paths", nargs=-1, metavar="PATH...", type=click.Path(exists=True))
    @click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out what matches; repeatable.")
    @click.option(
        "--include-ext", type=NameList(), metavar="LIST", help="Take only files that end so: jpg,heic."
    )
    @click.option("--exclude-ext", type=NameList(), metavar="LIST", help="Leave out files that end so.")
    @click.option("--hidden", is_flag=True, default=None, help="Take hidden files and folders too.")
    @click.option("--follow-symlinks", is_flag=True, default=None, help="Go where symbolic links lead.")
    @click.option(
        "--one-file-system", is_flag=True, default=None, help="Stay on the file system of each PATH."
    )
    @click.option(
        "--max-depth",
        type=click.IntRange(min=1),
        metavar="N",
        help="Enter N levels of folders; 1 is PATH alone.",
    )
    @click.option(
        "--min-size",
        "min_size_bytes",
        type=ByteSize(),
        metavar="SIZE",
        help="Leave out smaller files: 10k, 1MB.",
    )
    @click.option(
        "--max-size", "max_size_bytes", type=ByteSize(), metavar="SIZE", help="Leave out larger files."
    )
    @click.option(
        "--min-pixels",
        type=PixelCount(),
        metavar="N",
        help="Leave out pictures of fewer pixels: 0.3M, 640x480.",
    )
    @click.option(
        "--picture-memory",
        type=ByteSize(),
        metavar="SIZE",
        help="Let the decoding of one picture take so much memory: 8G.  "
        "[default: half of the machine's, 6 GB at most]",
    )
    @click.option(
        "--files-from",
        type=click.File("rb"),
        metavar="FILE",
        help="Read more paths from FILE, one a line; - is stdin.",
    )
    @click.option(
        "-0", "nul", is_flag=True, help="Paths in --files-from end in a NUL, as find -print0 writes."
    )
    @functools.wraps(command)
    def with_paths(*args: Any, files_from: Any, nul: bool, picture_memory: int | None, **kwargs: Any) -> Any:
        if picture_memory is not None:
            os.environ[VARIABLE] = str(picture_memory)  # child processes and workers of Dask heed it, too
        if files_from is None and not kwargs["paths"]:
            raise click.UsageError("Give at least one PATH, or --files-from FILE.")
        if nul and files_from is None:
            raise click.UsageError("-0 says how --files-from FILE is written; give that too.")
        listed: list[str] = []
        if files_from is not None:
            from cvsim.images.scan import read_names

            listed = read_names(files_from, nul=nul)
        return command(*args, listed=listed, **kwargs)

    return with_paths  # type: ignore[return-value]


def output(help: str) -> Decorator:
    """The one file that a verb writes: ``-o``."""
    return click.option("-o", "--output", required=True, type=OutputFile(), metavar="FILE", help=help)


signals = click.option(
    "--signals",
    type=NameList(),
    metavar="LIST",
    help="Use these signals instead.",
    shell_complete=completed.several_of(completed.signals),
)


def embedding(command: C) -> C:
    """An image network, and what its input looks like: ``--embedding``, ``--preprocess``."""

    @click.option(
        "--embedding",
        metavar="FILE|PRESET",
        shell_complete=completed.one_of(completed.presets, or_file=True),
        help="An image network as one more signal: FILE.onnx, KIND=FILE.onnx or a preset's name.",
    )
    @click.option(
        "--preprocess",
        metavar="KIND",
        shell_complete=completed.one_of(completed.preprocessing),
        help="What the network's input looks like: tf, torch, caffe and others; +mirror and +crops average "
        "over views of the picture.",
    )
    @functools.wraps(command)
    def with_kind(*args: Any, preprocess: str | None, **kwargs: Any) -> Any:
        if preprocess is not None:
            if kwargs["embedding"] is None:
                raise click.UsageError("--preprocess is for a network; give --embedding FILE, too.")
            kwargs["embedding"] = f"{preprocess}={kwargs['embedding']}"
        return command(*args, **kwargs)

    return with_kind  # type: ignore[return-value]


def scoring(command: C) -> C:
    """What decides the score: profile, effort, signals, embedding and threshold."""
    return _all(
        command,
        click.option(
            "--threshold",
            type=Probability(),
            metavar="P",
            help="Link pairs that are at least this sure: 0.95 or 95%.  [default: the profile's]",
        ),
        click.option(
            "--profile",
            metavar="NAME|FILE",
            help="What counts as the same: copy, alike (bursts and near views to look at), or a file.  "
            "[default: copy]",
            shell_complete=completed.one_of(completed.profiles, or_file=True),
        ),
        click.option("--effort", type=click.Choice(EFFORTS), help="Which signals are worth their cost."),
        signals,
        embedding,
    )


def running(command: C) -> C:
    """How it runs: ``--cache``, ``--no-cache``, ``--workers``."""
    return _all(
        command,
        click.option("--cache", type=click.Path(dir_okay=False), metavar="FILE", help="Cache file to use."),
        click.option("--no-cache", is_flag=True, help="Use no cache."),
        click.option(
            "--workers", type=click.IntRange(1, MOST_WORKERS), metavar="N", help="[default: one a core]"
        ),
    )


def scheduler(command: C) -> C:
    """Where else it runs: ``--scheduler``."""
    return _all(
        command,
        click.option(
            "--scheduler",
            metavar="local:N|tcp://HOST:PORT",
            help="Let the workers of this Dask scheduler do the work, or N processes of this machine.",
        ),
    )


def store(command: C) -> C:
    """Where an index is: ``--store``."""
    return _all(
        command,
        click.option(
            "--store", required=True, metavar="LOCATION", help="The index: a file, or the URL of an engine."
        ),
    )


def page(command: C) -> C:
    """Where a page is, for the verbs that serve one: ``--port`` and ``--no-browser``."""
    return _all(
        command,
        click.option(
            "--port",
            type=click.IntRange(0, 65535),
            default=0,
            metavar="N",
            help="Port of the page.  [default: any that is free]",
        ),
        click.option("--no-browser", is_flag=True, help="Only print the address."),
    )


def index_signals(command: C) -> C:
    """What an index is made with and searched by: effort, signals and embedding."""
    return _all(
        command,
        click.option("--effort", type=click.Choice(EFFORTS), help="Which signals are worth their cost."),
        signals,
        embedding,
    )


def references(command: C) -> C:
    """What is there already: ``--reference``."""
    return _all(
        command,
        click.option(
            "--reference",
            multiple=True,
            metavar="DIR",
            type=click.Path(exists=True),
            help="Look here too; nothing in it is proposed for removal or compared with each other. "
            "Repeatable.",
        ),
    )


def against(command: C) -> C:
    """An index of what is there already: ``--against``."""
    return _all(
        command,
        click.option(
            "--against",
            metavar="STORE",
            help="What of this do I have already? Look the pictures up in this index; its files are not read "
            "again, may be out of reach, and are never touched.",
        ),
    )


def between_only(command: C) -> C:
    """Which pairs count: ``--between-only``."""
    return _all(
        command,
        click.option(
            "--between-only",
            is_flag=True,
            default=None,
            help="Only pairs whose sides lie under different PATHs.",
        ),
    )


def keeping(command: C) -> C:
    """Which file of a group stays, and which may go: ``--keep``, ``--include``."""
    return _all(
        command,
        click.option(
            "--keep",
            metavar="RULES",
            help=f"Which file stays, by rules in order.  [default: {DEFAULT_KEEP}]",
            shell_complete=completed.several_of(completed.keep_rules),
        ),
        click.option(
            "--include",
            type=NameList(),
            metavar="LIST",
            help="Also propose for removal: pasted,cropped,edited,recolored,similar.",
            shell_complete=completed.several_of(completed.relations_to_include),
        ),
    )


def _all(command: C, *decorators: Callable[[Any], Any]) -> C:
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


def settings_from(config: str | None, given: Mapping[str, Any]) -> Settings:
    """Defaults, then the configuration file, then the options that were given.

    Parameters
    ----------
    config : str or None
        The file named by ``--config``.
    given : mapping
        Options by the names of their settings; ``no_cache`` besides.
    """
    values = dict(read_config(config))
    values |= {name: value for name, value in given.items() if value is not None and value != ()}
    if values.pop("no_cache", False):
        if given.get("cache") is not None:
            raise click.UsageError("--cache and --no-cache exclude each other.")
        values["cache"] = None
    settings = with_values(Settings(), values)
    if "no_cache" in given and settings.cache is not None:
        keeps_work()
    return settings
