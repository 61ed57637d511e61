"""Images that are hard to recognise though they look the same, for clean-label attacks.

Turner, Tsipras, Madry 2019 (arXiv 1912.02771): the target class's own images, moved within an
L-infinity ball so that a clean network no longer knows them, leave the trigger as what is learned.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 16 / 255
STEPS = 20


def perturbed(
    network: nn.Module,
    images_BCHW: Tensor,
    labels_B: Tensor,
    preprocess: Callable[[Tensor], Tensor],
    *,
    eps: float = EPS,
    steps: int = STEPS,
    batch: int = 250,
) -> Tensor:
    """Projected gradient ascent (Madry et al. 2018) on the loss of ``network`` in eval mode.

    uint8 (B, 3, H, W) to uint8, each within ``eps`` of what it was.
    """
    found = []
    for images, labels in zip(
        torch.split(images_BCHW, batch), torch.split(labels_B, batch), strict=True
    ):
        clean = images.float() / 255
        x = clean.clone()
        for _ in range(steps):
            x.requires_grad_()
            (gradient,) = torch.autograd.grad(F.cross_entropy(network(preprocess(x)), labels), [x])
            x = (x + 2.5 * eps / steps * gradient.sign()).detach()
            x = torch.minimum(torch.maximum(x, clean - eps), clean + eps).clamp(0, 1)
        found.append((x * 255).round().to(torch.uint8))
    return torch.cat(found)
