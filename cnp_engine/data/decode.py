"""One encoded image to one uint8 RGB array; every mode Pillow reads, no format that runs code.

Colours are what torchvision's own loader sees (`Image.convert("RGB")`, transparency dropped),
because that is what networks were trained on; 16-bit values are scaled, where Pillow would clip.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from cnp_engine.data.store import FileUnreadableError

FORMATS = ("JPEG", "PNG", "PPM", "BMP", "GIF", "TIFF", "WEBP")
"""Raster formats only: Pillow would hand PostScript to an outside interpreter."""

SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".ppm", ".pgm", ".pbm", ".pnm", ".bmp", ".gif",
    ".tif", ".tiff", ".webp",
)  # fmt: skip

MAX_PIXELS = 1 << 26
"""Largest image that is decoded (67 million pixels); beyond it a small file can fill memory."""

ORIENTATION = 0x0112
"""EXIF tag: 1 upright, 2 to 4 mirrored or upside down, 5 to 8 lying on a side."""

Notes = set[str]
"""What was done to an image, as keys of `CONVERSIONS`."""

CONVERSIONS = {
    "grey": "Grayscale, repeated over the three channels",
    "deep": "More than 8 bits a channel, scaled down",
    "cmyk": "CMYK, converted to RGB",
    "alpha": "Transparency dropped, as torchvision's loader does",
    "turned": "Turned upright by EXIF orientation",
    "frames": "First of several frames taken",
}

_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError,
           OverflowError, struct.error, zlib.error)  # fmt: skip


@contextmanager
def strict_pillow() -> Iterator[None]:
    """Around `decode` and `upright_size`: a suspiciously large image is an error, not a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def upright_size(data: bytes) -> tuple[int, int]:
    """(height, width) from the header, EXIF orientation applied. Raises FileUnreadableError."""
    try:
        image = _open(data)
        width, height = image.size
        return (width, height) if image.getexif().get(ORIENTATION, 1) >= 5 else (height, width)
    except _BROKEN as error:
        raise FileUnreadableError("not an image") from error


def decode(data: bytes, size: tuple[int, int]) -> tuple[NDArray[np.uint8], Notes]:
    """uint8 (H, W, 3) at ``size`` = (H, W), and what was done. Raises FileUnreadableError."""
    if not data:
        raise FileUnreadableError("empty")
    try:
        image = _open(data)
        image.load()
        notes: Notes = {"frames"} if getattr(image, "n_frames", 1) > 1 else set()
        if image.getexif().get(ORIENTATION, 1) != 1:
            image = ImageOps.exif_transpose(image)
            notes.add("turned")
        image = _to_rgb(image, notes)
        return resize(image, size, notes), notes
    except _BROKEN as error:
        raise FileUnreadableError(_reason(error)) from error


def resize(image: Image.Image, size: tuple[int, int], notes: Notes) -> NDArray[np.uint8]:
    """An RGB image as uint8 (H, W, 3), bilinear with antialiasing where its size is another."""
    if image.size != (size[1], size[0]):
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        notes.add("resized")
    return np.asarray(image, dtype=np.uint8)


def _open(data: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise FileUnreadableError("too many pixels") from error
    if image.width * image.height > MAX_PIXELS:
        raise FileUnreadableError("too many pixels")
    return image


def _to_rgb(image: Image.Image, notes: Notes) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith(("I", "F")):
        image = eight_bit(image)
        notes.add("deep")
    if image.mode in ("1", "L", "LA", "La"):
        notes.add("grey")
    if image.mode == "CMYK":
        notes.add("cmyk")
    if image.has_transparency_data:
        notes.add("alpha")
        if image.mode == "P":
            image = image.convert("RGBA")
    return image.convert("RGB")


def eight_bit(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits or floating point, scaled to 8 bits. Raises ValueError out of range."""
    values = np.asarray(image).astype(np.float64)
    top = float(values.max())
    if not np.isfinite(values).all() or values.min() < 0:
        raise ValueError("values below 0 or not finite")
    if image.mode == "F":
        full = 1.0 if top <= 1 else 255.0
    else:
        full = 65535.0 if top <= 65535 else 2.0**32 - 1
    if top > full:
        raise ValueError("values above 255")
    return Image.fromarray(np.rint(values * (255 / full)).astype(np.uint8))


def _reason(error: Exception) -> str:
    text = str(error)
    if isinstance(error, ValueError) and text.startswith("values"):
        return text
    if isinstance(error, UnidentifiedImageError):
        return "not an image"
    return "truncated" if "truncated" in text or "not enough" in text else "damaged"
