"""Masks and perturbations over BatchNorm neurons of a module that is never changed.

A neuron is one channel of one affine BatchNorm layer. Masks are flat vectors over all neurons in
module order; the module's own parameters and running statistics stay as loaded, every call goes
through ``functional_call`` (METHOD section 2: w -> w (m + xi_w), b -> b (1 + xi_b)).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm


@dataclass(frozen=True)
class Perturbation:
    """Relative noise on BN weights and biases, both (N,)."""

    weight_N: Tensor
    bias_N: Tensor


@dataclass(frozen=True)
class Output:
    """``features_BD`` enter the classifier head; both are float32."""

    features_BD: Tensor
    logits_BK: Tensor


def logits_of(answer: Any) -> Any:
    """The first of what a network answers, where it answers with its features, too."""
    return answer[0] if isinstance(answer, tuple) and answer else answer


class Overlay:
    """The flat view of a module's BN neurons, and the parameters a mask turns them into."""

    def __init__(self, module: nn.Module, layers: Sequence[tuple[str, int]]) -> None:
        self.layers = tuple(layers)
        self._norms = [module.get_submodule(name) for name, _ in self.layers]
        self._sizes = [channels for _, channels in self.layers]
        self.weight_N, self.bias_N = (
            torch.cat([_parameter(norm, kind) for norm in self._norms])
            if self._norms
            else next(module.parameters()).detach().new_zeros(0)
            for kind in ("weight", "bias")
        )

    @property
    def neurons(self) -> int:
        return sum(self._sizes)

    def parameters(self, mask_N: Tensor, xi: Perturbation | None = None) -> dict[str, Tensor]:
        """What ``functional_call`` puts in place of the BN weights and biases."""
        factor_N = mask_N if xi is None else mask_N + xi.weight_N
        weight_N = self.weight_N * factor_N
        bias_N = self.bias_N if xi is None else self.bias_N * (1 + xi.bias_N)
        replaced: dict[str, Tensor] = {}
        names = [name for name, _ in self.layers]
        pieces = zip(
            names, torch.split(weight_N, self._sizes), torch.split(bias_N, self._sizes), strict=True
        )
        for name, weight, bias in pieces:
            replaced[f"{name}.weight"] = weight
            replaced[f"{name}.bias"] = bias
        return replaced

    def statistics(self) -> dict[str, Tensor]:
        """Clones of the running statistics, for a call that would update them."""
        return {
            f"{name}.{key}": value.clone()
            for (name, _), norm in zip(self.layers, self._norms, strict=True)
            for key, value in norm.named_buffers(recurse=False)
        }

    def locate(self, neuron: int) -> tuple[str, int]:
        """Layer name and channel of a flat index."""
        for name, channels in self.layers:
            if neuron < channels:
                return name, neuron
            neuron -= channels
        raise IndexError(neuron)

    @contextmanager
    def batch_statistics(self) -> Iterator[None]:
        """BN layers in training mode for the length of one call; never held across a ``yield``."""
        modes = [norm.training for norm in self._norms]
        for norm in self._norms:
            norm.training = True
        try:
            yield
        finally:
            for norm, mode in zip(self._norms, modes, strict=True):
                norm.training = mode


