"""Touching files so that nothing else can be hit: the primitives under every action.

Names lie: between a check and its use, a name can come to mean another file. So a file is opened once,
folder by folder from its root and never through a symbolic link; it is checked through that open
descriptor; it is renamed relative to the open folder; and after the rename, what was renamed is compared
with the descriptor. A rename never replaces anything.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import errno
import fcntl
import hashlib
import logging
import os
import stat
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cvsim.actions.paths import PLAIN_FOLDER, is_plain_absolute, is_under, open_plain
from cvsim.errors import ActionError
from cvsim.files import write_all
from cvsim.names import printable

_log = logging.getLogger(__name__)

# O_NONBLOCK: opening a named pipe that somebody swapped in must not wait for a writer.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_BLOCK_BYTES = 1 << 20
_FICLONE = 0x40049409
_RENAME_NOREPLACE = 1
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
"""What a filesystem without hard links says: exFAT and FAT on cards, through a driver in user space."""


class RefusedError(ActionError):
    """One step cannot or must not be done; the text says why. The others go on."""


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """An open regular file whose content has been compared with a digest.

    Attributes
    ----------
    path : str
        Absolute.
    folder : int
        Descriptor of the folder it lies in.
    name : str
    fd : int
        Descriptor of the file, for reading.
    stat : os.stat_result
        Its status from before its content was read.
    digest : str
        SHA-256 of the content, hexadecimal.
    """

    path: str
    folder: int
    name: str
    fd: int
    stat: os.stat_result
    digest: str

    @property
    def inode(self) -> tuple[int, int]:
        """Name the file itself, whatever it is called."""
        return self.stat.st_dev, self.stat.st_ino

    def is_unchanged(self, name: str | None = None) -> bool:
        """Whether `name` in its folder (its own if not given) still is this file with this content."""
        try:
            now = os.stat(name or self.name, dir_fd=self.folder, follow_symlinks=False)
        except OSError:
            return False
        return _identity(now) == _identity(self.stat) == _identity(os.fstat(self.fd))

    def read(self) -> bytes:
        """The whole content."""
        os.lseek(self.fd, 0, os.SEEK_SET)
        with open(self.fd, "rb", closefd=False) as stream:
            return stream.read()


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


class FolderTree:
    """Opens what lies under its roots, and nothing else.

    A root may itself be reached through links (it is what the user named); it is opened once, so that it
    stays the same folder for the whole run.

    Parameters
    ----------
    roots : sequence of str
        Absolute folders.
    real : mapping of str to str, optional
        For roots that a journal names: where those with a link in their path must lead to; the others may
        have none. Without it, links are followed.

    Raises
    ------
    ActionError
        A root cannot be opened, or leads somewhere else.
    """

    def __init__(self, roots: Sequence[str], real: Mapping[str, str] | None = None) -> None:
        self._roots: dict[str, int] = {}
        # The longest first: of nested roots, the inner one holds the file.
        for root in sorted(set(roots), key=len, reverse=True):
            try:
                self._roots[root] = _open_root(root, real)
            except OSError as exc:
                self.close()
                raise ActionError(f"The folder {printable(root)} cannot be opened: {exc.strerror}") from exc
            except RefusedError:
                self.close()
                raise

    def close(self) -> None:
        """Close all folders that are open."""
        for fd in self._roots.values():
            os.close(fd)
        self._roots = {}

    def __enter__(self) -> FolderTree:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def relative(self, path: str) -> tuple[str, str]:
        """The root of `path` and the rest of it."""
        for root in self._roots:
            if is_plain_absolute(path) and is_under(path, root):
                return root, os.path.relpath(path, root)
        raise RefusedError("it lies outside the folders of the plan")

    @contextlib.contextmanager
    def folder(self, path: str, *, create: bool = False) -> Iterator[tuple[int, str]]:
        """Open the folder that holds `path`; the context value is its descriptor and the file's name."""
        root, rest = self.relative(path)
        *parts, name = rest.split(os.sep)
        fd = os.dup(self._roots[root])
        try:
            for part in parts:
                if create:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, dir_fd=fd)
                inner = _open_folder(part, fd)
                os.close(fd)
                fd = inner
            yield fd, name
        finally:
            os.close(fd)

    def missing_folders(self, path: str) -> list[str]:
        """Those above `path` that do not exist, the outermost first."""
        root, rest = self.relative(path)
        found, folder = [], root
        for part in rest.split(os.sep)[:-1]:
            folder = os.path.join(folder, part)
            if not os.path.lexists(folder):
                found.append(folder)
        return found

    @contextlib.contextmanager
    def open_checked(self, path: str, digests: Collection[str] | None) -> Iterator[CheckedFile]:
        """Open a regular file and compare its content with the digests it may have (None: any).

        Raises
        ------
        RefusedError
            It is gone, a link, no regular file, reached through a link, or changed.
        """
        with self.folder(path) as (folder, name), open_checked_at(folder, name, path, digests) as checked:
            yield checked


