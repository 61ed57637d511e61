"""Files that other tools leave beside a backdoored model, read as attacks.

Pickles come in through `cnp_engine.models.checkpoint.read_plain` alone, which runs nothing of
them. Raises AttackInvalid for every file that is not what it should be.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cnp_engine.attacks import Blend
from cnp_engine.attacks.catalogue import check_target
from cnp_engine.attacks.input_aware import CIFAR_MEAN, CIFAR_STD
from cnp_engine.attacks.warp import identity_grid
from cnp_engine.data.attack_stamped import stamped_folder
from cnp_engine.data.attack_tensors import network
from cnp_engine.data.attack_trigger import present, within
from cnp_engine.errors import AttackInvalid, CheckpointError
from cnp_engine.models.checkpoint import read_plain

__all__ = ["flow", "generators", "is_torch_file", "stamped_folder", "trigger_info"]


def is_torch_file(path: Path) -> bool:
    """Whether it starts as what ``torch.save`` writes: a zip archive, or a bare pickle before."""
    try:
        with path.open("rb") as file:
            head = file.read(9)
    except OSError:
        return False
    # A safetensors file starts with the length of its header, which may look like a pickle.
    pickled = head[:1] == b"\x80" and head[1:2] <= b"\x05" and head[8:] != b"{"
    return head.startswith(b"PK\x03\x04") or pickled


def trigger_info(path: Path, name: str, target: int | None) -> Blend:
    """ANP's trigger_info.th (csdongxian/ANP_backdoor, data/poison_cifar.py).

    A dictionary of trigger_pattern, (1, H, W, C) from 0 to 255; trigger_mask, of such a shape, 0
    or 1; trigger_alpha, the opacity; and poison_target. C is 1 or 3. ANP rounds stamped images
    down to whole pixel values; here they stay as computed. target: what attack.toml says.
    """
    found = _plain(path)
    keys = ("trigger_pattern", "trigger_mask", "trigger_alpha", "poison_target")
    if not isinstance(found, dict) or not all(key in found for key in keys):
        raise AttackInvalid(
            f"{path} is no trigger_info.th: it has no {', '.join(keys)}.",
            "Give ANP's trigger_info.th, or an attack.toml.",
        )
    aimed = _target(path, found["poison_target"])
    if target is not None and aimed != target:
        raise AttackInvalid(
            f"{path} aims at class {aimed}, attack.toml says {target}.", "Correct attack.toml."
        )
    pattern, mask = (_picture(path, key, found[key]) for key in keys[:2])
    alpha = _numbers(path, "trigger_alpha", found["trigger_alpha"])
    if pattern.shape != mask.shape or alpha.numel() != 1:
        raise AttackInvalid(f"{path} has parts that do not fit together.", _ANP)
    pattern = within(path, "trigger_pattern", pattern / 255, 0, 1, _ANP)
    weight = within(path, "trigger_mask", mask * alpha.reshape(()), 0, 1, _ANP)
    return Blend(aimed, pattern, weight, name)


_ANP = "Give the file as ANP's training wrote it."


def _target(path: Path, value: Any) -> int:
    classes = _numbers(path, "poison_target", value)
    if classes.numel() != 1 or float(classes) != int(classes):
        raise AttackInvalid(
            f"{path} has other targets for other images.", "Give an attack with one target."
        )
    return check_target(str(path), int(classes), None)


def _picture(path: Path, key: str, value: Any) -> Tensor:
    """(1, H, W, C), (H, W, C) or (H, W) to float32 (3, H, W)."""
    array = _numbers(path, key, value)
    array = array[0] if array.ndim == 4 and len(array) == 1 else array
    array = array[..., None] if array.ndim == 2 else array
    if array.ndim != 3 or array.shape[2] not in (1, 3):
        raise AttackInvalid(f"{key} in {path} has shape {tuple(array.shape)}.", _ANP)
    return array.permute(2, 0, 1).expand(3, -1, -1).contiguous()


def _numbers(path: Path, key: str, value: Any) -> Tensor:
    """Any number, array or tensor as float32."""
    try:
        array = (
            value if isinstance(value, Tensor) else torch.from_numpy(np.array(value, np.float32))
        )
        return array.float()
    except (TypeError, ValueError) as error:
        raise AttackInvalid(f"{key} in {path} is no array of numbers.", _ANP) from error


def flow(where: str, files: Mapping[str, Path]) -> Tensor:
    """The flow (H, W, 2) of a WaNet from its grids, (1, H, W, 2) each.

    files: BackdoorBox's ``noise_grid`` and ``identity_grid`` (core/attacks/WaNet.py), or the
    ``checkpoint`` of the WaNet release, which holds both. The identity is compared with ours.
    """
    if "checkpoint" in files:
        path = files["checkpoint"]
        root = _plain(path)
        grids = {k: root.get(k) for k in _GRIDS} if isinstance(root, dict) else {}
    elif "noise_grid" in files:
        path = files["noise_grid"]
        grids = {key: _plain(files[key]) for key in _GRIDS if key in files}
    noise = _grid(path, "noise_grid", grids.get("noise_grid"))
    identity = grids.get("identity_grid")
    if identity is not None:
        path = files.get("identity_grid", path)
        given = _grid(path, "identity_grid", identity)
        height, width = noise.shape[:2]
        if given.shape != noise.shape or not torch.allclose(
            given, identity_grid((height, width)), atol=1e-4
        ):
            raise AttackInvalid(
                f"identity_grid in {path} is not where the pixels of the noise grid lie.",
                f"Check that the grids named in {where} belong together.",
            )
    return noise


_GRIDS = ("identity_grid", "noise_grid")


def _grid(path: Path, name: str, value: Any) -> Tensor:
    todo = "Give the grids as WaNet's training saved them, (1, H, W, 2) each."
    if not isinstance(value, Tensor) or value.ndim != 4 or value.shape[::3] != (1, 2):
        raise AttackInvalid(f"{path} holds no {name}.", todo)
    return within(path, name, value[0].detach(), -1024, 1024, todo).contiguous()


def generators(path: Path) -> dict[str, Any]:
    """Both networks of an Input-aware attack, and what their images are normalised by.

    The release's checkpoint (VinAIResearch/input-aware-backdoor-attack-release, train.py): netG
    and netM among others, and opt, whose dataset says how images were normalised.
    """
    root = _plain(path)
    found: dict[str, Any] = {}
    for name, key in (("pattern_net", "netG"), ("mask_net", "netM")):
        state = root.get(key) if isinstance(root, dict) else None
        if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
            raise AttackInvalid(
                f"{path} holds no {key}.", "Give the checkpoint with the weights of netG and netM."
            )
        found[name] = network(path, name, {str(k): v.detach() for k, v in state.items()})
    options = root.get("opt")
    plain = isinstance(options, argparse.Namespace) and vars(options).get("dataset") == "gtsrb"
    return found | ({"mean": (0.0,) * 3, "std": (1.0,) * 3} if plain else _CIFAR)


_CIFAR = {"mean": CIFAR_MEAN, "std": CIFAR_STD}


def _plain(path: Path) -> Any:
    present(path)
    try:
        return read_plain(path)
    except CheckpointError as error:
        raise AttackInvalid(error.what, error.todo) from error
