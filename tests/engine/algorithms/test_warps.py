"""Triggers that displace: the sampling by hand, and a network that only a displacement fools."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cnp_engine.algorithms.overlay import MaskedNetwork
from cnp_engine.algorithms.ranking import rank
from cnp_engine.algorithms.reversal import reverse
from cnp_engine.algorithms.target import rank_classes
from cnp_engine.algorithms.triggers import ReversalPlan, Warp
from cnp_engine.algorithms.triggers.warp import FAR, warped
from tests.engine.algorithms.drive import finish
from tests.engine.algorithms.nets import generator

SIZE = 12
EDGE = 6
"""Column where the pictures turn from dark to light."""


class Edge(nn.Module):
    """Answers 1 where light comes nearer to the left than the edge is, else 0; never 2 or 3."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.head = nn.Linear(1, 4)
        self.eval().requires_grad_(False)
        self.head.weight.data = torch.tensor([[-20.0], [20.0], [0.0], [0.0]])
        self.head.bias.data = torch.tensor([5.0, -5.0, -30.0, -30.0])

    def forward(self, x: Tensor) -> Tensor:
        seen: Tensor = self.head(self.norm(x)[:, :, :, EDGE - 1].mean((1, 2))[:, None])
        return seen


def _network() -> MaskedNetwork:
    return MaskedNetwork(Edge(), "head", [("norm", 3)], mean=(0, 0, 0), std=(1, 1, 1))


def _pictures(count: int = 16) -> Tensor:
    dark = torch.rand((count, 3, SIZE, SIZE), generator=generator(3)) * 0.1
    dark[..., EDGE:] += 0.8
    return dark


def test_a_pixel_comes_from_where_its_displacement_points() -> None:
    x = torch.rand((2, 3, 5, 7), generator=generator(1)).double()
    flow = torch.randn((1, 2, 5, 7), generator=generator(2)).double() * 2
    got, pixels = warped(x, flow).numpy(), x.numpy()

    def at(b: int, c: int, row: float, column: float) -> float:
        row, column = min(max(row, 0), 4), min(max(column, 0), 6)
        top, left = int(np.floor(row)), int(np.floor(column))
        down, right = row - top, column - left
        bottom, far = min(top + 1, 4), min(left + 1, 6)
        image = pixels[b, c]
        return float(
            (1 - down) * ((1 - right) * image[top, left] + right * image[top, far])
            + down * ((1 - right) * image[bottom, left] + right * image[bottom, far])
        )

    for b, c, i, j in np.ndindex(*got.shape):
        right, down = flow[0, :, i, j].tolist()
        assert got[b, c, i, j] == pytest.approx(at(b, c, i + down, j + right), abs=1e-9)


def test_a_stored_warp_is_stamped_as_it_was_found() -> None:
    plan = ReversalPlan(steps=40, batch=8)
    found, steps = finish(reverse(_network(), _pictures(), [1], "warp", plan, generator(4)))
    trigger, x = found.triggers[0], _pictures()
    assert set(steps[-1].values) == {"loss", "success", "warp"}
    assert (trigger.pattern_CHW.shape, trigger.mask_HW.shape) == ((3, SIZE, SIZE), (SIZE, SIZE))
    assert 0 <= float(trigger.pattern_CHW.min()) <= float(trigger.pattern_CHW.max()) <= 1
    flow = (2 * trigger.pattern_CHW[:2] - 1) * trigger.mask_HW
    torch.testing.assert_close(trigger.stamp(x), warped(x, flow[None]))
    torch.testing.assert_close(trigger.stamp(x, 0.5), warped(x, flow[None] / 2))
    torch.testing.assert_close(trigger.stamp(x, 0.0), x)
    assert found.sizes[0] == pytest.approx(float(flow.square().sum(0).mean().sqrt()), rel=1e-4)
    assert trigger.mask_l1 == pytest.approx(float(flow.norm(dim=0).sum()))


def test_the_class_behind_a_small_displacement_is_reached_and_others_are_not() -> None:
    plan = ReversalPlan(steps=60, batch=8)
    found, _ = finish(reverse(_network(), _pictures(), [1, 2, 3], "warp", plan, generator(4)))
    # the light is half a pixel away, on one column of twelve
    assert 0.05 < found.sizes[0] < 1.0
    assert found.sizes[1:] == (float("inf"),) * 2
    x = _pictures(40)
    # the smallest that works is at the very edge of working; a fifth more is not
    said = _network()(found.triggers[0].stamp(x, 1.2)).logits_BK.argmax(1)
    assert said.eq(1).float().mean() > 0.9
    assert _network()(x).logits_BK.argmax(1).eq(0).all()


def test_the_ranking_names_it_and_a_class_out_of_reach_is_far_away() -> None:
    ranking, _ = finish(
        rank_classes(
            _network(), _pictures(), "abcd", ReversalPlan(60, 8), generator(2), threshold=1.0,
            eps=0.1,
        )
    )  # fmt: skip
    first = ranking.rows[0]
    assert ranking.suspects[0] == first.index == 1
    assert "warp" in ranking.families[1]
    size = first.signals["warp"]
    assert size is not None
    # octaves are given with four decimals
    assert first.signals["warp_octaves"] == pytest.approx(np.log2(FAR / size), abs=1e-4)
    others = [row for row in ranking.rows if row.index in (2, 3)]
    assert all(row.signals["warp"] is None for row in others)


def test_warps_that_ruin_the_image_are_no_evidence() -> None:
    sizes = {"patch": [9.0] * 4, "blend": [0.1] * 4, "warp": [FAR, 3 * FAR, FAR * 1.5, 9 * FAR]}
    ranking = rank("abcd", sizes, [0.0] * 4, {}, 1.0)  # type: ignore[arg-type]
    assert ranking.suspects == ()
    assert {row.signals["warp_octaves"] for row in ranking.rows} == {0.0}


def test_a_warp_has_no_pattern_of_its_own_to_boost() -> None:
    still = Warp(0, torch.full((3, 4, 4), 0.5), torch.ones(4, 4))
    x = torch.rand((1, 3, 4, 4), generator=generator(1))
    torch.testing.assert_close(still.stamp(x, 2.0), x)
    assert still.mask_l1 == 0
