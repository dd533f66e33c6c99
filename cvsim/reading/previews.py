"""Small JPEGs of pictures, to be shown: made from the files when they are asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cvsim.errors import CvsimError, ImageError
from cvsim.executors.base import Demand
from cvsim.executors.local import LocalExecutor
from cvsim.images.encoded import Content, read_content
from cvsim.images.raster import thumbnail
from cvsim.reading.extraction import THUMBNAIL_KEY, THUMBNAIL_PX
from cvsim.stores import BesideStore, Extraction, open_index, open_run_store

if TYPE_CHECKING:
    from cvsim.progress import Progress
    from cvsim.stores import Store
    from cvsim.types import DedupeResult, ImageRecord


@dataclass(frozen=True, slots=True)
class PreviewJob:
    """Decode one content, from the first of its files that still has it, and make a JPEG of it.

    Attributes
    ----------
    longest_px : int
    always_isolated : bool
        Decode what is not risky, too, where the decoder can be killed: a server outlives its pictures.
    """

    longest_px: int
    always_isolated: bool = False

    def load(self, item: tuple[str, tuple[str, ...]]) -> Content:
        """Read a digest's files; one whose content is not the one that was looked at is none of ours."""
        digest, paths = item
        error = ImageError("it is not there any more")
        for path in paths:
            try:
                content = read_content(path)
            except ImageError as exc:
                error = exc
                continue
            if content.digest == digest:
                return content
            error = ImageError("it has changed since it was looked at")
        raise error

    def demand(self, payload: Content) -> Demand:
        """Say what the work takes; see `Job.demand`."""
        return Demand(self.always_isolated or payload.is_risky, payload.memory_bytes, payload.extra_s)

    def run(self, payload: Content) -> bytes:
        """Do the work; see `Job.run`."""
        return thumbnail(payload.decode(longest_px=self.longest_px).rgb, self.longest_px)


class Thumbnails:
    """Thumbnails of the pictures in a report's groups: all that the store lacks are made at the first call.

    Parameters
    ----------
    result : DedupeResult
    store : Store
        Where they are kept: a second page costs nothing.
    n_workers : int
    progress : Progress
    folder : str
        Where relative paths of the report lie.
    """

    def __init__(
        self, result: DedupeResult, store: Store, n_workers: int, progress: Progress, folder: str = ""
    ) -> None:
        self._result, self._store, self._folder = result, store, folder
        self._n_workers, self._progress = n_workers, progress
        self._are_made = False

    def __call__(self, record: ImageRecord) -> bytes | None:
        """JPEG bytes; None for a picture whose file is gone or has changed since the run."""
        if not self._are_made:
            self._make()
            self._are_made = True
        return self._store.descriptors(THUMBNAIL_KEY, [record.digest]).get(record.digest)

    def _make(self) -> None:
        paths: dict[str, list[str]] = {}
        for record in (member.record for group in self._result.groups for member in group.members):
            paths.setdefault(record.digest, []).append(os.path.join(self._folder, record.path))
        there = self._store.complete([THUMBNAIL_KEY], paths)
        todo = [(digest, tuple(files)) for digest, files in paths.items() if digest not in there]
        with (
            LocalExecutor(self._n_workers) as executor,
            self._progress.task("Making thumbnails", len(todo)) as advance,
        ):
            for (digest, _), outcome in executor.map(PreviewJob(THUMBNAIL_PX), todo):
                advance(1)
                if isinstance(outcome, bytes):
                    self._store.put(Extraction(digest, artefacts={THUMBNAIL_KEY: outcome}))


@dataclass(frozen=True, slots=True)
class ThumbnailSource:
    """Where the thumbnails of a report come from: a value, which can be pickled.

    Attributes
    ----------
    cache : str or None
        The cache of the run, absolute; ``""``: the user's own; None: each page makes its own thumbnails.
    n_workers : int
    against : str or None
        The index of the run, which keeps thumbnails of files that are out of reach.
    """

    cache: str | None
    n_workers: int
    against: str | None = None

    @contextmanager
    def of(self, result: DedupeResult, folder: str, progress: Progress) -> Iterator[Thumbnails]:
        """The thumbnails of a report whose relative paths lie in `folder`, until the block ends."""
        with ExitStack() as stack:
            store: Store = stack.enter_context(open_run_store(self.cache))
            if self.against is not None:
                with suppress(CvsimError):  # it may have gone since the run
                    index = stack.enter_context(open_index(self.against, create=False))
                    store = stack.enter_context(BesideStore(store, index))
            yield Thumbnails(result, store, self.n_workers, progress, folder)