class MaskedNetwork:
    """A frozen classifier that answers under a mask, a perturbation, or as it is.

    Images are float in [0, 1], (B, 3, H, W), before normalisation: that is part of the forward.
    """

    def __init__(
        self,
        module: nn.Module,
        head: str,
        layers: Sequence[tuple[str, int]],
        *,
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0, 1.0),
        bgr: bool = False,
        autocast: torch.dtype | None = None,
    ) -> None:
        self.module = module
        self.overlay = Overlay(module, layers)
        self.device = self.overlay.weight_N.device
        self._autocast = autocast
        self._bgr = bgr
        self._mean = torch.tensor(list(mean), device=self.device).view(3, 1, 1)
        self._std = torch.tensor(list(std), device=self.device).view(3, 1, 1)
        self._plain = not any(mean) and all(value == 1.0 for value in std)
        self._head_name = head
        self._head = module.get_submodule(head)

    def twin(self) -> MaskedNetwork:
        """The same over a copy of the module, whose parameters may then be changed."""
        return self.over(copy.deepcopy(self.module), self.overlay.layers)

    def over(self, module: nn.Module, layers: Sequence[tuple[str, int]]) -> MaskedNetwork:
        """Another module of the same form in place of this one; without layers it has no neurons to
        mask. Images are prepared as they are here."""
        other = copy.copy(self)
        other.module = module
        other.overlay = Overlay(module, layers)
        other._head = module.get_submodule(self._head_name)
        return other

    @property
    def neurons(self) -> int:
        return self.overlay.neurons

    def ones(self) -> Tensor:
        return torch.ones(self.neurons, device=self.device)

    def __call__(
        self,
        images_BCHW: Tensor,
        mask_N: Tensor | None = None,
        xi: Perturbation | None = None,
        *,
        batch_statistics: bool = False,
        exact: bool = False,
    ) -> Output:
        """``exact`` computes in float32 whatever the network's precision is."""
        replaced: dict[str, Tensor] = {}
        if mask_N is not None or xi is not None:
            replaced = self.overlay.parameters(self.ones() if mask_N is None else mask_N, xi)
        dtype = None if exact else self._autocast
        with torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None):
            if batch_statistics:
                with self.overlay.batch_statistics():
                    return self._forward(images_BCHW, replaced | self.overlay.statistics())
            return self._forward(images_BCHW, replaced)

    def _forward(self, images_BCHW: Tensor, replaced: dict[str, Tensor]) -> Output:
        x = images_BCHW.flip(1) if self._bgr else images_BCHW
        if not self._plain:
            x = (x - self._mean) / self._std
        x = x.contiguous(memory_format=torch.channels_last)
        with self._entering_head() as entering:
            logits = functional_call(self.module, replaced, (x,))
        return Output(entering[-1].flatten(1).float(), logits_of(logits).float())

    @contextmanager
    def _entering_head(self) -> Iterator[list[Tensor]]:
        """What enters the head in the length of one call.

        No hook stays: nothing else that uses the module may leave its activations here.
        """
        entering: list[Tensor] = []

        def remember(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            entering.append(inputs[0])

        hook = self._head.register_forward_pre_hook(remember)
        try:
            yield entering
        finally:
            hook.remove()


def _parameter(norm: nn.Module, name: str) -> Tensor:
    assert isinstance(norm, _BatchNorm)
    value = getattr(norm, name)
    assert isinstance(value, Tensor)
    return value.detach()


SMALLEST = 8
"""A batch is not halved below this."""


@torch.no_grad()
def answers(
    network: MaskedNetwork,
    images_BCHW: Tensor,
    mask_N: Tensor | None = None,
    *,
    batch: int = 250,
    exact: bool = False,
) -> Tensor:
    """Predicted classes, int64 (B,); in smaller batches where the device's memory runs out."""
    if not len(images_BCHW):  # no image is no question: not every network takes none
        return torch.empty(0, dtype=torch.int64, device=images_BCHW.device)
    try:
        return _answers(network, images_BCHW, mask_N, batch, exact)
    except torch.OutOfMemoryError:
        if batch <= SMALLEST:
            raise
    return answers(network, images_BCHW, mask_N, batch=batch // 2, exact=exact)


def _answers(
    network: MaskedNetwork, images_BCHW: Tensor, mask_N: Tensor | None, batch: int, exact: bool
) -> Tensor:
    parts = [
        network(part, mask_N, exact=exact).logits_BK.argmax(1)
        for part in torch.split(images_BCHW, batch)
    ]
    return torch.cat(parts)


def pruned_mask(order_N: Tensor, k: int) -> Tensor:
    """1 everywhere but at the first ``k`` neurons of the order."""
    mask_N = torch.ones(len(order_N), device=order_N.device)
    mask_N[order_N[:k]] = 0
    return mask_N
