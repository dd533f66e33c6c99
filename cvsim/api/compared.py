"""What `cvsim.compare` gives back, and the ways to write it down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from cvsim.executors.opencv_threads import one_opencv_thread
from cvsim.files import FilePath, JsonResult, delivered_bytes

if TYPE_CHECKING:
    from cvsim.images.source import ImageSource
    from cvsim.settings import Settings
    from cvsim.types import Comparison, Relation, ScoredPair, Side


class Compared(JsonResult):
    """What `compare` found of two pictures, and the ways to write it down.

    Attributes
    ----------
    result : ScoredPair
        The frozen values; `score`, `relation`, `contained`, `prior` and `comparisons` are short for its own.
    """

    def __init__(
        self, result: ScoredPair, sources: tuple[ImageSource, ImageSource], settings: Settings
    ) -> None:
        self.result = result
        self._sources = sources
        self._settings = settings

    @property
    def score(self) -> float:
        """Probability that the two are the same, in [0, 1]."""
        return self.result.score

    @property
    def relation(self) -> Relation:
        """What happened between the two."""
        return self.result.relation

    @property
    def contained(self) -> Side | None:
        """The side that shows only a part of the other."""
        return self.result.contained

    @property
    def prior(self) -> float:
        """Log-odds before any evidence."""
        return self.result.prior

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Every signal with its similarity and its weight."""
        return self.result.comparisons

    def document(self) -> dict[str, Any]:
        """What ``cvsim compare --json`` prints, as plain values."""
        from cvsim.recipes.scoring_plan import scoring_plan
        from cvsim.reports.json import comparison_document

        return comparison_document(self.result, scoring_plan(self._settings).threshold)

    @overload
    def to_picture(self, path: None = None) -> bytes: ...
    @overload
    def to_picture(self, path: FilePath) -> None: ...
    @one_opencv_thread()
    def to_picture(self, path: FilePath | None = None) -> bytes | None:
        """The two side by side, with the keypoints that agree, what overlaps, and the parts of the score.

        Parameters
        ----------
        path : path, optional
            A file to write, replaced if it exists. Its suffix, .png, .jpg or .jpeg, chooses the format.

        Returns
        -------
        bytes or None
            A PNG if no path is given.

        Raises
        ------
        UsageError
            Another suffix.
        CvsimError
            The file cannot be written, or one of the two cannot be read any more.
        """
        from cvsim.recipes import compare as recipe
        from cvsim.reports.match_picture import Shown, match_picture, picture_format
        from cvsim.reports.matches import agreeing_keypoints, n_agreeing, overlap_matrix

        format = "PNG" if path is None else picture_format(path)
        looked = recipe.look_again(*self._sources, self._settings)
        names = (self.result.pair.a, self.result.pair.b)
        a, b = (
            Shown(d.rgb, name if recipe.is_path(source) else "", d.width_px, d.height_px)
            for d, name, source in zip(looked.pictures, names, self._sources, strict=True)
        )
        matches = None
        if looked.local is not None:
            matrix, n_counted = overlap_matrix(self.result), n_agreeing(self.result)
            matches = agreeing_keypoints(looked.local, a.rgb, b.rgb, matrix, n_counted)
        drawn = match_picture(self.result, a, b, matches, looked.threshold, format=format)
        return delivered_bytes(drawn, path)

    def __repr__(self) -> str:
        pair = self.result
        return f"<Compared: {pair.pair.a!r} and {pair.pair.b!r}: {pair.relation}, {pair.score:.4f}>"
