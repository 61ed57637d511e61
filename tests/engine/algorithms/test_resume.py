"""Mask optimisation stopped after any round and continued is the uninterrupted one, to the bit."""

from __future__ import annotations

import pytest
import torch

from cnp_engine.algorithms.contrastive import MaskState
from tests.engine.algorithms.masks import mask_plan, optimise, some_triggers
from tests.engine.algorithms.nets import TinyNet, bits, generator, images, masked

ROUNDS = 5


def same(one: MaskState, other: MaskState) -> bool:
    left, right = one.tensors(), other.tensors()
    return left.keys() == right.keys() and all(
        left[name].dtype == right[name].dtype and torch.equal(bits(left[name]), bits(right[name]))
        for name in left
    )


@pytest.mark.parametrize(
    ("optimiser", "statistics", "early_stop"),
    [("adam", False, False), ("sgd", True, False), ("adam", False, True)],
)
def test_any_round_can_be_the_last_of_a_process(
    optimiser: str, statistics: bool, early_stop: bool
) -> None:
    """Patience 1 makes the learning rate, its floor and the best recovery part of the state."""
    x, triggers = images(8), some_triggers()
    plan = mask_plan(
        rounds=ROUNDS, batches=2, optimiser=optimiser, batch_statistics=statistics,
        sparsity=0.5 if early_stop else 0.01, binary=0.05, patience=1, early_stop=early_stop,
    )  # fmt: skip
    end, rounds, _ = optimise(masked(TinyNet()), x, triggers, plan)
    assert len(rounds) == end.round
    assert (end.round < ROUNDS) == early_stop
    assert (end.lr < plan.lr) == (optimiser == "sgd")
    for done, saved in enumerate(rounds, start=1):
        assert saved.round == done
        assert done == len(rounds) or not torch.equal(saved.generator, end.generator)
        restored = MaskState.restore(saved.tensors())
        again, later, _ = optimise(masked(TinyNet()), x, triggers, plan, restored)
        assert len(later) == len(rounds) - done
        assert same(again, end)
        assert all(same(a, b) for a, b in zip(later, rounds[done:], strict=True))


def test_what_was_taken_after_a_round_does_not_move_on() -> None:
    x, plan = images(8), mask_plan(rounds=2, batches=1, sparsity=0.1)
    first = MaskState.start(12, generator(21), plan.lr)
    taken = first.tensors()
    kept = {name: tensor.clone() for name, tensor in taken.items()}
    optimise(masked(TinyNet()), x, some_triggers(), plan, first)
    assert first.round == 2
    assert all(torch.equal(taken[name], kept[name]) for name in kept)
    given = {name: tensor.clone() for name, tensor in taken.items()}
    optimise(masked(TinyNet()), x, some_triggers(), plan, MaskState.restore(given))
    assert all(torch.equal(given[name], kept[name]) for name in kept)


def test_the_same_draws_give_the_same_masks_and_others_others() -> None:
    network, x, plan = masked(TinyNet()), images(8), mask_plan()
    before = torch.random.get_rng_state()
    states = [
        optimise(network, x, some_triggers(), plan, MaskState.start(12, draws, 0.2))[0]
        for draws in (generator(1), generator(1), generator(2))
    ]
    assert same(states[0], states[1])
    assert not torch.equal(states[0].mask_N, states[2].mask_N)
    assert torch.equal(torch.random.get_rng_state(), before), "no global draw"
