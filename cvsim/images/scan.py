"""Finding files: one listing a folder, one stat a file, nothing opened."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from cvsim.errors import UsageError
from cvsim.names import printable
from cvsim.types import Skipped

_SPECIAL = (
    (stat.S_ISFIFO, "a named pipe, not a file"),
    (stat.S_ISSOCK, "a socket, not a file"),
    (stat.S_ISCHR, "a device, not a file"),
    (stat.S_ISBLK, "a device, not a file"),
)


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A regular file as the scan saw it.

    Attributes
    ----------
    path : str
        Under the argument it was found by, spelled as that argument was. Bytes that are not UTF-8 are
        surrogate escapes.
    size_bytes, mtime_ns, inode, device : int
        Of the file itself (of the target, for a followed symbolic link).
    root : str
        The argument it was found by; of several that contain it, the innermost.
    """

    path: str
    size_bytes: int
    mtime_ns: int
    inode: int
    device: int
    root: str


@dataclass(frozen=True, slots=True)
class Alias:
    """A second name (hard link or followed symbolic link) of a file that is in the scan already."""

    path: str
    same_as: str


@dataclass(frozen=True, slots=True)
class Scan:
    """What was found: each tuple is sorted by path, by code point."""

    files: tuple[FileEntry, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    aliases: tuple[Alias, ...] = ()


def require_paths(paths: Sequence[str], listed: Sequence[str]) -> None:
    """Refuse a call that names nothing to look at.

    Raises
    ------
    UsageError
        There is no path, and none on the list.
    """
    if not paths and not listed:
        raise UsageError("no path was given: name a folder or a file")


def scan(
    paths: Iterable[str | bytes | os.PathLike[str]],
    *,
    listed: Iterable[str] = (),
    exclude: Iterable[str] = (),
    hidden: bool = False,
    follow_symlinks: bool = False,
    min_size_bytes: int = 1,
) -> Scan:
    """Find the files under `paths`, each of them once.

    A file or folder that is named is always taken; the options decide about what lies below a folder.
    The result does not depend on the order of `paths`.

    Parameters
    ----------
    paths : iterable of path
        Files and folders; folders are searched to the bottom.
    listed : iterable of str
        More of them, from a list made earlier (see `read_names`): one that is gone by now is skipped, not
        an error.
    exclude : iterable of str
        Globs; a file or folder is left out if its name, or its path below the named folder, matches.
        ``*`` matches slashes too.
    hidden : bool
        Also files and folders whose names begin with a dot.
    follow_symlinks : bool
        Also links found below a folder. Loops do no harm.
    min_size_bytes : int
        Smaller files are left out; an empty one is skipped with a reason unless this is above 1.

    Raises
    ------
    UsageError
        One of `paths` does not exist.
    """
    finder = _Finder(_excluder(exclude), hidden, follow_symlinks, min_size_bytes)
    named = {os.fsdecode(path) for path in paths}
    for path in sorted(named):
        if not os.path.lexists(path):
            raise UsageError(f"{printable(path)}: no such file or folder")
    for path in sorted(named | set(listed), key=_innermost_first):
        finder.add_named(path)
    return finder.result()


def read_names(stream: BinaryIO, *, nul: bool = False) -> list[str]:
    """Names from a binary stream, one a line (or NUL-separated, as ``find -print0`` writes them)."""
    return [os.fsdecode(name) for name in stream.read().split(b"\0" if nul else b"\n") if name]


@dataclass(slots=True)
class _Finder:
    is_excluded: Callable[[str, str], bool] | None
    hidden: bool
    follow_symlinks: bool
    min_size_bytes: int
    files: list[FileEntry] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    # Folders by device and inode: what two arguments or a link lead to is searched once.
    seen_folders: set[tuple[int, int]] = field(default_factory=set)
    # Links to folders wait until all that can be reached without a link is found, so that the name
    # a file gets does not depend on the order of a folder's listing.
    linked_folders: list[tuple[str, str]] = field(default_factory=list)

    def add_named(self, path: str) -> None:
        try:
            status = os.stat(path)
        except OSError as exc:
            self._skip(path, exc)
            return
        if stat.S_ISDIR(status.st_mode):
            self._walk(path, path, (status.st_dev, status.st_ino))
        else:
            self._add_file(path, status, path, smallest=1)

    def result(self) -> Scan:
        while self.linked_folders:
            pending, self.linked_folders = sorted(self.linked_folders), []
            for path, root in pending:
                try:
                    status = os.stat(path)
                except OSError as exc:
                    self._skip(path, exc)
                    continue
                self._walk(path, root, (status.st_dev, status.st_ino))
        files, aliases = _one_entry_an_inode(self.files)
        skipped = {skip.path: skip for skip in self.skipped}
        return Scan(tuple(files), tuple(skipped[path] for path in sorted(skipped)), tuple(aliases))

    def _walk(self, top: str, root: str, identity: tuple[int, int]) -> None:
        folders = [(top, identity)]
        below_root = len(os.path.join(root, ""))
        while folders:
            folder, identity = folders.pop()
            if identity in self.seen_folders:
                continue
            self.seen_folders.add(identity)
            for entry in self._listing(folder):
                if not self.hidden and entry.name[0] == ".":
                    continue
                if self.is_excluded is not None and self.is_excluded(entry.name, entry.path[below_root:]):
                    continue
                try:
                    if entry.is_symlink():
                        self._add_link(entry.path, root)
                        continue
                    status = entry.stat(follow_symlinks=False)
                except OSError as exc:
                    self._skip(entry.path, exc)
                    continue
                if stat.S_ISDIR(status.st_mode):
                    folders.append((entry.path, (status.st_dev, status.st_ino)))
                else:
                    self._add_file(entry.path, status, root, self.min_size_bytes)

    def _listing(self, folder: str) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                yield from entries
        except OSError as exc:
            self._skip(folder, exc)

    def _add_link(self, path: str, root: str) -> None:
        if not self.follow_symlinks:
            return
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            self.linked_folders.append((path, root))
        else:
            self._add_file(path, status, root, self.min_size_bytes)

    def _add_file(self, path: str, status: os.stat_result, root: str, smallest: int) -> None:
        if not stat.S_ISREG(status.st_mode):
            reason = next((words for is_kind, words in _SPECIAL if is_kind(status.st_mode)), "not a file")
            self.skipped.append(Skipped(path, reason))
        elif status.st_size >= smallest and status.st_size > 0:
            self.files.append(
                FileEntry(path, status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev, root)
            )
        elif status.st_size == 0 and smallest <= 1:
            self.skipped.append(Skipped(path, "empty file"))

    def _skip(self, path: str, exc: OSError) -> None:
        self.skipped.append(Skipped(path, file_error_reason(exc)))


def file_error_reason(exc: OSError) -> str:
    """Why a file or folder could not be read, in words for a person."""
    if isinstance(exc, FileNotFoundError):
        return "gone: it was removed or moved during the run, or is a link to nothing"
    if isinstance(exc, PermissionError):
        return "permission denied"
    return f"cannot be read: {(exc.strerror or str(exc)).lower()}"


def _innermost_first(path: str) -> tuple[int, str]:
    return -os.path.realpath(path).count(os.sep), path


def _one_entry_an_inode(files: Iterable[FileEntry]) -> tuple[list[FileEntry], list[Alias]]:
    unique: list[FileEntry] = []
    aliases: list[Alias] = []
    first_by_inode: dict[tuple[int, int], FileEntry] = {}
    for entry in sorted(files, key=lambda entry: entry.path):
        first = first_by_inode.setdefault((entry.device, entry.inode), entry)
        if first is entry:
            unique.append(entry)
        elif _directory_entry(first.path) != _directory_entry(entry.path):
            aliases.append(Alias(entry.path, first.path))
    return unique, aliases


def _directory_entry(path: str) -> str:
    """The one name in the file system that `path` stands for, whatever way leads there."""
    folder, name = os.path.split(path)
    return os.path.join(os.path.realpath(folder), name)


def _excluder(patterns: Iterable[str]) -> Callable[[str, str], bool] | None:
    globs: list[str] = []
    for pattern in patterns:
        glob = pattern.rstrip("/")
        globs.append(glob)
        if glob.startswith("**/"):  # "at any depth" includes the top
            globs.append(glob[3:])
    if not globs:
        return None
    match = re.compile("|".join(fnmatch.translate(glob) for glob in globs)).match
    return lambda name, below_root: match(name) is not None or match(below_root) is not None
