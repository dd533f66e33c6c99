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

What happens to them when their picture is to go:

- A companion whose bytes also lie beside a kept file of the group is a copy like the
  picture is: it goes with it, whatever the action.
- Otherwise a **sidecar** or a **film** goes with its picture to the trash or the folder of ``move``, from
  where it comes back with it; under ``delete`` it protects the picture, which then stays.
- Otherwise a **raw** protects the picture: the pair is one exposure, and half of it is not a copy.
- Links (``hardlink``, ``symlink``, ``reflink``) leave the picture's name in place, so nothing happens.

What is named after the stem alone (IMG_1.xmp, IMG_1.cr2) belongs to every picture of that stem: it stays
as long as one of them does, and protects none. A companion that the plan itself removes protects nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from cvsim.actions.filesystem import FolderTree, RefusedError
from cvsim.names import printable

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


_PROTECTS = {
    "sidecar": "its sidecar {name} would be lost with it; trash or move it",
    "film": "the film of its Live Photo, {name}, would be lost with it; trash or move it",
    "raw": "it is one exposure with {name}, of which the kept file has no copy",
}


class Companions:
    """Decides which companions go with a picture that goes.

    Parameters
    ----------
    tree : FolderTree
    leaving, staying : collection of str
        Absolute paths that a plan removes, and those that it names but does not.
    own_files : collection of str
        Absolute paths of cvsim's own files, which are nobody's sidecars.
    go_along : bool
        The action is one from which they come back: trash or move.
    """

    def __init__(
        self,
        tree: FolderTree,
        leaving: Collection[str],
        staying: Collection[str],
        own_files: Collection[str],
        go_along: bool,
    ) -> None:
        self._tree = tree
        self._leaving, self._staying = leaving, staying
        self._own_files, self._go_along = own_files, go_along
        self._companions = CompanionFinder()

    def going_with(self, path: str, kept: Sequence[str]) -> list[Companion]:
        """The companions that go with a picture.

        Raises
        ------
        RefusedError
            One of them protects the picture.
        """
        everything = self._relevant(path, self._leaving)
        raws = [one for one in everything if one.kind == "raw" and not one.shared]
        vouching = raws or (everything and not self._go_along)
        own = {one.path for one in everything}  # no companion vouches for itself
        twins = {twin for other in kept for twin in self._contents(other, own)} if vouching else set()
        self._refuse_any_but(twins, raws)
        # A raw half that goes lays no claim to the sidecar that both share.
        if raws:
            everything = self._relevant(path, {*self._leaving, *(one.path for one in raws)})
        others = [one for one in everything if one.kind != "raw" and not one.shared]
        if not self._go_along:
            self._refuse_any_but(twins, others)
        return [*raws, *others]

    def _relevant(self, path: str, leaving: Collection[str]) -> list[Companion]:
        return [
            one
            for one in self._companions.of(path, leaving)
            if one.path not in self._leaving and one.path not in self._own_files and os.path.lexists(one.path)
        ]

    def _refuse_any_but(self, twins: Collection[tuple[str, str]], companions: Iterable[Companion]) -> None:
        for one in companions:
            if one.path in self._staying or (one.kind, self._digest(one.path)) not in twins:
                raise RefusedError(_PROTECTS[one.kind].format(name=printable(os.path.basename(one.path))))

    def _contents(self, path: str, but: Collection[str]) -> Iterator[tuple[str, str]]:
        """Kind and digest of each companion of a kept picture."""
        for one in self._companions.of(path):
            if one.path in but:
                continue
            with contextlib.suppress(RefusedError):
                yield one.kind, self._digest(one.path)

    def _digest(self, path: str) -> str:
        with self._tree.open_checked(path, None) as file:
            return file.digest


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
