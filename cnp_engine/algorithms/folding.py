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
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cnp_engine.algorithms.overlay import MaskedNetwork
from cnp_engine.errors import CnpError

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
    try:
        return _folded(network, images_BCHW[:SAMPLE]) or network
    except CnpError:
        raise  # stopped
    except Exception:  # a module of the user's own: what it does not bear is not folded
        return network


def _folded(network: MaskedNetwork, sample_BCHW: Tensor) -> MaskedNetwork | None:
    """None where there is nothing to fold, or where the copy would not be the same."""
    pairs = follows(network, sample_BCHW)
    if not pairs:
        return None
    module = copy.deepcopy(network.module)
    if not _apart(module, network.module):
        return None
    for conv, norm in pairs:
        _fold(module, conv, norm)
    other = network.over(module, ())
    before, after = (net(sample_BCHW, exact=True).logits_BK for net in (network, other))
    close = (after - before).abs().max() <= TOLERANCE * before.abs().max()
    return other if bool(close) else None


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
            read = inputs[0] if inputs else None  # it may be given by name
            found.extend((conv, name) for conv, output in made.items() if output is read)

        return hook

    with ExitStack() as hooks:
        every = list(network.module.named_modules(remove_duplicate=False))
        names = Counter(id(module) for _, module in every)
        for name, module in every:
            if not _plain(module) or names[id(module)] > 1:
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


def _apart(one: nn.Module, two: nn.Module) -> bool:
    """Whether two networks share no part: a module says itself how it is copied."""
    return not {id(part) for part in one.modules()} & {id(part) for part in two.modules()}


def _fold(module: nn.Module, conv_name: str, norm_name: str) -> None:
    conv, norm = module.get_submodule(conv_name), module.get_submodule(norm_name)
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    fused = fuse_conv_bn_eval(conv, norm).requires_grad_(False)
    module.set_submodule(conv_name, fused.to(memory_format=torch.channels_last))
    module.set_submodule(norm_name, nn.Identity())
