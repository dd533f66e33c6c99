"""TIFF directories, of files and of EXIF blocks, read straight from their bytes.

Nothing is decoded, and nothing that is read is trusted: every offset is checked against the length of the
data, directories are as short as garbage makes them, and chains of them end where they run in a circle
(TIFF 6.0, section 2; for offsets of 64 bits, the design of BigTIFF by Aware Systems).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

SHORT, LONG, ASCII = 3, 4, 2
SUBFILE_KIND, SUB_IFDS = 0x00FE, 0x014A
"""Tags: what a picture is (1: a smaller version of another), and where further directories lie."""
PIECES = ((273, 279), (324, 325), (288, 289), (513, 514))
"""Tags of where pixels lie and of how many bytes they are: strips, tiles, gaps, an old JPEG."""
DATE_TIME, EXIF_IFD, GPS_IFD = 0x0132, 0x8769, 0x8825
"""Tags of a first directory: when it was made, and where its EXIF and GPS directories lie."""
UNIT_BYTES: Mapping[int, int] = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 1, 7: 1, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8
}  # fmt: skip
"""For each type, the size of the unit that a change of byte order turns around."""
PER_VALUE: Mapping[int, int] = {5: 2, 10: 2}
"""How many such units a value has, for the types that have several."""
_WHOLE_NUMBERS: Mapping[int, str] = {1: "B", SHORT: "H", LONG: "I", 13: "I", 16: "Q", 18: "Q"}
_MAGIC = {b"II*\0": ("<", False), b"MM\0*": (">", False), b"II+\0": ("<", True), b"MM\0+": (">", True)}
_MOST_TAGS = 512  # a directory that claims more is garbage


@dataclass(frozen=True, slots=True)
class Directory:
    """Where the fields of one directory lie.

    Attributes
    ----------
    entries : mapping of int to int
        Tag -> position of its entry; of a tag that is there twice, the first.
    next : int
        Offset of the directory that follows; 0 for none.
    is_whole : bool
        All of its entries lie within the data.
    """

    entries: Mapping[int, int]
    next: int = 0
    is_whole: bool = False


_NOTHING = Directory({})


@dataclass(frozen=True, slots=True)
class Tiff:
    """Data that begin like a TIFF file; make it with `of`.

    Attributes
    ----------
    data : bytes
        Or anything like it, such as a mapped file.
    order : {"<", ">"}
        Byte order, as `struct` takes it.
    is_big : bool
        BigTIFF: counts and offsets have 64 bits.
    """

    data: bytes
    order: str
    is_big: bool = False

    @classmethod
    def of(cls, data: bytes) -> Tiff | None:
        """None for data that begin otherwise."""
        kind = _MAGIC.get(bytes(data[:4]))
        return None if kind is None or len(data) < (16 if kind[1] else 8) else cls(data, *kind)

    def first(self) -> Directory:
        """The directory that the header points to."""
        return self.directory(self.first_offset)

    @property
    def first_offset(self) -> int:
        """Say where the first directory lies."""
        layout, at = ("Q", 8) if self.is_big else ("I", 4)
        offset: int = struct.unpack_from(self.order + layout, self.data, at)[0]
        return offset

    def directory(self, offset: int | None) -> Directory:
        """The directory at an offset: without entries if there can be none, cut short where the data end."""
        count, entry_bytes, pointer = ("Q", 20, "Q") if self.is_big else ("H", 12, "I")
        count_bytes = struct.calcsize(count)
        if offset is None or not 8 <= offset <= len(self.data) - count_bytes:
            return _NOTHING
        (n_tags,) = struct.unpack_from(self.order + count, self.data, offset)
        if n_tags > _MOST_TAGS:
            return _NOTHING
        start = offset + count_bytes
        end = start + entry_bytes * n_tags
        positions = range(start, min(end, len(self.data) - entry_bytes + 1), entry_bytes)
        read_tag = struct.Struct(self.order + "H").unpack_from
        entries = {read_tag(self.data, position)[0]: position for position in reversed(positions)}
        if end + struct.calcsize(pointer) > len(self.data):
            return Directory(entries)
        return Directory(entries, struct.unpack_from(self.order + pointer, self.data, end)[0], True)

    def chain(self, offset: int | None, most: int) -> Iterator[Directory]:
        """The directory at an offset and those that follow it, each once, at most so many."""
        seen: set[int] = set()
        while offset and offset not in seen and len(seen) < most:
            seen.add(offset)
            directory = self.directory(offset)
            if not directory.entries:
                return
            yield directory
            offset = directory.next

    def subs(self, directory: Directory, most: int) -> Iterator[Directory]:
        """The directories that a directory has below it, at most so many."""
        for offset in self.numbers(directory, SUB_IFDS, most):
            yield self.directory(offset)

    def number(self, directory: Directory, tag: int) -> int | None:
        """The value of a field that holds a single whole number of 16 or 32 bits (or 64)."""
        position = directory.entries.get(tag)
        if position is None:
            return None
        kind, count, place = self._head(position)
        if count != 1 or kind not in (SHORT, LONG, 13, 16, 18):
            return None
        value: int = struct.unpack_from(self.order + _WHOLE_NUMBERS[kind], self.data, place)[0]
        return value

    def numbers(self, directory: Directory, tag: int, most: int) -> tuple[int, ...]:
        """The values of a field of whole numbers, at most so many; none if it holds anything else."""
        found = self.field(directory, tag)
        if found is None or found[0] not in _WHOLE_NUMBERS:
            return ()
        kind, count, start = found
        return struct.unpack_from(f"{self.order}{min(count, most)}{_WHOLE_NUMBERS[kind]}", self.data, start)

    def field(self, directory: Directory, tag: int) -> tuple[int, int, int] | None:
        """Type, count and position of the values of a field; None where they do not lie within the data."""
        position = directory.entries.get(tag)
        if position is None:
            return None
        kind, count, place = self._head(position)
        if kind not in UNIT_BYTES:
            return None
        n_bytes = UNIT_BYTES[kind] * PER_VALUE.get(kind, 1) * count
        if n_bytes > (8 if self.is_big else 4):
            (place,) = struct.unpack_from(self.order + ("Q" if self.is_big else "I"), self.data, place)
        return (kind, count, place) if place + n_bytes <= len(self.data) else None

    def _head(self, position: int) -> tuple[int, int, int]:
        """Type, count and where the value (or its offset) stands, of the entry at a position."""
        if self.is_big:
            kind, count = struct.unpack_from(self.order + "HQ", self.data, position + 2)
            return kind, count, position + 12
        kind, count = struct.unpack_from(self.order + "HI", self.data, position + 2)
        return kind, count, position + 8
