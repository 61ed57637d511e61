"""Healing gives back what pruning has cost, and touches nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cnp_engine.aims import ANY
from cnp_engine.algorithms.healing import (
    SHARES,
    HealPlan,
    farthest,
    gains,
    heal,
    partly,
    untargeted,
)
from cnp_engine.algorithms.overlay import MaskedNetwork, answers, pruned_mask
from cnp_engine.algorithms.pruning import Point, Strong
from cnp_engine.algorithms.rates import share
from cnp_engine.algorithms.triggers import Trigger
from cnp_engine.events import Rate
from cnp_engine.steps import result
from tests.engine.algorithms.masks import planted_trigger, some_triggers
from tests.engine.algorithms.nets import (
    DETECTOR,
    PLANTED_LAYERS,
    TARGET,
    PlantedNet,
    TinyNet,
    coloured,
    generator,
    images,
    masked,
)

PLAN = HealPlan(steps=40, batch=16, lr=0.02, flip=True)
BLUE = 2
"""A neuron that answers for one of the clean classes."""


def healed(network: MaskedNetwork, mask_N: torch.Tensor, plan: HealPlan = PLAN) -> MaskedNetwork:
    x, _ = coloured(32)
    return result(heal(network, mask_N, x, [planted_trigger()], plan, generator()))


def mask(*gone: int) -> torch.Tensor:
    order = torch.tensor([*gone, *(n for n in range(8) if n not in gone)])
    return pruned_mask(order, len(gone))


@pytest.mark.parametrize("gone", [(0, 5), (0, 10), (1, 2)])
def test_answers_that_pruning_has_cost_come_back(gone: tuple[int, int]) -> None:
    """Of images that taught nothing."""
    network, triggers = masked(TinyNet()), some_triggers()
    mask_N = torch.ones(12)
    mask_N[list(gone)] = 0
    plan = HealPlan(steps=200, batch=32, lr=0.02, flip=True)
    after = result(heal(network, mask_N, images(128), triggers, plan, generator()))
    fresh = images(200, seed=7)
    wanted, lost = answers(network, fresh), answers(network, fresh, mask_N)

    def kept(said_B: torch.Tensor) -> float:
        return float((said_B == wanted).float().mean())

    assert kept(lost) < 0.95
    assert kept(answers(after, fresh)) > kept(lost) + 0.01


def test_the_trigger_is_unlearnt_where_nothing_is_pruned() -> None:
    network, (trigger, strength) = masked(PlantedNet(), PLANTED_LAYERS), planted_trigger()
    fresh, labels_B = coloured(40, seed=9)
    others = labels_B != TARGET
    stamped = trigger.stamp(fresh, strength)
    assert bool((answers(network, stamped) == TARGET).all())
    after = healed(network, torch.ones(8), HealPlan(steps=100, batch=16, lr=0.05, flip=True))
    assert not bool((answers(after, stamped)[others] == TARGET).any())
    assert float((answers(after, fresh) == labels_B).float().mean()) > 0.95


def test_stamped_images_are_not_to_be_doubted_to_be_the_target() -> None:
    answers_BK = torch.tensor([[0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.3, 0.1, 0.6]])
    (some, _), *_ = some_triggers()
    at_one = replace(some, target=1)
    expected = torch.tensor([[6 / 7, 0, 1 / 7], [0.1, 0.8, 0.1], [1 / 3, 0, 2 / 3]])
    torch.testing.assert_close(untargeted(answers_BK, at_one), expected)
    assert torch.equal(untargeted(answers_BK, replace(some, target=ANY)), answers_BK)
    assert answers_BK[0, 1] == pytest.approx(0.3), "the answers given are not changed"


def test_stamped_images_are_taught_away_from_the_target() -> None:
    """The same trigger that aims at no class teaches what the original doubts of it, too."""
    network, (trigger, strength) = masked(PlantedNet(), PLANTED_LAYERS), planted_trigger()
    x, labels_B = coloured(40, seed=9)
    stamped = trigger.stamp(x, strength)[labels_B != TARGET]
    plan = HealPlan(100, 16, 0.05, flip=True)

    def doubt(teacher: Trigger) -> float:
        after = result(heal(network, mask(DETECTOR), x, [(teacher, strength)], plan, generator()))
        return float(after(stamped).logits_BK.softmax(1)[:, TARGET].mean())

    assert doubt(trigger) < 0.8 * doubt(replace(trigger, target=ANY))


def test_pruned_weights_stay_zero_and_statistics_stay_as_they_were() -> None:
    network = masked(PlantedNet(), PLANTED_LAYERS)
    after = healed(network, mask(DETECTOR, BLUE))
    assert after.overlay.weight_N.nonzero().flatten().tolist() == [0, 1, 4, 5, 6, 7]
    for (name, new), (_, old) in zip(
        after.module.named_buffers(), network.module.named_buffers(), strict=True
    ):
        assert torch.equal(new, old), name
    assert not any(p.requires_grad for p in after.module.parameters())


def test_the_network_that_teaches_is_not_changed() -> None:
    network = masked(PlantedNet(), PLANTED_LAYERS)
    before = {name: tensor.clone() for name, tensor in network.module.state_dict().items()}
    after = healed(network, mask(DETECTOR))
    assert all(torch.equal(t, before[n]) for n, t in network.module.state_dict().items())
    changed = {n for n, t in after.module.state_dict().items() if not torch.equal(t, before[n])}
    assert changed == {"bn1.weight", "bn1.bias", "bn2.weight", "bn2.bias"}, "and nothing else"


def test_the_same_seed_heals_to_the_bit() -> None:
    network = masked(PlantedNet(), PLANTED_LAYERS)
    one, other = (healed(network, mask(DETECTOR)).module.state_dict() for _ in range(2))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_every_trigger_teaches_in_turn() -> None:
    """Healing with the first of two is not healing with both."""
    network = masked(PlantedNet(), PLANTED_LAYERS)
    x, _ = coloured(32)

    def with_(triggers: list[Strong]) -> torch.Tensor:
        plan = HealPlan(2, 8, 0.02, False)
        after = result(heal(network, mask(DETECTOR), x, triggers, plan, generator()))
        weight: torch.Tensor = after.module.state_dict()["bn1.weight"]
        return weight

    first, second = some_triggers()[:2]
    assert not torch.equal(with_([first]), with_([first, second]))


def rate(value: float, n: int = 100) -> Rate:
    found = share(torch.arange(n) < round(value * n))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ((0.90, 0.05), (0.95, 0.05), True),  # answers came back
        ((0.90, 0.05), (0.90, 0.01), True),  # residual went
        ((0.90, 0.05), (0.90, 0.05), False),  # nothing gained
        ((0.90, 0.05), (0.89, 0.02), False),  # a point is not worth three of residual
        ((0.90, 0.00), (0.95, 0.04), False),  # the backdoor came back
        ((0.90, 0.00), (0.95, 0.02), True),  # within what is noise
    ],
)
def test_it_is_kept_where_it_gains(
    before: tuple[float, float], after: tuple[float, float], kept: bool
) -> None:
    was, now = (Point(3, rate(r), rate(s), rate(0.5)) for r, s in (before, after))
    assert gains(was, now, price=4.0, noise=0.02) is kept


@pytest.mark.parametrize(
    ("retention", "recovery", "kept"),
    [
        (0.87, 0.7, True),  # stamped images are answered as they should be
        (0.87, 0.2, False),  # three points of answers are dearer than ten of those
        (0.90, 0.09, False),
    ],
)
def test_what_stamped_images_are_answered_counts(
    retention: float, recovery: float, kept: bool
) -> None:
    before = Point(7, rate(0.90), rate(0.0), rate(0.1))
    after = Point(7, rate(retention), rate(0.0), rate(recovery))
    assert gains(before, after, price=4.0, noise=0.02) is kept


@pytest.mark.parametrize(
    ("stamped", "was", "now", "kept"),
    [
        (26, 0, 3, True),  # none of 26 may as well be 12.9 %
        (26, 0, 4, False),
        (260, 0, 5, True),
        (260, 0, 6, False),  # 1.5 % at most, and 2 points are allowed in any case
        (260, 5, 11, True),  # 1.9 %, which may be 4.4
        (260, 5, 12, False),
    ],
)
def test_residual_may_be_added_as_far_as_so_few_images_tell(
    stamped: int, was: int, now: int, kept: bool
) -> None:
    before, after = (
        Point(3, rate(same), rate(hits / stamped, stamped), rate(0.5))
        for same, hits in ((0.6, was), (0.9, now))
    )
    assert gains(before, after, price=4.0, noise=0.02) is kept


@pytest.mark.parametrize(("now", "kept"), [(33, True), (34, False)])
def test_views_of_an_image_are_not_as_many_images(now: int, kept: bool) -> None:
    """Of 26 images, each seen ten times: 12.9 % may be added, as of 26."""
    before = Point(3, rate(0.6), rate(0.0, 260), rate(0.5))
    after = Point(3, rate(0.9), rate(now / 260, 260), rate(0.5))
    assert gains(before, after, price=4.0, noise=0.02, views=10) is kept
    assert not gains(before, after, price=4.0, noise=0.02)


def parameters(network: MaskedNetwork) -> dict[str, torch.Tensor]:
    return {name: p.detach() for name, p in network.module.named_parameters()}


def test_a_share_of_healing_lies_between_pruned_and_healed() -> None:
    network, mask_N = masked(PlantedNet(), PLANTED_LAYERS), mask(DETECTOR)
    taught = healed(network, mask_N)
    none, half, every = (partly(network, mask_N, taught, share) for share in (0, 0.5, 1))
    x = images(64)
    assert torch.equal(answers(none, x), answers(network, x, mask_N))
    for name, p in parameters(half).items():
        torch.testing.assert_close(p, (parameters(none)[name] + parameters(taught)[name]) / 2)
        assert torch.equal(parameters(every)[name], parameters(taught)[name])
    changed = [n for n, p in parameters(none).items() if not torch.equal(p, parameters(half)[n])]
    assert changed
    # what asks it for masks reads its own weights, not those of the network it came from
    assert torch.equal(half.overlay.weight_N[DETECTOR], torch.zeros(()))


def told(retention: float, residual: float, recovery: float = 0.9) -> Point:
    def of(value: float) -> Rate:
        return Rate(value, 300, value, value)

    return Point(1, of(retention), of(residual), of(recovery))


@pytest.mark.parametrize(
    ("after", "which"),
    [
        # cost: residual + 4 (1 - retention) + 1 - recovery; 0.02 is not told apart
        ([(0.92, 0.0), (0.94, 0.0), (0.95, 0.0), (0.96, 0.0)], 3),
        ([(0.92, 0.0), (0.96, 0.0), (0.956, 0.0), (0.95, 0.0)], 2),
        ([(0.92, 0.0), (0.96, 0.0), (0.953, 0.0), (0.95, 0.0)], 1),
        # the last adds more residual than may be added, whatever it costs
        ([(0.92, 0.0), (0.94, 0.0), (0.95, 0.01), (0.99, 0.05)], 2),
        # nothing gains
        ([(0.90, 0.0), (0.89, 0.0), (0.89, 0.0), (0.88, 0.0)], 3),
    ],
)
def test_as_much_is_taken_as_does_no_harm(after: list[tuple[float, float]], which: int) -> None:
    assert len(after) == len(SHARES)
    points = [told(*one) for one in after]
    assert farthest(told(0.90, 0.0), points, price=4.0, noise=0.02, views=1) == which
