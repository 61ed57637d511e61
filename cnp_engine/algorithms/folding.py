"""A network without its BatchNorm passes, for searches that mask nothing.

A BN layer in evaluation mode is an affine map of each channel. Where it follows a convolution it
is part of that convolution's weights and bias, which saves a pass over the activations each way
and the memory of what it would keep for the backward pass: with a ResNet-18 of width 32 half of
that, and an eighth of the time (docs/log.md).

What follows what is found out by watching one call. The copy has to answer as the original does;
where it does not, as with a convolution that something else reads too, the original is used.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cnp_engine.algorithms.overlay import MaskedNetwork

SAMPLE = 8
"""Images on which the copy has to answer as the original."""

TOLERANCE = 1e-2
"""Largest difference between logits, in units of the largest logit: float32 leaves 1e-6, the
shortened float32 of some GPUs 1e-3."""


@torch.no_grad()
def folded(network: MaskedNetwork, images_BCHW: Tensor) -> MaskedNetwork:
    """The same classifier without neurons to mask, or ``network`` itself where it has no such form.

    Images as the network takes them; the first few are used. Nothing of ``network`` changes.
    """
    sample = images_BCHW[:SAMPLE]
    pairs = follows(network, sample)
    if not pairs:
        return network
    with suppress(Exception):  # a module of the user's own: what it does not bear is not folded
        other = network.over(_folded(network.module, pairs), ())
        before, after = (net(sample, exact=True).logits_BK for net in (network, other))
        if bool((after - before).abs().max() <= TOLERANCE * before.abs().max()):
            return other
    return network


def follows(network: MaskedNetwork, images_BCHW: Tensor) -> list[tuple[str, str]]:
    """Convolutions and the BN layers that alone read what they return; each is called once."""
    made: dict[str, Tensor] = {}
    found: list[tuple[str, str]] = []
    calls = Counter[str]()

    def convolved(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            calls[name] += 1
            made[name] = output

        return hook

    def normalises(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            calls[name] += 1
            found.extend((conv, name) for conv, output in made.items() if output is inputs[0])

        return hook

    with ExitStack() as hooks:
        for name, module in network.module.named_modules():
            if not _plain(module):
                continue
            if type(module) is nn.Conv2d:
                hook = module.register_forward_hook(convolved(name))
                hooks.callback(hook.remove)
            elif type(module) is nn.BatchNorm2d and module.running_mean is not None:
                hooks.callback(module.register_forward_pre_hook(normalises(name)).remove)
        readers = hooks.enter_context(_Readers())
        network(images_BCHW, exact=True)
    return [
        (conv, norm) for conv, norm in found
        if calls[conv] == calls[norm] == readers.of[id(made[conv])] == 1
    ]  # fmt: skip


class _Readers(TorchDispatchMode):
    """How many operations read each tensor, by its ``id``; all are held, so that none is reused."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.of = Counter[int]()
        self._held: list[Tensor] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        read = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        self._held += read
        self.of.update(map(id, read))
        return func(*args, **(kwargs or {}))


def _plain(module: nn.Module) -> bool:
    """Whether it does what its class does, in evaluation mode: no hook, no forward of its own."""
    hooks = (module._forward_hooks, module._forward_pre_hooks)
    return not (module.training or any(hooks) or "forward" in vars(module))


def _folded(module: nn.Module, pairs: list[tuple[str, str]]) -> nn.Module:
    other = copy.deepcopy(module)
    for conv_name, norm_name in pairs:
        conv, norm = other.get_submodule(conv_name), other.get_submodule(norm_name)
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        fused = fuse_conv_bn_eval(conv, norm).requires_grad_(False)
        other.set_submodule(conv_name, fused.to(memory_format=torch.channels_last))
        other.set_submodule(norm_name, nn.Identity())
    return other
