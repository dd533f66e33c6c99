"""Small libraries of pictures to act upon, and what is in a tree, bit for bit."""

from __future__ import annotations

import functools
import hashlib
import io
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from cvsim.actions.plan import BY_HAND, Decision, Entry, Plan

ACTIONS = ("trash", "move", "hardlink", "symlink", "reflink", "delete")
LINKS = ("hardlink", "symlink", "reflink")
FIRST_TIME_NS = 1_500_000_000_123_456_789


@functools.cache
def jpeg(seed: int, quality: int = 90, exif: bytes = b"") -> bytes:
    """A tiny photograph; another quality is another file of the same picture."""
    coarse = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    picture = Image.fromarray(coarse).resize((32, 24), Image.Resampling.BICUBIC)
    picture.save(buffer, "jpeg", quality=quality, exif=exif)
    return buffer.getvalue()


def write(path: Path, data: bytes, *, age: int = 0, mode: int = 0o644) -> Path:
    """Write a file that has a time and a mode of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)
    os.utime(path, ns=(FIRST_TIME_NS, FIRST_TIME_NS + age * 1_000_000_007))
    return path


def entry(path: Path | str, group: int, decision: Decision, data: bytes | None = None) -> Entry:
    """A plan's entry for a file as it is now."""
    status = os.lstat(path)
    digest = hashlib.sha256(Path(path).read_bytes() if data is None else data).hexdigest()
    return Entry(
        str(path),
        digest,
        status.st_size,
        status.st_mtime_ns,
        group,
        decision,
        "size",
        "made by a test",
        {"proof": BY_HAND} if decision == "remove" else {},
    )


def library(root: Path, n_groups: int, n_copies: int, *, identical: bool) -> Plan:
    """Groups of one kept file and copies that are to go, in several folders."""
    entries = []
    for group in range(1, n_groups + 1):
        kept = write(root / "kept" / f"{group}.jpg", jpeg(group), age=group)
        entries.append(entry(kept, group, "keep"))
        for copy in range(n_copies):
            data = jpeg(group) if identical else jpeg(group, 89 - copy)
            path = root / f"folder {copy}" / f"{group} ü.jpg"
            write(path, data, age=100 * copy + group, mode=(0o644, 0o600, 0o755)[copy % 3])
            entries.append(entry(path, group, "remove"))
    return Plan((str(root),), tuple(entries))


class State(NamedTuple):
    """One name in a tree: content (digest, or where a link leads), mode, time."""

    content: str
    mode: int
    mtime_ns: int


def snapshot(root: Path, *, folder_times: bool = False) -> dict[str, State]:
    """Everything under a folder, by relative path."""
    found = {}
    for folder, folders, files in os.walk(os.fsencode(root)):
        for name in [*folders, *files]:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            time_ns = status.st_mtime_ns
            if stat.S_ISLNK(status.st_mode):
                content = "-> " + os.fsdecode(os.readlink(path))
            elif stat.S_ISDIR(status.st_mode):
                content, time_ns = "folder", time_ns if folder_times else 0
            elif not stat.S_ISREG(status.st_mode):
                content = "special"
            else:
                with open(path, "rb") as stream:
                    content = hashlib.sha256(stream.read()).hexdigest()
            relative = os.fsdecode(os.path.relpath(path, os.fsencode(root)))
            found[relative] = State(content, stat.S_IMODE(status.st_mode), time_ns)
    return found


def contents(roots: Sequence[Path]) -> set[str]:
    """The digests of all regular files under some folders."""
    return {state.content for root in roots if root.exists() for state in snapshot(root).values()}
