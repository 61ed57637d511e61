"""WaNet: the trigger is a small smooth warp of the whole image (Nguyen & Tran, ICLR 2021)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from cnp_engine.attacks.protocol import AllToOne, widened


@dataclass(frozen=True, eq=False)
class Warp(AllToOne):
    """Samples the image at ``clamp(identity + strength * flow / H, -1, 1)``, bilinearly.

    flow: float (H, W, 2), x before y as `torch.nn.functional.grid_sample` has them; ``warp_field``
    draws one. Corners are aligned, and what lies outside the image is black, as in the release.
    """

    target: int
    flow: Tensor = field(repr=False)
    strength: float = 0.5
    name: str = "wanet"

    def stamp(self, images_BCHW: Tensor) -> Tensor:
        return _sampled(images_BCHW, self._grid(images_BCHW))

    def noisy(self, images_BCHW: Tensor, generator: torch.Generator) -> Tensor:
        """The noise branch: the warp disturbed by U(-1, 1) / H for each image, pixel and axis.

        Training answers these truthfully, so that only the warp itself is the trigger. generator:
        on the CPU; draws the same on every device.
        """
        grid = self._grid(images_BCHW)
        shape = (len(images_BCHW), *grid.shape)
        noise = (torch.rand(shape, generator=generator) * 2 - 1).to(grid)
        return _sampled(images_BCHW, (grid + noise / grid.shape[0]).clamp(-1, 1))

    def _grid(self, images_BCHW: Tensor) -> Tensor:
        height, width = images_BCHW.shape[2:]
        assert self.flow.shape == (height, width, 2), "the flow is checked when it is read"
        flow = self.flow.to(widened(images_BCHW))
        return (identity_grid((height, width)).to(flow) + self.strength * flow / height).clamp(
            -1, 1
        )


def identity_grid(size: tuple[int, int]) -> Tensor:
    """Where every pixel lies, float (H, W, 2): x before y, both from -1 to 1."""
    rows, columns = (torch.linspace(-1, 1, steps) for steps in size)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack((x, y), 2)


def warp_field(size: tuple[int, int], generator: torch.Generator, k: int = 4) -> Tensor:
    """A flow, float (H, W, 2): U(-1, 1) on a k x k grid over its mean absolute value, bicubic.

    The paper has k = 4 and a strength of 0.5 in its experiments.
    """
    coarse = torch.rand(1, 2, k, k, generator=generator) * 2 - 1
    coarse = coarse / coarse.abs().mean()
    fine = F.interpolate(coarse, size=size, mode="bicubic", align_corners=True)
    return fine[0].permute(1, 2, 0).contiguous()


def _sampled(images_BCHW: Tensor, grid: Tensor) -> Tensor:
    images = widened(images_BCHW)
    grid = grid.expand(len(images), *grid.shape[-3:])
    # Bilinear weights sum to 1 only up to rounding.
    warped = F.grid_sample(images, grid, align_corners=True).clamp(0, 1)
    return warped.to(images_BCHW.dtype)
