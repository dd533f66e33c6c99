from __future__ import annotations

import hashlib
import io
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg
from generate import scene
from hypothesis import given, settings, strategies as st
from PIL import Image, ImageOps

from cvsim.errors import CvsimError, DecodeError, ImageError, NotAnImageError, TooLargeError, UsageError
from cvsim.images import encoded as content, pillow
from cvsim.images.decode import (
    Decoded,
    decode,
    decode_full,
    edge_digests,
    jpeg_edge_digests,
    pixel_digest,
    thumbnail,
)
from cvsim.images.encoded import read_content
from cvsim.images.jpeg import (
    JpegIdentities,
    is_jpeg_risky,
    jpeg_decode_bytes,
    read_jpeg_header,
    reduction_for,
)
from cvsim.images.raster import fit, orient
from cvsim.images.source import decode_source

# Smooth, so that what a lossy format or a resampling changes is small beside any real fault.
PICTURE = cv2.GaussianBlur(scene(3, 320, 240), (0, 0), 2.0)


def encoded(format: str, picture: Image.Image | None = None, **options: object) -> bytes:
    stream = io.BytesIO()
    (picture or Image.fromarray(PICTURE)).save(stream, format, **options)
    return stream.getvalue()


def difference(decoded: np.ndarray, reference: np.ndarray) -> float:
    """Mean over pixels, in grey levels."""
    assert decoded.shape == reference.shape
    assert decoded.dtype == np.uint8
    return float(np.abs(decoded.astype(int) - reference).mean())


# Formats


@pytest.mark.parametrize(
    ("format", "options", "tolerance"),
    [
        ("JPEG", {"quality": 95, "subsampling": 0}, 2),
        ("JPEG", {"quality": 95, "progressive": True}, 2),
        ("PNG", {}, 0),
        ("GIF", {}, 12),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("TIFF", {"compression": "jpeg", "quality": 95}, 3),
        ("WEBP", {"quality": 95}, 4),
        ("WEBP", {"lossless": True}, 0),
        ("AVIF", {"quality": 95}, 4),
        ("JPEG2000", {}, 0),
        ("PPM", {}, 0),
    ],
)
def test_every_format_gives_the_picture(format: str, options: dict[str, object], tolerance: float) -> None:
    decoded = decode(encoded(format, **options), longest_px=1000)
    assert (decoded.width_px, decoded.height_px, decoded.damaged) == (320, 240, False)
    assert difference(decoded.rgb, PICTURE) <= tolerance


def test_tga_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.tga").write_bytes(encoded("TGA"))
    decoded = read_content(str(tmp_path / "a.tga")).decode(longest_px=1000)
    assert decoded.format == "tga"
    assert difference(decoded.rgb, PICTURE) == 0


def test_an_icon_by_its_largest_picture() -> None:
    icon = encoded("ICO", Image.fromarray(PICTURE).resize((64, 64)), sizes=[(16, 16), (64, 64), (32, 32)])
    assert decode(icon, longest_px=100).rgb.shape == (64, 64, 3)


def test_heic() -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    decoded = decode(encoded("HEIF", quality=90), longest_px=1000)
    assert decoded.format == "heic"
    assert difference(decoded.rgb, PICTURE) < 5


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_modes_of_png(mode: str) -> None:
    if mode == "I;16":
        gray = cv2.cvtColor(PICTURE, cv2.COLOR_RGB2GRAY)
        picture = Image.fromarray(gray.astype(np.uint16) * 257)
        expected = np.repeat(gray[..., None], 3, axis=2)
    else:
        picture = Image.fromarray(PICTURE).convert(mode)
        expected = np.asarray(picture.convert("RGB"))
    assert difference(decode_full(encoded("PNG", picture)), expected) == 0


def test_sixteen_bits_of_colour() -> None:
    deep = PICTURE.astype(np.uint16) * 257
    for suffix in (".png", ".tiff"):
        data = cv2.imencode(suffix, deep[..., ::-1])[1].tobytes()
        assert difference(decode_full(data), PICTURE) <= 0.01


def test_floats_are_stretched_to_their_range() -> None:
    ramp = np.tile(np.linspace(-3, 7, 64, dtype=np.float32), (16, 1))
    rgb = decode_full(encoded("TIFF", Image.fromarray(ramp)))
    assert rgb[0, 0].tolist() == [0, 0, 0]
    assert rgb[0, -1].tolist() == [255, 255, 255]
    assert (np.diff(rgb[0, :, 0].astype(int)) >= 0).all()


