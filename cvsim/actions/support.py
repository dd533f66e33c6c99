"""Whether plans can be carried out on this system."""

from __future__ import annotations

import importlib.util
import os

from cvsim.errors import UsageError


def require_held_folders() -> None:
    """Refuse a system on which a folder cannot be held open while files in it are checked and moved.

    Without that, what was checked may be another file by the time it goes.

    Raises
    ------
    UsageError
        The message says what there is instead.
    """
    if os.unlink in os.supports_dir_fd and importlib.util.find_spec("fcntl") is not None:
        return
    raise UsageError(
        "plans, review, apply and undo need a system on which folders can be held open: Linux, macOS or BSD; "
        "on Windows, WSL\ncvsim dedupe --html, --csv and --format paths0 say what could go"
    )
