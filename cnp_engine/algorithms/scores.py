"""From masks to one score a neuron: flat, lower is pruned first, no ties that matter.

Masks of the fast schedule end at 0 or 1, so the mask alone does not order the neurons inside
either group. Inside the pruned group a neuron whose return does little harm is pruned late,
measured on the clean images that optimised the masks. Among the kept ones it is by the pressure
that was on their masks.
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


class Harm:
    """What becomes of the answers when the neurons under one half, ``limit`` at most, are pruned.

    KL divergence from the checkpoint's answers on clean images, averaged over stamped and clean
    images (B, 3, H, W), each image once in either. ``gone``: the neurons, lowest mask first;
    ``rest``: those beyond the limit, which are not pruned here.
    """

    def __init__(
        self,
        network: MaskedNetwork,
        images_BCHW: Tensor,
        triggers: Sequence[tuple[Trigger, float]],
        mask_N: Tensor,
        limit: int,
    ) -> None:
        lowest_first = mask_N.argsort(stable=True)[: int((mask_N < 0.5).sum())].tolist()
        self.gone, self.rest = lowest_first[:limit], lowest_first[limit:]
        self.binary_N = torch.ones_like(mask_N, device=network.device)
        self.binary_N[self.gone] = 0
        self._network = network
        pieces = images_BCHW.tensor_split(min(len(triggers), len(images_BCHW)))
        stamped = [t.stamp(part, s) for (t, s), part in zip(triggers, pieces, strict=False)]
        self._both = torch.cat([images_BCHW, *stamped])
        with torch.no_grad():
            wanted = network(images_BCHW).logits_BK.softmax(1)
        self._wanted = torch.cat([wanted, wanted])

    @torch.no_grad()
    def now(self) -> float:
        """With ``binary_N`` as it is."""
        logits = self._network(self._both, self.binary_N).logits_BK
        return float(F.kl_div(logits.log_softmax(1), self._wanted, reduction="batchmean"))

    def without(self, neuron: int) -> float:
        """With this one put back."""
        self.binary_N[neuron] = 1
        harm = self.now()
        self.binary_N[neuron] = 0
        return harm


def put_back(harm: Harm, offset: int, total: int) -> Generator[Progress, None, list[int]]:
    """The neurons, first to be pruned first, by what putting each back once does.

    Those beyond the limit keep their masks' order behind the others.
    """
    done: dict[int, float] = {}
    for neuron in harm.gone:
        done[neuron] = harm.without(neuron)
        yield Progress("scores", offset, total, {"checked": float(len(done))}, "order")
    return [*sorted(done, key=lambda neuron: (-done[neuron], neuron)), *harm.rest]


def eliminate(harm: Harm, offset: int, total: int) -> Generator[Progress, None, list[int]]:
    """The same by backward elimination.

    The neuron whose return does the least harm is put back, again and again; the last to come back
    is the first to be pruned. Evaluated lazily (Minoux 1978): what a return does is taken to grow
    as others come back, so an old figure is a lower bound, and only the least is asked for again.
    """
    least = dict.fromkeys(harm.gone, -math.inf)
    back: list[int] = []
    base, asked = (harm.now(), 0) if len(least) > 1 else (0.0, 0)
    while len(least) > 1:
        fresh: set[int] = set()
        while (neuron := min(least, key=lambda n: (least[n], -n))) not in fresh:
            least[neuron] = harm.without(neuron) - base
            fresh.add(neuron)
            asked += 1
            yield Progress("scores", offset, total, {"checked": float(asked)}, "order")
        base += least.pop(neuron)
        harm.binary_N[neuron] = 1
        back.append(neuron)
    return [*least, *reversed(back), *harm.rest]
