"""Every mode an image can come in, and everything that only looks like one."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cnp_engine.data.decode import decode, strict_pillow, upright_size
from cnp_engine.data.store import FileUnreadableError
from tests.engine.data.pictures import encoded, pixels, png

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
DEEP = GREY.astype(np.uint16) * 257
"""The same values in 16 bits: scaling gives GREY back, clipping gives 255 nearly everywhere."""

RGB = pixels(0)


def _three(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(grey[..., None], 3, axis=2)


def _palette(transparent: bool) -> bytes:
    image = Image.fromarray(RGB).quantize(16)
    return encoded(image, transparency=0) if transparent else encoded(image)


def _palette_rgb() -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(RGB).quantize(16).convert("RGB"))


def _pgm16() -> bytes:
    return b"P5 8 8 65535\n" + DEEP.astype(">u2").tobytes()


def _rgba() -> bytes:
    alpha = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
    return encoded(Image.fromarray(np.concatenate([RGB, alpha], axis=2)))


def _grey_alpha() -> bytes:
    return encoded(Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(GREY)]))


def _cmyk() -> bytes:
    return encoded(Image.fromarray(RGB).convert("CMYK"), "TIFF")


def _gif() -> bytes:
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


MODES: dict[str, tuple[Callable[[], bytes], Callable[[], NDArray[np.uint8]], set[str]]] = {
    "RGB": (lambda: encoded(Image.fromarray(RGB)), lambda: RGB, set()),
    "BMP": (lambda: encoded(Image.fromarray(RGB), "BMP"), lambda: RGB, set()),
    "PPM": (lambda: encoded(Image.fromarray(RGB), "PPM"), lambda: RGB, set()),
    "WEBP": (lambda: encoded(Image.fromarray(RGB), "WEBP", lossless=True), lambda: RGB, set()),
    "grey": (lambda: encoded(Image.fromarray(GREY)), lambda: _three(GREY), {"grey"}),
    "one bit": (
        lambda: encoded(Image.fromarray(GREY > 100)),
        lambda: _three(np.where(GREY > 100, 255, 0).astype(np.uint8)),
        {"grey"},
    ),
    "16-bit PNG": (
        lambda: encoded(Image.fromarray(DEEP)),
        lambda: _three(GREY),
        {"grey", "deep"},
    ),
    "16-bit TIFF": (
        lambda: encoded(Image.fromarray(DEEP), "TIFF"),
        lambda: _three(GREY),
        {"grey", "deep"},
    ),
    "16-bit PGM": (_pgm16, lambda: _three(GREY), {"grey", "deep"}),
    "32-bit TIFF": (
        lambda: encoded(Image.fromarray(GREY.astype(np.int32) * (2**31 // 256)), "TIFF"),
        lambda: _three((GREY // 2).astype(np.uint8)),
        {"grey", "deep"},
    ),
    "float TIFF in 0..1": (
        lambda: encoded(Image.fromarray(GREY.astype(np.float32) / 255), "TIFF"),
        lambda: _three(GREY),
        {"grey", "deep"},
    ),
    "palette": (lambda: _palette(False), _palette_rgb, set()),
    "palette, transparent": (lambda: _palette(True), _palette_rgb, {"alpha"}),
    "RGBA": (_rgba, lambda: RGB, {"alpha"}),
    "grey and alpha": (_grey_alpha, lambda: _three(GREY), {"grey", "alpha"}),
    "CMYK": (_cmyk, lambda: RGB, {"cmyk"}),
    "GIF of two frames": (_gif, lambda: _three(GREY), {"frames"}),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_the_same_rgb(mode: str) -> None:
    data, expected, notes = MODES[mode]
    with strict_pillow():
        got, done = decode(data(), (8, 8))
    assert got.dtype == np.uint8
    assert got.shape == (8, 8, 3)
    assert np.abs(got.astype(int) - expected().astype(int)).max() <= 1
    assert done == notes


def test_cmyk_jpeg_is_not_inverted() -> None:
    data = encoded(Image.new("RGB", (8, 8), (250, 20, 20)).convert("CMYK"), "JPEG", quality=95)
    got, _ = decode(data, (8, 8))
    assert np.abs(got.reshape(-1, 3).mean(0) - (250, 20, 20)).max() < 12


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (6, lambda a: np.rot90(a, -1)),
        (8, lambda a: np.rot90(a)),
    ],
)
def test_exif_orientation_is_applied(
    orientation: int, turn: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
) -> None:
    wide = pixels(1, 4, 6)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(wide), exif=exif)
    upright = turn(wide)
    size = (upright.shape[0], upright.shape[1])
    assert upright_size(data) == size
    got, notes = decode(data, size)
    np.testing.assert_array_equal(got, upright)
    assert notes == (set() if orientation == 1 else {"turned"})


def test_another_size_is_resized_as_torchvision_resizes() -> None:
    image = Image.fromarray(pixels(2, 20, 12))
    got, notes = decode(encoded(image), (10, 6))
    np.testing.assert_array_equal(got, np.asarray(image.resize((6, 10), Image.Resampling.BILINEAR)))
    assert notes == {"resized"}


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _bomb(side: int) -> bytes:
    """A PNG header that claims side x side pixels, of a few bytes."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    data = _chunk(b"IDAT", zlib.compress(b"\0"))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + data + _chunk(b"IEND", b"")


