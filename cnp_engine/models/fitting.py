"""Do these tensors fit this network exactly, and are they numbers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from cnp_engine.errors import WeightsMismatch, WeightsNotFinite
from cnp_engine.models.writing import is_counter
from cnp_engine.printing import name_some

_TODO = "Give the whole file, or name the network it is of with --arch module:factory."


def fit(module: nn.Module, state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Copies of ``state`` in float32 with the names and order of ``module``.

    Only BatchNorm's batch counters may be missing; they become 0. Raises WeightsMismatch and
    WeightsNotFinite, naming the first few tensors.
    """
    expected: dict[str, Tensor] = module.state_dict()
    missing = [key for key in expected if key not in state and not is_counter(key)]
    unexpected = [key for key in state if key not in expected]
    complaints = _named("missing", missing) + _named("unexpected", unexpected)
    if complaints:
        raise WeightsMismatch(f"The tensors do not fit {name}: {'; '.join(complaints)}.", _TODO)
    _check_shapes(expected, state, name)
    fitted = {key: _fitted(state.get(key), wanted) for key, wanted in expected.items()}
    bad = [key for key, tensor in (*fitted.items(), *state.items()) if not _finite(tensor)]
    if bad:
        raise WeightsNotFinite(
            f"There are NaN or infinite values in {name_some(dict.fromkeys(bad))}.",
            "Training diverged, or the file is damaged; give another checkpoint.",
        )
    negative = [key for key, tensor in fitted.items() if _no_variance(module, key, tensor)]
    if negative:
        raise WeightsNotFinite(
            f"There are negative variances in {name_some(negative)}: the network's answers would "
            "be no numbers.",
            "The file is damaged, or was made to look like a checkpoint; give another one.",
        )
    return fitted


def _finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def _no_variance(module: nn.Module, key: str, tensor: Tensor) -> bool:
    """Whether the root of it, and of what is added to it, is no number."""
    layer, _, kind = key.rpartition(".")
    if kind != "running_var":
        return False
    return bool((tensor < -getattr(module.get_submodule(layer), "eps", 0.0)).any())


def _check_shapes(expected: Mapping[str, Tensor], state: Mapping[str, Tensor], name: str) -> None:
    for key, tensor in state.items():
        wanted = expected[key]
        if tensor.shape != wanted.shape:
            raise WeightsMismatch(
                f"The tensors do not fit {name}: {key} is {list(tensor.shape)}, "
                f"where the network has {list(wanted.shape)}.",
                _TODO,
            )
        # a batch counter is never used here, and averaging weights makes floats of it
        if wanted.is_floating_point() != tensor.is_floating_point() and not is_counter(key):
            raise WeightsMismatch(
                f"The tensors do not fit {name}: {key} holds {tensor.dtype} values.",
                "Give the weights as floating-point numbers.",
            )


def _fitted(tensor: Tensor | None, wanted: Tensor) -> Tensor:
    if tensor is None or (tensor.is_floating_point() and not wanted.is_floating_point()):
        return torch.zeros(wanted.shape, dtype=wanted.dtype)
    kind = torch.float32 if wanted.is_floating_point() else wanted.dtype
    return tensor.detach().to(kind, copy=True).contiguous()


def _named(what: str, keys: list[str]) -> list[str]:
    return [f"{what} {name_some(keys)}"] if keys else []
