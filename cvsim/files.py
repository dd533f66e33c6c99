"""Writing files so that a killed run leaves the old one or the new one, never half of one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cvsim.errors import CvsimError

FilePath = str | os.PathLike[str]


def write(
    path: FilePath, chunks: Iterable[bytes], *, durable: bool = False, error: type[CvsimError] = CvsimError
) -> None:
    """Write `chunks` to `path`, which is replaced at once when all are written.

    A device or a pipe is written to directly. A symbolic link stays, its target is replaced.

    Parameters
    ----------
    path : path
    chunks : iterable of bytes
    durable : bool
        Whether the content is on the disk, not in the system's memory only, before it replaces the old one.
    error : type of CvsimError
        What is raised when the file cannot be written.

    Raises
    ------
    CvsimError
        The file cannot be written; the message names it and says why.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file():
            with target.open("wb") as stream:
                stream.writelines(chunks)
            return
        with replacing(target) as draft, draft.open("xb") as stream:
            stream.writelines(chunks)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
    except OSError as exc:
        raise error(f"{os.fspath(path)}: cannot be written: {exc.strerror or exc}") from exc


@contextmanager
def replacing(path: FilePath) -> Iterator[Path]:
    """The name of a draft, which takes the place of `path` when the block ends without an error.

    The draft lies beside `path`, since a rename is atomic only within one file system.
    """
    target = Path(path)
    draft = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}.part")
    try:
        yield draft
        os.replace(draft, target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data` to a descriptor, which may take it in parts."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
