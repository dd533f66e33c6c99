"""Files that belong to a picture: sidecars, the other half of a RAW+JPEG pair, the film of a Live Photo.

======================  =====================================================  ==================
companion of IMG_1.jpg  names, their endings in any case                       kind
======================  =====================================================  ==================
sidecar                 IMG_1.jpg.xmp .aae .json .pp3 .dop .wav, and each of   ``"sidecar"``
                        these with IMG_1 alone before it
Google Takeout's        IMG_1.jpg.supplemental-metadata.json, cut off          ``"sidecar"``
                        anywhere (IMG_1.jpg.suppl.json) as it is once names
                        grow too long; of IMG_1(1).jpg: IMG_1.jpg(1).json,
                        IMG_1.jpg.supplemental-metadata(1).json
Live Photo              IMG_1.mov, .mp4, .mp; of IMG_1.MP.jpg: IMG_1.MP        ``"film"``
RAW+JPEG                IMG_1.cr2, .nef, .arw, .dng, ... (and of a RAW, its    ``"raw"``
                        IMG_1.jpg, .heic, ...)
======================  =====================================================  ==================

What is named after the stem alone (IMG_1.xmp, IMG_1.cr2) belongs to every picture of that stem.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

CompanionKind = Literal["sidecar", "film", "raw"]

SIDECARS = (".xmp", ".aae", ".json", ".pp3", ".dop", ".wav")
FILMS = (".mov", ".mp4", ".mp")
# fmt: off
RAWS = frozenset(
    (
        ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos",
        ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw",
        ".x3f"
    )
)
PICTURES = frozenset(
    (
        ".jpg", ".jpeg", ".jpe", ".png", ".webp", ".tif", ".tiff", ".heic", ".heif", ".hif", ".avif",
        ".jxl", ".bmp", ".gif"
    )
)
# fmt: on
_TAKEOUT, _JSON = ".supplemental-metadata", ".json"
_TAKEOUT_LENGTH = 46
"""Takeout cuts the names of its files, without ``.json``, to so many characters."""
_NUMBERED = re.compile(r"(.+)(\(\d+\))")


@dataclass(frozen=True, slots=True)
class Companion:
    """A file that belongs to a picture.

    Attributes
    ----------
    path : str
        Absolute.
    kind : {"sidecar", "film", "raw"}
    shared : bool
        Another picture in the folder has the same claim to it.
    """

    path: str
    kind: CompanionKind
    shared: bool = False


class CompanionFinder:
    """Finds companions by name; each folder is listed once."""

    def __init__(self) -> None:
        self._folders: dict[str, dict[str, list[str]]] = {}
        self._takeouts: dict[str, dict[str, str]] = {}
        self._numbered: dict[str, list[tuple[str, str, str]]] = {}
        self._listed: dict[str, dict[str, None]] = {}

    def of(self, path: str, leaving: Collection[str] = ()) -> list[Companion]:
        """The companions of a picture, by path; the picture itself need not exist any more.

        Parameters
        ----------
        path : str
            Absolute.
        leaving : collection of str
            Pictures that go too: they lay no claim to a shared sidecar.
        """
        folder, name = os.path.split(path)
        stem, extension = os.path.splitext(name)
        extension = extension.lower()
        siblings = [other for other in self._beginning_with(folder, stem) if other != name]
        pictures = {
            other for other in siblings if _is_stem(other, stem) and _ending(other) in PICTURES | RAWS
        }
        staying = {other for other in pictures if os.path.join(folder, other) not in leaving}
        # The other half of a pair is no rival for it: IMG_1.cr2 belongs to IMG_1.jpg and IMG_1.png alike.
        rivals = {other for other in staying if (_ending(other) in RAWS) == (extension in RAWS)}
        found = []
        for other in siblings:
            role = _role(other, stem, extension, name)
            kind = _kind(role, extension)
            if kind is not None:
                shared = bool(rivals if kind == "raw" else staying) and not role.startswith("*")
                found.append(Companion(os.path.join(folder, other), kind, shared))
        if _is_film_of(stem) and stem in self._names(folder):
            found.append(Companion(os.path.join(folder, stem), "film"))
        known = {one.path for one in found}
        return sorted(
            found + [one for one in self._takeout_of(folder, name) if one.path not in known], key=_path
        )

    def _takeout_of(self, folder: str, name: str) -> Iterator[Companion]:
        """Google Takeout's sidecars of a picture: its name and a word behind it, cut off anywhere."""
        sidecars = self._takeout_sidecars(folder)
        stem, extension = os.path.splitext(name)
        numbered = _NUMBERED.fullmatch(stem)
        owners = [(name, "")] + ([(numbered[1] + extension, numbered[2])] if numbered else [])
        for owner, number in owners:
            full = owner + _TAKEOUT
            # What is cut off within the name itself is as long as names may be.
            for length in range(min(len(owner), _TAKEOUT_LENGTH), len(full) + 1):
                other = sidecars.get(full[:length] + number)
                if other is None:
                    continue
                is_shared = length < len(owner) and any(
                    one != name and one.startswith(full[:length]) and _ending(one) in PICTURES
                    for one in self._names(folder)
                )
                yield Companion(os.path.join(folder, other), "sidecar", shared=is_shared)
        if numbered is None:
            yield from self._orphaned_numbers(folder, name)

    def _orphaned_numbers(self, folder: str, name: str) -> Iterator[Companion]:
        """``NAME.jpg.supplemental-metadata(1).json`` where there is no ``NAME(1).jpg`` that it belongs to."""
        stem, extension = os.path.splitext(name)
        for base, number, other in self._numbered[folder]:
            is_ours = base.startswith(name) and (name + _TAKEOUT).startswith(base)
            if is_ours and stem + number + extension not in self._names(folder):
                yield Companion(os.path.join(folder, other), "sidecar")

    def _takeout_sidecars(self, folder: str) -> dict[str, str]:
        """Names that end in .json, by what is before that."""
        if folder not in self._takeouts:
            names = self._names(folder)
            self._takeouts[folder] = {
                name[: -len(_JSON)]: name for name in sorted(names) if name.lower().endswith(_JSON)
            }
            parts = ((_NUMBERED.fullmatch(base), name) for base, name in self._takeouts[folder].items())
            self._numbered[folder] = [(found[1], found[2], name) for found, name in parts if found]
        return self._takeouts[folder]

    def _names(self, folder: str) -> dict[str, None]:
        """What lies in a folder."""
        self._beginning_with(folder, "")
        return self._listed[folder]

    def _beginning_with(self, folder: str, stem: str) -> Iterable[str]:
        if folder not in self._folders:
            by_start: dict[str, list[str]] = defaultdict(list)
            try:
                names = os.listdir(folder)
            except OSError:
                names = []
            for name in names:
                # Under each prefix that ends before a dot: IMG_1.jpg.xmp is found by IMG_1 and IMG_1.jpg.
                for position, char in enumerate(name):
                    if char == "." and position:
                        by_start[name[:position]].append(name)
            self._folders[folder] = by_start
            self._listed[folder] = dict.fromkeys(names)
        return self._folders[folder].get(stem, ())


