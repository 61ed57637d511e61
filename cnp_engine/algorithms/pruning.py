"""The curve over k and the label-free choice on it (METHOD sections 3.4, 4 and 5).

Everything here is measured on unlabelled clean images that optimised nothing, under reversed
triggers. Retention: share of clean images answered as the checkpoint answers them. Residual: share
of stamped images still answered as the target, of those the checkpoint answers otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cnp_engine.algorithms.overlay import MaskedNetwork, answers, pruned_mask
from cnp_engine.algorithms.rates import share
from cnp_engine.algorithms.reversal import Trigger
from cnp_engine.events import LabelFree, Rate

Strong = tuple[Trigger, float]
"""A trigger and the factor its mask is stamped with."""


NOTHING = Rate(0.0, 0, 0.0, 1.0)
"""Where there was nothing to count: every image was answered as the target already."""


@dataclass(frozen=True)
class Point:
    """``residual`` is that of the reversed trigger that is suppressed worst."""

    k: int
    retention: Rate
    residual: Rate
    recovery: Rate

    @property
    def label_free(self) -> LabelFree:
        return LabelFree(self.retention, self.residual, self.recovery)


class Judge:
    """Measures one pruning on the images that choose: (B, 3, H, W) in [0, 1], unlabelled."""

    def __init__(
        self,
        network: MaskedNetwork,
        images_BCHW: Tensor,
        triggers: Sequence[Strong],
        *,
        exact: bool = False,
    ) -> None:
        self._network = network
        self._images = images_BCHW
        self._triggers = list(triggers)
        self._exact = exact
        self._original = answers(network, images_BCHW, exact=exact)

    def point(self, k: int, order_N: Tensor) -> Point:
        return self.judge(k, pruned_mask(order_N.to(self._network.device), k))

    def judge(self, k: int, mask_N: Tensor | None, network: MaskedNetwork | None = None) -> Point:
        """``network``: another one to hold against the original's answers, in place of a mask."""
        asked = network or self._network
        kept = share(answers(asked, self._images, mask_N, exact=self._exact) == self._original)
        assert kept is not None
        residuals, recovered = [], []
        for trigger, factor in self._triggers:
            others = self._original != trigger.target
            stamped = trigger.stamp(self._images[others], factor)
            said = answers(asked, stamped, mask_N, exact=self._exact)
            residuals.append(share(said == trigger.target) or NOTHING)
            recovered.append(share(said == self._original[others]) or NOTHING)
        worst = max(residuals, key=lambda rate: rate.value, default=NOTHING)
        recovery = min(recovered, key=lambda rate: rate.value, default=NOTHING)
        return Point(k, kept, worst, recovery)


def sweep_counts(
    neurons: int, under_half: int, max_fraction: float, step: float = 0.0
) -> list[int]:
    """The k of the curve: every one where the choice will fall, wider steps up to the end.

    ``step``: share of all neurons between points throughout, as the reference has it.
    """
    last = max(1, int(neurons * max_fraction))
    if step:
        count = round(max_fraction / step)
        return sorted({min(last, round(neurons * step * index)) for index in range(count + 1)})
    dense = min(last, max(24, under_half + under_half // 2))
    counts = list(range(dense + 1))
    wide = max(1, (last - dense) // 12)
    counts += list(range(dense + wide, last + 1, wide))
    if counts[-1] != last:
        counts.append(last)
    return counts


@dataclass(frozen=True)
class ChoiceRule:
    """``cap``: share of all neurons the choice may take. ``retention``: least that is acceptable.

    ``residual``: what counts as suppressed. ``free``: retention that going on beyond the smallest
    sufficient pruning may cost.
    """

    cap: float
    residual: float
    retention: float
    free: float


@dataclass(frozen=True)
class Choice:
    k: int
    rule: str


STABLE = 3
"""Points in a row that have to be suppressed before the first of them is believed."""


def choose(points: Sequence[Point], neurons: int, rule: ChoiceRule) -> Choice:
    """The smallest pruning that suppresses for good, then what costs nothing beyond it.

    A point is suppressed when its residual is not significantly (Wilson lower bound) above
    ``rule.residual`` or the lowest residual reached at an acceptable retention, whichever is
    larger: a coarse trigger goes on acting as an adversarial patch when the backdoor is gone
    (METHOD section 5), so the lowest reached is the yardstick, not zero. What lies beyond the
    smallest such k is taken up to twice as many, where retention does not fall: the planted
    trigger is stronger than the reversed one, and leans on more neurons.
    """
    allowed = [p for p in points if p.k <= max(1, int(neurons * rule.cap))]
    usable = [p for p in allowed if p.retention.value >= rule.retention] or allowed[:1]
    lowest = min(p.residual.value for p in usable)
    wanted = max(rule.residual, lowest)
    suppressed = [p.residual.low <= wanted for p in usable]
    starts = (i for i in range(len(usable)) if all(suppressed[i : i + STABLE]))
    start = usable[next(starts)] if any(suppressed) else usable[0]
    taken = start
    for point, good in zip(usable, suppressed, strict=True):
        within = start.k < point.k <= 2 * start.k
        if within and good and point.retention.value >= start.retention.value - rule.free:
            taken = point
    return Choice(
        taken.k,
        f"the smallest k whose residual is not significantly above {wanted:.1%}, there and at the "
        f"next two points, is {start.k}; up to twice as many cost at most {rule.free:.1%} "
        f"retention at {taken.k}",
    )


def prune_state(
    state: dict[str, Tensor],
    layers: Sequence[tuple[str, int]],
    order_N: Tensor,
    k: int,
    key_of: Callable[[str], str] = lambda name: f"{name}.weight",
) -> dict[str, Tensor]:
    """A copy of the state, the BN weights of the first ``k`` neurons at 0, all else as it was."""
    pruned = dict(state)
    chosen = torch.zeros(len(order_N), dtype=torch.bool)
    chosen[order_N[:k]] = True
    for (name, _), part in zip(layers, torch.split(chosen, [c for _, c in layers]), strict=True):
        if bool(part.any()):
            weight = pruned[key_of(name)].clone()
            weight[part] = 0
            pruned[key_of(name)] = weight
    return pruned


def pruned_neurons(
    layers: Sequence[tuple[str, int]], order_N: Tensor, k: int
) -> Iterator[tuple[str, int]]:
    """Layer and channel of the first ``k`` neurons, first to go first."""
    starts: list[tuple[int, str]] = []
    start = 0
    for name, channels in layers:
        starts.append((start, name))
        start += channels
    for neuron in order_N[:k].tolist():
        base, name = max(entry for entry in starts if entry[0] <= neuron)
        yield name, neuron - base
