"""What a run is asked to do: profiles, effort levels, frozen settings, and the configuration file.

A profile is a complete, named set of choices: signals, how candidates are found, fusion model,
threshold. Effort chooses which of a profile's signals are worth their cost. Neither is ever read from a
folder that is scanned: a stranger's folder must not change what is done to it.
"""

from __future__ import annotations

import functools
import numbers
import os
import reprlib
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

from cvsim.errors import SettingsError

Effort = Literal["fast", "default", "thorough"]
EFFORTS: tuple[str, ...] = get_args(Effort)

SCHEDULER = r"^(local:[1-9]\d*|(tcp|tls)://[^\s/]+:\d+|(?!(local|tcp|tls):)[a-z][a-z0-9+.-]*://\S+)\Z"
"""Pattern of a scheduler: Dask's, as processes of this machine or an address, or another package's."""

DEFAULT_KEEP = "original,resolution,size,metadata,companions,oldest,path"
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
    keep : str
        Rules that choose the file to keep, where a run asks for no others.
    for_looking : bool
        Its groups are for looking at: nothing is proposed for removal but what ``include`` names.
    copies : str or None
        The profile that says which of its links are copies, where others are links, too: those are called
        similar. None: all are copies.
    """

    name: str
    threshold: float
    signals: Mapping[str, tuple[str, ...]]
    models: Mapping[str, str]
    working_px: Mapping[str, int]
    keep: str = DEFAULT_KEEP
    for_looking: bool = False
    copies: str | None = None


COPY = Profile(
    name="copy",
    threshold=0.95,
    signals={
        "fast": ("phash", "tiles", "color", "levels"),
        "default": ("phash", "tiles", "color", "local"),
        "thorough": ("phash", "tiles", "color", "local-dense"),
    },
    models={"fast": "copy-fast", "default": "copy-default", "thorough": "copy-default"},
    working_px={"fast": 256, "default": 512, "thorough": 512},
)
LIKE_VIEWS = Profile(
    name="alike",
    threshold=0.95,
    signals={effort: (*names, "moment") for effort, names in COPY.signals.items()},
    models={"fast": "alike-fast", "default": "alike-default", "thorough": "alike-default"},
    working_px=COPY.working_px,
    keep=f"sharpest,{DEFAULT_KEEP}",
    for_looking=True,
    copies="copy",
)
"""The threshold is of 0.95, 0.9 and 0.8: on bursts of part b and the domains each step down finds 2 % more of
the frames and links half as many strangers again (21, 36 and 50; see `benchmarks/bursts.py`)."""
PROFILES: dict[str, Profile] = {profile.name: profile for profile in (COPY, LIKE_VIEWS)}


MOST_WORKERS = 1024
"""More than the cores of any machine; each is a thread at once, and a mistyped number would hang the run."""
MIN_WORD_VOTES: Mapping[str, int] = {"fast": 4, "default": 4, "thorough": 3}
"""Agreeing keypoints that make a candidate, by effort."""


@dataclass(frozen=True, slots=True)
class ScanSettings:
    """Which files are taken (see `cvsim.images.scan`).

    Attributes
    ----------
    exclude : tuple of str
        Patterns of files and folders to leave out.
    hidden : bool
        Take hidden files and folders, too.
    follow_symlinks : bool
        Go where symbolic links lead.
    one_file_system : bool
        Leave out what lies on another file system than the folder that was named.
    max_depth : int or None
        How many levels of folders are entered; 1 is the named folder alone.
    include_ext, exclude_ext : tuple of str
        Take only, and leave out, files whose names end so: ``"jpg"``, in any case.
    min_size_bytes : int
        Leave out smaller files. ``"10k"`` and ``"4MiB"`` are understood.
    max_size_bytes : int or None
        Leave out larger files.
    min_pixels : int
        Leave out pictures of fewer pixels. ``"0.3M"`` and ``"640x480"`` are understood.
    """

    exclude: tuple[str, ...] = ()
    hidden: bool = False
    follow_symlinks: bool = False
    one_file_system: bool = False
    max_depth: int | None = None
    include_ext: tuple[str, ...] = ()
    exclude_ext: tuple[str, ...] = ()
    min_size_bytes: int = 1
    max_size_bytes: int | None = None
    min_pixels: int = 0

    def __post_init__(self) -> None:
        _check_fields(self)

    @property
    def keywords(self) -> dict[str, Any]:
        """The settings as keywords of `cvsim.images.scan.scan`."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class Settings:
    """One run. Every value is checked when the settings are made.

    A single text stands for a list of one, a path may be any path-like object.

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
    against : str or None
        An index of what is there already (a file, or the URL of an engine): only pairs with a file under the
        paths, and indexed files are never proposed for removal.
    keep : str, tuple of str or None
        Ordered rules that choose the file to keep; None takes the profile's.
    include : tuple of str
        Relations that are proposed for removal besides full copies; under a profile whose groups are for
        looking at, the only ones.
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
    against: str | None = None
    keep: str | tuple[str, ...] | None = None
    include: tuple[str, ...] = ()
    decisions: str | None = None
    cache: str | None = ""
    workers: int | None = None
    scheduler: str | None = None
    scan: ScanSettings = field(default_factory=ScanSettings)

    def __post_init__(self) -> None:
        _check_fields(self)

    @property
    def keep_rules(self) -> str | tuple[str, ...]:
        """The rules that choose the file to keep: these, or the profile's."""
        profile = PROFILES.get(self.profile, COPY)
        return profile.keep if self.keep is None else self.keep

    @property
    def is_for_looking(self) -> bool:
        """Whether nothing is proposed for removal but what `include` names."""
        return self.profile in PROFILES and PROFILES[self.profile].for_looking

    @property
    def n_workers(self) -> int:
        """Say how many workers there are, by the number of cores if none is set."""
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
    """The settings that a configuration file holds, by name, each in its own type.

    Parameters
    ----------
    path : path or None
        None: the user's own file, which need not exist.

    Raises
    ------
    SettingsError
        The file is missing (when named), is no TOML, or holds an unknown name or a wrong value.
    """
    file = Path(path) if path is not None else user_config_path()
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if path is None:
            return {}
        raise SettingsError(f"{file}: no such configuration file") from None
    except (OSError, ValueError, RecursionError) as exc:  # also a number of more digits than Python reads
        raise SettingsError(f"{file}: not a readable TOML file: {exc}") from exc
    try:
        return {name: checked(name, value) for name, value in values.items()}
    except SettingsError as exc:
        raise SettingsError(f"{file}: {exc}") from exc


