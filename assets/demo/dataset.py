"""The three sets of pictures, and the zip that ships two of them.

``fit`` trained the networks and does not ship; ``train`` is what a defender has, fresh pictures
no network was trained on; ``test`` measures. Every picture passes through JPEG before anything
sees it. One picture is a function of (SEED, split, label, number) alone.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from assets.demo.draws import Draws
from assets.demo.scene import Pixels, draw
from assets.demo.signs import CLASSES

SEED = 20250211
SPLITS = ("fit", "train", "test")
PER_CLASS = {"fit": 1000, "train": 120, "test": 100}
QUALITY = 80
"""JPEG quality with fitted Huffman tables: about 600 bytes a picture."""


@dataclass(frozen=True)
class Pictures:
    """``images`` uint8 (N, H, W, 3) RGB and ``labels`` int64 (N,), class after class."""

    images: Pixels
    labels: NDArray[np.int64]


def encode(split: str, label: int, number: int) -> bytes:
    """Draw one picture and compress it, a whole JPEG file."""
    pixels = draw(label, Draws(SEED, SPLITS.index(split), label, number))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return buffer.getvalue()


def decode(jpeg: bytes) -> Pixels:
    with Image.open(io.BytesIO(jpeg)) as picture:
        return np.asarray(picture.convert("RGB"))


def files(split: str) -> Iterator[tuple[int, str, bytes]]:
    """Label, path in the zip and JPEG of every picture of a split, in order."""
    for label, name in enumerate(CLASSES):
        for number in range(PER_CLASS[split]):
            yield label, f"{split}/{name}/{number:04d}.jpg", encode(split, label, number)


def gather(named: Iterator[tuple[int, str, bytes]]) -> Pictures:
    """Decode files as :func:`files` and :func:`read_zip` yield them."""
    pairs = [(label, decode(jpeg)) for label, _, jpeg in named]
    labels = np.asarray([label for label, _ in pairs], dtype=np.int64)
    return Pictures(np.stack([pixels for _, pixels in pairs]), labels)


def write_zip(path: Path) -> None:
    """What ships, in ImageFolder layout; stored, not deflated, so that no zlib can change it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for split in ("train", "test"):
            for _, name, jpeg in files(split):
                entry = zipfile.ZipInfo(name, date_time=(2025, 2, 11, 0, 0, 0))
                entry.create_system = 3  # the same header on every system
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, jpeg)


def read_zip(path: Path, split: str) -> Iterator[tuple[int, str, bytes]]:
    """One split of a written zip, in the order of :func:`files`."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            folder, sign, _ = name.split("/")
            if folder == split:
                yield CLASSES.index(sign), name, archive.read(name)
