"""The shell's reports: the files that are proposed for removal, and those that are new, for ``xargs -0``."""

from __future__ import annotations

import os
from collections.abc import Iterable

from cvsim.types import DedupeResult


def to_paths0(result: DedupeResult) -> bytes:
    """The paths of the proposed files, byte for byte, each ended by a NUL.

    One that begins with a hyphen gets ``./`` before it, so that no program takes it for an option.
    """
    return _ended(_proposed(result))


def to_new0(result: DedupeResult) -> bytes:
    """The paths of what the index of the run does not know, but for the files proposed for removal."""
    proposed = set(_proposed(result))
    return _ended(path for path in result.new if path not in proposed)


def _proposed(result: DedupeResult) -> list[str]:
    return [member.record.path for group in result.groups for member in group.members if member.proposed]


def _ended(paths: Iterable[str]) -> bytes:
    return b"".join(os.fsencode(f"./{path}" if path.startswith("-") else path) + b"\0" for path in paths)
