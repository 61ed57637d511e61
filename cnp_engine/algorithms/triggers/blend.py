"""Blends: one pattern over the whole image, mixed in at one strength; the smallest strength."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from cnp_engine.algorithms.triggers.base import Family, Mixed, Trigger
from cnp_engine.algorithms.triggers.search import Search, mixed, near_grey

STRONGEST = 0.2
"""A blend is never stamped stronger than this (METHOD section 7: Blended uses 0.15 to 0.2)."""


class Blend(Mixed):
    """Its mask is the same everywhere, and measures it."""

    family: ClassVar[Family] = "blend"
    measure: ClassVar[str] = "strength"

    def strength(self, number: int, count: int, boost: float) -> float:
        return max(1.0, min(boost * (number + 1), STRONGEST / max(self.size, 1e-3)))


class BlendSearch(Search):
    """The strength is set, not learned: a little less where it works, a little more where not.

    It converges from anywhere, so one start is enough.
    """

    trigger: ClassVar[type[Trigger]] = Blend
    restarts: ClassVar[bool] = False

    def begin(self, noise_TCHW: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        pattern = noise_TCHW if self.plan.uniform_start else near_grey(noise_TCHW)
        return pattern, torch.full((len(noise_TCHW), 1, 1, 1), self.plan.budget or 0.2)

    def stamp(self, images_BCHW: Tensor) -> Tensor:
        return mixed(images_BCHW, self.pattern, self.mask)

    def size_T(self) -> Tensor:
        return self.mask.flatten(1).sum(1)

    def cost_T(self, loss_T: Tensor, size_T: Tensor) -> Tensor:
        return loss_T

    def adapt(self, works_T: Tensor, fails_T: Tensor) -> None:
        factor = torch.where(works_T, 0.97, torch.where(fails_T, 1.02, 1.0))
        self.mask.mul_(factor.view(-1, 1, 1, 1)).clamp_(0.005, 0.6)
