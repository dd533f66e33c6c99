"""What a quantisation to few colours would have made of a picture, from the copy's own colours."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.types import Box

    Pixels = NDArray[np.uint8]

_SAMPLED_PIXELS = 200_000
_LEAST_OF_COLOR = 40
_INNER_SHARE = 0.04
_SLACK, _OF_SPREAD = 2.0, 1.5
"""Grey levels that a colour may lie off what it stands for, and share of the range that it stands for."""
_MOST_REACH, _ROUNDED = 6.0, 1.0
"""What an encoder may move a colour by unseen; more is explained by the nearest colour alone."""
_MOST_WORSE, _HARDLY, _GREY = 2.5, 0.5, 8
"""Times what the best colours leave, in grey levels. Of 14 photographs and icons in six palettes all but two
stayed below 1.6 times (an octree's, at 2.8); toned, tinted and negative ones were at 3.6 and above.
Tried on drawn scenes in five tones and four formats (its tests)."""
_FLAT_PX, _FLAT_RANGE, _FLAT_OFF, _FLAT_SQUARES = 4, 8, 24.0, 4
"""Side of a square; levels that it may have in each channel to be of one colour; levels by which the copy's
may be off; how many squares must be. Chosen by hand on a highlighted code. Of 744 copies of photographs,
drawings, pages and forms in 16, 64 and 256 colours, 2 fewer are explained."""
_EQUAL_SHARE = 0.85
"""Of the pixels that are not flat, that a palette with room for nearly all colours leaves as they were. By
hand on drawn pages in 256 colours (0.91 and more of what is drawn); tried on the 744 copies."""
_MARKED, _NECESSARY, _LEAST_MARKED = 24, 2, 3
"""Grey levels that a colour may be off, and times what the nearest of the palette is, where that is so; and
how many pixels are a mark. By hand: of 86 such copies of pages, drawings and icons no three pixels were off
by more than twice the nearest."""
_ROUGHER = 1.2
_LEAST_DETERMINED = 0.6
"""Share of pixels that get the color their neighbours in color get, where nothing was dithered."""


def explained_by_palette(kept: Pixels, copy: Pixels) -> tuple[tuple[Pixels, ...], bool]:
    """Pictures that an encoder with the colours of `copy` (at most 256) may have made of `kept`.

    The nearest colours; the error diffused, as Floyd and Steinberg do; and, unless the copy was dithered,
    whatever an encoder made of a colour elsewhere in this picture: quantisers do not all take the nearest.

    A palette that was made for other colours, grey or toned ones say, is no encoder's and explains nothing.

    Returns
    -------
    pictures : tuple of (H, W, 3) uint8
    is_dithered : bool
    """
    if not is_made_for(kept, copy) or not keeps_flat_colors(kept, copy):
        return (), False
    packed = _packed(copy)
    colors, names = np.unique(packed, return_inverse=True)
    names = names.reshape(packed.shape)
    triples = _unpacked(colors)
    picture, palette = Image.fromarray(kept), _palette(triples)
    found = [
        np.asarray(picture.quantize(palette=palette, dither=method).convert("RGB"))
        for method in (Image.Dither.NONE, Image.Dither.FLOYDSTEINBERG)
    ]
    shift = _shifts(kept.reshape(-1, 3), names.ravel(), triples)[names]
    dithered = is_dithered(kept, names) and _roughness(copy) > _ROUGHER * _roughness(kept)
    if not dithered:
        low, high = _ranges(kept.reshape(-1, 3), names.ravel(), triples)
        outside = kept - np.clip(kept.astype(np.float32), low[names], high[names])
        found.append(np.clip(copy + outside + 0.5, 0, 255).astype(np.uint8))
    # A colour that stands for another one throughout is no encoder's choice: another scheme of colours.
    shown = (np.clip(picture - shift + 0.5, 0, 255).astype(np.uint8) for picture in found)
    return tuple(shown), dithered


def is_made_for(kept: Pixels, copy: Pixels) -> bool:
    """Whether the few colours of `copy` show `kept` about as well as its own best ones would.

    Asked of means of 4 x 4 pixels, in which dithering is gone: of luma, and of both chromas.
    """
    step = 1 + int((kept.shape[0] * kept.shape[1] / _SAMPLED_PIXELS) ** 0.5)
    kept, copy = (np.ascontiguousarray(a[::step, ::step]) for a in (kept, copy))
    colors = np.unique(copy.reshape(-1, 3), axis=0)
    own = np.asarray(Image.fromarray(kept).quantize(len(colors)).convert("RGB"))
    possible = _seen_from_afar(kept, own)
    if int((colors.max(1) - colors.min(1)).max()) <= _GREY:
        possible[1:] = 0  # greys are no choice among few colours: the colour was taken away
    return bool((_seen_from_afar(kept, copy) <= _MOST_WORSE * (possible + _HARDLY)).all())


def marks_in_palette(kept: Pixels, copy: Pixels) -> list[Box]:
    """Where `copy` has a colour that none of its own makes necessary, if nearly all others are as in `kept`.

    A quantiser that has room for nearly all colours moves the others a little. A line through a word is of a
    colour that it had for the word, on paper that it had the colour of.

    Returns
    -------
    list of (x, y, width, height)
        The largest first; none where other colours were changed as well, by few colours or by resampling.
    """
    if not _keeps_colors(kept, copy):
        return []
    palette = _palette(_unpacked(np.unique(_packed(copy))))
    nearest = np.asarray(
        Image.fromarray(kept).quantize(palette=palette, dither=Image.Dither.NONE).convert("RGB")
    )
    off, necessary = (cv2.absdiff(kept, shown).max(axis=2).astype(np.int16) for shown in (copy, nearest))
    marked = (off > _MARKED + _NECESSARY * necessary).astype(np.uint8)
    if int(marked.sum()) < _LEAST_MARKED:
        return []
    _, _, found, _ = cv2.connectedComponentsWithStats(cv2.dilate(marked, np.ones((5, 5), np.uint8)))
    boxes = sorted(found[1:].tolist(), key=lambda box: -box[4])
    return [(x, y, width, height) for x, y, width, height, _ in boxes]


def _keeps_colors(kept: Pixels, copy: Pixels) -> bool:
    """Whether nearly all that is not flat in `kept` has the very same colours in `copy`."""
    gray = cv2.cvtColor(kept, cv2.COLOR_RGB2GRAY)
    square = np.ones((3, 3), np.uint8)
    is_drawn = cv2.dilate(gray, square) > cv2.erode(gray, square)
    equal = (kept == copy).all(axis=2)[is_drawn]
    return bool(len(equal) and equal.mean() >= _EQUAL_SHARE)


def keeps_flat_colors(kept: Pixels, copy: Pixels) -> bool:
    """Whether what is of one colour in `kept` has about that colour in `copy`, wherever it lies.

    Few colours can not show where something was marked with one more: to the nearest of black and white, a
    page that was highlighted is the page as it was before.
    """
    low, high = (_of_squares(kept, reduce) for reduce in (np.min, np.max))
    is_flat = (high.astype(np.int16) - low).max(axis=2) <= _FLAT_RANGE
    off = np.abs(_of_squares(kept, np.mean)[is_flat] - _of_squares(copy, np.mean)[is_flat])
    return int((off.max(axis=1, initial=0.0) > _FLAT_OFF).sum()) < _FLAT_SQUARES


def _of_squares(rgb: Pixels, reduce: Callable[..., Any]) -> NDArray[Any]:
    """Least, mean or most of each channel over squares of `_FLAT_PX`, (rows, columns, 3)."""
    height, width = (n // _FLAT_PX * _FLAT_PX for n in rgb.shape[:2])
    cells = rgb[:height, :width].reshape(height // _FLAT_PX, _FLAT_PX, width // _FLAT_PX, _FLAT_PX, 3)
    return np.asarray(reduce(cells, axis=(1, 3)))


def _seen_from_afar(a: Pixels, b: Pixels) -> NDArray[np.float32]:
    """Root mean square of the difference of luma and both chromas, in grey levels: (3,)."""
    size = max(1, a.shape[1] // 4), max(1, a.shape[0] // 4)
    small = [
        cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb), size, interpolation=cv2.INTER_AREA)
        for rgb in (a, b)
    ]
    difference = np.subtract(*small, dtype=np.float32)
    return np.asarray(np.sqrt((difference**2).mean((0, 1))), np.float32)


def _roughness(rgb: Pixels) -> float:
    """Mean square of the difference between neighbours: dithering adds to it."""
    step = 1 + rgb.shape[0] // 512
    rows = rgb[::step].astype(np.float32)
    return float(np.mean(np.diff(rows, axis=1) ** 2))


def _packed(rgb: Pixels) -> NDArray[np.uint32]:
    wide = rgb.astype(np.uint32)
    return np.asarray(wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2], np.uint32)


def _unpacked(colors: NDArray[np.uint32]) -> Pixels:
    """Colours of `_packed`, (n,), as (n, 3) uint8."""
    return np.stack([colors >> 16, colors >> 8 & 255, colors & 255], axis=1).astype(np.uint8)


def _palette(triples: Pixels) -> Image.Image:
    palette = Image.new("P", (1, 1))
    rest = np.repeat(triples[-1:], 256 - len(triples), axis=0)
    palette.putpalette(np.concatenate([triples, rest]).tobytes())
    return palette


def is_dithered(kept: Pixels, names: NDArray[np.intp]) -> bool:
    """Whether like colours of `kept` became different colours of the copy (`names`: (H, W) its palette's)."""
    step = 1 + names.size // _SAMPLED_PIXELS
    like = _packed(kept.reshape(-1, 3)[::step] & np.uint8(0xF8)).astype(np.int64)
    pairs, counts = np.unique(like << 8 | names.ravel()[::step], return_counts=True)
    groups = pairs >> 8
    starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    return float(np.maximum.reduceat(counts, starts).sum() / counts.sum()) < _LEAST_DETERMINED


def _shifts(kept: Pixels, names: NDArray[np.intp], triples: Pixels) -> NDArray[np.float32]:
    """By colour of the copy, how far it lies from the typical one of `kept` there: (n, 3), 0 if near."""
    step = 1 + len(names) // _SAMPLED_PIXELS
    kept, names = kept[::step], names[::step]
    order = np.argsort(names, kind="stable")
    bounds = np.searchsorted(names[order], np.arange(len(triples) + 1))
    shift = np.zeros((len(triples), 3), np.float32)
    for i, (start, stop) in enumerate(pairwise(bounds)):
        if stop - start:
            low, middle, high = np.quantile(kept[order[start:stop]], (0.25, 0.5, 0.75), axis=0)
            found = triples[i] - middle
            shift[i] = np.where(np.abs(found) > _SLACK + _OF_SPREAD * (high - low), found, 0)
    return shift


def _ranges(
    kept: Pixels, names: NDArray[np.intp], triples: Pixels
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """By colour of the copy, least and most of each channel of `kept` there: (n, 3) twice.

    Without the outermost shares, so that a change in a few places does not explain itself.
    """
    center = triples.astype(np.float32)
    step = 1 + len(names) // _SAMPLED_PIXELS
    kept, names = kept[::step], names[::step]
    order = np.argsort(names, kind="stable")
    bounds = np.searchsorted(names[order], np.arange(len(triples) + 1))
    low, high = center.copy(), center.copy()
    reaches = []
    for i, (start, stop) in enumerate(pairwise(bounds)):
        if stop - start < _LEAST_OF_COLOR:
            continue
        low[i], high[i] = np.quantile(kept[order[start:stop]], (_INNER_SHARE, 1 - _INNER_SHARE), axis=0)
        reaches.append(np.maximum(center[i] - low[i], high[i] - center[i]))
    usual = np.clip(np.median(reaches, axis=0) if reaches else np.zeros(3), 0, _MOST_REACH)
    rare = np.diff(bounds) < _LEAST_OF_COLOR
    low[rare], high[rare] = center[rare] - usual, center[rare] + usual
    low = np.maximum(np.minimum(low, center) - _ROUNDED, center - _MOST_REACH)
    high = np.minimum(np.maximum(high, center) + _ROUNDED, center + _MOST_REACH)
    return low.astype(np.float32), high.astype(np.float32)
