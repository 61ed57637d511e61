"""An .npz of images: x_train, y_train, x_test, y_test, or images and labels; perhaps classes."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cnp_engine.data.arrays import open_arrays, to_images, to_labels
from cnp_engine.data.images import DataSource
from cnp_engine.errors import DataMismatch, DataMissing
from cnp_engine.files import expanded, there

MAX_BYTES = 8 << 30
"""Largest .npz, unpacked, that is read into memory."""

KEYS = {"train": (("x_train", "y_train"), ("images", "labels")), "test": (("x_test", "y_test"),)}


def open_npz(spec: str, size: tuple[int, int] | None) -> DataSource:
    """A file. Raises DataMissing and DataMismatch."""
    path = expanded(spec)
    if not (there(path) and path.is_file()):
        raise DataMissing(f"There is no file {spec}.", "Check the path given as --data.")
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            arrays = _arrays(spec, file)
    except OSError as error:
        why = error.strerror or "it cannot be read"
        raise DataMissing(f"{spec} cannot be read: {why}.", "Check its permissions.") from error
    splits: dict[str, tuple[Tensor, Tensor | None]] = {}
    for split, pairs in KEYS.items():
        for x, y in pairs:
            if x in arrays and split not in splits:
                images = to_images(arrays[x], f"{x} in {spec}")
                labels = arrays.get(y)
                named = f"{y} in {spec}"
                splits[split] = (
                    images,
                    None if labels is None else to_labels(labels, len(images), named),
                )
    if not splits:
        raise DataMissing(
            f"{spec} has no x_train, x_test or images among its arrays ({', '.join(arrays)}).",
            "Name the arrays x_train, y_train, x_test, y_test, or images and labels.",
        )
    return open_arrays(spec, digest, splits, _classes(spec, arrays, splits), size)


def _arrays(spec: str, file: IO[bytes]) -> dict[str, NDArray[Any]]:
    """Arrays by lower-case name; never a pickled one."""
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
        if unpacked > MAX_BYTES:
            raise DataMismatch(
                f"{spec} unpacks to {unpacked / 2**30:.0f} GiB.",
                "Give the images as a folder or zip, which is decoded piece by piece.",
            )
        file.seek(0)
        with np.load(file, allow_pickle=False) as loaded:
            arrays = {name.lower(): loaded[name] for name in loaded.files}
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("an entry that is no array")  # numpy gives its bytes
        return arrays
    except MemoryError as error:
        raise DataMissing(
            f"{spec} has an array that claims more than memory holds, or than the file does.",
            "Check that the copy is complete; give large data as a folder or zip.",
        ) from error
    except (zipfile.BadZipFile, ValueError, EOFError, KeyError, zlib.error) as error:
        raise DataMissing(
            f"{spec} is not an .npz of plain arrays that can be read.",
            "Write it with numpy.savez, without Python objects, and check the copy is complete.",
        ) from error


def _classes(
    spec: str,
    arrays: dict[str, NDArray[Any]],
    splits: dict[str, tuple[Tensor, Tensor | None]],
) -> tuple[str, ...]:
    labels = [split[1] for split in splits.values() if split[1] is not None and len(split[1])]
    if "classes" in arrays:
        names = arrays["classes"]
        if names.ndim != 1 or names.dtype.kind not in "US":
            raise DataMismatch(f"classes in {spec} is no list of names.", "Store it as text.")
        text = [n.decode("utf-8", "replace") if isinstance(n, bytes) else str(n) for n in names]
        return tuple(text)
    return tuple(str(i) for i in range(max((int(y.max()) for y in labels), default=-1) + 1))
