"""Vectors of made-up products: they differ a little, and their photos differ more."""

from __future__ import annotations

import numpy as np


def make_products(
    n_products: int, n_photos: int, *, n_dims: int = 40, seed: int = 0, first: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """(n, n_dims) float32 and (n,) labels. Photos vary most along directions that all products share."""
    shared = np.random.default_rng(99).normal(size=(6, n_dims))
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_products, n_dims))
    labels = np.repeat(np.arange(first, first + n_products), n_photos)
    pose = rng.normal(size=(len(labels), len(shared))) * 3
    noise = rng.normal(size=(len(labels), n_dims)) * 0.25
    return (np.repeat(centres, n_photos, axis=0) + pose @ shared + noise).astype(np.float32), labels
