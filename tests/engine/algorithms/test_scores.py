"""From masks to an order: who goes first, how ties fall, and backward elimination."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from cnp_engine.algorithms.overlay import MaskedNetwork
from cnp_engine.algorithms.scores import HIGH, LOW, Harm, eliminate, put_back, score
from cnp_engine.events import Progress
from tests.engine.algorithms.drive import finish, result
from tests.engine.algorithms.masks import Strong, checkerboard_trigger, some_triggers
from tests.engine.algorithms.nets import (
    DETECTOR,
    TinyNet,
    Untouched,
    coloured,
    images,
    masked,
    planted,
)
from tests.engine.algorithms.reference import Array, Reference, array


@pytest.mark.parametrize(
    ("mask", "order", "under_half"),
    [
        ([0.9, 0.1, 0.5, 0.3], [1, 3, 2, 0], 2),
        # ties by layer order, also between many
        ([1.0, 0.0, 1.0, 0.0, 1.0, 0.0], [1, 3, 5, 0, 2, 4], 3),
        ([0.5] * 40, list(range(40)), 0),
        # no neuron is told apart by rounding: the reference keeps four decimals
        ([0.30001, 0.30002, 0.3], [2, 0, 1], 3),
    ],
)
def test_without_an_order_the_masks_are_the_scores(
    mask: list[float], order: list[int], under_half: int
) -> None:
    given = torch.tensor(mask)
    scores = score(given, torch.zeros(len(mask)))
    assert scores.order_N.tolist() == order
    assert scores.under_half == under_half
    assert torch.equal(scores.scores_N, given.double())
    given[0] = 7
    assert scores.scores_N[0] == pytest.approx(mask[0]), "a copy"


@pytest.mark.parametrize(
    ("mask", "pressure", "inside", "order"),
    [
        # the group as it was ordered; then the most pressed among the kept
        ([0, 1, 0, 1, 0, 1], [0, 1, 0, 3, 0, 2], [2, 0, 4], [2, 0, 4, 3, 5, 1]),
        # ties of pressure by layer order
        ([0, 1, 0, 1, 0, 1], [9, 0, 9, 0, 9, 0], [0, 2, 4], [0, 2, 4, 1, 3, 5]),
        # values of the masks inside a group do not matter any more
        ([0.4, 0.6, 0.0, 1.0], [0, 0, 0, 1], [0, 2], [0, 2, 3, 1]),
        # negative pressure (a mask that wants to rise) is last
        ([1, 1, 1], [-1.0, 0.0, 1.0], [], [2, 1, 0]),
        ([0, 0], [0, 0], [1, 0], [1, 0]),
        ([0, 1], [0, 0], [0], [0, 1]),
    ],
)
def test_the_group_keeps_its_order_and_pressure_orders_outside(
    mask: list[float], pressure: list[float], inside: list[int], order: list[int]
) -> None:
    mask_N = torch.tensor(mask, dtype=torch.float32)
    scores = score(mask_N, torch.tensor(pressure, dtype=torch.float32), inside)
    assert scores.order_N.tolist() == order
    assert scores.under_half == len(inside)
    low_N = mask_N < 0.5
    assert bool((scores.scores_N[low_N] <= LOW).all())
    assert bool((scores.scores_N[~low_N] >= HIGH).all())
    assert bool(((scores.scores_N >= 0) & (scores.scores_N <= 1)).all())
    assert len(set(scores.scores_N.tolist())) == len(mask), "every k is addressable by a threshold"


def test_many_neurons_still_have_scores_of_their_own() -> None:
    """Of 4,800 neurons none shares a score with another, as float32 would not promise."""
    mask_N = torch.ones(4800)
    mask_N[:60] = 0
    scores = score(mask_N, torch.zeros(4800), range(60))
    assert len(set(scores.scores_N.tolist())) == 4800
    assert scores.order_N.tolist() == list(range(4800))


def test_a_neuron_without_a_place_is_a_mistake() -> None:
    with pytest.raises(AssertionError):
        score(torch.tensor([0.0, 0.0, 1.0]), torch.zeros(3), [0])


class Exact:
    """Mean KL(p || q) over clean and stamped images in float64, p the checkpoint's answers, q those
    with some neurons pruned."""

    def __init__(
        self, module: TinyNet, x: Tensor, triggers: list[Strong], pieces: list[int]
    ) -> None:
        self._reference, clean = Reference(module), array(x)
        p = self._softmax(clean, set())
        self._inputs, self._wanted, start = [clean], [p], 0
        for (trigger, strength), length in zip(triggers, pieces, strict=False):
            part = slice(start, start + length)
            mask = np.minimum(array(trigger.mask_HW) * strength, 1)
            self._inputs.append(clean[part] * (1 - mask) + array(trigger.pattern_CHW) * mask)
            self._wanted.append(p[part])
            start += length

    def _softmax(self, x: Array, pruned: set[int]) -> Array:
        mask = np.array([neuron not in pruned for neuron in range(12)], dtype=np.float64)
        logits = self._reference(x, (mask, np.ones(12))).logits
        odds: Array = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        return odds

    def __call__(self, pruned: set[int]) -> float:
        total, count = 0.0, 0
        for x, p in zip(self._inputs, self._wanted, strict=True):
            total += float((p * np.log(p / self._softmax(x, pruned))).sum())
            count += len(x)
        return total / count

    def least(self, pruned: set[int]) -> int:
        """Whose return does the least harm."""
        return min(pruned, key=lambda neuron: self(pruned - {neuron}))


Ordering = Callable[[Harm, int, int], Generator[Progress, None, list[int]]]
BOTH = pytest.mark.parametrize("ordering", [put_back, eliminate])


def ordered(
    ordering: Ordering,
    network: MaskedNetwork,
    x: Tensor,
    triggers: list[Strong],
    mask_N: Tensor,
    limit: int = 48,
) -> list[int]:
    return result(ordering(Harm(network, x, triggers, mask_N, limit), 5, 9))


@pytest.mark.parametrize(("count", "pieces"), [(6, [3, 3]), (5, [3, 2]), (1, [1])])
def test_putting_each_back_once_is_brute_force(count: int, pieces: list[int]) -> None:
    module, x, triggers = TinyNet(), images(count), some_triggers()
    mask_N = torch.tensor([0.0, 0.9, 0.49, 0.5, 0.1, 1, 1, 0.2, 1, 1, 0.3, 1])
    harm, group = Exact(module, x, triggers, pieces), {0, 2, 4, 7, 10}
    got = ordered(put_back, masked(module), x, triggers, mask_N)
    assert got == sorted(group, key=lambda neuron: -harm(group - {neuron}))
    network = Harm(masked(module), x, triggers, mask_N, 48)
    assert network.now() == pytest.approx(harm(group), rel=1e-3, abs=1e-5)
    assert network.without(4) == pytest.approx(harm(group - {4}), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize(("count", "pieces"), [(6, [3, 3]), (5, [3, 2])])
def test_elimination_is_brute_force(count: int, pieces: list[int]) -> None:
    """Every return asked for anew each time, in float64; here harm grows as others come back."""
    module, x, triggers = TinyNet(), images(count), some_triggers()
    mask_N = torch.tensor([0.0, 0.9, 0.49, 0.5, 0.1, 1, 1, 0.2, 1, 1, 0.3, 1])
    before, kept = Untouched(module), mask_N.clone()
    got = ordered(eliminate, masked(module), x, triggers, mask_N)
    before.check()
    assert torch.equal(mask_N, kept)

    harm = Exact(module, x, triggers, pieces)
    pruned, back = {0, 2, 4, 7, 10}, []
    while pruned:
        back.append(harm.least(pruned))
        pruned.remove(back[-1])
    assert got == back[::-1]


@BOTH
def test_beyond_the_limit_masks_order_behind_the_others(ordering: Ordering) -> None:
    network, x = masked(TinyNet()), images(4)
    mask_N = torch.tensor([0.3, 0.1, 0.4, 0.2, 0.2, 1, 1, 1, 1, 1, 1, 1])
    order = ordered(ordering, network, x, some_triggers(), mask_N, 2)
    alone = torch.ones(12)
    alone[[1, 3]] = 0
    assert order[:2] == ordered(ordering, network, x, some_triggers(), alone)
    assert sorted(order[:2]) == [1, 3]
    assert order[2:] == [4, 0, 2]


@BOTH
def test_one_neuron_or_none_is_an_order_too(ordering: Ordering) -> None:
    network, x, mask_N = masked(TinyNet()), images(3), torch.ones(12)
    assert ordered(ordering, network, x, some_triggers(), mask_N) == []
    mask_N[7] = 0
    assert ordered(ordering, network, x, some_triggers(), mask_N) == [7]


@BOTH
def test_it_tells_how_far_it_is(ordering: Ordering) -> None:
    mask_N = torch.ones(12)
    mask_N[[2, 5]] = 0
    steps = ordering(Harm(masked(TinyNet()), images(3), some_triggers(), mask_N, 9), 5, 9)
    _, told = finish(steps)
    assert [(p.stage, p.done, p.total, p.label, p.values["checked"]) for p in told] == [
        ("scores", 5, 9, "order", 1.0),
        ("scores", 5, 9, "order", 2.0),
    ]
    assert torch.is_grad_enabled()


@BOTH
def test_every_trigger_is_stamped_on_some_image(ordering: Ordering) -> None:
    """Four images and three triggers; the last one alone is what the planted neuron answers."""
    network, (x, _) = planted(), coloured(4)
    mask_N = torch.ones(8)
    mask_N[[2, DETECTOR]] = 0
    planted_one = checkerboard_trigger()
    nothing = replace(planted_one, mask_HW=torch.zeros_like(planted_one.mask_HW))
    triggers: list[Strong] = [(nothing, 1.0), (nothing, 1.0), (planted_one, 1.0)]
    assert ordered(ordering, network, x, triggers, mask_N)[0] == DETECTOR


def test_what_is_known_is_not_asked_again() -> None:
    """Lazily: far fewer answers than the square of the group."""
    mask_N = torch.zeros(12)
    steps = eliminate(Harm(masked(TinyNet()), images(4), some_triggers(), mask_N, 48), 0, 1)
    order, told = finish(steps)
    assert sorted(order) == list(range(12))
    assert 12 <= len(told) < 12 * 13 / 2 - 1


@BOTH
def test_the_planted_neuron_goes_first_and_a_bystander_last(ordering: Ordering) -> None:
    """A blue detector that the masks took by mistake costs accuracy, and nothing else."""
    network, (x, _) = planted(), coloured(32)
    mask_N = torch.ones(8)
    mask_N[[2, DETECTOR]] = 0
    triggers = [(checkerboard_trigger(), 1.0)]
    order = ordered(ordering, network, x, triggers, mask_N)
    assert order == [DETECTOR, 2]
    assert score(mask_N, torch.zeros(8), order).order_N.tolist()[:2] == [DETECTOR, 2]
