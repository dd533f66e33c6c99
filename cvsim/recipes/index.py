"""The recipe of an index: pictures in, once; what is found by keeps step with the files."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cvsim._version import __version__
from cvsim.candidates.words import word_keys
from cvsim.errors import SettingsError, StoreError, UsageError
from cvsim.executors import open_executor
from cvsim.features.base import Feature
from cvsim.features.vector import VectorFeature
from cvsim.fetch.dataset import LABELS_NAME
from cvsim.files import JsonResult, read_table
from cvsim.groups.evaluation import LABEL_COLUMNS
from cvsim.images.scan import require_paths, scan
from cvsim.names import of_cell, printable
from cvsim.progress import SilentProgress
from cvsim.reading.extraction import DECODER
from cvsim.reading.files import read_files
from cvsim.recipes.products import PRODUCT_SIGNALS, vector_features
from cvsim.recipes.scoring_plan import require_copies, scoring_plan
from cvsim.settings import COPY, EFFORTS, PROFILES, Settings
from cvsim.stores import ImageKeys, KnownFile, SearchableStore
from cvsim.types import Skipped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.progress import Progress
    from cvsim.recipes.scoring_plan import ScoringPlan

_log = logging.getLogger(__name__)

N_WORD_TABLES = 2
WORD_BITS = 20
N_PROJECTED = 128
"""Numbers that the product signals are brought to for finding neighbours; scores use all of them."""
_BATCH = 256
_ALSO = "also"
"""The note of the efforts that `dedupe --against` is to find everything for."""
_ADDING = "adding"
"""The note of a run: where it is not done, a killed one may have left contents without a file."""
_VERSION = "version"
"""The note of the version of cvsim that last brought it up to date."""


@dataclass(frozen=True, eq=False)
class Signals:
    """What is taken of each picture of an index.

    Attributes
    ----------
    plan : ScoringPlan
        Of the copy profile: what scores copies.
    product : tuple of VectorFeature
        What look-alikes are found and scored by.
    trained : ScoringPlan or None
        Of a profile that `cvsim train` made: what scores look-alikes instead.
    """

    plan: ScoringPlan
    product: tuple[VectorFeature, ...]
    trained: ScoringPlan | None = None

    @classmethod
    def of(cls, settings: Settings) -> Signals:
        """Choose the signals that settings ask for.

        Raises
        ------
        SettingsError
            The profile is not made for copies or products, or is not known.
        """
        require_copies(settings, "an index finds")
        product = vector_features(None, settings.embedding)
        if settings.profile in PROFILES:
            # Named, so that they are taken from the same pixels as the product signals.
            names = settings.signals or PROFILES[settings.profile].signals[settings.effort]
            return cls(scoring_plan(replace(settings, signals=names, embedding=None)), product)
        trained = scoring_plan(settings)
        missing = {feature.key for feature in trained.features} - {feature.key for feature in product}
        if missing:
            raise SettingsError(
                f"the profile {settings.profile} was trained with signals that an index does not hold "
                f"({', '.join(sorted(missing))}); train it with {', '.join(PRODUCT_SIGNALS)}"
            )
        return cls(scoring_plan(replace(settings, profile=COPY.name, embedding=None)), product, trained)

    @property
    def product_space(self) -> str:
        """Where the vectors that look-alikes are found by are kept."""
        return f"product:1:{N_PROJECTED}:{'+'.join(feature.name for feature in self.product)}"

    @property
    def features(self) -> tuple[Feature[Any], ...]:
        """Make the features of all signals."""
        by_key = {feature.key: feature for feature in (*self.plan.features, *self.product)}
        return tuple(by_key.values())

    @property
    def description(self) -> str:
        """Differs where two indexes could not be searched in the same way."""
        spaces = [word_space(f) for f in self.features if f.search == "words"]
        return " ".join(sorted([*(f.key for f in self.features), *spaces, self.product_space]))


def check_signals(store: SearchableStore, signals: Signals) -> None:
    """Refuse an index that was filled with other signals.

    Raises
    ------
    StoreError
        Nothing was changed in it.
    """
    kept = store.describe("signals", signals.description)
    if kept != signals.description:
        other = sorted(set(kept.split()) - set(signals.description.split()))
        raise StoreError(
            f"{store.location} was filled with other signals ({', '.join(other) or 'fewer'}): leave out "
            "--effort, --signals and --embedding, which it knows itself, take the version of cvsim that made "
            "it, or index the pictures anew elsewhere"
        )


@dataclass(frozen=True, slots=True)
class IndexReport(JsonResult):
    """What adding to an index did.

    Attributes
    ----------
    n_files, n_images : int
        Files looked at; different readable pictures among them.
    n_new, n_known, n_vanished : int
        Contents added; files that were known already; files forgotten: moved ones, and with `forget` all that
        are gone.
    skipped : tuple of Skipped
    n_missing : int
        Known files that are not there now and were not forgotten: their drive may be away.
    n_read_again : int
        Known pictures that another version of cvsim had decoded, and that were read again for that.
    made_by : str
        The version of cvsim that brought the index up to date before, where it is not this one; empty also
        where it did not say.
    """

    n_files: int
    n_images: int
    n_new: int
    n_known: int
    n_vanished: int
    skipped: tuple[Skipped, ...]
    n_missing: int = 0
    n_read_again: int = 0
    made_by: str = ""

    def document(self) -> dict[str, Any]:
        """What ``cvsim index --json`` prints."""
        return {
            "files": self.n_files,
            "images": self.n_images,
            "new": self.n_new,
            "known": self.n_known,
            "vanished": self.n_vanished,
            "missing": self.n_missing,
            "read_again": self.n_read_again,
            "made_by": self.made_by,
            "skipped": [{"path": item.path, "reason": item.reason} for item in self.skipped],
        }


def add(
    store: SearchableStore,
    signals: Signals,
    paths: Sequence[str],
    settings: Settings,
    *,
    labels: Iterable[tuple[bytes, str]] = (),
    by_label: bool = False,
    listed: Iterable[str] = (),
    forget: bool = False,
    also: Sequence[str] = (),
    progress: Progress | None = None,
) -> IndexReport:
    """Bring the index up to date with the files under `paths`; see `cvsim.Index.add`."""
    listed = list(listed)
    require_paths(paths, listed)
    progress = progress or SilentProgress()
    found = scan(paths, listed=listed, **settings.scan.keywords)
    if by_label:
        labels = [*labels, *_labels_by_place(paths, [entry.path for entry in found.files])]
    _forget_damaged(store, paths)
    unfinished = store.note(_ADDING, "begun") == "begun"
    there = {os.fsencode(os.path.abspath(entry.path)) for entry in found.files}
    below = _known_below(store, paths)
    before = {known.digest for known in (below | store.known_files(there - below.keys())).values()}
    of_another = before - store.images(DECODER, before).keys() - store.failures(DECODER, before).keys()
    with open_executor(settings.scheduler, settings.n_workers) as executor:
        reading = read_files(
            found,
            signals.features,
            store,
            executor=executor,
            progress=progress,
            contents=before,
            thumbnails=True,
        )
        for features in _also(store, signals, settings, also):
            read_files(found, features, store, executor=executor, progress=progress, contents=before)
    contents = {record.digest for record in reading.records}
    absent = [path for path in below if path not in there]
    # A file that was moved, or left out by the options of this run, is no file of a drive that is away.
    gone = [p for p in absent if forget or below[p].digest in contents or os.path.lexists(p)]
    store.forget_files(gone)
    new = sorted(contents - store.keyed(contents))
    with progress.task("Indexing pictures", len(new)) as advance:
        for start in range(0, len(new), _BATCH):
            batch = new[start : start + _BATCH]
            store.put_keys(keys_of(store, signals, batch))
            advance(len(batch))
    store.put_labels(labels)
    _forget_orphans(store, None if unfinished else before - contents)
    store.note(_ADDING, "done")
    made_by = store.note(_VERSION, __version__)
    return IndexReport(
        n_files=reading.n_files,
        n_images=len(contents),
        n_new=len(new),
        n_known=len(found.files) - reading.n_read,
        n_vanished=len(gone),
        skipped=reading.skipped,
        n_missing=len(absent) - len(gone),
        n_read_again=len(of_another & contents),
        made_by="" if made_by == __version__ else made_by,
    )


def _also(
    store: SearchableStore, signals: Signals, settings: Settings, efforts: Sequence[str]
) -> list[tuple[Feature[Any], ...]]:
    """What else `dedupe --against` needs at efforts that were asked for, now or in an earlier run.

    Each is taken in a reading of its own: the efforts start from pixels of different sizes.
    """
    kept = store.note(_ALSO, "").split()
    wanted = [effort for effort in EFFORTS if effort in (*kept, *efforts)]
    store.note(_ALSO, " ".join(wanted))
    own = {feature.key for feature in signals.features}
    plans = [scoring_plan(Settings(effort=effort)).features for effort in wanted]  # type: ignore[arg-type]
    return [features for features in plans if not own >= {feature.key for feature in features}]


def _forget_damaged(store: SearchableStore, paths: Sequence[str]) -> None:
    """Forget the contents that are damaged, so that their files are read again.

    Raises
    ------
    StoreError
        Some of their files lie elsewhere, and would be forgotten for good.
    """
    damaged = store.damaged_contents()
    if not damaged:
        return
    files = {path for found in store.files_of(damaged).values() for path in found}
    if elsewhere := sorted(files - _known_below(store, paths).keys()):
        raise StoreError(
            f"{store.location} is damaged: index these together with the others: "
            + ", ".join(printable(os.fsdecode(path)) for path in elsewhere)
        )
    store.delete(damaged)
    store.is_damaged = False
    _log.info("%s: %d damaged pictures are indexed again", store.location, len(damaged))


def remove(store: SearchableStore, paths: Sequence[str]) -> int:
    """Forget the files at or under `paths`, whether they are there or not; how many were known."""
    gone = _known_below(store, paths)
    store.forget_files(list(gone))
    _forget_orphans(store, {known.digest for known in gone.values()})
    return len(gone)


def _known_below(store: SearchableStore, paths: Sequence[str]) -> dict[bytes, KnownFile]:
    """What is known of the files at or under `paths`."""
    found: dict[bytes, KnownFile] = {}
    for path in paths:
        found |= store.files_under(os.fsencode(os.path.abspath(path)))
    return found


def _forget_orphans(store: SearchableStore, suspects: set[str] | None) -> None:
    """Delete those among `suspects` (None: all contents) that no file has any more."""
    orphans = store.orphans() if suspects is None else suspects - store.files_of(suspects).keys()
    if orphans:
        store.delete(orphans)


def read_index_labels(file: str | os.PathLike[str], roots: Sequence[str]) -> list[tuple[bytes, str]]:
    """Labels of absolute paths, from a CSV ``file,label``; a file may have several rows.

    Parameters
    ----------
    file : path
    roots : sequence of str
        What the files are relative to: the first under which one is.

    Raises
    ------
    UsageError
        It cannot be read, or names a file that is under none of `roots`.
    """
    try:
        return [
            (_absolute(of_cell(row["file"]), roots, file), of_cell(row["label"]))
            for _, row in read_table(file, LABEL_COLUMNS)
            if row.get("label")
        ]
    except OSError as exc:
        raise UsageError(f"{os.fspath(file)}: cannot be read: {exc.strerror or exc}") from exc


def _labels_by_place(roots: Sequence[str], files: Iterable[str]) -> Iterator[tuple[bytes, str]]:
    """Labels of what lies under `roots`: from a root's own list, or else the name of the folder in it."""
    lists = {root: os.path.join(root, LABELS_NAME) for root in roots}
    for root, file in lists.items():
        if os.path.isfile(file):
            yield from read_index_labels(file, [root])
    for path in files:
        absolute = os.path.abspath(path)
        for root, file in lists.items():
            inside = os.path.relpath(absolute, os.path.abspath(root))
            label, separator, _ = inside.partition(os.sep)
            if separator and label != os.pardir and not os.path.isfile(file):
                yield os.fsencode(absolute), label
                break


