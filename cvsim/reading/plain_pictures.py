"""Pictures in which no feature sees anything: flat, nearly black, all but empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cvsim.executors.artefacts import stored_or_made
from cvsim.reading.identity import PIXELS_KEY, PixelDigestJob

if TYPE_CHECKING:
    from cvsim.reading.collection import Collection


def digest_pixels(collection: Collection, n_workers: int = 1) -> None:
    """Know the pixels of those pictures that hold no evidence: equal pixels are all that can link them.

    Most formats were digested when they were decoded. Of the others, those that share their size with another
    picture without evidence are decoded whole.
    """
    of_size: dict[tuple[int, int], dict[str, str]] = {}
    sizes: set[tuple[int, int]] = set()
    for k in np.flatnonzero(collection.is_plain).tolist():
        record = collection.nodes[k].first
        size = record.width_px, record.height_px
        of_size.setdefault(size, {})[record.digest] = record.path
        if not collection.is_reference[k]:
            sizes.add(size)
    paths = {d: path for size in sizes if len(of_size[size]) > 1 for d, path in of_size[size].items()}
    stored_or_made(collection.store, PIXELS_KEY, paths, PixelDigestJob, n_workers)
