"""The recipe of a comparison of two pictures, wherever they come from: files, arrays, Pillow images."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeGuard

import numpy as np

from cvsim.errors import CvsimError, ImageError
from cvsim.executors.base import Demand
from cvsim.executors.local import LocalExecutor
from cvsim.features.local import Local
from cvsim.images.decode import Decoded
from cvsim.images.encoded import Content, read_content
from cvsim.images.source import ImageSource, decode_source, source_pixel_digest
from cvsim.progress import SilentProgress
from cvsim.reading.collection import find_files, make_nodes, read_files
from cvsim.reading.extraction import (
    EDGES_KEY,
    IDENTITY_KEY,
    NO_EDGES,
    PIXELS_KEY,
    WORKING_PX,
    artefacts,
    make_identity,
    working_px,
)
from cvsim.recipes import dedupe as pipeline
from cvsim.recipes.dedupe import Plan, Run, make_plan
from cvsim.scoring.explainer import Explainer
from cvsim.stores import Extraction, MemoryStore
from cvsim.types import ImageRecord, ScoredPair

if TYPE_CHECKING:
    from cvsim.settings import Settings

    Path = str | os.PathLike[str]


def is_path(source: ImageSource) -> TypeGuard[Path]:
    """Whether a picture is given as a file."""
    return isinstance(source, (str, os.PathLike))


def compare(a: ImageSource, b: ImageSource, settings: Settings) -> ScoredPair:
    """Score one pair as `dedupe` would; what is no file is called ``"a"`` or ``"b"``.

    Raises
    ------
    UsageError
        A path does not exist, or an array has another shape or type.
    ImageError
        One of the two cannot be used.
    """
    if is_path(a) and is_path(b):
        return pipeline.compare(os.fsdecode(a), os.fsdecode(b), settings)
    plan, store = make_plan(settings), MemoryStore()
    first, second = (_record(s, name, plan, settings, store) for s, name in ((a, "a"), (b, "b")))
    nodes = make_nodes(dict.fromkeys((first, second)), {first.path: "", second.path: ""})
    if len(nodes) == 1:
        same = Explainer.identical(first, second, plan.model.prior)
        return replace(same, relation="identical-pixels")
    run = Run(plan, settings, nodes, store, SilentProgress())
    explainer = run.explainer(run.scorer.score(np.array([0]), np.array([1])))
    explainer.confirm_pixels(np.array([0]))
    return explainer.pair(0, first, second)


def _record(
    source: ImageSource, name: str, plan: Plan, settings: Settings, store: MemoryStore
) -> ImageRecord:
    """The record of one of the two; the store gets everything else that scoring needs of it."""
    if is_path(source):
        found = find_files([os.fsdecode(source)], (), settings.scan)
        with LocalExecutor(1) as executor:
            reading = read_files(found, plan.features, store, executor=executor, progress=SilentProgress())
        if reading.skipped:
            raise ImageError(f"{reading.skipped[0].path}: {reading.skipped[0].reason}")
        return reading.records[0]
    decoded = decode_source(source, longest_px=working_px(plan.features))
    digest = source_pixel_digest(source)
    # There are no bytes to tell it from others by: its pixels are all that it is.
    own = {
        IDENTITY_KEY: make_identity(bytes.fromhex(digest)),
        EDGES_KEY: NO_EDGES,
        PIXELS_KEY: bytes.fromhex(digest),
    }
    store.put(Extraction(digest, artefacts={**artefacts(decoded.rgb, plan.features), **own}))
    return ImageRecord(name, digest, decoded.width_px, decoded.height_px, 0, 0, decoded.format)


@dataclass(frozen=True, eq=False)
class ComparedPictures:
    """What a picture of a comparison needs besides its result.

    Attributes
    ----------
    pictures : (Decoded, Decoded)
        The pixels that the features were taken from.
    local : Local or None
        The signal that knows keypoints, if it is in use.
    threshold : float
    """

    pictures: tuple[Decoded, Decoded]
    local: Local | None
    threshold: float


def look_again(a: ImageSource, b: ImageSource, settings: Settings) -> ComparedPictures:
    """Decode the two once more, to be shown; files where the decoder can be killed.

    Raises
    ------
    ImageError
        One of the two cannot be used any more.
    """
    plan = make_plan(settings)
    local = next((feature for feature in plan.features if isinstance(feature, Local)), None)
    return ComparedPictures((_pixels(a), _pixels(b)), local, plan.threshold)


def _pixels(source: ImageSource) -> Decoded:
    if not is_path(source):
        return decode_source(source, longest_px=WORKING_PX)
    path = os.fsdecode(source)
    with LocalExecutor(1) as executor:
        (outcome,) = (outcome for _, outcome in executor.map(PixelsJob(), [path]))
    if isinstance(outcome, CvsimError):
        raise ImageError(f"{path}: {outcome}") from outcome
    return outcome


class PixelsJob:
    """Decode a file at the size that features are taken at."""

    def load(self, item: str) -> Content:
        return read_content(item)

    def demand(self, payload: Content) -> Demand:
        return Demand(payload.is_risky, payload.memory_bytes)

    def run(self, payload: Content) -> Decoded:
        return payload.decode(longest_px=WORKING_PX)
