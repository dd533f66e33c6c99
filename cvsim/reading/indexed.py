"""The files of an index as the other side of a run: known by what the index keeps, wherever they are now."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cvsim.images import archives
from cvsim.images.scan import Scan
from cvsim.reading.files import image_record
from cvsim.types import ImageRecord

if TYPE_CHECKING:
    from cvsim.stores import ImageInfo, KnownFile, SearchableStore

GONE = "the indexed file is not there now; is its drive away?"
CHANGED = "the indexed file has changed since it was indexed; run cvsim index again"


@dataclass(frozen=True, eq=False)
class IndexedFiles:
    """What a run is compared with.

    Attributes
    ----------
    store : SearchableStore
        Holds the descriptors of every record.
    records : tuple of ImageRecord
        By path; paths are absolute.
    """

    store: SearchableStore
    records: tuple[ImageRecord, ...]
    _known: Mapping[str, KnownFile]
    _why_away: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, store: SearchableStore, files: Mapping[bytes, KnownFile], images: Mapping[str, ImageInfo]
    ) -> IndexedFiles:
        """The files whose contents are among `images`, by path and by digest."""
        known = {os.fsdecode(path): one for path, one in files.items() if one.digest in images}
        records = tuple(
            image_record(path, one.digest, one, images[one.digest]) for path, one in sorted(known.items())
        )
        return cls(store, records, known)

    def why_away(self, path: str) -> str:
        """Why an indexed file cannot stand for what the index knows of it; empty where it is there as it was.

        Only what is asked for is looked at, once: a drive that is away may hold most of the index.
        """
        if path not in self._known or archives.split(path) is not None:
            return archives.why_only_read(path)
        if path not in self._why_away:
            self._why_away[path] = self._look(path)
        return self._why_away[path]

    def _look(self, path: str) -> str:
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            return GONE
        if not stat.S_ISREG(status.st_mode):
            return GONE
        known = self._known[path]
        # A drive may give its files other numbers each time that it is mounted.
        is_same = known.size_bytes == status.st_size and known.mtime_ns == status.st_mtime_ns
        return "" if is_same else CHANGED

    def without_own(self, found: Scan) -> tuple[Scan, int]:
        """What a scan found but the indexed files among it, under whatever name; and how many these were."""
        folders: dict[str, str] = {}

        def is_own(path: str) -> bool:
            absolute = os.path.abspath(path)
            folder, name = os.path.split(absolute)
            if folder not in folders:
                folders[folder] = os.path.realpath(folder)
            return absolute in self._known or os.path.join(folders[folder], name) in self._known

        files = tuple(entry for entry in found.files if not is_own(entry.path))
        return replace(found, files=files), len(found.files) - len(files)
