"""The recipe of a comparison of two pictures, wherever they come from: files, arrays, Pillow images."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from cvsim.errors import CvsimError, ImageError, UsageError
from cvsim.executors.base import Demand
from cvsim.executors.local import LocalExecutor
from cvsim.features.base import WORKING_PX, overlaying
from cvsim.groups.rules import GroupRules
from cvsim.images.decode import Decoded
from cvsim.images.encoded import Content, encoded_content, read_content
from cvsim.images.holdings import to_json
from cvsim.images.scan import scan
from cvsim.images.source import (
    ImageSource,
    content_bytes,
    decode_source,
    is_encoded,
    source_pixel_digest,
)
from cvsim.progress import SilentProgress
from cvsim.proof.holds import HOLDINGS_KEY
from cvsim.proof.prove import SAME_BYTES
from cvsim.reading.collection import Collection
from cvsim.reading.extraction import artefacts, working_px
from cvsim.reading.files import read_files
from cvsim.reading.identity import EDGES_KEY, IDENTITY_KEY, NO_EDGES, PIXELS_KEY, make_identity
from cvsim.reading.nodes import make_nodes
from cvsim.reading.plain_pictures import digest_pixels
from cvsim.recipes.linking import Linker
from cvsim.recipes.proving import Prover
from cvsim.recipes.scoring_plan import ScoringPlan, scoring_plan
from cvsim.scoring.explainer import Explainer
from cvsim.settings import ScanSettings
from cvsim.stores import Extraction, MemoryStore, Store, on_sound_store
from cvsim.types import Holdings, ImageRecord, Pair, ScoredPair, Side

if TYPE_CHECKING:
    from cvsim.features.base import OverlayFeature
    from cvsim.settings import Settings
    from cvsim.stores import Store

    Path = str | os.PathLike[str]


def is_path(source: ImageSource) -> TypeGuard[Path]:
    """Whether a picture is given as a file."""
    return isinstance(source, (str, os.PathLike))


def compare(a: ImageSource, b: ImageSource, settings: Settings, *, kept: Side | None = None) -> ScoredPair:
    """Score one pair as `dedupe` would; what is no file is called ``"a"`` or ``"b"``.

    Of two files at or above the threshold it is proved that one can go, or not: the one that is not `kept`,
    or, if that is not given, the one that the keep rules let go.

    Raises
    ------
    UsageError
        A path does not exist or is a folder, or an array has another shape or type.
    ImageError
        One of the two cannot be used.
    """
    if is_encoded(a) or is_encoded(b):
        return _compare_as_files(a, b, settings, kept)
    if is_path(a) and is_path(b):
        return on_sound_store(settings.cache, lambda store: _on_store(a, b, settings, kept, store))
    with MemoryStore() as store:
        return _on_store(a, b, settings, kept, store)


def _on_store(
    a: ImageSource, b: ImageSource, settings: Settings, kept: Side | None, store: Store
) -> ScoredPair:
    plan = scoring_plan(settings)
    names = _names(a, b)
    are_files = is_path(a) and is_path(b)
    files = _read_files([n for n, s in zip(names, (a, b), strict=True) if is_path(s)], plan, settings, store)
    first, second = (
        files[name] if is_path(source) else _put_pixels(source, name, plan, store)
        for source, name in zip((a, b), names, strict=True)
    )
    nodes = make_nodes(dict.fromkeys((first, second)))
    if len(nodes) == 1:
        same = same_content(first, second, plan, kept, paths=(names[0], names[1]))
        if not are_files:
            same = replace(same, relation="identical-pixels", changes=("identical-pixels",))
        return same
    collection = Collection(nodes, plan.features, store)
    if are_files:
        digest_pixels(collection, settings.n_workers)
    linker = Linker(collection, plan, n_workers=settings.n_workers)
    linker.score_all((np.array([0]), np.array([1])), "Comparing pictures")
    linker.confirm_pixels(np.array([0]))
    pair = linker.explainer().pair(0, first, second)
    if pair.score < plan.threshold or not are_files:
        return pair
    with Prover(linker, GroupRules.of(settings, plan.threshold), n_workers=settings.n_workers) as prover:
        return prover.proved_pair(pair, first, second, kept)


def same_content(
    a: ImageRecord,
    b: ImageRecord,
    plan: ScoringPlan,
    kept: Side | None = None,
    *,
    paths: tuple[str, str] | None = None,
) -> ScoredPair:
    """The pair of two files of the same bytes, about which nothing needs to be computed."""
    same = Explainer.identical(a, b, plan.model.prior, paths=paths)
    return replace(same, proof=SAME_BYTES, copy="a" if kept == "b" else "b")


def _names(a: ImageSource, b: ImageSource) -> list[str]:
    return [os.fsdecode(s) if is_path(s) else name for s, name in ((a, "a"), (b, "b"))]


def _compare_as_files(a: ImageSource, b: ImageSource, settings: Settings, kept: Side | None) -> ScoredPair:
    """`compare`, in which the content of an image file is a file for as long as it takes.

    So it is decoded where it can do no harm, and what it holds besides its pixels counts, too.
    """
    with tempfile.TemporaryDirectory(prefix="cvsim-") as folder:
        sources = [a, b]
        for k, name in enumerate("ab"):
            source = sources[k]
            if is_encoded(source):
                sources[k] = os.path.join(folder, name)
                with open(os.path.join(folder, name), "xb") as file:
                    file.write(content_bytes(source))
        try:
            alone = replace(settings, cache=None, scan=ScanSettings())
            pair = compare(sources[0], sources[1], alone, kept=kept)
        except ImageError as exc:
            raise type(exc)(str(exc).replace(folder + os.sep, "")) from exc
    return replace(pair, pair=Pair(*_names(a, b)))


def _read_files(
    paths: Sequence[str], plan: ScoringPlan, settings: Settings, store: Store
) -> dict[str, ImageRecord]:
    """Records of the files, by path; the store gets everything else that scoring needs of them."""
    if not paths:
        return {}
    for path in paths:
        if os.path.isdir(path):
            raise UsageError(f"{path} is a folder; compare takes two pictures, dedupe takes folders")
    found = scan(paths, **settings.scan.keywords)
    with LocalExecutor(settings.n_workers) as executor:
        reading = read_files(found, plan.features, store, executor=executor, progress=SilentProgress())
    if reading.skipped:
        raise ImageError(f"{reading.skipped[0].path}: {reading.skipped[0].reason}")
    by_path = {record.path: record for record in reading.records}
    # A second name of one file is no second entry of the scan.
    ends = {paths[0]: reading.records[0], paths[-1]: reading.records[-1]}
    return {path: by_path.get(path) or ends[path] for path in paths}


def _put_pixels(source: ImageSource, name: str, plan: ScoringPlan, store: Store) -> ImageRecord:
    """The record of a picture that is no file; the store gets everything else that scoring needs of it."""
    decoded = decode_source(source, longest_px=working_px(plan.features))
    digest = source_pixel_digest(source)
    # There are no bytes to tell it from others by: its pixels are all that it is.
    own = {
        IDENTITY_KEY: make_identity(bytes.fromhex(digest)),
        EDGES_KEY: NO_EDGES,
        PIXELS_KEY: bytes.fromhex(digest),
        HOLDINGS_KEY: to_json(Holdings()),
    }
    store.put(Extraction(digest, artefacts={**artefacts(decoded, plan.features), **own}))
    return ImageRecord(name, digest, decoded.width_px, decoded.height_px, 0, 0, decoded.format)


@dataclass(frozen=True, eq=False)
class ComparedPictures:
    """What a picture of a comparison needs besides its result.

    Attributes
    ----------
    pictures : (Decoded, Decoded)
        The pixels that the features were taken from.
    local : OverlayFeature or None
        The signal that knows keypoints, if it is in use.
    threshold : float
    """

    pictures: tuple[Decoded, Decoded]
    local: OverlayFeature[Any] | None
    threshold: float


def look_again(a: ImageSource, b: ImageSource, settings: Settings) -> ComparedPictures:
    """Decode the two once more, to be shown; files where the decoder can be killed.

    Raises
    ------
    ImageError
        One of the two cannot be used any more.
    """
    plan = scoring_plan(settings)
    return ComparedPictures((_pixels(a), _pixels(b)), overlaying(plan.features), plan.threshold)


def _pixels(source: ImageSource) -> Decoded:
    item: str | bytes
    if is_encoded(source):
        item = content_bytes(source)
    elif is_path(source):
        item = os.fsdecode(source)
    else:
        return decode_source(source, longest_px=WORKING_PX)
    with LocalExecutor(1) as executor:
        (outcome,) = (outcome for _, outcome in executor.map(PixelsJob(), [item]))
    if isinstance(outcome, CvsimError):
        raise ImageError(f"{item}: {outcome}" if isinstance(item, str) else str(outcome)) from outcome
    return outcome


class PixelsJob:
    """Decode a file, or the content of one, at the size that features are taken at."""

    def load(self, item: str | bytes) -> Content:
        """Read what is worked on; see `Job.load`."""
        return read_content(item) if isinstance(item, str) else encoded_content(item)

    def demand(self, payload: Content) -> Demand:
        """Say what the work takes; see `Job.demand`."""
        return Demand(payload.is_risky, payload.memory_bytes)

    def run(self, payload: Content) -> Decoded:
        """Do the work; see `Job.run`."""
        return payload.decode(longest_px=WORKING_PX)
