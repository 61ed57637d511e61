"""Random views of image batches, on the device the images are on, drawn on the CPU by seed."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

SHIFT = 1 / 8
"""Border before cropping, as a share of the height: 4 pixels of 32, as the field has it."""


def views(images_BCHW: Tensor, generator: torch.Generator, *, flip: bool) -> Tensor:
    """``cropped`` of uint8 (B, 3, H, W), as float in [0, 1]."""
    return cropped(images_BCHW, generator, flip=flip).float() / 255


def several(images_BCHW: Tensor, count: int, generator: torch.Generator, *, flip: bool) -> Tensor:
    """Float images as they are, then ``count`` - 1 other views of them, (count * B, C, H, W).

    What moves in at an edge is the image's own reflection: black would be seen for what it is.
    """
    others = [cropped(images_BCHW, generator, flip=flip, edge="reflect") for _ in range(count - 1)]
    return torch.cat([images_BCHW, *others])


def cropped(
    images_BCHW: Tensor,
    generator: torch.Generator,
    *,
    flip: bool,
    shift: float = SHIFT,
    edge: Literal["constant", "reflect"] = "constant",
) -> Tensor:
    """Each image padded with black, cropped back at a place of its own, perhaps mirrored.

    ``shift``: how far it may move, as a share of its height; one pixel at least. ``edge``:
    "reflect" for its own reflection in place of black; float images alone.
    """
    many, channels, height, width = images_BCHW.shape
    pad = max(1, int(height * shift))
    down, right = min(pad, height - 1), min(pad, width - 1)  # something is left of any image
    wide = F.pad(images_BCHW, (right, right, down, down), mode=edge)
    moves = torch.randint(-pad, pad + 1, (2, many, 1), generator=generator)
    rows = moves[0].clamp(-down, down) + down + torch.arange(height)
    columns = moves[1].clamp(-right, right) + right + torch.arange(width)
    if flip:
        mirrored = torch.rand((many, 1), generator=generator) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    device = images_BCHW.device
    each = torch.arange(many, device=device).view(-1, 1, 1, 1)
    channel = torch.arange(channels, device=device).view(1, -1, 1, 1)
    cut: Tensor = wide[each, channel, rows.to(device)[:, None, :, None],
                       columns.to(device)[:, None, None, :]]  # fmt: skip
    return cut


def moved(images_BCHW: Tensor, generator: torch.Generator) -> Tensor:
    """Each image turned up to 10 degrees, shrunk to 80 to 100 % and moved up to 10 %, on black.

    What a camera does to a trigger that is a thing (Li et al. 2021, arXiv 2104.02361).
    """
    many, _, height, width = images_BCHW.shape
    turn, scale, right, down = torch.rand((4, many), generator=generator)
    angle = (turn * 2 - 1) * torch.pi / 18
    zoom = 1 / (0.8 + 0.2 * scale)
    cos, sin = angle.cos() * zoom, angle.sin() * zoom
    # grids are in units of half the picture, so a turn has to know how wide it is
    first = torch.stack([cos, -sin * height / width, (right * 2 - 1) * 0.2], 1)
    second = torch.stack([sin * width / height, cos, (down * 2 - 1) * 0.2], 1)
    theta = torch.stack([first, second], 1).to(images_BCHW)
    grid = F.affine_grid(theta, list(images_BCHW.shape), align_corners=False)
    return F.grid_sample(images_BCHW, grid, align_corners=False)
