"""What a copy's own encoder would have made of a picture: JPEG by its tables, few colours by its palette."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from cvsim.images.jpeg import DQT, frame_precision, segments

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK_PX = 8
_PILLOW_SAMPLINGS = {(1, 1): 0, (2, 1): 1, (2, 2): 2}


def _zigzag() -> NDArray[np.intp]:
    """Position in a row-major block of each coefficient in the order a file names them."""
    places = sorted(
        ((u, v) for u in range(8) for v in range(8)),
        key=lambda p: (p[0] + p[1], p[0] if (p[0] + p[1]) % 2 else -p[0]),
    )
    return np.array([u * 8 + v for u, v in places], np.intp)


def _cosines() -> NDArray[np.float32]:
    n = np.arange(8)
    matrix = np.cos((2 * n[None] + 1) * n[:, None] * np.pi / 16) * 0.5
    matrix[0] /= np.sqrt(2)
    return matrix.astype(np.float32)


_ZIGZAG = _zigzag()
_COSINES = _cosines()


@dataclass(frozen=True, slots=True)
class JpegCoding:
    """How a JPEG was quantised.

    Attributes
    ----------
    tables : tuple of (8, 8) uint16
        Quantisation steps, one table a component (1 or 3), [vertical, horizontal frequency].
    sampling : (int, int)
        Horizontal and vertical sampling factor of luma over that of chroma; (1, 1) if there is no chroma.
    """

    tables: tuple[NDArray[np.uint16], ...]
    sampling: tuple[int, int]

    @property
    def is_simulable(self) -> bool:
        """Whether Pillow can write the same tables and sampling."""
        return self.sampling in _PILLOW_SAMPLINGS and all(int(t.max()) <= 255 for t in self.tables)


def read_jpeg_coding(data: bytes) -> JpegCoding | None:
    """Read the tables and the sampling of a JPEG's first scan; None where it is CMYK or odd."""
    tables: dict[int, NDArray[np.uint16]] = {}
    components: list[tuple[int, int, int]] = []
    for segment in segments(data):
        body = data[segment.body : segment.end]
        if segment.marker == DQT:
            tables.update(_tables(body))
        elif frame_precision(data, segment) is not None and len(body) >= 6:
            entries = (body[6 + 3 * i : 9 + 3 * i] for i in range(body[5]))
            components = [(e[1] >> 4, e[1] & 15, e[2]) for e in entries if len(e) == 3]
    return _coding(components, tables)


def _tables(body: bytes) -> dict[int, NDArray[np.uint16]]:
    found = {}
    at = 0
    while at < len(body):
        wide, name = body[at] >> 4, body[at] & 15
        n_bytes = 128 if wide else 64
        steps = np.frombuffer(body[at + 1 : at + 1 + n_bytes], ">u2" if wide else np.uint8)
        if len(steps) < 64:
            break
        table = np.empty(64, np.uint16)
        table[_ZIGZAG] = steps
        found[name] = table.reshape(8, 8)
        at += 1 + n_bytes
    return found


def _coding(
    components: list[tuple[int, int, int]], tables: dict[int, NDArray[np.uint16]]
) -> JpegCoding | None:
    if len(components) not in (1, 3) or any(c[2] not in tables for c in components):
        return None
    chosen = tuple(tables[c[2]] for c in components)
    if any(int(t.min()) == 0 for t in chosen):
        return None
    if len(components) == 1:
        return JpegCoding(chosen, (1, 1))
    (h, v, _), *chroma = components
    if any(c[:2] != chroma[0][:2] for c in chroma) or min(chroma[0][:2]) == 0:
        return None
    if h % chroma[0][0] or v % chroma[0][1]:
        return None
    return JpegCoding(chosen, (h // chroma[0][0], v // chroma[0][1]))


def encoded_again(rgb: NDArray[np.uint8], coding: JpegCoding) -> NDArray[np.uint8]:
    """What a JPEG of this coding shows of `rgb` (H, W, 3), whose corner lies on its grid of blocks."""
    picture = Image.fromarray(np.ascontiguousarray(rgb))
    tables = [t.ravel().tolist() for t in coding.tables]
    stream = io.BytesIO()
    if len(tables) == 1:
        picture.convert("L").save(stream, "JPEG", qtables=tables)
    else:
        qtables = [tables[0], tables[1]] if tables[1] == tables[2] else tables
        picture.save(stream, "JPEG", qtables=qtables, subsampling=_PILLOW_SAMPLINGS[coding.sampling])
    shown: NDArray[np.uint8] = simplejpeg.decode_jpeg(stream.getvalue(), "RGB")
    return shown


def coefficients(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Orthonormal DCT of the 8-pixel blocks of a (h, w) plane, multiples of 8: (h / 8, 8, w / 8, 8)."""
    h, w = plane.shape
    rows = _COSINES @ plane.reshape(h // 8, 8, w)
    blocks = (rows.reshape(h, w // 8, 8) @ _COSINES.T).reshape(h // 8, 8, w // 8, 8)
    return np.asarray(blocks, np.float32)


def plane_of(blocks: NDArray[np.float32]) -> NDArray[np.float32]:
    """The inverse of `coefficients`."""
    n_rows, _, n_columns, _ = blocks.shape
    rows = _COSINES.T @ blocks.reshape(n_rows, 8, n_columns * 8)
    plane = rows.reshape(n_rows * 8, n_columns, 8) @ _COSINES
    return np.asarray(plane.reshape(n_rows * 8, n_columns * 8), np.float32)


def outside_of_steps(residual: NDArray[np.float32], half_steps: NDArray[np.float32]) -> NDArray[np.float32]:
    """What of a residual lies outside of what quantisation allows, as a picture again.

    A picture whose coefficients are within half a step of another one's may be its encoding; what is left is
    the least change of the other one that would have been encoded as this one.

    Parameters
    ----------
    residual : (h, w) float32
        Its corner lies on the grid of blocks.
    half_steps : (8, 8) float32
        What each coefficient may be off.
    """
    h, w = residual.shape
    padded = cv2.copyMakeBorder(residual, 0, -h % 8, 0, -w % 8, cv2.BORDER_REPLICATE)
    blocks = coefficients(padded)
    limits = half_steps[None, :, None, :]
    blocks -= np.clip(blocks, -limits, limits)
    return np.ascontiguousarray(plane_of(blocks)[:h, :w])
