"""Finding files: one listing a folder, one stat a file.

Nothing is opened but archives, whose pictures are files like others, and what pixels are to be counted of.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from cvsim.errors import ImageError, UsageError
from cvsim.images.archives import is_archive_name, picture_members
from cvsim.images.formats import FORMAT_TABLE, RAW_ENDINGS
from cvsim.images.header import claimed_pixels
from cvsim.names import folded, is_listed, printable
from cvsim.types import RAW_HALF, Skipped

_ENDINGS_BESIDE_RAW = tuple(e for one in FORMAT_TABLE.values() for e in one.endings if e not in RAW_ENDINGS)
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
        Of the file itself (of the target, for a followed symbolic link). What lies in an archive has the time
        of the archive, and a number below 0 that is its own.
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
    one_file_system: bool = False,
    max_depth: int | None = None,
    include_ext: Iterable[str] = (),
    exclude_ext: Iterable[str] = (),
    min_size_bytes: int = 1,
    max_size_bytes: int | None = None,
    min_pixels: int = 0,
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
        ``*`` matches slashes too. Case counts, on every platform.
    hidden : bool
        Also files and folders whose names begin with a dot.
    follow_symlinks : bool
        Also links found below a folder. Loops do no harm.
    one_file_system : bool
        Folders on another device than the named one are not entered.
    max_depth : int, optional
        How many levels of folders are entered: 1 takes the files of the named folder alone.
    include_ext, exclude_ext : iterable of str
        Only, and not, files whose names end in one of these, in any case, with or without the dot.
    min_size_bytes : int
        Smaller files are left out; an empty one is skipped with a reason unless this is above 1.
    max_size_bytes : int, optional
        Larger files are left out.
    min_pixels : int
        Pictures are left out whose header says that they have fewer; one that does not say stays. This
        opens each file that is left.

    Raises
    ------
    UsageError
        One of `paths` does not exist, or a pattern of `exclude` can match nothing.
    """
    wanted = _Wanted(
        _excluder(exclude), _extensions(include_ext), _extensions(exclude_ext), min_size_bytes, max_size_bytes
    )
    finder = _Finder(wanted, hidden, follow_symlinks, one_file_system, max_depth)
    named = {os.fsdecode(path) for path in paths}
    for path in sorted(named):
        if not os.path.lexists(path):
            raise UsageError(f"{printable(path)}: no such file or folder")
    for path in sorted(named | set(listed), key=_innermost_first):
        finder.add_named(path)
    found = finder.result()
    if min_pixels <= 0:
        return found
    large = tuple(entry for entry in found.files if entry.path == entry.root or _has(entry.path, min_pixels))
    return replace(found, files=large)


