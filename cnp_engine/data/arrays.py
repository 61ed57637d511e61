"""A `DataSource` over images that are arrays already: CIFAR's batches, an .npz, the demo."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnp_engine.data.images import DataSource, ImageSet
from cnp_engine.data.readers import ArrayReader
from cnp_engine.errors import DataMismatch, DataMissing

_LARGEST_LABEL = 1 << 20


def open_arrays(
    spec: str,
    sha256: str,
    splits: dict[str, tuple[Tensor, Tensor | None]],
    classes: tuple[str, ...],
    size: tuple[int, int] | None,
    notices: tuple[str, ...] = (),
) -> DataSource:
    """splits: ``train`` and ``test`` to (uint8 (N, 3, H, W), int64 (N,) or None).

    Raises DataMissing without images, DataMismatch where a label has no class.
    """
    splits = {name: split for name, split in splits.items() if len(split[0])}
    if not splits:
        raise DataMissing(f"{spec} holds no image.", "Give a source with at least one.")
    first = next(iter(splits.values()))[0]
    chosen = size or (first.shape[2], first.shape[3])
    sets: dict[str, ImageSet] = {}
    for name, (images, labels) in splits.items():
        low, high = (0, -1) if labels is None else (int(labels.min()), int(labels.max()))
        if low < 0 or high >= len(classes):
            raise DataMismatch(
                f"{spec} has labels from {low} to {high} for {len(classes)} classes.",
                "Labels must run from 0 to the number of classes less one.",
            )
        names = tuple(f"{name}/{i}" for i in range(len(images)))
        sets[name] = ImageSet(names, labels, ArrayReader(images, chosen))
    return DataSource(spec, sha256, chosen, classes, sets.get("train"), sets.get("test"), notices)


def to_images(array: NDArray[Any], what: str) -> Tensor:
    """uint8 (N,H,W,3), (N,3,H,W), (N,H,W,1), (N,1,H,W) or (N,H,W) as uint8 (N,3,H,W).

    Raises DataMismatch for any other type or shape; ``what`` names the array.
    """
    if array.dtype != np.uint8:
        raise DataMismatch(
            f"{what} is of type {array.dtype}, where images are uint8.",
            "Store the images as 0 to 255 in uint8.",
        )
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or not {array.shape[1], array.shape[3]} & {1, 3} or 0 in array.shape[1:]:
        raise DataMismatch(
            f"{what} has shape {tuple(array.shape)}, which is no batch of images.",
            "Store images as (N, height, width, 3) or (N, 3, height, width).",
        )
    images = torch.from_numpy(np.ascontiguousarray(array))
    if array.shape[3] == 3 or (array.shape[3] == 1 and array.shape[1] != 3):
        images = images.permute(0, 3, 1, 2)
    return images.expand(-1, 3, -1, -1).contiguous()


def to_labels(array: NDArray[Any], count: int, what: str) -> Tensor:
    """Integers (N,) or (N, 1) as int64 (N,). Raises DataMismatch."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or array.dtype.kind not in "iu" or len(array) != count:
        raise DataMismatch(
            f"{what} is {array.dtype} of shape {tuple(array.shape)} for {count} images.",
            "Store one integer label an image.",
        )
    if len(array) and int(array.max()) > _LARGEST_LABEL:
        raise DataMismatch(
            f"{what} has labels up to {int(array.max())}.",
            "Labels must run from 0 to the number of classes less one.",
        )
    return torch.from_numpy(array.astype(np.int64))
