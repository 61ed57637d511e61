"""Warps: a smooth field of displacements, the same for every image; the smallest displacement.

WaNet's kind of trigger (Nguyen & Tran 2021). Hardly any clean class can be reached by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from cnp_engine.algorithms.triggers.base import Family, Trigger
from cnp_engine.algorithms.triggers.search import ReversalPlan, Search

NODES = 6
"""Displacements are given on a grid of this many nodes a side, bicubic in between."""

SUCCESS = 0.75
"""Success wanted of a warp at most: a planted one need not work always (docs/log.md), and without
a backdoor no class comes near it."""

WEIGHT = 100.0
"""On a warp's size, times the weight of a mask's L1: half a pixel stands where a mask has 50."""

FAR = 2.0
"""Pixels of displacement that count as no warp found: what works only then has ruined the image."""


class Warp(Trigger):
    """The mask, the same everywhere, is the largest displacement in pixels.

    Red and green of the pattern say how much of it is gone to the right and down for each pixel,
    1/2 being none: sampled at the place + mask (2 pattern - 1).
    """

    family: ClassVar[Family] = "warp"
    measure: ClassVar[str] = "warp"

    @property
    def mask_l1(self) -> float:
        """The sum of all displacements, in pixels."""
        return float(self.flow_2HW.norm(dim=0).sum())

    @property
    def flow_2HW(self) -> Tensor:
        """Displacements right and down in pixels."""
        return (2 * self.pattern_CHW[:2] - 1) * self.mask_HW

    def stamp(self, images_BCHW: Tensor, strength: float = 1.0) -> Tensor:
        """``strength`` scales the displacements."""
        return warped(images_BCHW, self.flow_2HW[None] * strength)

    def strength(self, number: int, count: int, boost: float) -> float:
        return 1.0  # the weakest warp that works is not weaker than WaNet's


class WarpSearch(Search):
    """``pattern`` holds the displacements of the nodes, (T, 2, NODES, NODES), in pixels.

    A warp is found within a third of the steps or never, and compared with ``FAR``. Images are not
    moved: the black edge that brings in is blurred by the least of warps, and a network trained on
    warps behind such edges answers that, on moved images alone (docs/log.md).
    """

    trigger: ClassVar[type[Trigger]] = Warp
    early: ClassVar[int] = 3
    goes_on: ClassVar[bool] = False
    moves: ClassVar[bool] = False

    def begin(self, noise_TCHW: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        count, (self._height, self._width) = len(noise_TCHW), noise_TCHW.shape[2:]
        nodes = torch.randn((count, 2, NODES, NODES), generator=generator)
        return 0.02 * nodes, torch.ones((count, 1, 1, 1))

    @classmethod
    def wants(cls, plan: ReversalPlan, targets: Sequence[int]) -> float:
        return min(super().wants(plan, targets), SUCCESS)

    def stamp(self, images_BCHW: Tensor) -> Tensor:
        many = images_BCHW.repeat(len(self.pattern), 1, 1, 1)
        return warped(many, self._flow(self.pattern).repeat_interleave(len(images_BCHW), 0))

    def size_T(self) -> Tensor:
        """Root mean square displacement, in pixels."""
        return self._flow(self.pattern).square().sum(1).mean((1, 2)).add(1e-12).sqrt()

    def cost_T(self, loss_T: Tensor, size_T: Tensor) -> Tensor:
        return loss_T + WEIGHT * self.weight_T * size_T

    def improved(self, success_T: Tensor, size_T: Tensor) -> Tensor:
        """A little less and a warp fails at once: what worked before does not count."""
        return super().improved(success_T, size_T) & (success_T >= self.wanted)

    def clamp(self) -> None:
        """A displacement may be anything."""

    def drawn(self, pattern: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        flow = self._flow(pattern)
        largest = flow.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-6)
        return 0.5 + 0.5 * F.pad(flow / largest, (0, 0, 0, 0, 0, 1)), largest

    def _flow(self, nodes: Tensor) -> Tensor:
        """Displacements in pixels, (T, 2, H, W), between the nodes."""
        size = (self._height, self._width)
        return F.interpolate(nodes, size, mode="bicubic", align_corners=True)


def warped(images_BCHW: Tensor, flow_B2HW: Tensor) -> Tensor:
    """Each pixel from where its displacement (right, down; in pixels) points; edges go on outside.

    One field for all images, or one each.
    """
    height, width = images_BCHW.shape[2:]
    device = images_BCHW.device
    down, right = torch.meshgrid(
        torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij"
    )
    places = torch.stack([right, down]) + flow_B2HW
    reach = places.new_tensor([max(1, width - 1), max(1, height - 1)]).view(2, 1, 1)
    grid = (2 * places / reach - 1).permute(0, 2, 3, 1).expand(len(images_BCHW), -1, -1, -1)
    return F.grid_sample(images_BCHW, grid, padding_mode="border", align_corners=True)
