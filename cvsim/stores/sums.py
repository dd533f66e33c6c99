"""Checksums of stored rows: a row that was damaged, or lies in another's place, is told from a sound one.

Each covers what a row belongs to (digest, key, path) as well as what it holds, so that two rows that were
swapped are found, too. CRC-32 finds every damage of up to 32 neighbouring bits, and any other but one in four
thousand millions; it is no protection against somebody who writes rows on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from zlib import crc32


def row_sum(*values: Any) -> int:
    """The checksum of a row of a few small values of any types: a 1 is not a 1.0 and no "1"."""
    return crc32(repr(values).encode())


def blob_sum(key_sum: int, digest: Any, data: Any) -> int:
    """The checksum of a blob, or of None, that is kept of `digest` under a key; -1 where it can have none."""
    if type(digest) is not bytes:
        return -1
    seed = crc32(digest, key_sum)
    if data is None:
        return seed ^ 1
    return crc32(data, seed) if type(data) is bytes else -1


@dataclass(frozen=True, slots=True)
class Soundness:
    """What looking at every row of a store showed.

    Attributes
    ----------
    n_rows, n_damaged : int
        Rows looked at; those among them that do not hold what was written.
    structure : str
        What is wrong with the file as a whole; empty if nothing is.
    """

    n_rows: int
    n_damaged: int
    structure: str = ""

    @property
    def is_sound(self) -> bool:
        """Whether nothing is damaged."""
        return not self.n_damaged and not self.structure
