"""What a run is asked to do: profiles, effort levels, frozen settings, and the configuration file.

A profile is a complete, named set of choices: signals, how candidates are found, fusion model,
threshold. Effort chooses which of a profile's signals are worth their cost. Neither is ever read from a
folder that is scanned: a stranger's folder must not change what is done to it.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from cvsim.errors import SettingsError

Effort = Literal["fast", "default", "thorough"]
EFFORTS: tuple[str, ...] = get_args(Effort)

SCHEDULER = re.compile(r"local:[1-9]\d*|(tcp|tls)://[^\s/]+:\d+")
"""A scheduler of Dask: processes of this machine, or an address."""

DEFAULT_KEEP = "resolution,size,metadata,oldest,path"
"""Rules that choose the file to keep: see `cvsim.groups.keep`."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A complete set of choices.

    Attributes
    ----------
    name : str
        ``"copy"``, ``"product"``, or that of a trained file.
    threshold : float
        The score, inclusive, from which a pair is linked.
    signals : mapping of effort to tuple of str
        Feature names by effort level.
    models : mapping of effort to str
        The fusion model by effort level: a name within ``cvsim/models``, or a path.
    working_px : mapping of effort to int
        Longer side of the pixels that the signals are taken from, where it is to be no larger than the model
        was fitted to.
    """

    name: str
    threshold: float
    signals: Mapping[str, tuple[str, ...]]
    models: Mapping[str, str]
    working_px: Mapping[str, int]


COPY = Profile(
    name="copy",
    threshold=0.95,
    signals={
        "fast": ("phash", "tiles", "color"),
        "default": ("phash", "tiles", "color", "local"),
        "thorough": ("phash", "tiles", "color", "local-dense"),
    },
    models={"fast": "copy-fast", "default": "copy-default", "thorough": "copy-default"},
    working_px={"fast": 256, "default": 512, "thorough": 512},
)
PROFILES: dict[str, Profile] = {"copy": COPY}


MIN_WORD_VOTES: Mapping[str, int] = {"fast": 4, "default": 4, "thorough": 3}
"""Agreeing keypoints that make a candidate, by effort."""


@dataclass(frozen=True, slots=True)
class ScanSettings:
    """Which files are taken (see `cvsim.images.scan`)."""

    exclude: tuple[str, ...] = ()
    hidden: bool = False
    follow_symlinks: bool = False
    min_size_bytes: int = 1


@dataclass(frozen=True, slots=True)
class Settings:
    """One run.

    Attributes
    ----------
    profile : str
        A name in `PROFILES`, or the path of a trained file.
    effort : str
        ``"fast"``, ``"default"`` or ``"thorough"``.
    threshold : float or None
        In [0, 1], inclusive; None takes the profile's.
    signals : tuple of str or None
        Feature names instead of the profile's own.
    embedding : str or None
        An image network as one more signal: see `cvsim.features.embedding`.
    reference : tuple of str
        Folders that are scanned too, whose files are never proposed for removal nor compared with each other.
    between_only : bool
        Only pairs whose sides lie under different paths.
    keep : str
        Ordered rules that choose the file to keep.
    include : tuple of str
        Relations that are proposed for removal besides full copies.
    decisions : str or None
        A file of remembered answers.
    cache : str or None
        The cache file; None: none is used. ``""``: the user's own, in the platform's cache folder.
    workers : int or None
        Threads (and child processes for risky formats); None: one a core.
    scheduler : str or None
        Of Dask, where most of the work is done: ``"local:N"``, ``"tcp://HOST:PORT"``; None: it is done here.
    """

    profile: str = "copy"
    effort: Effort = "default"
    threshold: float | None = None
    signals: tuple[str, ...] | None = None
    embedding: str | None = None
    reference: tuple[str, ...] = ()
    between_only: bool = False
    keep: str = DEFAULT_KEEP
    include: tuple[str, ...] = ()
    decisions: str | None = None
    cache: str | None = ""
    workers: int | None = None
    scheduler: str | None = None
    scan: ScanSettings = field(default_factory=ScanSettings)

    def __post_init__(self) -> None:
        if self.effort not in EFFORTS:
            raise SettingsError(f"unknown effort {self.effort!r}; known: {', '.join(EFFORTS)}")
        if self.threshold is not None and not 0.0 <= self.threshold <= 1.0:
            raise SettingsError(f"the threshold is a probability, from 0 to 1; {self.threshold} is not")
        if self.workers is not None and self.workers < 1:
            raise SettingsError(f"at least one worker is needed; {self.workers} is too few")
        if self.scheduler is not None and not SCHEDULER.fullmatch(self.scheduler):
            raise SettingsError(
                f"{self.scheduler!r} is no scheduler; write local:N for N processes on this machine, or "
                "tcp://HOST:PORT of a Dask scheduler"
            )

    @property
    def n_workers(self) -> int:
        return self.workers or available_cores()


def available_cores() -> int:
    """Cores that this process may use: a container's share, not the machine's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def user_config_path() -> Path:
    """Where ``cvsim.toml`` is looked for when ``--config`` does not name one."""
    from platformdirs import user_config_dir

    return Path(user_config_dir("cvsim")) / "cvsim.toml"


def read_config(path: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """The settings that a configuration file holds, by name.

    Parameters
    ----------
    path : path or None
        None: the user's own file, which need not exist.

    Raises
    ------
    SettingsError
        The file is missing (when named), is no TOML, or holds an unknown name.
    """
    file = Path(path) if path is not None else user_config_path()
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if path is None:
            return {}
        raise SettingsError(f"{file}: no such configuration file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise SettingsError(f"{file}: not a readable TOML file: {exc}") from exc
    known = {f.name for f in fields(Settings)} - {"scan"} | {f.name for f in fields(ScanSettings)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise SettingsError(f"{file}: unknown setting {unknown[0]!r}; known: {', '.join(sorted(known))}")
    return values


def with_values(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """`settings` with the given values, those of the scan included, lists made tuples."""
    scan_names = {f.name for f in fields(ScanSettings)}
    frozen: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    scan = {k: v for k, v in frozen.items() if k in scan_names}
    try:
        rest: dict[str, Any] = {k: v for k, v in frozen.items() if k not in scan_names}
        return replace(settings, scan=replace(settings.scan, **scan), **rest)
    except TypeError as exc:
        raise SettingsError(f"a setting has the wrong type: {exc}") from exc