def names_beside() -> Callable[[str], tuple[str, ...]]:
    """A function of a path: the names of the picture's companions, each folder listed once.

    Those that other pictures share are left out.
    """
    finder = CompanionFinder()

    @cache
    def beside(path: str) -> tuple[str, ...]:
        absolute = os.path.abspath(path)
        raws = {one.path for one in finder.of(absolute) if one.kind == "raw"}
        found = finder.of(absolute, raws)  # the other half of a pair lays no claim to what both share
        return tuple(os.path.basename(one.path) for one in found if not one.shared)

    return beside


def _path(one: Companion) -> str:
    return one.path


def _is_film_of(stem: str) -> bool:
    """Whether ``IMG_1.MP`` is the name of a film, of which ``IMG_1.MP.jpg`` is the picture."""
    return os.path.splitext(stem)[1].lower() in FILMS


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _is_stem(name: str, stem: str) -> bool:
    return os.path.splitext(name)[0] == stem


def _role(other: str, stem: str, extension: str, name: str) -> str:
    """What follows the picture's stem, lower case; its own ending is ``*``: ``".xmp"``, ``"*.xmp"``."""
    if extension and other.startswith(f"{name}."):
        return "*" + other[len(name) :].lower()
    return other[len(stem) :].lower()


def _kind(role: str, extension: str) -> CompanionKind | None:
    if role in SIDECARS or role.removeprefix("*") in SIDECARS:
        return "sidecar"
    if role in FILMS and extension in PICTURES:
        return "film"
    if (role in RAWS and extension in PICTURES) or (role in PICTURES and extension in RAWS):
        return "raw"
    return None
