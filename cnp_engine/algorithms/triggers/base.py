"""What every trigger answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from cnp_engine.aims import ANY
from cnp_engine.events import Family

__all__ = ["Family", "Mixed", "Trigger", "spread"]


@dataclass(frozen=True, eq=False)
class Trigger(ABC):
    """``pattern_CHW`` and ``mask_HW`` in [0, 1]; what they mean the family says."""

    family: ClassVar[Family]
    measure: ClassVar[str]
    """What the size of a family's triggers is called in signals, events and tables."""

    target: int
    """A class, or ``ANY`` of a trigger that is to change every answer."""

    pattern_CHW: Tensor
    mask_HW: Tensor

    def others(self, original_B: Tensor) -> Tensor:
        """Which images can tell whether it works: those not answered as the target already, (B,)
        of bool; ``original_B`` are classes."""
        return original_B != self.target

    def works(self, stamped_B: Tensor, clean_B: Tensor) -> Tensor:
        """On which of them it does, (B,) of bool: the answers to them stamped, and clean."""
        return stamped_B != clean_B if self.target == ANY else stamped_B == self.target

    @property
    def mask_l1(self) -> float:
        """Sum of the mask, in pixels: comparable within a family alone."""
        return float(self.mask_HW.sum())

    @property
    def size(self) -> float:
        """How large it is in its family's ``measure``: by default the largest value of the mask."""
        return float(self.mask_HW.max())

    @abstractmethod
    def stamp(self, images_BCHW: Tensor, strength: float = 1.0) -> Tensor:
        """Images in [0, 1] with the trigger on them; ``strength`` scales the mask."""

    @abstractmethod
    def strength(self, number: int, count: int, boost: float) -> float:
        """How strongly the one of that ``number`` of ``count`` restarts is stamped to teach.

        A reversed trigger is the weakest that works; the planted one is stronger, and neurons that
        carry only the surplus have to show too. ``boost``: the widest range, above 1.
        """


class Mixed(Trigger):
    """Stamped = (1 - mask) x + mask pattern."""

    def stamp(self, images_BCHW: Tensor, strength: float = 1.0) -> Tensor:
        """The scaled mask is 1 at most."""
        mask_HW = (self.mask_HW * strength).clamp(max=1.0)
        return images_BCHW * (1 - mask_HW) + self.pattern_CHW * mask_HW


def spread(number: int, count: int, boost: float) -> float:
    """From 1 to ``boost``, even in octaves."""
    return float(boost ** (number / max(1, count - 1)))