def read_names(stream: BinaryIO, *, nul: bool = False) -> list[str]:
    """Names from a binary stream, one a line (or NUL-separated, as ``find -print0`` writes them)."""
    return [os.fsdecode(name) for name in stream.read().split(b"\0" if nul else b"\n") if name]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which files below a named folder are taken."""

    is_excluded: Callable[[str, str], bool] | None
    include_ext: tuple[str, ...]
    exclude_ext: tuple[str, ...]
    min_size_bytes: int
    max_size_bytes: int | None

    def has_extension(self, name: str) -> bool:
        if not (self.include_ext or self.exclude_ext):
            return True
        name = name.lower()
        if self.include_ext and not name.endswith(self.include_ext):
            return False
        return not (self.exclude_ext and name.endswith(self.exclude_ext))


@dataclass(slots=True)
class _Finder:
    wanted: _Wanted
    hidden: bool
    follow_symlinks: bool
    one_file_system: bool
    max_depth: int | None
    files: list[FileEntry] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    # Folders by device and inode: what two arguments or a link lead to is searched once.
    seen_folders: set[tuple[int, int]] = field(default_factory=set)
    # Links to folders wait until all that can be reached without a link is found, so that the name
    # a file gets does not depend on the order of a folder's listing.
    linked_folders: list[tuple[str, str, int, int]] = field(default_factory=list)

    def add_named(self, path: str) -> None:
        try:
            status = os.stat(path)
        except OSError as exc:
            self._skip(path, exc)
            return
        if stat.S_ISDIR(status.st_mode):
            self._walk(path, path, status, status.st_dev, 1)
        else:
            self._add_file(path, status, path, smallest=1)

    def result(self) -> Scan:
        while self.linked_folders:
            pending, self.linked_folders = sorted(self.linked_folders), []
            for path, root, device, depth in pending:
                try:
                    status = os.stat(path)
                except OSError as exc:
                    self._skip(path, exc)
                    continue
                self._walk(path, root, status, device, depth)
        files, aliases = _one_entry_an_inode(_as_listed(self.files))
        files, halves = _without_raw_halves(files)
        skipped = {skip.path: skip for skip in [*self.skipped, *halves]}
        return Scan(tuple(files), tuple(skipped[path] for path in sorted(skipped)), tuple(aliases))

    def _walk(self, top: str, root: str, status: os.stat_result, device: int, depth: int) -> None:
        """Everything under a folder that lies at this depth below a root on this device."""
        folders = [(top, status, depth)]
        below_root = len(os.path.join(root, ""))
        is_excluded = self.wanted.is_excluded
        while folders:
            folder, status, depth = folders.pop()
            identity = status.st_dev, status.st_ino
            if identity in self.seen_folders or not self._is_entered(status, device, depth):
                continue
            self.seen_folders.add(identity)
            for entry in self._listing(folder):
                if not self.hidden and entry.name[0] == ".":
                    continue
                if is_excluded is not None and is_excluded(entry.name, entry.path[below_root:]):
                    continue
                try:
                    if entry.is_symlink():
                        self._add_link(entry.path, root, device, depth + 1)
                        continue
                    status = _own_status(entry)
                except OSError as exc:
                    self._skip(entry.path, exc)
                    continue
                if stat.S_ISDIR(status.st_mode):
                    folders.append((entry.path, status, depth + 1))
                else:
                    self._add_file(entry.path, status, root)

    def _is_entered(self, status: os.stat_result, device: int, depth: int) -> bool:
        if self.one_file_system and status.st_dev != device:
            return False
        return self.max_depth is None or depth <= self.max_depth

    def _listing(self, folder: str) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                yield from entries
        except OSError as exc:
            self._skip(folder, exc)

    def _add_link(self, path: str, root: str, device: int, depth: int) -> None:
        if not self.follow_symlinks:
            return
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            self.linked_folders.append((path, root, device, depth))
        else:
            self._add_file(path, status, root)

    def _add_file(self, path: str, status: os.stat_result, root: str, *, smallest: int | None = None) -> None:
        """A file below a folder; a named one, which is taken whatever it is, says how small it may be."""
        is_archive = is_archive_name(path) and stat.S_ISREG(status.st_mode) and status.st_size > 0
        if is_archive and self._add_archive(path, status, root):
            return
        if smallest is None:
            largest = self.wanted.max_size_bytes
            if not self.wanted.has_extension(path) or (largest is not None and status.st_size > largest):
                return
            smallest = self.wanted.min_size_bytes
        if not stat.S_ISREG(status.st_mode):
            reason = next((words for is_kind, words in _SPECIAL if is_kind(status.st_mode)), "not a file")
            self.skipped.append(Skipped(path, reason))
        elif status.st_size >= smallest and status.st_size > 0:
            self.files.append(
                FileEntry(path, status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev, root)
            )
        elif status.st_size == 0 and smallest <= 1:
            self.skipped.append(Skipped(path, "empty file"))

    def _add_archive(self, path: str, status: os.stat_result, root: str) -> bool:
        """The pictures of an archive that are wanted; False for an archive without any."""
        try:
            members = picture_members(path)
        except ImageError as exc:
            self.skipped.append(Skipped(path, str(exc)))
            return True
        largest = self.wanted.max_size_bytes
        for member in members:
            name = f"{path}/{member.name}"
            if self.wanted.is_excluded is not None and self.wanted.is_excluded(
                os.path.basename(name), name[len(os.path.join(root, "")) :]
            ):
                continue
            if not self.wanted.has_extension(name) or (largest is not None and member.size_bytes > largest):
                continue
            if member.reason:
                self.skipped.append(Skipped(name, member.reason))
            elif member.size_bytes >= max(1, self.wanted.min_size_bytes):
                number = -1 - int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:7], "big")
                self.files.append(
                    FileEntry(name, member.size_bytes, status.st_mtime_ns, number, status.st_dev, root)
                )
        return bool(members)

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


def _without_raw_halves(files: list[FileEntry]) -> tuple[list[FileEntry], list[Skipped]]:
    """The files but for the RAW halves of pairs: a pair is one exposure, and its picture stands for both."""
    raws = {entry.path for entry in files if entry.path.lower().endswith(RAW_ENDINGS)}
    if not raws:
        return files, []
    stems = {_stem(entry.path) for entry in files if entry.path.lower().endswith(_ENDINGS_BESIDE_RAW)}
    halves = {path for path in raws if _stem(path) in stems}
    left = [entry for entry in files if entry.path not in halves]
    return left, [Skipped(path, RAW_HALF) for path in halves]


def _stem(path: str) -> str:
    """Without its ending, or both of them: there are IMG_1.jpg and IMG_1.CR2.jpg beside IMG_1.CR2."""
    stem, _ = os.path.splitext(path)
    return os.path.splitext(stem)[0] if stem.lower().endswith(RAW_ENDINGS) else stem


def _as_listed(files: Sequence[FileEntry]) -> Sequence[FileEntry]:
    """Without other spellings of one name: ``a.jpg`` was given, and the folder has ``A.jpg``."""
    if len({entry.root for entry in files}) < 2:
        return files  # a folder lists each name once
    spelt: dict[str, list[FileEntry]] = {}
    for entry in files:
        spelt.setdefault(folded(entry.path), []).append(entry)
    found: list[FileEntry] = []
    for same in spelt.values():
        is_one = len({entry.path for entry in same}) == 1
        found += same if is_one else [entry for entry in same if is_listed(entry.path)] or same[:1]
    return found


def _directory_entry(path: str) -> str:
    """The one name in the file system that `path` stands for, whatever way leads there."""
    folder, name = os.path.split(path)
    return os.path.join(os.path.realpath(folder), name)


def _own_status(entry: os.DirEntry[str]) -> os.stat_result:
    """What a folder's listing knows of a file; Windows leaves out there which file it is."""
    if os.name == "nt":
        return os.stat(entry.path, follow_symlinks=False)
    return entry.stat(follow_symlinks=False)


