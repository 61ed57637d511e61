"""Decoded images kept between runs: a convenience that may fail, fill or vanish without harm.

One safetensors file per (source, size, positions), written beside and renamed into place;
the least recently used go first once the folder passes `MAX_CACHE_BYTES`.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import PIL
import platformdirs
import torch
from PIL import features
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from cnp_engine.data.images import Decoded

MAX_CACHE_BYTES = 2 << 30
FORMAT = "1"
"""Raised whenever decoding changes what it gives for the same bytes."""


def cache_folder() -> Path:
    """CNP_CACHE, else the folder ``cache`` in CNP_HOME, else the system's place for caches."""
    if chosen := os.environ.get("CNP_CACHE"):
        return Path(chosen)
    if home := os.environ.get("CNP_HOME"):
        return Path(home) / "cache"
    return Path(platformdirs.user_cache_dir("cnp"))


@dataclass(frozen=True)
class Cache:
    """folder: holds the files. limit: bytes they may take together."""

    folder: Path
    limit: int = MAX_CACHE_BYTES

    def get(self, key: str, size: tuple[int, int]) -> Decoded | None:
        """What was put under ``key``; None where it is absent, damaged or of another shape."""
        path = self._path(key)
        try:
            with safe_open(path, framework="pt") as file:
                notices = tuple(json.loads((file.metadata() or {})["notices"]))
                # A copy, since the tensors lie in the mapped file and it may be removed.
                images, positions = (file.get_tensor(n).clone() for n in ("images", "positions"))
            os.utime(path)
        except (OSError, SafetensorError, KeyError, ValueError, TypeError):
            return None
        fits = images.shape == (len(positions), 3, *size) and images.dtype == torch.uint8
        return Decoded(images, positions, notices) if fits else None

    def put(self, key: str, decoded: Decoded) -> None:
        """Keep ``decoded``; does nothing where the folder cannot be written."""
        if decoded.images.numel() > self.limit // 2:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.folder, suffix=".part")
        except OSError:
            return
        os.close(handle)
        part = Path(name)
        try:
            tensors = {"images": decoded.images, "positions": decoded.positions}
            save_file(tensors, part, metadata={"notices": json.dumps(decoded.notices)})
            part.replace(self._path(key))
            self._trim()
        except (OSError, SafetensorError):
            part.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"images-{key}.safetensors"

    def _trim(self) -> None:
        stats = [(path, path.stat()) for path in self.folder.glob("images-*.safetensors")]
        total = sum(status.st_size for _, status in stats)
        for path, status in sorted(stats, key=lambda pair: pair[1].st_mtime):
            if total <= self.limit:
                return
            path.unlink(missing_ok=True)
            total -= status.st_size


def cache_key(
    source_sha256: str, split: str, size: tuple[int, int], positions: Sequence[int]
) -> str:
    """Of everything the decoded pixels depend on, the decoders' versions included."""
    jpeg = features.version("jpg") or ""
    head = f"{FORMAT}|{PIL.__version__}|{jpeg}|{source_sha256}|{split}|{size}|"
    return hashlib.sha256(head.encode() + array("q", positions).tobytes()).hexdigest()[:32]
