"""Writing a report so that a killed run leaves the old one or the new one, never half of one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from cvsim.errors import CvsimError


def write(path: str | os.PathLike[str], chunks: Iterable[bytes]) -> None:
    """Write `chunks` to `path`, which is replaced at once when all are written.

    A device or a pipe is written to directly. A symbolic link stays, its target is replaced.

    Raises
    ------
    CvsimError
        The file can not be written; the message names it and says why.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file():
            _stream(target, chunks)
        else:
            _replace(target, chunks)
    except OSError as exc:
        raise CvsimError(f"{os.fspath(path)}: can not be written: {exc.strerror or exc}") from exc


def _stream(target: Path, chunks: Iterable[bytes]) -> None:
    with target.open("wb") as stream:
        stream.writelines(chunks)


def _replace(target: Path, chunks: Iterable[bytes]) -> None:
    # Beside the target, since a rename is atomic only within one file system.
    draft = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}.part")
    try:
        with draft.open("xb") as stream:
            stream.writelines(chunks)
        os.replace(draft, target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
