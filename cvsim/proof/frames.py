"""Every picture of a file at full size and depth: frames, pages, transparency, 16 bits, colour profile."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image, ImageCms

from cvsim.errors import DecodeError
from cvsim.images import pillow
from cvsim.images.exif import parse_exif
from cvsim.images.raster import orient

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cvsim.types import RGB, Gray, Holdings

MOST_FRAMES = 2000
"""Of longer animations nothing is proved."""
WHITE_GROUND, BLACK_GROUND = 255, 0
"""Grounds that a transparent picture is laid on: what looks the same on both is the same."""
_SUBFILE_KIND, _REDUCED_OR_MASK = 254, 5
_BY_OPENCV = frozenset(("png", "tiff", "pnm", "jpeg2000"))


@dataclass(frozen=True, slots=True, eq=False)
class ShownPicture:
    """One picture of a file, upright.

    Attributes
    ----------
    rgb : (H, W, 3) uint8
        Of a transparent pixel, the colour that it has all the same.
    alpha : (H, W) uint8 or None
        255 is opaque; None where everything is.
    duration_ms : float
        Of a frame.
    """

    rgb: RGB
    alpha: Gray | None = None
    duration_ms: float = 0.0

    def on(self, ground: int | NDArray[Any]) -> RGB:
        """As it looks on a ground: a grey level, or (3,) levels of RGB."""
        if self.alpha is None:
            return self.rgb
        alpha = self.alpha[..., None].astype(np.uint16)
        mixed = self.rgb.astype(np.uint16) * alpha + np.asarray(ground, np.uint16) * (255 - alpha)
        return ((mixed + 127) // 255).astype(np.uint8)


def all_shown(data: bytes, format: str, holdings: Holdings) -> Iterator[ShownPicture]:
    """Every frame and page that the file holds, in order.

    Raises
    ------
    DecodeError
        One of them cannot be decoded, or there are fewer than the file says.
    """
    picture = pillow.open_picture(data, format)
    expected = max(holdings.frames, 1) if holdings.frames > 1 else holdings.pictures
    n_found = 0
    try:
        n_frames = getattr(picture, "n_frames", 1)
        if n_frames > MOST_FRAMES:
            raise DecodeError(f"more than {MOST_FRAMES} frames")
        for k in range(n_frames):
            picture.seek(k)
            tags: Any = getattr(picture, "tag_v2", None)
            if tags is not None and int(tags.get(_SUBFILE_KIND, 0)) & _REDUCED_OR_MASK:
                continue
            yield _shown(picture)
            n_found += 1
    except DecodeError:
        raise
    except Exception as exc:
        raise pillow.mapped(exc, format) from exc
    if n_found < expected:
        raise DecodeError(f"only {n_found} of its {expected} pictures could be decoded")


def _shown(picture: Image.Image) -> ShownPicture:
    picture.load()
    orientation = 1 if picture.format == "TIFF" else _orientation(picture)  # Pillow turns a TIFF itself
    duration = float(picture.info.get("duration") or 0)
    if picture.mode in pillow.ALPHA_MODES or "transparency" in picture.info:
        rgba = np.asarray(picture.convert("RGBA"))
        rgb, alpha = np.ascontiguousarray(rgba[..., :3]), np.ascontiguousarray(rgba[..., 3])
        if int(alpha.min(initial=255)) < 255:
            return ShownPicture(orient(rgb, orientation), orient(alpha, orientation), duration)
        return ShownPicture(orient(rgb, orientation), None, duration)
    rgb, _ = pillow.convert_picture(picture, max(picture.size))
    return ShownPicture(orient(rgb, orientation), None, duration)


def _orientation(picture: Image.Image) -> int:
    return parse_exif(picture.info.get("exif") or b"").orientation


def everything_digest(data: bytes, format: str, holdings: Holdings) -> bytes:
    """Digest of all that a file's pictures are: sizes, values at full depth, transparency, timing, profile.

    Raises
    ------
    DecodeError
        Something in it cannot be decoded at its full depth.
    """
    digest = hashlib.sha256(f"{holdings.profile_key}:{holdings.frames}:{holdings.pictures}".encode())
    if holdings.bits > 8:
        if holdings.pictures > 1 or holdings.frames > 1:
            raise DecodeError("several pictures of more than 8 bits")
        values, orientation = _deep(data, format)
        digest.update(f"{values.shape}{values.dtype}{orientation}".encode() + values.tobytes())
        return digest.digest()
    for shown in all_shown(data, format, holdings):
        alpha = b"" if shown.alpha is None else shown.alpha.tobytes()
        digest.update(f"{shown.rgb.shape}{round(shown.duration_ms)}{len(alpha)}".encode())
        digest.update(shown.rgb.tobytes() + alpha)
    return digest.digest()


def _deep(data: bytes, format: str) -> tuple[np.ndarray, int]:
    """Values at full depth, as stored, and the EXIF orientation."""
    picture = pillow.open_picture(data, format)
    orientation = _orientation(picture)
    if format in _BY_OPENCV:
        values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if values is not None and values.dtype != np.uint8:
            return values, orientation
    elif format == "heic":
        import pillow_heif

        image = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
        return np.asarray(image), orientation
    raise DecodeError(f"more than 8 bits of a {format.upper()} cannot be compared")


def as_srgb(rgb: RGB, icc: bytes) -> RGB:
    """The colours that values have under a profile, as values of sRGB.

    Raises
    ------
    DecodeError
        The profile makes no sense, or is for other values than these.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        mode = "L" if source.profile.xcolor_space.strip() == "GRAY" else "RGB"
        picture = Image.fromarray(rgb).convert(mode)
        done = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as exc:
        raise DecodeError("its colour profile cannot be applied") from exc
    return np.asarray(done, np.uint8)
