"""What attacks are made of, as the tensors of one safetensors file, and back.

A network's tensors are named ``FIELD.KEY`` by its field and its state dict. Knows no attack.toml.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cnp_engine.attacks import Additive, Attack, InputAware
from cnp_engine.attacks.catalogue import materials
from cnp_engine.attacks.input_aware import TriggerNet
from cnp_engine.data.attack_trigger import take, within
from cnp_engine.errors import AttackInvalid

OUTGOING = {"pattern_net": 3, "mask_net": 1}
"""Channels that the generators of an input-aware attack draw."""

_Shape = tuple[str, Callable[[tuple[int, ...]], bool], tuple[float, float]]

_SHAPES: dict[str, _Shape] = {
    "pattern": ("(3, H, W)", lambda s: len(s) == 3 and s[0] == 3, (0, 1)),
    "weight": ("(3, H, W)", lambda s: len(s) == 3 and s[0] == 3, (0, 1)),
    "flow": ("(H, W, 2)", lambda s: len(s) == 3 and s[2] == 2, (-1024, 1024)),
    "pictures": ("(n, 3, H, W)", lambda s: len(s) == 4 and s[0] > 0 and s[1] == 3, (0, 1)),
}


def tensors_in(attack: Attack) -> dict[str, Tensor]:
    """Every tensor that describes ``attack``, on the CPU and contiguous."""
    found: dict[str, Tensor] = {}
    for name in materials(type(attack)):
        part = getattr(attack, name)
        if isinstance(part, nn.Module):
            found |= {f"{name}.{key}": value for key, value in part.state_dict().items()}
        else:
            found[name] = part
    return {key: value.detach().cpu().contiguous() for key, value in found.items()}


def tensors_of(path: Path, kind: type[Any], tensors: dict[str, Tensor]) -> dict[str, Any]:
    """The fields of ``kind`` that ``tensors`` of the file ``path`` describe, checked."""
    if kind is InputAware:
        return {
            name: network(path, name, {
                key.removeprefix(f"{name}."): value
                for key, value in tensors.items() if key.startswith(f"{name}.")
            })
            for name in OUTGOING
        }  # fmt: skip
    found: dict[str, Any] = {}
    for name in materials(kind):
        shape, fits, (low, high) = _SHAPES[name]
        low = -1 if kind is Additive else low
        todo = f"Store {name} as {shape} in [{low:g}, {high:g}]."
        (value,) = take(path, tensors, (name,), todo)
        if not fits(tuple(value.shape)):
            raise AttackInvalid(f"{name} in {path} has shape {tuple(value.shape)}.", todo)
        found[name] = within(path, name, value, low, high, todo)
    return found


def network(path: Path, name: str, state: dict[str, Tensor]) -> nn.Module:
    """A generator of an input-aware attack from its state dict."""
    with torch.device("meta"):
        net = TriggerNet(OUTGOING[name])
    wanted = {key: value.shape for key, value in net.state_dict().items()}
    given = {key: value.shape for key, value in state.items()}
    todo = "Give the generators of the input-aware release, for images of three channels."
    if given != wanted:
        odd = sorted(
            key for key in wanted.keys() | given.keys() if wanted.get(key) != given.get(key)
        )
        raise AttackInvalid(f"{name} in {path} has other weights than expected at {odd[0]}.", todo)
    if not all(bool(value.isfinite().all()) for value in state.values()):
        raise AttackInvalid(f"{name} in {path} has weights that are no numbers.", todo)
    net.load_state_dict(state, assign=True)
    net.requires_grad_(False)
    return net.eval()


def recorded(path: Path, tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """``keys`` and ``stamped`` of `cnp_engine.attacks.Recorded`."""
    keys, stamped = tensors["keys"], tensors["stamped"]
    fits = keys.dtype == torch.int64 and keys.ndim == 1 and len(keys) == len(stamped) > 0
    images = stamped.dtype == torch.uint8 and stamped.ndim == 4 and stamped.shape[1] == 3
    if not fits or not images or not bool((keys[1:] > keys[:-1]).all()):
        raise AttackInvalid(
            f"{path} does not hold stamped images and the keys of their clean ones.",
            "Give the folder of stamped images again: [trigger] with folder = NAME.",
        )
    return keys, stamped
