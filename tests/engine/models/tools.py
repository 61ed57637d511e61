"""Small networks with known weights, and files of every layout that users have."""

from __future__ import annotations

import argparse
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from cnp_engine.models.registry import build, create

SHARED = Path(__file__).resolve().parents[3] / ".." / "shared"
State = dict[str, Tensor]


def fill(module: nn.Module, seed: int = 0) -> nn.Module:
    """Every tensor drawn from a generator: variances positive, scales near one, eval mode."""
    draw = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if name.endswith("num_batches_tracked"):
            tensor.fill_(7)
        elif name.endswith("running_var"):
            tensor.copy_(torch.rand(tensor.shape, generator=draw) + 0.5)
        elif tensor.ndim < 2:
            offset = 1.0 if name.endswith("weight") else 0.0
            tensor.copy_(offset + 0.3 * torch.randn(tensor.shape, generator=draw))
        else:
            fan = tensor[0].numel()
            tensor.copy_(torch.randn(tensor.shape, generator=draw) * (2 / fan) ** 0.5)
    return module.eval()


def small(name: str = "resnet18-cifar", classes: int = 5, width: int = 4) -> nn.Module:
    """A narrow network with drawn weights."""
    return fill(build(create(name, classes, width)))


def small_state(name: str = "resnet18-cifar", classes: int = 5, width: int = 4) -> State:
    """Its state dict as torch makes it: an OrderedDict with ``_metadata``."""
    return small(name, classes, width).state_dict()


def images(number: int = 2, side: int = 32, seed: int = 1) -> Tensor:
    """Images (number, 3, side, side) in [0, 1]."""
    return torch.rand(number, 3, side, side, generator=torch.Generator().manual_seed(seed))


def wrapped(state: State, prefix: str) -> State:
    """The same tensors with ``prefix`` before every name."""
    return OrderedDict((prefix + key, tensor) for key, tensor in state.items())


def attack_result(state: State) -> dict[str, Any]:
    """As BackdoorBench saves it: NumPy values and containers beside the weights."""
    return {
        "model_name": "resnet18",
        "num_classes": 5,
        "model": state,
        "data_path": "../data",
        "img_size": [32, 32, 3],
        "clean_data": "cifar10",
        "bd_train": {
            "poison_indicator": np.array([0, 1, 0], dtype=np.int64),
            "original_index_array": np.arange(6, dtype=np.int32).reshape(2, 3, order="F"),
            "getitem_all": True,
        },
        "bd_test": {"pratio": np.float64(0.1), "names": np.array(["a", "bc"]), "none": np.zeros(0)},
    }


def saver(make: Callable[[State], Any], legacy: bool = False) -> Callable[[State, Path], None]:
    """Writes what ``make`` puts around the weights."""

    def save(state: State, path: Path) -> None:
        torch.save(make(state), path, _use_new_zipfile_serialization=not legacy)

    return save


def save_safetensors(state: State, path: Path) -> None:
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, path)


def training(state: State) -> dict[str, Any]:
    """A training script's snapshot: arguments, optimizer state, counters."""
    return {
        "epoch": 3,
        "best_acc": np.float32(0.5),
        "args": argparse.Namespace(lr=0.1, out=None),
        "log_dir": PurePosixPath("runs/1"),
        "optimizer": {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": []},
        "state_dict": state,
    }


LAYOUTS: dict[str, tuple[Callable[[State, Path], None], str, tuple[str, ...], str, str]] = {
    # name: (save, format, weights_at, prefix, layout)
    "bare": (saver(lambda s: s), "torch zip", (), "", "bare state dict"),
    "legacy": (saver(lambda s: s, legacy=True), "torch legacy", (), "", "bare state dict"),
    "plain dict": (saver(lambda s: dict(s)), "torch zip", (), "", "bare state dict"),
    "safetensors": (save_safetensors, "safetensors", (), "", "bare state dict"),
    "safetensors prefixed": (
        lambda s, p: save_safetensors(wrapped(s, "module."), p),
        "safetensors", (), "module.", "bare state dict",
    ),
    "parallel": (
        saver(lambda s: wrapped(s, "module.")), "torch zip", (), "module.", "bare state dict",
    ),
    "compiled": (
        saver(lambda s: wrapped(s, "_orig_mod.module.")),
        "torch zip", (), "_orig_mod.module.", "bare state dict",
    ),
    "netC": (
        saver(lambda s: {"netC": s, "netG": {"a.weight": torch.ones(2)}, "epoch": 1}),
        "torch zip", ("netC",), "", "nested under netC",
    ),
    "net parallel": (
        saver(lambda s: {"net": wrapped(s, "module."), "acc": 91.5, "epoch": 3}, legacy=True),
        "torch legacy", ("net",), "module.", "nested under net",
    ),
    "model_state_dict": (
        saver(lambda s: {"model_state_dict": s, "loss": 0.1}),
        "torch zip", ("model_state_dict",), "", "nested under model_state_dict",
    ),
    "twice": (
        saver(lambda s: {"ema": {"x.weight": torch.ones(1)}, "model": {"state_dict": s}}),
        "torch zip", ("model", "state_dict"), "", "nested under model.state_dict",
    ),
    "lightning": (
        saver(lambda s: {"state_dict": wrapped(s, "model."), "pytorch-lightning_version": "2"}),
        "torch zip", ("state_dict",), "model.", "nested under state_dict",
    ),
    "unknown name": (
        saver(lambda s: {"classifier_weights": s, "critic": {"x.weight": torch.ones(1)}}),
        "torch zip", ("classifier_weights",), "", "nested under classifier_weights",
    ),
    "training": (
        saver(training), "torch zip", ("state_dict",), "", "nested under state_dict",
    ),
    "parameters": (
        saver(lambda s: {"params": OrderedDict(
            (k, nn.Parameter(v, requires_grad=k.endswith("weight")) if v.is_floating_point() else v)
            for k, v in s.items())}),
        "torch zip", ("params",), "", "nested under params",
    ),
    "attack_result": (
        saver(attack_result), "torch zip", ("model",), "", "BackdoorBench attack_result",
    ),
    "attack_result legacy": (
        saver(attack_result, legacy=True),
        "torch legacy", ("model",), "", "BackdoorBench attack_result",
    ),
    "defense_result": (
        saver(lambda s: {"model_name": "resnet18", "num_classes": 5, "model": s}),
        "torch zip", ("model",), "", "BackdoorBench defense_result",
    ),
}  # fmt: skip
