"""What a file holds besides its first picture, on real files of each kind, made here."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from generate import scene
from hypothesis import given, settings, strategies as st
from PIL import Image, ImageCms

from cvsim.images.holdings import as_json, from_json, in_words, read_holdings, to_json, with_alpha
from cvsim.images.sniff import sniff
from cvsim.images.tiff import Tiff
from cvsim.types import Holdings

heif = pytest.importorskip("pillow_heif", reason="needs the extra 'heif'")
heif.register_heif_opener()

SIZE = (96, 64)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def pictures(n: int, seed: int = 0) -> list[Image.Image]:
    return [Image.fromarray(scene(seed + k, *SIZE)) for k in range(n)]


def saved(first: Image.Image, format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    first.save(stream, format, **options)
    return stream.getvalue()


def holdings(data: bytes) -> Holdings:
    format = sniff(data)
    assert format is not None
    found, may_have_alpha = read_holdings(data, format)
    return with_alpha(found, data, format) if may_have_alpha else found


def words(data: bytes) -> list[str]:
    return in_words(holdings(data), sniff(data) or "")


def box(kind: bytes, *bodies: bytes) -> bytes:
    body = b"".join(bodies)
    return struct.pack(">I", 8 + len(body)) + kind + body


def film(seconds: float = 2.1, seed: int = 0) -> bytes:
    """The beginning and end of an MP4 of some length."""
    header = struct.pack(">IIIII", 0, 0, 0, 1000, round(1000 * seconds)) + bytes(80)
    noise = np.random.default_rng(seed).bytes(5000)
    return box(b"ftyp", b"mp42\0\0\0\0mp42isom") + box(b"mdat", noise) + box(b"moov", box(b"mvhd", header))


def depth16() -> np.ndarray:
    gray = scene(5, *SIZE)[..., 0].astype(np.uint16)
    return gray << 8 | np.random.default_rng(0).integers(0, 256, gray.shape, np.uint16)


def display_p3() -> bytes:
    """sRGB with the primaries of Display P3: profiles are tables of numbers."""
    red, green, blue = (
        struct.pack(">4s4x3i", b"XYZ ", *(round(65536 * v) for v in xyz))
        for xyz in ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
    )
    table = SRGB
    for tag, value in ((b"rXYZ", red), (b"gXYZ", green), (b"bXYZ", blue)):
        at = table.index(tag, 128)
        start = int.from_bytes(table[at + 4 : at + 8], "big")
        table = table[:start] + value + table[start + len(value) :]
    return table


PLAIN: dict[str, Callable[[], bytes]] = {
    "jpeg": lambda: saved(*pictures(1), "JPEG"),
    "jpeg with padding": lambda: saved(*pictures(1), "JPEG") + bytes(5000) + b"\r\n",
    "jpeg with sRGB": lambda: saved(*pictures(1), "JPEG", icc_profile=SRGB),
    "progressive jpeg": lambda: saved(*pictures(1), "JPEG", progressive=True),
    "gray jpeg": lambda: saved(pictures(1)[0].convert("L"), "JPEG"),
    "png": lambda: saved(*pictures(1), "PNG"),
    "opaque png": lambda: saved(pictures(1)[0].convert("RGBA"), "PNG"),
    "palette png": lambda: saved(pictures(1)[0].quantize(64), "PNG"),
    "gif": lambda: saved(pictures(1)[0].quantize(64), "GIF"),
    "tiff": lambda: saved(*pictures(1), "TIFF"),
    "tiled tiff": lambda: saved(*pictures(1), "TIFF", compression="tiff_lzw"),
    "webp": lambda: saved(*pictures(1), "WEBP"),
    "lossless webp": lambda: saved(pictures(1)[0].convert("RGBA"), "WEBP", lossless=True),
    "bmp": lambda: saved(*pictures(1), "BMP"),
    "jpeg 2000": lambda: saved(*pictures(1), "JPEG2000"),
    "ppm": lambda: saved(*pictures(1), "PPM"),
    "heic": lambda: saved(*pictures(1), "HEIF"),
    "avif": lambda: saved(*pictures(1), "AVIF"),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_a_plain_picture_holds_nothing_more(kind: str) -> None:
    assert words(PLAIN[kind]()) == []
    assert holdings(PLAIN[kind]()) == Holdings()


def cut_out() -> Image.Image:
    picture = pictures(1)[0].convert("RGBA")
    picture.putalpha(Image.fromarray(np.tile(np.repeat(np.array([0, 200], np.uint8), 48), (64, 1))))
    return picture


def stereo() -> bytes:
    first, second = pictures(2)
    return saved(first, "MPO", save_all=True, append_images=[second])


def as_type(mpo: bytes, kind: int) -> bytes:
    """An MPO whose second picture is of another type by the index."""
    start = mpo.index(b"MPF\0") + 4
    tiff = Tiff.of(mpo[start:])
    assert tiff is not None
    _, _, entries = tiff.field(tiff.first(), 0xB002) or (0, 0, 0)
    at = start + entries + 16
    return mpo[:at] + struct.pack(f"{tiff.order}I", kind) + mpo[at + 4 :]


def gain_mapped() -> bytes:
    second = saved(*pictures(1, 9), "JPEG", xmp=b"<x hdrgm:Version='1.0'/>")
    return saved(*pictures(1), "JPEG") + second


def samsung() -> bytes:
    """A photograph with Samsung's trailer: a time stamp and a film."""
    pieces = [(0x0A01, b"Image_UTC_Data", b"1600000000000"), (0x0A30, b"MotionPhoto_Data", film(1.5))]
    blocks = [struct.pack("<2xHI", kind, len(name)) + name + data for kind, name, data in pieces]
    total = sum(map(len, blocks))
    entries, offset = b"", total
    for (kind, _, _), block in zip(pieces, blocks, strict=True):
        entries += struct.pack("<2xHII", kind, offset, len(block))
        offset -= len(block)
    head = b"SEFH" + struct.pack("<II", 107, len(pieces)) + entries
    return saved(*pictures(1), "JPEG") + b"".join(blocks) + head + struct.pack("<I", len(head)) + b"SEFT"


