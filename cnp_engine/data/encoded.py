"""A `DataSource` over encoded image files, once their names, labels and splits are known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from cnp_engine.data.cache import Cache, cache_folder
from cnp_engine.data.decode import strict_pillow, upright_size
from cnp_engine.data.images import DataSource, ImageSet
from cnp_engine.data.layout import Listing, class_order, find_layout, image_entries
from cnp_engine.data.readers import FileReader
from cnp_engine.data.store import FileUnreadableError, Store
from cnp_engine.errors import DataMissing
from cnp_engine.printing import name_some

HEADERS = 512
"""Image headers looked at, evenly over the source, to find the most common size."""


@dataclass(frozen=True)
class Files:
    """One split: names within the store, and a label each (None where there are none)."""

    names: tuple[str, ...]
    labels: tuple[int, ...] | None


def open_files(
    spec: str,
    store: Store,
    train: Files | None,
    test: Files | None,
    classes: tuple[str, ...],
    size: tuple[int, int] | None,
    notices: Sequence[str] = (),
) -> DataSource:
    """A source of encoded files, listed and digested. Raises DataMissing where none is readable."""
    every = [name for files in (train, test) if files for name in files.names]
    if not every:
        raise no_images(store)
    chosen, more = (size, ()) if size else most_common_size(store, every)
    digest = store.digest()
    cache = Cache(cache_folder())

    def image_set(files: Files | None, split: str) -> ImageSet | None:
        if files is None or not files.names:
            return None
        labels = None if files.labels is None else torch.tensor(files.labels, dtype=torch.int64)
        reader = FileReader(store, files.names, chosen, digest, split, cache)
        return ImageSet(files.names, labels, reader)

    return DataSource(
        spec=spec,
        sha256=digest,
        size=chosen,
        classes=classes,
        train=image_set(train, "train"),
        test=image_set(test, "test"),
        notices=(*notices, *more),
    )


def open_image_folder(spec: str, store: Store, size: tuple[int, int] | None) -> DataSource:
    """A folder or zip in ImageFolder layout, with or without splits and classes."""
    names, left_out = image_entries(store.entries)
    if not names:
        raise no_images(store)
    layout = find_layout(names)
    listings = [listing for listing in (layout.train, layout.test) if listing]
    folders = [folder for listing in listings for folder in listing.folders or ()]
    classes, notices = class_order(folders)
    notices = (*left_out, *layout.notices, *notices)
    if len(classes) == 1:
        # One folder of images says where they lie, not what they show.
        notices += (f"One class only ({classes[0]}); its images are taken as unlabelled.",)
        classes = ()
    label_of = {folder: label for label, folder in enumerate(classes)}

    def files(listing: Listing | None) -> Files | None:
        if listing is None:
            return None
        labels = (
            tuple(label_of[f] for f in listing.folders) if listing.folders and classes else None
        )
        return Files(listing.names, labels)

    train, test = files(layout.train), files(layout.test)
    notices += _uneven(train, test, classes)
    return open_files(spec, store, train, test, classes, size, notices)


def most_common_size(store: Store, names: Sequence[str]) -> tuple[tuple[int, int], tuple[str, ...]]:
    """The most common (height, width), larger first where equal, and a notice if there are others.

    Raises DataMissing where not one header can be read.
    """
    sizes: Counter[tuple[int, int]] = Counter()
    step = max(1, len(names) / HEADERS)
    with strict_pillow():
        for index in range(min(len(names), HEADERS)):
            try:
                sizes[upright_size(store.read(names[int(index * step)]))] += 1
            except FileUnreadableError:
                continue
    if not sizes:
        raise no_images(store)
    chosen = max(sizes, key=lambda size: (sizes[size], size[0] * size[1], size))
    if len(sizes) == 1:
        return chosen, ()
    low, high = min(sizes, key=_area), max(sizes, key=_area)
    text = (
        f"Images are of {len(sizes)} sizes ({low[0]}x{low[1]} to {high[0]}x{high[1]}); "
        f"all are brought to {chosen[0]}x{chosen[1]}, the most common."
    )
    return chosen, (text,)


def no_images(store: Store) -> DataMissing:
    return DataMissing(
        f"{store.path} holds no image that can be read.",
        "Give a folder or zip with train/CLASS/*.jpg and test/CLASS/*.jpg, or with images only.",
    )


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _uneven(train: Files | None, test: Files | None, classes: tuple[str, ...]) -> tuple[str, ...]:
    """A notice for each split that lacks a class the other one has."""
    notices = []
    for name, files in (("train", train), ("test", test)):
        if files and files.labels:
            missing = [classes[i] for i in sorted(set(range(len(classes))) - set(files.labels))]
            if missing:
                notices.append(f"The {name} split has no image of {name_some(missing)}.")
    return tuple(notices)
