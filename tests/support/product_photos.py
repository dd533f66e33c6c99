"""Photos of products, drawn."""

from __future__ import annotations

import cv2
import numpy as np


def photo(product: int, seed: int) -> np.ndarray:
    """A product of two colours on a shelf of others, moved and lit a little differently in each photo."""
    of_product, rng = np.random.default_rng(product), np.random.default_rng(1000 + seed)
    colors = of_product.integers(0, 256, (2, 3))
    rgb = cv2.resize(rng.integers(90, 160, (4, 4, 3), dtype=np.uint8), (96, 96))
    x, y = rng.integers(-6, 7, 2) + 48
    cv2.rectangle(rgb, (int(x) - 26, int(y) - 34), (int(x) + 26, int(y) + 34), colors[0].tolist(), -1)
    cv2.circle(rgb, (int(x), int(y)), 8 + product * 2, colors[1].tolist(), -1)
    return np.clip(rgb * rng.uniform(0.85, 1.15), 0, 255).astype(np.uint8)
