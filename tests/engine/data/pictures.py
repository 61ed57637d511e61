"""Small pictures and sources made on the fly."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
SHARED = ROOT / ".." / "shared"
CIFAR_ZIP = SHARED / "data" / "cifar10-jpeg.zip"


def pixels(seed: int, height: int = 8, width: int = 8) -> NDArray[np.uint8]:
    """uint8 (height, width, 3), another for every seed."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(seed: int, height: int = 8, width: int = 8) -> bytes:
    return encoded(Image.fromarray(pixels(seed, height, width)))


def write_files(root: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def folder_files(
    counts: Mapping[str, int], start: int = 0, size: tuple[int, int] = (8, 8)
) -> dict[str, bytes]:
    """So many different PNGs in each of the folders (``""`` is the root)."""
    files: dict[str, bytes] = {}
    for folder, count in counts.items():
        for index in range(count):
            name = f"{folder}/{index:03d}.png".lstrip("/")
            files[name] = png(start + len(files), *size)
    return files


def said(notices: Iterable[str], *words: str) -> bool:
    """Whether one notice holds all the words."""
    return any(all(word in notice for word in words) for notice in notices)
