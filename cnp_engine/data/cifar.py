"""CIFAR-10 and CIFAR-100 as their authors publish them: python batches or binary ones."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cnp_engine.data.arrays import open_arrays, to_labels
from cnp_engine.data.images import DataSource
from cnp_engine.data.store import FileUnreadableError, Store, open_store
from cnp_engine.data.unpickle import PickleRefusedError, read_pickle
from cnp_engine.errors import DataMismatch, DataMissing
from cnp_engine.files import expanded
from cnp_engine.printing import name_some

PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class Edition:
    """One published form: folder, files by split, where names of classes are."""

    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    names: str
    names_key: str
    labels_key: str
    label_bytes: int  # before the pixels of a binary record; the last of them is the label
    classes: int

    @property
    def binary(self) -> bool:
        return self.names.endswith(".txt")


_BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))
_BIN = tuple(f"{name}.bin" for name in _BATCHES)
EDITIONS = {
    "cifar10": (
        Edition("cifar-10-batches-py", _BATCHES, ("test_batch",),
                "batches.meta", "label_names", "labels", 1, 10),
        Edition("cifar-10-batches-bin", _BIN, ("test_batch.bin",),
                "batches.meta.txt", "", "", 1, 10),
    ),
    "cifar100": (
        Edition("cifar-100-python", ("train",), ("test",),
                "meta", "fine_label_names", "fine_labels", 2, 100),
        Edition("cifar-100-binary", ("train.bin",), ("test.bin",),
                "fine_label_names.txt", "", "", 2, 100),
    ),
}  # fmt: skip


def open_cifar(spec: str, size: tuple[int, int] | None) -> DataSource:
    """``cifar10:DIR`` or ``cifar100:DIR``; DIR holds the batches or the folder they come in.

    Raises DataMissing, and DataMismatch for a batch that is damaged or asks for more than arrays.
    """
    kind, _, where = spec.partition(":")
    store = open_store(expanded(where))
    edition, files = _find(store, kind)
    digest = hashlib.sha256()
    splits: dict[str, tuple[Tensor, Tensor | None]] = {}
    for split, names in (("train", edition.train), ("test", edition.test)):
        images, labels = [], []
        for name in names:
            if name in files:
                data = _read(store, files[name])
                digest.update(f"{name}\0{hashlib.sha256(data).hexdigest()}\n".encode())
                batch = _from_binary if edition.binary else _from_pickle
                x, y = batch(data, edition, files[name])
                images.append(x)
                labels.append(y)
        if images:
            splits[split] = (torch.cat(images), torch.cat(labels))
    missing = [name for name in (*edition.train, *edition.test) if name not in files]
    notices = (f"{store.path} lacks {name_some(missing)}.",) if missing else ()
    classes = _class_names(store, edition, files)
    return open_arrays(spec, digest.hexdigest(), splits, classes, size, notices)


def _find(store: Store, kind: str) -> tuple[Edition, dict[str, str]]:
    """The edition that is there, and its files: short name to name in the store."""
    listed = {entry.name for entry in store.entries}
    for edition in EDITIONS[kind]:
        wanted = (*edition.train, *edition.test, edition.names)
        roots = {name.removesuffix(wanted_name) for wanted_name in (*edition.train, *edition.test)
                 for name in listed if f"/{name}".endswith(f"/{wanted_name}")}  # fmt: skip
        for root in sorted(roots, key=lambda root: (len(root), root)):
            return edition, {name: root + name for name in wanted if root + name in listed}
    folders = " or ".join(edition.folder for edition in EDITIONS[kind])
    raise DataMissing(
        f"{store.path} holds no {kind} batches.",
        f"Give the folder {folders}, or the one it lies in.",
    )


def _read(store: Store, name: str) -> bytes:
    try:
        return store.read(name)
    except FileUnreadableError as error:
        raise _damaged(name, str(error)) from error


def _damaged(name: str, why: str) -> DataMismatch:
    return DataMismatch(f"The batch {name} was refused: {why}.", "Download the data set again.")


def _from_pickle(data: bytes, edition: Edition, name: str) -> tuple[Tensor, Tensor]:
    try:
        batch = read_pickle(data)
        pixels, labels = np.asarray(batch["data"]), np.asarray(batch[edition.labels_key])
    except PickleRefusedError as error:
        raise _damaged(name, str(error)) from error
    except (KeyError, ValueError) as error:
        raise _damaged(name, f"it has no data and {edition.labels_key}") from error
    if pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != PIXELS:
        raise _damaged(name, "its images are not 32x32 in 8 bits")
    images = torch.from_numpy(pixels.reshape(-1, 3, 32, 32).copy())
    return images, to_labels(labels, len(images), f"{edition.labels_key} in {name}")


def _from_binary(data: bytes, edition: Edition, name: str) -> tuple[Tensor, Tensor]:
    record = edition.label_bytes + PIXELS
    if len(data) % record or not data:
        raise _damaged(name, f"its size is no multiple of {record} bytes")
    rows = torch.from_numpy(np.frombuffer(data, dtype=np.uint8).reshape(-1, record).copy())
    images = rows[:, edition.label_bytes :].reshape(-1, 3, 32, 32).contiguous()
    return images, rows[:, edition.label_bytes - 1].to(torch.int64)


def _class_names(store: Store, edition: Edition, files: dict[str, str]) -> tuple[str, ...]:
    """From the names' file; numbers where it is missing, damaged or of another length."""
    reader: Callable[[bytes], list[str]] = _text_names if edition.binary else (
        lambda data: [str(name) for name in read_pickle(data).get(edition.names_key, ())]
    )  # fmt: skip
    names: list[str] = []
    if edition.names in files:
        try:
            names = reader(_read(store, files[edition.names]))
        except PickleRefusedError as error:
            raise _damaged(files[edition.names], str(error)) from error
    return (
        tuple(names) if len(names) == edition.classes else tuple(map(str, range(edition.classes)))
    )


def _text_names(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").split()
