"""An .npz of images in every shape they come in, and those that are refused."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cnp_engine.data.sources import open_source
from cnp_engine.errors import DataMismatch, DataMissing

Arrays = dict[str, NDArray[Any]]
X = np.random.default_rng(0).integers(0, 256, (5, 6, 4, 3), dtype=np.uint8)
Y = np.array([0, 2, 1, 0, 2])
WIDE = X.transpose(0, 3, 1, 2)
GREY = X[..., 0]


def _save(path: Path, arrays: Arrays) -> str:
    np.savez(path, allow_pickle=True, **arrays)
    return str(path)


SHAPES: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {
    "NHWC": (X, WIDE),
    "NCHW": (WIDE, WIDE),
    "NHW": (GREY, np.stack([GREY] * 3, 1)),
    "NHW1": (GREY[..., None], np.stack([GREY] * 3, 1)),
    "N1HW": (GREY[:, None], np.stack([GREY] * 3, 1)),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_becomes_nchw_rgb(tmp_path: Path, shape: str) -> None:
    given, expected = SHAPES[shape]
    source = open_source(_save(tmp_path / "a.npz", {"images": given}))
    assert source.train is not None
    assert source.size == (6, 4)
    assert source.train.labels is None
    np.testing.assert_array_equal(source.train.take().images.numpy(), expected)


@pytest.mark.parametrize(
    ("arrays", "train", "test", "classes"),
    [
        ({"x_train": X, "y_train": Y, "x_test": X[:2], "y_test": Y[:2]}, 5, 2, ("0", "1", "2")),
        ({"images": X, "labels": Y[:, None]}, 5, None, ("0", "1", "2")),
        ({"X_train": X, "Y_train": Y.astype(np.uint8)}, 5, None, ("0", "1", "2")),
        ({"x_test": X, "y_test": Y}, None, 5, ("0", "1", "2")),
        ({"images": X}, 5, None, ()),
        (
            {"images": X, "labels": Y, "classes": np.array(["a", "b", "c", "d"])},
            5,
            None,
            ("a", "b", "c", "d"),
        ),
        (
            {"images": X, "labels": Y, "classes": np.array([b"a", b"b", b"c"])},
            5,
            None,
            tuple("abc"),
        ),
        ({"x_train": X, "x_test": X[:0], "y_test": Y[:0]}, 5, None, ()),
    ],
)
def test_keys(
    tmp_path: Path,
    arrays: Arrays,
    train: int | None,
    test: int | None,
    classes: tuple[str, ...],
) -> None:
    source = open_source(_save(tmp_path / "a.npz", arrays))
    counts = tuple(part and len(part) for part in (source.train, source.test))
    assert counts == (train, test)
    assert source.classes == classes
    part = source.train or source.test
    assert part is not None
    if "labels" in arrays or "Y_train" in arrays:
        assert part.labelled([1, 4]).labels.tolist() == [2, 2]
        assert part.names[1] == "train/1"


BAD: dict[str, tuple[Callable[[Path], Any], type[Exception], str]] = {
    "missing": (lambda p: None, DataMissing, "no file"),
    "empty": (lambda p: p.write_bytes(b""), DataMissing, "no .npz|not an .npz"),
    "text": (lambda p: p.write_text("hello"), DataMissing, "not an .npz"),
    "cut": (lambda p: p.write_bytes(_bytes(p)[:200]), DataMissing, "not an .npz"),
    "other keys": (lambda p: _save(p, {"a": X, "b": Y}), DataMissing, "a, b"),
    "no images": (lambda p: _save(p, {"images": X[:0]}), DataMissing, "holds no image"),
    "objects": (
        lambda p: _save(p, {"images": np.array([None, 1], dtype=object)}),
        DataMissing,
        "not an .npz of plain arrays",
    ),
    "floats": (lambda p: _save(p, {"images": X / 255.0}), DataMismatch, "uint8"),
    "16 bits": (lambda p: _save(p, {"images": X.astype(np.uint16)}), DataMismatch, "uint8"),
    "two channels": (lambda p: _save(p, {"images": X[..., :2]}), DataMismatch, "no batch"),
    "one image": (lambda p: _save(p, {"images": X[0, :, :, 0]}), DataMismatch, "no batch"),
    "too few labels": (
        lambda p: _save(p, {"images": X, "labels": Y[:3]}),
        DataMismatch,
        "for 5 images",
    ),
    "one-hot labels": (
        lambda p: _save(p, {"images": X, "labels": np.eye(5)}),
        DataMismatch,
        "for 5 images",
    ),
    "negative labels": (
        lambda p: _save(p, {"images": X, "labels": Y - 1}),
        DataMismatch,
        "labels from -1 to 1",
    ),
    "more labels than classes": (
        lambda p: _save(p, {"images": X, "labels": Y, "classes": np.array(["a"])}),
        DataMismatch,
        "labels from 0 to 2 for 1 classes",
    ),
    "classes that are no names": (
        lambda p: _save(p, {"images": X, "classes": np.zeros(3)}),
        DataMismatch,
        "no list of names",
    ),
}


def _bytes(path: Path) -> bytes:
    _save(path, {"images": X})
    return path.read_bytes()


@pytest.mark.parametrize("case", BAD)
def test_a_bad_npz_is_refused_in_a_sentence(tmp_path: Path, case: str) -> None:
    make, error, words = BAD[case]
    path = tmp_path / "a.npz"
    make(path)
    with pytest.raises(error, match=words):
        open_source(str(path))


def test_the_digest_is_of_the_file(tmp_path: Path) -> None:
    first = open_source(_save(tmp_path / "a.npz", {"images": X})).sha256
    second = open_source(_save(tmp_path / "b.npz", {"images": X})).sha256
    other = open_source(_save(tmp_path / "c.npz", {"images": X[1:]})).sha256
    assert first == second != other


def test_an_entry_that_is_no_array(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.npz", {"images": X})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("classes", "cat dog")
    with pytest.raises(DataMissing, match="plain arrays"):
        open_source(path)


def test_an_array_that_claims_more_than_there_is(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (1 << 48, 3)}
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", header.getvalue())
    with pytest.raises(DataMissing, match=r"claims more than memory holds|plain arrays"):
        open_source(str(tmp_path / "a.npz"))


@pytest.mark.parametrize("label", [60_000_000, (1 << 63) + 5])
def test_labels_that_fit_no_class_are_told_as_they_are(tmp_path: Path, label: int) -> None:
    labels = np.array([0, 1, 2, 3, label], dtype=np.uint64)
    path = _save(tmp_path / "a.npz", {"images": X, "labels": labels})
    with pytest.raises(DataMismatch, match=f"labels up to {label}"):
        open_source(path)


@pytest.mark.parametrize(
    "name",
    ["~nosuchuser/a.npz", "a" * 300 + ".npz", "~nosuchuser/b", "b" * 300, "cifar10:" + "c" * 300],
)
def test_what_can_be_no_path_is_not_there(name: str) -> None:
    with pytest.raises(DataMissing, match="There is no"):
        open_source(name)


def test_names_of_a_stranger_do_not_drive_the_terminal(tmp_path: Path) -> None:
    classes = np.array(["cat", "\x1b]0;pwn\x07dog", "\x07"])
    path = _save(tmp_path / "a.npz", {"images": X, "labels": Y, "classes": classes})
    source = open_source(path)
    assert source.classes == ("cat", r"\x1b]0;pwn\x07dog", r"\x07")
