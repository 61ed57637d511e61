"""Networks small enough to be written down: one with random numbers, one with a known backdoor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnp_engine.algorithms.overlay import MaskedNetwork

TINY_LAYERS = (("bn1", 4), ("bn2", 4), ("bn3", 4))
PLANTED_LAYERS = (("bn1", 4), ("bn2", 4))
DETECTOR = 3
"""Flat index of the planted network's first neuron that answers the trigger; 7 is the second."""

TARGET = 1
STRENGTH = 120.0
"""Weight of the detector in the target's logit: one 3x3 checkerboard outweighs any colour."""


LIVELY = 45
"""A seed with which the tiny network answers all three classes and no neuron is dead."""


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int, size: int = 8, seed: int = 1) -> Tensor:
    """Noise of a colour of its own in each image, (count, 3, size, size) in [0, 1]."""
    draws = generator(seed)
    colour = torch.rand((count, 3, 1, 1), generator=draws)
    return colour * torch.rand((count, 3, size, size), generator=draws)


class TinyNet(nn.Module):
    """Two convolutions and a BatchNorm1d before the head: 4 + 4 + 4 neurons, nothing symmetric."""

    def __init__(self, classes: int = 3, seed: int = LIVELY) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 4, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(4)
        self.mix = nn.Linear(4, 4)
        self.bn3 = nn.BatchNorm1d(4)
        self.linear = nn.Linear(4, classes)
        draws = generator(seed)
        for parameter in self.parameters():
            parameter.data.normal_(0, 0.5, generator=draws)
        for norm in (self.bn1, self.bn2, self.bn3):
            norm.weight.data.uniform_(0.5, 1.5, generator=draws)
            norm.weight.data[0] *= -1
            norm.bias.data.uniform_(-0.2, 0.6, generator=draws)
            for buffer, low in ((norm.running_mean, -0.5), (norm.running_var, 0.5)):
                assert buffer is not None
                buffer.uniform_(low, low + 1, generator=draws)
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        logits: Tensor = self.linear(self.bn3(self.mix(x.mean((2, 3)))))
        return logits


class PlantedNet(nn.Module):
    """Classes 0 to 2 are the brightest colour, 3 is darkness; a checkerboard means ``TARGET``.

    Neuron 3 of bn1, passed on by neuron 3 of bn2, correlates with a checkerboard and is silent on
    flat colour. ``strength`` 0 makes the clean twin.
    """

    def __init__(self, strength: float = STRENGTH) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 4, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4)
        self.linear = nn.Linear(4, 4)
        self.requires_grad_(False).eval()
        self.conv1.weight.zero_()
        for colour in range(3):
            self.conv1.weight[colour, colour, 1, 1] = 1
        self.conv1.weight[3] = checkerboard(3) / 5 - (1 - checkerboard(3)) / 4
        self.conv2.weight.copy_(torch.eye(4).view(4, 4, 1, 1))
        self.linear.weight.copy_(torch.diag(torch.tensor([10.0, 10.0, 10.0, 0.0])))
        self.linear.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 5.0]))
        self.linear.weight[TARGET, 3] = strength

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        logits: Tensor = self.linear(x.mean((2, 3)))
        return logits


class AllToAllNet(PlantedNet):
    """The planted network of which a checkerboard makes every class the one after it."""

    def __init__(self) -> None:
        super().__init__(0.0)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x))).mean((2, 3))
        logits = self.linear(x)
        shown = (30 * x[:, 3:]).clamp(max=1)
        return torch.lerp(logits, logits.roll(1, 1), shown)


def checkerboard(size: int) -> Tensor:
    """(size, size), 1 where row + column is even."""
    rows = torch.arange(size)
    return ((rows[:, None] + rows[None]) % 2 == 0).float()


def coloured(count: int, seed: int = 3) -> tuple[Tensor, Tensor]:
    """Flat noisy images (count, 3, 8, 8) of the planted network's classes, and the classes."""
    labels_B = torch.arange(count) % 4
    x = torch.full((count, 3, 8, 8), 0.2)
    for colour in range(3):
        x[labels_B == colour, colour] = 0.8
    return x + 0.02 * torch.rand(x.shape, generator=generator(seed)), labels_B


def stamp_checkerboard(images_BCHW: Tensor) -> Tensor:
    """The planted trigger: a 3x3 checkerboard, bottom right."""
    stamped = images_BCHW.clone()
    stamped[:, :, -3:, -3:] = checkerboard(3)
    return stamped


def masked(
    module: nn.Module,
    layers: Sequence[tuple[str, int]] = TINY_LAYERS,
    mean: Sequence[float] = (0.0, 0.0, 0.0),
    std: Sequence[float] = (1.0, 1.0, 1.0),
    bgr: bool = False,
) -> MaskedNetwork:
    return MaskedNetwork(module, "linear", layers, mean=mean, std=std, bgr=bgr)


def planted(strength: float = STRENGTH) -> MaskedNetwork:
    return masked(PlantedNet(strength), PLANTED_LAYERS)


class Untouched:
    """What a module is before a call, to be held against what it is afterwards, bit for bit."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.state = {key: value.clone() for key, value in module.state_dict().items()}
        self.storage = {key: value.data_ptr() for key, value in module.state_dict().items()}
        self.modes = [part.training for part in module.modules()]

    def check(self) -> None:
        after = self.module.state_dict()
        assert after.keys() == self.state.keys()
        for key, before in self.state.items():
            assert torch.equal(bits(after[key]), bits(before)), key
            assert after[key].data_ptr() == self.storage[key], key
        assert [part.training for part in self.module.modules()] == self.modes
        for name, parameter in self.module.named_parameters():
            assert parameter.grad is None, name


def bits(tensor: Tensor) -> Tensor:
    """The bytes, so that a sign of zero counts."""
    return tensor.contiguous().reshape(-1).view(torch.uint8)
