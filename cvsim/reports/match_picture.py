"""Two pictures side by side, what of them lies over each other, and what the score is made of."""

from __future__ import annotations

import colorsys
import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageDraw

from cvsim.errors import UsageError
from cvsim.features.overlay.outlines import clipped
from cvsim.reports import explanation
from cvsim.reports.explanation import WaterfallStep
from cvsim.reports.lettering import Font, drawable, font, shortened
from cvsim.reports.matches import mapped, n_agreeing, overlap_matrix
from cvsim.reports.wording import dimensions, percent, quantity
from cvsim.types import Box, ScoredPair

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.reports.matches import DrawnMatches, Matrix, Points
    from cvsim.types import RGB

PICTURE_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
WIDTH_PX = 1100
FRAME_PX = 20
GAP_PX = 20
MAX_HEIGHT_PX = 440
MAX_ENLARGED = 4.0
STACKED_GAIN = 2.2
"""Two wide pictures stand above each other where that shows them so much larger."""
MAX_LINES = 50
CAPTION_PX, SENTENCES_PX = 34, 66
"""Heights of a picture's name and of what is said about the two."""
ROW_PX = 26
LABEL_PX, ALIKE_PX, WEIGHT_PX = 190, 60, 80
"""Widths of the columns of the waterfall, besides its bars."""

INK, PALE, PAPER, TRACK = (28, 30, 34), (110, 114, 120), (255, 255, 255), (240, 241, 243)
FOR, AGAINST, NEITHER = (34, 139, 84), (200, 62, 48), (150, 154, 160)


@dataclass(frozen=True, eq=False)
class Shown:
    """One of the two pictures.

    Attributes
    ----------
    rgb : (h, w, 3) uint8
    name : str
    width_px, height_px : int
        Full size.
    """

    rgb: RGB
    name: str
    width_px: int
    height_px: int


def picture_format(path: str | os.PathLike[str]) -> str:
    """``"PNG"`` or ``"JPEG"``, by the path's suffix.

    Raises
    ------
    UsageError
        Another suffix.
    """
    suffix = os.path.splitext(os.fspath(path))[1]
    if suffix.lower() not in PICTURE_FORMATS:
        raise UsageError(f"{os.fspath(path)!r} must end in {' or '.join(PICTURE_FORMATS)}")
    return PICTURE_FORMATS[suffix.lower()]


def match_picture(
    pair: ScoredPair,
    a: Shown,
    b: Shown,
    matches: DrawnMatches | None,
    threshold: float,
    *,
    format: str = "PNG",
) -> bytes:
    """Draw a compared pair.

    Parameters
    ----------
    pair : ScoredPair
        With the details of its comparisons: the overlap is outlined from them.
    a, b : Shown
    matches : DrawnMatches or None
        None where keypoints are not among the signals.
    threshold : float
    format : "PNG" or "JPEG"

    Returns
    -------
    bytes
        The picture, 1,100 pixels wide.
    """
    panels, bottom = _arranged(a.rgb, b.rgb)
    steps = explanation.waterfall(pair)
    first_row = bottom + SENTENCES_PX
    sheet = np.full((first_row + (len(steps) + 2) * ROW_PX + FRAME_PX, WIDTH_PX, 3), PAPER, np.uint8)
    _draw_pictures(sheet, pair, (a.rgb, b.rgb), panels, matches)
    if pair.proof is not None and pair.copy is not None:
        side = "ab".index(pair.copy)
        _draw_boxes(sheet, pair.proof.boxes, (a, b)[side], panels[side])
    canvas = Image.fromarray(sheet)
    pen = ImageDraw.Draw(canvas)
    for letter, shown, panel in zip("ab", (a, b), panels, strict=True):
        _draw_name(pen, letter, shown, panel)
    _draw_sentences(pen, pair, matches, threshold, bottom + 6)
    _draw_waterfall(pen, steps, threshold, first_row)
    stream = io.BytesIO()
    canvas.save(stream, format, **({"quality": 92} if format == "JPEG" else {"optimize": True}))
    return stream.getvalue()