def test_transparency_is_shown_on_white() -> None:
    rgba = np.dstack([PICTURE, np.full((240, 320), 255, np.uint8)])
    rgba[:100, ..., 3] = 0
    rgba[100:200, ..., 3] = 128
    for format, options in [("PNG", {}), ("WEBP", {"lossless": True, "exact": True})]:
        rgb = decode_full(encoded(format, Image.fromarray(rgba), **options))
        assert (rgb[:100] == 255).all()
        half = np.rint(PICTURE[100:200] * (128 / 255) + 255 * (127 / 255))
        assert np.abs(rgb[100:200] - half).max() <= 1
        assert (rgb[200:] == PICTURE[200:]).all()


def test_a_transparent_palette_colour_is_white() -> None:
    picture = Image.new("P", (8, 8), 1)
    picture.putpalette([0, 0, 0, 200, 10, 10, 10, 200, 10])
    picture.paste(2, (0, 0, 4, 8))
    rgb = decode_full(encoded("GIF", picture, transparency=2))
    assert rgb[0, 0].tolist() == [255, 255, 255]
    assert rgb[0, 7].tolist() == [200, 10, 10]


def test_cmyk_is_what_pillow_makes_of_it_at_every_reduction() -> None:
    data = encoded("JPEG", Image.fromarray(PICTURE).convert("CMYK"), quality=95)
    reference = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert difference(decode_full(data), reference) < 1
    small = cv2.resize(reference, (80, 60), interpolation=cv2.INTER_AREA)
    assert difference(decode(data, longest_px=80).rgb, small) < 3


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_an_animation_is_its_first_frame(format: str) -> None:
    frames = [Image.new("RGB", (40, 30), color) for color in ("red", "green", "blue")]
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(format, frames[0], save_all=True, append_images=frames[1:], **options)
    assert (decode_full(data) == [255, 0, 0]).all()


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded("JPEG"))
    assert read_content(str(tmp_path / "a.png")).format == "jpeg"
    (tmp_path / "a.jpg").write_bytes(b"not a picture")
    with pytest.raises(NotAnImageError, match="not an image"):
        read_content(str(tmp_path / "a.jpg"))


# Size and orientation


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 100), st.sampled_from(["JPEG", "PNG"]))
@settings(max_examples=60, deadline=None)
def test_the_longer_side_is_what_was_asked_for(width: int, height: int, longest_px: int, format: str) -> None:
    picture = Image.fromarray(PICTURE).resize((width, height))
    decoded = decode(encoded(format, picture), longest_px=longest_px)
    assert (decoded.width_px, decoded.height_px) == (width, height)
    longest = min(longest_px, max(width, height))
    # A JPEG may be left a little smaller, where that spares decoding four times the pixels.
    assert longest * 15 / 16 <= max(decoded.rgb.shape[:2]) <= longest
    slack = 1 + longest / 16
    assert np.allclose(decoded.rgb.shape[:2], fit(width, height, longest_px)[::-1], atol=slack)
    assert decoded.rgb.flags.c_contiguous


