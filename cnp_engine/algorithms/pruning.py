"""The curve over k and the label-free choice on it (METHOD sections 3.4, 4 and 5).

Everything here is measured on unlabelled clean images that optimised nothing, under reversed
triggers. Retention: share of clean images answered as the checkpoint answers them. Residual: share
of stamped images still answered as the target, of those the checkpoint answers otherwise; of a
trigger that aims at no class, share of images whose answer it still changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cnp_engine.algorithms.overlay import MaskedNetwork, answers, pruned_mask
from cnp_engine.algorithms.rates import share
from cnp_engine.algorithms.triggers import Trigger
from cnp_engine.events import LabelFree, Rate

Strong = tuple[Trigger, float]
"""A trigger and the factor its mask is stamped with."""


NOTHING = Rate(0.0, 0, 0.0, 1.0)
"""Where there was nothing to count: every image was answered as the target already."""


@dataclass(frozen=True)
class Point:
    """``residual`` is that of the reversed trigger that is suppressed worst.

    ``recovery``: share of the same stamped images answered as the checkpoint answers them clean,
    for the trigger where it is lowest.
    """

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
        self._hardest = list(range(len(self._triggers)))
        self._exact = exact
        self._original = answers(network, images_BCHW, exact=exact)

    def point(self, k: int, order_N: Tensor) -> Point:
        return self.judge(k, pruned_mask(order_N.to(self._network.device), k))

    def judge(self, k: int, mask_N: Tensor | None, network: MaskedNetwork | None = None) -> Point:
        """``network``: another one to hold against the original's answers, in place of a mask."""
        asked = network or self._network
        return self.told(k, [
            answers(asked, self.ask(number), mask_N, exact=self._exact)
            for number in range(len(self.sizes))
        ])  # fmt: skip

    def priced(self, mask_N: Tensor, price: float, under: float = math.inf) -> float:
        """``cost`` of one pruning; infinity as soon as it is known not to be less than ``under``.

        The trigger that was suppressed worst is asked about first the next time.
        """
        clean_B = answers(self._network, self.ask(0), mask_N, exact=self._exact)
        kept = share(clean_B == self._original)
        assert kept is not None
        lost, worst = price * (1 - kept.value), 0.0
        for number in list(self._hardest):
            if lost + worst >= under:
                return math.inf
            trigger = self._triggers[number][0]
            answered = answers(self._network, self.ask(number + 1), mask_N, exact=self._exact)
            rate = share(trigger.works(answered, clean_B[trigger.others(self._original)]))
            if rate is not None and rate.value > worst:
                worst = rate.value
                self._hardest.remove(number)
                self._hardest.insert(0, number)
        return lost + worst if lost + worst < under else math.inf

    @property
    def sizes(self) -> list[int]:
        """How many images are asked about: clean ones, then for each trigger the stamped ones."""
        others = [int(t.others(self._original).sum()) for t, _ in self._triggers]
        return [len(self._images), *others]

    def ask(self, number: int, part: slice = slice(None)) -> Tensor:
        """Some of the images of one of ``sizes``."""
        if number == 0:
            return self._images[part]
        trigger, factor = self._triggers[number - 1]
        return trigger.stamp(self._images[trigger.others(self._original)][part], factor)

    def told(self, k: int, said: Sequence[Tensor]) -> Point:
        """What the answers to all that is asked come to."""
        kept = share(said[0] == self._original)
        assert kept is not None
        residuals, recovered = [], []
        for (trigger, _), answered in zip(self._triggers, said[1:], strict=True):
            others = trigger.others(self._original)
            residuals.append(share(trigger.works(answered, said[0][others])))
            recovered.append(share(answered == self._original[others]))
        counted = [rate for rate in residuals if rate is not None]
        worst = max(counted, key=lambda rate: rate.value, default=NOTHING)
        counted = [rate for rate in recovered if rate is not None]
        recovery = min(counted, key=lambda rate: rate.value, default=NOTHING)
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
        steps = (round(neurons * step * index) for index in range(count + 1))
        return sorted({last, *(min(last, k) for k in steps)})
    dense = min(last, max(24, under_half + under_half // 2))
    counts = list(range(dense + 1))
    wide = max(1, (last - dense) // 12)
    counts += list(range(dense + wide, last + 1, wide))
    if counts[-1] != last:
        counts.append(last)
    return counts


@dataclass(frozen=True)
class ChoiceRule:
    """What a point of retention is worth, and the bounds of the choice.

    ``price``: points of residual that one point of retention has to buy. ``cap``: share of all
    neurons the choice may take. ``retention``: least that is acceptable. ``noise``: differences
    in cost that are not told apart. ``spend``: retention that going on beyond the knee may cost.
    """

    price: float
    cap: float
    retention: float
    noise: float
    spend: float


def cost(point: Point, price: float) -> float:
    """Of a pruning: residual, and ``price`` times the clean answers that it changes."""
    return point.residual.value + price * (1 - point.retention.value)


@dataclass(frozen=True)
class Choice:
    k: int
    rule: str


STABLE = 3
"""A residual is the worst of this many points in a row: one lucky point proves nothing. What later
points cost in retention is theirs alone: a k is not given up for what the next neuron would do."""


def one_image(point: Point) -> float:
    """What a single image is worth in the residual: no smaller difference means anything."""
    return 1.001 / max(1, point.residual.n)


def choose(points: Sequence[Point], neurons: int, rule: ChoiceRule, views: int = 1) -> Choice:
    """The knee of the curve: where pruning further buys less residual than it costs retention.

    cost(k) = residual + price (1 - retention). A fixed residual would never be reached where a
    coarse trigger goes on acting as an adversarial patch (METHOD section 5), and pruning towards
    it ruins the model; the cost has its minimum where the backdoor is gone and accuracy is not.
    The knee is the smallest k whose cost, with the worst residual of it and the next two points,
    is as low as any (within ``noise``). From there it goes on to the lowest residual to be had for
    at most ``spend`` of retention: what is left of a backdoor is worse than a few answers lost.
    ``views``: how many of each image the points count.
    """
    allowed = [p for p in points if p.k <= max(1, int(neurons * rule.cap))]
    usable = [p for p in allowed if p.retention.value >= rule.retention] or allowed[:1]
    residuals = [p.residual.value for p in usable]
    worst = [
        max(residuals[i : i + STABLE]) + rule.price * (1 - p.retention.value)
        for i, p in enumerate(usable)
    ]
    noise = max(rule.noise, *(one_image(p) for p in usable))
    start = next(p for p, cost in zip(usable, worst, strict=True) if cost <= min(worst) + noise)
    one = 1.001 * views / max(1, start.retention.n)  # a single image may always be spent
    least = start.retention.value - max(rule.spend, one)
    beyond = [p for p in usable if p.k >= start.k and p.retention.value >= least]
    taken = min(beyond, key=lambda p: p.residual.value) if start.k else start
    return Choice(
        taken.k,
        f"knee at k = {start.k}, beyond which a point of retention buys less than "
        f"{rule.price:g} points of residual; from there the lowest residual to be had for at most "
        f"{100 * rule.spend:.1f} % retention, at k = {taken.k}",
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
