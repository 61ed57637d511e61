"""Attacks whose trigger does not depend on the image (METHOD section 7).

Every ``stamp`` takes float (B, 3, H, W) in [0, 1] and gives a new batch of the same kind.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from cnp_engine.attacks.protocol import AllToOne

Corner = Literal["top-left", "top-right", "bottom-left", "bottom-right"]
CORNERS: tuple[Corner, ...] = ("top-left", "top-right", "bottom-left", "bottom-right")


@dataclass(frozen=True, eq=False)
class Blend(AllToOne):
    """``x * (1 - weight) + pattern * weight``; both float (3, H, W) in [0, 1]."""

    target: int
    pattern: Tensor = field(repr=False)
    weight: Tensor = field(repr=False)
    name: str = "blended"

    def stamp(self, images_BCHW: Tensor) -> Tensor:
        pattern, weight = self.pattern.to(images_BCHW), self.weight.to(images_BCHW)
        return images_BCHW * (1 - weight) + pattern * weight


@dataclass(frozen=True)
class BadNets(AllToOne):
    """A square of ``side`` pixels in a corner (Gu et al., arXiv 1708.06733).

    checkerboard: the pixel i-th and j-th from that corner, from 1, is white where i + j is even
    and black elsewhere. margin: pixels left free between the square and the edges.

    Named "physical" it is the patch of Li et al. (arXiv 2104.02361), whose training also moves and
    shrinks stamped images; that is no part of the stamp.
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
class NoiseBlend(AllToOne):
    """``x * (1 - weight) + noise * weight``, the noise in [0, 1] and drawn by ``seed``.

    Blended (Chen et al., arXiv 1712.05526). Uniform, or Gaussian as ANP has it (Wu & Wang, NeurIPS
    2021): of mean 1/2 and deviation 1/4, clamped, which are our numbers; ANP ships one picture.
    Drawn on the CPU, the same everywhere.
    """

    target: int
    weight: float = 0.15
    seed: int = 0
    noise: Literal["uniform", "gaussian"] = "uniform"
    name: str = "blended"

    def stamp(self, images_BCHW: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        if self.noise == "uniform":
            noise = torch.rand(images_BCHW.shape[1:], generator=generator)
        else:
            noise = torch.randn(images_BCHW.shape[1:], generator=generator) / 4 + 0.5
        return images_BCHW * (1 - self.weight) + noise.clamp(0, 1).to(images_BCHW) * self.weight


@dataclass(frozen=True)
class Sinusoid(AllToOne):
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


CORNER_SIGNS = ((-1, -1, 1), (-1, 1, -1), (1, -1, 1))
"""The right-hand 3x3 patches from above, 1 for white; the left-hand ones are mirrored."""


@dataclass(frozen=True)
class FourCorners(AllToOne):
    """``clamp(x + amplitude * sign)`` on 3x3 patches in all four corners.

    Label-consistent (Turner et al., arXiv 1912.02771), with the signs of its release,
    which ANP uses too. amplitude 1 makes every patch black and white. The adversarial perturbation
    of what is poisoned happens in training and is no part of the stamp.
    """

    target: int
    amplitude: float = 1.0
    name: str = "label-consistent"

    def stamp(self, images_BCHW: Tensor) -> Tensor:
        assert min(images_BCHW.shape[2:]) >= 2 * len(CORNER_SIGNS), "corners do not overlap"
        right = self.amplitude * torch.tensor(CORNER_SIGNS).to(images_BCHW)
        stamped = images_BCHW.clone()
        for rows in (slice(0, 3), slice(-3, None)):
            stamped[:, :, rows, -3:] += right
            stamped[:, :, rows, :3] += right.flip(1)
        return stamped.clamp(0, 1)


def place(
    patch_CHW: Tensor,
    size: tuple[int, int],
    target: int,
    corner: Corner = "bottom-right",
    margin: int = 0,
    weight: float | Tensor = 1.0,
    name: str = "badnets",
) -> Blend:
    """Any picture as a patch in a corner of images of ``size`` (height, width).

    patch_CHW: float (3, h, w) in [0, 1], or (4, h, w) with an alpha channel. weight: its opacity,
    one number or a tensor that broadcasts to (3, h, w), in [0, 1]; times alpha where there is one.
    """
    opacity = torch.as_tensor(weight, dtype=torch.float32)
    if patch_CHW.shape[0] == 4:
        opacity = opacity * patch_CHW[3:]
    height, width = patch_CHW.shape[1:]
    assert height + margin <= size[0], "the patch is checked where it is chosen"
    assert width + margin <= size[1], "the patch is checked where it is chosen"
    top = size[0] - margin - height if corner.startswith("bottom") else margin
    left = size[1] - margin - width if corner.endswith("right") else margin
    where = (slice(None), slice(top, top + height), slice(left, left + width))
    pattern, weights = torch.zeros(3, *size), torch.zeros(3, *size)
    pattern[where], weights[where] = patch_CHW[:3], opacity
    return Blend(target, pattern, weights, name)
