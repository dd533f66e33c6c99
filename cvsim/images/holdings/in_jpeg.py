"""What a JPEG file holds: further pictures, a film, a depth or gain map, and what follows its end.

Phones put a whole film behind the last marker of a photograph, where no decoder looks (Google: Motion Photo
format 1.0; Samsung: its own trailer), and so do they with gain maps (Ultra HDR format 1.1) and depth maps.
Cameras put a larger preview there, which is no second picture (CIPA DC-007, Multi-Picture Format).
"""

from __future__ import annotations

import re
import struct

from cvsim.images.holdings.found import (
    DEPTH_MAP,
    FILM,
    FURTHER,
    GAIN_MAP,
    LEAST_PRIVATE_BYTES,
    MATTE,
    MOST_ITEMS,
    OTHER,
    SOUND,
    Found,
    padding_end,
)
from cvsim.images.iso_media import begins_film, film_seconds
from cvsim.images.jpeg import APP1, APP2, EXIF_PREFIX, SOS, Segment, frame_precision, jpeg_end, segments
from cvsim.images.tiff import Tiff

_APP11 = 0xEB
_XMP, _XMP_MORE = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_XMP_MORE_HEAD = len(_XMP_MORE) + 32 + 4 + 4  # then a digest, a total and an offset
_ICC, _MPF = b"ICC_PROFILE\0", b"MPF\0"
_MP_ENTRIES, _MP_ENTRY_BYTES = 0xB002, 16
_MP_PREVIEWS = frozenset((0x010001, 0x010002))
_MOST_PICTURES = 1000
_CONTAINED = re.compile(rb"Item:Semantic(?:=[\"']|>)(\w+)")
_MOTION_PHOTO = b"MotionPhoto"
_AUXILIARY = (
    (re.compile(rb"hdrgm:|HDRGainMap|hdrgainmap", re.IGNORECASE), GAIN_MAP),
    (re.compile(rb"matte", re.IGNORECASE), MATTE),
    (re.compile(rb"GDepth:|[\":>]depth|disparity", re.IGNORECASE), DEPTH_MAP),
)
_BY_SEMANTIC = {b"GainMap": GAIN_MAP, b"Depth": DEPTH_MAP, b"ConfidenceMap": DEPTH_MAP, b"Matte": MATTE}
_SAMSUNG_MARK = b"MotionPhoto_Data"
_SAMSUNG_FILMS = frozenset((0x0A30, 0x0201, 0x0830, 0x0B51, 0x0C51))
_SAMSUNG_SOUNDS = frozenset((0x0100,))
_SAMSUNG_DEPTHS = frozenset((0x0AB0, 0x0AB1, 0x0AB3, 0x0B41, 0x0BF0, 0x0C61, 0x0CD2))


def read_jpeg(data: bytes) -> Found:
    """What the file holds, from its segments and from what follows the picture."""
    found = Found()
    head = _Head()
    for segment in segments(data):
        head.take(data, segment)
    found.bits = head.bits
    found.exif = head.exif
    found.profile = b"".join(head.profile[number] for number in sorted(head.profile))
    xmp = head.xmp + head.more_xmp
    if b"GDepth:" in xmp:
        found.add(DEPTH_MAP, head.more_xmp or head.xmp)
    if b"GAudio:" in xmp:
        found.add(SOUND, head.more_xmp or head.xmp)
    if b"GImage:" in xmp:  # the photograph as it was before its background was blurred
        found.pictures += 1
        found.add(FURTHER, head.more_xmp or head.xmp)
    if len(head.private) >= LEAST_PRIVATE_BYTES:
        found.add(OTHER, head.private)
    _Rest(data, head, found).read(jpeg_end(data))
    return found


class _Head:
    """What the segments before the picture say."""

    def __init__(self) -> None:
        self.bits = 8
        self.exif = self.xmp = self.more_xmp = self.private = b""
        self.profile: dict[int, bytes] = {}
        self.pictures: list[tuple[int, int, int]] = []
        """Of the further pictures in the multi-picture index: type, start, end."""

    def take(self, data: bytes, segment: Segment) -> None:
        marker, _, body, end = segment
        if (precision := frame_precision(data, segment)) is not None:
            self.bits = precision
        elif marker == APP1 and data.startswith(EXIF_PREFIX, body):
            self.exif = self.exif or data[body:end]
        elif marker == APP1 and data.startswith(_XMP, body):
            self.xmp += data[body + len(_XMP) : end]
        elif marker == APP1 and data.startswith(_XMP_MORE, body):
            self.more_xmp += data[body + _XMP_MORE_HEAD : end]
        elif marker == APP2 and data.startswith(_ICC, body):
            number = data[body + len(_ICC)] if body + len(_ICC) < len(data) else 0
            self.profile.setdefault(number, data[body + len(_ICC) + 2 : end])
        elif marker == APP2 and data.startswith(_MPF, body):
            self.pictures += _multi_pictures(data, body + len(_MPF), end)
        elif marker == _APP11:
            self.private += data[body:end]


