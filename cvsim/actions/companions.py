"""Files that belong to a picture: sidecars, the other half of a RAW+JPEG pair, the film of a Live Photo.

======================  =====================================================  ==================
companion of IMG_1.jpg  names                                                  kind
======================  =====================================================  ==================
sidecar                 IMG_1.jpg.xmp .aae .json, IMG_1.xmp .aae .json,        ``"sidecar"``
                        IMG_1.jpg.supplemental-metadata.json
Live Photo              IMG_1.mov, IMG_1.mp4                                   ``"film"``
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

A sidecar named after the stem alone (IMG_1.xmp) belongs to every picture of that stem: it stays as long
as one of them does. A companion that the plan itself removes protects nothing.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["sidecar", "film", "raw"]

SIDECARS = (".xmp", ".aae", ".json")
FILMS = (".mov", ".mp4")
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
_TAKEOUT = ".supplemental-metadata.json"


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
    kind: Kind
    shared: bool = False


class Companions:
    """Finds companions by name; each folder is listed once."""

    def __init__(self) -> None:
        self._folders: dict[str, dict[str, list[str]]] = {}

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
        claimed = any(os.path.join(folder, other) not in leaving for other in pictures)
        found = []
        for other in siblings:
            role = _role(other, stem, extension, name)
            kind = _kind(role, extension)
            if kind is not None:
                shared = claimed and kind != "raw" and not role.startswith("*")
                found.append(Companion(os.path.join(folder, other), kind, shared))
        return sorted(found, key=lambda one: one.path)

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
        return self._folders[folder].get(stem, ())


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _is_stem(name: str, stem: str) -> bool:
    return os.path.splitext(name)[0] == stem


def _role(other: str, stem: str, extension: str, name: str) -> str:
    """What follows the picture's stem, lower case; its own ending is ``*``: ``".xmp"``, ``"*.xmp"``."""
    if extension and other.startswith(f"{name}."):
        return "*" + other[len(name) :].lower()
    return other[len(stem) :].lower()


def _kind(role: str, extension: str) -> Kind | None:
    if role in SIDECARS or role.removeprefix("*") in (*SIDECARS, _TAKEOUT):
        return "sidecar"
    if role in FILMS and extension in PICTURES:
        return "film"
    if (role in RAWS and extension in PICTURES) or (role in PICTURES and extension in RAWS):
        return "raw"
    return None
