"""Waves: each looked at once, the planted one found for being narrow, a broad answer left alone."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from cnp_engine.algorithms.overlay import MaskedNetwork
from cnp_engine.algorithms.ranking import rank
from cnp_engine.algorithms.waves import (
    AMPLITUDE,
    Peak,
    as_trigger,
    frequencies,
    neighbours,
    peaks,
    wave,
    weakest,
)
from cnp_engine.attacks import Sinusoid
from cnp_engine.events import Progress
from tests.engine.algorithms.drive import finish
from tests.engine.algorithms.nets import generator

SIZE = 16
PLANTED = (1, 2)


class Listener(nn.Module):
    """Answers 1 to one wave, or 2 to any that is fast across, where it is more than 10 levels."""

    def __init__(self, broad: bool = False) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.head = nn.Linear(1, 3)
        self.broad = broad
        self.eval().requires_grad_(False)
        answering = 2 if broad else 1
        self.head.weight.data.zero_()[answering] = 255.0
        self.head.bias.data = torch.tensor([0.0, -30.0, -30.0])
        self.head.bias.data[answering] = -10.0

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x).mean(1)
        if self.broad:
            heard = (x[:, :, 2:] - x[:, :, :-2]).abs().mean((1, 2))
        else:
            heard = 2 * (x * wave(PLANTED, 0.0, SIZE, SIZE)).mean((1, 2))
        seen: Tensor = self.head(heard[:, None])
        return seen


def _network(broad: bool = False) -> MaskedNetwork:
    return MaskedNetwork(Listener(broad), "head", [("norm", 3)], mean=(0, 0, 0), std=(1, 1, 1))


def _pictures(count: int = 24) -> Tensor:
    return (
        torch.rand((count, 3, 1, 1), generator=generator(3)).expand(-1, -1, SIZE, SIZE) * 0.4 + 0.3
    )


@pytest.mark.parametrize(("height", "width"), [(32, 32), (16, 24), (8, 8)])
def test_every_slow_wave_is_looked_at_once(height: int, width: int) -> None:
    every = frequencies(height, width)
    shapes = [wave(f, p, height, width) for f in every for p in (0.0, math.pi / 2)]
    table = torch.stack(shapes).flatten(1).double()
    gram = table @ table.T / (height * width)
    # waves of different frequency are orthogonal: none stands for another
    torch.testing.assert_close(gram, torch.eye(len(table)).double() / 2, atol=1e-4, rtol=0)
    down, across = math.ceil(height / 4) - 1, math.ceil(width / 4) - 1
    assert len(every) == ((2 * down + 1) * (2 * across + 1) - 1) / 2
    assert all(set(neighbours(f)) & set(every) for f in every)


def test_a_neighbour_written_the_other_way_round_is_the_same_wave() -> None:
    assert set(neighbours((0, 6))) == {
        (-1, 5), (0, 5), (1, 5), (-1, 6), (1, 6), (-1, 7), (0, 7), (1, 7),
    }  # fmt: skip
    # (1, -1) is (-1, 1) with the phase turned
    assert (-1, 1) in neighbours((2, 0))
    assert all(b > 0 or (b == 0 and a > 0) or (a, b) == (0, 0) for a, b in neighbours((1, 0)))


def test_a_wave_is_the_published_one() -> None:
    x = torch.rand((2, 3, 32, 32), generator=generator(1))
    trigger = as_trigger(0, wave((0, 6), 0.0, 32, 32), 40 / 255)
    torch.testing.assert_close(trigger.stamp(x), Sinusoid(0).stamp(x), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        trigger.stamp(x, 0.5), Sinusoid(0, delta=20 / 255).stamp(x), atol=1e-5, rtol=0
    )


def test_the_planted_wave_is_found_and_is_narrow() -> None:
    found, said = finish(peaks(_network(), _pictures(), 3, count=24, offset=5, total=99))
    planted = found[1]
    assert planted.share == 1.0
    assert planted.octaves == pytest.approx(4.0), "no wave next to it does anything"
    shape = wave(PLANTED, 0.0, SIZE, SIZE)
    torch.testing.assert_close(planted.trigger.pattern_CHW[0], 0.5 + 0.5 * shape)
    assert float(planted.trigger.mask_HW[0, 0]) == pytest.approx(AMPLITUDE)
    assert [peak.octaves for peak in found[::2]] == [0.0, 0.0]
    steps = [event for event in said if isinstance(event, Progress)]
    assert [step.done for step in steps] == [5 + n for n in range(1, len(frequencies(16, 16)) + 1)]
    assert {(step.stage, step.total, step.label) for step in steps} == {("target", 99, "wave")}


def test_a_broad_answer_is_a_sensitivity_and_no_evidence() -> None:
    found, _ = finish(peaks(_network(broad=True), _pictures(), 3, count=24))
    assert found[2].share == 1.0
    assert found[2].octaves == 0.0


def test_the_weakest_wave_that_works_is_told_by_its_amplitude() -> None:
    found, _ = finish(peaks(_network(), _pictures(), 3, count=24))
    least = weakest(_network(), _pictures(), found[1].trigger, 0.95, 3)
    assert len(least.triggers) == 3
    # above 10 levels, in steps of 4 from 8
    assert [size * 255 for size in least.sizes] == pytest.approx([12.0] * 3)
    none = weakest(_network(), _pictures(), found[2].trigger, 0.95, 1)
    assert none.sizes == (math.inf,)


def test_a_narrow_wave_makes_its_class_the_suspect() -> None:
    found, _ = finish(peaks(_network(), _pictures(), 3, count=24))
    sizes = {"patch": [9.0] * 3, "blend": [0.1] * 3}
    ranking = rank("abc", sizes, [0.0] * 3, {}, 1.0, found)  # type: ignore[arg-type]
    assert ranking.suspects == (1,)
    assert ranking.families[1] == ("wave",)
    assert ranking.rows[0].signals["wave"] == 1.0
    assert ranking.rows[0].signals["wave_octaves"] == pytest.approx(4.0)


def test_where_a_wave_moves_few_images_narrowness_means_nothing() -> None:
    trigger = as_trigger(0, wave((1, 1), 0.0, 8, 8), 0.1)
    weak = Peak(0.0, 0.4, trigger)
    sizes = {"patch": [9.0] * 3, "blend": [0.1] * 3}
    ranking = rank("abc", sizes, [0.0] * 3, {}, 1.0, [weak] * 3)  # type: ignore[arg-type]
    assert ranking.suspects == ()
