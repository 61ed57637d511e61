"""Patches: a pattern, and a mask for each pixel; the smallest mask L1.

Neural Cleanse (Wang et al. 2019, section IV); its dynamic weight of the L1 term is kept, as a
factor a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from cnp_engine.algorithms.triggers.base import Family, Mixed, Trigger, spread
from cnp_engine.algorithms.triggers.search import Search, mixed, near_grey


class Patch(Mixed):
    """Measured by the sum of its mask, in pixels."""

    family: ClassVar[Family] = "patch"
    measure: ClassVar[str] = "mask_l1"

    @property
    def size(self) -> float:
        """Mask L1, in pixels."""
        return self.mask_l1

    def strength(self, number: int, count: int, boost: float) -> float:
        return spread(number, count, boost)


class PatchSearch(Search):
    trigger: ClassVar[type[Trigger]] = Patch

    def begin(self, noise_TCHW: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        count, _, height, width = noise_TCHW.shape
        if self.plan.uniform_start:
            return noise_TCHW, torch.rand((count, 1, height, width), generator=generator)
        return near_grey(noise_TCHW), torch.full((count, 1, height, width), 0.1)

    def go_on(self, start: Sequence[Trigger]) -> tuple[Tensor, Tensor]:
        return (
            torch.stack([trigger.pattern_CHW for trigger in start]),
            torch.stack([trigger.mask_HW[None] for trigger in start]),
        )

    def parameters(self) -> list[Tensor]:
        return [self.pattern, self.mask]

    def stamp(self, images_BCHW: Tensor) -> Tensor:
        return mixed(images_BCHW, self.pattern, self.mask)

    def size_T(self) -> Tensor:
        return self.mask.flatten(1).sum(1)
