"""A job for the executors that decodes files. A module of its own, so that child processes can import it."""

from __future__ import annotations

from dataclasses import dataclass

from cvsim.executors.base import Demand
from cvsim.images.encoded import Content, read_content
from cvsim.images.scan import FileEntry


@dataclass
class DecodeJob:
    longest_px: int

    def load(self, item: FileEntry) -> Content:
        return read_content(item.path)

    def demand(self, payload: Content) -> Demand:
        return Demand(payload.is_risky, payload.memory_bytes)

    def run(self, payload: Content) -> tuple[int, int, bool]:
        decoded = payload.decode(longest_px=self.longest_px)
        return decoded.width_px, decoded.height_px, decoded.damaged
