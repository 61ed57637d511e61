"""Pictures of the reversed trigger, as PNG bytes.

Tensors in [0, 1], any device; nothing is resampled but by whole numbers, so that a pixel of the
picture is a pixel of the trigger.
"""

from __future__ import annotations

import io

import torch
from PIL import Image
from torch import Tensor

SCALE = 8
"""Enlargement; less for large images, so that a panel stays within ``_PANEL`` pixels."""

_PANEL = 512
_GAP = 8
_GREY = 0.5
_PAPER = 1.0


def trigger_png(pattern_CHW: Tensor, mask_HW: Tensor, example_CHW: Tensor | None = None) -> bytes:
    """Side by side: the pattern, the mask, and the stamp on ``example_CHW`` (else on grey)."""
    pattern, mask = _plain(pattern_CHW), _plain(mask_HW)
    assert pattern.shape[1:] == mask.shape, (pattern.shape, mask.shape)
    ground = torch.full_like(pattern, _GREY) if example_CHW is None else _plain(example_CHW)
    stamped = (1 - mask) * ground + mask * pattern
    return _png(_row([pattern, mask.expand(3, -1, -1), stamped]))


def examples_png(clean_BCHW: Tensor, stamped_BCHW: Tensor) -> bytes:
    """A contact sheet: the clean images above, the same with the trigger below."""
    assert clean_BCHW.shape == stamped_BCHW.shape, (clean_BCHW.shape, stamped_BCHW.shape)
    rows = [_row(list(_plain(images))) for images in (clean_BCHW, stamped_BCHW)]
    between = torch.full((3, _GAP, rows[0].shape[2]), _PAPER)
    return _png(torch.cat([rows[0], between, rows[1]], dim=1))


def _plain(values: Tensor) -> Tensor:
    return values.detach().to("cpu", torch.float32).clamp(0, 1)


def _row(images: list[Tensor]) -> Tensor:
    """Enlarged (3, H, W) images in a row with paper between."""
    large = [_enlarged(image) for image in images]
    between = torch.full((3, large[0].shape[1], _GAP), _PAPER)
    parts = [part for image in large for part in (between, image)][1:]
    return torch.cat(parts, dim=2)


def _enlarged(image_CHW: Tensor) -> Tensor:
    scale = max(1, min(SCALE, _PANEL // max(image_CHW.shape[1:])))
    return image_CHW.repeat_interleave(scale, dim=1).repeat_interleave(scale, dim=2)


def _png(image_CHW: Tensor) -> bytes:
    array = (image_CHW * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    data = io.BytesIO()
    Image.fromarray(array).save(data, "PNG", optimize=False)
    return data.getvalue()
