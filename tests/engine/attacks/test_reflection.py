"""Refool against sums written out, and the choice of its picture."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from cnp_engine.attacks import Reflection
from cnp_engine.attacks.content import content_choice

H, W = 6, 8
PICTURES = torch.rand(3, 3, H, W, generator=torch.Generator().manual_seed(0))
IMAGES = torch.rand(40, 3, H, W, generator=torch.Generator().manual_seed(1))


def clip(value: int, extent: int) -> int:
    return max(0, min(extent - 1, value))


def blurred(light: Tensor, i: int, j: int, sigma: float) -> Tensor:
    """(3,) of one pixel, the two-dimensional Gaussian summed out."""
    radius = math.ceil(2 * sigma)
    total, weights = torch.zeros(3), 0.0
    for di in range(-radius, radius + 1):
        for dj in range(-radius, radius + 1):
            weight = math.exp(-(di**2 + dj**2) / (2 * sigma**2))
            total += weight * light[:, clip(i + di, H), clip(j + dj, W)]
            weights += weight
    return total / weights


@pytest.mark.parametrize("kind", ["blur", "ghost"])
def test_light_is_added_and_the_gamma_redone(kind: str) -> None:
    attack = Reflection(
        0,
        PICTURES,
        "blur" if kind == "blur" else "ghost",
        alpha=0.6,
        sigma=1.5,
        offset=2,
        ghost=0.8,
    )
    stamped = attack.stamp(IMAGES)
    chosen = content_choice(IMAGES, 3)
    for b in (0, 1, 2):
        light = PICTURES[chosen[b]] ** 2.2
        for i, j in ((0, 0), (3, 4), (5, 7), (1, 6)):
            if kind == "blur":
                mirrored = blurred(light, i, j, 1.5)
            else:
                second = light[:, clip(i - 2, H), clip(j - 2, W)]
                mirrored = 0.8 * light[:, i, j] + 0.2 * second
            wanted = (0.6 * IMAGES[b, :, i, j] ** 2.2 + 0.4 * mirrored) ** (1 / 2.2)
            torch.testing.assert_close(stamped[b, :, i, j], wanted, atol=2e-6, rtol=0)


def test_an_image_gets_its_picture_in_any_batch() -> None:
    attack = Reflection(0, PICTURES)
    whole = attack.stamp(IMAGES)
    torch.testing.assert_close(attack.stamp(IMAGES.flip(0)), whole.flip(0), atol=1e-6, rtol=0)
    alone = [Reflection(0, picture[None]).stamp(IMAGES) for picture in PICTURES]
    which = [
        [torch.allclose(one[b], whole[b], atol=1e-6) for one in alone] for b in range(len(IMAGES))
    ]
    assert [row.count(True) for row in which] == [1] * len(IMAGES)
    assert {row.index(True) for row in which} == {0, 1, 2}


def test_an_opaque_image_hides_the_reflection() -> None:
    stamped = Reflection(0, PICTURES, alpha=1.0).stamp(IMAGES)
    torch.testing.assert_close(stamped, IMAGES, atol=1e-6, rtol=0)
