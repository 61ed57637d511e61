"""The layouts CIFAR, GTSRB and Tiny ImageNet are published in, made small."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cnp_engine.data.sources import DataSource, open_source
from cnp_engine.errors import DataMismatch, DataMissing
from tests.engine.data.pictures import encoded, pixels, said, write_files, write_zip

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def _rows(seed: int, count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8)


def _pickled(seed: int, count: int, key: str = "labels") -> bytes:
    labels = [(seed + i) % 10 for i in range(count)]
    return pickle.dumps({"data": _rows(seed, count), key: labels, "batch_label": "x"}, 2)


def _binary(seed: int, count: int, coarse: bool = False) -> bytes:
    labels = np.array([[(seed + i) % 10] for i in range(count)], dtype=np.uint8)
    before = (labels + 50, labels) if coarse else (labels,)
    return np.concatenate([*before, _rows(seed, count)], axis=1).tobytes()


CIFAR_10 = {f"data_batch_{i}": _pickled(i, 2) for i in range(1, 6)} | {
    "test_batch": _pickled(7, 3),
    "batches.meta": pickle.dumps({"label_names": list(NAMES)}, 2),
}
CIFAR_10_BIN = {f"data_batch_{i}.bin": _binary(i, 2) for i in range(1, 6)} | {
    "test_batch.bin": _binary(7, 3),
    "batches.meta.txt": "\n".join(NAMES).encode() + b"\n\n",
}
FINE = [f"thing {i}".replace(" ", "_") for i in range(100)]
CIFAR_100 = {
    "train": _pickled(1, 4, "fine_labels"),
    "test": _pickled(7, 3, "fine_labels"),
    "meta": pickle.dumps({"fine_label_names": FINE, "coarse_label_names": ["x"]}, 2),
}
CIFAR_100_BIN = {
    "train.bin": _binary(1, 4, coarse=True),
    "test.bin": _binary(7, 3, coarse=True),
    "fine_label_names.txt": "\n".join(FINE).encode(),
}


def _in(folder: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": data for name, data in files.items()}


CIFARS: dict[str, tuple[str, dict[str, bytes], int]] = {
    "python": ("cifar10", CIFAR_10, 10),
    "python, in its folder": ("cifar10", _in("cifar-10-batches-py", CIFAR_10), 10),
    "binary": ("cifar10", CIFAR_10_BIN, 10),
    "binary, in its folder": ("cifar10", _in("cifar-10-batches-bin", CIFAR_10_BIN), 10),
    "100 python": ("cifar100", CIFAR_100, 4),
    "100 python, in its folder": ("cifar100", _in("cifar-100-python", CIFAR_100), 4),
    "100 binary": ("cifar100", _in("cifar-100-binary", CIFAR_100_BIN), 4),
}


@pytest.mark.parametrize("case", CIFARS)
@pytest.mark.parametrize("zipped", [False, True], ids=["folder", "zip"])
def test_cifar(tmp_path: Path, case: str, zipped: bool) -> None:
    kind, files, train = CIFARS[case]
    where = write_zip(tmp_path / "c.zip", files) if zipped else write_files(tmp_path / "c", files)
    source = open_source(f"{kind}:{where}")
    assert source.classes == (NAMES if kind == "cifar10" else tuple(FINE))
    assert source.size == (32, 32)
    assert source.notices == ()
    assert len(source.sha256) == 64
    assert source.train is not None
    assert source.test is not None
    first, test = source.train.labelled(), source.test.labelled()
    assert len(first) == train
    assert first.labels[:2].tolist() == [1, 2]
    assert test.labels.tolist() == [7, 8, 9]
    np.testing.assert_array_equal(test.images.numpy(), _rows(7, 3).reshape(3, 3, 32, 32))
    np.testing.assert_array_equal(
        first.images[:2].numpy(),
        _rows(1, train)[:2].reshape(2, 3, 32, 32)
        if kind == "cifar100"
        else _rows(1, 2).reshape(2, 3, 32, 32),
    )


def test_cifar_can_be_resized_and_says_what_it_lacks(tmp_path: Path) -> None:
    files = {k: v for k, v in CIFAR_10.items() if k not in ("data_batch_3", "batches.meta")}
    source = open_source(f"cifar10:{write_files(tmp_path, files)}", (16, 16))
    assert said(source.notices, "lacks", "data_batch_3")
    assert source.classes == tuple(str(i) for i in range(10))
    assert source.train is not None
    got = source.train.take([3, 1])
    assert len(source.train) == 8
    assert said(got.notices, "Resized to 16x16: 2 images")
    original = Image.fromarray(_rows(2, 2)[1].reshape(3, 32, 32).transpose(1, 2, 0))
    expected = np.asarray(original.resize((16, 16), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(got.images[0].permute(1, 2, 0).numpy(), expected)


class _Evil:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (print, ("run",))


BAD_CIFAR: dict[str, tuple[str, dict[str, bytes], type[Exception], str]] = {
    "nothing there": ("cifar10", {"a.txt": b""}, DataMissing, "no cifar10 batches"),
    "a pickle that runs code": (
        "cifar10",
        {"data_batch_1": pickle.dumps({"data": _Evil(), "labels": []}, 2)},
        DataMismatch,
        "asks for",
    ),
    "truncated": ("cifar10", {"test_batch": _pickled(1, 2)[:900]}, DataMismatch, "damaged"),
    "no labels": ("cifar10", {"test_batch": _pickled(1, 2, "names")}, DataMismatch, "labels"),
    "another size": (
        "cifar10",
        {"test_batch": pickle.dumps({"data": _rows(1, 2)[:, :3000], "labels": [0, 1]}, 2)},
        DataMismatch,
        "not 32x32",
    ),
    "too few labels": (
        "cifar10",
        {"test_batch": pickle.dumps({"data": _rows(1, 2), "labels": [0]}, 2)},
        DataMismatch,
        "for 2 images",
    ),
    "labels beyond": (
        "cifar10",
        {"test_batch": pickle.dumps({"data": _rows(1, 2), "labels": [0, 10]}, 2)},
        DataMismatch,
        "labels from 0 to 10 for 10 classes",
    ),
    "half a record": ("cifar10", {"test_batch.bin": _binary(1, 2)[:-5]}, DataMismatch, "multiple"),
}


@pytest.mark.parametrize("case", BAD_CIFAR)
def test_a_bad_batch_is_refused_in_a_sentence(tmp_path: Path, case: str) -> None:
    kind, files, error, words = BAD_CIFAR[case]
    with pytest.raises(error, match=words):
        open_source(f"{kind}:{write_files(tmp_path / 'c', files)}")


def _ppm(seed: int, height: int, width: int) -> bytes:
    return encoded(Image.fromarray(pixels(seed, height, width)), "PPM")


TABLE = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n"
GT = TABLE + "00000.ppm;30;29;1;1;9;9;16\n00001.ppm;42;45;1;1;9;9;1\n"
GTSRB = {
    "Final_Training/Images/00000/00000_00000.ppm": _ppm(1, 30, 29),
    "Final_Training/Images/00014/00000_00000.ppm": _ppm(2, 64, 60),
    "Final_Training/Images/00014/GT-00014.csv": TABLE.encode(),
    "Final_Test/Images/00000.ppm": _ppm(3, 30, 29),
    "Final_Test/Images/00001.ppm": _ppm(4, 40, 50),
    "Final_Test/Images/00002.ppm": _ppm(5, 40, 50),
    "Final_Test/Images/GT-final_test.test.csv": TABLE.encode(),
    "GT-final_test.csv": GT.encode(),
}
TORCHVISION = {
    k.replace("Final_Training/Images/", "gtsrb/GTSRB/Training/"): v for k, v in GTSRB.items()
}


@pytest.mark.parametrize(
    "files",
    [GTSRB, TORCHVISION, _in("GTSRB", GTSRB)],
    ids=["official", "torchvision", "unpacked"],
)
def test_gtsrb(tmp_path: Path, files: dict[str, bytes]) -> None:
    source = open_source(f"gtsrb:{write_files(tmp_path, files)}")
    assert len(set(source.classes)) == 43
    assert source.classes[14] == "stop"
    assert source.size == (32, 32)
    assert said(source.notices, "brought to 32x32")
    assert said(source.notices, "1 test image without a label", "00002.ppm")
    assert not said(source.notices, "csv that")
    assert source.train is not None
    assert source.test is not None
    assert source.train.labelled().labels.tolist() == [0, 14]
    test = source.test.labelled()
    assert test.labels.tolist() == [16, 1]
    assert test.images.shape == (2, 3, 32, 32)


def test_gtsrb_without_its_table_is_unlabelled(tmp_path: Path) -> None:
    files = {k: v for k, v in GTSRB.items() if k != "GT-final_test.csv"}
    source = open_source(f"gtsrb:{write_files(tmp_path, files)}", (8, 8))
    assert source.test is not None
    assert source.test.labels is None
    assert said(source.notices, "test split is unlabelled")
    assert source.size == (8, 8)


@pytest.mark.parametrize(
    ("files", "error", "words"),
    [
        ({"a.ppm": _ppm(1, 8, 8)}, DataMissing, "neither Final_Training"),
        ({"Final_Training/Images/00043/1.ppm": _ppm(1, 8, 8)}, DataMismatch, "00000 to 00042"),
        (GTSRB | {"GT-final_test.csv": b"a;b\n1;2\n"}, DataMismatch, "no table"),
        (GTSRB | {"GT-final_test.csv": GT.replace(";16", ";x").encode()}, DataMismatch, "no table"),
        (GTSRB | {"GT-final_test.csv": GT.replace(";16", ";43").encode()}, DataMismatch, "0 to 42"),
    ],
)
def test_a_bad_gtsrb_is_refused(
    tmp_path: Path, files: dict[str, bytes], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        open_source(f"gtsrb:{write_files(tmp_path, files)}")


def _jpeg(seed: int) -> bytes:
    return encoded(Image.fromarray(pixels(seed, 64, 64)), "JPEG")


TINY = {
    "train/n02/images/n02_0.JPEG": _jpeg(1),
    "train/n02/n02_boxes.txt": b"n02_0.JPEG\t0\t0\t9\t9\n",
    "train/n01/images/n01_0.JPEG": _jpeg(2),
    "val/images/val_0.JPEG": _jpeg(3),
    "val/images/val_1.JPEG": _jpeg(4),
    "val/images/val_2.JPEG": _jpeg(5),
    "val/val_annotations.txt": b"val_0.JPEG\tn02\t0\t0\t9\t9\nval_1.JPEG\tn01\t0\t0\t9\t9\n",
    "test/images/test_0.JPEG": _jpeg(6),
    "wnids.txt": b"n02\nn01\n",
    "words.txt": b"n01\tgoldfish, Carassius auratus\nn09\tother\n",
}
SORTED_VAL = {k: v for k, v in TINY.items() if not k.startswith("val/")} | {
    "val/n02/val_0.JPEG": _jpeg(3),
    "val/n01/images/val_1.JPEG": _jpeg(4),
}


@pytest.mark.parametrize(
    ("files", "left_out"),
    [(TINY, True), (_in("tiny-imagenet-200", TINY), True), (SORTED_VAL, False)],
    ids=["official", "unpacked", "val sorted into folders"],
)
def test_tiny_imagenet(tmp_path: Path, files: dict[str, bytes], left_out: bool) -> None:
    source = open_source(f"tiny-imagenet:{write_files(tmp_path, files)}")
    assert source.classes == ("goldfish", "n02")
    assert source.size == (64, 64)
    assert said(source.notices, "1 val image without a label") == left_out
    assert not said(source.notices, ".txt")
    assert source.train is not None
    assert source.test is not None
    labels = dict(zip(source.train.names, source.train.labelled().labels.tolist(), strict=True))
    assert {name.split("_")[0][-3:]: label for name, label in labels.items()} == {
        "n01": 0,
        "n02": 1,
    }
    test = source.test.labelled()
    assert {n[-10:]: y for n, y in zip(test.names, test.labels.tolist(), strict=True)} == {
        "val_0.JPEG": 1,
        "val_1.JPEG": 0,
    }


def test_tiny_imagenet_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="neither train/ nor val/"):
        open_source(f"tiny-imagenet:{write_files(tmp_path, {'a.JPEG': _jpeg(1)})}")


@pytest.mark.parametrize("kind", ["cifar10", "cifar100", "gtsrb", "tiny-imagenet"])
def test_a_folder_that_is_not_there(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataMissing, match="There is no data at"):
        open_source(f"{kind}:{tmp_path / 'nowhere'}")


@pytest.mark.parametrize("case", ["cifar10", "gtsrb", "tiny-imagenet"])
def test_sources_agree_on_type(tmp_path: Path, case: str) -> None:
    files = {"cifar10": CIFAR_10, "gtsrb": GTSRB, "tiny-imagenet": TINY}[case]
    source: DataSource = open_source(f"{case}:{write_files(tmp_path, files)}", (8, 8))
    for part in (source.train, source.test):
        assert part is not None
        got = part.labelled()
        assert got.images.dtype == torch.uint8
        assert got.images.shape[1:] == (3, 8, 8)
        assert got.labels.dtype == torch.int64
        assert len(got.names) == len(got.images) == len(got.labels)
