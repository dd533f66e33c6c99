"""What proves, or rules out, that two files have equal pixels, from the cheapest question to the dearest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from cvsim.executors.base import Demand
from cvsim.images.coded import CodedIdentities
from cvsim.images.decode import EDGE_DIGEST_BYTES, jpeg_edge_digests
from cvsim.images.encoded import Content, read_content

if TYPE_CHECKING:
    from cvsim.stores import Store
    from cvsim.types import Indices

IDENTITY_KEY, EDGES_KEY, PIXELS_KEY = "identity:3", "edges:1", "pixels:1"
"""Keys under which the results of `IdentityJob`, `EdgesJob` and `PixelDigestJob` are stored."""
NO_EDGES = bytes(4 * EDGE_DIGEST_BYTES)


def pixel_numbers(digests: Sequence[str], store: Store) -> Indices:
    """A number for the pixels of each picture, (n,): equal for equal pixels, -1 where they are not known."""
    known = store.descriptors(PIXELS_KEY, set(digests))
    numbers: dict[bytes, int] = {}
    found = (known.get(digest) for digest in digests)
    return np.array([numbers.setdefault(data, len(numbers)) if data else -1 for data in found], np.int64)


@dataclass
class _KnownFilesJob:
    """Work on files that have been read before.

    Attributes
    ----------
    digests : mapping of str to str
        Of each path: known, so the files are not digested again.
    """

    digests: Mapping[str, str]

    def load(self, item: str) -> Content:
        return read_content(item, self.digests[item])

    def demand(self, payload: Content) -> Demand:
        return Demand()


@dataclass
class IdentityJob(_KnownFilesJob):
    """Tell without decoding whether two files can have equal pixels: see `make_identity`."""

    _identities: CodedIdentities = field(default_factory=CodedIdentities)

    def run(self, payload: Content) -> bytes:
        """Do the work; see `Job.run`."""
        found = None if payload.data is None else self._identities.of(payload.data, payload.format)
        if found is None:
            return make_identity(bytes.fromhex(payload.digest))
        tables, code = found
        return make_identity(code, tables)


_TABLES_BYTES = 8


def make_identity(code: bytes, tables: bytes = b"") -> bytes:
    """What tells, of two pictures of one size, that their pixels are equal, or cannot be.

    Parameters
    ----------
    code : bytes
        A digest of everything that decides about pixels: two files that differ in comments and metadata alone
        have the same one.
    tables : bytes
        For a JPEG, a digest of the quantisation tables and the orientation.
    """
    return (b"j" if tables else b"o") + tables[:_TABLES_BYTES].ljust(_TABLES_BYTES, b"\0") + code


def is_same_code(a: bytes | None, b: bytes | None) -> bool:
    """Whether two identities prove equal pixels."""
    return a is not None and a == b


def may_be_equal(a: bytes | None, b: bytes | None) -> bool:
    """Whether pixels may be equal though the identities differ.

    Not for JPEGs of different quantisation or orientation.
    """
    if a is None or b is None or a == b:
        return False
    tables = slice(1, 1 + _TABLES_BYTES)
    return not (a[:1] == b[:1] == b"j" and a[tables] != b[tables])


class EdgesJob(_KnownFilesJob):
    """Decode an edge of a JPEG: see `cvsim.images.decode.edge_digests`."""

    def run(self, payload: Content) -> bytes:
        """Do the work; see `Job.run`."""
        if payload.format != "jpeg" or payload.data is None:
            return NO_EDGES
        return jpeg_edge_digests(payload.data)


def have_equal_edges(a: bytes | None, b: bytes | None) -> bool:
    """Whether none of the edges that are known of both pictures differs."""
    parts = [slice(at, at + EDGE_DIGEST_BYTES) for at in range(0, len(NO_EDGES), EDGE_DIGEST_BYTES)]
    pairs = (((a or NO_EDGES)[part], (b or NO_EDGES)[part]) for part in parts)
    return all(x == y or not any(x) or not any(y) for x, y in pairs)


class PixelDigestJob(_KnownFilesJob):
    """Decode a file at full size, to prove that two pictures have equal pixels."""

    def demand(self, payload: Content) -> Demand:
        """Say what the work takes; see `Job.demand`."""
        return Demand(payload.is_risky, payload.full_memory_bytes, payload.extra_s)

    def run(self, payload: Content) -> bytes:
        """Do the work; see `Job.run`."""
        return bytes.fromhex(payload.pixel_digest())
