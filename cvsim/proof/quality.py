"""How good one picture is at full resolution, whatever it shows: enlarged, once badly compressed, softened.

A copy can have more pixels and more bytes than what it was made from. These measures are of one picture
each and cheap (a few windows are looked at), so that they can be kept with it; `is_poorer` compares two
pictures of one content.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cvsim.proof.grids import FILTERS, find_orientation, luma, turned

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.proof.picture import ProofPicture

    Pixels = NDArray[np.uint8]
    Plane = NDArray[np.float32]

_WINDOW_PX, _MOST_WINDOWS = 256, 9
_LEAST_CONTRAST = 3.0
_NOISE_POWER = 0.08
"""Power a coefficient of the rounding to whole grey levels."""
# Chosen on photographs of metadata-extractor-images, enlarged, softened, sharpened and compressed.
_CLEARLY, _LITTLE_FINER = 0.85, 0.92
_SOFT, _VERY_SOFT = 0.7, 0.25
_MORE_BLOCKY, _MUCH_MORE_BLOCKY = 0.15, 0.5
_GRAY, _COLORED = 1.5, 3.0


@dataclass(frozen=True, slots=True)
class Quality:
    """Measures of one picture.

    Attributes
    ----------
    width_px, height_px : int
    resolution : float
        Share of its own grid's bandwidth that it uses, in [0, 1]: about 0.5 if it was enlarged to twice its
        size, and less than 1 for a soft photograph, too.
    effective_px : float
        Pixels that would hold as much: width x height x resolution squared.
    blockiness : float
        Steps across the borders of blocks of 8 pixels over those elsewhere, less 1, on whatever of the grids
        shows most: 0 is none. What was once compressed badly keeps them unless it was
        resampled.
    halos : float
        Share of edges that overshoot on both sides, as sharpening leaves them; texture has some, too.
    color : float
        Root mean square of both chromas about grey, in grey levels: below 1.5 it is a grey picture.
    """

    width_px: int
    height_px: int
    resolution: float
    blockiness: float
    halos: float
    color: float

    @property
    def effective_px(self) -> float:
        """Pixels that would hold as much."""
        return self.width_px * self.height_px * self.resolution**2


def quality_of(rgb: Pixels) -> Quality:
    """Measure a picture, (H, W, 3) uint8 at full resolution."""
    h, w = rgb.shape[:2]
    windows = [luma(window).astype(np.float32) for window in _windows(rgb)]
    resolutions = [r for r in map(_used_bandwidth, windows) if r is not None]
    small = cv2.resize(rgb, (min(w, 256), min(h, 256)), interpolation=cv2.INTER_AREA)
    chroma = cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb)[..., 1:].astype(np.float32) - 128
    return Quality(
        w,
        h,
        float(np.quantile(resolutions, 0.75)) if resolutions else 1.0,
        float(np.median([_blockiness(window) for window in windows])),
        float(np.median([_halos(window) for window in windows])),
        float(np.sqrt(np.mean(chroma**2))),
    )


def _windows(rgb: Pixels) -> list[Pixels]:
    """Windows spread over the picture, their corners on the grid of blocks."""
    h, w = rgb.shape[:2]
    side_h, side_w = min(h, _WINDOW_PX), min(w, _WINDOW_PX)
    n_rows, n_columns = (min(3, -(-side // _WINDOW_PX)) for side in (h, w))
    found = []
    for i in range(n_rows):
        for j in range(n_columns):
            y = (h - side_h) * (2 * i + 1) // (2 * n_rows) // 8 * 8
            x = (w - side_w) * (2 * j + 1) // (2 * n_columns) // 8 * 8
            found.append(rgb[y : y + side_h, x : x + side_w])
    return found[:_MOST_WINDOWS]


def _used_bandwidth(plane: Plane) -> float | None:
    """Share of the highest frequency up to which power stands out of what lies beyond; None if it is flat.

    An enlarged picture has next to no power beyond the grid that it came from.
    """
    side = min(plane.shape)
    if side < 32 or float(plane.std()) < _LEAST_CONTRAST:
        return None
    square = plane[:side, :side] - plane[:side, :side].mean()
    taper = np.hanning(side).astype(np.float32)
    power = np.abs(np.fft.rfft2(square * taper[:, None] * taper[None])) ** 2 / (taper**2).sum() ** 2
    down = np.abs(np.fft.fftfreq(side))[:, None] * 2
    across = np.abs(np.fft.rfftfreq(side))[None] * 2
    ring = np.minimum((np.maximum(down, across) * 24).astype(int), 24)
    total = np.bincount(ring.ravel(), power.ravel(), 25)
    mean = total / np.maximum(np.bincount(ring.ravel(), minlength=25), 1)
    floor = max(_NOISE_POWER, 3 * float(mean[22:25].min()))
    above = np.flatnonzero(mean[:24] > floor)
    return 1.0 if not len(above) else float(min(1.0, (above[-1] + 1) / 24))


def _blockiness(plane: Plane) -> float:
    """Steps across the most prominent of the eight phases of a grid of 8, over the others, less 1."""
    found = []
    for steps in (np.abs(np.diff(plane, axis=1)), np.abs(np.diff(plane, axis=0)).T):
        n = steps.shape[1] // 8 * 8
        if n == 0:
            return 0.0
        # Capped: strong edges of the picture are no steps of the grid, wherever they lie.
        phases = np.minimum(steps[:, :n], 12).reshape(steps.shape[0], -1, 8).mean((0, 1))
        rest = (phases.sum() - phases.max()) / 7
        found.append(float(phases.max() / max(rest, 0.1)) - 1)
    return min(found)


def _halos(plane: Plane) -> float:
    """Share of edges beside which the dark side is darker, and the bright one brighter, than further off."""
    shares = []
    for along in (plane, plane.T):
        smooth = cv2.GaussianBlur(np.ascontiguousarray(along), (1, 5), 0)
        step = smooth[:, 5:-4] - smooth[:, 4:-5]
        n = step.shape[1]
        if n <= 0:
            continue
        strong = np.abs(step) > 20
        sign = np.sign(step)
        near_low, far_low = (smooth[:, 3 - i : 3 - i + n] for i in (0, 3))
        near_high, far_high = (smooth[:, 6 + i : 6 + i + n] for i in (0, 3))
        overshoots = (sign * (near_high - far_high) > 6) & (sign * (far_low - near_low) > 6)
        shares.append(float(overshoots[strong].mean()) if strong.any() else 0.0)
    return float(np.mean(shares)) if shares else 0.0


def is_poorer(kept: ProofPicture, copy: ProofPicture) -> bool:
    """Whether `kept` is clearly the poorer one of two pictures of one content, whatever its pixels and bytes.

    It is poorer if it was enlarged, shows blocks of a compression that the other one does not have, was
    softened very much, or is grey where the other one has colour. At most one order of two is true. Of two
    pictures of one size of which one is somewhat sharper, nothing tells which was first: neither is poorer.
    """
    return poorer_because(quality_of(kept.rgb), quality_of(copy.rgb), fineness(kept, copy)) is not None


def poorer_because(kept: Quality, copy: Quality, fine: float | None = None) -> str | None:
    """Why `kept` is the poorer one, in words that complete "it is ..."; None if it is not, or not clearly.

    Parameters
    ----------
    kept, copy : Quality
    fine : float, optional
        `fineness` of both, where they were compared.
    """
    if kept.color < _GRAY and copy.color >= _COLORED:
        return "grey"
    if copy.color < _GRAY and kept.color >= _COLORED:
        return None
    n_kept, n_copy = kept.width_px * kept.height_px, copy.width_px * copy.height_px
    if n_kept < n_copy:
        return None
    more_blocky = kept.blockiness - copy.blockiness
    if more_blocky > _MUCH_MORE_BLOCKY or (more_blocky > _MORE_BLOCKY and (fine or 1) < _LITTLE_FINER):
        return "once badly compressed"
    if n_kept == n_copy:
        # Up to there the other one may as well have been sharpened from this one.
        return "softened" if fine is not None and fine < _VERY_SOFT else None
    # Blocks, too, are fine detail: those of the other one say nothing of this one.
    uses_less = kept.effective_px < _CLEARLY * copy.effective_px and more_blocky > -_MORE_BLOCKY
    return "enlarged" if uses_less or (fine is not None and fine < _SOFT) else None


def fineness(kept: ProofPicture, copy: ProofPicture) -> float | None:
    """Fine detail of `kept` over that of `copy`, at the smaller size; None if their shapes differ."""
    orientation = find_orientation(kept.rgb, copy.rgb)
    if orientation is None:
        return None
    pair = turned(kept.rgb, orientation), copy.rgb
    h, w = (min(a, b) for a, b in zip(pair[0].shape[:2], pair[1].shape[:2], strict=True))
    if min(h, w) < 16:
        return None
    energies = []
    for rgb in pair:
        gray = luma(rgb)
        if gray.shape != (h, w):
            gray = FILTERS["lanczos"](gray, (w, h))
        plane = gray.astype(np.float32)
        detail = plane - cv2.GaussianBlur(plane, (0, 0), 1.0)
        energies.append(float(np.minimum(detail**2, 400).mean()) + 0.1)
    return energies[0] / energies[1]