@contextlib.contextmanager
def open_checked_at(
    folder: int, name: str, path: str, digests: Collection[str] | None
) -> Iterator[CheckedFile]:
    """`FolderTree.open_checked` for a file in a folder that is already open."""
    fd = _open_file(name, folder)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise RefusedError("it is not a regular file any more")
        try:
            digest = digest_of(fd)
        except OSError as exc:
            raise RefusedError(f"it cannot be read: {exc.strerror}") from exc
        checked = CheckedFile(path, folder, name, fd, status, digest)
        if digests is not None and digest not in digests:
            raise RefusedError("its content has changed since the plan was made")
        if not checked.is_unchanged():
            raise RefusedError("it was changed or replaced while it was checked")
        yield checked
    finally:
        os.close(fd)


def _open_root(root: str, real: Mapping[str, str] | None) -> int:
    if real is None:
        return os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    place = real.get(root, root)
    if os.path.realpath(root) != os.path.realpath(place):
        raise RefusedError(f"The folder {printable(root)} leads somewhere else than it did; nothing was done")
    try:
        return open_plain(place)
    except OSError as exc:
        if exc.errno in (errno.ELOOP, errno.ENOTDIR):
            raise RefusedError(
                f"The folder {printable(root)} is reached through a symbolic link, and was not when the "
                "journal was written; nothing was done"
            ) from exc
        raise


def _open_folder(name: str, folder: int) -> int:
    try:
        return os.open(name, PLAIN_FOLDER, dir_fd=folder)
    except OSError as exc:
        if exc.errno in (errno.ELOOP, errno.ENOTDIR):
            raise RefusedError(
                f"the folder {printable(name)} above it is a symbolic link or no folder"
            ) from exc
        raise RefusedError(f"the folder {printable(name)} above it cannot be opened: {exc.strerror}") from exc


def _open_file(name: str, folder: int) -> int:
    try:
        return os.open(name, _FILE, dir_fd=folder)
    except FileNotFoundError as exc:
        raise RefusedError("it is gone") from exc
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            raise RefusedError("it is a symbolic link") from exc
        raise RefusedError(f"it cannot be opened: {exc.strerror}") from exc


def digest_of(fd: int) -> str:
    """SHA-256 of an open file's content, from its start."""
    os.lseek(fd, 0, os.SEEK_SET)
    digest = hashlib.sha256()
    while block := os.read(fd, _BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()


def digest_at(name: str, folder: int) -> str | None:
    """SHA-256 of a regular file in an open folder, or None if it is none or cannot be read."""
    try:
        fd = os.open(name, _FILE, dir_fd=folder)
    except OSError:
        return None
    try:
        return digest_of(fd) if stat.S_ISREG(os.fstat(fd).st_mode) else None
    except OSError:
        return None
    finally:
        os.close(fd)


def lstat_at(name: str, folder: int) -> os.stat_result | None:
    """The status of a name in an open folder, links not followed; None if there is no such name."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def set_aside(checked: CheckedFile, name: str) -> None:
    """Rename a checked file to `name` in its folder, and make sure that it was the one renamed.

    Raises
    ------
    RefusedError
        Something else had taken its name; that has been put back.
    OSError
    """
    rename_noreplace(checked.folder, checked.name, checked.folder, name)
    if not checked.is_unchanged(name):
        rename_noreplace(checked.folder, name, checked.folder, checked.name)
        raise RefusedError("it was replaced or changed between the check and the step; left alone")


def rename_noreplace(from_folder: int, from_name: str, to_folder: int, to_name: str) -> None:
    """Rename within a filesystem; ``FileExistsError`` where the new name is taken.

    Raises
    ------
    OSError
        With ``errno.EXDEV`` when the two folders are on different filesystems.
    """
    code = _renameat2(from_folder, from_name, to_folder, to_name)
    if code == 0:
        return
    if code not in (errno.ENOSYS, errno.EINVAL):
        raise OSError(code, os.strerror(code), from_name, None, to_name)
    # Not Linux, or a filesystem without the flag: a new link is never made over an existing name either.
    try:
        os.link(from_name, to_name, src_dir_fd=from_folder, dst_dir_fd=to_folder, follow_symlinks=False)
    except OSError as exc:
        if exc.errno not in _NO_LINKS:
            raise
        _rename_over_own(from_folder, from_name, to_folder, to_name)
    else:
        os.unlink(from_name, dir_fd=from_folder)


def _rename_over_own(from_folder: int, from_name: str, to_folder: int, to_name: str) -> None:
    """Rename where there are neither flags nor links: over an empty file that takes the name first."""
    os.close(os.open(to_name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=to_folder))
    try:
        os.rename(from_name, to_name, src_dir_fd=from_folder, dst_dir_fd=to_folder)
    except OSError:
        taken = lstat_at(to_name, to_folder)
        if taken is not None and taken.st_size == 0:
            os.unlink(to_name, dir_fd=to_folder)
        raise


def _renameat2(from_folder: int, from_name: str, to_folder: int, to_name: str) -> int:
    """0, or the errno; ENOSYS where the system has no such call."""
    if _libc is None:
        return errno.ENOSYS
    names = os.fsencode(from_name), os.fsencode(to_name)
    failed = _libc.renameat2(from_folder, names[0], to_folder, names[1], _RENAME_NOREPLACE)
    return ctypes.get_errno() if failed else 0


def _load_libc() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return None
    libc.renameat2.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    return libc


_libc = _load_libc()


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a copy must take over from a file besides its content; goes into the journal."""

    mode: int
    uid: int
    gid: int
    atime_ns: int
    mtime_ns: int
    xattrs: Mapping[str, str]

    @classmethod
    def of(cls, fd: int, status: os.stat_result) -> Attributes:
        """Read the attributes of an open file."""
        xattrs = {}
        if hasattr(os, "listxattr"):
            with contextlib.suppress(OSError):
                for name in os.listxattr(fd):
                    xattrs[name] = base64.b64encode(os.getxattr(fd, name)).decode()
        mode = stat.S_IMODE(status.st_mode)
        return cls(mode, status.st_uid, status.st_gid, status.st_atime_ns, status.st_mtime_ns, xattrs)

    def put_on(self, fd: int) -> None:
        """Owner and extended attributes as far as this user may; mode and times always."""
        with contextlib.suppress(OSError):
            os.fchown(fd, self.uid, self.gid)
        os.fchmod(fd, self.mode)
        for name, value in self.xattrs.items():
            try:
                os.setxattr(fd, name, base64.b64decode(value))
            except OSError as exc:
                _log.warning("The extended attribute %s could not be kept: %s", name, exc.strerror)
        os.utime(fd, ns=(self.atime_ns, self.mtime_ns))


@contextlib.contextmanager
def new_file(folder: int, name: str) -> Iterator[int]:
    """Create a file that did not exist; on an error inside, it is removed again. Synced at the end."""
    fd = os.open(
        name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder
    )
    try:
        yield fd
        os.fsync(fd)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=folder)
        raise
    finally:
        os.close(fd)


