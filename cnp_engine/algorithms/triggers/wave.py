"""Plane waves, added to the image (SIG, Barni et al. 2019)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from cnp_engine.algorithms.triggers.base import Family, Trigger, spread


class Wave(Trigger):
    """Stamped = x + mask (2 pattern - 1), in [0, 1]; the mask is its amplitude."""

    family: ClassVar[Family] = "wave"
    measure: ClassVar[str] = "wave"
    """In a ranking the share of images that one moves: waves are not compared by size."""

    def stamp(self, images_BCHW: Tensor, strength: float = 1.0) -> Tensor:
        """The scaled amplitude is 1 at most."""
        mask_HW = (self.mask_HW * strength).clamp(max=1.0)
        return (images_BCHW + (2 * self.pattern_CHW - 1) * mask_HW).clamp(0, 1)

    def strength(self, number: int, count: int, boost: float) -> float:
        return spread(number, count, boost)
