"""ResNet for small images: 3x3 stem without pooling, four stages, any width.

The naming is the one most backdoor repositories share (kuangliu's, and with it CNP's,
BackdoorBox's and ANP's: ``shortcut``, ``linear``) or torchvision's (``downsample``, ``fc``).
He et al., CVPR 2016; with ``preact`` the order of He et al., ECCV 2016, as BackdoorBench's
PreActResNet has it.
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
    has,
    listed,
    shape,
)

STAGES = (1, 2, 3, 4)
DEPTHS: dict[tuple[str, tuple[int, ...]], int] = {
    ("basic", (1, 1, 1, 1)): 10,
    ("basic", (2, 2, 2, 2)): 18,
    ("basic", (3, 4, 6, 3)): 34,
    ("bottleneck", (3, 4, 6, 3)): 50,
    ("bottleneck", (3, 4, 23, 3)): 101,
    ("bottleneck", (3, 8, 36, 3)): 152,
}
"""Blocks a stage to depth. Others are refused: a file that lost blocks would pass for one."""

EXPANSION = {"basic": 1, "bottleneck": 4}


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


class Block(nn.Module):
    """conv-bn-relu twice (basic) or thrice (bottleneck, stride on the 3x3), plus the shortcut."""

    def __init__(self, kind: str, inputs: int, planes: int, stride: int, shortcut: str) -> None:
        super().__init__()
        outputs = planes * EXPANSION[kind]
        self.deep = kind == "bottleneck"
        self.shortcut_name = shortcut
        self.conv1 = (
            _convolution(inputs, planes, 1)
            if self.deep
            else _convolution(inputs, planes, 3, stride)
        )
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = _convolution(planes, planes, 3, stride if self.deep else 1)
        self.bn2 = nn.BatchNorm2d(planes)
        if self.deep:
            self.conv3 = _convolution(planes, outputs, 1)
            self.bn3 = nn.BatchNorm2d(outputs)
        skip = nn.Sequential()
        if stride != 1 or inputs != outputs:
            skip = nn.Sequential(_convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
        self.add_module(shortcut, skip)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.deep:
            y = self.bn3(self.conv3(F.relu(y)))
        return F.relu(y + self.get_submodule(self.shortcut_name)(x))


class PreActBlock(nn.Module):
    """bn-relu-conv, two or three times; a projecting shortcut branches off after the first relu."""

    def __init__(self, kind: str, inputs: int, planes: int, stride: int, shortcut: str) -> None:
        super().__init__()
        outputs = planes * EXPANSION[kind]
        self.deep = kind == "bottleneck"
        self.shortcut_name = shortcut
        self.projects = stride != 1 or inputs != outputs
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = (
            _convolution(inputs, planes, 1)
            if self.deep
            else _convolution(inputs, planes, 3, stride)
        )
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv2 = _convolution(planes, planes, 3, stride if self.deep else 1)
        if self.deep:
            self.bn3 = nn.BatchNorm2d(planes)
            self.conv3 = _convolution(planes, outputs, 1)
        if self.projects:
            self.add_module(shortcut, nn.Sequential(_convolution(inputs, outputs, 1, stride)))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(x))
        skip = self.get_submodule(self.shortcut_name)(y) if self.projects else x
        y = self.conv2(F.relu(self.bn2(self.conv1(y))))
        if self.deep:
            y = self.conv3(F.relu(self.bn3(y)))
        return cast(Tensor, y + skip)


class ResNet(nn.Module):
    """Images (B, 3, H, W) to logits (B, classes). ``options`` as ``match`` reads them off."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        options = architecture.options
        stem, planes, kind = options["stem"], options["planes"], options["block"]
        block = PreActBlock if options["preact"] else Block
        self.preact: bool = options["preact"]
        self.cells: int = options["cells"]
        self.head_name = architecture.head
        self.conv1 = _convolution(3, stem, 3)
        if not self.preact:
            self.bn1 = nn.BatchNorm2d(stem)
        inputs = stem
        for stage, width, blocks in zip(STAGES, planes, options["blocks"], strict=True):
            layers: list[nn.Module] = []
            for index in range(blocks):
                stride = 2 if stage > 1 and index == 0 else 1
                layers.append(block(kind, inputs, width, stride, options["shortcut"]))
                inputs = width * EXPANSION[kind]
            self.add_module(f"layer{stage}", nn.Sequential(*layers))
        if options["final_bn"]:
            self.bn = nn.BatchNorm2d(inputs)
        self.final_bn: bool = options["final_bn"]
        self.add_module(self.head_name, nn.Linear(inputs * self.cells, architecture.classes))

    def forward(self, images_BCHW: Tensor) -> Tensor:
        x = self.conv1(images_BCHW)
        if not self.preact:
            x = F.relu(self.bn1(x))
        for stage in STAGES:
            x = self.get_submodule(f"layer{stage}")(x)
        if self.final_bn:
            x = F.relu(self.bn(x))
        # A global mean, as wide images and BackdoorBench want it, is what a 4x4 window gives at
        # 32x32; a head that takes several cells was trained with that window on larger images.
        x = F.adaptive_avg_pool2d(x, 1) if self.cells == 1 else F.avg_pool2d(x, 4)
        return cast(Tensor, self.get_submodule(self.head_name)(x.flatten(1)))


