"""The pixels of a picture, and what several features start from, made once."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cvsim.features.ground import OTHER_GROUNDS, hides_colors, is_cut_out, laid_on
from cvsim.features.information import is_informative
from cvsim.features.overlay.borders import views_of
from cvsim.features.resampling import halfway, mean_square, rough_square, square

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cvsim.types import RGB, Gray, Moment, SeenThrough


ROUGH_PX = 128


def _unknown() -> None:
    """Nothing says when."""
    return


class Picture:
    """A picture on its way through the features. Not for several threads at once.

    Parameters
    ----------
    rgb : (H, W, 3) uint8
        Transparent parts on white.
    moment : callable, optional
        Reads when it was taken, where its file says so.
    seen_through : SeenThrough, optional
        Where it is transparent.

    Attributes
    ----------
    alpha : (H, W) uint8 or None
        Only of a cut-out (see `cvsim.features.ground`).
    bare : Picture or None
        A cut-out without its alpha, where that shows more than a ground of one colour.
    """

    def __init__(
        self,
        rgb: RGB,
        moment: Callable[[], Moment | None] = _unknown,
        seen_through: SeenThrough | None = None,
    ) -> None:
        self.rgb, self._read_moment = rgb, moment
        is_one = seen_through is not None and is_cut_out(seen_through.alpha)
        self._seen_through = seen_through if is_one else None
        self.alpha = None if self._seen_through is None else self._seen_through.alpha

    @cached_property
    def moment(self) -> Moment | None:
        """When it was taken, and by which camera; None where that is not known."""
        return self._read_moment()

    @cached_property
    def gray(self) -> Gray:
        """(H, W) uint8."""
        return np.asarray(cv2.cvtColor(self.rgb, cv2.COLOR_RGB2GRAY), np.uint8)

    @cached_property
    def views(self) -> list[Gray]:
        """See `cvsim.features.overlay.borders.views_of`."""
        return views_of(self.gray)

    @cached_property
    def bare(self) -> Picture | None:
        through = self._seen_through
        if through is None or not hides_colors(through.bare, self.rgb, through.alpha):
            return None
        return Picture(through.bare)

    @cached_property
    def on_other_grounds(self) -> list[Picture]:
        """A cut-out as it is hashed beside white: on other grounds, and bare. Empty for any other picture."""
        if self.alpha is None:
            return []
        laid = [Picture(laid_on(self.rgb, self.alpha, level)) for level in OTHER_GROUNDS]
        return laid if self.bare is None else [*laid, self.bare]

    @cached_property
    def _halfway(self) -> list[Gray]:
        return [halfway(view) for view in self.views]

    @cached_property
    def _rough(self) -> NDArray[np.uint8]:
        return rough_square(self.rgb, ROUGH_PX)

    def color_square(self, side_px: int) -> NDArray[np.uint8]:
        """The whole picture as (side_px, side_px, 3) uint8 RGB, roughly; a power of two up to 64."""
        return mean_square(self._rough, side_px)

    def alpha_square(self, side_px: int) -> NDArray[np.uint8] | None:
        """The alpha of a cut-out, as `color_square` has its colours."""
        if self.alpha is None:
            return None
        return mean_square(rough_square(self.alpha, ROUGH_PX), side_px)

    def squares(self, side_px: int) -> list[NDArray[np.uint8]]:
        """Each view as a grey square: see `cvsim.features.resampling.square`."""
        pairs = zip(self.views, self._halfway, strict=True)
        return [square(view, side_px, between) for view, between in pairs]

    def informative_squares(self, side_px: int) -> list[NDArray[np.uint8]]:
        """Those of `squares` that hold enough for a descriptor (see `cvsim.features.information`)."""
        seen = zip(self.squares(side_px), self.views, strict=True)
        return [small for small, view in seen if is_informative(small, view.shape)]
