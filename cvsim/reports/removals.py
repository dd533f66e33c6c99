"""The shell's report: the files that are proposed for removal, for ``xargs -0``."""

from __future__ import annotations

import os

from cvsim.types import DedupeResult


def to_paths0(result: DedupeResult) -> bytes:
    """The paths of the proposed files, byte for byte, each ended by a NUL.

    One that begins with a hyphen gets ``./`` before it, so that no program takes it for an option.
    """
    proposed = (member.record.path for group in result.groups for member in group.members if member.proposed)
    return b"".join(os.fsencode(f"./{path}" if path.startswith("-") else path) + b"\0" for path in proposed)
