"""Moment: how many seconds apart two pictures of one camera were taken, by what their files say.

Time is no likeness: it lets alike pictures count that would not be enough by their pixels alone. A picture
without a date says nothing, nor do two of different cameras, whose clocks may differ and whose views do.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cvsim.features.base import Feature, Search, TrackKeys
from cvsim.types import Comparison, Moment

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.features.picture import Picture
    from cvsim.types import RGB, Indices, Similarities

DAY_S = 86_400.0
"""Time apart at which the similarity is 0; in between it falls by the logarithm of the seconds."""
NEIGHBOUR_S = 10.0
"""Pictures of one camera taken within so many seconds are worth a look, whatever they show: a burst and what
people take in a row. Chosen by hand."""
_NO_OFFSET = -(2**31)
_NUMBERS = struct.Struct("<di")


class TakenAt(Feature[Moment]):
    """1 - log(1 + d) / log(1 + a day), d being the seconds between two shots of one camera.

    None where either has no date, or the cameras are not called the same. Clocks are compared by UTC where
    both say how far they are ahead of it, and as they stand otherwise.
    """

    name = "moment"
    search: Search = "track"
    sees_pixels: ClassVar[bool] = False

    def extract(self, rgb: RGB) -> Moment | None:
        return None

    def extract_from(self, picture: Picture) -> Moment | None:
        return picture.moment

    def compare(self, a: Moment | None, b: Moment | None) -> tuple[Comparison, ...]:
        if a is None or b is None or a.camera != b.camera:
            return (Comparison(self.name, None),)
        apart_s = abs(a.local_s - b.local_s)
        if a.offset_s is not None and b.offset_s is not None:
            apart_s = abs(a.local_s - a.offset_s - (b.local_s - b.offset_s))
        similarity = float(closeness(np.array(apart_s)))
        return (Comparison(self.name, similarity, detail={"seconds_apart": apart_s}),)

    def pack(self, descriptors: Sequence[Moment | None]) -> Any:
        """Clock and offset, (n,) float64, NaN where unknown, and the number of the camera, (n,) int64."""
        local_s, offset_s = np.full((2, len(descriptors)), np.nan)
        camera = np.full(len(descriptors), -1, np.int64)
        numbers: dict[str, int] = {}
        for i, moment in enumerate(descriptors):
            if moment is not None:
                local_s[i] = moment.local_s
                offset_s[i] = np.nan if moment.offset_s is None else moment.offset_s
                camera[i] = numbers.setdefault(moment.camera, len(numbers))
        return local_s, offset_s, camera

    def compare_many(self, packed: Any, a: Indices, b: Indices) -> dict[str, Similarities]:
        local_s, offset_s, camera = packed
        utc_s = local_s - offset_s
        apart_s = np.abs(local_s[a] - local_s[b])
        by_utc = np.abs(utc_s[a] - utc_s[b])
        found = closeness(np.where(np.isnan(by_utc), apart_s, by_utc))
        return {self.name: np.where(camera[a] == camera[b], found, np.nan).astype(np.float32)}

    def to_bytes(self, descriptor: Moment) -> bytes:
        offset_s = _NO_OFFSET if descriptor.offset_s is None else descriptor.offset_s
        return _NUMBERS.pack(descriptor.local_s, offset_s) + descriptor.camera.encode()

    def from_bytes(self, data: bytes) -> Moment:
        local_s, offset_s = _NUMBERS.unpack_from(data)
        camera = data[_NUMBERS.size :].decode()
        return Moment(local_s, None if offset_s == _NO_OFFSET else offset_s, camera)

    def track_keys(self, packed: Any) -> TrackKeys | None:
        local_s, _, camera = packed
        owner = np.flatnonzero(camera >= 0)
        return TrackKeys(owner, camera[owner], local_s[owner], NEIGHBOUR_S)


def closeness(apart_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Similarity in [0, 1] of two moments so many seconds apart."""
    return np.asarray(np.clip(1.0 - np.log1p(apart_s) / np.log1p(DAY_S), 0.0, 1.0), np.float64)
