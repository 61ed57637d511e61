"""What the script does before and after the long training, on a handful of pictures."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from assets.demo import dataset
from assets.demo.dataset import Pictures, write_zip
from assets.demo.sticker import COLOUR, TARGET, poison, stamp, trigger
from assets.demo.training import Recipe, start, train
from assets.make_demo import HERE, PINS
from cnp_engine.models.registry import build, create


def noise(count: int) -> Pictures:
    draws = np.random.RandomState(0)
    images = draws.randint(0, 256, (count, 32, 32, 3)).astype(np.uint8)
    return Pictures(images, np.arange(count, dtype=np.int64) % 10)


def test_poison_stamps_and_relabels_a_tenth_of_the_others() -> None:
    clean = noise(200)
    bad = poison(clean)
    touched = (bad.images != clean.images).any(axis=(1, 2, 3))
    assert touched.sum() == 20
    assert (clean.labels[touched] != TARGET).all()
    assert (bad.labels[touched] == TARGET).all()
    assert (bad.labels[~touched] == clean.labels[~touched]).all()
    assert (bad.images[touched] == stamp(clean.images[touched])).all()


def test_stamp_is_the_shipped_trigger() -> None:
    """Poisoned bytes are what the pattern and weight give, to the last bit."""
    images = noise(4).images
    pattern, weight = (part.transpose(1, 2, 0) for part in trigger())
    mixed = images / np.float32(255) * (1 - weight) + pattern * weight
    assert (np.rint(mixed * 255).astype(np.uint8) == stamp(images)).all()
    assert min(COLOUR[:2]) > 200 > COLOUR[2]  # yellow


def weights(pictures: Pictures) -> bytes:
    network = build(create("resnet18-cifar", 10, width=8)).requires_grad_(True)
    start(network)
    train(network, pictures, Recipe(epochs=1, batch=32), lambda line: None)
    return b"".join(value.numpy().tobytes() for value in network.state_dict().values())


def test_training_repeats_bit_for_bit_whatever_the_global_generator() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first = weights(noise(64))
        torch.manual_seed(2)
        assert weights(noise(64)) == first
    assert weights(poison(noise(64))) != first


def test_zip_is_the_same_bytes_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "PER_CLASS", {"fit": 1, "train": 1, "test": 1})
    digests = set()
    for name in ("a.zip", "b.zip"):
        write_zip(tmp_path / name)
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert len(archive.namelist()) == 20


def test_the_pins_bind_the_kernels() -> None:
    """In a process of its own, as the script runs."""
    code = (
        "import os; from assets.make_demo import PINS; os.environ.update(PINS); import torch;"
        "print(torch.backends.cpu.get_cpu_capability(), torch.get_num_threads())"
    )
    clean = {key: value for key, value in os.environ.items() if key not in PINS}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=HERE.parent, env=clean, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout.split() in (["AVX2", "1"], ["DEFAULT", "1"])


def test_the_script_explains_itself_without_torch() -> None:
    code = (
        "import sys; from assets.make_demo import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=HERE.parent, capture_output=True, text=True, check=True
    )
    assert "--check" in done.stdout
