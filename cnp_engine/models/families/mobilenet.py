"""MobileNetV2 for small images, in kuangliu's naming; any widths and expansions.

Sandler et al., CVPR 2018. Strides have no tensors, yet the shortcut gives them away: a block that
changes its width has a projecting shortcut exactly when its stride is one.
"""

from __future__ import annotations

from typing import cast

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

BLOCKS = 17
_PLAIN = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, width, blocks, first stride (table 2 of the paper; second stride 1 at 32x32)."""


class InvertedResidual(nn.Module):
    """Expand, depthwise, project; added to its input (projected where the width changes)."""

    def __init__(self, inputs: int, middle: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv1 = nn.Conv2d(inputs, middle, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, stride, padding=1, groups=middle, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride == 1 and inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return cast(Tensor, y + self.shortcut(x) if self.stride == 1 else y)


class MobileNetV2(nn.Module):
    """Images (B, 3, H, W) to logits (B, classes)."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        options = architecture.options
        inputs = options["stem"]
        self.conv1 = nn.Conv2d(3, inputs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs)
        layers = []
        for middle, outputs, stride in options["blocks"]:
            layers.append(InvertedResidual(inputs, middle, outputs, stride))
            inputs = outputs
        self.layers = nn.Sequential(*layers)
        self.conv2 = nn.Conv2d(inputs, options["last"], 1, bias=False)
        self.bn2 = nn.BatchNorm2d(options["last"])
        self.linear = nn.Linear(options["last"], architecture.classes)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(images_BCHW)))
        x = F.relu(self.bn2(self.conv2(self.layers(x))))
        logits: Tensor = self.linear(F.adaptive_avg_pool2d(x, 1).flatten(1))
        return logits


def _match(shapes: Shapes) -> Architecture:
    inputs = stem = shape(shapes, "conv1.weight", 4)[0]
    if count(shapes, r"layers\.(\d+)\.") != BLOCKS:
        raise MisfitError(f"it has {count(shapes, r'layers.([0-9]+).')} blocks, not {BLOCKS}")
    blocks = []
    for index in range(BLOCKS):
        middle = shape(shapes, f"layers.{index}.conv1.weight", 4)[0]
        outputs = shape(shapes, f"layers.{index}.conv3.weight", 4)[0]
        projects = f"layers.{index}.shortcut.0.weight" in shapes
        blocks.append([middle, outputs, 1 if projects or inputs == outputs else 2])
        inputs = outputs
    last = shape(shapes, "conv2.weight", 4)[0]
    classes = shape(shapes, "linear.weight", 2)[0]
    planes = list(dict.fromkeys(outputs for _, outputs, _ in blocks))
    return Architecture(
        name="mobilenet_v2-cifar",
        family="mobilenet-v2",
        options={"stem": stem, "blocks": blocks, "last": last, "planes": planes},
        classes=classes,
        input_size=None,
        head="linear",
        describe=f"MobileNetV2 for small images, widths {listed(planes)}, {classes} classes",
    )


def plain(classes: int, width: int) -> Architecture:
    """The usual network with a stem of ``width`` channels (32 in the paper)."""
    scale = width / 32
    shapes: dict[str, tuple[int, ...]] = {
        "conv1.weight": (width, 3, 3, 3),
        "conv2.weight": (round(1280 * scale), 1, 1, 1),
        "linear.weight": (classes, round(1280 * scale)),
    }
    inputs, index = width, 0
    for expansion, planes, blocks, stride in _PLAIN:
        outputs = max(1, round(planes * scale))
        for position in range(blocks):
            shapes[f"layers.{index}.conv1.weight"] = (expansion * inputs, inputs, 1, 1)
            shapes[f"layers.{index}.conv3.weight"] = (outputs, expansion * inputs, 1, 1)
            if (position or stride == 1) and inputs != outputs:
                shapes[f"layers.{index}.shortcut.0.weight"] = (outputs, inputs, 1, 1)
            inputs, index = outputs, index + 1
    return _match(shapes)


FAMILY = Family(
    "mobilenet-v2",
    "MobileNetV2 for small images",
    (
        "conv1.weight",
        "layers.0.conv1.weight",
        "layers.1.bn3.running_mean",
        "layers.16.conv3.weight",
        "conv2.weight",
        "linear.weight",
    ),
    _match,
    MobileNetV2,
)
