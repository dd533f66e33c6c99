"""The desktop's own trash, and the way back out of it.

Putting files there is left to Send2Trash, which does what each desktop expects. Getting one back needs
the place where it lies; the freedesktop.org trash specification (version 1.0) says where to look and
keeps the old path beside each file. Other systems do not tell.
"""

from __future__ import annotations

import contextlib
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

    @classmethod
    def of(cls, path: str) -> TrashedFile:
        """Name the info too, from where the file lies."""
        return cls.at(os.path.dirname(os.path.dirname(path)), os.path.basename(path))

    @classmethod
    def at(cls, trash: str, name: str) -> TrashedFile:
        """Name the file and its info in a trash folder."""
        return cls(os.path.join(trash, "files", name), os.path.join(trash, "info", f"{name}.trashinfo"))


@dataclass(frozen=True, slots=True)
class OpenEntry:
    """A file in the trash whose folders are open and whose info says where it came from.

    Attributes
    ----------
    folder, info : int
        Descriptors of the folders with the files and with what is known of them.
    name : str
    """

    folder: int
    info: int
    name: str

    def forget(self) -> None:
        """Remove the info, once the file is back."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self.name}.trashinfo", dir_fd=self.info)


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
            wanted = _spellings(path, top)
            for one in names(trash, name):
                found = TrashedFile.at(trash, one)
                if os.path.lexists(found.path) and _came_from(found.info, wanted) and is_it(found.path):
                    return found
    return None


def _trash_folders(path: str) -> Iterator[tuple[str, str]]:
    """Trash folders that a file could have come to, each with the folder its paths are relative to."""
    data = os.path.abspath(os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share"))
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


def _spellings(path: str, top: str) -> set[str]:
    """The ways in which an info may write where a file came from."""
    return {quote(os.fsencode(path)), quote(os.fsencode(os.path.relpath(path, top)))}


def _came_from(info: str, wanted: set[str], folder: int | None = None) -> bool:
    """Whether an info, a regular file without further names, says one of these paths."""
    try:
        fd = os.open(info, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return False
    with open(fd, "rb") as stream:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            return False
        try:
            lines = stream.read(1 << 16).splitlines()
        except OSError:
            return False
    paths = [line[5:] for line in lines if line.startswith(b"Path=")]
    return bool(paths) and quote(unquote_to_bytes(paths[0])) in wanted


def is_in_trash(trashed: TrashedFile, origin: str) -> bool:
    """Whether this can be, by its text, a file that came from `origin` to the user's trash."""
    return _trash_of(trashed, origin) is not None


def _trash_of(trashed: TrashedFile, origin: str) -> tuple[str, str] | None:
    name = os.path.basename(trashed.path)
    folders = _trash_folders(origin)
    return next((one for one in folders if trashed == TrashedFile.at(one[0], name)), None)


@contextlib.contextmanager
def opened_entry(trashed: TrashedFile, origin: str) -> Iterator[OpenEntry | None]:
    """Open the trash that holds a file; the file itself may be gone from it.

    None if it is not in a trash that the file from `origin` could have come to, is reached through a link
    in there, or its info does not say `origin`.
    """
    with contextlib.ExitStack() as stack:
        found: OpenEntry | None = None
        if place := _trash_of(trashed, origin):
            with contextlib.suppress(OSError):
                entry = _open_entry(*place, os.path.basename(trashed.path), stack)
                if _came_from(f"{entry.name}.trashinfo", _spellings(origin, place[1]), entry.info):
                    found = entry
        yield found


def _open_entry(trash: str, top: str, name: str, stack: contextlib.ExitStack) -> OpenEntry:
    def step_into(path: str, folder: int | None, flags: int = os.O_NOFOLLOW) -> int:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | flags, dir_fd=folder)
        stack.callback(os.close, fd)
        return fd

    # Where the user's data lies is the user's affair, links and all; below a disk's top, others may write.
    fd = step_into(top, None, 0)
    for part in os.path.relpath(trash, top).split(os.sep):
        fd = step_into(part, fd, 0 if part == "Trash" else os.O_NOFOLLOW)
    return OpenEntry(step_into("files", fd), step_into("info", fd), name)
