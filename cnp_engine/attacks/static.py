"""Attacks whose trigger does not depend on the image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor


class Attack(Protocol):
    """All-to-one: every stamped image is to be answered ``target``."""

    @property
    def name(self) -> str: ...

    @property
    def target(self) -> int: ...

    def stamp(self, images_BCHW: Tensor) -> Tensor:
        """Float (B, 3, H, W) in [0, 1] to the same with the trigger; the input is not changed."""
        ...


@dataclass(frozen=True, eq=False)
class Blend:
    """``x * (1 - weight) + pattern * weight``; both float (3, H, W) in [0, 1]."""

    name: str
    target: int
    pattern: Tensor = field(repr=False)
    weight: Tensor = field(repr=False)

    def stamp(self, images_BCHW: Tensor) -> Tensor:
        pattern, weight = self.pattern.to(images_BCHW), self.weight.to(images_BCHW)
        return images_BCHW * (1 - weight) + pattern * weight


@dataclass(frozen=True)
class Sinusoid:
    """SIG (Barni et al., ICIP 2019)."""

    target: int
    delta: float = 40 / 255
    frequency: float = 6.0
    name: str = "sig"

    def stamp(self, images_BCHW: Tensor) -> Tensor:
        raise NotImplementedError


def badnets_patch(
    size: tuple[int, int], patch: Tensor, corner: str = "bottom-right", margin: int = 0
) -> tuple[Tensor, Tensor]:
    """``pattern`` and ``weight`` (3, H, W) of a patch (3, h, w) set into a corner."""
    raise NotImplementedError