def _multi_pictures(data: bytes, start: int, end: int) -> list[tuple[int, int, int]]:
    """Type, start and end of each further picture by the index, whose offsets count from its own start."""
    tiff = Tiff.of(data[start:end])
    field = tiff.field(tiff.first(), _MP_ENTRIES) if tiff is not None else None
    if tiff is None or field is None:
        return []
    _, n_bytes, at = field
    found = []
    for place in range(at, at + min(n_bytes, _MOST_PICTURES * _MP_ENTRY_BYTES), _MP_ENTRY_BYTES):
        if place + _MP_ENTRY_BYTES > len(tiff.data):
            break
        kind, size, offset = struct.unpack_from(f"{tiff.order}3I", tiff.data, place)
        if offset and data[start + offset : start + offset + 2] == b"\xff\xd8":
            found.append((kind & 0xFFFFFF, start + offset, min(start + offset + size, len(data))))
    return found


class _Rest:
    """What follows the picture: each piece is told by its own beginning, whatever an index says of it."""

    def __init__(self, data: bytes, head: _Head, found: Found) -> None:
        self._data, self._found = data, found
        self._indexed = {start: (kind, end) for kind, start, end in head.pictures}
        semantics = [semantic for semantic in _CONTAINED.findall(head.xmp) if semantic != b"Primary"]
        self._semantics = iter([s for s in semantics if s != _MOTION_PHOTO])

    def read(self, start: int) -> None:
        end = self._read_samsung(start)
        for _ in range(_MOST_PICTURES):
            if self._data.startswith(_SAMSUNG_MARK, start):
                start += len(_SAMSUNG_MARK)
            behind = padding_end(self._data, start)
            if behind >= end:
                return
            # The length that a film begins with begins with zeros itself.
            film = next(
                (at for at in range(max(start, behind - 3), behind + 1) if begins_film(self._data, at)), 0
            )
            start = behind
            if film:
                self._add_film(self._data[film:end])
                return
            if self._data.startswith(b"\xff\xd8\xff", start):
                start = self._read_picture(start, end)
            else:
                following = self._next_known(start, end)
                self._found.add_rest(self._data[start:following])
                start = following
        self._found.add_rest(self._data[start:end])

    def _next_known(self, start: int, end: int) -> int:
        """Where, behind something unknown, a picture by the index or a film begins."""
        film = self._data.find(b"ftyp", start + 5, end)
        places = [place for place in self._indexed if start < place < end]
        if film >= 0 and begins_film(self._data, film - 4):
            places.append(film - 4)
        return min(places, default=end)

    def _read_picture(self, start: int, end: int) -> int:
        kind, stop = self._indexed.get(start, (0, 0))
        stop = min(stop, end) if stop > start else min(jpeg_end(self._data, start), end)
        if kind in _MP_PREVIEWS:
            return stop
        part = _auxiliary(self._data[start:stop]) or _BY_SEMANTIC.get(next(self._semantics, b""))
        self._found.pictures += part is None
        self._found.add(part or FURTHER, self._data[start:stop])
        return stop

    def _add_film(self, film: bytes) -> None:
        self._found.add(FILM, film)
        if (seconds := film_seconds(film)) is not None:
            self._found.seconds[FILM] = seconds

    def _read_samsung(self, start: int) -> int:
        """Read the trailer of Samsung's phones; returns where it begins, or the end of the data."""
        data = self._data
        tail = data.rfind(b"SEFT", start)
        if tail < 4:
            return len(data)
        head = tail - 4 - int.from_bytes(data[tail - 4 : tail], "little")
        if head < start or data[head : head + 4] != b"SEFH" or head + 12 > tail:
            return len(data)
        count = min(int.from_bytes(data[head + 8 : head + 12], "little"), MOST_ITEMS, (tail - head) // 12)
        first = head
        for place in range(head + 12, head + 12 + 12 * count, 12):
            if place + 12 > tail:
                break
            kind, offset, size = struct.unpack_from("<2xHII", data, place)
            begin = head - offset
            if not start <= begin < head or size < 8:
                continue
            first = min(first, begin)
            name_bytes = int.from_bytes(data[begin + 4 : begin + 8], "little")
            self._add_samsung(kind, data[min(begin + 8 + name_bytes, head) : min(begin + size, head)])
        return first

    def _add_samsung(self, kind: int, piece: bytes) -> None:
        if kind in _SAMSUNG_FILMS or begins_film(piece, 0):
            self._add_film(piece)
        elif kind in _SAMSUNG_DEPTHS:
            self._found.add(DEPTH_MAP, piece)
        elif kind in _SAMSUNG_SOUNDS:
            self._found.add(SOUND, piece)
        elif len(piece) >= LEAST_PRIVATE_BYTES * 8:  # less is settings of the camera and times
            self._found.add(OTHER, piece)


def _auxiliary(jpeg: bytes) -> str | None:
    """What a further picture is by its own metadata, if it is none that people look at."""
    for marker, _, body, end in segments(jpeg):
        if marker == SOS:
            break
        if marker == APP1 and jpeg.startswith(_XMP, body):
            for pattern, part in _AUXILIARY:
                if pattern.search(jpeg, body, end):
                    return part
    return None
