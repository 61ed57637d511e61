"""A trigger as a small picture that a log can hold."""

from __future__ import annotations

import base64

import torch
import torch.nn.functional as F

from cnp_engine.algorithms.triggers import Trigger
from cnp_engine.events import TriggerPreview

LARGEST = 64
"""A terminal shows no more pixels than this either way."""


def preview(trigger: Trigger) -> TriggerPreview:
    """Pattern as RGB, mask as alpha, averaged by area down to at most 64 x 64."""
    rgba_4HW = torch.cat([trigger.pattern_CHW, trigger.mask_HW[None]]).float()
    height, width = trigger.mask_HW.shape
    if (longest := max(height, width)) > LARGEST:
        height, width = (max(1, side * LARGEST // longest) for side in (height, width))
        rgba_4HW = F.interpolate(rgba_4HW[None], (height, width), mode="area")[0]
    pixels = rgba_4HW.clamp(0, 1).mul(255).round().byte()
    data = pixels.permute(1, 2, 0).contiguous().cpu().numpy().tobytes()
    return TriggerPreview(trigger.target, height, width, base64.b64encode(data).decode())
