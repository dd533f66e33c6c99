"""Find pictures that are the same, on a CPU, and say why.

>>> import cvsim
>>> report = cvsim.dedupe(["photos"], threshold=0.95)  # doctest: +SKIP
>>> report.to_html("report.html")                      # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cvsim._version import __version__

if TYPE_CHECKING:
    from cvsim.api import Compared, Report, compare, dedupe, prefilter
    from cvsim.errors import CvsimError
    from cvsim.index import Index
    from cvsim.products.estimators import ProductClassifier, ProductClusterer, ProductMetric
    from cvsim.settings import Settings

_HOMES = {
    "Compared": "cvsim.api",
    "CvsimError": "cvsim.errors",
    "Index": "cvsim.index",
    "ProductClassifier": "cvsim.products.estimators",
    "ProductClusterer": "cvsim.products.estimators",
    "ProductMetric": "cvsim.products.estimators",
    "Report": "cvsim.api",
    "Settings": "cvsim.settings",
    "compare": "cvsim.api",
    "dedupe": "cvsim.api",
    "prefilter": "cvsim.api",
}
"""Public names and the module that each is loaded from on first use: importing cvsim costs nothing."""

__all__ = [
    "Compared",
    "CvsimError",
    "Index",
    "ProductClassifier",
    "ProductClusterer",
    "ProductMetric",
    "Report",
    "Settings",
    "__version__",
    "compare",
    "dedupe",
    "prefilter",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cvsim' has no attribute {name!r}; it has {', '.join(__all__)}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
