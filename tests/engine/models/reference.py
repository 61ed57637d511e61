"""The same networks written a second time, as functions of a state dict, to compare with."""

from __future__ import annotations

import re
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

State = dict[str, Tensor]


def norm(x: Tensor, state: State, name: str) -> Tensor:
    mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    scale = state[f"{name}.weight"] / torch.sqrt(var + 1e-5)
    return (x - mean[:, None, None]) * scale[:, None, None] + state[f"{name}.bias"][:, None, None]


def conv(x: Tensor, state: State, name: str, stride: int = 1, groups: int = 1) -> Tensor:
    weight = state[f"{name}.weight"]
    return F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, 1, groups)


def pooled(x: Tensor, state: State) -> Tensor:
    """A 4x4 window, as networks for 32x32 images end, and the head."""
    return F.linear(F.avg_pool2d(x, 4).flatten(1), state["linear.weight"], state["linear.bias"])


def blocks(state: State, pattern: str) -> list[str]:
    found = (re.match(pattern, key) for key in state)
    return list(dict.fromkeys(match.group(0) for match in found if match))


def stride_of(block: str) -> int:
    """First block of the stages after the first."""
    stage, index = block.removeprefix("layer").split(".")
    return 2 if stage != "1" and index == "0" else 1


def resnet(x: Tensor, state: State) -> Tensor:
    x = F.relu(norm(conv(x, state, "conv1"), state, "bn1"))
    for block in blocks(state, r"layer\d\.\d+"):
        deep, stride = f"{block}.conv3.weight" in state, stride_of(block)
        y = conv(x, state, f"{block}.conv1", 1 if deep else stride)
        y = conv(F.relu(norm(y, state, f"{block}.bn1")), state, f"{block}.conv2",
                 stride if deep else 1)  # fmt: skip
        y = norm(y, state, f"{block}.bn2")
        if deep:
            y = norm(conv(F.relu(y), state, f"{block}.conv3"), state, f"{block}.bn3")
        if f"{block}.shortcut.0.weight" in state:
            x = conv(x, state, f"{block}.shortcut.0", stride)
            x = norm(x, state, f"{block}.shortcut.1")
        x = F.relu(x + y)
    return pooled(x, state)


def preact(x: Tensor, state: State) -> Tensor:
    x = conv(x, state, "conv1")
    for block in blocks(state, r"layer\d\.\d+"):
        deep, stride = f"{block}.conv3.weight" in state, stride_of(block)
        opened = F.relu(norm(x, state, f"{block}.bn1"))
        y = conv(opened, state, f"{block}.conv1", 1 if deep else stride)
        y = conv(F.relu(norm(y, state, f"{block}.bn2")), state, f"{block}.conv2",
                 stride if deep else 1)  # fmt: skip
        if deep:
            y = conv(F.relu(norm(y, state, f"{block}.bn3")), state, f"{block}.conv3")
        if f"{block}.shortcut.0.weight" in state:
            x = conv(opened, state, f"{block}.shortcut.0", stride)
        x = x + y
    return pooled(x, state)


def mobilenet_v2(x: Tensor, state: State) -> Tensor:
    x = F.relu(norm(conv(x, state, "conv1"), state, "bn1"))
    for index in range(17):
        block, stride = f"layers.{index}", 2 if index in (3, 6, 13) else 1
        y = F.relu(norm(conv(x, state, f"{block}.conv1"), state, f"{block}.bn1"))
        y = conv(y, state, f"{block}.conv2", stride, y.shape[1])
        y = conv(F.relu(norm(y, state, f"{block}.bn2")), state, f"{block}.conv3")
        y = norm(y, state, f"{block}.bn3")
        if f"{block}.shortcut.0.weight" in state:
            x = norm(conv(x, state, f"{block}.shortcut.0"), state, f"{block}.shortcut.1")
        x = x + y if stride == 1 else y
    return pooled(F.relu(norm(conv(x, state, "conv2"), state, "bn2")), state)


def densenet(x: Tensor, state: State) -> Tensor:
    x = conv(x, state, "conv1")
    for stage in (1, 2, 3, 4):
        for block in blocks(state, rf"dense{stage}\.\d+"):
            y = conv(F.relu(norm(x, state, f"{block}.bn1")), state, f"{block}.conv1")
            y = conv(F.relu(norm(y, state, f"{block}.bn2")), state, f"{block}.conv2")
            x = torch.cat([y, x], 1)
        if stage < 4:
            x = conv(F.relu(norm(x, state, f"trans{stage}.bn")), state, f"trans{stage}.conv")
            x = F.avg_pool2d(x, 2)
    return pooled(F.relu(norm(x, state, "bn")), state)


NETWORKS: dict[str, Callable[[Tensor, State], Tensor]] = {
    "resnet10-cifar": resnet,
    "resnet18-cifar": resnet,
    "resnet34-cifar": resnet,
    "resnet50-cifar": resnet,
    "preactresnet18-cifar": preact,
    "preactresnet50-cifar": preact,
    "mobilenet_v2-cifar": mobilenet_v2,
}
