"""Which of two pictures of one content is the poorer one."""

from __future__ import annotations

import io

import pytest
from generate import scene
from PIL import Image, ImageFilter
from PIL.Image import Resampling, Transpose

from cvsim.proof.picture import ProofPicture, proof_picture
from cvsim.proof.quality import is_poorer, quality_of


def original(seed: int = 5) -> Image.Image:
    return Image.fromarray(scene(seed, 640, 480))


def read(image: Image.Image, quality: int = 95) -> ProofPicture:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return proof_picture(stream.getvalue())


def spoiled(image: Image.Image, how: str) -> Image.Image:
    if how == "enlarged":
        return image.resize((213, 160), Resampling.LANCZOS).resize((960, 720), Resampling.BICUBIC)
    if how == "softened":
        return image.filter(ImageFilter.GaussianBlur(2.5))
    if how == "grey":
        return image.convert("L").convert("RGB")
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=6)
    return Image.open(stream).convert("RGB")


@pytest.mark.parametrize("how", ["enlarged", "softened", "grey", "compressed badly"])
@pytest.mark.parametrize("seed", [5, 6])
def test_the_spoiled_one_is_poorer_and_never_the_other(how: str, seed: int) -> None:
    good, bad = read(original(seed)), read(spoiled(original(seed), how), 97)
    assert is_poorer(bad, good)
    assert not is_poorer(good, bad)


@pytest.mark.parametrize("seed", [5, 6, 7])
def test_an_original_is_not_poorer_than_its_copies(seed: int) -> None:
    image = original(seed)
    kept = read(image)
    copies = [
        read(image, 75),
        read(image.resize((480, 360), Resampling.LANCZOS), 85),
        read(image.resize((320, 240), Resampling.BOX), 85),
        read(image.transpose(Transpose.ROTATE_90), 90),
    ]
    assert not any(is_poorer(kept, copy) for copy in copies)


def test_an_enlarged_picture_uses_less_of_its_grid() -> None:
    image = original()
    half = image.resize((320, 240), Resampling.LANCZOS)
    enlarged = half.resize((960, 720), Resampling.BICUBIC)
    assert quality_of(read(enlarged).rgb).resolution < 0.8 * quality_of(read(half).rgb).resolution


def test_blocks_show_at_any_place_of_their_grid() -> None:
    blocky = spoiled(original(), "compressed badly")
    plain = quality_of(read(original()).rgb).blockiness
    assert quality_of(read(blocky).rgb).blockiness > plain + 0.3
    assert quality_of(read(blocky.crop((3, 5, 600, 400))).rgb).blockiness > plain + 0.3


def test_tiny_and_flat_pictures_have_a_quality() -> None:
    assert quality_of(read(Image.new("RGB", (1, 1))).rgb).resolution == 1
    assert quality_of(read(Image.new("RGB", (40, 30), "red")).rgb).color > 20