def _match(shapes: Shapes, preact: bool) -> Architecture:
    stem = shape(shapes, "conv1.weight", 4)
    if stem[1:] != (3, 3, 3):
        raise MisfitError(f"the stem is {listed([*stem], 'x')}, not filters of 3x3x3")
    if preact == ("bn1.weight" in shapes):
        raise MisfitError("the stem has a bn1" if preact else "the stem has no bn1")
    head = "linear" if "linear.weight" in shapes else "fc"
    classes, features = shape(shapes, f"{head}.weight", 2)
    kind = "bottleneck" if has(shapes, "layer1.0.conv3.") else "basic"
    blocks = [count(shapes, rf"layer{stage}\.(\d+)\.") for stage in STAGES]
    depth = DEPTHS.get((kind, tuple(blocks)))
    if depth is None:
        raise MisfitError(f"its stages have {listed(blocks)} {kind} blocks")
    planes = [shape(shapes, f"layer{stage}.0.conv1.weight", 4)[0] for stage in STAGES]
    cells, rest = divmod(features, planes[-1] * EXPANSION[kind])
    side = round(cells**0.5)
    if rest or cells == 0 or side * side != cells:
        raise MisfitError(f"its head takes {features} features, its last stage gives {planes[-1]}")
    title = f"{'PreActResNet' if preact else 'ResNet'}-{depth}"
    return Architecture(
        name=f"{'preact' if preact else ''}resnet{depth}-cifar",
        family="preact-resnet" if preact else "resnet",
        options={
            "preact": preact,
            "block": kind,
            "blocks": blocks,
            "depth": depth,
            "stem": stem[0],
            "planes": planes,
            "cells": cells,
            "final_bn": preact and "bn.weight" in shapes,
            "shortcut": "downsample" if _has_downsample(shapes) else "shortcut",
        },
        classes=classes,
        input_size=None if cells == 1 else (32 * side, 32 * side),
        head=head,
        describe=f"{title} for small images (3x3 stem), widths {listed(planes)}, {classes} classes",
    )


def _has_downsample(shapes: Shapes) -> bool:
    return any(".downsample." in name for name in shapes)


def plain(depth: int, classes: int, width: int, preact: bool) -> Architecture:
    """The usual network of this depth with first width ``width``; KeyError for another depth."""
    kind, blocks = {depth: key for key, depth in DEPTHS.items()}[depth]
    planes = [width * scale for scale in (1, 2, 4, 8)]
    shapes: dict[str, tuple[int, ...]] = {
        "conv1.weight": (width, 3, 3, 3),
        "linear.weight": (classes, planes[-1] * EXPANSION[kind]),
    }
    for stage, amount, outputs in zip(STAGES, blocks, planes, strict=True):
        shapes[f"layer{stage}.0.conv1.weight"] = (outputs, 1, 1, 1)
        shapes[f"layer{stage}.{amount - 1}.conv1.weight"] = (outputs, 1, 1, 1)
    if kind == "bottleneck":
        shapes["layer1.0.conv3.weight"] = (planes[0] * 4, planes[0], 1, 1)
    if not preact:
        shapes["bn1.weight"] = (width,)
    return _match(shapes, preact)


_MARKS = (
    "conv1.weight",
    "layer1.0.conv1.weight",
    "layer1.0.bn1.running_mean",
    "layer2.0.shortcut.0.weight",
    "layer4.1.conv2.weight",
    "linear.weight",
)
RESNET = Family(
    "resnet",
    "ResNet for small images",
    (*_MARKS, "bn1.weight"),
    lambda shapes: _match(shapes, preact=False),
    ResNet,
)
PREACT = Family(
    "preact-resnet",
    "PreActResNet for small images",
    _MARKS,
    lambda shapes: _match(shapes, preact=True),
    ResNet,
)
