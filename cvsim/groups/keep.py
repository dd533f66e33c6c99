"""Which file of a group stays: ordered rules, each choice with the rule that made it.

Two rules come before any that a person can order, because breaking them would lose something:
``intact`` (a damaged picture is never preferred over an intact one) and ``protected`` (what cannot be
removed anyway is the natural one to keep). The last tie is broken by path, so a choice never depends on
the order of the files.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cvsim.errors import SettingsError
from cvsim.settings import DEFAULT_KEEP
from cvsim.types import Holdings, ImageRecord

FORMAT_ORDER = ("dng", "tiff", "png", "jxl", "heif", "heic", "avif", "jpeg", "webp", "bmp", "gif")
"""Best first, for a plain ``format``: what stores the picture without loss leads."""

Protected = Callable[[ImageRecord], bool] | Collection[str]
"""Tells what must stay: a function of the record, or the folders that are protected."""

ORIGINAL = "original"
"""The rule that asks which file the others were made from."""
SHARPEST = "sharpest"
"""The rule that asks which picture is the sharpest, to within `SHARPNESS_STEP`."""
SHARPNESS_STEP = 1.05
"""Ratio of two sharpnesses that tells nothing yet: nine in ten frames of one view, taken with the same care,
differ by less than 1.03 (part a of the copy set's photographs), and encodings of one picture by 1.004."""
COMPANIONS = "companions"
"""The rule that asks which file has its RAW or its sidecars beside it."""
_SAYS_COPY = re.compile(
    r"""
    \(\d{1,3}\)$ | ~\d$
    | (?<![^\W_])(?:copy|copie|copia|c[oó]pia|kopie|kopia|kopi|kopija|kopya|копия|копія|másolat)
      (?:[\W_]*(?:of|de|von|van|di)(?![^\W_]))?(?:[\W_]*\(?\d{1,3}\)?)?(?![^\W_])
    | (?<![^\W_])(?:edited|edit|bearbeitet|modifi[eé]|modificado|editado)(?![^\W_])
    | (?<![^\W_])(?:resized|compressed|upscaled|thumb|thumbnail)(?![^\W_])
    | のコピー | コピー | 副本 | 拷贝 | 複本 | 복사본 | - 編集済み | -已修改 | -수정됨
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""What programs and people add to the name of a file that they made from another one."""

_SIMPLE: dict[str, Callable[[ImageRecord], Any]] = {
    ORIGINAL: lambda record: says_copy(record.path),  # without a standing, its name is all there is
    SHARPEST: lambda record: 0,  # without a look at its pixels
    "resolution": lambda record: -record.n_pixels,
    "size": lambda record: -record.size_bytes,
    "metadata": lambda record: -((record.taken_at is not None) + record.has_gps),
    COMPANIONS: lambda record: 0,  # without a look at its folder
    "oldest": lambda record: record.mtime_ns,
    "newest": lambda record: -record.mtime_ns,
    "longest-name": lambda record: -len(os.path.basename(record.path)),
    "shortest-name": lambda record: len(os.path.basename(record.path)),
    "path": lambda record: record.path,
}


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a file beside its record: what the rule ``original`` goes by.

    Attributes
    ----------
    holdings : Holdings
    n_found_better : int
        How often a file that would have been kept was found to be poorer than this one.
    is_made_from_lossy : bool
        Another file of the same pixels is stored with loss, and this one without: it was made from that.
    shows_as_much : bool
        A larger file that would have been kept shows no more than this one.
    has_copies : bool
        Another file shows what this one does, and none shows what the one does that would have been kept.
    """

    holdings: Holdings = field(default_factory=Holdings)
    n_found_better: int = 0
    is_made_from_lossy: bool = False
    shows_as_much: bool = False
    has_copies: bool = False


def _n_held(holdings: Holdings) -> int:
    """More for a file that holds all that another one holds, and something more."""
    more = (holdings.bits > 8, holdings.alpha, bool(holdings.profile_key))
    return holdings.pictures + holdings.frames + len(holdings.parts) + sum(more)


def says_copy(path: str) -> bool:
    """Whether a file's name says what it was made from: ``"exact copy 15.jpg"``, ``"IMG_0179 (1).jpg"``."""
    return _SAYS_COPY.search(os.path.splitext(os.path.basename(path))[0]) is not None


_ORIGINAL: Mapping[str, Callable[[ImageRecord, Standing], Any]] = {
    "holds more": lambda record, standing: -_n_held(standing.holdings),
    "is not the poorer one": lambda record, standing: -standing.n_found_better,
    "has a date and a camera": lambda record, standing: not (record.taken_at and standing.holdings.camera),
    "others show the same": lambda record, standing: not standing.has_copies,
    "is the older format of the same pixels": lambda record, standing: standing.is_made_from_lossy,
    "is not called a copy": lambda record, standing: says_copy(record.path),
    "shows as much in fewer pixels": lambda record, standing: not standing.shows_as_much,
}
"""What makes a file the original, in order of importance; the smallest value wins."""
SHOWS_AS_MUCH = f"{ORIGINAL} ({list(_ORIGINAL)[-1]})"
"""The one of them that is a guess: a soft picture that was reduced looks the same."""


@dataclass(frozen=True, slots=True)
class KeepRule:
    """One rule: the record with the smallest ``key`` wins.

    Attributes
    ----------
    name : str
        As it is written: ``"resolution"``, ``"folder:/photos/best"``.
    key : callable
        ImageRecord -> anything that orders; best is smallest.
    """

    name: str
    key: Callable[[ImageRecord], Any]


def _is_there(path: str) -> str:
    """What was found in this run needs no look."""
    return ""


def _unknown(digest: str) -> None:
    """No picture was looked at."""
    return


def _has_none(path: str) -> tuple[str, ...]:
    """No folder was looked at."""
    return ()


@dataclass(frozen=True, slots=True)
class KeepRules:
    """Ordered rules that choose the file to keep.

    Attributes
    ----------
    rules : tuple of KeepRule
    protected : tuple of str
        Folders from which nothing is ever removed, wherever among the rules they were named.
    why_away : callable
        By path, why a file cannot stand for others: it is not there now, or is only read. Empty if it can.
    beside : callable
        By path, the names of the files that belong to it: its RAW, its sidecars, its film.
    sharpness : callable
        By digest, how sharp a picture is; None where nobody knows.

    Examples
    --------
    >>> rules = KeepRules.parse("folder:/photos/best,format:tiff/png,resolution,oldest")
    >>> [rule.name for rule in rules.rules]
    ['folder:/photos/best', 'format:tiff/png', 'resolution', 'oldest']
    """

    rules: tuple[KeepRule, ...]
    protected: tuple[str, ...] = ()
    why_away: Callable[[str], str] = _is_there
    beside: Callable[[str], Sequence[str]] = _has_none
    sharpness: Callable[[str], float | None] = _unknown

    @classmethod
    def parse(cls, text: str | Sequence[str] = DEFAULT_KEEP) -> KeepRules:
        """Read rules from ``"resolution,size"`` or ``["resolution", "folder:/with, a comma"]``.

        Parameters
        ----------
        text : str or sequence of str
            In order of importance: ``original`` (what the others were made from), ``sharpest`` (steepest
            edges at one size), ``resolution`` (most pixels), ``size`` (most bytes), ``format`` or
            ``format:tiff/png/jpeg`` (best first), ``oldest`` and ``newest`` (modification time),
            ``metadata`` (EXIF date, GPS), ``companions`` (most files that belong to it: its RAW, sidecars,
            its film), ``path`` (first by code point),
            ``longest-name``, ``shortest-name``, ``folder:DIR`` (files under DIR first; repeat for an order
            of folders), ``protected:DIR`` (files under DIR before all others, and never removed).

        Raises
        ------
        SettingsError
            An unknown rule, none at all, or a protected folder that does not exist.
        """
        parts = [part.strip() for part in (text.split(",") if isinstance(text, str) else text)]
        folders = [part.partition(":")[2] for part in parts if part.startswith("protected:")]
        rules = tuple(_rule(part) for part in parts if part and not part.startswith("protected:"))
        if not rules and not folders:
            raise SettingsError(f"No keep rule was given; choose from: {', '.join(rule_names())}")
        for folder in folders:
            # A misspelt folder would protect nothing, and nobody would notice.
            if not os.path.isdir(os.path.expanduser(folder)):
                raise SettingsError(f"The protected folder {folder!r} does not exist")
        return cls(rules, tuple(folders))

    @property
    def asks_for_original(self) -> bool:
        """Whether a `Standing` of each file makes a difference."""
        return any(rule.name == ORIGINAL for rule in self.rules)

    @property
    def asks_for_sharpness(self) -> bool:
        """Whether `sharpness` makes a difference."""
        return any(rule.name == SHARPEST for rule in self.rules)

    def knowing(self, standings: Mapping[str, Standing]) -> KeepRules:
        """These rules with what ``original`` goes by, by digest."""
        rules: list[KeepRule] = []
        for rule in self.rules:
            rules += _original(standings) if rule.name == ORIGINAL else [rule]
        return replace(self, rules=tuple(rules))

    def ranked(self, records: Sequence[ImageRecord], protected: Protected = ()) -> list[ImageRecord]:
        """The records in the order in which they would be kept."""
        left, order = list(records), []
        while left:
            order.append(left.pop(self.choose(left, protected)[0]))
        return order

    def choose(self, records: Sequence[ImageRecord], protected: Protected = ()) -> tuple[int, str]:
        """The position of the record to keep and the name of the rule that left it alone on the field.

        Parameters
        ----------
        records : sequence of ImageRecord
            One group, in any order.
        protected : callable or collection of str
            What is never removed: ``record -> bool``, or folders.

        Returns
        -------
        index : int
        rule : str
            ``"only"`` for a single record, ``"intact"``, ``"protected"``, the name of a rule, or
            ``"path"`` when all of them tie.
        """
        if not records:
            raise ValueError("choose() needs at least one record")
        left = list(range(len(records)))
        decided = "only"
        for rule in self._all(protected):
            if len(left) == 1:
                break
            keys = {index: rule.key(records[index]) for index in left}
            best = min(keys.values())
            left = [index for index in left if keys[index] == best]
            decided = rule.name
        return left[0], decided

    def why(self, kept: ImageRecord, other: ImageRecord, protected: Protected = ()) -> str:
        """The first rule that tells the two apart: what the kept file has over this one."""
        for rule in self._all(protected):
            if rule.key(kept) != rule.key(other):
                return rule.name
        return "path"

    def protection(self, protected: Protected = ()) -> Callable[[ImageRecord], bool]:
        """Tells whether a record is never removed: by these rules, or by `protected`."""
        tests = protection(self.protected), protection(protected)
        return lambda record: any(test(record) for test in tests)

    def _bound(self, rule: KeepRule) -> KeepRule:
        if rule.name == COMPANIONS:
            return KeepRule(COMPANIONS, lambda record: -len(self.beside(record.path)))
        if rule.name == SHARPEST:
            return KeepRule(SHARPEST, lambda record: -_sharpness_step(self.sharpness(record.digest)))
        return rule

    def _all(self, protected: Protected) -> tuple[KeepRule, ...]:
        is_protected = self.protection(protected)
        return (
            KeepRule("intact", lambda record: record.damaged),
            KeepRule("protected", lambda record: not is_protected(record)),
            KeepRule("there", lambda record: bool(self.why_away(record.path))),
            *(self._bound(rule) for rule in self.rules),
            KeepRule("path", _SIMPLE["path"]),
        )


def _sharpness_step(sharpness: float | None) -> int:
    """Equal for what is equally sharp; whoever is not known comes last."""
    if sharpness is None or sharpness <= 0:
        return -(10**6)
    return round(math.log(sharpness) / math.log(SHARPNESS_STEP))


def protection(protected: Protected) -> Callable[[ImageRecord], bool]:
    """A function of the record from folders; a function is returned as it is.

    A file is protected by the path it was found at and by the one that it really has: whichever way a
    link leads into or out of a protected folder, it is safe.
    """
    if callable(protected):
        return protected
    if not protected:
        return lambda record: False
    folders = [os.path.expanduser(folder) for folder in sorted(protected)]
    is_under = [_under(path) for folder in folders for path in (folder, os.path.realpath(folder))]

    def is_protected(record: ImageRecord) -> bool:
        folder, name = os.path.split(os.path.abspath(record.path))
        paths = record.path, os.path.join(os.path.realpath(folder), name)
        return any(test(path) for test in is_under for path in paths)

    return is_protected


def _rule(text: str) -> KeepRule:
    name, colon, argument = text.partition(":")
    if name in _SIMPLE and not colon:
        return KeepRule(text, _SIMPLE[name])
    if name == "folder" and argument:
        is_under = _under(argument)
        return KeepRule(text, lambda record: not is_under(record.path))
    if name == "format" and (argument or not colon):
        order = [part.strip().lower().replace("jpg", "jpeg") for part in argument.split("/") if part.strip()]
        rank = {format_: position for position, format_ in enumerate(order or FORMAT_ORDER)}
        return KeepRule(text, lambda record: rank.get(record.format.lower(), len(rank)))
    raise SettingsError(f"Unknown keep rule {text!r}; choose from: {', '.join(rule_names())}")


def _original(standings: Mapping[str, Standing]) -> list[KeepRule]:
    def bound(key: Callable[[ImageRecord, Standing], Any]) -> Callable[[ImageRecord], Any]:
        return lambda record: key(record, standings.get(record.digest, Standing()))

    return [KeepRule(f"{ORIGINAL} ({name})", bound(key)) for name, key in _ORIGINAL.items()]


def _under(folder: str) -> Callable[[str], bool]:
    root = os.path.join(os.path.abspath(os.path.expanduser(folder)), "")
    return lambda path: os.path.abspath(path).startswith(root)


def rule_names() -> list[str]:
    """The rules as they are written, those with an argument included."""
    return [*_SIMPLE, "format", "format:A/B/C", "folder:DIR", "protected:DIR"]
