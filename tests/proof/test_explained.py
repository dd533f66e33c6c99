"""Whether the kept picture explains all that is visible in a copy."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from generate import scene
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps
from PIL.Image import Resampling, Transpose

from cvsim.proof.explained import Explanation, ProofPicture, explain, proof_picture

SIZE = (360, 270)
PLACE = (150, 90)
FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "gif": "GIF"}


def picture(seed: int = 3, size: tuple[int, int] = SIZE) -> Image.Image:
    return Image.fromarray(scene(seed, *size))


def page(number: str = "4,127.50", size: tuple[int, int] = (420, 300), px: int = 14) -> Image.Image:
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(px)
    for row in range(size[1] // (2 * px) - 1):
        text = f"item {row}: the quick brown fox, {row * 37 % 100}.{row * 13 % 10}0"
        draw.text((px, px + row * 2 * px), number if row == 3 else text, font=font, fill="black")
    return sheet


def data(image: Image.Image, format: str = "jpg", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, FORMATS[format], **options)
    return stream.getvalue()


def proved(copy: bytes, kept: bytes) -> Explanation:
    return explain(proof_picture(copy), proof_picture(kept))


def again(encoded: bytes) -> Image.Image:
    return Image.open(io.BytesIO(encoded)).convert("RGB")


TRUE_COPIES = {
    "quality 95": lambda im: data(im, quality=95),
    "quality 75": lambda im: data(im, quality=75),
    "quality 40": lambda im: data(im, quality=40),
    "full chroma": lambda im: data(im, quality=85, subsampling=0),
    "4:2:2": lambda im: data(im, quality=80, subsampling=1),
    "progressive": lambda im: data(im, quality=70, progressive=True),
    "lossless": lambda im: data(im, "png"),
    "webp": lambda im: data(im, "webp", quality=75),
    "half": lambda im: data(im.resize((im.width // 2, im.height // 2), Resampling.LANCZOS), quality=85),
    "three quarters": lambda im: data(im.resize((270, 202), Resampling.BICUBIC), quality=80),
    "a third, box": lambda im: data(im.resize((120, 90), Resampling.BOX), quality=85),
    "half, lossless": lambda im: data(im.resize((180, 135), Resampling.BILINEAR), "png"),
    "enlarged": lambda im: data(im.resize((540, 405), Resampling.BICUBIC), quality=85),
    "twice": lambda im: data(again(data(im, quality=90)), quality=70),
    "turned": lambda im: data(im.transpose(Transpose.ROTATE_90), quality=80),
    "mirrored": lambda im: data(im.transpose(Transpose.FLIP_LEFT_RIGHT), quality=85),
}


@pytest.mark.parametrize("how", TRUE_COPIES)
@pytest.mark.parametrize("kept_quality", [None, 95])
def test_true_copies_are_explained(how: str, kept_quality: int | None) -> None:
    original = picture()
    kept = data(original, "png") if kept_quality is None else data(original, quality=kept_quality)
    found = proved(TRUE_COPIES[how](original), kept)
    assert found.state in ("explained", "same-pixels"), found
    assert found.boxes == ()
    assert found.margin < 1


def test_equal_pixels_are_said_to_be_so() -> None:
    original = picture()
    assert proved(data(original, "png"), data(original, "png", compress_level=1)).state == "same-pixels"


def test_equal_pixels_that_are_turned_are_explained() -> None:
    original = picture()
    assert (
        proved(data(original.transpose(Transpose.ROTATE_270), "png"), data(original, "png")).state
        == "explained"
    )


def test_a_jpeg_that_is_turned_by_its_metadata_is_explained() -> None:
    original = picture(size=(361, 269))  # sides that are no whole blocks: it matters where the grid begins
    exif = Image.Exif()
    exif[0x112] = 6
    copy = data(original.transpose(Transpose.ROTATE_90), quality=60, exif=exif)
    found = proved(copy, data(original, "png"))
    assert found.state == "explained", found


def painted(image: Image.Image, how: str) -> Image.Image:
    rgb = np.array(image)
    x, y = PLACE
    draw_on = Image.fromarray(rgb)
    draw, font = ImageDraw.Draw(draw_on), ImageFont.load_default(12)
    if how == "spot":
        draw.ellipse([x, y, x + 11, y + 11], fill=(200, 40, 60))
    elif how == "square of 6 px":
        rgb[y : y + 6, x : x + 6] = np.where(rgb[y : y + 6, x : x + 6] > 128, 60, 200)
        return Image.fromarray(rgb)
    elif how == "faint":
        mask = np.zeros(rgb.shape[:2], np.float32)
        cv2.circle(mask, (x, y), 20, 1, -1)
        shift = np.where(rgb.mean() > 128, -14, 14) * cv2.GaussianBlur(mask, (0, 0), 2)[..., None]
        return Image.fromarray(np.clip(rgb + shift, 0, 255).astype(np.uint8))
    elif how == "colour only":
        part = cv2.cvtColor(rgb[y : y + 24, x : x + 24], cv2.COLOR_RGB2YCrCb).astype(int)
        part[..., 1] += 40
        rgb[y : y + 24, x : x + 24] = cv2.cvtColor(
            np.clip(part, 0, 255).astype(np.uint8), cv2.COLOR_YCrCb2RGB
        )
        return Image.fromarray(rgb)
    elif how == "date":
        draw.text((x, y), "2024-05-17", font=font, fill=(255, 170, 60), stroke_width=1, stroke_fill="black")
    elif how == "bar":
        draw.rectangle([x, y, x + 40, y + 10], fill="black")
    elif how == "moved":
        rgb[y : y + 30, x : x + 30] = rgb[y + 40 : y + 70, x + 50 : x + 80]
        return Image.fromarray(rgb)
    elif how == "stroke":
        draw.line([x, y, x + 50, y + 20], fill=(250, 250, 250), width=2)
        draw.line([x, y + 4, x + 50, y + 24], fill=(5, 5, 5), width=2)
    elif how == "watermark":
        over = Image.new("RGBA", image.size)
        ImageDraw.Draw(over).text(
            (60, 110), "SAMPLE", font=ImageFont.load_default(60), fill=(255, 255, 255, 90)
        )
        return Image.alpha_composite(image.convert("RGBA"), over).convert("RGB")
    return draw_on


CHANGES = ("spot", "square of 6 px", "faint", "colour only", "date", "bar", "moved", "stroke", "watermark")
ENCODINGS = {
    "png": lambda im: data(im, "png"),
    "quality 90": lambda im: data(im, quality=90),
    "quality 60": lambda im: data(im, quality=60),
    "webp": lambda im: data(im, "webp", quality=75),
    "three quarters": lambda im: data(im.resize((270, 202), Resampling.LANCZOS), quality=85),
    "turned": lambda im: data(im.transpose(Transpose.ROTATE_90), quality=85),
}


@pytest.mark.parametrize("how", CHANGES)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_visible_change_is_found_in_either_direction(how: str, encoding: str) -> None:
    original = picture(5)
    changed = painted(original, how)
    for kept, copy in ((original, changed), (changed, original)):
        assert proved(ENCODINGS[encoding](copy), data(kept, quality=95)).state in ("differs", "poorer-kept")


def test_the_box_is_where_the_change_is() -> None:
    original = picture(5)
    found = proved(data(painted(original, "spot"), quality=80), data(original, quality=95))
    x, y, width, height = found.boxes[0]
    assert found.state == "differs"
    assert len(found.boxes) == 1
    assert x <= PLACE[0] + 6 <= x + width
    assert y <= PLACE[1] + 6 <= y + height
    assert width < 80
    assert height < 80


def test_the_box_lies_in_the_copy_as_it_is_shown() -> None:
    original = picture(5)
    exif = Image.Exif()
    exif[0x112] = 6
    changed = painted(original, "spot").transpose(Transpose.ROTATE_90)
    x, y, width, height = proved(data(changed, quality=85, exif=exif), data(original, quality=95)).boxes[0]
    assert x <= PLACE[0] + 6 <= x + width
    assert y <= PLACE[1] + 6 <= y + height


def test_many_changes_give_sixteen_boxes_largest_first() -> None:
    original = Image.new("RGB", (800, 800), (120, 130, 140))
    changed = original.copy()
    for i in range(30):
        x, y = 40 + i % 6 * 130, 40 + i // 6 * 150
        level = 160 + 3 * i
        ImageDraw.Draw(changed).rectangle([x, y, x + 9, y + 9], fill=(level, level, level))
    found = proved(data(changed, "png"), data(original, "png"))
    assert len(found.boxes) == 16
    x, y, width, height = found.boxes[0]
    assert x <= 40 + 5 * 130 <= x + width
    assert y <= 40 + 4 * 150 <= y + height


@pytest.mark.parametrize("encoding", ["png", "quality 90", "quality 60", "webp"])
def test_another_digit_on_a_page_is_found(encoding: str) -> None:
    found = proved(ENCODINGS[encoding](page("4,127.90")), data(page(), quality=95))
    assert found.state == "differs"


@pytest.mark.parametrize("encoding", ["png", "quality 90", "quality 60"])
def test_a_page_is_explained_by_itself(encoding: str) -> None:
    assert proved(ENCODINGS[encoding](page()), data(page(), "png")).state in ("explained", "same-pixels")


def test_a_page_in_few_colours_is_explained() -> None:
    copy = data(page().quantize(16, dither=Image.Dither.NONE), "gif")
    assert proved(copy, data(page(), "png")).state == "explained"
    assert proved(data(page("4,127.90").quantize(16), "gif"), data(page(), "png")).state == "differs"


def code() -> Image.Image:
    """Of two colours, as scanners read it."""
    modules = np.random.default_rng(5).random((25, 25)) < 0.5
    rgb = np.where(modules[..., None], np.uint8(30), np.uint8(245)).repeat(3, axis=2)
    return Image.fromarray(
        np.pad(rgb.repeat(12, 0).repeat(12, 1), ((36, 36), (36, 36), (0, 0)), constant_values=245)
    )


def marked(sheet: Image.Image, how: str) -> Image.Image:
    rgb = np.array(sheet)
    if how == "highlighted":
        rgb[96:124, 60:150] = (0.75 * rgb[96:124, 60:150] + 0.25 * np.array([255, 220, 0])).astype(np.uint8)
    else:
        rgb[103, 60:78] = rgb.reshape(-1, 3).min(axis=0)
    return Image.fromarray(rgb)


@pytest.mark.parametrize("how", ["highlighted", "struck out"])
@pytest.mark.parametrize("format", ["png", "gif"])
@pytest.mark.parametrize("sheet", [code(), page()], ids=["code", "page"])
def test_what_was_marked_is_no_copy_in_few_colours(sheet: Image.Image, format: str, how: str) -> None:
    """Neither of the two explains the other: who marked it wants to keep it, and the clean one, too."""
    clean, other = data(sheet, format), data(marked(sheet, how), format)
    assert proved(other, clean).state == "differs"
    assert proved(clean, other).state == "differs"
    assert proved(clean, data(marked(sheet, how), "png")).state == "differs"
    assert proved(other, data(sheet, "png")).state == "differs"


@pytest.mark.parametrize("colors", [256, 64])
@pytest.mark.parametrize("method", [Image.Quantize.MEDIANCUT, Image.Quantize.FASTOCTREE])
def test_a_tinted_page_in_few_colours_is_explained(colors: int, method: Image.Quantize) -> None:
    sheet = page(px=18)
    tinted = Image.fromarray((np.array(sheet) * np.array([0.9, 0.95, 1.0])).astype(np.uint8))
    few = tinted.quantize(colors, method=method, dither=Image.Dither.NONE)
    assert proved(data(few, "gif"), data(tinted, "png")).state in ("explained", "same-pixels")


@pytest.mark.parametrize("format", ["png", "gif", "jpg"])
def test_another_scheme_of_colours_is_not_an_encoding(format: str) -> None:
    screens = []
    for ground, ink in (((30, 32, 40), (200, 120, 90)), ((38, 36, 34), (190, 130, 100))):
        screen = Image.new("RGB", SIZE, ground)
        for row in range(12):
            ImageDraw.Draw(screen).text((10, 6 + 20 * row), f"file {row}  {row * 91} kB  done", fill=ink)
        screens.append(screen)
    assert proved(data(screens[0], format), data(screens[1], "png")).state == "differs"


TONES = {
    "grey": lambda im: im.convert("L"),
    "few greys": lambda im: im.convert("L").quantize(16),
    "toned": lambda im: Image.merge(
        "RGB", [im.convert("L").point(lambda v, k=k: v * k) for k in (1, 0.9, 0.7)]
    ),
    "tinted": lambda im: Image.merge(
        "RGB", [b.point(lambda v, k=k: v * k) for b, k in zip(im.split(), (1, 0.9, 0.7), strict=True)]
    ),
    "negative": lambda im: ImageOps.invert(im),
}


@pytest.mark.parametrize("format", ["png", "gif", "webp", "jpg"])
@pytest.mark.parametrize("how", TONES)
@pytest.mark.parametrize("seed", [2, 3])
def test_a_picture_that_lost_its_colours_is_not_explained_by_few_colours(
    how: str, format: str, seed: int
) -> None:
    original = picture(seed, (320, 240))
    toned = TONES[how](original).convert("RGB")
    few = toned.quantize(128) if format in ("png", "gif") else toned
    assert proved(data(few, format), data(original, "png")).state != "explained"


@pytest.mark.parametrize("seed", [2, 3])
def test_lossy_pictures_of_few_colours_by_chance_have_no_palette(seed: int) -> None:
    grey = picture(seed, (320, 240)).convert("L").convert("RGB")
    assert proof_picture(data(grey, "webp", quality=80)).n_colors is None
    assert proof_picture(data(grey.quantize(16).convert("RGB"), "webp", lossless=True)).n_colors == 16


def test_a_full_stop_for_a_comma_on_a_large_page_is_found() -> None:
    size = (1654, 1200)
    kept = data(page("4,127.50", size, 28), "png")
    assert proved(data(page("4,127.50", size, 28), quality=60), kept).state == "explained"
    found = proved(data(page("4.127.50", size, 28), quality=60), kept)
    assert found.state == "differs"
    assert len(found.boxes) == 1


def captioned(text: str, px: int = 12) -> Image.Image:
    image = picture(size=(480, 320))
    draw = ImageDraw.Draw(image)
    draw.rectangle((100, 100, 100 + 10 * px, 100 + 2 * px), fill="white")
    draw.text((100 + px // 2, 100 + px // 4), text, font=ImageFont.load_default(px), fill=(20, 20, 20))
    return image


CAPTIONS = [
    ("EUR 1.000,00", "EUR 1,000.00"),
    ("12.5 mmol", "12,5 mmol"),
    ("No. 60", "No. 80"),
    ("Jan. 4", "Jan, 4"),
]
AS_SENT = {
    "webp": lambda im: data(im, "webp", quality=80),
    "quality 60": lambda im: data(im, quality=60),
    "three quarters": lambda im: data(im.resize((360, 240), Resampling.LANCZOS), quality=85),
    "half, lossless": lambda im: data(im.resize((240, 160), Resampling.LANCZOS), "png"),
}


@pytest.mark.parametrize("kept", [{"format": "png"}, {"quality": 92}], ids=["png", "quality 92"])
@pytest.mark.parametrize("how", AS_SENT)
@pytest.mark.parametrize("caption", CAPTIONS)
def test_one_small_character_is_found_in_a_caption(
    caption: tuple[str, str], how: str, kept: dict[str, object]
) -> None:
    before, after = map(captioned, caption)
    found = proved(AS_SENT[how](after), data(before, **kept))
    assert found.state == "differs"
    assert proved(AS_SENT[how](before), data(before, **kept)).state == "explained"


def test_frames_of_one_quiet_scene_with_other_noise_differ() -> None:
    quiet = np.asarray(picture(5)).astype(np.float32)
    frames = [
        Image.fromarray(
            np.clip(quiet + np.random.default_rng(seed).normal(0, 5, quiet.shape), 0, 255).astype(np.uint8)
        )
        for seed in (1, 2)
    ]
    assert proved(data(frames[0], quality=92), data(frames[1], quality=92)).state == "differs"


def test_another_picture_differs_and_is_refused_early() -> None:
    found = proved(data(picture(1)), data(picture(2)))
    assert found.state == "differs"
    assert found.boxes


def test_another_shape_differs() -> None:
    original = picture()
    assert proved(data(original.crop((0, 0, 300, 270))), data(original)).state == "differs"
    assert proved(data(original.resize((180, 270))), data(original)).state == "differs"


@pytest.mark.parametrize("lost", [1, 3, 12])
def test_a_crop_of_few_pixels_is_not_explained(lost: int) -> None:
    original = picture(5)
    box = (lost, lost, original.width - lost, original.height - lost)
    assert proved(data(original.crop(box), quality=90), data(original, quality=95)).state == "differs"


@pytest.mark.parametrize("spoil", ["enlarged", "softened", "grey", "once compressed badly"])
def test_a_poorer_kept_picture_explains_nothing(spoil: str) -> None:
    original = picture(5, (480, 360))
    small = original.resize((240, 180), Resampling.LANCZOS)
    poorer = {
        "enlarged": small.resize((720, 540), Resampling.BICUBIC),
        "softened": original.filter(ImageFilter.GaussianBlur(1.2)),
        "grey": original.convert("L").convert("RGB"),
        "once compressed badly": again(data(original, quality=8)).resize((600, 450), Resampling.BICUBIC),
    }[spoil]
    assert proved(data(original, quality=92), data(poorer, quality=97)).state in ("poorer-kept", "differs")


def test_a_turn_that_is_named_is_not_looked_for() -> None:
    original = picture()
    copy = proof_picture(data(original.transpose(Transpose.FLIP_LEFT_RIGHT), quality=85))
    kept = proof_picture(data(original, quality=95))
    assert explain(copy, kept, orientations=(1,)).state == "explained"
    assert explain(copy, kept, orientations=(0,)).state == "differs"


def test_tiles_find_what_the_whole_finds() -> None:
    big = picture(5, (1700, 1100))
    changed = big.copy()
    for x, y in ((3, 3), (1690, 5), (850, 550), (4, 1090)):
        ImageDraw.Draw(changed).rectangle([x, y, x + 7, y + 7], fill=(255, 0, 255))
    found = proved(data(changed, quality=85), data(big, quality=95))
    assert found.state == "differs"
    assert len(found.boxes) == 4
    assert proved(data(big, quality=70), data(big, quality=95)).state == "explained"


@pytest.mark.parametrize("size", [(1, 1), (7, 20), (9, 9), (16, 200), (33, 17)])
def test_tiny_pictures_are_decided(size: tuple[int, int]) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    same = explain(ProofPicture(rgb, "png"), ProofPicture(rgb.copy(), "png"))
    other = explain(ProofPicture(255 - rgb, "png"), ProofPicture(rgb, "png"))
    assert same.state == "same-pixels"
    assert other.state == "differs"


@pytest.mark.parametrize("value", [0, 128, 255])
def test_flat_pictures_are_told_apart_by_their_level(value: int) -> None:
    flat = np.full((90, 120, 3), value, np.uint8)
    near = np.full((90, 120, 3), value + (1 if value < 255 else -1), np.uint8)
    far = np.full((90, 120, 3), value + (20 if value < 200 else -20), np.uint8)
    assert explain(ProofPicture(near, "png"), ProofPicture(flat, "png")).state == "explained"
    assert explain(ProofPicture(far, "png"), ProofPicture(flat, "png")).state == "differs"


def tool(side: int, head: tuple[int, int, int]) -> Image.Image:
    """A tool of a game, drawn in single pixels: a handle across, and a head in shades of one colour."""
    rng = np.random.default_rng(5)
    rgb = np.full((16, 16, 3), 255, np.uint8)
    for k in range(3, 13):
        rgb[k, 14 - k : 16 - k] = np.array([110, 74, 32]) - rng.integers(0, 50)
    for y, x in [(y, x) for y in range(1, 8) for x in range(6, 15) if 12 < x + y < 18]:
        rgb[y, x] = np.clip(np.array(head) - rng.integers(0, 70), 0, 255)
    return Image.fromarray(rgb).resize((side, side), Resampling.NEAREST)


@pytest.mark.parametrize("side", [16, 32, 64])
@pytest.mark.parametrize("encoding", ["lossless", "quality 95", "half, lossless"])
def test_a_small_picture_in_another_colour_is_not_explained(side: int, encoding: str) -> None:
    kept = data(tool(side, (90, 220, 215)), "png")
    for head in ((240, 140, 60), (130, 200, 180)):
        other = tool(side, head)
        if encoding == "half, lossless":
            copy = data(other.resize((side // 2, side // 2), Resampling.BOX), "png")
        else:
            copy = TRUE_COPIES[encoding](other)
        assert proved(copy, kept).state in ("differs", "poorer-kept"), head


@pytest.mark.parametrize("tint", [(8, 0, -8), (-8, 0, 8), (8, -4, 0)])
def test_a_tint_is_found_where_colour_is_stored_small(tint: tuple[int, int, int]) -> None:
    kept = data(picture(size=(640, 480)), quality=95)
    pixels = np.asarray(picture(size=(640, 480))).astype(int)
    tinted = Image.fromarray(np.clip(pixels + tint, 0, 255).astype(np.uint8))
    half = {
        name: im.resize((320, 240), Resampling.LANCZOS) for name, im in (("", again(kept)), ("tint", tinted))
    }
    assert proved(data(half[""], quality=75), kept).state == "explained"
    assert proved(data(half["tint"], quality=75), kept).state == "differs"


@pytest.mark.parametrize("side", [16, 32, 64])
def test_copies_of_a_small_picture_are_explained(side: int) -> None:
    original = tool(side, (90, 220, 215))
    copies = [
        data(original.resize((side // 2, side // 2), method), "png")
        for method in (Resampling.BOX, Resampling.BILINEAR, Resampling.LANCZOS)
    ]
    copies += [data(original.quantize(24).convert("RGB"), "png")]
    for copy in copies:
        assert proved(copy, data(original, "png")).state == "explained"
