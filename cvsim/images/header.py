"""How large a picture claims to be, without giving its bytes to a decoder."""

from __future__ import annotations

from cvsim.images.formats import FORMAT_TABLE
from cvsim.images.sniff import HEAD_BYTES, sniff

# The second is for what stands before the size in some files: previews, colour profiles, maker's notes.
_HEADERS_BYTES = (1 << 16, 1 << 20)


def claimed_pixels(path: str) -> int | None:
    """How many pixels a file's header says that its picture has; None where it does not say."""
    try:
        with open(path, "rb") as stream:
            for n_bytes in _HEADERS_BYTES:
                stream.seek(0)
                data = stream.read(n_bytes)
                format = sniff(data[:HEAD_BYTES], name=path)
                size = None if format is None else peek_size(data, format)
                if size is not None or len(data) < n_bytes:
                    break
    except OSError:
        return None
    return None if size is None else size[0] * size[1]


def peek_size(data: bytes, format: str) -> tuple[int, int] | None:
    """(width, height) as the header claims, or None."""
    return FORMAT_TABLE[format].claimed_size(data)
