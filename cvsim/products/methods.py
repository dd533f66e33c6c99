"""The names of the ways to group; a command offers them without importing what does the work."""

from __future__ import annotations

TREES = {"ward": "ward", "average": "average", "components": "single", "chance": "average"}
"""Methods that cut a tree, and scipy's names for how it is built. Training tries them in this order."""
TREE_OF = {"kmeans": "ward", "measured": "average"}
"""The tree that a method without one of its own cuts, where a threshold or a number of groups is given."""
METHODS = ("measured", "components", "average", "ward", "kmeans", "density", "chance")
"""Names of all methods, as ``cvsim cluster --method`` offers them.

``measured`` is the tree of average link, cut where the collection itself says (`cvsim.products.stopping`).
"""
