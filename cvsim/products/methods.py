"""The names of the ways to group; a command offers them without importing what does the work."""

from __future__ import annotations

TREES = {
    "ward": "ward",
    "average": "average",
    "components": "single",
    "reciprocal": "average",
    "chance": "average",
}
"""Methods that cut a tree, and scipy's names for how it is built. Training tries them in this order."""
TREE_OF = {"kmeans": "ward", "measured": "average", "spectral": "average"}
"""The tree that a method without one of its own cuts, where a threshold or a number of groups is given."""
MEASURED_NUMBER = ("kmeans", "spectral", "reciprocal")
"""Methods that take their number of groups from ``measured`` where nothing else gives one."""
FREE = ("density", "hdbscan", "affinity", "leiden")
"""Methods that find the number of groups themselves."""
METHODS = (
    "measured",
    "components",
    "average",
    "ward",
    "reciprocal",
    "kmeans",
    "spectral",
    "density",
    "hdbscan",
    "affinity",
    "leiden",
    "chance",
)
"""Names of all methods, as ``cvsim cluster --method`` offers them.

``hdbscan``, ``affinity`` and ``spectral`` are those of scikit-learn; ``leiden`` is that of leidenalg (extra
``graph``) on the graph of neighbours. ``reciprocal`` is average link by shared neighbours
(`cvsim.products.reranking`). ``measured`` is the tree of average link, cut where the collection
itself says (`cvsim.products.stopping`).
"""
