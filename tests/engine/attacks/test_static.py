"""Each attack against its formula, pixel by pixel."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from cnp_engine.attacks import Attack, BadNets, Blend, FourCorners, NoiseBlend, Sinusoid, place
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
    NoiseBlend(5, noise="gaussian"),
    Sinusoid(3),
    FourCorners(6),
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


def test_gaussian_noise_is_as_its_mean_and_deviation_say() -> None:
    noise = NoiseBlend(0, weight=1.0, seed=5, noise="gaussian").stamp(torch.zeros(1, 3, 64, 64))
    assert 0.48 < float(noise.mean()) < 0.52
    assert 0.22 < float(noise.std()) < 0.25  # 1/4, less what clamping takes off
    assert 0.03 < float(((noise == 0) | (noise == 1)).float().mean()) < 0.06  # beyond 2 deviations


def test_four_corners() -> None:
    """The signs of the release's "all-corners" mask, (row, column) from each corner inwards."""
    white = {(0, 0), (1, 1), (2, 0)}  # of the upper corners, where rows count downwards
    images = _images()
    expected = images.clone()
    for i in range(3):
        for j in range(3):
            for right in (False, True):
                column = -1 - j if right else j
                upper = (i, j) in white or (i, j) == (2, 2)
                lower = (i, j) in white or (i, j) == (0, 2)
                expected[:, :, i, column] = float(upper)
                expected[:, :, -1 - i, column] = float(lower)
    assert torch.equal(FourCorners(0).stamp(images), expected)
    assert [images[0, 0, 3, 4], images[1, 2, 3, 3]] == [expected[0, 0, 3, 4], expected[1, 2, 3, 3]]
    soft = FourCorners(0, amplitude=16 / 255).stamp(torch.full((1, 3, H, W), 0.5))
    values = sorted(set(soft.flatten().tolist()))
    assert values == pytest.approx([0.5 - 16 / 255, 0.5, 0.5 + 16 / 255])


@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize(("channels", "opacity"), [(3, 1.0), (3, 0.5), (4, 1.0), (4, 0.5)])
def test_any_picture_can_be_placed(corner: Corner, channels: int, opacity: float) -> None:
    patch = torch.rand(channels, 2, 4, generator=torch.Generator().manual_seed(2))
    attack = place(patch, (H, W), 3, corner, margin=1, weight=opacity, name="trojan")
    assert (attack.target, attack.name) == (3, "trojan")
    images = _images()
    stamped = attack.stamp(images)
    top = H - 3 if corner.startswith("bottom") else 1
    left = W - 5 if corner.endswith("right") else 1
    for i in range(2):
        for j in range(4):
            a = opacity * (patch[3, i, j] if channels == 4 else 1)
            x = images[:, :, top + i, left + j]
            mixed = x * (1 - a) + patch[:3, i, j] * a
            torch.testing.assert_close(stamped[:, :, top + i, left + j], mixed)
    stamped[:, :, top : top + 2, left : left + 4] = images[:, :, top : top + 2, left : left + 4]
    assert torch.equal(stamped, images)


def test_one_target_for_every_image() -> None:
    labels = torch.tensor([0, 4, 7])
    assert _blend().aims(_images(3), labels).tolist() == [4, 4, 4]
    assert labels.tolist() == [0, 4, 7]