@pytest.mark.parametrize("size", [(1600, 1200), (1601, 1203), (3000, 400)])
@pytest.mark.parametrize("longest_px", [64, 100, 333, 512])
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_a_reduced_decode_is_the_area_mean(size: tuple[int, int], longest_px: int, format: str) -> None:
    picture = Image.fromarray(PICTURE).resize(size, Image.Resampling.BICUBIC)
    data = encoded(
        format, picture, **({"quality": 95, "subsampling": 0} if format == "JPEG" else {"compress_level": 1})
    )
    full = decode_full(data)
    small = decode(data, longest_px=longest_px).rgb
    reference = cv2.resize(full, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert difference(small, reference) < 3


@pytest.mark.parametrize(
    ("side", "expected"), [(511, 1), (959, 1), (960, 2), (1920, 4), (3839, 4), (3840, 8), (9000, 8)]
)
def test_the_largest_reduction_that_leaves_enough(side: int, expected: int) -> None:
    assert reduction_for(side, 10, 512) == reduction_for(10, side, 512) == expected


@pytest.mark.parametrize("size", [(3000, 1001), (1001, 3000), (2500, 1600), (10, 60_001)])
def test_a_large_picture_is_the_same_band_by_band(size: tuple[int, int]) -> None:
    large = np.asarray(Image.fromarray(scene(3, 320, 240)).resize(size))
    data = encoded("BMP", Image.fromarray(large))
    assert (decode_full(data) == large).all()
    small = decode(data, longest_px=333).rgb
    reference = cv2.resize(large, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - reference).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_what_pillow_makes_of_it(orientation: int) -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (4, 6, 3), np.uint8)
    picture = Image.fromarray(rgb)
    picture.getexif()[0x0112] = orientation
    assert (orient(rgb, orientation) == np.asarray(ImageOps.exif_transpose(picture))).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_the_nine_orientations_show_one_picture(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    # Stored so that the orientation turns it upright: apply the inverse (only 6 and 8 are not their own).
    inverse = {6: 8, 8: 6}.get(orientation, orientation)
    options = {"TIFF": {}, "PNG": {}, "WEBP": {"lossless": True}}.get(format, {"quality": 95})
    data = encoded(format, Image.fromarray(orient(PICTURE, inverse)), exif=exif, **options)
    decoded = decode(data, longest_px=1000)
    assert (decoded.width_px, decoded.height_px) == (320, 240)
    assert difference(decoded.rgb, PICTURE) < 5


def test_date_and_position() -> None:
    exif = Image.Exif()
    exif[0x0132] = "2021:05:06 07:08:09"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 3.0, 4.0), 3: "E", 4: (13.0, 2.0, 1.0)})
    for format in ("JPEG", "PNG", "WEBP"):
        decoded = decode(encoded(format, exif=exif), longest_px=100)
        assert (decoded.taken_at, decoded.has_gps) == ("2021-05-06T07:08:09", True)


# Damage


