"""From masks to an order: who goes first, how ties fall, and putting neurons back one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from cnp_engine.algorithms.overlay import MaskedNetwork
from cnp_engine.algorithms.scores import HIGH, LOW, leave_one_out, score
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
def test_without_contributions_the_masks_are_the_scores(
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
    ("mask", "pressure", "contribution", "order"),
    [
        # the most contributing goes first; then the most pressed among the kept
        ([0, 1, 0, 1, 0, 1], [0, 1, 0, 3, 0, 2], {0: 0.1, 2: 0.5, 4: -0.2}, [2, 0, 4, 3, 5, 1]),
        # ties of either kind by layer order
        ([0, 1, 0, 1, 0, 1], [9, 0, 9, 0, 9, 0], {4: 0.5, 2: 0.5, 0: 0.5}, [0, 2, 4, 1, 3, 5]),
        # values of the masks inside a group do not matter any more
        ([0.4, 0.6, 0.0, 1.0], [0, 0, 0, 1], {0: 2.0, 2: 1.0}, [0, 2, 3, 1]),
        # negative pressure (a mask that wants to rise) is last
        ([1, 1, 1], [-1.0, 0.0, 1.0], {}, [2, 1, 0]),
        ([0, 0], [0, 0], {0: 0.0, 1: 0.1}, [1, 0]),
        ([0, 1], [0, 0], {0: 0.0}, [0, 1]),
    ],
)
def test_contributions_order_inside_and_pressure_outside(
    mask: list[float], pressure: list[float], contribution: dict[int, float], order: list[int]
) -> None:
    mask_N = torch.tensor(mask, dtype=torch.float32)
    scores = score(mask_N, torch.tensor(pressure, dtype=torch.float32), contribution)
    assert scores.order_N.tolist() == order
    assert scores.under_half == len(contribution)
    low_N = mask_N < 0.5
    assert bool((scores.scores_N[low_N] <= LOW).all())
    assert bool((scores.scores_N[~low_N] >= HIGH).all())
    assert bool(((scores.scores_N >= 0) & (scores.scores_N <= 1)).all())
    assert len(set(scores.scores_N.tolist())) == len(mask), "every k is addressable by a threshold"


def test_many_neurons_still_have_scores_of_their_own() -> None:
    """Of 4,800 neurons none shares a score with another, as float32 would not promise."""
    mask_N = torch.ones(4800)
    mask_N[:60] = 0
    scores = score(mask_N, torch.zeros(4800), dict.fromkeys(range(60), 0.0))
    assert len(set(scores.scores_N.tolist())) == 4800
    assert scores.order_N.tolist() == list(range(4800))


def test_a_neuron_without_a_contribution_is_a_mistake() -> None:
    with pytest.raises(AssertionError):
        score(torch.tensor([0.0, 0.0, 1.0]), torch.zeros(3), {0: 1.0})


def divergence(
    reference: Reference, mask: Array, images_: list[Array], wanted: list[Array]
) -> float:
    """Mean KL(p || q) over all images, p the checkpoint's, q the masked network's answers."""
    total, count = 0.0, 0
    for x, p in zip(images_, wanted, strict=True):
        logits = reference(x, (mask, np.ones(12))).logits
        q = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        total += float((p * np.log(p / q)).sum())
        count += len(x)
    return total / count


def putting_back(
    network: MaskedNetwork, x: Tensor, triggers: list[Strong], mask_N: Tensor, limit: int
) -> dict[int, float]:
    return result(leave_one_out(network, x, triggers, mask_N, limit=limit, offset=5, total=9))


@pytest.mark.parametrize(("count", "pieces"), [(6, [3, 3]), (5, [3, 2]), (1, [1])])
def test_leave_one_out_is_brute_force(count: int, pieces: list[int]) -> None:
    module, x, triggers = TinyNet(), images(count), some_triggers()
    mask_N = torch.tensor([0.0, 0.9, 0.49, 0.5, 0.1, 1, 1, 0.2, 1, 1, 0.3, 1])
    before, kept = Untouched(module), mask_N.clone()
    got = putting_back(masked(module), x, triggers, mask_N, 48)
    before.check()
    assert torch.equal(mask_N, kept)

    reference, clean = Reference(module), array(x)
    answers = reference(clean).logits
    p = np.exp(answers) / np.exp(answers).sum(1, keepdims=True)
    inputs, wanted, start = [clean], [p], 0
    for (trigger, strength), length in zip(triggers, pieces, strict=False):
        part = slice(start, start + length)
        mask = np.minimum(array(trigger.mask_HW) * strength, 1)
        inputs.append(clean[part] * (1 - mask) + array(trigger.pattern_CHW) * mask)
        wanted.append(p[part])
        start += length
    binary = (array(mask_N) >= 0.5).astype(np.float64)
    base = divergence(reference, binary, inputs, wanted)
    assert set(got) == {0, 2, 4, 7, 10}
    for neuron, value in got.items():
        back = binary.copy()
        back[neuron] = 1
        change = divergence(reference, back, inputs, wanted) - base
        assert value == pytest.approx(change, rel=1e-3, abs=1e-5)


def test_beyond_the_limit_masks_order_behind_those_measured() -> None:
    network, x = masked(TinyNet()), images(4)
    mask_N = torch.tensor([0.3, 0.1, 0.4, 0.2, 0.2, 1, 1, 1, 1, 1, 1, 1])
    full = putting_back(network, x, some_triggers(), mask_N, 48)
    cut = putting_back(network, x, some_triggers(), mask_N, 2)
    assert set(cut) == set(full) == {0, 1, 2, 3, 4}
    assert {n: cut[n] for n in (1, 3)} == {n: full[n] for n in (1, 3)}
    order = score(mask_N, torch.zeros(12), cut).order_N.tolist()
    assert sorted(order[:2]) == [1, 3]
    assert order[2:5] == [4, 0, 2]


def test_it_tells_how_far_it_is() -> None:
    mask_N = torch.ones(12)
    mask_N[[2, 5]] = 0
    steps = leave_one_out(
        masked(TinyNet()), images(3), some_triggers(), mask_N, limit=9, offset=5, total=9
    )
    _, told = finish(steps)
    assert [(p.stage, p.done, p.total, p.label, p.values["checked"]) for p in told] == [
        ("scores", 5, 9, "order", 1.0),
        ("scores", 5, 9, "order", 2.0),
    ]
    assert torch.is_grad_enabled()


def test_the_planted_neuron_goes_first_and_a_bystander_last() -> None:
    """A blue detector that the masks took by mistake costs accuracy, and nothing else."""
    network, (x, _) = planted(), coloured(32)
    mask_N = torch.ones(8)
    mask_N[[2, DETECTOR]] = 0
    triggers = [(checkerboard_trigger(), 1.0)]
    contribution = putting_back(network, x, triggers, mask_N, 48)
    assert contribution[DETECTOR] > 1
    assert contribution[2] < 0
    assert score(mask_N, torch.zeros(8), contribution).order_N.tolist()[:2] == [DETECTOR, 2]
