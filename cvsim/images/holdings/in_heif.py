"""What a HEIC or AVIF file holds: its top-level images, sequences, auxiliary images and films.

The structure is that of ISO/IEC 23008-12 (HEIF): items with properties and references between them. Tiles of
a grid, thumbnails and auxiliary images are no pictures of their own.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from cvsim.images.holdings.found import (
    DEPTH_MAP,
    FILM,
    GAIN_MAP,
    LEAST_PRIVATE_BYTES,
    MATTE,
    MOST_ITEMS,
    OTHER,
    SOUND,
    Found,
)
from cvsim.images.iso_media import IsoBox, begins_film, boxes, film_seconds, find_box, track_seconds

# Kinds of items, auxiliary images, boxes: ISO/IEC 23008-12 (HEIF). Transfers and primaries: ISO/IEC 23091-2.
_DERIVED = (b"grid", b"iovl", b"iden")
_PICTURES = frozenset((b"hvc1", b"av01", b"avc1", b"jpeg", b"j2k1", b"unci", b"vvc1", b"lhv1", *_DERIVED))
_TONE_MAP = b"tmap"
_ALPHA = ("urn:mpeg:mpegb:cicp:systems:auxiliary:alpha", "urn:mpeg:hevc:2015:auxid:1")
_DEPTH = ("urn:mpeg:mpegb:cicp:systems:auxiliary:depth", "urn:mpeg:hevc:2015:auxid:2")
_EXPECTED = frozenset(
    (b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip", b"wide", b"etyp", b"sefd", b"idat")
)
_SRGB_TRANSFERS = frozenset((1, 2, 6, 13, 14, 15))  # of film and video, as viewers show them: like sRGB
_SRGB_PRIMARIES = frozenset((1, 2))


def read_heif(data: bytes) -> Found:
    """What the file holds, from its boxes."""
    found, end = Found(), 0
    has_begun = False
    for box in boxes(data):
        if box.type == b"ftyp" and has_begun and begins_film(data, box.start):
            _add_film(found, data[box.start :])
            return found
        has_begun, end = True, box.end
        if box.type == b"meta":
            _Items(data, box).describe(found)
        elif box.type == b"moov":
            _read_tracks(data, box, found)
        elif box.type == b"mpvd":  # Google's and Samsung's motion photos
            _add_film(found, data[box.body : box.end])
        elif box.type not in _EXPECTED and box.end - box.body >= LEAST_PRIVATE_BYTES:
            found.add(OTHER, data[box.body : box.end])
    found.add_rest(data[end:])
    return found


def _add_film(found: Found, film: bytes) -> None:
    found.add(FILM, film)
    if (seconds := film_seconds(film)) is not None:
        found.seconds[FILM] = seconds


def _read_tracks(data: bytes, movie: IsoBox, found: Found) -> None:
    """A sequence of pictures has a track like a film's; so has what is a film indeed."""
    for track in boxes(data, movie.body, movie.end):
        handler = find_box(data, (b"mdia", b"hdlr"), track.body, track.end) if track.type == b"trak" else None
        if handler is None:
            continue
        kind = data[handler.body + 8 : handler.body + 12]
        if kind == b"pict":
            sizes = find_box(data, (b"mdia", b"minf", b"stbl", b"stsz"), track.body, track.end)
            n_frames = int.from_bytes(data[sizes.body + 8 : sizes.body + 12], "big") if sizes else 1
            if n_frames > found.frames:
                found.frames, found.frames_s = n_frames, track_seconds(data, track) or 0.0
        elif kind == b"auxv":
            found.may_have_alpha = True
        elif kind in (b"vide", b"soun"):
            name = FILM if kind == b"vide" else SOUND
            found.add(name, data[track.start : track.end])
            found.seconds[name] = track_seconds(data, track) or 0.0


@dataclass(slots=True)
class _Item:
    """An entry of the item table."""

    kind: bytes
    is_hidden: bool
    properties: list[IsoBox] = field(default_factory=list)


