"""What `cvsim.dedupe` gives back, and the ways to write it down."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, overload

from cvsim.actions.support import require_held_folders
from cvsim.api.calls import working_folder
from cvsim.executors.opencv_threads import one_opencv_thread
from cvsim.files import FilePath, JsonResult, delivered
from cvsim.progress import SilentProgress

if TYPE_CHECKING:
    import networkx

    from cvsim.actions.plan import Plan
    from cvsim.progress import Progress
    from cvsim.reading.previews import ThumbnailSource
    from cvsim.types import Counts, DedupeResult, Group, ScoredPair, Skipped


class Report(JsonResult):
    """What `cvsim.dedupe` found, and the ways to write it down.

    It is a value: it holds no file open, can be pickled, and may be used from any thread. Each of
    ``to_json``, ``to_csv``, ``to_html``, ``to_plan`` and ``to_graphml`` returns the text, or with a path
    writes it, whole or not at all, in the place of the file that was there, and raises
    `CvsimError` where that cannot be. In the text, bytes of a file name that are not UTF-8 are surrogate
    escapes, as in every path in Python; encode it by ``text.encode("utf-8", "surrogateescape")``.

    Thumbnails are made of the files when a page asks for them, and kept in the cache of the run.

    Parameters
    ----------
    result : DedupeResult
    thumbnails : ThumbnailSource, optional
        Pages show no thumbnails without.
    folder : str, optional
        Where relative paths in the result lie; the working folder if not given. They mean the same files
        after the process has gone elsewhere.

    Attributes
    ----------
    result : DedupeResult
        The frozen values; `groups`, `skipped` and `counts` are short for its own.
    folder : str
    """

    def __init__(
        self, result: DedupeResult, thumbnails: ThumbnailSource | None = None, *, folder: str | None = None
    ) -> None:
        self.result = result
        self.folder = working_folder() if folder is None else folder
        self._thumbnails = thumbnails

    @property
    def groups(self) -> tuple[Group, ...]:
        """In order of their smallest path."""
        return self.result.groups

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Files that could not be used, each with its reason."""
        return self.result.skipped

    @property
    def doubtful(self) -> tuple[ScoredPair, ...]:
        """Links that were left out, since each alone would have joined two groups."""
        return self.result.doubtful

    @property
    def counts(self) -> Counts:
        """Totals of the run."""
        return self.result.counts

    def document(self) -> dict[str, Any]:
        """The ``cvsim.report/1`` document, as plain values."""
        from cvsim.reports.json import document

        return document(self.result)

    @overload
    def to_csv(self, path: None = None) -> str: ...
    @overload
    def to_csv(self, path: FilePath) -> None: ...
    def to_csv(self, path: FilePath | None = None) -> str | None:
        """One row a picture of each group.

        Parameters
        ----------
        path : path, optional
            A file to write, in which names have the bytes that they have on disk.

        Returns
        -------
        str or None
            The text if no path is given.
        """
        from cvsim.reports.csv import to_csv

        return delivered([to_csv(self.result)], path)

    @overload
    def to_html(self, path: None = None, *, progress: Progress | None = None) -> str: ...
    @overload
    def to_html(self, path: FilePath, *, progress: Progress | None = None) -> None: ...
    def to_html(self, path: FilePath | None = None, *, progress: Progress | None = None) -> str | None:
        """One self-contained page with thumbnails.

        Parameters
        ----------
        path : path, optional
            A file to write; its pictures link to the files they show.
        progress : Progress, optional
            Told how far the thumbnails are.

        Returns
        -------
        str or None
            The text if no path is given.
        """
        from cvsim.reports.html import to_html

        place = None if path is None else os.path.dirname(os.path.abspath(path))
        if self._thumbnails is None:
            return delivered(to_html(self.result, folder=place, base=self.folder), path)
        with (
            one_opencv_thread(),
            self._thumbnails.of(self.result, self.folder, progress or SilentProgress()) as thumbnail,
        ):
            return delivered(to_html(self.result, thumbnail, folder=place, base=self.folder), path)

    def plan(self) -> Plan:
        """What is proposed, as a plan that `cvsim.apply` carries out and ``cvsim review`` edits.

        It holds the settings of the run, so that a review judges as the run did.

        Raises
        ------
        ActionError
            A path cannot be part of a plan.
        """
        from dataclasses import replace

        require_held_folders()
        from cvsim.actions.plan import make_plan, roots_of

        settings = self.result.settings
        own = [str(path) for path in (*settings["paths"], *settings["reference"])]
        members = [
            member.record.path for group in self.groups for member in group.members if not member.why_away
        ]
        roots = roots_of(os.path.join(self.folder, path) for path in [*own, *members])
        plan = make_plan(roots, self.groups, folder=self.folder)
        return replace(plan, extra={"settings": _judging(settings, self.folder)})

    @overload
    def to_plan(self, path: None = None) -> str: ...
    @overload
    def to_plan(self, path: FilePath) -> None: ...
    def to_plan(self, path: FilePath | None = None) -> str | None:
        """The ``cvsim.plan/1`` document of `plan`, and raises like it.

        Parameters
        ----------
        path : path, optional
            A file to write.

        Returns
        -------
        str or None
            The text if no path is given.
        """
        if path is None:
            return self.plan().to_json()
        self.plan().save(path)
        return None

    def graph(self) -> networkx.Graph[str]:
        """The threshold graph: the pictures of all groups, and their links at or above the threshold.

        Returns
        -------
        networkx.Graph
            Nodes are paths, with ``width_px``, ``height_px``, ``size_bytes``, ``group`` and ``keep``; edges
            have ``score``, ``relation`` and ``contained``, the path of the one that shows only a part of the
            other, or None.
        """
        from cvsim.reports.graph import threshold_graph

        return threshold_graph(self.result)

    @overload
    def to_graphml(self, path: None = None) -> str: ...
    @overload
    def to_graphml(self, path: FilePath) -> None: ...
    def to_graphml(self, path: FilePath | None = None) -> str | None:
        """The threshold graph as GraphML, which networkx, Gephi, yEd and others open.

        Parameters
        ----------
        path : path, optional
            A file to write.

        Returns
        -------
        str or None
            The text if no path is given.
        """
        from cvsim.reports.graph import to_graphml

        return delivered([to_graphml(self.result)], path)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Report):
            return NotImplemented
        return (self.result, self.folder) == (other.result, other.folder)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        counts = self.counts
        return f"<Report: {counts.groups} groups, {counts.duplicates} duplicates in {counts.images} images>"


_JUDGING = ("profile", "effort", "threshold", "signals", "embedding", "include")


def _judging(settings: Mapping[str, Any], base: str) -> dict[str, Any]:
    """The settings that decide what is a copy and what may go, folders made absolute."""

    def absolute(path: str) -> str:
        return os.path.abspath(os.path.join(base, os.path.expanduser(path)))

    keep = settings["keep"].split(",") if isinstance(settings["keep"], str) else settings["keep"]
    rules = []
    for rule in keep:
        name, _, folder = rule.strip().partition(":")
        is_folder = name in ("folder", "protected") and folder
        rules.append(f"{name}:{absolute(folder)}" if is_folder else rule.strip())
    judging = {name: settings[name] for name in _JUDGING}
    reference = [os.path.abspath(os.path.join(base, path)) for path in settings["reference"]]
    return {**judging, "keep": rules, "reference": reference}
