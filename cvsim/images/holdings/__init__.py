"""What a file holds besides how its first picture looks: further pictures, frames, a film, transparency.

Read from the structure of the file; only whether transparency is used takes decoding. See
`cvsim.types.Holdings`.
"""

from __future__ import annotations

from cvsim.images.holdings.reading import (
    as_json,
    from_json,
    in_words,
    part_in_words,
    read_exif_block,
    read_holdings,
    read_icc,
    to_json,
    uses_alpha,
    with_alpha,
)

__all__ = [
    "as_json",
    "from_json",
    "in_words",
    "part_in_words",
    "read_exif_block",
    "read_holdings",
    "read_icc",
    "to_json",
    "uses_alpha",
    "with_alpha",
]
