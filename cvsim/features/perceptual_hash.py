"""Perceptual hashes: average, difference, DCT and wavelet, and the composite DCT signal of the copy profile.

The bits of `average_bits`, `difference_bits`, `dct_bits` and `wavelet_bits` equal those of the `imagehash`
package on the same pixels, and `PerceptualHash` serves each as a signal of its own. `TurnedHash` is made
for speed and symmetry: the signs of the DCT coefficients, from which the hash of the mirrored, flipped
or turned picture follows exactly, without looking at a pixel again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from cvsim.features.base import Feature, HashKeys, Search
from cvsim.features.information import PARAMS_OF_STRIPS, is_informative
from cvsim.features.orientation import ORIENTATION_NAMES
from cvsim.features.picture import Picture
from cvsim.features.resampling import square
from cvsim.types import Comparison

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.types import RGB, Indices, Similarities

    Bits = NDArray[np.bool_]
    Words = NDArray[np.uint64]

HASH_RASTER_PX = 64
"""Side of the grey square whose DCT gives both composite hashes."""


def gray_square(rgb: RGB, side_px: int) -> NDArray[np.uint8]:
    """Grey square of the whole picture, (side_px, side_px) uint8, as `imagehash` makes it."""
    image = Image.fromarray(rgb).convert("L")
    return np.asarray(image.resize((side_px, side_px), Image.Resampling.LANCZOS))


def average_bits(rgb: RGB, side: int = 8) -> Bits:
    """(side, side) bool: brighter than the mean (``imagehash.average_hash``)."""
    pixels = gray_square(rgb, side)
    return pixels > np.mean(pixels)


def difference_bits(rgb: RGB, side: int = 8) -> Bits:
    """(side, side) bool: brighter than the left neighbour (``imagehash.dhash``)."""
    image = Image.fromarray(rgb).convert("L").resize((side + 1, side), Image.Resampling.LANCZOS)
    pixels = np.asarray(image)
    return pixels[:, 1:] > pixels[:, :-1]


def dct_bits(rgb: RGB, side: int = 8, highfreq_factor: int = 4) -> Bits:
    """(side, side) bool: DCT coefficient over the median (``imagehash.phash``)."""
    low = dct_square(gray_square(rgb, side * highfreq_factor))[:side, :side]
    return low > np.median(low)


def wavelet_bits(rgb: RGB, side: int = 8) -> Bits:
    """(side, side) bool: Haar approximation over the median, its mean removed (``imagehash.whash``)."""
    import imagehash

    # The multi-level transform is the reference's own: nothing is gained by writing it again.
    return imagehash.whash(Image.fromarray(rgb), hash_size=side).hash


def dct_square(pixels: NDArray[Any]) -> NDArray[np.float64]:
    """Two-dimensional DCT-II, unnormalised, as ``scipy.fftpack.dct`` along both axes."""
    from scipy.fftpack import dct

    found: NDArray[np.float64] = dct(dct(pixels.astype(np.float64), axis=0), axis=1)
    return found


def pack_bits(bits: Bits) -> Words:
    """Bits of the last axis, row-major, as big-endian uint64 words: (..., n) bool to (..., n / 64)."""
    return np.packbits(bits, axis=-1).view(">u8").astype(np.uint64)


@dataclass(frozen=True)
class _Kind:
    bits: Callable[[RGB], Bits]
    n_bits: int


KINDS: dict[str, _Kind] = {
    "ahash": _Kind(average_bits, 64),
    "dhash": _Kind(difference_bits, 64),
    "phash64": _Kind(dct_bits, 64),
    "phash256": _Kind(lambda rgb: dct_bits(rgb, 16), 256),
    "whash": _Kind(wavelet_bits, 64),
}


class PerceptualHash(Feature["Words"]):
    """One plain hash of `KINDS`, compared by its Hamming distance; similarity is the share of equal bits."""

    search: Search = "hamming"
    radius_bits = 8

    def __init__(self, kind: str) -> None:
        self.name = kind
        self._kind = KINDS[kind]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name,), {"working_px": self.working_px}

    def extract(self, rgb: RGB) -> Words | None:
        if not is_informative(gray_square(rgb, HASH_RASTER_PX)):
            return None
        return pack_bits(self._kind.bits(rgb).reshape(-1))

    def compare(self, a: Words | None, b: Words | None) -> tuple[Comparison, ...]:
        if a is None or b is None:
            return (Comparison(self.name, None),)
        distance_bits = sum(int(x ^ y).bit_count() for x, y in zip(a.tolist(), b.tolist(), strict=True))
        similarity = 1.0 - distance_bits / self._kind.n_bits
        return (Comparison(self.name, similarity, detail={"distance_bits": distance_bits}),)

    def pack(self, descriptors: Sequence[Words | None]) -> tuple[Words, Bits]:
        blank = np.zeros(self._kind.n_bits // 64, np.uint64)
        words = np.array([blank if d is None else d for d in descriptors], np.uint64)
        words = words.reshape(len(descriptors), self._kind.n_bits // 64)
        return words, np.array([d is not None for d in descriptors], bool)

    def compare_many(self, packed: Any, a: Indices, b: Indices) -> dict[str, Similarities]:
        words, known = packed
        distance_bits = np.bitwise_count(words[a] ^ words[b]).sum(axis=1, dtype=np.int64)
        similarity = (1.0 - distance_bits / self._kind.n_bits).astype(np.float32)
        return {self.name: np.where(known[a] & known[b], similarity, np.float32(np.nan))}

    def to_bytes(self, descriptor: Words) -> bytes:
        return descriptor.astype("<u8").tobytes()

    def from_bytes(self, data: bytes) -> Words:
        return np.frombuffer(data, "<u8").astype(np.uint64)

    def hash_keys(self, packed: Any) -> HashKeys | None:
        words, known = packed
        if self._kind.n_bits != 64:
            return None
        owner = np.flatnonzero(known)
        return HashKeys(owner, words[owner, 0], words[owner])


def dct_basis(n_coefficients: int, n_samples: int) -> NDArray[np.float32]:
    """Rows of the orthogonal DCT-II, (n_coefficients, n_samples)."""
    k, x = np.arange(n_coefficients)[:, None], np.arange(n_samples)[None, :]
    return np.cos(np.pi * k * (2 * x + 1) / (2 * n_samples)).astype(np.float32)


_BASIS = dct_basis(16, HASH_RASTER_PX)


def sign_words(square: NDArray[np.uint8]) -> tuple[Words, Words]:
    """Signs of the low DCT coefficients of a (64, 64) square: 8 x 8 as (1,), 16 x 16 as (4,) uint64.

    Bit (u, v) is coefficient (u, v) > 0. Under a left-right mirror the odd columns change sign, under a
    top-bottom flip the odd rows, under a transposition the bit matrix is transposed: exactly.
    """
    low = _BASIS @ square.astype(np.float32) @ _BASIS.T
    positive = low > 0
    return pack_bits(positive[:8, :8].reshape(-1)), pack_bits(positive.reshape(-1))


def _orientation_masks(side: int) -> Words:
    """What a mirror or flip of orientations 0 to 3 changes in a hash of `side` by `side` bits, (4, words)."""
    odd = np.arange(side) % 2 == 1
    masks = [(odd[None, :] & bool(k & 1)) ^ (odd[:, None] & bool(k & 2)) for k in range(4)]
    return np.stack([pack_bits(m.reshape(-1)) for m in masks])


_MASKS_64, _MASKS_256 = _orientation_masks(8), _orientation_masks(16)
_NEGATIVE_64 = np.uint64(2**63 - 1)
"""What a negative changes in a hash of 64 bits: every sign but the mean's, which is the first bit."""