# --- where things go --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Panel:
    """Where a picture and its name are drawn, in pixels."""

    left: int
    top: int
    width: int
    height: int
    name_left: int
    name_top: int
    name_width: int

    def places(self, shares: Points) -> Points:
        """(n, 2) shares of the picture as pixels of the sheet."""
        return shares * (self.width, self.height) + (self.left, self.top)


def _arranged(a: RGB, b: RGB) -> tuple[tuple[_Panel, _Panel], int]:
    """The two panels, and how far down they reach."""
    whole = WIDTH_PX - 2 * FRAME_PX
    half = (whole - GAP_PX) // 2
    beside = [_fitted(rgb, half) for rgb in (a, b)]
    stacked = [_fitted(rgb, whole) for rgb in (a, b)]
    if sum(w * h for w, h in stacked) > STACKED_GAIN * sum(w * h for w, h in beside):
        first = _panel(stacked[0], FRAME_PX, FRAME_PX, whole, stacked[0][1])
        top = first.name_top + CAPTION_PX
        second = _panel(stacked[1], FRAME_PX, top, whole, stacked[1][1])
    else:
        height = max(h for _, h in beside)
        first = _panel(beside[0], FRAME_PX, FRAME_PX, half, height)
        second = _panel(beside[1], FRAME_PX + half + GAP_PX, FRAME_PX, half, height)
    return (first, second), second.name_top + CAPTION_PX


def _fitted(rgb: RGB, width_px: int) -> tuple[int, int]:
    height, width = rgb.shape[:2]
    scale = min(width_px / width, MAX_HEIGHT_PX / height, MAX_ENLARGED)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _panel(size: tuple[int, int], left: int, top: int, width: int, height: int) -> _Panel:
    """A picture of this size in the middle of a place, its name below the place."""
    x, y = left + (width - size[0]) // 2, top + (height - size[1]) // 2
    return _Panel(x, y, *size, left, top + height + 6, width)


# --- the pictures -----------------------------------------------------------------------------------------


def _draw_pictures(
    sheet: RGB,
    pair: ScoredPair,
    pictures: tuple[RGB, RGB],
    panels: tuple[_Panel, _Panel],
    matches: DrawnMatches | None,
) -> None:
    matrix = overlap_matrix(pair)
    areas = None if matrix is None else _overlap(matrix)
    agrees = _weight_of_overlap(pair) > 0
    for side, (rgb, panel) in enumerate(zip(pictures, panels, strict=True)):
        shrinks = panel.width < rgb.shape[1]
        how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        shown = cv2.resize(rgb, (panel.width, panel.height), interpolation=how)
        view = sheet[panel.top : panel.top + panel.height, panel.left : panel.left + panel.width]
        view[:] = shown if areas is None or not agrees else _with_pale_outside(shown, areas[side])
    if areas is not None:
        for area, panel in zip(areas, panels, strict=True):
            _outline(sheet, panel.places(area), FOR if agrees else AGAINST)
    if matches is not None and len(matches):
        _draw_lines(sheet, panels[0].places(matches.a), panels[1].places(matches.b))


def _overlap(matrix: Matrix) -> tuple[Points, Points] | None:
    """What of `a` and what of `b` lies over the other, as convex polygons in shares of each."""
    unit = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)
    common = clipped(mapped(matrix, unit), (0, 0, 1, 1))
    if len(common) < 3:
        return None
    in_b = np.array(common, np.float64)
    in_a = (in_b - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    return in_a.clip(0, 1), in_b.clip(0, 1)


def _weight_of_overlap(pair: ScoredPair) -> float:
    """What the pixels that lie over each other add to the score; the prior aside, equal files are alike."""
    if pair.relation in ("identical-file", "identical-pixels"):
        return 1.0
    return next((c.weight for c in pair.comparisons if "matrix" in c.detail), 0.0)


def _with_pale_outside(shown: RGB, area: Points) -> RGB:
    height, width = shown.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.round(area * (width - 1, height - 1)).astype(np.int32)], 255, cv2.LINE_AA)
    inside = mask[..., None].astype(np.float32) / 255
    pale = 0.35 * shown + 0.65 * 255
    return np.round(inside * shown + (1 - inside) * pale).astype(np.uint8)