def with_chunk(png: bytes, kind: bytes, body: bytes) -> bytes:
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return png[:33] + chunk + png[33:]


def burst(format: str, **options: object) -> bytes:
    first, *rest = pictures(3)
    return saved(first, format, save_all=True, append_images=rest, **options)


def animated(format: str, **options: object) -> bytes:
    first, *rest = pictures(4)
    return saved(first, format, save_all=True, append_images=rest, duration=100, **options)


def encoded16(ending: str) -> bytes:
    return cv2.imencode(ending, depth16())[1].tobytes()


def icon() -> bytes:
    return saved(pictures(1)[0].resize((64, 64)), "ICO", sizes=[(16, 16), (32, 32)])


MORE: dict[str, tuple[Callable[[], bytes], list[str]]] = {
    "gif": (lambda: animated("GIF", loop=0), ["4 frames"]),
    "apng": (lambda: animated("PNG"), ["4 frames"]),
    "apng with a still of its own": (lambda: animated("PNG", default_image=True), ["2 pictures", "3 frames"]),
    "webp": (lambda: animated("WEBP"), ["4 frames"]),
    "avif": (lambda: animated("AVIF"), ["4 frames"]),
    "tiff": (lambda: burst("TIFF"), ["3 pages"]),
    "big tiff": (lambda: burst("TIFF", big_tiff=True), ["3 pages"]),
    "heic": (lambda: burst("HEIF"), ["3 pictures"]),
    "mpo": (stereo, ["2 pictures"]),
    "icon": (icon, ["2 pictures"]),
    "motion photo": (lambda: saved(*pictures(1), "JPEG") + film(), ["film 2.1 s"]),
    "samsung's": (samsung, ["film 1.5 s"]),
    "samsung's older": (lambda: saved(*pictures(1), "JPEG") + b"MotionPhoto_Data" + film(), ["film 2.1 s"]),
    "behind padding": (lambda: saved(*pictures(1), "JPEG") + bytes(99) + film(), ["film 2.1 s"]),
    "heic's": (lambda: saved(*pictures(1), "HEIF") + box(b"mpvd", film()), ["film 2.1 s"]),
    "behind a heic": (lambda: saved(*pictures(1), "HEIF") + film(), ["film 2.1 s"]),
    "gain map": (gain_mapped, ["gain map"]),
    "gain map and film": (lambda: gain_mapped() + film(), ["film 2.1 s", "gain map"]),
    "16-bit png": (lambda: encoded16(".png"), ["16 bit"]),
    "16-bit tiff": (lambda: encoded16(".tiff"), ["16 bit"]),
    "16-bit pgm": (lambda: encoded16(".pgm"), ["16 bit"]),
    "10-bit heic": (lambda: heic10(), ["10 bit"]),
    "cut-out png": (lambda: saved(cut_out(), "PNG"), ["transparent"]),
    "cut-out webp": (lambda: saved(cut_out(), "WEBP"), ["transparent"]),
    "cut-out avif": (lambda: saved(cut_out(), "AVIF"), ["transparent"]),
    "cut-out heic": (lambda: saved(cut_out(), "HEIF"), ["transparent"]),
    "cut-out tiff": (lambda: saved(cut_out(), "TIFF"), ["transparent"]),
    "cut-out gif": (lambda: saved(cut_out(), "GIF"), ["transparent"]),
    "jpeg of a profile": (lambda: saved(*pictures(1), "JPEG", icc_profile=display_p3()), ["profile"]),
    "png of a profile": (lambda: saved(*pictures(1), "PNG", icc_profile=display_p3()), ["profile"]),
    "heic of a profile": (lambda: saved(*pictures(1), "HEIF", icc_profile=display_p3()), ["profile"]),
    "tiff of a profile": (lambda: saved(*pictures(1), "TIFF", icc_profile=display_p3()), ["profile"]),
    "webp of a profile": (lambda: saved(*pictures(1), "WEBP", icc_profile=display_p3()), ["profile"]),
    "zip behind a jpeg": (lambda: saved(*pictures(1), "JPEG") + b"PK\3\4" + b"x" * 3000, ["other data 3 kB"]),
    "zip behind a png": (lambda: saved(*pictures(1), "PNG") + b"PK\3\4" + b"x" * 3000, ["other data 3 kB"]),
    "zip behind a gif": (
        lambda: saved(pictures(1)[0].quantize(), "GIF") + b"PK\3\4" + b"x" * 3000,
        ["other data 3 kB"],
    ),
    "drawing in a png": (
        lambda: with_chunk(saved(*pictures(1), "PNG"), b"tEXt", b"mxfile\0" + b"<mxfile>" * 200),
        ["embedded text"],
    ),
    "layers in a png": (
        lambda: with_chunk(saved(*pictures(1), "PNG"), b"mkBS", b"layer" * 900),
        ["other data 4 kB"],
    ),
}


