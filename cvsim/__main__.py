"""``python -m cvsim`` is ``cvsim``."""

from __future__ import annotations

from cvsim.cli import main

if __name__ == "__main__":
    main()
