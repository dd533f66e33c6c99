"""Paths that a file from elsewhere may name: plain ones, opened without following a link."""

from __future__ import annotations

import os
from typing import Any

_STEP = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""For the folders on the way: a folder that may be passed need not be one that may be listed."""
PLAIN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a folder is opened that must not be a link."""


def is_plain_absolute(path: Any) -> bool:
    """Whether this is the text of an absolute path that has no second spelling and that a system can have."""
    if not isinstance(path, str) or not path.startswith("/") or path.startswith("//") or "\0" in path:
        return False
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return os.path.normpath(path) == path


def is_under(path: str, folder: str) -> bool:
    """Whether a plain path lies below a plain folder, by its text."""
    return path != folder and path.startswith(os.path.join(folder, ""))


def open_plain(path: str) -> int:
    """Open a folder; no part of its path may be a link.

    Raises
    ------
    OSError
        With ``errno.ENOTDIR`` or ``errno.ELOOP`` where one is.
    """
    parts = [part for part in path.split(os.sep) if part]
    fd = os.open(os.sep, _STEP if parts else PLAIN_FOLDER)
    for number, part in enumerate(parts, 1):
        try:
            inner = os.open(part, PLAIN_FOLDER if number == len(parts) else _STEP, dir_fd=fd)
        finally:
            os.close(fd)
        fd = inner
    return fd
