"""The nodes of the threshold graph: contents, not files.

Identical files are one node, so that five thousand copies of one file cost no more than one. Where files
must not be paired with each other, a content has a node on each side.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cvsim.types import ImageRecord

if TYPE_CHECKING:
    from cvsim.settings import Settings

NodeSide = tuple[bool, str]


@dataclass(frozen=True, eq=False)
class Node:
    """One content on one side, and the files that hold it.

    Attributes
    ----------
    digest : str
    records : tuple of ImageRecord
        The files, by path.
    is_reference : bool
        The files lie under a reference folder: two such nodes are no pair.
    root : str or None
        The argument that the files were found by, where only pairs between two of those count.
    """

    digest: str
    records: tuple[ImageRecord, ...]
    is_reference: bool = False
    root: str | None = None

    @property
    def first(self) -> ImageRecord:
        """The file that stands for the others."""
        return self.records[0]

    @property
    def side(self) -> NodeSide:
        """What tells the sides of a run apart, in their order."""
        return self.is_reference, self.root or ""

    @property
    def has_pairs_inside(self) -> bool:
        """Whether two of its own files are a pair of the report."""
        return not self.is_reference and self.root is None


@dataclass(frozen=True, slots=True)
class Sides:
    """Which files may be paired.

    Attributes
    ----------
    references : tuple of str
        Absolute folders whose files are not compared with each other.
    between_only : bool
        Only pairs of files that were found by two different arguments count.
    indexed : collection of str
        Paths that an index knows: they are on the side of the references.
    """

    references: tuple[str, ...] = ()
    between_only: bool = False
    indexed: Collection[str] = ()

    @classmethod
    def of(cls, settings: Settings, indexed: Collection[str] = ()) -> Sides:
        """The sides that the settings ask for."""
        folders = tuple(os.path.abspath(folder) for folder in settings.reference)
        return cls(folders, settings.between_only, indexed)

    def _of_file(self, record: ImageRecord, roots: Mapping[str, str]) -> tuple[bool, str | None]:
        is_indexed = record.path in self.indexed
        is_reference = is_indexed or (bool(self.references) and under_any(record.path, self.references))
        root = "" if is_indexed else roots[record.path] if self.between_only else None
        return is_reference, root if self.between_only else None

    def nodes(self, records: Iterable[ImageRecord], roots: Mapping[str, str]) -> list[Node]:
        """Nodes in the order of digest and side: the same for any order and naming of the files.

        Parameters
        ----------
        records : iterable of ImageRecord
            By path.
        roots : mapping of str to str
            The argument by which each path was found.
        """
        members: dict[tuple[str, bool, str | None], list[ImageRecord]] = {}
        for record in records:
            members.setdefault((record.digest, *self._of_file(record, roots)), []).append(record)
        nodes = [
            Node(digest, tuple(files), is_reference, root)
            for (digest, is_reference, root), files in members.items()
        ]
        return sorted(nodes, key=lambda node: (node.digest, node.side))


def make_nodes(records: Iterable[ImageRecord]) -> list[Node]:
    """Nodes of files that may all be paired with each other; see `Sides.nodes`."""
    return Sides().nodes(records, {})


def under_any(path: str, folders: Sequence[str]) -> bool:
    """Whether a path lies under one of the folders, both taken absolutely."""
    real = os.path.abspath(path)
    return any(real == f or real.startswith(f.rstrip(os.sep) + os.sep) for f in folders)
