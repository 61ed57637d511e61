"""Input-aware: a network draws each image's own trigger (Nguyen & Tran, NeurIPS 2020).

Modules carry the names of the public release (VinAIResearch/input-aware-backdoor-attack-release,
networks/models.py), so the state dicts of its netG and netM load as they are.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from cnp_engine.attacks.protocol import AllToOne, widened

STEPS, WIDTH = 3, 32
"""Halvings and first channels of the release for images of 32 x 32."""

DENSITY = 0.032
"""Share of pixels the release lets a mask cover (its ``mask_density``)."""

CIFAR_MEAN, CIFAR_STD = (0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261)
"""What the release normalises CIFAR-10 by; GTSRB it does not (0 and 1)."""

_MORE_THAN_TWO = 2 + 1e-7


class Block(nn.Sequential):
    """Convolution, BatchNorm and, but in the last one, ReLU."""

    def __init__(self, incoming: int, outgoing: int, relu: bool = True) -> None:
        super().__init__()
        self.add_module("conv2d", nn.Conv2d(incoming, outgoing, 3, padding=1))
        self.add_module("batch_norm", nn.BatchNorm2d(outgoing, momentum=0.05))
        if relu:
            self.add_module("relu", nn.ReLU())


class TriggerNet(nn.Sequential):
    """Down and up again: normalised (B, 3, H, W) to (B, outgoing, H, W) in (0, 1).

    H and W are multiples of 8. outgoing: 3 for a pattern (netG), 1 for a mask (netM).
    """

    def __init__(self, outgoing: int) -> None:
        super().__init__()
        width = 3
        for step in range(STEPS):
            wider = WIDTH << step
            self.add_module(f"convblock_down_{2 * step}", Block(width, wider))
            self.add_module(f"convblock_down_{2 * step + 1}", Block(wider, wider))
            self.add_module(f"downsample_{step}", nn.MaxPool2d(2))
            width = wider
        self.add_module("convblock_middle", Block(width, width))
        for step in range(STEPS):
            last = step == STEPS - 1
            narrower = outgoing if last else width // 2
            self.add_module(f"upsample_{step}", nn.Upsample(scale_factor=2, mode="bilinear"))
            self.add_module(f"convblock_up_{2 * step}", Block(width, width))
            self.add_module(f"convblock_up_{2 * step + 1}", Block(width, narrower, relu=not last))
            width = narrower

    def forward(self, x: Tensor) -> Tensor:
        for module in self.children():
            x = module(x)
        return torch.tanh(x) / _MORE_THAN_TWO + 0.5


def trigger_net(outgoing: int, generator: torch.Generator) -> TriggerNet:
    """One with torch's own initial weights, drawn by ``generator`` and not by the global seed."""
    with torch.device("meta"):
        net = TriggerNet(outgoing)
    net.to_empty(device="cpu")
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        if isinstance(module, nn.Conv2d):
            assert module.bias is not None
            bound = 1 / math.sqrt(module.weight[0].numel())
            nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5), generator=generator)
            nn.init.uniform_(module.bias, -bound, bound, generator=generator)
    return net


def pattern(net: nn.Module, normalised_BCHW: Tensor) -> Tensor:
    """Each image's own pattern, (B, 3, H, W) in (0, 1), with gradients."""
    drawn: Tensor = net(normalised_BCHW)
    return drawn


def mask(net: nn.Module, normalised_BCHW: Tensor) -> Tensor:
    """Where it shows, (B, 1, H, W) in (0, 1) and nearly 0 or 1, with gradients."""
    drawn: Tensor = net(normalised_BCHW)
    return torch.tanh(drawn * 20 - 10) / _MORE_THAN_TWO + 0.5


def combine(images_BCHW: Tensor, pattern_BCHW: Tensor, mask_B1HW: Tensor) -> Tensor:
    """``x + (p - x) * m``: the mask's share of the pattern, the rest of the image."""
    return images_BCHW + (pattern_BCHW - images_BCHW) * mask_B1HW


def normalised(images_BCHW: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """What the two networks are given: ``(x - mean) / std`` of each channel."""
    shift, scale = (torch.tensor(v).view(3, 1, 1).to(images_BCHW) for v in (mean, std))
    return (images_BCHW - shift) / scale


@dataclass(frozen=True, eq=False)
class InputAware(AllToOne):
    """``x + (p(x) - x) * m(x)``, p and m of two networks that see ``(x - mean) / std``.

    The release mixes normalised images, which comes to the same. Stamping uses copies of the
    networks in evaluation mode, without gradients; training uses `pattern`, `mask` and `combine`.
    """

    target: int
    pattern_net: nn.Module = field(repr=False)
    mask_net: nn.Module = field(repr=False)
    mean: tuple[float, float, float] = CIFAR_MEAN
    std: tuple[float, float, float] = CIFAR_STD
    name: str = "input-aware"

    @torch.no_grad()
    def stamp(self, images_BCHW: Tensor) -> Tensor:
        images = widened(images_BCHW)
        x = normalised(images, self.mean, self.std)
        nets = (copy.deepcopy(net).to(x).eval() for net in (self.pattern_net, self.mask_net))
        stamped = combine(images, pattern(next(nets), x), mask(next(nets), x))
        return stamped.clamp(0, 1).to(images_BCHW.dtype)
