"""Whether a picture shows more than a smaller copy of it."""

from __future__ import annotations

import io

import pytest
from generate import scene
from PIL import Image
from PIL.Image import Resampling, Transpose

from cvsim.proof.enlarged import shows_no_more
from cvsim.proof.picture import ProofPicture, proof_picture

FILTERS = (Resampling.BILINEAR, Resampling.BICUBIC, Resampling.LANCZOS)


def read(image: Image.Image, format: str = "JPEG", **options: object) -> ProofPicture:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return proof_picture(stream.getvalue())


def scaled(image: Image.Image, times: float, by: Resampling) -> Image.Image:
    return image.resize((round(image.width * times), round(image.height * times)), by)


@pytest.mark.parametrize("by", FILTERS)
@pytest.mark.parametrize("times", [1.3, 2, 3])
@pytest.mark.parametrize("saved", [{"quality": 95}, {"quality": 75}, {"format": "PNG"}])
def test_an_enlarged_picture_shows_no_more(times: float, by: Resampling, saved: dict[str, object]) -> None:
    original = Image.fromarray(scene(5, 480, 360))
    assert shows_no_more(read(scaled(original, times, by), **saved), read(original, quality=90), 0)


@pytest.mark.parametrize("by", FILTERS)
@pytest.mark.parametrize("times", [0.25, 0.5, 0.7])
def test_a_picture_shows_more_than_what_it_was_reduced_to(times: float, by: Resampling) -> None:
    original = Image.fromarray(scene(5, 960, 720))
    assert not shows_no_more(read(original, quality=92), read(scaled(original, times, by), quality=90), 0)


@pytest.mark.parametrize("orientation", [(1, Transpose.FLIP_LEFT_RIGHT), (2, Transpose.FLIP_TOP_BOTTOM)])
def test_the_smaller_one_may_lie_otherwise(orientation: tuple[int, Transpose]) -> None:
    number, transpose = orientation
    original = Image.fromarray(scene(6, 480, 360))
    small = original.transpose(transpose)
    assert shows_no_more(read(scaled(original, 2, Resampling.BICUBIC)), read(small, quality=90), number)
    half = scaled(original, 0.5, Resampling.BICUBIC).transpose(transpose)
    assert not shows_no_more(read(original, quality=90), read(half, quality=90), number)


def test_tiny_and_flat_pictures_show_no_more() -> None:
    small, large = (Image.new("RGB", (side, side), (90, 120, 40)) for side in (9, 40))
    assert shows_no_more(read(large, "PNG"), read(small, "PNG"), 0)
