"""In which order a network's modules run, and where a run can be taken up half way.

A cut stands before a BN layer: every module that has ended before that layer begins can return
what it returned last time, as nothing in it depends on the layer. Found out by watching one call;
what does not fit the pattern (a module called twice, an output that is no tensor, a forward that
was replaced already) is not replayed, and its parts are looked at instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from cnp_engine.algorithms.overlay import MaskedNetwork

Run = Callable[[], Any]


@dataclass
class Trace:
    """One call, watched. Names are those of ``named_modules``; times count begins and ends.

    ``fragile`` outputs are changed in place after their module has ended.
    """

    begun: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, Tensor] = field(default_factory=dict)
    work: dict[str, float] = field(default_factory=dict)
    replayable: frozenset[str] = frozenset()
    fragile: frozenset[str] = frozenset()

    def before(self, name: str) -> tuple[str, ...]:
        """The largest replayable modules that have ended before ``name`` begins, in order."""
        done = {n for n in self.replayable if self.ended[n] < self.begun[name]}
        largest = [n for n in done if not any(parent in done for parent in _parents(n))]
        return tuple(sorted(largest, key=self.ended.__getitem__))


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def trace(network: MaskedNetwork, images_BCHW: Tensor) -> Trace:
    """Watch one call on a few images, (B, 3, H, W) in [0, 1]."""
    modules = {name: part for name, part in network.module.named_modules() if name}
    found, calls, odd = Trace(), Counter[str](), set[str]()
    versions: dict[str, int] = {}
    clock = iter(range(1 << 62))

    def begins(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any) -> None:
            calls[name] += 1
            found.begun[name] = next(clock)

        return hook

    def ends(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            found.ended[name] = next(clock)
            if not isinstance(output, Tensor) or "forward" in vars(module):
                odd.add(name)
                return
            found.outputs[name], versions[name] = output, output._version
            if not list(module.children()):
                found.work[name] = _work(module, output)

        return hook

    with ExitStack() as hooks:
        for name, part in modules.items():
            hooks.callback(part.register_forward_pre_hook(begins(name)).remove)
            hooks.callback(part.register_forward_hook(ends(name)).remove)
        network(images_BCHW)
    once = {name for name, count in calls.items() if count == 1 and name in found.ended}
    found.replayable = frozenset(once - odd)
    found.fragile = frozenset(
        name for name, output in found.outputs.items() if output._version != versions[name]
    )
    return found


def _work(module: nn.Module, output: Tensor) -> float:
    """Roughly how long a leaf takes: passes over its output, and multiplications."""
    depth = 0
    if isinstance(module, nn.Conv2d):
        depth = module.weight[0].numel()
    elif isinstance(module, nn.Linear):
        depth = module.in_features
    return output.numel() * (1 + depth / 128)


@contextmanager
def replaying(modules: Mapping[str, nn.Module], values: Mapping[str, Tensor]) -> Iterator[None]:
    """The named modules answer ``values`` for the length of one call, never across a ``yield``."""
    try:
        for name, value in values.items():
            modules[name].forward = _answering(value)
        yield
    finally:
        for name in values:
            vars(modules[name]).pop("forward", None)


def _answering(value: Tensor) -> Callable[..., Tensor]:
    def forward(*inputs: Any, **named: Any) -> Tensor:
        return value

    return forward


@contextmanager
def catching(
    modules: Mapping[str, nn.Module], names: Sequence[str], fragile: frozenset[str]
) -> Iterator[dict[str, Tensor]]:
    """What the named modules return within the block; a copy of what is changed in place later."""
    caught: dict[str, Tensor] = {}

    def catch(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            caught[name] = output.clone() if name in fragile else output

        return hook

    with ExitStack() as hooks:
        for name in names:
            hooks.callback(modules[name].register_forward_hook(catch(name)).remove)
        yield caught


def nothing_like(value: Tensor) -> Tensor:
    """NaN in the shape of ``value``, without its memory."""
    return torch.full((), float("nan"), dtype=value.dtype, device=value.device).expand(value.shape)
