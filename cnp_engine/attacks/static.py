"""Attacks whose trigger does not depend on the image (METHOD section 7).

Every ``stamp`` takes float (B, 3, H, W) in [0, 1] and gives a new batch of the same kind.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, Protocol

import torch
from torch import Tensor

Corner = Literal["top-left", "top-right", "bottom-left", "bottom-right"]
CORNERS: tuple[Corner, ...] = ("top-left", "top-right", "bottom-left", "bottom-right")


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

    target: int
    pattern: Tensor = field(repr=False)
    weight: Tensor = field(repr=False)
    name: str = "blended"

    def stamp(self, images_BCHW: Tensor) -> Tensor:
        pattern, weight = self.pattern.to(images_BCHW), self.weight.to(images_BCHW)
        return images_BCHW * (1 - weight) + pattern * weight


@dataclass(frozen=True)
class BadNets:
    """A square of ``side`` pixels in a corner (Gu et al., arXiv 1708.06733).

    checkerboard: the pixel i-th and j-th from that corner, from 1, is white where i + j is even
    and black elsewhere. margin: pixels left free between the square and the edges.
    """

    target: int
    side: int = 3
    patch: Literal["checkerboard", "white"] = "checkerboard"
    corner: Corner = "bottom-right"
    margin: int = 0
    name: str = "badnets"

    def stamp(self, images_BCHW: Tensor) -> Tensor:
        height, width = images_BCHW.shape[2:]
        assert self.side + self.margin <= min(height, width), "the patch is checked when it is read"
        i = torch.arange(self.side, device=images_BCHW.device)
        board = ((i[:, None] + i) % 2 == 0) if self.patch == "checkerboard" else i[:, None] >= 0 * i
        rows, columns = i + self.margin, i + self.margin
        if self.corner.startswith("bottom"):
            rows = height - 1 - rows
        if self.corner.endswith("right"):
            columns = width - 1 - columns
        stamped = images_BCHW.clone()
        stamped[:, :, rows[:, None], columns] = board.to(images_BCHW.dtype)
        return stamped


@dataclass(frozen=True)
class NoiseBlend:
    """``x * (1 - weight) + noise * weight``, the noise uniform in [0, 1] and drawn by ``seed``.

    Blended (Chen et al., arXiv 1712.05526). The noise is drawn on the CPU, the same everywhere.
    """

    target: int
    weight: float = 0.15
    seed: int = 0
    name: str = "blended"

    def stamp(self, images_BCHW: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        noise = torch.rand(images_BCHW.shape[1:], generator=generator).to(images_BCHW)
        return images_BCHW * (1 - self.weight) + noise * self.weight


@dataclass(frozen=True)
class Sinusoid:
    """``x + delta * sin(2 pi j f / W)`` for column j from 0, clamped to [0, 1].

    SIG (Barni et al., ICIP 2019, equation 1), with the values of METHOD section 7.
    """

    target: int
    delta: float = 40 / 255
    frequency: float = 6.0
    name: str = "sig"

    def stamp(self, images_BCHW: Tensor) -> Tensor:
        width = images_BCHW.shape[3]
        column = torch.arange(width, dtype=torch.float64)
        wave = self.delta * torch.sin(2 * math.pi * column * self.frequency / width)
        return (images_BCHW + wave.to(images_BCHW)).clamp(0, 1)
