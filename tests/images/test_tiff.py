"""TIFF directories and JPEG segments, read straight from bytes that may be anything."""

from __future__ import annotations

import io
import struct

import pytest
from generate import scene
from hypothesis import given, strategies as st
from PIL import Image

from cvsim.images.jpeg import APP1, EOI, SOS, segments
from cvsim.images.tiff import Tiff

WIDTH, STRIP_OFFSETS = 256, 273


def saved(format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(scene(1, 96, 64)).save(stream, format, **options)
    return stream.getvalue()


@pytest.mark.parametrize("big", [False, True])
def test_every_directory_of_a_file_is_found_with_its_fields(big: bool) -> None:
    pages = [Image.fromarray(scene(seed, 90 + seed, 60)) for seed in range(3)]
    stream = io.BytesIO()
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:], big_tiff=big)
    tiff = Tiff.of(stream.getvalue())
    assert tiff is not None
    assert tiff.is_big == big
    found = list(tiff.chain(tiff.first_offset, 10))
    assert [tiff.number(directory, WIDTH) for directory in found] == [90, 91, 92]
    assert all(tiff.numbers(directory, STRIP_OFFSETS, 4) for directory in found)
    assert len(list(tiff.chain(tiff.first_offset, 2))) == 2


def test_a_chain_that_runs_in_a_circle_ends() -> None:
    entry = struct.pack("<HHII", WIDTH, 4, 1, 7)
    tiff = Tiff.of(b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 1) + entry + struct.pack("<I", 8))
    assert tiff is not None
    assert len(list(tiff.chain(tiff.first_offset, 100))) == 1


@given(
    st.binary(max_size=120), st.sampled_from([b"II*\0\x08\0\0\0", b"MM\0+\0\x08\0\0" + b"\0" * 7 + b"\x10"])
)
def test_no_field_lies_outside_the_data(tail: bytes, head: bytes) -> None:
    tiff = Tiff.of(head + tail)
    for directory in tiff.chain(tiff.first_offset, 50) if tiff else ():
        for tag in directory.entries:
            tiff.number(directory, tag)
            assert len(tiff.numbers(directory, tag, 8)) <= 8
            field = tiff.field(directory, tag)
            assert field is None or field[2] <= len(tiff.data)


def test_segments_end_with_the_scan_and_pass_over_what_is_between_them() -> None:
    jpeg = saved("JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0")
    found = list(segments(jpeg))
    assert found[-1].marker == SOS
    assert APP1 in {segment.marker for segment in found}
    assert [a.end for a in found[:-1]] == [b.start for b in found[1:]]
    stray = jpeg[: found[0].end] + b"stray\xff\xff" + jpeg[found[0].end :]
    assert [s.marker for s in segments(stray)] == [s.marker for s in found]
    assert [s.marker for s in segments(b"before" + jpeg, 6)] == [s.marker for s in found]


@given(st.binary(max_size=60))
def test_segments_of_garbage_end(tail: bytes) -> None:
    for segment in segments(b"\xff\xd8\xff" + tail):
        assert segment.end > segment.start or segment.marker == EOI
