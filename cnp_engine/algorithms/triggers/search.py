"""A batched search for the smallest triggers of one family: its state, and what a step does.

Several (class, restart) pairs at once, each independent of the others. ``algorithms.reversal`` has
the loop. Each family says how its triggers are parameterised, stamped, measured and made smaller.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cnp_engine.aims import ANY
from cnp_engine.algorithms.triggers.base import Trigger

RAISE, RELAX = 1.06, 1 / 1.15
"""Factors a step on the weight of a trigger's size above and below the wanted success."""

ANY_SUCCESS = 0.9
"""Success wanted at most of a trigger that aims at no class: what has to work on images of every
class works less often than what sends them to one, and wanting more only makes it larger."""

OVER, UNDER = 1.15, 1 / 1.15
"""The same over and under a budget."""

OVERSHOT = 1.25
"""How many times its budget a grown trigger may be in the end."""

SMALLEST = 1e-6
"""A size, or a budget, under which none is told from none."""


@dataclass(frozen=True)
class ReversalPlan:
    """How triggers are searched. ``steps`` Adam steps of ``batch`` images for each trigger.

    ``flip``: images are mirrored at random; ``shift``: and moved, by up to this share of their
    height (``augment``).

    With a ``budget`` (in the family's measure) a trigger is not made as small as works: it grows up
    to that size as long as it gets stronger by it. The last state counts, whatever its success; of
    a trigger that ends far beyond its budget, the one before that was last near it, or nearest.
    """

    steps: int
    batch: int
    lr: float = 0.1
    success: float = 0.95
    weight: float = 0.01
    adapt: bool = True
    flip: bool = True
    shift: float = 0.0
    uniform_start: bool = False
    budget: float | None = None


@dataclass(frozen=True)
class Found:
    """Triggers in the order asked for; ``sizes`` in their measure, inf where none worked (with a
    budget they count whether they work or not)."""

    triggers: tuple[Trigger, ...]
    sizes: tuple[float, ...]
    steps: int


def smallest(found: Found) -> Trigger:
    """The smallest trigger that works; a failed search has infinite size."""
    return min(zip(found.sizes, found.triggers, strict=True), key=lambda pair: pair[0])[1]


