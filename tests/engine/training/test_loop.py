"""The loop: its schedule, and that a training cut off goes on to the same bits."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from cnp_engine.attacks import BadNets
from cnp_engine.training.loop import Pictures, State, Step, rate_at, train
from cnp_engine.training.network import fresh
from cnp_engine.training.plan import TrainingPlan
from cnp_engine.training.poisoning import Nothing, Planted

PLAN = TrainingPlan("badnets", "demo", arch="resnet18", width=8, epochs=3, batch=16, lr=0.05)


def _pictures() -> Pictures:
    draws = torch.Generator().manual_seed(0)
    labels = torch.arange(64) % 2
    images = torch.randint(0, 100, (64, 3, 16, 16), generator=draws) + 100 * labels.view(
        -1, 1, 1, 1
    )
    return Pictures(images.to(torch.uint8), labels)


def _network() -> torch.nn.Module:
    return fresh("resnet18", 2, 8, torch.Generator().manual_seed(1))


def _planted() -> Planted:
    return Planted(BadNets(1), torch.arange(64) % 8 == 0)


def _run(network: torch.nn.Module, state: State | None = None) -> list[Step | State]:
    return list(train(
        network, _pictures(), _planted(), PLAN, lambda x: x, torch.Generator().manual_seed(2),
        None, state,
    ))  # fmt: skip


def test_a_resumed_training_ends_in_the_same_bits() -> None:
    whole, again = _network(), _network()
    said = _run(whole)
    states = [item for item in said if isinstance(item, State)]
    assert [state.epoch for state in states] == [1, 2, 3]
    rest = _run(again, states[0])
    assert [item.epoch for item in rest if isinstance(item, State)] == [2, 3]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    assert not whole.training


def test_it_learns_and_tells_how_far_it_is() -> None:
    steps = [item for item in _run(_network()) if isinstance(item, Step)]
    assert steps[-1].done == steps[-1].total == 12
    assert steps[-1].loss < steps[0].loss


def test_the_rate_rises_in_a_line_and_falls_along_a_cosine() -> None:
    rates = [rate_at(PLAN, step, 100) for step in range(100)]
    assert rates[:20] == pytest.approx([PLAN.lr * (i + 1) / 20 for i in range(20)])
    assert rates[60] == pytest.approx(PLAN.lr * 0.5 * (1 + math.cos(math.pi / 2)))
    assert rates[-1] < 0.001 * PLAN.lr * 2
    assert rate_at(PLAN, 0, 1) == PLAN.lr


def test_a_loss_that_is_no_number_ends_it() -> None:
    plan = dataclasses.replace(PLAN, lr=1e30)
    steps = train(_network(), _pictures(), Nothing(), plan, lambda x: x, torch.Generator(), None)
    with pytest.raises(ArithmeticError, match="the loss is"):
        list(steps)


@pytest.mark.parametrize(
    ("name", "width"),
    [("resnet18", 4), ("preactresnet18", 4), ("vgg16_bn", 4), ("mobilenet_v2", 4)],
)
def test_initial_weights_are_the_seeds_alone(name: str, width: int) -> None:
    torch.manual_seed(0)
    first = fresh(name, 10, width, torch.Generator().manual_seed(5)).state_dict()
    torch.manual_seed(1)
    second = fresh(name, 10, width, torch.Generator().manual_seed(5)).state_dict()
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    other = fresh(name, 10, width, torch.Generator().manual_seed(6)).state_dict()
    assert any(not torch.equal(value, other[key]) for key, value in first.items())
