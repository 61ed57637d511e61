"""What ``cnp inspect`` is told, of good files and refused ones."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cnp_engine.models.checkpoint import read_checkpoint, write_like
from cnp_engine.models.inspect import inspect_file, main
from cnp_engine.models.registry import load_model

from .test_loading import Grouped
from .tools import SHARED, attack_result, saver, small_state


def test_everything_about_a_good_file(tmp_path: Path) -> None:
    file = tmp_path / "attack_result.pt"
    saver(attack_result)(small_state(), file)
    found = inspect_file(str(file))
    assert json.loads(json.dumps(dataclasses.asdict(found))) == {
        "path": str(file),
        "size": file.stat().st_size,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "format": "torch zip",
        "layout": "BackdoorBench attack_result",
        "weights_at": "model",
        "prefix": "",
        "dtype": "float32",
        "tensors": 122,
        "parameters": sum(
            v.numel() for k, v in small_state().items() if "running" not in k and "num_b" not in k
        ),
        "architecture": "resnet18-cifar",
        "describe": "ResNet-18 for small images (3x3 stem), widths 4-8-16-32, 5 classes",
        "widths": [4, 8, 16, 32],
        "depth": 18,
        "classes": 5,
        "input_size": [32, 32],
        "head": "linear",
        "neurons": 300,
        "layers": [list(layer) for layer in found.layers],
        "norm": None,
        "says": {
            "model_name": "resnet18",
            "num_classes": 5,
            "data_path": "../data",
            "img_size": [32, 32, 3],
            "clean_data": "cifar10",
        },
        "refused": None,
        "todo": None,
        "error_code": None,
        "imports": [],
        "notes": [],
    }
    assert sum(channels for _, channels in found.layers) == 300
    assert main([str(file)]) == 0


def test_an_unknown_network_still_lists_its_layers(tmp_path: Path) -> None:
    state = {f"encoder.{key}": tensor for key, tensor in small_state().items()}
    torch.save(state, tmp_path / "model.pth")
    found = inspect_file(str(tmp_path / "model.pth"))
    assert found.error_code == "ArchitectureUnknown"
    assert found.refused is not None
    assert found.architecture is None
    assert found.neurons == 300
    assert found.layers[0] == ("encoder.bn1", 4)
    assert found.tensors == 122


@pytest.mark.parametrize("arch", [None, f"{Grouped.__module__}:Grouped"])
def test_a_network_without_batch_norm_is_told_not_refused(tmp_path: Path, arch: str | None) -> None:
    torch.save(Grouped().state_dict(), tmp_path / "model.pth")
    found = inspect_file(str(tmp_path / "model.pth"), arch)
    assert (found.refused, found.error_code, found.neurons) == (None, "NothingToPrune", 0)
    assert found.norm is not None
    assert "instead" in found.norm
    assert found.notes == (found.norm,)
    assert found.classes == (None if arch is None else 4)
    assert main([str(tmp_path / "model.pth")]) == 0


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [("bn1.bias", float("nan"), "WeightsNotFinite"), ("bn1.extra", 1.0, "WeightsMismatch")],
)
def test_a_refused_network_is_still_described(
    tmp_path: Path, key: str, value: float, code: str
) -> None:
    torch.save({**small_state(), key: torch.full((4,), value)}, tmp_path / "model.pth")
    found = inspect_file(str(tmp_path / "model.pth"))
    assert found.error_code == code
    assert key in (found.refused or "")
    assert found.dtype == "float32"
    assert found.imports == ()


def test_inspecting_a_small_network_imports_no_torchvision(tmp_path: Path) -> None:
    """It would double the time."""
    torch.save(small_state(), tmp_path / "model.pth")
    program = (
        "import sys; from cnp_engine.models.inspect import main; "
        f"code = main([{str(tmp_path / 'model.pth')!r}]); "
        "assert 'torchvision' not in sys.modules; sys.exit(code)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["architecture"] == "resnet18-cifar"


MODELS = [("badnet_w32", "float32"), ("blended_w32", "float16")]


@pytest.mark.parametrize(("name", "dtype"), MODELS)
def test_shared_models(tmp_path: Path, name: str, dtype: str) -> None:
    file = SHARED / "models" / f"{name}.pth"
    if not file.exists():
        pytest.skip("the shared models are not here")
    found = inspect_file(str(file))
    assert (found.architecture, found.widths) == ("resnet18-cifar", (32, 64, 128, 256))
    assert (found.classes, found.neurons, found.dtype) == (10, 2400, dtype)
    assert found.refused is None

    loaded = load_model(read_checkpoint(file))
    pruned = loaded.module.state_dict()
    pruned["layer4.1.bn2.weight"][5] = 0
    write_like(loaded.checkpoint, pruned, tmp_path / "out.pth")
    before = torch.load(file, weights_only=True)
    after = torch.load(tmp_path / "out.pth", weights_only=True)
    before["layer4.1.bn2.weight"][5] = 0
    assert list(before) == list(after)
    for key, tensor in before.items():
        assert after[key].dtype == tensor.dtype
        assert torch.equal(after[key], tensor)
