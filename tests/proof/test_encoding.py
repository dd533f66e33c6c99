"""What a copy's own encoder would have made of a picture."""

from __future__ import annotations

import io

import numpy as np
import pytest
import simplejpeg
from generate import scene
from PIL import Image

from cvsim.proof.encoding import (
    coefficients,
    encoded_again,
    outside_of_steps,
    plane_of,
    read_jpeg_coding,
)
from cvsim.proof.picture import count_palette


def jpeg(rgb: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "JPEG", **options)
    return stream.getvalue()


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_the_same_encoder_makes_the_same_pixels(subsampling: int, progressive: bool) -> None:
    rgb = scene(4, 203, 117)
    data = jpeg(rgb, quality=63, subsampling=subsampling, progressive=progressive)
    coding = read_jpeg_coding(data)
    assert coding is not None
    assert coding.is_simulable
    assert np.array_equal(encoded_again(rgb, coding), simplejpeg.decode_jpeg(data))


def test_tables_and_sampling_are_read() -> None:
    data = jpeg(scene(4, 64, 48), quality=50, subsampling=2)
    coding = read_jpeg_coding(data)
    assert coding is not None
    assert coding.sampling == (2, 2)
    assert len(coding.tables) == 3
    assert coding.tables[0][0].tolist() == [16, 11, 10, 16, 24, 40, 51, 61]
    assert coding.tables[0][:, 0].tolist() == [16, 12, 14, 14, 18, 24, 49, 72]


def test_a_grey_jpeg_has_one_table() -> None:
    coding = read_jpeg_coding(jpeg(scene(4, 64, 48)[..., 0], quality=50))
    assert coding is not None
    assert len(coding.tables) == 1
    assert encoded_again(scene(4, 64, 48), coding).shape == (48, 64, 3)


def test_what_is_no_jpeg_to_read_has_no_coding() -> None:
    cmyk = io.BytesIO()
    Image.new("CMYK", (16, 16)).save(cmyk, "JPEG")
    assert read_jpeg_coding(cmyk.getvalue()) is None
    assert read_jpeg_coding(b"\xff\xd8\xff\xd9") is None
    assert read_jpeg_coding(jpeg(scene(4, 64, 48))[:40]) is None


def test_coefficients_are_orthonormal() -> None:
    plane = np.random.default_rng(0).normal(0, 20, (40, 64)).astype(np.float32)
    blocks = coefficients(plane)
    assert blocks.shape == (5, 8, 8, 8)
    assert np.allclose(plane_of(blocks), plane, atol=1e-3)
    assert np.isclose((blocks**2).sum(), (plane**2).sum(), rtol=1e-4)


def test_quantisation_is_within_its_steps_and_more_is_not() -> None:
    plane = np.random.default_rng(0).normal(0, 20, (64, 64)).astype(np.float32)
    step = np.full((8, 8), 24, np.float32)
    blocks = coefficients(plane)
    quantised = plane_of(np.round(blocks / 24).astype(np.float32) * 24)
    assert np.abs(outside_of_steps(quantised - plane, step / 2)).max() < 1e-2
    quantised[20:30, 20:30] += 15
    left = outside_of_steps(quantised - plane, step / 2)
    assert left[21:29, 21:29].mean() > 8
    assert np.abs(left[40:]).max() < 1e-2


def test_a_palette_is_told_from_a_grey_picture() -> None:
    few = np.asarray(Image.fromarray(scene(4, 120, 90)).quantize(32).convert("RGB"))
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2).repeat(8, axis=0)
    assert count_palette(few) == len(np.unique(few.reshape(-1, 3), axis=0))
    assert count_palette(ramp) is None
    assert count_palette(scene(4, 120, 90)) is None
