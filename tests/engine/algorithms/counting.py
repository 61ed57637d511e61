"""A tiny network that counts the images that pass through it, forwards and backwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.engine.algorithms.nets import TinyNet


@dataclass
class Counts:
    """Images forwards, images backwards, gradients of convolution weights."""

    forward: int = 0
    backward: int = 0
    weights: int = 0

    def taken(self) -> tuple[int, int, int]:
        """What was counted since the last time this was asked."""
        counted = (self.forward, self.backward, self.weights)
        self.forward = self.backward = self.weights = 0
        return counted


class _Watch(torch.autograd.Function):
    """The identity; adds the images of a gradient that comes back through it to a count."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, counts: Counts, name: str) -> Tensor:
        ctx.counts, ctx.name = counts, name
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = gradients
        counted = len(gradient) if ctx.name == "backward" else 1
        setattr(ctx.counts, ctx.name, getattr(ctx.counts, ctx.name) + counted)
        return gradient, None, None


def watch(value: Tensor, counts: Counts, name: str) -> Tensor:
    watched: Tensor = _Watch.apply(value, counts, name)
    return watched


class WatchedConv(nn.Conv2d):
    """Counts the gradients that are computed for its weight."""

    counts: Counts

    def forward(self, x: Tensor) -> Tensor:
        weight = watch(self.weight, self.counts, "weights")
        return F.conv2d(x, weight, None, self.stride, self.padding)


class CountingNet(TinyNet):
    """``TinyNet`` that counts before the first BatchNorm and behind it.

    Behind is as deep as a gradient on masks has to reach. ``frozen`` False leaves gradients
    switched on, so that only what the algorithm asks for keeps them from being computed.
    """

    def __init__(self, *, frozen: bool = True) -> None:
        super().__init__()
        self.counts = Counts()
        for name in ("conv1", "conv2"):
            plain: nn.Conv2d = getattr(self, name)
            stride = plain.stride[0]
            conv = WatchedConv(plain.in_channels, 4, 3, stride=stride, padding=1, bias=False)
            conv.counts = self.counts
            conv.weight.data.copy_(plain.weight)
            setattr(self, name, conv)
        self.requires_grad_(not frozen)

    def forward(self, x: Tensor) -> Tensor:
        self.counts.forward += len(x)
        x = F.relu(watch(self.bn1(self.conv1(x)), self.counts, "backward"))
        x = F.relu(self.bn2(self.conv2(x)))
        logits: Tensor = self.linear(self.bn3(self.mix(x.mean((2, 3)))))
        return logits