_SUBPIXEL_BITS = 4
"""OpenCV draws at fractions of a pixel when places are given in these."""


def _fixed(points: Points) -> NDArray[np.int32]:
    return np.round(points * (1 << _SUBPIXEL_BITS)).astype(np.int32)


def _outline(sheet: RGB, polygon: Points, colour: tuple[int, int, int]) -> None:
    for paint, thickness in ((PAPER, 5), (colour, 2)):
        cv2.polylines(sheet, [_fixed(polygon)], True, paint, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)


def _draw_boxes(sheet: RGB, boxes: Sequence[Box], shown: Shown, panel: _Panel) -> None:
    """Where one of the two shows something that the other does not."""
    for x, y, width, height in boxes:
        corners = np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], np.float64)
        _outline(sheet, panel.places(corners / (shown.width_px, shown.height_px)), AGAINST)


def _draw_lines(sheet: RGB, a: Points, b: Points) -> None:
    """A line for each match, or for some of many; all their ends."""
    order = np.lexsort((a[:, 0], a[:, 1]))
    drawn = order[np.linspace(0, len(order) - 1, min(len(order), MAX_LINES)).round().astype(int)]
    colours = {int(k): _hue(rank / max(len(drawn), 1)) for rank, k in enumerate(drawn)}
    layer = sheet.copy()
    for k, colour in colours.items():
        ends = _fixed(np.stack([a[k], b[k]]))
        cv2.line(layer, ends[0].tolist(), ends[1].tolist(), colour, 1, cv2.LINE_AA, _SUBPIXEL_BITS)
    sheet[:] = cv2.addWeighted(layer, 0.8, sheet, 0.2, 0)
    for k in order.tolist():
        for end in (a[k], b[k]):
            (place,) = _fixed(end[None]).tolist()
            cv2.circle(sheet, place, 4 << _SUBPIXEL_BITS, PAPER, -1, cv2.LINE_AA, _SUBPIXEL_BITS)
            colour = colours.get(k, NEITHER)
            cv2.circle(sheet, place, 3 << _SUBPIXEL_BITS, colour, -1, cv2.LINE_AA, _SUBPIXEL_BITS)


def _hue(share: float) -> tuple[int, int, int]:
    """Colours from red by green to violet, told apart on light and dark."""
    return tuple(round(255 * c) for c in colorsys.hsv_to_rgb(0.83 * share, 0.85, 0.9))  # type: ignore[return-value]


# --- the words --------------------------------------------------------------------------------------------


def _draw_name(pen: ImageDraw.ImageDraw, letter: str, shown: Shown, panel: _Panel) -> None:
    bold, regular = font(15, bold=True), font(15)
    size = dimensions(shown.width_px, shown.height_px)
    x, y = panel.name_left, panel.name_top
    pen.text((x, y), letter, INK, bold)
    name_width = panel.name_width - 20 - regular.getlength(size) - 16
    name = shortened(drawable(shown.name, regular), regular, name_width)
    pen.text((x + 20, y), name, INK, regular)
    pen.text((x + 20 + (regular.getlength(name) + 16 if name else 0), y), size, PALE, regular)


def _draw_sentences(
    pen: ImageDraw.ImageDraw, pair: ScoredPair, matches: DrawnMatches | None, threshold: float, top: int
) -> None:
    certainty, meaning = explanation.verdict(pair, threshold)
    for size_px in range(18, 9, -1):
        bold, plain = font(size_px, bold=True), font(size_px)
        begin = FRAME_PX + bold.getlength(certainty)
        if begin + plain.getlength(meaning) <= WIDTH_PX - FRAME_PX:
            break
    pen.text((FRAME_PX, top), certainty, FOR if pair.score >= threshold else INK, bold)
    pen.text((begin, top), meaning, INK, plain)
    pen.text((FRAME_PX, top + 28), _about_keypoints(pair, matches), PALE, font(15))