class Search(ABC):
    """Parameters and best results over T (class, restart) pairs.

    ``restarts``: whether a ranking gives each class more than one start; ``early``: the share of
    its steps (one part of so many) that shows whether there is anything; ``goes_on``: whether the
    rest of the steps is worth taking after that; ``moves``: whether images may be moved.
    """

    trigger: ClassVar[type[Trigger]]
    restarts: ClassVar[bool] = True
    early: ClassVar[int] = 2
    goes_on: ClassVar[bool] = True
    moves: ClassVar[bool] = True

    def __init__(
        self,
        targets: Sequence[int],
        shape: torch.Size,
        plan: ReversalPlan,
        generator: torch.Generator,
        device: torch.device,
        start: Sequence[Trigger] = (),
    ) -> None:
        self.targets_T = torch.tensor(list(targets), device=device)
        self.plan = plan
        self.wanted = self.wants(plan, targets)
        noise = torch.rand((len(targets), *shape), generator=generator)
        self.pattern, self.mask = (
            part.to(device, copy=True)
            for part in (self.go_on(start) if start else self.begin(noise, generator))
        )
        self.best_pattern, self.best_mask = self.pattern.clone(), self.mask.clone()
        for learned in self.parameters():
            learned.requires_grad_()
        self.weight_T = torch.full((len(targets),), plan.weight, device=device)
        self.success_T = torch.zeros(len(targets), device=device)
        self.best_T = torch.full((len(targets),), float("inf"), device=device)

    @abstractmethod
    def begin(self, noise_TCHW: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Pattern and mask, one each for every pair, to start from; ``noise_TCHW`` in [0, 1)."""

    def go_on(self, start: Sequence[Trigger]) -> tuple[Tensor, Tensor]:
        """The same from triggers that were found."""
        raise NotImplementedError(f"a {self.trigger.family} comes to the same from any start")

    @classmethod
    def wants(cls, plan: ReversalPlan, targets: Sequence[int]) -> float:
        """Success wanted of triggers for ``targets``."""
        return min(plan.success, ANY_SUCCESS) if ANY in targets else plan.success

    def parameters(self) -> list[Tensor]:
        """What learns."""
        return [self.pattern]

    @abstractmethod
    def stamp(self, images_BCHW: Tensor) -> Tensor:
        """(T * B, C, H, W), trigger by trigger."""

    @abstractmethod
    def size_T(self) -> Tensor:
        """In the family's measure."""

    def cost_T(self, loss_T: Tensor, size_T: Tensor) -> Tensor:
        """What is minimised: the loss of each pair and its size, weighted."""
        return loss_T + self.weight_T * size_T

    def improved(self, success_T: Tensor, size_T: Tensor) -> Tensor:
        """Where a pair's trigger works as wanted and is smaller than its best, (T,) of bool."""
        return (self.success_T >= self.wanted) & (size_T < self.best_T)

    @torch.no_grad()
    def keep_best(self, success_T: Tensor, first: bool) -> None:
        """Remember the smallest trigger whose running success is as wanted, or with a budget the
        last one near it."""
        self.success_T = success_T if first else 0.8 * self.success_T + 0.2 * success_T
        size_T = self.size_T()
        if self.plan.budget is None:
            better_T = self.improved(success_T, size_T)
        else:  # but for what a search starts from, which has learned nothing
            better_T = (self._off(size_T) <= self._near()) & (not first)
        self.best_T = torch.where(better_T, size_T, self.best_T)
        where = better_T.view(-1, 1, 1, 1)
        self.best_pattern = torch.where(where, self.pattern, self.best_pattern)
        self.best_mask = torch.where(where, self.mask, self.best_mask)

    def _off(self, size_T: Tensor) -> Tensor:
        """How far a size is from the budget, as a logarithm."""
        assert self.plan.budget is not None
        return (size_T.clamp(min=SMALLEST) / max(self.plan.budget, SMALLEST)).log().abs()

    def _near(self) -> Tensor:
        """How far off may be what is remembered: near, or no further than what is."""
        return self._off(self.best_T).clamp(min=math.log(OVERSHOT))

    @torch.no_grad()
    def tighten(self) -> None:
        """Ask for a smaller trigger where it works too well, allow a larger one where it fails.

        With a budget: a smaller one where it is over the budget, a larger one where it is under.
        """
        if self.plan.budget is not None:
            factor = torch.where(self.size_T() > self.plan.budget, OVER, UNDER)
            self.weight_T = (self.weight_T * factor).clamp(1e-5, 0.5)
            return
        self.adapt(
            self.success_T > self.wanted + 0.4 * (1 - self.wanted),
            self.success_T < self.wanted - 0.05,
        )

    def adapt(self, works_T: Tensor, fails_T: Tensor) -> None:
        """The same by what works too well and what fails: a size weighs more or less."""
        if self.plan.adapt:
            factor = torch.where(works_T, RAISE, torch.where(fails_T, RELAX, 1.0))
            self.weight_T = (self.weight_T * factor).clamp(1e-4, 0.5)

    @torch.no_grad()
    def clamp(self) -> None:
        """Back into what can be stamped."""
        self.pattern.clamp_(0, 1)
        self.mask.clamp_(0, 1)

    def drawn(self, pattern: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Parameters as triggers of the family keep them: (T, C, H, W), (T, 1, H or 1, W or 1)."""
        return pattern, mask

    def result(self, adapt: bool, steps: int) -> Found:
        """The smallest successful trigger of each pair; the last state where none succeeded.

        With a budget the last state, unless it is far beyond that and another one was nearer.
        """
        size_T, budget = self.size_T().detach(), self.plan.budget
        if budget is not None:
            last_T = (size_T <= OVERSHOT * budget) | (self._off(size_T) < self._off(self.best_T))
            sizes_T = torch.where(last_T, size_T, self.best_T)
        else:
            never_T = torch.isinf(self.best_T)
            last_T = never_T if adapt else torch.ones_like(never_T)
            sizes_T = self.best_T if adapt else size_T
        last = last_T.view(-1, 1, 1, 1)
        pattern, mask = self.drawn(
            torch.where(last, self.pattern, self.best_pattern).detach(),
            torch.where(last, self.mask, self.best_mask).detach(),
        )
        triggers = tuple(
            self.trigger(int(t), p.clone(), m.expand(1, *p.shape[-2:])[0].clone())
            for t, p, m in zip(self.targets_T, pattern, mask, strict=True)
        )
        return Found(triggers, tuple(sizes_T.tolist()), steps)


def mixed(images_BCHW: Tensor, pattern_TCHW: Tensor, mask_T1HW: Tensor) -> Tensor:
    """(1 - mask) x + mask pattern for every pair and image: (T * B, C, H, W)."""
    mask, pattern = mask_T1HW[:, None], pattern_TCHW[:, None]
    return (images_BCHW[None] * (1 - mask) + pattern * mask).flatten(0, 1)


def near_grey(noise_TCHW: Tensor) -> Tensor:
    """A start that is no pattern yet."""
    return 0.5 + 0.2 * (noise_TCHW - 0.5)