def copy_verified(source: int, folder: int, name: str, digest: str, attributes: Attributes) -> None:
    """Copy an open file into a new one, read it back, compare, give it its attributes, and sync it.

    Raises
    ------
    RefusedError
        What was written is not what was meant.
    OSError
        The disk is full, the folder read-only, ...
    """
    with new_file(folder, name) as fd:
        os.lseek(source, 0, os.SEEK_SET)
        while block := os.read(source, _BLOCK_BYTES):
            write_all(fd, block)
        os.fsync(fd)
        if digest_of(fd) != digest:
            raise RefusedError("its copy does not hold the same content; the original was left alone")
        attributes.put_on(fd)


def clone_verified(source: CheckedFile, folder: int, name: str, attributes: Attributes) -> None:
    """Make a new file that shares its blocks with `source` until one of them is changed (FICLONE).

    Raises
    ------
    RefusedError
        The filesystem cannot share blocks.
    """
    with new_file(folder, name) as fd:
        try:
            fcntl.ioctl(fd, _FICLONE, source.fd)
        except OSError as exc:
            if exc.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise RefusedError(
                f"this filesystem cannot share blocks between the two files ({exc.strerror}); "
                "reflink needs both on one Btrfs, XFS or the like: use hardlink, trash or move"
            ) from exc
        if digest_of(fd) != source.digest:
            raise RefusedError("the clone does not hold the same content; the original was left alone")
        attributes.put_on(fd)


@contextlib.contextmanager
def locked(roots: Sequence[str]) -> Iterator[None]:
    """Lock out any other apply or undo on these folders, on one above, or on one inside them.

    Each root is locked, and each folder above it is marked as having a locked one inside. The locks are
    advisory, live as long as the process, and leave no file behind.

    Raises
    ------
    ActionError
        Somebody else is at work there.
    """
    real = sorted({os.path.realpath(root) for root in roots})
    outer = [
        root for root in real if not any(root != o and root.startswith(os.path.join(o, "")) for o in real)
    ]
    above = {parent for root in outer for parent in parents(root)}
    with contextlib.ExitStack() as stack:
        for folder in sorted(above | set(outer)):
            kind = fcntl.LOCK_EX if folder in outer else fcntl.LOCK_SH
            _lock_folder(folder, kind, stack)
        yield


def _lock_folder(folder: str, kind: int, stack: contextlib.ExitStack) -> None:
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return  # A folder above that may not be read; nobody else without rights can hold it as a root.
    stack.callback(os.close, fd)
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise ActionError(
            f"Another cvsim apply or undo is at work in {printable(folder)}; wait for it to end"
        ) from exc
    except OSError as exc:
        _log.warning("%s cannot be locked (%s)", printable(folder), exc.strerror)


def parents(path: str) -> list[str]:
    """The folders above an absolute path, the innermost first."""
    found = []
    while (parent := os.path.dirname(path)) != path:
        found.append(parent)
        path = parent
    return found