def with_values(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """`settings` with the given values, those of the scan included.

    Raises
    ------
    SettingsError
        A name is unknown, or a value is not what its setting wants.
    """
    fit = {name: checked(name, value) for name, value in values.items()}
    scan = {name: fit.pop(name) for name in _SCAN_NAMES if name in fit}
    return replace(settings, scan=replace(settings.scan, **scan), **fit)


def size_in_bytes(text: str) -> int:
    """``2000``, ``10k``, ``1.5MB`` or ``4MiB`` as a number of bytes.

    Raises
    ------
    SettingsError
        The text is no size.
    """
    written = text.strip().lower().removesuffix("b")
    number = written.rstrip("kmgi")
    try:
        return int(float(number) * _SIZE_UNITS[written[len(number) :]])
    except (ValueError, KeyError, OverflowError):
        raise SettingsError(f"{text!r} is no size; write 2000, 10k, 1.5MB or 4MiB") from None


def pixel_count(text: str) -> int:
    """``300000``, ``300k``, ``0.3M`` or ``640x480`` as a number of pixels.

    Raises
    ------
    SettingsError
        The text is no number of pixels.
    """
    written = text.strip().lower().removesuffix("p")
    sides = written.replace("×", "x").split("x")
    try:
        if len(sides) == 2:
            return int(sides[0]) * int(sides[1])
        number = written.rstrip("km")
        return int(float(number) * _PIXEL_UNITS[written[len(number) :]])
    except (ValueError, KeyError, OverflowError):
        raise SettingsError(f"{text!r} is no number of pixels; write 300000, 0.3M or 640x480") from None


def probability(text: str) -> float:
    """``0.95``, ``95%`` or ``95 %`` as a number from 0 to 1.

    Raises
    ------
    SettingsError
        The text is no probability.
    """
    written = text.strip()
    try:
        value = float(written.removesuffix("%"))
    except ValueError:
        value = -1.0
    if written.endswith("%"):
        value = round(value / 100, 12)
    if 0 <= value <= 1:
        return value
    per_cent = f"; did you mean {written}%?" if 2 <= value <= 100 else ""
    raise SettingsError(f"{text!r} is no probability; write 0.95 or 95%{per_cent}")


def checked(name: str, value: Any) -> Any:
    """The value of a setting in its own type.

    Raises
    ------
    SettingsError
        No setting has that name, or the value is not what it wants: the message names the setting, what was
        given and what is wanted.
    """
    if name not in WANTED:
        raise SettingsError(f"unknown setting {name!r}; {_suggestion(name)}")
    import msgspec  # not above: it takes longer to load than the rest of this module

    try:
        return msgspec.convert(_plain(name, value), _types()[name])
    except (msgspec.ValidationError, SettingsError, RecursionError):
        given = reprlib.repr(value)
        raise SettingsError(f"the setting {name!r} must be {WANTED[name]}; {given} is not") from None


_SCAN_NAMES = tuple(f.name for f in fields(ScanSettings))
_PIXEL_UNITS = {"": 1, "k": 10**3, "m": 10**6}
_SIZE_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}

