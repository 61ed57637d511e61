"""The clean pool: seeded, unlabelled, disjoint within itself and from everything that measures."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from cnp_engine.data import split as split_module
from cnp_engine.data.images import DataSource, Images, LabelledImages
from cnp_engine.data.sources import open_source
from cnp_engine.data.split import Split, split
from cnp_engine.errors import TooFewImages
from tests.engine.data.pictures import folder_files, png, said, write_files

TRAIN = folder_files({"train/a": 30, "train/b": 30}, size=(4, 4))
TEST = folder_files({"test/a": 10, "test/b": 10}, start=1000, size=(4, 4))


def _source(root: Path, files: Mapping[str, bytes]) -> DataSource:
    return open_source(str(write_files(root, files)))


def _contents(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def _check(got: Split) -> None:
    """What holds of every split."""
    positions = torch.cat([got.optimise, got.select])
    assert sorted(positions.tolist()) == list(range(len(got.clean)))
    assert len(got.optimise) == round(0.7 * len(got.clean))
    assert len(_contents(got.clean.images)) == len(got.clean)
    assert isinstance(got.clean, Images)
    assert "labels" not in {field.name for field in dataclasses.fields(got.clean)}
    if got.test is not None:
        assert isinstance(got.test, LabelledImages)
        assert not _contents(got.clean.images) & _contents(got.test.images)


def test_the_pool_is_from_train_and_the_test_apart(tmp_path: Path) -> None:
    source = _source(tmp_path, TRAIN | TEST)
    got = split(source, 40, seed=0)
    _check(got)
    assert len(got.clean) == 40
    assert all(name.startswith("train/") for name in got.clean.names)
    assert got.test is not None
    assert len(got.test) == 20
    assert got.test.labels.tolist() == [0] * 10 + [1] * 10
    assert got.notices == ()
    assert got.pool.endswith(" train")


def test_the_seed_decides_and_the_pool_is_recorded(tmp_path: Path) -> None:
    source = _source(tmp_path, TRAIN | TEST)
    first, again, other = (split(source, 40, seed) for seed in (0, 0, 1))
    assert first.clean.names == again.clean.names
    assert torch.equal(first.clean.images, again.clean.images)
    assert first.record() == again.record()
    assert set(first.clean.names) != set(other.clean.names)
    record = json.loads(json.dumps(first.record()))
    assert [len(record[use]) for use in ("optimise", "select")] == [28, 12]
    assert source.train is not None
    for row, position in zip(record["select"], first.select.tolist(), strict=True):
        assert source.train.names[row["index"]] == row["name"] == first.clean.names[position]
    assert record["test"] == 20


def test_a_larger_pool_of_the_same_seed_holds_the_smaller(tmp_path: Path) -> None:
    source = _source(tmp_path, TRAIN | TEST)
    assert set(split(source, 25, 3).clean.names) < set(split(source, 50, 3).clean.names)


def test_without_a_test_split_what_was_not_drawn_measures(tmp_path: Path) -> None:
    got = split(_source(tmp_path, folder_files({"a": 30, "b": 30}, size=(4, 4))), 45, 0)
    _check(got)
    assert got.test is not None
    assert len(got.test) == 15
    assert not set(got.test.names) & set(got.clean.names)
    for name, label in zip(got.test.names, got.test.labels.tolist(), strict=True):
        assert label == (0 if name.startswith("a/") else 1)


def test_a_test_split_alone_gives_both(tmp_path: Path) -> None:
    got = split(_source(tmp_path, folder_files({"test/a": 30, "test/b": 5}, size=(4, 4))), 20, 0)
    _check(got)
    assert got.test is not None
    assert len(got.test) == 15
    assert got.pool.endswith(" test")


@pytest.mark.parametrize(
    "files",
    [
        folder_files({"": 40}, size=(4, 4)),
        folder_files({"train/a": 40, "test": 5}, size=(4, 4)),
        folder_files({"only": 40}, size=(4, 4)),
    ],
    ids=["flat", "unlabelled test", "one class"],
)
def test_without_labels_nothing_measures(tmp_path: Path, files: Mapping[str, bytes]) -> None:
    got = split(_source(tmp_path, files), 30, 0)
    _check(got)
    assert len(got.clean) == 30
    assert got.test is None
    assert said(got.notices, "BA and ASR are not measured")


def test_everything_drawn_leaves_nothing_to_measure(tmp_path: Path) -> None:
    got = split(_source(tmp_path, folder_files({"a": 20, "b": 20}, size=(4, 4))), 100, 0)
    assert len(got.clean) == 40
    assert got.test is None
    assert said(got.notices, "Using 40 clean images", "100 were asked for")


@pytest.mark.parametrize(("count", "enough"), [(20, True), (19, False), (1, False)])
def test_fewer_than_twenty_are_refused(tmp_path: Path, count: int, enough: bool) -> None:
    source = _source(tmp_path, folder_files({"": count}, size=(4, 4)))
    if enough:
        assert len(split(source, 1000, 0).clean) == count
        return
    with pytest.raises(TooFewImages, match=f"Only {count} clean image"):
        split(source, 1000, 0)


def test_asking_for_fewer_than_twenty_is_refused_too(tmp_path: Path) -> None:
    with pytest.raises(TooFewImages):
        split(_source(tmp_path, TRAIN), 10, 0)


def test_images_of_the_test_are_dropped_from_the_pool_and_replaced(tmp_path: Path) -> None:
    shared = {f"train/a/copy{i}.png": TEST[f"test/b/{i:03d}.png"] for i in range(10)}
    got = split(_source(tmp_path, TRAIN | TEST | shared), 60, 0)
    _check(got)
    assert len(got.clean) == 60
    assert not any("copy" in name for name in got.clean.names)
    assert got.test is not None
    assert len(got.test) == 20
    assert said(got.notices, "Dropped 10 clean images", "also occur in the test")


def test_an_image_that_occurs_twice_is_used_once(tmp_path: Path) -> None:
    twice = {f"train/b/again{i}.png": TRAIN[f"train/a/{i:03d}.png"] for i in range(8)}
    got = split(_source(tmp_path, TRAIN | TEST | twice), 68, 0)
    _check(got)
    assert len(got.clean) == 60
    assert said(got.notices, "Dropped 8 clean images", "twice")


def test_copies_in_the_remainder_do_not_measure(tmp_path: Path) -> None:
    same = {f"{folder}/{i}.png": png(i, 4, 4) for folder in "ab" for i in range(30)}
    got = split(_source(tmp_path, same), 25, 0)
    _check(got)
    assert got.test is not None
    assert said(got.notices, "test images", "also occur among the clean images")


def test_damaged_images_are_replaced(tmp_path: Path) -> None:
    broken = dict.fromkeys(list(TRAIN)[:10], b"x")
    got = split(_source(tmp_path, TRAIN | TEST | broken), 50, 0)
    _check(got)
    assert len(got.clean) == 50
    assert said(got.clean.notices, "cannot be read")


def test_a_damaged_test_image_is_named_and_labels_stay_right(tmp_path: Path) -> None:
    got = split(_source(tmp_path, TRAIN | TEST | {"test/a/000.png": b"x"}), 40, 0)
    assert got.test is not None
    assert got.test.labels.tolist() == [0] * 9 + [1] * 10
    assert said(got.notices, "Test images: Left out 1 image", "test/a/000.png")


def test_a_clean_folder_takes_the_place_of_train(tmp_path: Path) -> None:
    source = _source(tmp_path / "data", TRAIN | TEST)
    mine = folder_files({"": 30}, start=5000, size=(6, 6))
    own = open_source(str(write_files(tmp_path / "mine", mine)), source.size)
    got = split(source, 25, 0, own)
    _check(got)
    assert len(got.clean) == 25
    assert set(got.clean.names) <= set(mine)
    assert got.clean.images.shape[2:] == (4, 4)
    assert got.test is not None
    assert len(got.test) == 20
    assert got.pool == f"{own.spec} train"


def test_a_clean_folder_that_is_part_of_the_source_leaves_the_test(tmp_path: Path) -> None:
    files = folder_files({"a": 30, "b": 30}, size=(4, 4))
    source = _source(tmp_path / "data", files)
    part = {name.replace("/", "-"): data for name, data in list(files.items())[:25]}
    got = split(source, 1000, 0, _source(tmp_path / "mine", part))
    _check(got)
    assert len(got.clean) == 25
    assert got.test is not None
    assert len(got.test) == 35


def test_a_test_too_large_for_memory_is_sampled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(split_module, "MAX_TEST_BYTES", 7 * 3 * 4 * 4)
    source = _source(tmp_path, TRAIN | TEST)
    got, again = split(source, 40, 0), split(source, 40, 0)
    assert got.test is not None
    assert again.test is not None
    assert len(got.test) == 7
    assert said(got.notices, "Measuring on 7 of 20")
    assert got.test.names == again.test.names
    for name, label in zip(got.test.names, got.test.labels.tolist(), strict=True):
        assert label == ("a", "b").index(name.split("/")[1])


def test_a_test_split_that_cannot_be_read_measures_nothing(tmp_path: Path) -> None:
    damaged = {name: data[:40] for name, data in TEST.items()}
    got = split(_source(tmp_path, TRAIN | damaged), 40, seed=0)
    _check(got)
    assert got.test is None
    assert said(got.notices, "cannot be read")
    assert said(got.notices, "No labelled test images")