def _float(value: float) -> bytes:
    return encoded(Image.fromarray(np.full((8, 8), value, dtype=np.float32)), "TIFF")


JPEG = encoded(Image.fromarray(pixels(3, 64, 64)), "JPEG")
BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "text": (b"this is no image at all", "not an image"),
    "zeros": (bytes(500), "not an image"),
    "truncated JPEG": (JPEG[: len(JPEG) // 2], "truncated"),
    "truncated PNG": (png(4, 64, 64)[:2000], "truncated"),
    "truncated BMP": (encoded(Image.fromarray(RGB), "BMP")[:-50], "truncated"),
    "truncated PPM": (encoded(Image.fromarray(RGB), "PPM")[:-50], "truncated"),
    "header only": (JPEG[:30], "damaged"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", "not an image"),
    "huge": (_bomb(40_000), "too many pixels"),
    "large beyond the warning": (_bomb(11_000), "too many pixels"),
    "large beyond our bound": (_bomb(8_500), "too many pixels"),
    "negative floats": (_float(-1.0), "values below 0 or not finite"),
    "not a number": (_float(float("nan")), "values below 0 or not finite"),
    "floats above 255": (_float(300.0), "values above 255"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_image_is_refused_with_a_reason(case: str) -> None:
    data, reason = BROKEN[case]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with strict_pillow(), pytest.raises(FileUnreadableError) as raised:
            decode(data, (8, 8))
    assert str(raised.value) == reason


@pytest.mark.parametrize("damage", range(40))
def test_damaged_bytes_never_raise_anything_else(damage: int) -> None:
    random = np.random.default_rng(damage)
    kinds = ("PNG", "JPEG", "GIF", "TIFF", "BMP", "PPM", "WEBP")
    data = bytearray(encoded(Image.fromarray(pixels(damage, 16, 16)), kinds[damage % len(kinds)]))
    for position in random.integers(0, len(data), 12):
        data[position] = int(random.integers(0, 256))
    cut = bytes(data[: int(random.integers(len(data) // 2, len(data)))])
    with strict_pillow(), suppress(FileUnreadableError):
        assert decode(cut, (16, 16))[0].shape == (16, 16, 3)


def test_a_header_is_enough_for_the_size() -> None:
    assert upright_size(encoded(Image.fromarray(pixels(5, 30, 20)), "JPEG")[:640]) == (30, 20)
    with pytest.raises(FileUnreadableError, match="not an image"):
        upright_size(b"nothing")