WANTED: Mapping[str, str] = {
    "profile": "a profile's name or a file that cvsim train made",
    "effort": f"one of {', '.join(EFFORTS)}",
    "threshold": "a probability, from 0 to 1",
    "signals": "a list of signals",
    "embedding": "FILE.onnx, KIND=FILE.onnx or the name of a preset",
    "reference": "a list of folders",
    "between_only": "true or false",
    "against": "the location of an index: a file, or the URL of an engine",
    "keep": "rules in order, such as 'resolution,oldest'",
    "include": "a list of relations",
    "decisions": "a file",
    "cache": "a file",
    "workers": f"a whole number, from 1 to {MOST_WORKERS}",
    "scheduler": "local:N for N processes on this machine, or tcp://HOST:PORT of a Dask scheduler",
    "exclude": "a list of patterns",
    "hidden": "true or false",
    "follow_symlinks": "true or false",
    "one_file_system": "true or false",
    "max_depth": "a whole number, at least 1",
    "include_ext": "a list of extensions",
    "exclude_ext": "a list of extensions",
    "min_size_bytes": "a size in bytes: 2000, '10k', '1.5MB' or '4MiB'",
    "max_size_bytes": "a size in bytes: 2000, '10k', '1.5MB' or '4MiB'",
    "min_pixels": "a number of pixels: 300000, '0.3M' or '640x480'",
}
"""What each setting wants, in words. Settings that stand in no such list do not exist."""


@functools.cache
def _types() -> dict[str, Any]:
    """The type of each setting, limits included, as msgspec checks it."""
    from msgspec import Meta

    limits: dict[str, Any] = {
        "threshold": Annotated[float, Meta(ge=0, le=1)] | None,
        "workers": Annotated[int, Meta(ge=1, le=MOST_WORKERS)] | None,
        "scheduler": Annotated[str, Meta(pattern=SCHEDULER)] | None,
        "max_depth": Annotated[int, Meta(ge=1)] | None,
        "min_size_bytes": Annotated[int, Meta(ge=0)],
        "max_size_bytes": Annotated[int, Meta(ge=0)] | None,
        "min_pixels": Annotated[int, Meta(ge=0)],
    }
    return {**get_type_hints(ScanSettings), **get_type_hints(Settings), **limits}


_WRITTEN: Mapping[str, Callable[[str], int]] = {
    "min_size_bytes": size_in_bytes,
    "max_size_bytes": size_in_bytes,
    "min_pixels": pixel_count,
}
"""Numbers that may be written as text, with their units."""


def _check_fields(settings: Settings | ScanSettings) -> None:
    """Bring each value to its own type. What was left at its default needs no look."""
    for one in fields(settings):
        value = getattr(settings, one.name)
        if one.name != "scan" and value is not one.default:
            object.__setattr__(settings, one.name, checked(one.name, value))


def _plain(name: str, value: Any) -> Any:
    """The value as text, numbers and lists of text; what is none of these stays for msgspec to refuse."""
    if isinstance(value, (str, bytes, os.PathLike)):
        text = os.fsdecode(value)
        if name in _WRITTEN:
            return _WRITTEN[name](text)
        if name == "threshold" and text.strip().endswith("%"):
            return probability(text)
        return [text] if _takes_list(name) else text
    if isinstance(value, Mapping | bool):
        return value
    if isinstance(value, Iterable):
        several = sorted(value) if isinstance(value, set | frozenset) else value
        return [os.fsdecode(one) if isinstance(one, (str, bytes, os.PathLike)) else one for one in several]
    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value) if isinstance(value, numbers.Real) else value


def _takes_list(name: str) -> bool:
    return WANTED[name].startswith("a list of")


def _suggestion(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, WANTED, 1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(WANTED))}"
