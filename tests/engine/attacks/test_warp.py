"""WaNet against bilinear sampling written out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from cnp_engine.attacks import Warp, warp_field
from cnp_engine.attacks.warp import identity_grid

H, W = 7, 9


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


IMAGES = torch.rand(2, 3, H, W, generator=generator()).double()


def sampled(image_CHW: Tensor, x: float, y: float, channel: int) -> float:
    """Bilinear at column and row in pixels; what lies outside is black."""
    total = 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < H and 0 <= column < W:
                share = (1 - abs(x - column)) * (1 - abs(y - row))
                total += share * float(image_CHW[channel, row, column])
    return total


def by_hand(image_CHW: Tensor, shift: Tensor, at: tuple[int, int, int]) -> float:
    """shift: (H, W, 2) in grid units, x before y."""
    channel, i, j = at
    x = max(-1.0, min(1.0, -1 + 2 * j / (W - 1) + float(shift[i, j, 0])))
    y = max(-1.0, min(1.0, -1 + 2 * i / (H - 1) + float(shift[i, j, 1])))
    return sampled(image_CHW, (x + 1) / 2 * (W - 1), (y + 1) / 2 * (H - 1), channel)


PLACES = [(c, i, j) for c in range(3) for i in range(H) for j in range(W)]


@pytest.mark.parametrize("strength", [0.0, 0.5, 3.0])
def test_a_warp_samples_where_its_formula_says(strength: float) -> None:
    flow = warp_field((H, W), generator(1)).double()
    stamped = Warp(0, flow, strength).stamp(IMAGES)
    for b, image in enumerate(IMAGES):
        wanted = [by_hand(image, strength * flow / H, at) for at in PLACES]
        got = [float(stamped[b][at]) for at in PLACES]
        assert got == pytest.approx(wanted, abs=1e-6)
    assert (strength == 0) == torch.allclose(stamped, IMAGES, atol=1e-6)


def test_x_comes_before_y() -> None:
    """A flow along x alone moves columns: image of columns changes, image of rows does not."""
    flow = torch.zeros(H, W, 2)
    flow[..., 0] = 1.0
    columns = torch.linspace(0, 1, W).expand(1, 3, H, W)
    rows = torch.linspace(0, 1, H)[:, None].expand(1, 3, H, W)
    torch.testing.assert_close(Warp(0, flow).stamp(rows), rows)
    moved = Warp(0, flow).stamp(columns)[..., :-1]
    assert bool((moved > columns[..., :-1]).all())


def test_the_field_is_uniform_over_its_mean_and_goes_through_its_grid() -> None:
    field = warp_field((31, 31), generator(3))
    assert field.shape == (31, 31, 2)
    coarse = field[::10, ::10]  # where pixels and the 4 x 4 grid coincide
    drawn = torch.rand(1, 2, 4, 4, generator=generator(3)) * 2 - 1
    wanted = (drawn / drawn.abs().mean())[0].permute(1, 2, 0)
    torch.testing.assert_close(coarse, wanted, atol=1e-5, rtol=0)
    assert float(coarse.abs().mean()) == pytest.approx(1, abs=1e-5)
    assert warp_field((32, 20), generator(), k=2).shape == (32, 20, 2)
    assert not torch.equal(field, warp_field((31, 31), generator(4)))


def test_the_noise_branch_moves_each_pixel_of_each_image_by_less_than_one_over_h() -> None:
    flow = warp_field((H, W), generator(1)).double()
    attack = Warp(0, flow)
    noisy = attack.noisy(IMAGES, generator(5))
    noise = torch.rand(2, H, W, 2, generator=generator(5)) * 2 - 1
    for b, image in enumerate(IMAGES):
        grid = (identity_grid((H, W)) + 0.5 * flow / H).clamp(-1, 1)
        shift = (grid + noise[b] / H) - identity_grid((H, W))
        wanted = [by_hand(image, shift, at) for at in PLACES]
        assert [float(noisy[b][at]) for at in PLACES] == pytest.approx(wanted, abs=1e-6)
    assert not torch.allclose(noisy, attack.stamp(IMAGES))
    assert torch.equal(noisy, attack.noisy(IMAGES, generator(5)))
