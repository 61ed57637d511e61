"""What a step costs, in images that pass through the network, forwards and backwards."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from cnp_engine.algorithms.contrastive import MaskState, OriginalFeatures, optimise_masks
from cnp_engine.algorithms.reversal import reverse
from cnp_engine.algorithms.triggers import ReversalPlan
from cnp_engine.algorithms.votes import neuron_votes
from tests.engine.algorithms.counting import CountingNet
from tests.engine.algorithms.drive import result
from tests.engine.algorithms.masks import mask_plan, some_triggers
from tests.engine.algorithms.nets import Untouched, generator, images, masked

BATCH = 5


def test_the_counters_count() -> None:
    module, x = CountingNet(frozen=False), images(3)
    torch.autograd.backward(F.cross_entropy(module(x), torch.zeros(3, dtype=torch.int64)))
    assert module.counts.taken() == (3, 3, 2)
    frozen = CountingNet()
    frozen(x)
    assert frozen.counts.taken() == (3, 0, 0)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("statistics", [False, True])
@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_a_mask_step_is_four_forwards_and_four_backwards(
    optimiser: str, statistics: bool, frozen: bool
) -> None:
    """Weights are not frozen in one row: nothing asks for their gradients all the same."""
    module, x = CountingNet(frozen=frozen), images(9)
    network, before = masked(module), Untouched(module)
    originals = OriginalFeatures(network, x, some_triggers(), flip=True)
    module.counts.taken()
    plan = mask_plan(
        rounds=2, batches=2, batch=BATCH, optimiser=optimiser, batch_statistics=statistics,
        sparsity=0.1, binary=0.1,
    )  # fmt: skip
    state = MaskState.start(12, generator(), plan.lr)
    steps = 0
    for item in optimise_masks(network, originals, plan, state):
        counted = module.counts.taken()
        before.check()  # between any two steps, where a front end may look
        if isinstance(item, MaskState):
            assert counted == (0, 0, 0), "closing a round costs nothing"
        else:
            steps += 1
            assert counted == (4 * BATCH, 4 * BATCH, 0)
    assert steps == 4


@pytest.mark.parametrize(("flip", "batch"), [(False, 250), (True, 250), (True, 4)])
def test_the_originals_are_asked_once_for_each_image_and_flip(flip: bool, batch: int) -> None:
    module, x = CountingNet(), images(9)
    network = masked(module)
    originals = OriginalFeatures(network, x, some_triggers(), flip, batch)
    flips = 2 if flip else 1
    assert module.counts.taken() == (2 * flips * len(x), 0, 0)  # clean and stamped
    assert len(originals) == len(x)

    index_B = torch.tensor([7, 2, 2, 8])
    for mirrored in range(flips):
        clean, stamped, clean_z, stamped_z, said = originals.batch(index_B, mirrored)
        assert module.counts.taken() == (0, 0, 0)
        wanted = x[index_B].flip(3) if mirrored else x[index_B]
        assert torch.equal(clean, wanted)
        for row, index in enumerate(index_B.tolist()):
            trigger, strength = some_triggers()[(index + mirrored) % 2]
            assert torch.equal(stamped[row], trigger.stamp(wanted[row : row + 1], strength)[0])
        torch.testing.assert_close(clean_z, network(clean).features_BD, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(stamped_z, network(stamped).features_BD, rtol=1e-5, atol=1e-6)
        assert torch.equal(said, network(clean).logits_BK.argmax(1))
        module.counts.taken()


def test_a_reversal_step_is_one_forward_and_one_backward_a_trigger() -> None:
    module, x = CountingNet(frozen=False), images(9)
    network, before = masked(module), Untouched(module)
    for family in ("patch", "blend"):
        plan = ReversalPlan(steps=3, batch=4)
        result(reverse(network, x, [0, 1, 1], family, plan, generator()))
        assert module.counts.taken() == (3 * 3 * 4, 3 * 3 * 4, 0)
    before.check()


def test_votes_ask_for_no_gradient_of_a_weight() -> None:
    module, x = CountingNet(frozen=False), images(9)
    network, before = masked(module), Untouched(module)
    neuron_votes(network, x, 0.4, generator(), batch=4, batches=2)
    assert module.counts.taken() == (3 * 8, 8, 0)
    before.check()