class _Items:
    """The items of a file, their properties and what refers to what."""

    def __init__(self, data: bytes, meta: IsoBox) -> None:
        self._data = data
        self._boxes: dict[bytes, IsoBox] = {}
        for box in boxes(data, meta.body + 4, meta.end):
            self._boxes.setdefault(box.type, box)
        self.items: dict[int, _Item] = {}
        self.references: dict[bytes, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        self.places: dict[int, list[tuple[int, int]]] = {}
        self.primary = 0
        for kind, read in self._readers().items():
            if kind in self._boxes:
                try:
                    read(self._boxes[kind])
                except (struct.error, IndexError):  # it ends before it says so: what was read, is
                    continue

    def _readers(self) -> dict[bytes, Callable[[IsoBox], None]]:
        return {
            b"pitm": self._read_primary,
            b"iinf": self._read_items,
            b"iref": self._read_references,
            b"iprp": self._read_properties,
            b"iloc": self._read_places,
        }

    def describe(self, found: Found) -> None:
        thumbnails, auxiliary = self.references[b"thmb"], self.references[b"auxl"]
        parts = {
            part
            for whole, inputs in self.references[b"dimg"].items()
            if whole in self.items and self.items[whole].kind in (*_DERIVED, _TONE_MAP)
            for part in inputs[1 if self.items[whole].kind == _TONE_MAP else 0 :]
        }
        found.pictures = max(1, sum(
            item.kind in _PICTURES and not item.is_hidden and not {number} & {*thumbnails, *auxiliary, *parts}
            for number, item in self.items.items()
        ))  # fmt: skip
        for number, item in self.items.items():
            if item.kind == b"Exif":
                block = self._content(number, 0)
                found.exif = found.exif or block[4 + int.from_bytes(block[:4], "big") :]
            if item.kind == _TONE_MAP:
                for part in self.references[b"dimg"][number][1:]:
                    found.add(GAIN_MAP, self._content(part))
        for number in auxiliary:
            self._describe_auxiliary(number, found)
        if self.primary in self.items:
            for box in self.items[self.primary].properties:
                self._describe_property(box, found)

    def _describe_auxiliary(self, number: int, found: Found) -> None:
        kind = self._auxiliary_kind(number)
        if kind in _ALPHA:
            found.may_have_alpha = True
        elif kind in _DEPTH or "depth" in kind or "disparity" in kind:
            found.add(DEPTH_MAP, self._content(number))
        elif "gainmap" in kind:
            found.add(GAIN_MAP, self._content(number))
        else:
            found.add(MATTE if "matte" in kind else OTHER, self._content(number))

    def _auxiliary_kind(self, number: int) -> str:
        for box in self.items[number].properties if number in self.items else ():
            if box.type == b"auxC":
                return self._data[box.body + 4 : box.end].split(b"\0")[0].decode("latin-1").lower()
        return ""

    def _describe_property(self, box: IsoBox, found: Found) -> None:
        body = self._data[box.body : box.end]
        if box.type == b"pixi" and len(body) > 5:
            found.bits = max(body[5 : 5 + body[4]], default=8)
        elif box.type == b"hvcC" and len(body) > 17:
            found.bits = 8 + (body[17] & 7)
        elif box.type == b"av1C" and len(body) > 2:
            found.bits = (12 if body[2] & 0x20 else 10) if body[2] & 0x40 else 8
        elif box.type == b"colr":
            self._describe_color(body, found)

    @staticmethod
    def _describe_color(body: bytes, found: Found) -> None:
        if body[:4] in (b"prof", b"rICC"):
            found.profile = body[4:]
        elif body[:4] == b"nclx" and len(body) >= 10:
            primaries, transfer = struct.unpack_from(">HH", body, 4)
            if primaries not in _SRGB_PRIMARIES or transfer not in _SRGB_TRANSFERS:
                found.color = f"primaries {primaries}, transfer {transfer}"

    def _content(self, number: int, depth: int = 1) -> bytes:
        """The coded data of an item, and of what it is put together from."""
        pieces = [self._data[start:end] for start, end in self.places.get(number, ())]
        if depth:
            pieces += [self._content(part, depth - 1) for part in self.references[b"dimg"].get(number, ())]
        return b"".join(pieces) or b"?"

    # Each of these reads one box of `meta`; running out of data ends it.

    def _read_primary(self, box: IsoBox) -> None:
        layout = ">I" if self._data[box.body] else ">H"
        (self.primary,) = struct.unpack_from(layout, self._data, box.body + 4)

    def _read_items(self, box: IsoBox) -> None:
        start = box.body + (8 if self._data[box.body] else 6)
        for entry in boxes(self._data, start, box.end):
            version, flags = self._data[entry.body], self._data[entry.body + 3]
            if entry.type != b"infe" or version < 2:
                continue
            layout = ">HH4s" if version == 2 else ">IH4s"
            number, _, kind = struct.unpack_from(layout, self._data, entry.body + 4)
            self.items[number] = _Item(kind, bool(flags & 1))

    def _read_references(self, box: IsoBox) -> None:
        width = 4 if self._data[box.body] else 2
        for entry in boxes(self._data, box.body + 4, box.end):
            source = self._number(entry.body, width)
            count = min(self._number(entry.body + width, 2), (entry.end - entry.body) // width)
            first = entry.body + width + 2
            targets = [self._number(first + width * k, width) for k in range(count)]
            self.references[entry.type][source] += targets[:MOST_ITEMS]

    def _read_properties(self, box: IsoBox) -> None:
        container = find_box(self._data, (b"ipco",), box.body, box.end)
        known = list(boxes(self._data, container.body, container.end)) if container else []
        for entry in boxes(self._data, box.body, box.end):
            if entry.type == b"ipma":
                for number, index in self._associations(entry):
                    if number in self.items and 0 < index <= len(known):
                        self.items[number].properties.append(known[index - 1])

    def _associations(self, box: IsoBox) -> Iterator[tuple[int, int]]:
        id_bytes = 4 if self._data[box.body] else 2
        index_bytes = 2 if self._data[box.body + 3] & 1 else 1
        at = box.body + 8
        for _ in range(min(self._number(box.body + 4, 4), MOST_ITEMS)):
            number, count = self._number(at, id_bytes), self._data[at + id_bytes]
            at += id_bytes + 1
            for _ in range(count):
                yield number, self._number(at, index_bytes) & (0x7FFF if index_bytes == 2 else 0x7F)
                at += index_bytes
            if at >= box.end:
                return

    def _read_places(self, box: IsoBox) -> None:
        version, sizes = self._data[box.body], self._number(box.body + 4, 2)
        offset_bytes, length_bytes, base_bytes = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
        index_bytes = sizes & 15 if version else 0
        id_bytes = 4 if version == 2 else 2
        inside = self._boxes[b"idat"].body if b"idat" in self._boxes else 0
        at = box.body + 6 + id_bytes
        for _ in range(min(self._number(box.body + 6, id_bytes), MOST_ITEMS)):
            number = self._number(at, id_bytes)
            at += id_bytes
            method = self._number(at, 2) & 15 if version else 0
            at += (2 if version else 0) + 2
            base = self._number(at, base_bytes) + (inside if method == 1 else 0)
            count = self._number(at + base_bytes, 2)
            at += base_bytes + 2
            for _ in range(count):
                at += index_bytes
                start = base + self._number(at, offset_bytes)
                length = self._number(at + offset_bytes, length_bytes)
                at += offset_bytes + length_bytes
                self.places.setdefault(number, []).append((start, start + length))
                if at >= box.end:
                    return

    def _number(self, at: int, n_bytes: int) -> int:
        if at + n_bytes > len(self._data):
            raise IndexError
        return int.from_bytes(self._data[at : at + n_bytes], "big")
