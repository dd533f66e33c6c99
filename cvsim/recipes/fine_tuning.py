"""The recipe of fine-tuning: labelled photos at the size that a network takes, and a network that learned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim.errors import CvsimError, UsageError
from cvsim.executors.base import Demand
from cvsim.executors.local import LocalExecutor
from cvsim.features.embedding import Preprocessing, squared
from cvsim.images.encoded import Content, read_content
from cvsim.images.scan import require_paths, scan
from cvsim.products.fine_tuning import TUNING_EPOCHS, fine_tune
from cvsim.progress import SilentProgress
from cvsim.recipes.labelling import labels_for, names_of, require_named
from cvsim.recipes.products import make_embedding
from cvsim.types import Skipped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.progress import Progress
    from cvsim.settings import Settings
    from cvsim.types import RGB

DECODED_PX = 512
"""Longer side at which photos are decoded before they are brought to the side of the network."""
SQUARE_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class SquareJob:
    """Decode a file and bring it to the side of a network."""

    how: Preprocessing
    side_px: int

    def load(self, item: str) -> Content:
        """Read what is worked on; see `Job.load`."""
        return read_content(item)

    def demand(self, payload: Content) -> Demand:
        """Say what the work takes; see `Job.demand`."""
        return Demand(payload.is_risky, payload.memory_bytes)

    def run(self, payload: Content) -> RGB:
        """Do the work; see `Job.run`."""
        return squared(payload.decode(longest_px=DECODED_PX).rgb, self.how, self.side_px)


def tune_network(
    paths: Sequence[str],
    labels: Mapping[str, str] | NDArray[Any] | None,
    network: str,
    settings: Settings,
    *,
    labels_name: str = "labels",
    n_epochs: int | None = None,
    seed: int = 0,
    listed: Iterable[str] = (),
    progress: Progress | None = None,
) -> tuple[bytes, tuple[Skipped, ...]]:
    """Tune an image network on the photos under `paths` that have a label.

    Returns
    -------
    onnx : bytes
    skipped : tuple of Skipped

    Raises
    ------
    UsageError
        No photo has a label, or the labels do not fit.
    """
    listed = list(listed)
    require_paths(paths, listed)
    tunable = make_embedding(network).tunable()
    found = scan(list(paths), listed=listed, **settings.scan.keywords)
    roots = {*paths, *listed}
    require_named(found, labels if isinstance(labels, Mapping) else None, roots)
    progress = progress or SilentProgress()
    names = names_of([(entry.path, entry.root) for entry in found.files], roots)
    job = SquareJob(tunable.preprocessing, tunable.side_px)
    squares, skipped = _read(list(names), job, settings.n_workers, progress)
    no_image = {one.path for one in skipped if one.kind == "not-an-image"}
    rows = sorted((file, path) for path, file in names.items() if path not in no_image)
    own = labels_for([file for file, _ in rows], labels, labels_name, [path for _, path in rows])
    used = [(path, label) for (_, path), label in zip(rows, own, strict=True) if label and path in squares]
    if not used:
        raise UsageError("no picture with a label could be read there")
    onnx = fine_tune(
        tunable,
        np.stack([squares[path] for path, _ in used]),
        [label for _, label in used],
        n_epochs=TUNING_EPOCHS if n_epochs is None else n_epochs,
        seed=seed,
        progress=progress,
    )
    return onnx, (*found.skipped, *skipped)


def _read(
    paths: Sequence[str], job: SquareJob, n_workers: int | None, progress: Progress
) -> tuple[dict[str, RGB], list[Skipped]]:
    squares: dict[str, RGB] = {}
    skipped = []
    with progress.task("Reading pictures", len(paths)) as advance, LocalExecutor(n_workers) as executor:
        for path, outcome in executor.map(job, paths, timeout_s=SQUARE_TIMEOUT_S):
            if isinstance(outcome, CvsimError):
                skipped.append(Skipped(path, str(outcome)))
            else:
                squares[path] = outcome
            advance(1)
    return squares, skipped
