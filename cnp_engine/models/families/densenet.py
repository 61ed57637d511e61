"""DenseNet-BC for small images, in kuangliu's naming; any growth rate (Huang et al., CVPR 2017)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnp_engine.models.families.base import (
    Architecture,
    Family,
    MisfitError,
    Shapes,
    count,
    listed,
    shape,
)

STAGES = (1, 2, 3, 4)
DEPTHS: dict[tuple[int, ...], int] = {
    (6, 12, 24, 16): 121,
    (6, 12, 36, 24): 161,
    (6, 12, 32, 32): 169,
    (6, 12, 48, 32): 201,
}


class Layer(nn.Module):
    """bn-relu-conv1x1-bn-relu-conv3x3; its output stands before its input."""

    def __init__(self, inputs: int, middle: int, growth: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, middle, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.relu(self.bn1(x)))
        return torch.cat([self.conv2(F.relu(self.bn2(y))), x], 1)


class Transition(nn.Module):
    """Halves the resolution and narrows."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(inputs)
        self.conv = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.conv(F.relu(self.bn(x))), 2)


class DenseNet(nn.Module):
    """Images (B, 3, H, W) to logits (B, classes)."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        options = architecture.options
        width, growth = options["stem"], options["growth"]
        self.conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        for stage, layers in zip(STAGES, options["blocks"], strict=True):
            dense = [Layer(width + i * growth, options["middle"], growth) for i in range(layers)]
            self.add_module(f"dense{stage}", nn.Sequential(*dense))
            width += layers * growth
            if stage < STAGES[-1]:
                narrow = options["planes"][stage - 1]
                self.add_module(f"trans{stage}", Transition(width, narrow))
                width = narrow
        self.bn = nn.BatchNorm2d(width)
        self.linear = nn.Linear(width, architecture.classes)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        x = self.conv1(images_BCHW)
        for stage in STAGES:
            x = self.get_submodule(f"dense{stage}")(x)
            if stage < STAGES[-1]:
                x = self.get_submodule(f"trans{stage}")(x)
        x = F.adaptive_avg_pool2d(F.relu(self.bn(x)), 1)
        logits: Tensor = self.linear(x.flatten(1))
        return logits


def _match(shapes: Shapes) -> Architecture:
    stem = shape(shapes, "conv1.weight", 4)[0]
    blocks = [count(shapes, rf"dense{stage}\.(\d+)\.") for stage in STAGES]
    depth = DEPTHS.get(tuple(blocks))
    if depth is None:
        raise MisfitError(f"its stages have {listed(blocks)} layers")
    middle = shape(shapes, "dense1.0.conv1.weight", 4)[0]
    growth = shape(shapes, "dense1.0.conv2.weight", 4)[0]
    planes = [shape(shapes, f"trans{stage}.conv.weight", 4)[0] for stage in STAGES[:-1]]
    classes = shape(shapes, "linear.weight", 2)[0]
    return Architecture(
        name=f"densenet{depth}-cifar",
        family="densenet",
        options={
            "depth": depth,
            "stem": stem,
            "blocks": blocks,
            "middle": middle,
            "growth": growth,
            "planes": planes,
        },
        classes=classes,
        input_size=None,
        head="linear",
        describe=f"DenseNet-{depth} for small images, growth {growth}, {classes} classes",
    )


FAMILY = Family(
    "densenet",
    "DenseNet for small images",
    (
        "conv1.weight",
        "dense1.0.bn1.running_mean",
        "dense1.0.conv1.weight",
        "trans1.conv.weight",
        "bn.running_mean",
        "linear.weight",
    ),
    _match,
    DenseNet,
)