def _absolute(name: str, roots: Sequence[str], file: str | os.PathLike[str]) -> bytes:
    for root in roots:
        path = os.path.join(root, name)
        if os.path.exists(path):
            return os.fsencode(os.path.abspath(path))
    raise UsageError(f"{os.fspath(file)} labels {name!r}, which is under none of the paths")


# --- keys -------------------------------------------------------------------------------------------------


def keys_of(store: SearchableStore, signals: Signals, digests: Sequence[str]) -> dict[str, ImageKeys]:
    """What the pictures are found by, from their stored descriptors."""
    held: dict[str, Mapping[str, bytes | None]] = {
        feature.key: store.descriptors(feature.key, digests) for feature in signals.features
    }
    hashes = _hashes(signals, held, digests)
    found = {}
    for k, digest in enumerate(digests):
        found[digest] = ImageKeys(
            {space: rows[k] for space, rows in hashes.items() if len(rows[k])},
            _stored_words(signals, held, digest),
            _vectors(signals, held, digest),
        )
    return found


def _hashes(
    signals: Signals, held: Mapping[str, Mapping[str, bytes | None]], digests: Sequence[str]
) -> dict[str, list[NDArray[np.uint64]]]:
    found = {}
    for feature in signals.features:
        if feature.search == "hamming":
            keys = feature.hash_keys(feature.pack([descriptor(feature, held, d) for d in digests]))
            if keys is not None:
                found[feature.key] = [keys.stored[keys.owner == k] for k in range(len(digests))]
    return found


