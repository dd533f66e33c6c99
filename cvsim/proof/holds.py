"""What a file holds, taken from it when it is asked for, and what a copy holds that the kept file lacks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cvsim.executors.artefacts import stored_or_made
from cvsim.executors.base import Demand
from cvsim.images.encoded import Content, read_content
from cvsim.images.holdings import from_json, part_in_words, read_holdings, to_json, with_alpha
from cvsim.types import Holdings, ImageRecord

if TYPE_CHECKING:
    from cvsim.stores import Store

HOLDINGS_KEY = "holdings:1"
"""Under what `Holdings` are stored; the number changes whenever a file may be read otherwise."""
_SAME_LENGTH_S, _SAME_LENGTH_SHARE = 0.1, 0.1


@dataclass
class HoldingsJob:
    """Read what files hold, for an executor; decodes those that may be transparent.

    Attributes
    ----------
    digests : mapping of str to str
        Of each path: known, so the files are not digested again.
    """

    digests: Mapping[str, str]

    def load(self, item: str) -> tuple[Content, Holdings, bool]:
        """Read the file and its structure."""
        content = read_content(item, self.digests[item])
        return content, *holdings_of_content(content)

    def demand(self, payload: tuple[Content, Holdings, bool]) -> Demand:
        """Ask for the decoder's memory where one is needed."""
        content, _, may_have_alpha = payload
        return Demand(content.is_risky, content.full_memory_bytes) if may_have_alpha else Demand()

    def run(self, payload: tuple[Content, Holdings, bool]) -> bytes:
        """Decode it if it may be transparent; what it holds, as it is stored."""
        content, holdings, may_have_alpha = payload
        if may_have_alpha:
            with content.stream() as stream:
                holdings = with_alpha(holdings, stream, content.format)
        return to_json(holdings)


def holdings_of_content(content: Content) -> tuple[Holdings, bool]:
    """See `cvsim.images.holdings.read_holdings`."""
    with content.whole() as data:
        return read_holdings(data, content.format)


def holdings_of(
    records: Iterable[ImageRecord], store: Store, n_workers: int | None = None
) -> dict[str, Holdings]:
    """What each of the files holds, by digest; one that cannot be read any more is left out."""
    paths = {record.digest: record.path for record in records}
    found = stored_or_made(store, HOLDINGS_KEY, paths, HoldingsJob, n_workers)
    return {digest: from_json(data) for digest, data in found.items()}


def lacking(kept: Holdings, copy: Holdings) -> list[str]:
    """What `copy` holds and `kept` does not, in words; empty if nobody would miss anything but what it shows.

    What both hold is taken as the same where its bytes are the same: the film of another moment is another
    film. Whether frames, pages and transparency show the same, their pixels tell.
    """
    words = []
    if copy.pictures > kept.pictures:
        words.append(f"{copy.pictures} pictures")
    if copy.frames > 1 and copy.frames != kept.frames:
        words.append(f"{copy.frames} frames")
    elif copy.frames > 1 and not _last_alike(copy.frames_s, kept.frames_s):
        words.append("frames at another speed")
    for name, held in copy.parts.items():
        other = kept.parts.get(name)
        if other is None:
            words.append(part_in_words(name, held))
        elif other.digest != held.digest:
            words.append(f"other {name}" if name.startswith("further") else f"another {name}")
    if copy.bits > max(8, kept.bits):
        words.append(f"{copy.bits} bits a sample")
    if copy.alpha and not kept.alpha:
        words.append("transparency")
    if copy.profile_key and copy.profile_key != kept.profile_key:
        words.append(f"the colour profile {copy.profile}")
    return words


def have_equal_pixel_rules(a: Holdings, b: Holdings) -> bool:
    """Whether equal decoded values of the first pictures would make two files the same in every pixel."""
    return is_plain(a) and is_plain(b) and a.profile_key == b.profile_key


def is_plain(holdings: Holdings) -> bool:
    """One picture of 8 bits without transparency: what every decoder gives is all there is to see."""
    return holdings.pictures == holdings.frames == 1 and holdings.bits <= 8 and not holdings.alpha


def counted(words: Collection[str]) -> str:
    """``"4 frames, film 2.1 s and transparency"``."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def _last_alike(a_s: float, b_s: float) -> bool:
    return abs(a_s - b_s) <= _SAME_LENGTH_S + _SAME_LENGTH_SHARE * max(a_s, b_s)
