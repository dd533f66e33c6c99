"""What a store of an index can besides: find pictures by their keys.

A store knows spaces, numbers and vectors; the code that named a space knows what they mean. It returns
candidates and nothing else: the caller scores them, so that every engine gives the same answers.
"""

from __future__ import annotations

import hashlib
import os
from abc import abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from cvsim.stores.base import KnownFile, Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T", str, bytes)


@dataclass(frozen=True, eq=False)
class ImageKeys:
    """What one content is found by, each by space.

    Attributes
    ----------
    hashes : mapping of str to (n,) uint64
    words : mapping of str to (n,) uint32
    vectors : mapping of str to (n_dims,) float32
        Vectors of norm 1; all vectors of a space have the same length.
    """

    hashes: Mapping[str, NDArray[np.uint64]] = field(default_factory=dict)
    words: Mapping[str, NDArray[np.uint32]] = field(default_factory=dict)
    vectors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Which contents a search is kept to: those of which a file fulfils each of these.

    Attributes
    ----------
    label : str or None
        It bears this label.
    folder : bytes or None
        It lies somewhere below this absolute path.
    """

    label: str | None = None
    folder: bytes | None = None


class SearchableStore(Store):
    """A store that finds contents by hashes, words and vectors, and knows labels of files.

    What is put here is written before the call returns.
    """

    @abstractmethod
    def describe(self, name: str, value: str) -> str:
        """The value kept under `name`; `value` is kept where there is none yet."""

    @abstractmethod
    def note(self, name: str, value: str) -> str:
        """Keep `value` under `name`; the value that was kept before, empty if there was none."""

    @abstractmethod
    def noted(self, name: str) -> str:
        """The value kept under `name`; empty if there is none."""

    @contextmanager
    def sound(self) -> Iterator[None]:
        """What is read in this block is sound, or the block ends with an error.

        Raises
        ------
        DamagedStoreError
            The message says which files to index again. Engines that look after their rows raise their own.
        """
        yield

    def damaged_contents(self) -> set[str]:
        """Contents of which something that is kept is damaged.

        Raises
        ------
        DamagedStoreError
            It cannot be told which.
        """
        return set()

    def orphans(self) -> set[str]:
        """Contents that no known file has."""
        self.flush()
        return self._orphans()

    @abstractmethod
    def put_keys(self, keys: Mapping[str, ImageKeys]) -> None:
        """Keep the keys of contents, by digest, in place of those known before."""

    @abstractmethod
    def keyed(self, digests: Collection[str] | None = None) -> set[str]:
        """Those among `digests` (None: all) whose keys are kept."""

    @abstractmethod
    def n_keyed(self) -> int:
        """Count the contents for which keys are kept."""

    @abstractmethod
    def within_bits(self, space: str, hashes: NDArray[np.uint64], radius_bits: int) -> set[str]:
        """Exactly the digests with a hash within the radius (inclusive) of any of `hashes`."""

    @abstractmethod
    def by_words(
        self,
        space: str,
        words: NDArray[np.uint32],
        limit: int,
        at_least: int = 1,
        narrowing: Narrowing | None = None,
    ) -> list[tuple[str, int]]:
        """Digests that share the most of `words`, and how many: the most first, then by digest.

        At most `limit`, and none that shares fewer than `at_least` or lies outside of the narrowing.
        """

    @abstractmethod
    def nearest(
        self, space: str, vector: NDArray[np.float32], limit: int, narrowing: Narrowing | None = None
    ) -> list[tuple[str, float]]:
        """The digests with the largest cosine to `vector`, and that: at most `limit`.

        Stored vectors are kept in half precision by every engine. All find exactly the nearest, but for an
        engine that goes by a graph where there are many, and says so.
        """

    @abstractmethod
    def files_under(self, folder: bytes) -> dict[bytes, KnownFile]:
        """What is known of the file at an absolute path, and of those anywhere below it."""

    @abstractmethod
    def files_of(self, digests: Collection[str]) -> dict[str, list[bytes]]:
        """Absolute paths of the files with these contents, in order."""

    @abstractmethod
    def put_labels(self, labels: Iterable[tuple[bytes, str]]) -> None:
        """Keep labels of absolute paths, in place of all that these paths had."""

    @abstractmethod
    def labels_of(self, paths: Collection[bytes]) -> dict[bytes, tuple[str, ...]]:
        """Labels of the files that have any, in order."""

    @abstractmethod
    def labelled(self, label: str) -> set[str]:
        """Digests of the files with this label."""

    def labels(self, limit: int) -> list[tuple[str, int]]:
        """The labels that most files bear, and how many do: at most `limit`, in order of the labels."""
        held = self.labels_of(list(self.known_files()))
        return _commonest(Counter(label for labels in held.values() for label in labels), limit)

    def folders(self, limit: int) -> list[tuple[bytes, int]]:
        """The folders in which the most known files lie, at any depth, and how many: in order of paths."""
        counts = Counter(folder for path in self.known_files() for folder in ancestors(path))
        return _commonest(counts, limit)

    def among(self, narrowing: Narrowing | None) -> set[str] | None:
        """The contents that a search is kept to; None: all."""
        found: set[str] | None = None
        if narrowing is not None and narrowing.label is not None:
            found = self.labelled(narrowing.label)
        if narrowing is not None and narrowing.folder is not None:
            inside = {known.digest for known in self.files_under(narrowing.folder).values()}
            found = inside if found is None else found & inside
        return found


def as_text(label: str) -> str:
    """A label as text that can be written: what is not is replaced, the same way everywhere."""
    return label.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _commonest(counts: Counter[T], limit: int) -> list[tuple[T, int]]:
    return sorted(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:limit])


def ancestors(path: bytes) -> Iterator[bytes]:
    """All folders that an absolute path lies in, the innermost first."""
    while (folder := os.path.dirname(path)) != path:
        yield folder
        path = folder


def row_id(*parts: str) -> str:
    """Hash what identifies a row into its key."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
