"""The loss, its gradient and whole optimiser steps against float64 arithmetic."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cnp_engine.algorithms.contrastive import Features, MaskState, contrastive_loss
from cnp_engine.algorithms.overlay import Perturbation, answers
from tests.engine.algorithms.masks import (
    checkerboard_trigger,
    mask_plan,
    optimise,
    some_triggers,
)
from tests.engine.algorithms.nets import (
    DETECTOR,
    TinyNet,
    Untouched,
    coloured,
    generator,
    images,
    masked,
    planted,
)
from tests.engine.algorithms.reference import (
    Adam,
    Array,
    Factors,
    Reference,
    array,
    ascent,
    contrastive,
    factors_of,
    gradient,
)

TEMPERATURE = 0.3


def test_the_loss_on_fixed_features() -> None:
    a, b, c, d, e = torch.randn((5, 6, 7), generator=generator(2))
    got = contrastive_loss(Features(a, b, c, d, e), TEMPERATURE)
    wanted = contrastive(array(a), array(b), array(c), array(d), array(e), TEMPERATURE)
    assert float(got) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize(
    ("masked_like", "wanted"),
    [
        # all masked features are the original's clean ones, orthogonal to its stamped ones
        ("clean", math.log(3 * math.exp(1 / 0.3) + 3) - 1 / 0.3),
        ("stamped", math.log(3 * math.exp(1 / 0.3) + 3)),
    ],
)
def test_the_loss_by_hand(masked_like: str, wanted: float) -> None:
    """Two images, features along axes: similarities are 0 or 1 / 0.3."""
    clean, stamped = torch.eye(4)[:2], 3 * torch.eye(4)[2:]
    own = clean if masked_like == "clean" else stamped
    loss = contrastive_loss(Features(clean, stamped, own, own, own), TEMPERATURE)
    assert float(loss) == pytest.approx(wanted, rel=1e-6)


class Loss:
    """METHOD section 3.3 in float64: of a mask, for given images and a given perturbation."""

    def __init__(
        self, reference: Reference, x: Array, stamped: Array, xi: Factors, statistics: bool
    ) -> None:
        self.reference, self.x, self.stamped, self.xi = reference, x, stamped, xi
        self.statistics = statistics
        self.clean_z = reference(x).features
        self.stamped_z = reference(stamped).features

    def __call__(self, mask: Array) -> float:
        def z(images: Array, factors: Factors) -> Array:
            return self.reference(images, factors, self.statistics).features

        return contrastive(
            self.clean_z, self.stamped_z, z(self.x, factors_of(mask)),
            z(self.stamped, factors_of(mask)), z(self.x, factors_of(mask, self.xi)), TEMPERATURE,
        )  # fmt: skip


@pytest.mark.parametrize("statistics", [False, True])
def test_the_gradient_on_the_mask(statistics: bool) -> None:
    module, x = TinyNet(), images(5)
    network = masked(module)
    ((trigger, _), _) = some_triggers()
    stamped = trigger.stamp(x)
    mask_N = torch.rand(12, generator=generator(5)).requires_grad_()
    noise = torch.rand((2, 12), generator=generator(6)) - 0.5
    xi = Perturbation(noise[0], noise[1])
    features = Features(
        network(x).features_BD,
        network(stamped).features_BD,
        network(x, mask_N, batch_statistics=statistics).features_BD,
        network(stamped, mask_N, batch_statistics=statistics).features_BD,
        network(x, mask_N, xi, batch_statistics=statistics).features_BD,
    )
    loss = contrastive_loss(features, TEMPERATURE)
    (got,) = torch.autograd.grad(loss, [mask_N])

    pair = (array(noise[0]), array(noise[1]))
    wanted = Loss(Reference(module), array(x), array(stamped), pair, statistics)
    assert float(loss.detach()) == pytest.approx(wanted(array(mask_N)), rel=1e-5)
    slope = gradient(wanted, array(mask_N))
    assert np.abs(slope).min() > 1e-5, "every neuron takes part"
    np.testing.assert_allclose(array(got), slope, rtol=2e-3, atol=2e-6)


class Walk:
    """The whole optimisation in float64, with the draws in the order that resume relies on."""

    def __init__(
        self, module: TinyNet, x: torch.Tensor, optimiser: str, statistics: bool, flip: bool
    ) -> None:
        self.reference, self.x = Reference(module), x
        self.optimiser, self.statistics, self.flip = optimiser, statistics, flip
        self.draws = generator(21)
        self.mask, self.velocity, self.pressure = np.ones(12), np.zeros(12), np.zeros(12)
        self.adam = Adam.start(0.2, 0.9, 0.999, (12,))

    def step(self, batch: int, eps: float) -> float:
        index_B = torch.randint(0, len(self.x), (batch,), generator=self.draws)
        flips = int(torch.randint(0, 2, (1,), generator=self.draws)) if self.flip else 0
        start = array((torch.rand((2, 12), generator=self.draws) * 2 - 1) * eps)
        x = array(self.x[index_B].flip(3) if flips else self.x[index_B])
        stamped = x.copy()
        for row, index in enumerate(index_B.tolist()):
            trigger, strength = some_triggers()[(index + flips) % 2]
            mask = np.minimum(array(trigger.mask_HW) * strength, 1)
            stamped[row] = x[row] * (1 - mask) + array(trigger.pattern_CHW) * mask
        classes: NDArray[np.int64] = self.reference(x).logits.argmax(1)
        xi = ascent(self.reference, x, classes, self.mask, start, eps, self.statistics)
        loss = Loss(self.reference, x, stamped, xi, self.statistics)
        value, slope = loss(self.mask), gradient(loss, self.mask)
        self.pressure = 0.9 * self.pressure + 0.1 * slope
        if self.optimiser == "sgd":
            self.velocity = 0.9 * self.velocity + slope
            moved = self.mask - 0.2 * self.velocity
        else:
            moved = self.adam.step(self.mask, slope)
        self.mask = np.clip(moved, 0, 1)
        return value


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("statistics", [False, True])
@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_steps_follow_the_formulas(optimiser: str, statistics: bool, flip: bool) -> None:
    module, x = TinyNet(), images(6)
    before = Untouched(module)
    plan = mask_plan(
        rounds=1, batches=3, optimiser=optimiser, batch_statistics=statistics, flip=flip
    )
    state, _, values = optimise(masked(module), x, some_triggers(), plan)
    walk = Walk(module, x, optimiser, statistics, flip)
    losses = [walk.step(plan.batch, plan.eps) for _ in range(3)]
    np.testing.assert_allclose([row["loss"] or 0 for row in values], losses, rtol=1e-4)
    np.testing.assert_allclose(array(state.mask_N), walk.mask, atol=2e-4)
    np.testing.assert_allclose(array(state.pressure_N), walk.pressure, rtol=1e-3, atol=1e-6)
    assert (walk.mask < 0.99).any()
    assert (walk.mask == 1).any(), "the clamp takes part"
    before.check()


def test_the_regulariser_ramps_up_over_two_thirds() -> None:
    """Its slope is -sparsity + ramp binary (1 - 2 m); at rate 0 pressures differ by it alone."""
    module, x, start_N = TinyNet(), images(4), torch.linspace(0, 1, 12)
    pressures = []
    for sparsity, binary in ((0.5, 0.25), (0.0, 0.0)):
        plan = mask_plan(rounds=1, batches=4, lr=0.0, sparsity=sparsity, binary=binary)
        state = MaskState.start(12, generator(21), 0.0)
        state.mask_N = start_N.clone()
        optimise(masked(module), x, some_triggers(), plan, state)
        assert torch.equal(state.mask_N, start_N)
        pressures.append(array(state.pressure_N))
    wanted = np.zeros(12)
    for ramp in (0.0, 0.375, 0.75, 1.0):
        wanted = 0.9 * wanted + 0.1 * (-0.5 + ramp * 0.25 * (1 - 2 * array(start_N)))
    np.testing.assert_allclose(pressures[0] - pressures[1], wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("optimiser", "patience", "rates"),
    [
        # recovery is 1 in the first round and cannot rise again
        ("sgd", 2, [0.05, 0.05, 0.025, 0.025, 0.0125, 0.0125, 0.01, 0.01]),
        ("sgd", 1, [0.05, 0.025, 0.0125, 0.01, 0.01]),
        ("adam", 1, [0.05] * 5),
    ],
)
def test_the_rate_halves_when_recovery_stalls(
    optimiser: str, patience: int, rates: list[float]
) -> None:
    silent = [(trigger, 0.0) for trigger, _ in some_triggers()]  # stamped images are clean
    plan = mask_plan(
        rounds=len(rates), batches=1, lr=0.05, optimiser=optimiser, patience=patience, sparsity=9.0
    )
    _, rounds, values = optimise(masked(TinyNet()), images(4), silent, plan)
    assert [row["recovery"] for row in values] == [1.0] * len(rates)
    assert [state.lr for state in rounds] == pytest.approx(rates, rel=1e-12)


@pytest.mark.parametrize(("early_stop", "rounds"), [(True, 2), (False, 6)])
def test_it_stops_when_nothing_moves(early_stop: bool, rounds: int) -> None:
    """Masks held at 1: recovery rises from nothing in round 1 and no more in round 2."""
    silent = [(trigger, 0.0) for trigger, _ in some_triggers()]
    plan = mask_plan(rounds=6, batches=1, sparsity=9.0, early_stop=early_stop)
    state, saved, _ = optimise(masked(TinyNet()), images(4), silent, plan)
    assert (state.round, len(saved), state.finished) == (rounds, rounds, early_stop)
    assert torch.equal(state.mask_N, torch.ones(12))
    again, saved, _ = optimise(masked(TinyNet()), images(4), silent, plan, state)
    assert (again.round, saved) == (rounds, [])


def test_what_a_step_says_of_itself() -> None:
    network, x = masked(TinyNet()), images(6)
    plan = mask_plan(rounds=1, batches=4, flip=False, eps=0.0)
    state = MaskState.start(12, generator(21), plan.lr)
    draws = generator(21)
    state.mask_N[:5] = 0.2  # such that recovery is neither 0 nor 1
    at = state.mask_N.clone()
    _, _, values = optimise(network, x, some_triggers(), plan, state)
    index_B = torch.randint(0, 6, (4,), generator=draws)
    triggers = some_triggers()
    hits = [
        bool(answers(network, triggers[i % 2][0].stamp(x[i : i + 1], triggers[i % 2][1]), at)
             == answers(network, x[i : i + 1]))
        for i in index_B.tolist()
    ]  # fmt: skip
    assert 0 < sum(hits) < 4
    assert values[0]["recovery"] == sum(hits) / 4
    assert values[-1]["under_half"] == float((state.mask_N < 0.5).sum())
    assert state.recovery == pytest.approx(np.mean([row["recovery"] or 0 for row in values]))


@pytest.mark.parametrize("batch_statistics", [False, True])
def test_the_planted_neurons_are_found(batch_statistics: bool) -> None:
    network, (x, labels_B) = planted(), coloured(32)
    trigger = checkerboard_trigger()
    plan = mask_plan(
        rounds=6, batches=8, batch=16, lr=0.05, sparsity=0.001, binary=0.05,
        batch_statistics=batch_statistics,
    )  # fmt: skip
    state, _, _ = optimise(network, x, [(trigger, 1.0)], plan)
    under = torch.nonzero(state.mask_N < 0.5).flatten().tolist()
    assert under
    assert set(under) <= {DETECTOR, DETECTOR + 4}
    assert state.recovery == 1.0
    assert torch.equal(answers(network, trigger.stamp(x), (state.mask_N > 0.5).float()), labels_B)
