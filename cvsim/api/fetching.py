"""Downloading a dataset's pictures: `fetch_dataset`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cvsim.api.calls import public
from cvsim.names import PathLike

if TYPE_CHECKING:
    from cvsim.fetch.dataset import FetchResult
    from cvsim.progress import Progress


@public
def fetch_dataset(
    manifest: PathLike,
    folder: PathLike,
    *,
    labels: str | Sequence[str] = (),
    limit: int | None = None,
    max_size_bytes: int | str = "50MB",
    timeout_s: float = 15.0,
    n_attempts: int = 4,
    workers: int = 8,
    per_host: int = 4,
    pause_s: float = 0.0,
    retry_failed: bool = False,
    allow_private: bool = False,
    progress: Progress | None = None,
) -> FetchResult:
    """Download the pictures that a dataset's list names, with ``labels.csv`` and a record of what failed.

    Run it again to go on: what is there is not fetched twice.

    Parameters
    ----------
    manifest : path
        A dataset's JSON or CSV: see `cvsim.fetch.dataset.read_dataset`.
    folder : path
        Where the pictures go; it is made if it is missing.
    labels : str or sequence of str
        Only pictures with one of these labels; all if empty.
    limit : int, optional
        At most so many pictures of the list.
    max_size_bytes : int or str
        Give up on larger files: 2000000, ``"50MB"``.
    timeout_s : float
        Seconds without a byte.
    n_attempts : int
        Tries of one URL whose failure may pass.
    workers : int
        Downloads at once.
    per_host : int
        Downloads at once from one host.
    pause_s : float
        Seconds at least between two downloads from one host.
    retry_failed : bool
        Ask again for what was gone for good, too.
    allow_private : bool
        Connect to this machine and the local network, too.
    progress : Progress, optional
        Told how far the work is.

    Returns
    -------
    FetchResult

    Raises
    ------
    UsageError
        The list cannot be read, or none of its pictures has a wanted label.
    MissingExtraError
        The extra ``remote`` is not installed.
    """
    from cvsim.fetch.client import Limits, RemoteClient
    from cvsim.fetch.dataset import fetch, read_dataset
    from cvsim.settings import size_in_bytes

    asked = (labels,) if isinstance(labels, str) else tuple(labels)
    wanted = read_dataset(os.fsdecode(manifest), asked)[:limit]
    max_bytes = size_in_bytes(max_size_bytes) if isinstance(max_size_bytes, str) else max_size_bytes
    limits = Limits(max_bytes, timeout_s, 6 * timeout_s, n_attempts)
    with RemoteClient(
        limits, allow_private=allow_private, allow_credentials=True, n_connections=workers
    ) as client:
        return fetch(
            wanted,
            os.fsdecode(folder),
            client,
            n_workers=workers,
            per_host=per_host,
            pause_s=pause_s,
            retry_failed=retry_failed,
            progress=progress,
        )
