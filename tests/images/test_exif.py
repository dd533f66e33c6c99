from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from PIL import Image

from cvsim.images.exif import Exif, moment_of, parse_exif
from cvsim.types import Moment


def block(**tags: object) -> bytes:
    exif = Image.Exif()
    if "orientation" in tags:
        exif[0x0112] = tags["orientation"]
    if "date" in tags:
        exif[0x0132] = tags["date"]
    if "original" in tags:
        exif.get_ifd(0x8769)[0x9003] = tags["original"]
    if "gps" in tags:
        exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 3.0, 4.0), 3: "E", 4: (13.0, 2.0, 1.0)})
    return exif.tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(orientation: int) -> None:
    assert parse_exif(block(orientation=orientation)) == Exif(orientation)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_out_of_range_is_none(orientation: int) -> None:
    assert parse_exif(block(orientation=orientation)) == Exif(1)


def test_the_date_of_the_shot_is_preferred_to_that_of_the_file() -> None:
    assert parse_exif(block(date="2020:01:02 03:04:05")).taken_at == "2020-01-02T03:04:05"
    both = block(date="2020:01:02 03:04:05", original="2019:12:31 23:59:58")
    assert parse_exif(both).taken_at == "2019-12-31T23:59:58"


@pytest.mark.parametrize("date", ["0000:00:00 00:00:00", "    :  :     :  :  ", "yesterday", ""])
def test_a_clock_that_was_never_set_is_no_date(date: str) -> None:
    assert parse_exif(block(date=date)).taken_at is None


def shot_block(date: str, main: dict[int, str], inner: dict[int, str]) -> bytes:
    exif = Image.Exif()
    exif.update(main)
    exif.get_ifd(0x8769).update({0x9003: date, **inner})
    return exif.tobytes()


def test_the_moment_has_fraction_offset_and_camera() -> None:
    camera = {0x010F: "Foxglove", 0x0110: "F100"}
    inner = {0x9291: "250", 0x9011: "+02:30", 0xA431: "77"}
    block = shot_block("1970:01:02 00:00:10", camera, inner)
    assert (
        moment_of(block) == moment_of(parse_exif(block).block) == Moment(86_410.25, 9000, "Foxglove F100 77")
    )
    assert parse_exif(block).taken_at == "1970-01-02T00:00:10"
    west = shot_block("1970:01:02 00:00:10", {}, {0x9011: "-07:00"})
    assert moment_of(west) == Moment(86_410.0, -25_200, "")


@pytest.mark.parametrize("date", ["2024:02:31 10:00:00", "2024:05:04 25:00:00", "0000:00:00 00:00:00"])
def test_what_no_calendar_has_is_no_moment(date: str) -> None:
    assert moment_of(shot_block(date, {}, {})) is None


def test_when_a_program_wrote_the_file_is_no_moment() -> None:
    assert moment_of(block(date="2020:01:02 03:04:05")) is None
    assert moment_of(b"") is None


def test_position() -> None:
    assert parse_exif(block(gps=True)).has_gps
    assert not parse_exif(block(orientation=1)).has_gps


def test_both_byte_orders() -> None:
    big = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    little = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    assert parse_exif(big) == parse_exif(little) == Exif(6)


@given(st.binary(max_size=80), st.sampled_from([b"", b"Exif\0\0", b"II*\0", b"MM\0*", b"II*\0\x08\0\0\0"]))
def test_garbage_gives_something_and_no_error(tail: bytes, head: bytes) -> None:
    assert 1 <= parse_exif(head + tail).orientation <= 8


@given(st.data())
def test_a_corrupt_block_is_survived(data: st.DataObject) -> None:
    exif = bytearray(block(orientation=6, date="2020:01:02 03:04:05", gps=True))
    for _ in range(data.draw(st.integers(1, 8))):
        exif[data.draw(st.integers(0, len(exif) - 1))] = data.draw(st.integers(0, 255))
    parse_exif(bytes(exif[: data.draw(st.integers(0, len(exif)))]))
