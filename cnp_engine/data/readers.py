"""Two ways to images: files decoded on demand, and arrays that are decoded already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from cnp_engine.data.cache import Cache, cache_key
from cnp_engine.data.decode import CONVERSIONS, Notes, decode, resize, strict_pillow
from cnp_engine.data.images import Decoded, count_of, empty_images
from cnp_engine.data.store import FileUnreadableError, Store
from cnp_engine.printing import name_some

CACHED_FROM = 500
"""Fewer images than this are decoded again faster than a cache file is worth."""

THREADS_FROM_BYTES = 16_384
"""Mean file size from which threads pay: below it the interpreter's lock costs more than it gives
(10,000 JPEGs of 32x32: 1.1 s alone, 1.5 s with two threads)."""

THREADS = 4


@dataclass(frozen=True)
class FileReader:
    """Decodes ``names`` of a store; larger reads are cached under ``digest`` and ``split``."""

    store: Store = field(repr=False)
    names: tuple[str, ...] = field(repr=False)
    size: tuple[int, int]
    digest: str
    split: str
    cache: Cache | None = None

    def read(self, positions: Sequence[int]) -> Decoded:
        if self.cache is None or len(positions) < CACHED_FROM:
            return self._decode(positions)
        key = cache_key(self.digest, self.split, self.size, positions)
        decoded = self.cache.get(key, self.size)
        if decoded is None:
            decoded = self._decode(positions)
            self.cache.put(key, decoded)
        return decoded

    def _decode(self, positions: Sequence[int]) -> Decoded:
        images = empty_images(len(positions), self.size)
        view = images.numpy()
        kept: list[int] = []
        left_out: list[str] = []
        done: Counter[str] = Counter()
        with strict_pillow():
            for position, result in zip(positions, self._each(positions), strict=True):
                if isinstance(result, FileUnreadableError):
                    left_out.append(f"{self.names[position]} ({result})")
                    continue
                pixels, notes = result
                view[len(kept)] = pixels.transpose(2, 0, 1)
                kept.append(position)
                done.update(notes)
        notices = _notices(left_out, done, self.size)
        return Decoded(images[: len(kept)], torch.tensor(kept, dtype=torch.int64), notices)

    def _each(
        self, positions: Sequence[int]
    ) -> Iterator[tuple[NDArray[np.uint8], Notes] | FileUnreadableError]:
        names = [self.names[position] for position in positions]
        sizes = {entry.name: entry.size for entry in self.store.entries}
        if sum(sizes[name] for name in names) < THREADS_FROM_BYTES * len(names):
            yield from map(self._one, names)
            return
        with ThreadPoolExecutor(THREADS) as pool:
            # In slices, so that no more than one of them waits decoded in memory.
            for start in range(0, len(names), 256):
                yield from pool.map(self._one, names[start : start + 256])

    def _one(self, name: str) -> tuple[NDArray[np.uint8], Notes] | FileUnreadableError:
        try:
            return decode(self.store.read(name), self.size)
        except FileUnreadableError as error:
            return error


def _notices(left_out: list[str], done: Counter[str], size: tuple[int, int]) -> tuple[str, ...]:
    notices = []
    if left_out:
        count = count_of(len(left_out), "image")
        notices.append(f"Left out {count} that cannot be read: {name_some(left_out)}.")
    if done["resized"]:
        notices.append(f"Resized to {size[0]}x{size[1]}: {count_of(done['resized'], 'image')}.")
    for key, text in CONVERSIONS.items():
        if done[key]:
            notices.append(f"{text}: {count_of(done[key], 'image')}.")
    return tuple(notices)


@dataclass(frozen=True)
class ArrayReader:
    """images: uint8 (N, 3, H, W), RGB; brought to ``size`` where theirs is another."""

    images: Tensor = field(repr=False)
    size: tuple[int, int]

    def read(self, positions: Sequence[int]) -> Decoded:
        chosen = torch.as_tensor(list(positions), dtype=torch.int64)
        images = self.images[chosen]
        if tuple(images.shape[2:]) == self.size:
            return Decoded(images, chosen)
        resized = empty_images(len(images), self.size)
        view = resized.numpy()
        for to, pixels in zip(view, images.permute(0, 2, 3, 1).contiguous().numpy(), strict=True):
            to[:] = resize(Image.fromarray(pixels), self.size, set()).transpose(2, 0, 1)
        return Decoded(resized, chosen, _notices([], Counter(resized=len(images)), self.size))
