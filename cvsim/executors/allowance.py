"""How much memory decoding one picture may take: what its header asks for, up to a limit of the user's."""

from __future__ import annotations

import os
from pathlib import Path

from cvsim.errors import SettingsError
from cvsim.settings import size_in_bytes

VARIABLE = "CVSIM_PICTURE_MEMORY"
OPTION = "--picture-memory"
MOST_ALLOWED_BYTES = 6_000_000_000
"""Enough for 200 megapixels in every format; more is only taken if somebody asks for it."""
_LEAST_BYTES = 1_000_000_000
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def allowed_bytes() -> int:
    """What one picture may take here: half of the machine's memory, 6 GB at most, if nothing else is said.

    Raises
    ------
    SettingsError
        The environment variable is no size.
    """
    given = os.environ.get(VARIABLE)
    if given:
        try:
            return size_in_bytes(given)
        except SettingsError as exc:
            raise SettingsError(f"{VARIABLE}: {exc}") from exc
    machine = _machine_bytes()
    return MOST_ALLOWED_BYTES if machine is None else max(_LEAST_BYTES, min(machine // 2, MOST_ALLOWED_BYTES))


def _machine_bytes() -> int | None:
    """Memory of this machine, or of the container."""
    try:
        machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    try:
        limit = _CGROUP_LIMIT.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return machine
    return min(machine, int(limit)) if limit.isdigit() else machine