def _about_keypoints(pair: ScoredPair, matches: DrawnMatches | None) -> str:
    if matches is None:
        return "Keypoints are not among the signals in use."
    if not len(matches):
        if _weight_of_overlap(pair) > 0:
            return "No keypoints agree; the outlines show how the pictures lie over each other."
        return "No keypoints agree on how one picture would lie over the other."
    n_counted = max(n_agreeing(pair) or 0, len(matches))
    agreeing = quantity(n_counted, "keypoint agrees", "keypoints agree")
    but = ", but the pixels there differ" if _weight_of_overlap(pair) < 0 else ""
    n_lines = min(len(matches), MAX_LINES)
    some = f"; lines for {n_lines} of them" if n_lines < n_counted else ""
    return f"{agreeing} on how the pictures lie over each other{but}{some}."


# --- the waterfall ----------------------------------------------------------------------------------------


def _draw_waterfall(
    pen: ImageDraw.ImageDraw, steps: tuple[WaterfallStep, ...], threshold: float, top: int
) -> None:
    """A row for the prior and for each signal, from where the one before it ended; their sum below."""
    line = _log_odds(threshold)
    low, high = explanation.span(steps)
    low, high = (low, high) if line is None else (min(low, line), max(high, line))
    left = FRAME_PX + LABEL_PX + ALIKE_PX
    right = WIDTH_PX - FRAME_PX - WEIGHT_PX

    def place(log_odds: float) -> float:
        return left + (min(max(log_odds, low), high) - low) / ((high - low) or 1.0) * (right - left)

    small, regular, bold = font(13), font(15), font(15, bold=True)
    _row(pen, top, ("signal", "alike", "log-odds"), (PALE, PALE, PALE), small)
    for k, step in enumerate(steps):
        y = top + (k + 1) * ROW_PX
        pen.rectangle((left, y + 3, right, y + ROW_PX - 5), TRACK)
        colour = NEITHER if k == 0 else FOR if step.weight >= 0 else AGAINST
        x0, x1 = sorted((place(step.start), place(step.end)))
        if step.weight:
            pen.rectangle((x0, y + 3, max(x1, x0 + 1), y + ROW_PX - 5), colour)
        label = shortened(drawable(step.label, regular), regular, LABEL_PX)
        name = "before any evidence" if k == 0 else label
        alike = "" if k == 0 else "none" if step.similarity is None else f"{step.similarity:.2f}"
        _row(pen, y, (name, alike, f"{step.weight:+.2f}"), (INK, PALE, INK), regular)
    bottom = top + (len(steps) + 1) * ROW_PX
    _row(pen, bottom, ("sum", "", f"{steps[-1].end:+.2f}"), (INK, INK, INK), bold)
    if line is not None:
        x, text = place(line), f"linked from {percent(threshold)}"
        pen.line((x, top + ROW_PX, x, bottom + 2), INK, 1)
        half = small.getlength(text) / 2
        pen.text((min(max(x, left + half), right - half) - half, bottom + 5), text, PALE, small)


def _row(
    pen: ImageDraw.ImageDraw,
    top: int,
    cells: tuple[str, str, str],
    colours: tuple[tuple[int, int, int], ...],
    letters: Font,
) -> None:
    """Label, similarity and weight of a row; the last two end where their columns do."""
    pen.text((FRAME_PX, top + 2), cells[0], colours[0], letters)
    for text, colour, right in (
        (cells[1], colours[1], FRAME_PX + LABEL_PX + ALIKE_PX - 14),
        (cells[2], colours[2], WIDTH_PX - FRAME_PX),
    ):
        pen.text((right - letters.getlength(text), top + 2), text, colour, letters)


def _log_odds(probability: float) -> float | None:
    """None where it is infinite: a threshold of 0 or 1 has no place among the bars."""
    return math.log(probability / (1 - probability)) if 0 < probability < 1 else None
