"""Each attack against its formula, pixel by pixel."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from cnp_engine.attacks import Attack, BadNets, Blend, NoiseBlend, Sinusoid
from cnp_engine.attacks.static import CORNERS, Corner

H, W = 7, 9


def _images(count: int = 2) -> Tensor:
    return torch.rand(count, 3, H, W, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1


def _blend() -> Blend:
    generator = torch.Generator().manual_seed(1)
    pattern, weight = (torch.rand(3, H, W, generator=generator) for _ in range(2))
    return Blend(4, pattern, weight)


ATTACKS: list[Attack] = [
    _blend(),
    BadNets(0),
    BadNets(1, side=2, patch="white", corner="top-left", margin=1),
    NoiseBlend(2),
    Sinusoid(3),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: f"{a.name}-{a.target}")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_stamp_keeps_type_range_and_input(attack: Attack, dtype: torch.dtype) -> None:
    images = _images().to(dtype)
    before = images.clone()
    stamped = attack.stamp(images)
    assert stamped.dtype == dtype
    assert stamped.shape == images.shape
    assert torch.equal(images, before)
    assert 0 <= float(stamped.min()) <= float(stamped.max()) <= 1
    assert not torch.equal(stamped, images)
    assert torch.equal(attack.stamp(images[1:]), stamped[1:])


def test_blend() -> None:
    attack, images = _blend(), _images()
    stamped = attack.stamp(images)
    for b, c, i, j in ((0, 0, 0, 0), (1, 2, 3, 4), (1, 1, 6, 8)):
        x, p, s = images[b, c, i, j], attack.pattern[c, i, j], attack.weight[c, i, j]
        assert float(stamped[b, c, i, j]) == pytest.approx(float((1 - s) * x + s * p))


@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("patch", ["checkerboard", "white"])
@pytest.mark.parametrize("margin", [0, 2])
def test_badnets(corner: Corner, patch: str, margin: int) -> None:
    kind = BadNets(0, 3, "white" if patch == "white" else "checkerboard", corner, margin)
    images = _images()
    expected = images.clone()
    for i in (1, 2, 3):
        for j in (1, 2, 3):
            row = -i - margin if corner.startswith("bottom") else i - 1 + margin
            column = -j - margin if corner.endswith("right") else j - 1 + margin
            white = patch == "white" or (i + j) % 2 == 0
            expected[:, :, row, column] = 1.0 if white else 0.0
    assert torch.equal(kind.stamp(images), expected)


def test_noise_blend() -> None:
    images = _images()
    stamped = NoiseBlend(0, weight=0.2, seed=5).stamp(images)
    noise = (stamped - 0.8 * images) / 0.2
    torch.testing.assert_close(noise[0], noise[1], atol=1e-5, rtol=0)
    assert -1e-5 <= float(noise.min()) <= float(noise.max()) <= 1 + 1e-5
    assert 0.4 < float(noise.mean()) < 0.6
    assert float(noise.std()) > 0.2
    assert torch.equal(stamped, NoiseBlend(0, weight=0.2, seed=5).stamp(images))
    assert not torch.equal(stamped, NoiseBlend(0, weight=0.2, seed=6).stamp(images))


def test_sinusoid() -> None:
    images = torch.full((1, 3, H, W), 0.5)
    stamped = Sinusoid(0, delta=0.1, frequency=2.0).stamp(images)
    for j in range(W):
        value = 0.5 + 0.1 * math.sin(2 * math.pi * j * 2.0 / W)
        torch.testing.assert_close(stamped[0, :, :, j], torch.full((3, H), value))
    dark = Sinusoid(0).stamp(torch.zeros(1, 3, H, 32))
    assert float(dark.min()) == 0
    assert float(dark.max()) == pytest.approx(40 / 255, rel=0.02)
