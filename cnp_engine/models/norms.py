"""The normalisation layers of a network: the BatchNorm ones that can be pruned, and the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

TODO = "Give a network with BatchNorm layers; the method prunes their channels."

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


@dataclass(frozen=True)
class BatchNormLayer:
    """An affine BatchNorm layer: module path and channels."""

    name: str
    channels: int


def batch_norms(module: nn.Module, aside: tuple[str, ...] = ()) -> tuple[BatchNormLayer, ...]:
    """Affine BatchNorm layers in module definition order, without those under ``aside``.

    ``aside``: auxiliary heads, which take no part in an answer.
    """
    return tuple(
        BatchNormLayer(name, layer.num_features)
        for name, layer in module.named_modules()
        if isinstance(layer, _BATCH_NORMS)
        and layer.affine
        and not any(name.startswith(f"{head}.") for head in aside)
    )


def other_norms(module: nn.Module) -> dict[str, int]:
    """Kind to number of the normalisation layers that are not affine BatchNorm."""
    kinds = Counter(
        type(layer).__name__
        for layer in module.modules()
        if "Norm" in type(layer).__name__
        and not (isinstance(layer, _BATCH_NORMS) and layer.affine)
        and not list(layer.children())
    )
    return dict(kinds)


def explain(module: nn.Module) -> str:
    """Why there is nothing to prune, naming what the network has instead."""
    others = other_norms(module)
    if not others:
        return "The network has no BatchNorm layer, and no other normalisation layer either."
    have = ", ".join(f"{number} {kind}" for kind, number in others.items())
    return f"The network has no affine BatchNorm layer; it has {have} instead."


def named_batch_norms(state: Mapping[str, Tensor]) -> tuple[BatchNormLayer, ...]:
    """BatchNorm layers told by tensor names alone, in file order: for unknown networks."""
    suffix = ".running_mean"
    starts = [key.removesuffix(suffix) for key in state if key.endswith(suffix)]
    return tuple(
        BatchNormLayer(start, state[f"{start}.weight"].numel())
        for start in starts
        if f"{start}.weight" in state
    )


def explain_names(state: Mapping[str, Tensor]) -> str:
    """``explain`` for an unknown network without BatchNorm, from its tensors alone."""
    number = named_other_norms(state)
    if any(key.endswith(".running_mean") for key in state):
        return (
            "The tensors have BatchNorm statistics, but no weights beside them (affine=False): "
            "there is nothing that can be set to 0."
        )
    if not number:
        return "The tensors have no BatchNorm statistics, and no other normalisation layer either."
    return (
        f"The tensors have no BatchNorm statistics; {number} scale-and-shift pairs without them, "
        "as GroupNorm and LayerNorm have, stand there instead."
    )


def named_other_norms(state: Mapping[str, Tensor]) -> int:
    """How many scale and shift pairs of vectors stand there without running statistics."""
    return sum(
        key.endswith(".weight")
        and tensor.ndim == 1
        and state.get(f"{key[:-7]}.bias", tensor[:0]).shape == tensor.shape
        and f"{key[:-7]}.running_mean" not in state
        for key, tensor in state.items()
    )
