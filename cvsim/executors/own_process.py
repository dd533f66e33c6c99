"""What a process of cvsim's own asks of the interpreter, of the allocator and of the algebra's threads.

For the command line and for child processes; the process of somebody who imports cvsim is left as it is.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from typing import Any

_GC_THRESHOLDS = (50_000, 20, 100)
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # <malloc.h>
_MMAP_BYTES, _TRIM_BYTES = 8 << 20, 16 << 20
_SHORTEST_WAIT = "4"
"""The least that OpenBLAS knows: 2**4 cycles."""

_is_own = False


def is_own_process() -> bool:
    """Whether this process is the command line's, and nobody's who imports cvsim."""
    return _is_own


def tune_own_process() -> None:
    """Spend less time on memory, a tenth of what a run over small pictures takes, and on waiting.

    Call it before numpy is imported.
    """
    global _is_own
    _is_own = True
    # A thread of OpenBLAS that has no more to do would look out for work 2**26 cycles long before it sleeps,
    # after each product of matrices and at the start, in numpy's copy of it as in those of OpenCV and scipy.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", _SHORTEST_WAIT)
    # Records and scores are kept and hold no cycles: looking through them again and again finds nothing.
    gc.set_threshold(*_GC_THRESHOLDS)
    if sys.platform.startswith("linux"):
        _keep_freed_memory()


def give_back_memory() -> None:
    """Give what was freed back to the system: before another part of a run that needs much memory at a time.

    Threads do not use what others freed. Does nothing in the process of somebody who imports cvsim.
    """
    if not _is_own or not sys.platform.startswith("linux"):
        return
    import ctypes

    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def lift_pillow_limit() -> None:
    """Let Pillow open a picture of any size, in a child process of ours.

    Its limit for bombs is a setting of the whole process, and refuses 200 megapixels. How many pixels and how
    much memory a picture may have is decided by its header, before it is given to a child.
    """
    pillow: Any = sys.modules.get("PIL.Image")
    if pillow is not None:
        pillow.MAX_IMAGE_PIXELS = None


def _keep_freed_memory() -> None:
    """Have glibc hold a few megabytes ready for the next picture.

    It would give them back to the system after each one, and get them again page by page.
    """
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)
