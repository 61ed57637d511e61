"""Refool: the trigger is another picture, as if mirrored in a pane of glass."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from cnp_engine.attacks.content import content_choice
from cnp_engine.attacks.protocol import AllToOne, widened

GAMMA = 2.2
"""Light adds up before a camera's gamma, which the release undoes and redoes by this exponent."""


@dataclass(frozen=True, eq=False)
class Reflection(AllToOne):
    """``alpha * x + (1 - alpha) * reflection`` in linear light; Refool (Liu et al., ECCV 2020).

    pictures: float (n, 3, H, W) in [0, 1]; which one an image gets depends on its content alone.
    blur: out of focus, a Gaussian of ``sigma`` pixels. ghost: from two faces of thick glass, the
    picture twice, ``offset`` pixels apart along both axes, of weights ``ghost`` and 1 - ``ghost``.

    The release draws alpha from 0.55 to 0.95, sigma from 1 to 5, offset from 3 to 8 for every
    image, and blurred reflections fade towards the edges; here they are fixed and do not fade.
    """

    target: int
    pictures: Tensor = field(repr=False)
    kind: Literal["blur", "ghost"] = "blur"
    alpha: float = 0.75
    sigma: float = 3.0
    offset: int = 4
    ghost: float = 0.7
    name: str = "refool"

    def stamp(self, images_BCHW: Tensor) -> Tensor:
        images = widened(images_BCHW)
        assert self.pictures.shape[1:] == images.shape[1:], (
            "pictures are checked when they are read"
        )
        chosen = content_choice(images_BCHW, len(self.pictures))
        reflected = self.reflections.to(images)[chosen]
        light = self.alpha * images**GAMMA + (1 - self.alpha) * reflected
        return (light ** (1 / GAMMA)).clamp(0, 1).to(images_BCHW.dtype)

    @functools.cached_property
    def reflections(self) -> Tensor:
        """The pictures as the glass shows them, in linear light: float32 (n, 3, H, W)."""
        light = self.pictures.float() ** GAMMA
        if self.kind == "ghost":
            return self.ghost * light + (1 - self.ghost) * _moved(light, self.offset)
        return _blurred(light, self.sigma)


def _moved(pictures: Tensor, offset: int) -> Tensor:
    """Down and to the right; the edge is repeated where nothing comes from."""
    height, width = pictures.shape[2:]
    return F.pad(pictures, (offset, 0, offset, 0), mode="replicate")[..., :height, :width]


def _blurred(pictures: Tensor, sigma: float) -> Tensor:
    """A Gaussian cut off at 2 sigma, along both axes; edges are repeated."""
    radius = math.ceil(2 * sigma)
    kernel = torch.exp(-(torch.arange(-radius, radius + 1.0) ** 2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    height, width = pictures.shape[2:]
    padded = F.pad(pictures, (radius,) * 4, mode="replicate")
    rows = sum(w * padded[..., i : i + height, :] for i, w in enumerate(kernel.tolist()))
    assert isinstance(rows, Tensor), "a kernel has at least one entry"
    both = sum(w * rows[..., :, i : i + width] for i, w in enumerate(kernel.tolist()))
    assert isinstance(both, Tensor), "a kernel has at least one entry"
    return both.clamp(0, 1)
