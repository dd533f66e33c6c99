"""The public functions: what the command line is thin over."""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from cvsim.names import PathLike, path_texts
from cvsim.progress import SilentProgress
from cvsim.settings import Settings, with_values

if TYPE_CHECKING:
    from cvsim.actions.plan import Plan
    from cvsim.images.source import ImageSource
    from cvsim.progress import Progress
    from cvsim.recipes.prefilter import Prefiltered
    from cvsim.reports.html import Thumbnail
    from cvsim.stores import Store
    from cvsim.types import Comparison, Counts, DedupeResult, Group, Relation, ScoredPair, Side, Skipped

_log = logging.getLogger(__name__)


class Report:
    """What `dedupe` found, and the ways to write it down.

    ``to_csv``, ``to_html`` and ``to_plan`` write a file whole or not at all, in the place of the one that was
    there; they raise CvsimError where it cannot be written.

    Thumbnails are made of the files when a page first asks for them, and kept in the store of the run, so a
    report holds that store open: until `close`, the end of a ``with`` block, or until the report itself is
    gone.

    Attributes
    ----------
    result : DedupeResult
        The frozen values; `groups`, `skipped` and `counts` are short for its own.
    """

    def __init__(
        self,
        result: DedupeResult,
        thumbnail: Thumbnail | None = None,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.result = result
        self._thumbnail: Thumbnail | None = thumbnail
        self._finalizer = weakref.finalize(self, close)

    def close(self) -> None:
        """Let go of the thumbnails; pages made after that show none."""
        self._thumbnail = None
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def groups(self) -> tuple[Group, ...]:
        """In order of their smallest path."""
        return self.result.groups

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Files that could not be used, each with its reason."""
        return self.result.skipped

    @property
    def counts(self) -> Counts:
        """Count what the result holds."""
        return self.result.counts

    def to_json(self) -> str:
        """The ``cvsim.report/1`` document."""
        from cvsim.reports.json import to_json

        return to_json(self.result)

    def csv_bytes(self) -> bytes:
        """One row a picture; bytes, since file names need not be text."""
        from cvsim.reports.csv import to_csv

        return to_csv(self.result)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write `csv_bytes` to a file.

        Parameters
        ----------
        path : path
        """
        from cvsim.files import write

        write(path, [self.csv_bytes()])

    def html_bytes(self) -> bytes:
        """One self-contained page with thumbnails, in UTF-8."""
        from cvsim.reports.html import to_html

        return b"".join(to_html(self.result, self._thumbnail))

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file; its pictures link to the files they show.

        Parameters
        ----------
        path : path
        """
        from cvsim.files import write
        from cvsim.reports.html import to_html

        folder = os.path.dirname(os.path.abspath(path))
        write(path, to_html(self.result, self._thumbnail, folder=folder))

    def plan(self) -> Plan:
        """What is proposed, as a plan that `cvsim apply` carries out and `cvsim review` edits.

        It holds the settings of the run, so that a review judges as the run did.

        Raises
        ------
        ActionError
            A path cannot be part of a plan.
        """
        from dataclasses import replace

        from cvsim.actions.plan import make_plan, roots_of

        settings = self.result.settings
        named = [str(path) for path in (*settings["paths"], *settings["reference"])]
        members = [member.record.path for group in self.groups for member in group.members]
        roots = roots_of([*named, *members])
        return replace(make_plan(roots, self.groups), extra={"settings": _judging(settings)})

    def plan_bytes(self) -> bytes:
        """The ``cvsim.plan/1`` document; raises like `plan`."""
        return self.plan().to_json().encode()

    def to_plan(self, path: str | os.PathLike[str]) -> None:
        """Write `plan` to a file; raises like `plan`, too.

        Parameters
        ----------
        path : path
        """
        self.plan().save(path)

    def __repr__(self) -> str:
        counts = self.counts
        return f"<Report: {counts.groups} groups, {counts.duplicates} duplicates in {counts.images} images>"


_JUDGING = ("profile", "effort", "threshold", "signals", "embedding", "include")


def _judging(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that decide what is a copy and what may go, folders made absolute."""
    keep = settings["keep"].split(",") if isinstance(settings["keep"], str) else settings["keep"]
    rules = []
    for rule in keep:
        name, _, folder = rule.strip().partition(":")
        is_folder = name in ("folder", "protected") and folder
        rules.append(f"{name}:{os.path.abspath(os.path.expanduser(folder))}" if is_folder else rule.strip())
    judging = {name: settings[name] for name in _JUDGING}
    return {**judging, "keep": rules, "reference": [os.path.abspath(path) for path in settings["reference"]]}


def _asked(settings: Settings | None, options: Mapping[str, Any]) -> Settings:
    """The settings of a call; says so where signals that were chosen cannot do what one might expect."""
    asked = with_values(settings or Settings(), options)
    if asked.signals:
        from cvsim.recipes.scoring_plan import scoring_plan

        plan = scoring_plan(asked)
        signals = [signal for feature in plan.features for signal in feature.signals]
        if unweighed := plan.model.unweighed(signals):
            says = "%s: shown, but no part of the score: %s was not fitted to it"
            _log.warning(says, ", ".join(unweighed), plan.model.name)
        if (best := plan.model.best_score(signals)) < plan.threshold:
            says = "no pair of different files can be linked by these signals alone: %.3f at best, under %g"
            _log.warning(says, best, plan.threshold)
    return asked


def dedupe(
    paths: Iterable[PathLike],
    *,
    settings: Settings | None = None,
    listed: Iterable[str] = (),
    progress: Progress | None = None,
    **options: Any,
) -> Report:
    """Find groups of pictures that show the same photograph. Touches nothing.

    Parameters
    ----------
    paths : iterable of path
        Files and folders.
    settings : Settings, optional
        What the run is asked to do; the defaults if not given.
    listed : iterable of str
        More paths, from a list made earlier: one that is gone by now is skipped, not an error.
    progress : Progress, optional
        Told how far the work is; see `cvsim.progress`.
    **options
        Single settings by name, over those of `settings`: ``threshold=0.9``, ``exclude=("*.tmp",)``.

    Returns
    -------
    Report

    Raises
    ------
    UsageError
        A path does not exist, or a setting is wrong.
    CvsimError
        Something else that its message tells.

    Examples
    --------
    >>> report = cvsim.dedupe(["photos"], threshold=0.95)  # doctest: +SKIP
    >>> report.counts.duplicates                           # doctest: +SKIP
    31
    """
    from cvsim.reading.previews import Thumbnails
    from cvsim.recipes import dedupe as pipeline

    asked = _asked(settings, options)
    progress = progress or SilentProgress()
    stores: list[Store] = []
    result = pipeline.dedupe(
        path_texts(paths),
        asked,
        listed=listed,
        progress=progress,
        on_store=stores.append,
    )
    (store,) = stores
    store.flush()  # a report may be looked at for hours: what was computed is safe from now on
    return Report(result, Thumbnails(result, store, asked.n_workers, progress), store.close)


class Compared:
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

    def to_json(self) -> str:
        """What ``cvsim compare --json`` prints."""
        from cvsim.reports.json import comparison_document, dumps

        return dumps(comparison_document(self.result))

    def picture_bytes(self, format: str = "PNG") -> bytes:
        """The two side by side, with the keypoints that agree, what overlaps, and the parts of the score.

        Parameters
        ----------
        format : "PNG" or "JPEG"

        Raises
        ------
        ImageError
            One of the two cannot be read any more.
        """
        from cvsim.recipes import compare as comparing
        from cvsim.reports.match_picture import Shown, match_picture
        from cvsim.reports.matches import agreeing_keypoints, overlap_matrix

        looked = comparing.look_again(*self._sources, self._settings)
        names = (self.result.pair.a, self.result.pair.b)
        a, b = (
            Shown(d.rgb, name if comparing.is_path(source) else "", d.width_px, d.height_px)
            for d, name, source in zip(looked.pictures, names, self._sources, strict=True)
        )
        matches = None
        if looked.local is not None:
            matches = agreeing_keypoints(looked.local, a.rgb, b.rgb, overlap_matrix(self.result))
        return match_picture(self.result, a, b, matches, looked.threshold, format=format)

    def to_picture(self, path: str | os.PathLike[str]) -> None:
        """Write the picture to a file, whole or not at all.

        Parameters
        ----------
        path : path
            Replaced if it exists. Its suffix, .png, .jpg or .jpeg, chooses the format.

        Raises
        ------
        UsageError
            Another suffix.
        CvsimError
            The file cannot be written, or one of the two not be read any more.
        """
        from cvsim.files import write
        from cvsim.reports.match_picture import picture_format

        write(path, [self.picture_bytes(picture_format(path))])

    def __repr__(self) -> str:
        pair = self.result
        return f"<Compared: {pair.pair.a!r} and {pair.pair.b!r}: {pair.relation}, {pair.score:.4f}>"


def compare(
    a: ImageSource | bytes, b: ImageSource | bytes, *, settings: Settings | None = None, **options: Any
) -> Compared:
    """Every signal of two pictures, its weight, and the score that `dedupe` would give the pair.

    Parameters
    ----------
    a, b : path, (H, W, 3) uint8 RGB array, or Pillow image
        What is no file is called ``"a"`` or ``"b"`` in the result.
    settings : Settings, optional
        The defaults if not given.
    **options
        Single settings by name, over those of `settings`.

    Returns
    -------
    Compared

    Raises
    ------
    ImageError
        One of the two cannot be used; the message says why.
    UsageError
        A path does not exist, an array has another shape or type, or a setting is wrong.

    Examples
    --------
    >>> pair = cvsim.compare("a.jpg", "b.jpg")  # doctest: +SKIP
    >>> pair.score, pair.relation               # doctest: +SKIP
    (0.9999, 'cropped')
    >>> pair.to_picture("why.png")              # doctest: +SKIP
    """
    from cvsim.recipes import compare as comparing

    asked = _asked(settings, options)
    first, second = (os.fsdecode(s) if isinstance(s, bytes) else s for s in (a, b))
    return Compared(comparing.compare(first, second, asked), (first, second), asked)


def prefilter(
    paths: Iterable[PathLike],
    *,
    recall: float = 0.99,
    n_sampled: int | None = None,
    settings: Settings | None = None,
    listed: Iterable[str] = (),
    progress: Progress | None = None,
    **options: Any,
) -> Prefiltered:
    """The pairs of pictures that are worth a heavier system's time, best first.

    Parameters
    ----------
    paths : iterable of path
        Files and folders.
    recall : float
        Share of the true pairs to keep, over 0 and at most 1. What is reached is measured on copies made of
        a few of the pictures, and stated in the result.
    n_sampled : int, optional
        Of how many pictures copies are made to measure recall; 32 if not given.
    settings : Settings, optional
        The defaults if not given.
    listed : iterable of str
        More paths, of which those that are gone are skipped.
    progress : Progress, optional
    **options
        Single settings by name, over those of `settings`: ``between_only=True``.

    Returns
    -------
    Prefiltered
        Iterate over it for pairs with `a`, `b` and `score`; identical files first, each with the first of
        its kind.

    Raises
    ------
    UsageError
        A path does not exist, or a setting is wrong.

    Examples
    --------
    >>> for pair in cvsim.prefilter(["photos"]):  # doctest: +SKIP
    ...     look_closer(pair.a, pair.b)
    """
    from cvsim.recipes import prefilter as prefiltering

    return prefiltering.prefilter(
        path_texts(paths),
        _asked(settings, options),
        recall=recall,
        n_sampled=n_sampled or prefiltering.N_SAMPLED,
        listed=listed,
        progress=progress,
    )
