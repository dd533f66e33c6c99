"""What the readers of the formats fill in, and what counts as nothing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from cvsim.types import Held

FILM, SOUND, DEPTH_MAP, GAIN_MAP, MATTE = "film", "sound", "depth map", "gain map", "matte"
LAYERS, TEXT, OTHER = "layers", "embedded text", "other data"
FURTHER = "further pictures"
RAW_DATA = "raw data"
"""Names of parts, as people read them."""
MOST_ITEMS = 10_000
"""Of anything that a file may list, from which on it is garbage or hostile."""
LEAST_TEXT_BYTES = 512
"""A shorter comment is a remark; longer ones hold drawings, prompts and tables that only this file has.
Chosen by hand, like the next one."""
LEAST_PRIVATE_BYTES = 1024
"""Programs note their own settings in less."""
_PADDING = re.compile(rb"(?:[\0\r\n ]|\xff(?!\xd8))*")


@dataclass(slots=True)
class Found:
    """What one file holds, as far as it has been read.

    Attributes
    ----------
    pictures, frames, frames_s, bits
        See `cvsim.types.Holdings`.
    may_have_alpha : bool
        There is a channel of transparency; whether it is used, only decoding tells.
    profile : bytes
        An ICC profile, or empty.
    exif : bytes
        An EXIF block, or empty.
    color : str
        How colours are to be read where that is not said by an ICC profile; empty if it is not said at all.
    parts : dict of str to list of bytes
        The bytes of each part.
    seconds : dict of str to float
        How long a part lasts.
    """

    pictures: int = 1
    frames: int = 1
    frames_s: float = 0.0
    bits: int = 8
    may_have_alpha: bool = False
    profile: bytes = b""
    exif: bytes = b""
    color: str = ""
    parts: dict[str, list[bytes]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, data: bytes) -> None:
        """Note something that the file holds, unless it is nothing."""
        if data:
            self.parts.setdefault(name, []).append(data)

    def add_rest(self, data: bytes) -> None:
        """Note what follows the end of the picture, unless it is padding."""
        if not is_padding(data):
            self.add(OTHER, data)

    def held(self) -> dict[str, Held]:
        """List what is held besides pictures."""
        return {name: self._held(name, pieces) for name, pieces in sorted(self.parts.items())}

    def _held(self, name: str, pieces: Iterable[bytes]) -> Held:
        digest, n_bytes = hashlib.sha256(), 0
        for piece in pieces:
            digest.update(piece)
            n_bytes += len(piece)
        return Held(n_bytes, digest.hexdigest(), self.seconds.get(name))


def is_padding(data: bytes) -> bool:
    """Whether nobody can miss these bytes: zeros, ones, blanks and line ends."""
    return padding_end(data, 0) == len(data)


def padding_end(data: bytes, start: int) -> int:
    """Where the padding that may begin at `start` ends."""
    match = _PADDING.match(data, start)
    return start if match is None else match.end()
