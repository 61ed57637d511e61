"""A listing of images that decodes what is asked for, and the decoded images themselves.

Knows nothing of files or formats (a `Reader` does), of runs, or of what labels are good for.
`Images` carries no labels: what optimises or decides is handed that type and cannot see one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from cnp_engine.printing import printable


@dataclass(frozen=True)
class Decoded:
    """What a reader made of the positions it was asked for; unreadable ones are left out.

    images: uint8 (n, 3, H, W), RGB. positions: int64 (n,), a subsequence of what was asked for.
    """

    images: Tensor
    positions: Tensor
    notices: tuple[str, ...] = ()


class Reader(Protocol):
    """Decodes images by position, all to one size."""

    def read(self, positions: Sequence[int]) -> Decoded:
        """The images at ``positions``, in that order, without those that cannot be decoded."""
        ...


@dataclass(frozen=True)
class Images:
    """Decoded images without labels.

    images: uint8 (n, 3, H, W), RGB. indices: int64 (n,), positions in the set they came from.
    names: path within the source, or the running number. notices: what was left out or converted.
    """

    images: Tensor
    indices: Tensor
    names: tuple[str, ...]
    notices: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class LabelledImages:
    """Decoded images with labels, int64 (n,): for measuring only."""

    images: Tensor
    labels: Tensor
    indices: Tensor
    names: tuple[str, ...]
    notices: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class ImageSet:
    """What a source holds in one split; nothing is decoded before `take` or `labelled`.

    names: one per image. labels: int64 (N,), or None where the source has none.
    """

    names: tuple[str, ...]
    labels: Tensor | None
    reader: Reader = field(repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.names)

    def take(self, indices: Sequence[int] | Tensor | None = None) -> Images:
        """Decode the images at ``indices`` (all by default); unreadable ones are left out."""
        decoded = self.reader.read(_positions(indices, len(self)))
        names = tuple(self.names[i] for i in decoded.positions.tolist())
        return Images(decoded.images, decoded.positions, names, decoded.notices)

    def labelled(self, indices: Sequence[int] | Tensor | None = None) -> LabelledImages:
        """As `take`, with labels; only for a set that has them."""
        assert self.labels is not None, "this set has no labels"
        got = self.take(indices)
        return LabelledImages(
            got.images, self.labels[got.indices], got.indices, got.names, got.notices
        )


@dataclass(frozen=True)
class DataSource:
    """spec: as given. sha256: of the content. size: (height, width) every image is brought to.

    classes: names by label, empty where unlabelled. train, test: None where there is no such
    split; a source without splits is all in ``train``. notices: sentences for people.
    """

    spec: str
    sha256: str
    size: tuple[int, int]
    classes: tuple[str, ...]
    train: ImageSet | None
    test: ImageSet | None
    notices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Names of folders and files, and of classes in an .npz, are text of a stranger's."""
        for name in ("classes", "notices"):
            object.__setattr__(self, name, tuple(map(printable, getattr(self, name))))


def _positions(indices: Sequence[int] | Tensor | None, count: int) -> Sequence[int]:
    if indices is None:
        return range(count)
    return [int(i) for i in (indices.tolist() if isinstance(indices, Tensor) else indices)]


def empty_images(count: int, size: tuple[int, int]) -> Tensor:
    """Room for ``count`` images: uint8 (count, 3, H, W), not initialised."""
    return torch.empty((count, 3, *size), dtype=torch.uint8)


def count_of(count: int, noun: str) -> str:
    """``1 image``, ``1,200 images``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
