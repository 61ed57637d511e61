"""From masks to one score a neuron: flat, lower is pruned first, no ties that matter.

Masks of the fast schedule end at 0 or 1, so the mask alone does not order the neurons inside
either group. Inside the pruned group the order is by backward elimination, measured on the clean
images that optimised the masks: a neuron whose return does little harm is pruned late. Among the
kept ones it is by the pressure that was on their masks.
"""

from __future__ import annotations

import math
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


def score(mask_N: Tensor, pressure_N: Tensor, inside: Sequence[int] | None = None) -> NeuronScores:
    """Spread the two groups by their place in ``inside`` and by rank of ``pressure_N``.

    ``inside`` has every neuron under one half, first to be pruned first; without it the masks
    themselves are the scores.
    """
    low_N = mask_N < 0.5
    under_half = int(low_N.sum())
    if inside is None:
        return NeuronScores(mask_N.clone().double(), under_half)
    assert sorted(inside) == torch.nonzero(low_N).flatten().tolist()
    scores_N = torch.empty(len(mask_N), dtype=torch.float64)
    for position, neuron in enumerate(inside):
        scores_N[neuron] = LOW * position / max(1, len(inside))
    kept = torch.nonzero(~low_N).flatten()
    by_pressure = kept[(-pressure_N[kept]).argsort(stable=True)]
    steps = torch.arange(len(kept), dtype=torch.float64) / max(1, len(kept) - 1)
    scores_N[by_pressure] = HIGH + (1 - HIGH) * steps
    return NeuronScores(scores_N, under_half)


@torch.no_grad()
def eliminate(
    network: MaskedNetwork,
    images_BCHW: Tensor,
    triggers: Sequence[tuple[Trigger, float]],
    mask_N: Tensor,
    *,
    limit: int,
    offset: int,
    total: int,
) -> Generator[Progress, None, list[int]]:
    """The neurons under one half, first to be pruned first, by backward elimination.

    From the model with all of them pruned the one is put back whose return does the least harm,
    again and again; the last to come back is the first to be pruned. Harm is KL divergence from
    the checkpoint's answers on clean images, averaged over stamped and clean images, each image
    once in either. Evaluated lazily (Minoux 1978): what a return does is taken to grow as others
    come back, so an old figure is a lower bound, and only the least is asked for again. Those
    beyond ``limit`` keep their masks' order, and are put back before all others.
    """
    lowest_first = mask_N.argsort(stable=True)[: int((mask_N < 0.5).sum())].tolist()
    gone, rest = lowest_first[:limit], lowest_first[limit:]
    binary_N = torch.ones_like(mask_N, device=network.device)
    binary_N[gone] = 0
    wanted = network(images_BCHW).logits_BK.softmax(1)
    pieces = images_BCHW.tensor_split(min(len(triggers), len(images_BCHW)))
    stamped = [t.stamp(part, s) for (t, s), part in zip(triggers, pieces, strict=False)]
    both = torch.cat([images_BCHW, *stamped])
    wanted = torch.cat([wanted, wanted[: len(both) - len(images_BCHW)]])

    def distance() -> float:
        logits = network(both, binary_N).logits_BK
        return float(F.kl_div(logits.log_softmax(1), wanted, reduction="batchmean"))

    harm = dict.fromkeys(gone, -math.inf)
    back: list[int] = []
    base, asked = (distance(), 0) if len(harm) > 1 else (0.0, 0)
    while len(harm) > 1:
        fresh: set[int] = set()
        while (neuron := min(harm, key=lambda n: (harm[n], -n))) not in fresh:
            binary_N[neuron] = 1
            harm[neuron] = distance() - base
            binary_N[neuron] = 0
            fresh.add(neuron)
            asked += 1
            yield Progress("scores", offset, total, {"checked": float(asked)}, "order")
        base += harm.pop(neuron)
        binary_N[neuron] = 1
        back.append(neuron)
    return [*harm, *reversed(back), *rest]
