"""Folders and zips as users have them: the same pictures, the same source; nothing ever crashes."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cnp_engine.data.sources import DataSource, open_source
from cnp_engine.errors import DataMissing
from tests.engine.data.pictures import (
    encoded,
    folder_files,
    pixels,
    png,
    said,
    write_files,
    write_zip,
)

Writer = Callable[[Path, Mapping[str, bytes]], Path]


def _as_folder(root: Path, files: Mapping[str, bytes]) -> Path:
    return write_files(root / "images", files)


def _as_zip(root: Path, files: Mapping[str, bytes]) -> Path:
    return write_zip(root / "images.zip", files)


BOTH = pytest.mark.parametrize("write", [_as_folder, _as_zip], ids=["folder", "zip"])
SPLITS = folder_files({"train/cat": 3, "train/ant": 2, "test/ant": 1, "test/cat": 4})


@BOTH
def test_splits_labels_names_and_pixels(tmp_path: Path, write: Writer) -> None:
    source = open_source(str(write(tmp_path, SPLITS)))
    assert source.classes == ("ant", "cat")
    assert source.size == (8, 8)
    assert source.notices == ()
    assert source.train is not None
    assert source.test is not None
    assert source.train.names[:3] == ("train/ant/000.png", "train/ant/001.png", "train/cat/000.png")
    assert source.train.labels is not None
    assert source.train.labels.tolist() == [0, 0, 1, 1, 1]
    got = source.test.labelled()
    assert got.labels.tolist() == [0, 1, 1, 1, 1]
    assert got.images.dtype == torch.uint8
    assert got.images.shape == (5, 3, 8, 8)
    for name, image in zip(got.names, got.images, strict=True):
        seed = list(SPLITS).index(name)
        np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), pixels(seed))


@BOTH
def test_taking_some_keeps_the_order_asked_for(tmp_path: Path, write: Writer) -> None:
    source = open_source(str(write(tmp_path, SPLITS)))
    assert source.train is not None
    everything = source.train.take()
    some = source.train.take(torch.tensor([4, 0, 2]))
    assert some.indices.tolist() == [4, 0, 2]
    assert some.names == tuple(everything.names[i] for i in (4, 0, 2))
    assert torch.equal(some.images, everything.images[[4, 0, 2]])
    assert not hasattr(some, "labels")
    assert source.train.take([]).images.shape == (0, 3, 8, 8)


@BOTH
def test_damaged_files_are_left_out_by_name_and_labels_stay_right(
    tmp_path: Path, write: Writer
) -> None:
    files = folder_files({"a": 3, "b": 3})
    files["a/001.png"] = png(0, 64, 64)[:500]
    files["b/000.png"] = b"no image"
    files |= {
        "b/zero.png": b"",
        "notes.txt": b"hello",
        "__MACOSX/a/._1.png": b"x",
        ".hid.png": b"x",
    }
    source = open_source(str(write(tmp_path, files)))
    assert source.train is not None
    assert len(source.train) == 6
    assert said(source.notices, "1 file ", "notes.txt")
    assert said(source.notices, "1 empty file", "b/zero.png")
    assert not said(source.notices, "hid")
    assert not said(source.notices, "MACOSX")
    got = source.train.labelled()
    assert got.labels.tolist() == [0, 0, 1, 1]
    assert got.indices.tolist() == [0, 2, 4, 5]
    assert said(got.notices, "2 images", "a/001.png (truncated)", "b/000.png (not an image)")


@BOTH
def test_mixed_sizes_become_the_most_common(tmp_path: Path, write: Writer) -> None:
    files = folder_files({"a": 2, "b": 2}) | {"a/big.png": png(50, 16, 16)}
    source = open_source(str(write(tmp_path, files)))
    assert source.size == (8, 8)
    assert said(source.notices, "2 sizes", "8x8 to 16x16", "brought to 8x8")
    assert source.train is not None
    got = source.train.take()
    assert got.images.shape == (5, 3, 8, 8)
    assert said(got.notices, "Resized to 8x8: 1 image.")


@BOTH
def test_a_size_asked_for_is_given(tmp_path: Path, write: Writer) -> None:
    source = open_source(str(write(tmp_path, SPLITS)), (6, 10))
    assert source.size == (6, 10)
    assert source.test is not None
    image = source.test.take([1]).images[0].permute(1, 2, 0).numpy()
    original = Image.fromarray(pixels(list(SPLITS).index("test/cat/000.png")))
    np.testing.assert_array_equal(image, np.asarray(original.resize((10, 6), 2)))


@BOTH
def test_conversions_are_counted(tmp_path: Path, write: Writer) -> None:
    grey = {f"{i}.png": encoded(Image.fromarray(pixels(i)).convert("L")) for i in range(3)}
    rgba = {"x.png": encoded(Image.fromarray(pixels(9)).convert("RGBA"))}
    source = open_source(str(write(tmp_path, grey | rgba)))
    assert source.train is not None
    notices = source.train.take().notices
    assert said(notices, "Grayscale", "3 images")
    assert said(notices, "Transparency", "1 image.")


@BOTH
@pytest.mark.parametrize("folder", ["", "train", "photos"])
def test_a_folder_of_images_is_unlabelled(tmp_path: Path, write: Writer, folder: str) -> None:
    source = open_source(str(write(tmp_path, folder_files({folder: 4}))))
    assert source.train is not None
    assert len(source.train) == 4
    assert source.train.labels is None
    assert source.classes == ()
    assert source.test is None
    assert said(source.notices, "One class only", "photos") == (folder == "photos")


def test_a_split_that_lacks_a_class_says_so(tmp_path: Path) -> None:
    files = folder_files({"train/a": 1, "train/b": 1, "test/b": 1, "test/c": 1})
    source = open_source(str(write_files(tmp_path, files)))
    assert source.classes == ("a", "b", "c")
    assert said(source.notices, "train split", "no image of c")
    assert said(source.notices, "test split", "no image of a")


BAD: dict[str, Callable[[Path], Path]] = {
    "missing": lambda p: p / "nowhere",
    "empty folder": lambda p: p,
    "no image": lambda p: write_files(p / "d", {"a.txt": b"x", "b/c.csv": b"x"}),
    "empty images": lambda p: write_files(p / "d", {"a/1.png": b"", "b/1.png": b""}),
    "no readable image": lambda p: write_files(p / "d", {"a/1.png": b"x", "b/1.png": b"y"}),
    "empty zip": lambda p: write_zip(p / "d.zip", {}),
    "a zip without images": lambda p: write_zip(p / "d.zip", {"a.txt": b"x"}),
    "no zip": lambda p: write_files(p, {"d.zip": b"PK but not really"}) / "d.zip",
    "zero bytes": lambda p: write_files(p, {"d.zip": b""}) / "d.zip",
    "half a zip": lambda p: write_files(p, {"d.zip": _half_zip(p)}) / "d.zip",
    "an image": lambda p: write_files(p, {"d.png": png(0)}) / "d.png",
}


def _half_zip(root: Path) -> bytes:
    data = write_zip(root / "whole.zip", SPLITS).read_bytes()
    return data[: len(data) // 2]


@pytest.mark.parametrize("case", BAD)
def test_what_holds_no_image_is_refused(tmp_path: Path, case: str) -> None:
    path = BAD[case](tmp_path)
    with pytest.raises(DataMissing) as raised:
        open_source(str(path))
    assert str(path) in raised.value.what
    assert raised.value.todo
    assert raised.value.exit_code == 4


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("cifar-10:/tmp", "Did you mean cifar10:DIR?"),
        ("CIFAR10:/tmp", "Did you mean cifar10:DIR?"),
        ("mnist:/tmp", "cifar100:DIR"),
        ("nowhere", "demo"),
        ("C:\\pictures", "a folder"),
    ],
)
def test_an_unknown_source_gets_a_hint(spec: str, hint: str) -> None:
    with pytest.raises(DataMissing) as raised:
        open_source(spec)
    assert hint in raised.value.todo


def test_a_zip_may_lie_about_paths_and_contents(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "d.zip", {"../../a/1.png": png(0), "../../b/1.png": png(1)})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../b/2.png", png(2), zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    position = data.index(png(2))
    data[position + 60] ^= 255
    path.write_bytes(bytes(data))
    source = open_source(str(path))
    assert source.train is not None
    got = source.train.take()
    assert len(got) == 2
    assert said(got.notices, "2.png (damaged in the zip)")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d.zip"]


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    real = write_files(tmp_path / "real", folder_files({"a": 2, "b": 2}))
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "a").symlink_to(real / "a")
    (linked / "c").symlink_to(real / "b")
    (real / "a" / "loop").symlink_to(real / "a")
    (linked / "gone.png").symlink_to(real / "nothing.png")
    source = open_source(str(linked))
    assert source.classes == ("a", "c")
    assert source.train is not None
    assert len(source.train.take()) == 4


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable to root")
def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    root = write_files(tmp_path / "d", folder_files({"a": 2, "b": 2}))
    (root / "a" / "000.png").chmod(0)
    source = open_source(str(root))
    assert source.train is not None
    assert said(source.train.take().notices, "a/000.png (Permission denied)")


def _digest(path: Path) -> str:
    return open_source(str(path)).sha256


def test_the_digest_is_of_names_and_content(tmp_path: Path) -> None:
    files = folder_files({"a": 2, "b": 2})
    first = _digest(write_files(tmp_path / "1", files))
    assert first == _digest(write_files(tmp_path / "2", dict(reversed(files.items()))))
    changed = files | {"a/000.png": png(99)}
    renamed = {name.replace("b/", "c/"): data for name, data in files.items()}
    others = [_digest(write_files(tmp_path / str(i), f)) for i, f in enumerate((changed, renamed))]
    assert len({first, *others}) == 3
    assert all(len(digest) == 64 for digest in (first, *others))


def test_large_files_are_decoded_by_threads_in_order(tmp_path: Path) -> None:
    files = {f"{i}.png": png(i, 80, 80) for i in range(9)}
    assert min(len(data) for data in files.values()) > 16_384
    source = open_source(str(write_files(tmp_path, files | {"5.png": b"x" * 20_000})))
    assert source.train is not None
    got = source.train.take([8, 5, 0, 3])
    assert got.indices.tolist() == [8, 0, 3]
    for index, image in zip((8, 0, 3), got.images, strict=True):
        np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), pixels(index, 80, 80))


def test_the_demo_is_a_source_like_any_other() -> None:
    try:
        source: DataSource = open_source("demo")
    except DataMissing:
        pytest.skip("assets/demo_data.zip is not made yet")
    assert source.spec == "demo"
    assert source.size == (32, 32)
    assert len(source.classes) == 10
    assert source.train is not None
    assert source.test is not None
    assert len(source.test.labelled([0, 1])) == 2