def _has(path: str, min_pixels: int) -> bool:
    n_pixels = claimed_pixels(path)
    return n_pixels is None or n_pixels >= min_pixels


def _extensions(given: Iterable[str]) -> tuple[str, ...]:
    return tuple(f".{one.strip().lstrip('*').lstrip('.').lower()}" for one in given if one.strip())


def _require_glob(pattern: str) -> None:
    """Refuse a pattern that is no pattern, or that no name can match: it would silently leave out nothing."""
    shown = printable(repr(pattern))
    if not pattern.strip("/ "):
        raise UsageError(f"{shown} is no pattern; write '*.tmp.jpg' or 'folder/*'")
    if pattern.startswith(("/", "./", "../")):
        raise UsageError(
            f"the pattern {shown} can match nothing: it is held against names, and against paths below the "
            f"named folder, which begin with neither / nor ./; write {pattern.lstrip('./') or '*'!r}"
        )
    rest = re.sub(r"\[[!^]?\]?[^\]]*\]", "", pattern)
    if "[" in rest:
        raise UsageError(f"the pattern {shown} has a [ without its ]; write [[] for a [ itself")


def _excluder(patterns: Iterable[str]) -> Callable[[str, str], bool] | None:
    globs: list[str] = []
    for pattern in patterns:
        _require_glob(pattern)
        glob = pattern.rstrip("/")
        globs.append(glob)
        if glob.startswith("**/"):  # "at any depth" includes the top
            globs.append(glob[3:])
    if not globs:
        return None
    match = re.compile("|".join(fnmatch.translate(glob) for glob in globs)).match
    return lambda name, below_root: match(name) is not None or match(below_root) is not None
