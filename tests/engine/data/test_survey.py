"""What is told of a source before a run: counts, labels, and pictures small enough for a screen."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnp_engine import process
from cnp_engine.devices import devices
from cnp_engine.errors import DataMissing, TooFewImages
from cnp_engine.survey import survey


def npz(folder: Path, train: int, test: int, labels: bool, size: tuple[int, int] = (8, 8)) -> str:
    """Images whose brightness is their class, ten times over, and a class a third of them each."""
    arrays: dict[str, Any] = {}
    for name, n in (("train", train), ("test", test)):
        if n:
            y = np.arange(n) % 3
            shape = (n, *size, 3)
            arrays[f"x_{name}"] = np.broadcast_to(10 * y[:, None, None, None], shape).astype("u1")
            if labels:
                arrays[f"y_{name}"] = y
    path = folder / "data.npz"
    np.savez(path, **arrays)
    return str(path)


@pytest.mark.parametrize(
    ("train", "test", "labels", "clean", "counts", "labelled"),
    [
        (60, 30, True, 40, {"train": 60, "test": 30, "clean": 40}, True),
        (60, 0, True, 100, {"train": 60, "test": None, "clean": 60}, True),
        (60, 0, False, 40, {"train": 60, "test": None, "clean": 40}, False),
    ],
)
def test_counts_and_labels(
    tmp_path: Path, train: int, test: int, labels: bool, clean: int,
    counts: dict[str, int | None], labelled: bool,
) -> None:  # fmt: skip
    found = survey(npz(tmp_path, train, test, labels), clean)
    assert found.counts == counts
    assert found.labelled is labelled
    assert found.unlabelled is not labels
    assert found.size == (8, 8)
    few = [notice for notice in found.notices if "were asked for" in notice]
    assert bool(few) == (clean > train)


@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize(
    ("size", "shown"), [((8, 8), (8, 8)), ((64, 64), (32, 32)), ((64, 16), (32, 8))]
)
def test_pictures_are_few_small_and_of_every_class(
    tmp_path: Path, labels: bool, size: tuple[int, int], shown: tuple[int, int]
) -> None:
    found = survey(npz(tmp_path, 60, 30, labels, size), 40)
    assert len(found.thumbnails) == 12
    for picture in found.thumbnails:
        assert (picture.height, picture.width) == shown
        rgba = np.frombuffer(base64.b64decode(picture.rgba), "u1").reshape(*shown, 4)
        assert set(rgba[..., 3].flatten()) == {255}
        if labels:
            assert set(rgba[..., :3].flatten()) == {10 * int(picture.label or "-1")}
        else:
            assert picture.label is None
    if labels:
        assert [picture.label for picture in found.thumbnails] == [*"000011112222"]


def test_the_clean_folder_and_the_models_size_are_heeded(tmp_path: Path) -> None:
    (tmp_path / "apart").mkdir()
    apart = npz(tmp_path / "apart", 25, 0, False)
    found = survey(npz(tmp_path, 60, 30, True), 40, apart, [16, 16])
    assert found.counts == {"train": 60, "test": 30, "clean": 25}
    assert found.size == (16, 16)
    assert all(picture.label is None for picture in found.thumbnails)


def test_errors_are_those_of_a_run(tmp_path: Path) -> None:
    with pytest.raises(DataMissing):
        survey(str(tmp_path / "nothing"))
    with pytest.raises(TooFewImages, match="Only 9 clean"):
        survey(npz(tmp_path, 9, 0, False))


def test_the_demo_has_names() -> None:
    found = survey("demo")
    assert len(found.classes) == len({picture.label for picture in found.thumbnails}) > 1
    assert {picture.label for picture in found.thumbnails} <= set(found.classes)


def test_devices_are_what_a_run_may_be_given() -> None:
    found = devices()
    assert found[0].name == "cpu"
    assert found[0].memory_bytes > 2**27
    assert found[0].free_bytes is None or 0 < found[0].free_bytes <= found[0].memory_bytes
    assert len({device.name for device in found}) == len(found)
    assert all(device.title for device in found)


@pytest.mark.parametrize(
    ("task", "request_", "key"),
    [
        ("survey", {"data": "demo", "clean": 100}, "thumbnails"),
        ("survey", {"data": "/nothing"}, "code"),
        ("devices", {}, "devices"),
    ],
)
def test_as_tasks(task: str, request_: dict[str, Any], key: str) -> None:
    done = subprocess.run(
        process.argv("cnp_engine.tasks", task), env=process.environment(),
        input=json.dumps(request_), capture_output=True, text=True, check=False,
    )  # fmt: skip
    reply = json.loads(done.stdout)
    (body,) = reply.values()
    assert key in body
    assert done.returncode == body.get("exit_code", 0)
