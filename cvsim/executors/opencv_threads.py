"""OpenCV's own threads: none of them while cvsim works, as many as before when it is done.

cvsim works on as many pictures at once as there are cores, and the rasters are small: threads of OpenCV's
would only wait for each other. How many it uses is a setting of the whole process, which belongs to
whoever imports cvsim; so it is changed around cvsim's own work only.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_n_inside = 0
_n_before = 0


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """Let OpenCV use one thread until the block ends, or the last of several blocks that run at once.

    Also a decorator: ``@one_opencv_thread()``.
    """
    import cv2

    global _n_inside, _n_before
    with _lock:
        if not _n_inside:
            _n_before = cv2.getNumThreads()
            cv2.setNumThreads(1)
        _n_inside += 1
    try:
        yield
    finally:
        with _lock:
            _n_inside -= 1
            if not _n_inside:
                cv2.setNumThreads(_n_before)


def leave_one_opencv_thread() -> None:
    """In a process of cvsim's own: for good, if OpenCV is loaded."""
    if not has_one_opencv_thread():
        import cv2

        cv2.setNumThreads(1)


def has_one_opencv_thread() -> bool:
    """Whether OpenCV has no threads of its own, which a fork would wait for: they are not forked with it."""
    if "cv2" not in sys.modules:
        return True
    import cv2

    return bool(cv2.getNumThreads() <= 1)
