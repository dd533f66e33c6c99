"""A file's content: read once, digested, told what it is, decoded wherever that may happen."""

from __future__ import annotations

import hashlib
import io
import mmap
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, BinaryIO

from cvsim.errors import DecodeError, ImageError, NotAnImageError, TooLargeError
from cvsim.images import archives, jpeg
from cvsim.images.decode import MAX_PIXELS, Decoded, decode, pixel_digest
from cvsim.images.formats import FORMAT_TABLE
from cvsim.images.header import peek_size
from cvsim.images.scan import file_error_reason
from cvsim.images.sniff import HEAD_BYTES, is_film, is_risky, sniff
from cvsim.images.structure import check_structure

CARRIED_BYTES = 64 << 20
"""A larger file is not held in memory; the decoder reads it a second time."""
MAX_JPEG_BYTES = 512 << 20
_CHUNK_BYTES = 1 << 20
_DIRECTORY_ANYWHERE = frozenset(("tiff", "raw"))
"""Formats whose size may stand at the end of the file."""
_READING = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
"""Not every system has, or needs, all of these."""


@dataclass(frozen=True)
class Content:
    """An image file as it was read.

    Attributes
    ----------
    path : str
    digest : str
        SHA-256 of the bytes, lower-case hexadecimal.
    format : str
        See `cvsim.images.sniff.sniff`.
    data : bytes or None
        None for a file too large to be passed around; it is read again from `path`.
    """

    path: str
    digest: str
    format: str
    data: bytes | None

    @property
    def is_risky(self) -> bool:
        """Whether the decoder must run where it can be killed."""
        if self._jpeg_header is not None and self.data is not None:
            return jpeg.is_jpeg_risky(self.data, self._jpeg_header)
        return is_risky(self.format)

    @property
    def memory_bytes(self) -> int:
        """About how much memory the decoder takes, beyond a few megabytes."""
        width_px, height_px = self.claimed_size or (0, 0)
        if width_px * height_px > MAX_PIXELS:  # it is refused for that, whatever memory there is
            return 0
        if self._jpeg_header is not None:
            return jpeg.jpeg_decode_bytes(self._jpeg_header)
        return FORMAT_TABLE[self.format].memory_of(self.claimed_size)

    @property
    def extra_s(self) -> float:
        """How much longer than a usual picture's its decoding may take."""
        width_px, height_px = self.claimed_size or (0, 0)
        return width_px * height_px / 1e6 * FORMAT_TABLE[self.format].s_per_megapixel

    @property
    def full_memory_bytes(self) -> int:
        """`memory_bytes` of `pixel_digest`, which decodes at full size."""
        width_px, height_px = self.claimed_size or (0, 0)
        return self.memory_bytes + 3 * min(width_px * height_px, MAX_PIXELS)

    @cached_property
    def claimed_size(self) -> tuple[int, int] | None:
        """(width, height) in pixels by the header, as stored; None if that is not known."""
        if self._jpeg_header is not None:
            return self._jpeg_header.width_px, self._jpeg_header.height_px
        if self.data is None and self.format in _DIRECTORY_ANYWHERE:
            with self.whole() as data:
                return peek_size(data, self.format)
        return peek_size(self._beginning(), self.format)

    def decode(self, *, longest_px: int, max_pixels: int = MAX_PIXELS, with_digest: bool = False) -> Decoded:
        """See `cvsim.images.decode.decode`."""
        asked: Any = {"longest_px": longest_px, "max_pixels": max_pixels, "with_digest": with_digest}
        if self.data is not None:
            return decode(self.data, format=self.format, jpeg_header=self._jpeg_header, **asked)
        with self.open() as stream:
            return decode(stream, format=self.format, **asked)

    def pixel_digest(self) -> str:
        """See `cvsim.images.decode.pixel_digest`."""
        if self.data is not None:
            return pixel_digest(self.data, format=self.format)
        with self.open() as stream:
            return pixel_digest(stream, format=self.format)

    @cached_property
    def _jpeg_header(self) -> jpeg.JpegHeader | None:
        """None for another format, a file that is not held, and a header that makes no sense."""
        if self.format != "jpeg" or self.data is None:
            return None
        try:
            return jpeg.read_jpeg_header(self.data)
        except DecodeError:
            return None

    def _beginning(self) -> bytes:
        if self.data is not None:
            return self.data
        with self.open() as stream:
            return stream.read(_CHUNK_BYTES)

    @contextmanager
    def stream(self) -> Iterator[BinaryIO]:
        """The bytes, wherever they are, for a decoder that reads them piece by piece."""
        if self.data is not None:
            yield io.BytesIO(self.data)
            return
        with self.open() as stream:
            yield stream

    @contextmanager
    def whole(self) -> Iterator[bytes]:
        """The bytes, or what can be read like them: a large file is mapped."""
        if self.data is not None:
            yield self.data
            return
        with self.open() as stream:
            try:
                mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError) as exc:
                raise ImageError("it cannot be read") from exc
            with mapped:
                yield mapped  # type: ignore[misc]

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The file, for reading; errors are mapped."""
        with _open_regular(self.path) as stream:
            yield stream


def read_content(path: str, digest: str | None = None) -> Content:
    """Read and digest an image file; a `digest` that is known already is taken as it is.

    Raises
    ------
    NotAnImageError
        Known from the first bytes; the rest is not read.
    DecodeError, TooLargeError
        A large file is none by its structure; most of it is not read.
    ImageError
        The file is gone, unreadable, or no regular file any more.
    """
    inside = archives.split(path)
    if inside is not None:
        return _member_content(path, *inside, digest)
    with _open_regular(path) as stream:
        size_bytes = os.fstat(stream.fileno()).st_size
        head = stream.read(HEAD_BYTES)
        if not head:
            raise NotAnImageError("empty file")
        format = sniff(head, name=path)
        if format is None:
            raise NotAnImageError(NotAnImageError.FILM) if is_film(head) else NotAnImageError
        if size_bytes > CARRIED_BYTES and format != "jpeg":
            check_structure(stream, format, size_bytes)
            stream.seek(len(head))
            return Content(path, digest or _digest_of_rest(head, stream), format, None)
        if size_bytes > MAX_JPEG_BYTES:
            raise TooLargeError(
                f"{size_bytes >> 20} MB are over the limit of {MAX_JPEG_BYTES >> 20} MB for a JPEG"
            )
        stream.seek(0)
        data = stream.read()
    return Content(path, digest or hashlib.sha256(data).hexdigest(), format, data)


def _member_content(path: str, archive: str, name: str, digest: str | None) -> Content:
    """The content of a picture in an archive."""
    data = archives.read_member(archive, name)
    format = sniff(data[:HEAD_BYTES], name=name)
    if format is None:
        raise NotAnImageError("not an image" if data else "empty file")
    return Content(path, digest or hashlib.sha256(data).hexdigest(), format, data)


def encoded_content(data: bytes) -> Content:
    """An image file's content that came from elsewhere than a file.

    Raises
    ------
    NotAnImageError
        It is none.
    """
    format = sniff(data[:HEAD_BYTES])
    if format is None:
        raise NotAnImageError("not an image" if data else "empty file")
    return Content("", hashlib.sha256(data).hexdigest(), format, data)


def _digest_of_rest(head: bytes, stream: BinaryIO) -> str:
    digest = hashlib.sha256(head)
    while chunk := stream.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def _open_regular(path: str) -> Iterator[BinaryIO]:
    try:
        # Not blocking: what was a file when it was found may have become a pipe that nobody writes to.
        descriptor = os.open(path, _READING)
        with open(descriptor, "rb", buffering=0) as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise DecodeError("not a file any more")
            yield stream
    except ImageError:
        raise
    except OSError as exc:
        raise ImageError(file_error_reason(exc)) from exc