def descriptor(feature: Feature[Any], held: Mapping[str, Mapping[str, bytes | None]], digest: str) -> Any:
    """The descriptor of a picture, None where it holds no evidence."""
    data = held[feature.key].get(digest)
    return None if data is None else feature.from_bytes(data)


def word_space(feature: Feature[Any]) -> str:
    """Name the space that the words of a feature are stored in."""
    return f"{feature.key}:words:{N_WORD_TABLES}x{WORD_BITS}"


def _stored_words(
    signals: Signals, held: Mapping[str, Mapping[str, bytes | None]], digest: str
) -> dict[str, NDArray[np.uint32]]:
    return {
        word_space(feature): words_of(feature, descriptor(feature, held, digest))
        for feature in signals.features
        if feature.search == "words"
    }


def words_of(feature: Feature[Any], local: Any) -> NDArray[np.uint32]:
    """Words of a picture's keypoints: a few runs of each descriptor's bits."""
    keys = feature.word_keys([local], np.array([0])) if local is not None else None
    if keys is None:
        return np.zeros(0, np.uint32)
    tables = [
        word_keys(keys.bits[: keys.n_upright], table, WORD_BITS) | np.uint32(table << WORD_BITS)
        for table in range(N_WORD_TABLES)
    ]
    return np.unique(np.concatenate(tables))