def test_every_truncation_is_found_and_the_rest_is_shown() -> None:
    data = encoded("JPEG", quality=90)
    for n_bytes in range(len(data) // 4, len(data), 501):
        decoded = decode(data[:n_bytes], longest_px=1000)
        assert decoded.damaged
        assert difference(decoded.rgb[:16], decode_full(data)[:16]) < 1
    assert decode(data[:-2], longest_px=1000).damaged


def test_a_jpeg_without_any_pixels_is_no_image() -> None:
    data = encoded("JPEG")
    start_of_scan = data.index(b"\xff\xda")
    with pytest.raises(DecodeError, match="truncated JPEG: it ends before the picture does"):
        decode(data[: start_of_scan + 14], longest_px=100)
    with pytest.raises(DecodeError, match="truncated JPEG: it ends before the picture begins"):
        decode(data[:50], longest_px=100)


@given(st.integers(0, 10_000), st.binary(min_size=40, max_size=40))
@settings(max_examples=40, deadline=None)
def test_corruption_is_survived(position: int, noise: bytes) -> None:
    data = encoded("JPEG", quality=85)
    at = 300 + position % (len(data) - 400)
    try:
        decoded = decode(data[:at] + noise + data[at + 40 :], longest_px=200)
    except CvsimError:
        return
    assert max(decoded.rgb.shape) <= 200


def test_corruption_in_the_middle_is_found(capfd: pytest.CaptureFixture[str]) -> None:
    data = encoded("JPEG", quality=85)
    middle = len(data) // 2
    corrupt = data[:middle] + b"\xff\xd9" * 30 + data[middle + 60 :]
    assert decode(corrupt, longest_px=1000).damaged
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "tail", [b"\0" * 1000, b"motion photo \0\0\0\x18ftypmp42", b"\xff\xd8\xff\xe0 second picture"]
)
def test_data_after_the_end_are_no_damage(tail: bytes) -> None:
    assert not decode(encoded("JPEG") + tail, longest_px=100).damaged


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM"])
def test_a_truncated_picture_of_another_format(format: str) -> None:
    data = encoded(format)
    decoded = decode(data[: len(data) // 2], longest_px=400)
    assert decoded.damaged
    assert (decoded.width_px, decoded.height_px) == (320, 240)


@pytest.mark.parametrize("format", ["PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM", "ICO"])
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_other_formats_raise_nothing_but_our_errors(format: str, data: st.DataObject) -> None:
    original = encoded(format, Image.fromarray(PICTURE).resize((40, 30)))
    noisy = bytearray(original[: data.draw(st.integers(12, len(original)))])
    for _ in range(data.draw(st.integers(0, 4))):
        noisy[data.draw(st.integers(8, len(noisy) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = decode(bytes(noisy), longest_px=64, max_pixels=1_000_000)
    except CvsimError:
        return
    assert max(decoded.rgb.shape) <= 64


# Limits


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that claims to be of any size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(100_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_bomb_is_refused_by_its_header() -> None:
    with pytest.raises(TooLargeError, match="60000 x 50000 pixels are more than the limit of 250 megapixels"):
        decode(bomb(60_000, 50_000), longest_px=100)
    jpeg = bytearray(encoded("JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", 65_000, 65_000)
    with pytest.raises(TooLargeError):
        decode(bytes(jpeg), longest_px=100)
    with pytest.raises(TooLargeError):
        decode(encoded("PNG"), longest_px=100, max_pixels=320 * 240 - 1)


def test_a_jpeg_of_very_many_scans_is_risky() -> None:
    plain, progressive = encoded("JPEG"), encoded("JPEG", progressive=True)
    assert not is_jpeg_risky(plain, read_jpeg_header(plain))
    assert not is_jpeg_risky(progressive, read_jpeg_header(progressive))
    scan = progressive[progressive.rindex(b"\xff\xda") : -2]
    many = progressive[:-2] + scan * 100 + b"\xff\xd9"
    assert is_jpeg_risky(many, read_jpeg_header(many))
    assert jpeg_decode_bytes(read_jpeg_header(plain)) == 0
    assert jpeg_decode_bytes(read_jpeg_header(progressive)) == 320 * 240 * 3 * 2


def test_a_camera_raw_file_is_not_its_preview() -> None:
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    tags = ImageFileDirectory_v2()
    tags[254], tags[330] = 1, 8  # a thumbnail of what lies elsewhere
    pytest.importorskip("rawpy")
    with pytest.raises(DecodeError, match="camera RAW"):
        decode(encoded("TIFF", tiffinfo=tags), longest_px=100)


# Files


def test_a_file_is_digested_and_sniffed_in_one_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encoded("PNG")
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    path.write_bytes(data)
    small = read_content(str(path))
    assert (small.digest, small.format, small.data) == (hashlib.sha256(data).hexdigest(), "png", data)
    assert small.is_risky
    monkeypatch.setattr(content, "CARRIED_BYTES", 100)
    large = read_content(str(path))
    assert (large.digest, large.data) == (small.digest, None)
    assert large.memory_bytes == small.memory_bytes > 0
    assert large.full_memory_bytes == small.full_memory_bytes == small.memory_bytes + 320 * 240 * 3
    assert (large.decode(longest_px=64).rgb == small.decode(longest_px=64).rgb).all()
    assert large.pixel_digest() == small.pixel_digest()


def test_what_became_of_a_file_since_the_scan(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="gone"):
        read_content(str(tmp_path / "gone.jpg"))
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(ImageError, match="not a file any more"):
        read_content(str(tmp_path / "pipe.jpg"))
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(NotAnImageError, match="empty file"):
        read_content(str(tmp_path / "empty.jpg"))


# The rest of the interface


def test_equal_pixels_have_equal_digests_whatever_the_format() -> None:
    assert pixel_digest(encoded("PNG")) == pixel_digest(encoded("BMP"))
    changed = PICTURE.copy()
    changed[0, 0, 0] ^= 1
    assert pixel_digest(encoded("PNG")) != pixel_digest(encoded("PNG", Image.fromarray(changed)))
    tall, wide = Image.new("RGB", (2, 8)), Image.new("RGB", (8, 2))
    assert pixel_digest(encoded("PNG", tall)) != pixel_digest(encoded("PNG", wide))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(320, 240), (33, 31), (200, 9)])
@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"subsampling": 2, "restart_marker_blocks": 3}])
def test_one_edge_of_a_jpeg_is_known_without_the_rest(
    orientation: int, size: tuple[int, int], options: dict[str, object]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    for mode in ("RGB", "L"):
        data = encoded("JPEG", Image.fromarray(PICTURE).resize(size).convert(mode), exif=exif, **options)
        known, expected = jpeg_edge_digests(data), edge_digests(decode_full(data))
        edges = [(known[at : at + 8], expected[at : at + 8]) for at in range(0, 32, 8)]
        assert sum(any(edge) for edge, _ in edges) == 1
        assert all(edge == right for edge, right in edges if any(edge))


@pytest.mark.parametrize(
    "data",
    [
        encoded("JPEG", progressive=True),
        encoded("JPEG", Image.fromarray(PICTURE).convert("CMYK")),
        encoded("JPEG")[:300],
    ],
)
def test_no_edge_of_some_jpegs_is_known(data: bytes) -> None:
    assert jpeg_edge_digests(data) == bytes(32)


def test_edges_tell_pictures_apart() -> None:
    edges = edge_digests(PICTURE)
    changed = PICTURE.copy()
    changed[3, 100, 1] ^= 1  # near the top, and no other edge
    assert [edges[at : at + 8] == edge_digests(changed)[at : at + 8] for at in (0, 8, 16, 24)] == [
        False,
        True,
        True,
        True,
    ]


@pytest.mark.parametrize("held_bytes", [0, 1 << 20])
def test_jpegs_of_one_code_are_told_by_it(held_bytes: int) -> None:
    plain, commented = encoded("JPEG"), encoded("JPEG", comment=b"a comment")
    other = encoded("JPEG", Image.fromarray(PICTURE[::-1]))
    assert plain != commented
    identities = JpegIdentities(held_bytes)
    code = identities.of(plain)
    assert identities.of(commented) == identities.of(plain) == code == JpegIdentities().of(commented)
    assert identities.of(plain + b"left by a camera") == code == JpegIdentities().of(plain + b"\xff\xd9\xff")
    assert all(own != other for own, other in zip(identities.of(turned("JPEG")), code, strict=True))
    assert identities.of(other)[0] == code[0]
    assert identities.of(other)[1] != code[1]
    assert identities.of(encoded("JPEG", quality=30))[0] != code[0]
    assert identities.of(plain[:-20])[1] != code[1]


def turned(format: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(format, exif=exif)


@pytest.mark.parametrize(
    "data",
    [
        encoded("PNG"),
        encoded("PNG", Image.fromarray(PICTURE).convert("P")),
        encoded("PNG", Image.fromarray(PICTURE).convert("LA")),
        turned("PNG"),
        turned("TIFF"),
    ],
)
def test_a_digest_that_comes_with_the_decoding_changes_nothing(data: bytes) -> None:
    plain, digested = (decode(data, longest_px=100, with_digest=asked) for asked in (False, True))
    assert plain.pixel_digest is None
    assert digested.pixel_digest == pixel_digest(data)
    assert (plain.edges, digested.edges) == (b"", edge_digests(decode_full(data)))
    assert (digested.rgb == plain.rgb).all()
    assert (digested.width_px, digested.height_px) == (plain.width_px, plain.height_px)


def test_a_digest_does_not_come_where_it_would_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    assert decode(encoded("JPEG"), longest_px=100, with_digest=True).pixel_digest is None
    webp = decode(encoded("WEBP"), longest_px=100, with_digest=True)
    assert (webp.pixel_digest, webp.edges) == (None, edge_digests(decode_full(encoded("WEBP"))))
    monkeypatch.setattr(pillow, "_BAND_PIXELS", PICTURE.shape[0] * PICTURE.shape[1] - 1)
    assert decode(encoded("PNG"), longest_px=100, with_digest=True).pixel_digest is None


def test_a_thumbnail_is_a_small_jpeg() -> None:
    data = thumbnail(PICTURE, 96)
    small = simplejpeg.decode_jpeg(data)
    assert small.shape == (72, 96, 3)
    assert difference(small, cv2.resize(PICTURE, (96, 72), interpolation=cv2.INTER_AREA)) < 8
    assert simplejpeg.decode_jpeg(thumbnail(PICTURE[:5, :7], 96)).shape == (5, 7, 3)


def test_paths_arrays_and_pillow_images_give_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded("PNG"))
    results = [
        decode_source(source, longest_px=100)
        for source in (path, str(path), PICTURE, Image.fromarray(PICTURE), Image.open(path))
    ]
    for result in results:
        assert isinstance(result, Decoded)
        assert (result.rgb == results[0].rgb).all()
        assert (result.width_px, result.height_px) == (320, 240)


def test_a_pillow_image_in_another_mode_and_orientation() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.open(io.BytesIO(encoded("JPEG", exif=exif)))
    assert decode_source(turned, longest_px=1000).rgb.shape == (320, 240, 3)
    assert (decode_source(Image.new("RGBA", (4, 4)), longest_px=10).rgb == 255).all()


@pytest.mark.parametrize("array", [np.zeros((4, 4)), np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8)])
def test_an_array_of_another_kind_is_refused(array: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"must be \(H, W, 3\) uint8 RGB"):
        decode_source(array, longest_px=10)