def transposed_words(words: Words) -> Words:
    """Words of the transposed pictures: (..., side * side / 64) uint64 of square bit matrices."""
    bits = np.unpackbits(words.astype(">u8").view(np.uint8), axis=-1)
    side = int(bits.shape[-1] ** 0.5)
    square = bits.reshape(*bits.shape[:-1], side, side).swapaxes(-1, -2)
    return pack_bits(square.reshape(bits.shape).astype(bool))


_STORED = np.dtype([("w64", "<u8", (1,)), ("w256", "<u8", (4,))])
_SLOT = np.dtype([*_STORED.descr, ("is_laid", "?")])
"""The last: of a cut-out, not on white. Stored, one byte after all slots says how many are on white."""
STROKE_PX = 7
"""Side, in pixels of the picture at twice `HASH_RASTER_PX`, of a square that no stroke of a caption fills."""
MIN_STROKE_BITS = 8
"""Of 64 that change without the strokes; fewer are not worth a hash of their own."""
_STROKE = np.ones((STROKE_PX, STROKE_PX), np.uint8)


def without_strokes(square: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture without what is thinner than `STROKE_PX`: bright strokes first (opening), then dark ones.

    J. Serra, "Image Analysis and Mathematical Morphology" (1982). Captions and watermarks go, and what they
    are written on comes back well enough for a hash of low frequencies.
    """
    opened = cv2.morphologyEx(square, cv2.MORPH_OPEN, _STROKE)
    return np.asarray(cv2.morphologyEx(opened, cv2.MORPH_CLOSE, _STROKE), np.uint8)


class TurnedHash(Feature["NDArray[Any]"]):
    """DCT sign hashes of 64 and 256 bits, in eight orientations, without uniform borders, without strokes.

    The 64-bit words are the keys of candidate search, the 256-bit words are compared: the distance is
    the smallest over the orientations and over the ways to pair whole, trimmed and cleaned pictures.
    C. Zauner, "Implementation and benchmarking of perceptual image hash functions" (2010); eight
    orientations from one transform as in Facebook's PDQ (2019).

    A descriptor is a structured array of one to nine slots: the whole picture, what is inside its borders,
    and the last of these without strokes, where that makes a difference; of a cut-out the first two on black,
    on grey and without its alpha, too. Those are for opaque pictures: two cut-outs are compared on white,
    where both show something there.
    """

    name = "phash"
    version = 2
    search: Search = "hamming"
    radius_bits = 12

    @property
    def params(self) -> Mapping[str, Any]:
        return {"raster_px": HASH_RASTER_PX, "strokes": [STROKE_PX, MIN_STROKE_BITS], **PARAMS_OF_STRIPS}

    def extract(self, rgb: RGB) -> NDArray[Any] | None:
        return self.extract_from(Picture(rgb))

    def _on_white(self, picture: Picture) -> list[tuple[Words, Words]]:
        large, shapes = picture.squares(2 * HASH_RASTER_PX), [view.shape for view in picture.views]
        words = [
            sign_words(small)
            for view, shape in zip(large, shapes, strict=True)
            if is_informative(small := square(view, HASH_RASTER_PX), shape)
        ]
        if not words:
            return []
        small = square(without_strokes(large[-1]), HASH_RASTER_PX)
        cleaned = sign_words(small)
        n_changed = int(words[-1][0][0] ^ cleaned[0][0]).bit_count()
        if n_changed >= MIN_STROKE_BITS and is_informative(small, shapes[-1]):
            words.append(cleaned)
        return words

    def _on_other_grounds(self, picture: Picture) -> list[tuple[Words, Words]]:
        grounds = picture.on_other_grounds
        return [sign_words(small) for laid in grounds for small in laid.informative_squares(HASH_RASTER_PX)]

    def extract_from(self, picture: Picture) -> NDArray[Any] | None:
        on_white, laid = self._on_white(picture), self._on_other_grounds(picture)
        words = [*on_white, *laid]
        if not words:
            return None
        slots = np.empty(len(words), _SLOT)
        slots["w64"], slots["w256"] = (np.array(column) for column in zip(*words, strict=True))
        slots["is_laid"] = np.arange(len(words)) >= len(on_white)
        return slots

    def compare(self, a: NDArray[Any] | None, b: NDArray[Any] | None) -> tuple[Comparison, ...]:
        if a is None or b is None:
            return (Comparison(self.name, None),)
        if all(slots["is_laid"].any() and not slots["is_laid"].all() for slots in (a, b)):
            a, b = (slots[~slots["is_laid"]] for slots in (a, b))
        distance_bits, orientation = min(
            (int(np.bitwise_count(v ^ y["w256"]).sum()), k)
            for x in a
            for y in b
            for k, v in enumerate(turned_words(x["w256"].astype(np.uint64)[None], _MASKS_256)[0])
        )
        detail = {"distance_bits": distance_bits, "orientation": ORIENTATION_NAMES[orientation]}
        return (Comparison(self.name, 1.0 - distance_bits / 256, detail=detail),)

    def pack(self, descriptors: Sequence[NDArray[Any] | None]) -> Any:
        n = len(descriptors)
        most = max((len(d) for d in descriptors if d is not None), default=1)
        words_64 = np.zeros((n, most, 1), np.uint64)
        words_256 = np.zeros((n, most, 4), np.uint64)
        n_slots, n_on_white = np.zeros(n, np.int64), np.zeros(n, np.int64)
        for i, d in enumerate(descriptors):
            if d is not None:
                words_64[i, : len(d)], words_256[i, : len(d)] = d["w64"], d["w256"]
                n_slots[i], n_on_white[i] = len(d), np.count_nonzero(~d["is_laid"])
        return _Packed(words_64, words_256, transposed_words(words_256), n_slots, n_on_white)

    def compare_many(self, packed: Any, a: Indices, b: Indices) -> dict[str, Similarities]:
        words, transposed = packed.words_256, packed.transposed_256
        is_cut_out = (packed.n_on_white > 0) & (packed.n_on_white < packed.n_slots)
        both = is_cut_out[a] & is_cut_out[b]
        n_a, n_b = (np.where(both, packed.n_on_white[side], packed.n_slots[side]) for side in (a, b))
        best = np.full(len(a), 257, np.int64)
        for i in range(words.shape[1]):
            for j in range(words.shape[1]):
                rows = np.flatnonzero((n_a > i) & (n_b > j))
                for source in (words, transposed):
                    difference = source[a[rows], i] ^ words[b[rows], j]
                    for mask in _MASKS_256:
                        distance = np.bitwise_count(difference ^ mask).sum(axis=1, dtype=np.int64)
                        best[rows] = np.minimum(best[rows], distance)
        similarity = (1.0 - best / 256).astype(np.float32)
        return {self.name: np.where(best <= 256, similarity, np.float32(np.nan))}

    def to_bytes(self, descriptor: NDArray[Any]) -> bytes:
        stored = np.empty(len(descriptor), _STORED)
        stored["w64"], stored["w256"] = descriptor["w64"], descriptor["w256"]
        is_laid = descriptor["is_laid"]
        return stored.tobytes() + (bytes([np.count_nonzero(~is_laid)]) if is_laid.any() else b"")

    def from_bytes(self, data: bytes) -> NDArray[Any]:
        n_slots, is_cut_out = divmod(len(data), _STORED.itemsize)
        stored = np.frombuffer(data, _STORED, n_slots)
        slots = np.empty(n_slots, _SLOT)
        slots["w64"], slots["w256"] = stored["w64"], stored["w256"]
        slots["is_laid"] = np.arange(n_slots) >= (data[-1] if is_cut_out else n_slots)
        return slots

    def hash_keys(self, packed: Any) -> HashKeys | None:
        owner, slot = np.nonzero(np.arange(packed.words_64.shape[1]) < packed.n_slots[:, None])
        stored = packed.words_64[owner, slot]
        turned = turned_words(stored, _MASKS_64)[:, :, 0]
        return HashKeys(owner.astype(np.int64), stored[:, 0], turned, turned ^ _NEGATIVE_64)


@dataclass(frozen=True, eq=False)
class _Packed:
    """Hashes of a collection; rows of `n_slots` 0 are blank, and those on white come first."""

    words_64: Words
    words_256: Words
    transposed_256: Words
    n_slots: NDArray[np.int64]
    n_on_white: NDArray[np.int64]


def turned_words(words: Words, masks: Words) -> Words:
    """Hashes in the eight orientations of `cvsim.features.orientation`, (n, words) to (n, 8, words).

    Mirror and flip come first, so their masks are transposed with the bits: mirroring changes the odd
    rows of the transposed matrix.
    """
    upright = words[:, None, :] ^ masks
    return np.concatenate([upright, transposed_words(upright)], axis=1)
