"""Files of the embedding projector: ``vectors.tsv``, ``metadata.tsv`` and a sprite of thumbnails."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cvsim.errors import CvsimError
from cvsim.reports.maps import small

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_SPRITE_PX = 8192
"""Longest side of a sprite that graphics cards take."""


def vectors_tsv(vectors: NDArray[np.float32]) -> bytes:
    """One row a picture, no header; NaN is written as 0, which the projector can place."""
    rows = np.nan_to_num(vectors)
    return b"".join("\t".join(f"{value:.6g}" for value in row).encode() + b"\n" for row in rows)


def metadata_tsv(names: Sequence[str], labels: Sequence[str]) -> bytes:
    """``file`` and ``label`` with a header, in the rows of the vectors."""
    lines = ["file\tlabel", *(f"{_cell(n)}\t{_cell(label)}" for n, label in zip(names, labels, strict=True))]
    return ("\n".join(lines) + "\n").encode()


def sprite_png(thumbnails: Sequence[bytes | None]) -> tuple[bytes, int]:
    """A PNG with the thumbnails row by row in a square grid of square cells, and a cell's side in px."""
    n_columns = math.ceil(math.sqrt(max(1, len(thumbnails))))
    side = min(64, MAX_SPRITE_PX // n_columns)
    # The projector takes the grid for square, so it is filled up to a square.
    sheet = np.full((n_columns * side, n_columns * side, 3), 255, np.uint8)
    for i, thumbnail in enumerate(thumbnails):
        pixels = small(thumbnail)
        if pixels is None:
            continue
        scale = side / max(pixels.shape[:2])
        size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
        cell = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        top, left = i // n_columns * side, i % n_columns * side
        top, left = top + (side - cell.shape[0]) // 2, left + (side - cell.shape[1]) // 2
        sheet[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
    is_written, data = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    if not is_written:
        raise CvsimError("the sprite could not be written as PNG")
    return data.tobytes(), side


def config_json(n_images: int, n_dims: int, side_px: int, has_sprite: bool) -> bytes:
    """``projector_config.json``, which ties the files together."""
    import json

    embedding: dict[str, object] = {
        "tensorName": "cvsim",
        "tensorShape": [n_images, n_dims],
        "tensorPath": "vectors.tsv",
        "metadataPath": "metadata.tsv",
    }
    if has_sprite:
        embedding["sprite"] = {"imagePath": "sprite.png", "singleImageDim": [side_px, side_px]}
    return (json.dumps({"embeddings": [embedding]}, indent=1) + "\n").encode()


def _cell(text: str) -> str:
    clean = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(char if char.isprintable() else " " for char in clean)
