"""The signals. One file each; `FEATURES` names them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from cvsim.errors import SettingsError
from cvsim.features.base import WORKING_PX, Feature
from cvsim.features.color_histogram import ColorHistogram
from cvsim.features.color_layout import ColorLayout
from cvsim.features.gradient_layout import GradientLayout
from cvsim.features.levels import Levels
from cvsim.features.local import Local
from cvsim.features.moment import TakenAt
from cvsim.features.perceptual_hash import KINDS, PerceptualHash, TurnedHash
from cvsim.features.signature import Signature
from cvsim.features.tiles import Tiles

ENTRY_POINTS = "cvsim.features"
"""Packages add signals under this group: a callable without arguments that returns a `Feature`."""

FEATURES: dict[str, Callable[[], Feature[Any]]] = {
    "phash": TurnedHash,
    "tiles": Tiles,
    "color": ColorHistogram,
    "levels": Levels,
    "color-layout": ColorLayout,
    "gradient": GradientLayout,
    "signature": Signature,
    "local": Local,
    "moment": TakenAt,
    "local-dense": lambda: Local("local-dense", n_keypoints=600),
    **{kind: lambda kind=kind: PerceptualHash(kind) for kind in KINDS},  # type: ignore[misc]
}


def known_features() -> dict[str, Callable[[], Feature[Any]]]:
    """Every signal by name, those of other installed packages included."""
    from importlib.metadata import entry_points  # it takes a while, and so does looking through the packages

    added = {point.name: point.load for point in entry_points(group=ENTRY_POINTS)}
    return {**{name: (lambda load=load: load()()) for name, load in added.items()}, **FEATURES}  # type: ignore[misc]


def make_features(names: Iterable[str], working_px: int = WORKING_PX) -> tuple[Feature[Any], ...]:
    """The named signals, in that order, to be taken from pictures of that size.

    Raises
    ------
    SettingsError
        A name is not known; the message lists those that are.
    """
    features = []
    for name in names:
        known = FEATURES if name in FEATURES else known_features()
        if name not in known:
            raise SettingsError(f"unknown signal {name!r}; known: {', '.join(sorted(known))}")
        feature = known[name]()
        if working_px != feature.working_px:
            feature.working_px = working_px
        features.append(feature)
    return tuple(features)
