"""What a TIFF file holds: its pages, depth, transparency, layers, and what nothing in it points to."""

from __future__ import annotations

from cvsim.images.holdings.found import LAYERS, OTHER, Found
from cvsim.images.tiff import PER_VALUE, PIECES, SUBFILE_KIND, UNIT_BYTES, Directory, Tiff

_OLD_KIND, _BITS, _EXTRA, _PROFILE, _LAYERS = 255, 258, 338, 34675, 37724
# Tags of TIFF 6.0, Exif 3.0 and the DNG specification.
_POINTERS = (330, 34665, 34853, 40965)
_REDUCED, _MASK, _OLD_REDUCED = 1, 4, 2
_MOST_PAGES, _MOST_SUBS = 10_000, 64
_MOST_PIECES = 100_000
_LEAST_REST_BYTES = 4096
"""Programs leave old directories behind that nothing points to any more; a hidden file is larger. Chosen by
hand."""


def read_tiff(data: bytes) -> Found:
    """What the file holds, from its directories."""
    found = Found()
    tiff = Tiff.of(data)
    if tiff is None:
        return found
    pages = list(tiff.chain(tiff.first_offset, _MOST_PAGES))
    full = [page for page in pages if is_page(tiff, page)]
    found.pictures = max(1, len(full))
    for page in full:
        found.bits = max(found.bits, *tiff.numbers(page, _BITS, 16), 1)
        found.may_have_alpha |= any(kind in (1, 2) for kind in tiff.numbers(page, _EXTRA, 16))
        found.pictures += sum(is_page(tiff, sub) and sub.entries != {} for sub in tiff.subs(page, _MOST_SUBS))
        found.add(LAYERS, _bytes(tiff, page, _LAYERS))
    if any((tiff.number(page, SUBFILE_KIND) or 0) & _MASK for page in pages):
        found.may_have_alpha = True
    first = full[0] if full else Directory({})
    found.profile = _bytes(tiff, first, _PROFILE)
    found.exif = data
    rest = data[_extent(tiff, pages) :]
    if len(rest) >= _LEAST_REST_BYTES:
        found.add_rest(rest)
    elif rest.lstrip(b"\0")[:2] in (b"PK", b"II", b"MM", b"\xff\xd8"):
        found.add(OTHER, rest)
    return found


def is_page(tiff: Tiff, directory: Directory) -> bool:
    """Whether it is a picture of its own: no thumbnail, no smaller version, no mask."""
    kind = tiff.number(directory, SUBFILE_KIND) or 0
    return not kind & (_REDUCED | _MASK) and tiff.number(directory, _OLD_KIND) != _OLD_REDUCED


def _bytes(tiff: Tiff, directory: Directory, tag: int) -> bytes:
    field = tiff.field(directory, tag)
    if field is None:
        return b""
    kind, count, start = field
    return bytes(tiff.data[start : start + UNIT_BYTES[kind] * PER_VALUE.get(kind, 1) * count])


def _extent(tiff: Tiff, pages: list[Directory]) -> int:
    """Where the last thing ends that a directory knows of."""
    end, pending = 8, list(pages)
    seen: set[int] = set()
    for _ in range(_MOST_PAGES):
        if not pending:
            break
        directory = pending.pop()
        entry_bytes = 20 if tiff.is_big else 12
        end = max(end, *(at + entry_bytes + 8 for at in directory.entries.values()), 8)
        for tag in directory.entries:
            if (field := tiff.field(directory, tag)) is not None:
                kind, count, start = field
                end = max(end, start + UNIT_BYTES[kind] * PER_VALUE.get(kind, 1) * count)
        for offsets, lengths in PIECES:
            places = tiff.numbers(directory, offsets, _MOST_PIECES)
            sizes = tiff.numbers(directory, lengths, _MOST_PIECES)
            end = max([end, *(a + b for a, b in zip(places, sizes, strict=False))])
        for tag in _POINTERS:
            new = set(tiff.numbers(directory, tag, 64)) - seen
            seen |= new
            pending += map(tiff.directory, new)
    return end