def near_words(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The words, and all that differ from one in a single bit: a descriptor's bits are not quite stable."""
    flips = np.uint32(1) << np.arange(WORD_BITS, dtype=np.uint32)
    return np.unique(np.concatenate([words, (words[:, None] ^ flips[None, :]).reshape(-1)]))


def _vectors(
    signals: Signals, held: Mapping[str, Mapping[str, bytes | None]], digest: str
) -> dict[str, NDArray[np.float32]]:
    vector = projected([descriptor(feature, held, digest) for feature in signals.product])
    return {} if vector is None else {signals.product_space: vector}


def projected(descriptors: Sequence[Any]) -> NDArray[np.float32] | None:
    """The product signals as one short vector whose angles are about those of all (Johnson-Lindenstrauss).

    None where a signal holds no evidence.
    """
    if any(d is None for d in descriptors):
        return None
    total = np.zeros(N_PROJECTED, np.float32)
    for k, d in enumerate(descriptors):
        total += d.astype(np.float32) @ _projection(k, len(d))
    norm = float(np.linalg.norm(total))
    return total / norm if norm > 0 else None


_PROJECTIONS: dict[tuple[int, int], NDArray[np.float32]] = {}


def _projection(k: int, n_dims: int) -> NDArray[np.float32]:
    """Fixed random signs: the same in every process, whatever numpy's version."""
    if (k, n_dims) not in _PROJECTIONS:
        bits = np.random.RandomState(k).bytes(n_dims * N_PROJECTED // 8)
        signs = np.unpackbits(np.frombuffer(bits, np.uint8)).astype(np.float32) * 2 - 1
        _PROJECTIONS[k, n_dims] = signs.reshape(n_dims, N_PROJECTED) / np.float32(N_PROJECTED**0.5)
    return _PROJECTIONS[k, n_dims]
