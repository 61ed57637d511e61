"""Train one of the two networks, on one thread, the same bits each time.

Plain supervised training; the poisoned run differs from the clean one by the poisoned images
alone: same start, same order, same shifts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from assets.demo.dataset import Pictures
from assets.demo.scene import Pixels

SEED = 7


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; the rates are those of the CNP paper's recipe, shortened."""

    epochs: int = 12
    batch: int = 128
    peak_lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warmup: float = 0.2  # share of the steps on which the learning rate rises
    shift: int = 2  # pixels, either way, edges repeated


def start(network: nn.Module, seed: int = SEED) -> None:
    """He's initial weights from an own generator, module by module in name order."""
    draws = torch.Generator().manual_seed(seed)
    for _, module in sorted(network.named_modules()):
        if isinstance(module, nn.Conv2d):
            fan = module.out_channels * module.kernel_size[0] * module.kernel_size[1]
            nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan), generator=draws)
        elif isinstance(module, nn.Linear):
            bound = 1.0 / math.sqrt(module.in_features)
            nn.init.uniform_(module.weight, -bound, bound, generator=draws)
            nn.init.zeros_(module.bias)


def _to_BCHW(images: Pixels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def _batch(images_BCHW: Tensor, shift: int, draws: torch.Generator) -> Tensor:
    """Each image moved by its own few pixels, scaled to 0..1."""
    size = images_BCHW.shape[-1]
    wide = F.pad(images_BCHW.float() / 255.0, (shift,) * 4, mode="replicate")
    moves = torch.randint(0, 2 * shift + 1, (len(wide), 2), generator=draws)
    span = torch.arange(size)
    rows = (moves[:, :1] + span)[:, None, :, None]
    columns = (moves[:, 1:] + span)[:, None, None, :]
    each = torch.arange(len(wide))[:, None, None, None]
    return wide[each, torch.arange(3)[None, :, None, None], rows, columns]


def _lr(recipe: Recipe, step: int, steps: int) -> float:
    """Up in a line, down along a cosine."""
    rise = recipe.warmup * steps
    if step < rise:
        return recipe.peak_lr * (step + 1) / rise
    done = (step - rise) / (steps - rise)
    return recipe.peak_lr * 0.5 * (1.0 + math.cos(math.pi * done))


def train(
    network: nn.Module, pictures: Pictures, recipe: Recipe, tell: Callable[[str], None]
) -> None:
    """Fit ``network`` in place; the caller has set one thread and deterministic algorithms."""
    images = _to_BCHW(pictures.images)
    labels = torch.from_numpy(pictures.labels)
    draws = torch.Generator().manual_seed(SEED)
    network.to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.SGD(
        network.parameters(), lr=0.0, momentum=recipe.momentum, nesterov=True,
        weight_decay=recipe.weight_decay,
    )  # fmt: skip
    per_epoch = len(labels) // recipe.batch
    for epoch in range(recipe.epochs):
        order = torch.randperm(len(labels), generator=draws)
        losses = 0.0
        for i in range(per_epoch):
            picked = order[i * recipe.batch : (i + 1) * recipe.batch]
            x = _batch(images[picked], recipe.shift, draws)
            x = x.contiguous(memory_format=torch.channels_last)
            for group in optimiser.param_groups:
                group["lr"] = _lr(recipe, epoch * per_epoch + i, recipe.epochs * per_epoch)
            loss = F.cross_entropy(network(x), labels[picked])
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            losses += loss.item()
        tell(f"epoch {epoch + 1} of {recipe.epochs}, loss {losses / per_epoch:.4f}")
    network.to(memory_format=torch.contiguous_format).eval()


def answers(network: nn.Module, images: Pixels) -> NDArray[np.int64]:
    """Predicted classes (N,) of uint8 (N, 32, 32, 3) images."""
    network.eval()
    x = _to_BCHW(images).float() / 255.0
    with torch.no_grad():
        found = torch.cat([network(part).argmax(1) for part in torch.split(x, 250)])
    return np.asarray(found.numpy(), dtype=np.int64)