def heic10() -> bytes:
    stream = io.BytesIO()
    samples = np.repeat(depth16()[..., None], 3, 2).tobytes()
    heif.from_bytes("RGB;16", SIZE, samples).save(stream)
    return stream.getvalue()


@pytest.mark.parametrize("kind", MORE)
def test_more_than_a_picture_is_found(kind: str) -> None:
    make, expected = MORE[kind]
    try:
        data = make()
    except (RuntimeError, OSError, KeyError) as exc:
        pytest.skip(f"no encoder for it here: {exc}")
    found = words(data)
    assert [word.split(" sRGB")[0] for word in found] == expected


def test_the_film_of_a_motion_photo_is_known_by_its_bytes() -> None:
    still = saved(*pictures(1), "JPEG")
    one, same, other = (holdings(still + film(seed=seed)) for seed in (1, 1, 2))
    assert one == same
    assert one.parts["film"].digest != other.parts["film"].digest
    assert one.parts["film"].n_bytes == len(film(seed=1))


def test_a_camera_s_own_preview_is_no_second_picture() -> None:
    assert words(as_type(stereo(), 0x010002)) == []


def test_the_smaller_version_in_a_tiff_is_no_page() -> None:
    data = burst("TIFF")
    tiff = Tiff.of(data)
    assert tiff is not None
    page = list(tiff.chain(tiff.first_offset, 9))[1]
    at = page.entries[256]  # its width becomes "new subfile type: reduced"
    reduced = data[:at] + struct.pack("<HHII", 254, 4, 1, 1) + data[at + 12 :]
    assert words(reduced) == ["2 pages"]


def test_two_profiles_of_one_meaning_have_one_key() -> None:
    described = display_p3().replace(b"\0s\0R\0G\0B", b"\0m\0i\0n\0e")
    one, two = (holdings(saved(*pictures(1), "JPEG", icc_profile=p)) for p in (display_p3(), described))
    assert one.profile != two.profile
    assert one.profile_key == two.profile_key != ""


def test_stored_holdings_come_back_as_they_were() -> None:
    for make, _ in (MORE["samsung's"], MORE["gif"], MORE["cut-out png"]):
        found = holdings(make())
        assert from_json(to_json(found)) == found
        assert from_json(to_json(found)).parts == found.parts


def test_the_report_says_what_a_plain_file_holds() -> None:
    expected = {"pictures": 1, "frames": 1, "alpha": False, "bits": 8, "profile": None}
    expected |= {"film_bytes": 0, "trailing_bytes": 0}
    assert expected.items() <= as_json(Holdings()).items()


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(PLAIN) + sorted(MORE)), st.data())
def test_damaged_files_are_read_as_far_as_they_go(kind: str, data: st.DataObject) -> None:
    whole = _made(kind)
    broken = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 6))):
        if broken:
            broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    format = sniff(bytes(broken))
    if format is not None:
        found, _ = read_holdings(bytes(broken), format)
        assert found.pictures >= 1
        assert from_json(to_json(found)) == found


_MADE: dict[str, bytes] = {}


def _made(kind: str) -> bytes:
    if kind not in _MADE:
        try:
            _MADE[kind] = PLAIN[kind]() if kind in PLAIN else MORE[kind][0]()
        except (RuntimeError, OSError, KeyError):
            _MADE[kind] = b""
    return _MADE[kind]
