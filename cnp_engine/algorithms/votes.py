"""The reference's signal: which class answers grow when every neuron is perturbed.

METHOD section 3.1. The same perturbation is what the masks are held against (section 3.3).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cnp_engine.algorithms.overlay import MaskedNetwork, Perturbation


def neuron_votes(
    network: MaskedNetwork,
    images_BCHW: Tensor,
    eps: float,
    generator: torch.Generator,
    *,
    batch: int = 128,
    batches: int = 5,
) -> Tensor:
    """Growth of each class's share of answers under perturbed neurons, (K,), METHOD section 3.1.

    The perturbation starts uniform in (-eps, eps) and takes one sign-gradient step of ``eps``
    that raises the cross-entropy to the pseudo-labels; no projection.
    """
    growth: Tensor | None = None
    for part in list(torch.split(images_BCHW, batch))[:batches]:
        logits = network(part).logits_BK.detach()
        labels = logits.argmax(1)
        xi = ascend(network, part, labels, network.ones(), eps, generator)
        with torch.no_grad():
            said = network(part, xi=xi).logits_BK.argmax(1)
        classes = logits.shape[1]
        change = torch.bincount(said, minlength=classes) - torch.bincount(labels, minlength=classes)
        growth = change.float() if growth is None else growth + change
    assert growth is not None
    return growth / min(len(images_BCHW), batch * batches)


def ascend(
    network: MaskedNetwork,
    images_BCHW: Tensor,
    answers_B: Tensor,
    mask_N: Tensor,
    eps: float,
    generator: torch.Generator,
    *,
    batch_statistics: bool = False,
) -> Perturbation:
    """Random perturbation of all neurons plus one sign-gradient step that raises the loss.

    Uniform in (-eps, eps), then ``eps`` times the sign of the gradient of the cross-entropy to
    ``answers_B``, the checkpoint's own; not projected back (METHOD section 3.1).
    """
    count = network.neurons
    noise = torch.rand((2, count), generator=generator).to(network.device)
    xi = ((noise * 2 - 1) * eps).requires_grad_()
    output = network(
        images_BCHW, mask_N, Perturbation(xi[0], xi[1]), batch_statistics=batch_statistics
    )
    loss = F.cross_entropy(output.logits_BK, answers_B)
    (gradient,) = torch.autograd.grad(loss, [xi])
    stepped = (xi + eps * gradient.sign()).detach()
    return Perturbation(stepped[0], stepped[1])
