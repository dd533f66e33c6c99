"""Pictures that are made, not taken: detailed enough that hashes and keypoints treat them as photographs.

`scene` is the one maker; the sample folder and every test draw from it. A picture is built from a *place*
(terrain, walls, light: fixed by the seed) and *things* in it (fixed by the seed and the arrangement), so that
``scene(7)`` and ``scene(7, arrangement=1)`` are two photographs of one spot: the camera has moved a
little, near parts more than far ones, and the things stand elsewhere. They are near misses, not copies.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from built import city, shelf, still_life, wall
from canvas import Layer, View
from numpy.typing import NDArray
from outdoors import aerial, field, forest, harbour, mountains, pebbles

SCENES: tuple[Callable[[View], Layer], ...] = (
    mountains, still_life, city, field, pebbles, harbour, wall, forest, shelf, aerial,
)  # fmt: skip

LETTERED = (wall, shelf)


def scene(seed: int, width: int = 640, height: int = 480, *, arrangement: int = 0) -> NDArray[np.uint8]:
    """Make a picture.

    Parameters
    ----------
    seed : int
        The kind of scene is ``seed % 10``; every seed is another picture.
    width, height : int
        Size in pixels. The same seed at another size is another picture: resize one to make a copy.
    arrangement : int
        0, or the number of another photograph of the same spot.

    Returns
    -------
    ndarray
        (height, width, 3) uint8, red first.
    """
    place = np.random.default_rng([seed, 1])
    things = np.random.default_rng([seed, 2, arrangement])
    pan = float(things.uniform(0.03, 0.08)) * (arrangement > 0)
    draw = SCENES[seed % len(SCENES)]
    layer = draw(View(width, height, place, things, pan)) * place.uniform(0.88, 1.1, 3)
    if place.random() < 0.5 and draw not in LETTERED:
        layer = layer[:, ::-1]
    return develop(layer, things)


def develop(layer: Layer, rng: np.random.Generator) -> NDArray[np.uint8]:
    """What a camera adds: a tone curve, darker corners, a grain that is a little soft."""
    height, width = layer.shape[:2]
    x, y = np.linspace(-1, 1, width)[None, :], np.linspace(-1, 1, height)[:, None]
    exposed = np.clip(layer, 0, 1) * (1.02 - 0.16 * (x**2 + y**2))[..., None]
    curve = np.clip(exposed, 0, 1) ** 0.92
    grain = cv2.GaussianBlur(rng.normal(0, 0.022, layer.shape).astype(np.float32), (0, 0), 0.7)
    return np.round(np.clip(curve + grain, 0, 1) * 255).astype(np.uint8)
