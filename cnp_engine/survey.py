"""What a data source holds, for people who are about to run on it: counts and a few pictures."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cnp_engine.data.images import DataSource, ImageSet, count_of
from cnp_engine.data.sources import open_source
from cnp_engine.data.split import FEWEST
from cnp_engine.errors import TooFewImages

SHOWN = 12
LARGEST = 32
"""A thumbnail has no more pixels than this either way."""


@dataclass(frozen=True)
class Thumbnail:
    """``rgba`` is base64 of height x width x 4 bytes; ``label`` the class's name, where known."""

    label: str | None
    width: int
    height: int
    rgba: str


@dataclass(frozen=True)
class Survey:
    """``labelled``: the test images are, so that BA can be measured; ``unlabelled``: no image is.

    ``counts`` of images by split, and of those a run would take as clean. ``size`` is (height,
    width) in pixels.
    """

    source: str
    classes: tuple[str, ...]
    labelled: bool
    unlabelled: bool
    counts: dict[str, int | None]
    size: tuple[int, int]
    notices: tuple[str, ...]
    thumbnails: tuple[Thumbnail, ...]


def survey(
    data: str,
    clean: int = 1000,
    clean_dir: str | None = None,
    model_size: Sequence[int] | None = None,
) -> Survey:
    """Look at a source as a run would; decodes headers and at most a dozen images.

    ``model_size``: (height, width) that the network asks for. Raises DataError.
    """
    size = (model_size[0], model_size[-1]) if model_size else None
    source = open_source(data, size)
    apart = open_source(clean_dir, source.size) if clean_dir else source
    pool = apart.train or apart.test
    assert pool is not None, "a source holds at least one split"
    measures = source.test or source.train
    every = [images for images in (source.train, source.test) if images is not None]
    used = min(clean, len(pool))
    notices = [*source.notices, *(apart.notices if clean_dir else ()), *_few(used, clean)]
    return Survey(
        source=source.spec,
        classes=source.classes,
        labelled=measures is not None and measures.labels is not None,
        unlabelled=all(images.labels is None for images in every),
        counts={**_counts(source), "clean": used},
        size=source.size,
        notices=tuple(dict.fromkeys(notices)),
        thumbnails=tuple(_thumbnails(pool, apart.classes or source.classes)),
    )


def _counts(source: DataSource) -> dict[str, int | None]:
    splits = {"train": source.train, "test": source.test}
    return {name: None if images is None else len(images) for name, images in splits.items()}


def _few(used: int, asked: int) -> list[str]:
    """Raises TooFewImages, as a run would."""
    if used < FEWEST:
        raise TooFewImages(
            f"Only {count_of(used, 'clean image')} can be used; at least {FEWEST} are needed.",
            "Give more images, or another folder with --clean-dir; 1,000 is a good number.",
        )
    few = f"Using {used:,} clean images, all there are; {asked:,} were asked for."
    return [few] if used < asked else []


def _thumbnails(images: ImageSet, classes: Sequence[str]) -> Iterator[Thumbnail]:
    """One of each class in turn where there are classes, else evenly over the images."""
    got = images.take(_spread(images))
    for image, index in zip(got.images, got.indices.tolist(), strict=True):
        label = None
        if images.labels is not None:
            number = int(images.labels[index])
            label = classes[number] if number < len(classes) else str(number)
        yield _thumbnail(image, label)


def _spread(images: ImageSet) -> list[int]:
    if images.labels is None:
        step = max(1, len(images) / SHOWN)
        return [int(number * step) for number in range(min(SHOWN, len(images)))]
    chosen: list[int] = []
    labels = sorted(set(images.labels.tolist()))
    rounds = [torch.nonzero(images.labels == label).flatten() for label in labels]
    for turn in range(SHOWN):
        chosen += [int(of_class[turn]) for of_class in rounds if turn < len(of_class)]
        if len(chosen) >= SHOWN:
            break
    return sorted(chosen[:SHOWN], key=lambda index: (_label(images, index), index))


def _label(images: ImageSet, index: int) -> int:
    assert images.labels is not None
    return int(images.labels[index])


def _thumbnail(image_CHW: Tensor, label: str | None) -> Thumbnail:
    height, width = image_CHW.shape[1:]
    if (longest := max(height, width)) > LARGEST:
        height, width = (max(1, side * LARGEST // longest) for side in (height, width))
        image_CHW = F.interpolate(image_CHW[None].float(), (height, width), mode="area")[0]
    rgba = torch.full((height, width, 4), 255, dtype=torch.uint8)
    rgba[..., :3] = image_CHW.float().round().byte().permute(1, 2, 0)
    return Thumbnail(label, width, height, base64.b64encode(rgba.numpy().tobytes()).decode())
