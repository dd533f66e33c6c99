"""The desktop's own trash, and the way back out of it.

Putting files there is left to Send2Trash, which does what each desktop expects. Getting one back needs
the place where it lies; the freedesktop.org trash specification (version 1.0) says where to look and
keeps the old path beside each file. Other systems do not tell.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from urllib.parse import quote, unquote_to_bytes

from cvsim.actions.filesystem import RefusedError

IS_FREEDESKTOP = not sys.platform.startswith(("darwin", "win", "cygwin"))


@dataclass(frozen=True, slots=True)
class TrashedFile:
    """A file in the trash.

    Attributes
    ----------
    path : str
        Where the file lies now.
    info : str
        The ``.trashinfo`` file that goes with it.
    """

    path: str
    info: str


def put_into_trash(path: str) -> None:
    """Trash one file; raises `RefusedError` where the system has no trash for it."""
    from send2trash import send2trash
    from send2trash.exceptions import TrashPermissionError

    try:
        send2trash(path)
    except TrashPermissionError as exc:
        raise RefusedError("there is no trash on its filesystem; use --action move:DIR") from exc


def where_to_look() -> str:
    """Stand in on systems whose trash cannot be asked."""
    if sys.platform == "darwin":
        return "look in the Trash (~/.Trash) and choose Put Back"
    return "look in the desktop's trash and restore it there"


def find_in_trash(path: str, is_it: Callable[[str], bool]) -> TrashedFile | None:
    """The file in the trash that came from `path` and that `is_it` accepts.

    Parameters
    ----------
    path : str
        Absolute, where it was.
    is_it : callable
        Path in the trash -> whether it is the file meant; several files of one name may lie there.
    """
    if not IS_FREEDESKTOP:
        return None
    name = os.path.basename(path)
    # The likely names in every trash first: a full trash is long to read.
    for names in (_likely_names, _other_names):
        for trash, top in _trash_folders(path):
            wanted = {quote(os.fsencode(path)), quote(os.fsencode(os.path.relpath(path, top)))}
            for one in names(trash, name):
                found = TrashedFile(
                    os.path.join(trash, "files", one), os.path.join(trash, "info", f"{one}.trashinfo")
                )
                if os.path.lexists(found.path) and _came_from(found.info, wanted) and is_it(found.path):
                    return found
    return None


def _trash_folders(path: str) -> Iterator[tuple[str, str]]:
    """Trash folders that a file could have come to, each with the folder its paths are relative to."""
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    yield os.path.join(data, "Trash"), data
    top = os.path.realpath(os.path.dirname(path))
    while not os.path.ismount(top):
        top = os.path.dirname(top)
    yield os.path.join(top, ".Trash", str(os.getuid())), top
    yield os.path.join(top, f".Trash-{os.getuid()}"), top


def _likely_names(trash: str, name: str) -> Iterator[str]:
    """The name itself and, as Send2Trash and GIO number one that is taken, ``a 1.jpg`` and ``a.2.jpg``."""
    stem, extension = os.path.splitext(name)
    yield name
    for separator, first in ((" ", 1), (".", 2)):
        for number in count(first):
            numbered = f"{stem}{separator}{number}{extension}"
            if not os.path.lexists(os.path.join(trash, "files", numbered)):
                break
            yield numbered


def _other_names(trash: str, name: str) -> Iterator[str]:
    likely = set(_likely_names(trash, name))
    try:
        others = os.listdir(os.path.join(trash, "files"))
    except OSError:
        return
    yield from (other for other in sorted(others) if other not in likely)


def _came_from(info: str, wanted: set[str]) -> bool:
    try:
        if not stat.S_ISREG(os.lstat(info).st_mode):
            return False
        with open(info, "rb") as stream:
            lines = stream.read(1 << 16).splitlines()
    except OSError:
        return False
    paths = [line[5:] for line in lines if line.startswith(b"Path=")]
    return bool(paths) and quote(unquote_to_bytes(paths[0])) in wanted
