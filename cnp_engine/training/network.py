"""The network a plan asks for, with initial weights that its seed alone decides."""

from __future__ import annotations

import math

import torch
from torch import nn

from cnp_engine.models.families.base import Architecture
from cnp_engine.models.registry import build, create


def fresh(name: str, classes: int, width: int | None, generator: torch.Generator) -> nn.Module:
    """He's initial weights (2015) drawn on the CPU. Raises ArchitectureUnknown."""
    architecture: Architecture = create(name, classes, width)
    module = build(architecture)
    for _, layer in sorted(module.named_modules()):
        if isinstance(layer, nn.Conv2d):
            fan = layer.out_channels * math.prod(layer.kernel_size) // layer.groups
            nn.init.normal_(layer.weight, 0.0, math.sqrt(2.0 / fan), generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Linear):
            bound = 1.0 / math.sqrt(layer.in_features)
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            nn.init.zeros_(layer.bias)
    return module
