"""From masks to one score a neuron: flat, lower is pruned first, no ties that matter.

Masks of the fast schedule end at 0 or 1, so the mask alone does not order the neurons inside
either group. Inside the pruned group the order is by what each neuron contributes: how much the
repaired model loses when that one neuron is put back (leave-one-out, measured on the clean images
that optimised the masks). Among the kept ones it is by the pressure that was on their masks.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cnp_engine.algorithms.overlay import MaskedNetwork
from cnp_engine.algorithms.triggers import Trigger
from cnp_engine.events import Progress

LOW, HIGH = 0.25, 0.75
"""Binary masks are spread over [0, LOW] and [HIGH, 1], so that 0.5 still divides the groups."""


@dataclass(frozen=True)
class NeuronScores:
    """``scores_N`` in [0, 1]; ``under_half`` neurons are those the masks would take out."""

    scores_N: Tensor
    under_half: int

    @property
    def order_N(self) -> Tensor:
        """Flat indices, first to be pruned first; ties by layer order."""
        return self.scores_N.argsort(stable=True)


def score(
    mask_N: Tensor, pressure_N: Tensor, contribution: dict[int, float] | None = None
) -> NeuronScores:
    """Spread the two groups by rank of ``contribution`` and of ``pressure_N``.

    ``contribution`` has every neuron under one half, the most contributing to be pruned first;
    without it the masks themselves are the scores.
    """
    low_N = mask_N < 0.5
    under_half = int(low_N.sum())
    if contribution is None:
        return NeuronScores(mask_N.clone().double(), under_half)
    assert contribution.keys() == set(torch.nonzero(low_N).flatten().tolist())
    scores_N = torch.empty(len(mask_N), dtype=torch.float64)
    inside = sorted(contribution, key=lambda neuron: (-contribution[neuron], neuron))
    for position, neuron in enumerate(inside):
        scores_N[neuron] = LOW * position / max(1, len(inside))
    kept = torch.nonzero(~low_N).flatten()
    by_pressure = kept[(-pressure_N[kept]).argsort(stable=True)]
    steps = torch.arange(len(kept), dtype=torch.float64) / max(1, len(kept) - 1)
    scores_N[by_pressure] = HIGH + (1 - HIGH) * steps
    return NeuronScores(scores_N, under_half)


@torch.no_grad()
def leave_one_out(
    network: MaskedNetwork,
    images_BCHW: Tensor,
    triggers: Sequence[tuple[Trigger, float]],
    mask_N: Tensor,
    *,
    limit: int,
    offset: int,
    total: int,
) -> Generator[Progress, None, dict[int, float]]:
    """For each neuron under one half: how much worse the repaired model is with it put back.

    Worse is KL divergence from the checkpoint's answers on clean images, averaged over stamped
    and clean images, each image once in either: a neuron that only costs accuracy gets a negative
    value. Beyond ``limit`` neurons the rest keep their masks' order behind those that were
    measured.
    """
    lowest_first = mask_N.argsort(stable=True)
    inside = lowest_first[: int((mask_N < 0.5).sum())].tolist()
    binary_N = (mask_N >= 0.5).float().to(network.device)
    wanted = network(images_BCHW).logits_BK.softmax(1)
    pieces = images_BCHW.chunk(len(triggers))
    stamped = [t.stamp(part, s) for (t, s), part in zip(triggers, pieces, strict=False)]
    both = torch.cat([images_BCHW, *stamped])
    wanted = torch.cat([wanted, wanted[: len(both) - len(images_BCHW)]])

    def distance(mask: Tensor) -> float:
        logits = network(both, mask).logits_BK
        return float(F.kl_div(logits.log_softmax(1), wanted, reduction="batchmean"))

    base = distance(binary_N)
    contribution = {neuron: -1e9 - position for position, neuron in enumerate(inside[limit:])}
    for number, neuron in enumerate(inside[:limit]):
        binary_N[neuron] = 1
        contribution[neuron] = distance(binary_N) - base
        binary_N[neuron] = 0
        yield Progress("scores", offset, total, {"checked": float(number + 1)}, "order")
    return contribution
