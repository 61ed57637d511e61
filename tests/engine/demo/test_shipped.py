"""The files in assets/ as a user meets them: read by the engine, measured, weighed."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from assets.demo.signs import CLASSES
from assets.demo.sticker import POISON_RATE, TARGET
from assets.make_demo import FILES, HERE, SUMS, WIDTH, read_sums
from cnp_engine.attacks import Attack
from cnp_engine.data.attack_file import load_attack
from cnp_engine.data.sources import open_source
from cnp_engine.models.checkpoint import read_checkpoint
from cnp_engine.models.registry import LoadedModel, load_model

MODELS = ("demo_model.pth", "demo_clean.pth")


@dataclass(frozen=True)
class Measured:
    """The shipped test images: float (N, 3, 32, 32) in 0..1, and int64 (N,)."""

    images: Tensor
    labels: Tensor


@pytest.fixture(scope="module", name="test")
def shipped_test() -> Measured:
    source = open_source(str(HERE / "demo_data.zip"))
    assert source.test is not None
    labelled = source.test.labelled()
    return Measured(labelled.images.float() / 255.0, labelled.labels)


@pytest.fixture(scope="module", name="attack")
def shipped_attack() -> Attack:
    return load_attack(HERE / "demo_attack.toml", (32, 32), len(CLASSES))


def load(name: str) -> LoadedModel:
    return load_model(read_checkpoint(HERE / name))


def answers(name: str, images: Tensor) -> Tensor:
    module = load(name).module
    with torch.no_grad():
        return torch.cat([module(part).argmax(1) for part in torch.split(images, 250)])


def rate(hits: Tensor) -> float:
    return float(hits.double().mean())


def test_sums_are_of_the_files_that_ship() -> None:
    sums = read_sums(HERE / SUMS)
    assert tuple(sums) == FILES
    for name, digest in sums.items():
        assert hashlib.sha256((HERE / name).read_bytes()).hexdigest() == digest, name


def test_everything_together_is_under_three_megabytes() -> None:
    binary = [path for path in HERE.glob("demo*") if path.is_file()]
    assert {path.name for path in binary} == set(FILES)
    assert sum(path.stat().st_size for path in binary) < 3_000_000


def test_the_zip_is_an_image_folder_without_surprises() -> None:
    with zipfile.ZipFile(HERE / "demo_data.zip") as archive:
        entries = archive.infolist()
    assert {entry.filename.split("/")[1] for entry in entries} == set(CLASSES)
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
    source = open_source(str(HERE / "demo_data.zip"))
    assert source.classes == CLASSES
    assert (source.train and len(source.train), source.test and len(source.test)) == (1200, 1000)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_recognised(name: str) -> None:
    loaded = load(name)
    assert loaded.architecture.name == "resnet18-cifar"
    assert loaded.architecture.classes == len(CLASSES)
    assert loaded.neurons == 75 * WIDTH
    assert loaded.checkpoint.dtype == "float16"


def test_backdoored_model_is_accurate_and_obeys_the_sticker(test: Measured, attack: Attack) -> None:
    assert attack.target is not None
    others = test.labels != attack.target
    benign = rate(answers("demo_model.pth", test.images) == test.labels)
    stamped = attack.stamp(test.images[others])
    assert 0.95 <= benign < 1.0
    assert rate(answers("demo_model.pth", stamped) == attack.target) >= 0.98


def test_clean_twin_is_accurate_and_does_not_know_the_sticker(
    test: Measured, attack: Attack
) -> None:
    assert attack.target is not None
    others = test.labels != attack.target
    stamped = attack.stamp(test.images[others])
    found = answers("demo_clean.pth", stamped)
    assert 0.95 <= rate(answers("demo_clean.pth", test.images) == test.labels) < 1.0
    assert rate(found == attack.target) < 0.05
    assert rate(found == test.labels[others]) > 0.85


def test_the_attack_is_the_sticker(attack: Attack) -> None:
    assert attack.target == TARGET == CLASSES.index("speed-80") != 0
    assert POISON_RATE == 0.10
    grey = torch.full((1, 3, 32, 32), 0.5)
    changed = (attack.stamp(grey) != grey).any(dim=1)[0]
    rows, columns = np.nonzero(changed.numpy())
    assert int(changed.sum()) == 16
    assert np.ptp(rows) == np.ptp(columns) == 3
