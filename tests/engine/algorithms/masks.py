"""Plans, triggers and runs of the mask optimisation on the tiny networks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cnp_engine.algorithms.contrastive import (
    MaskPlan,
    MaskState,
    OriginalFeatures,
    optimise_masks,
)
from cnp_engine.algorithms.overlay import MaskedNetwork
from cnp_engine.algorithms.triggers import Patch, Trigger
from tests.engine.algorithms.nets import TARGET, checkerboard, generator

Strong = tuple[Trigger, float]


def mask_plan(
    *,
    rounds: int = 2,
    batches: int = 3,
    batch: int = 4,
    lr: float = 0.2,
    eps: float = 0.1,
    optimiser: str = "adam",
    sparsity: float = 0.0,
    binary: float = 0.0,
    batch_statistics: bool = False,
    lr_floor: float = 0.01,
    patience: int = 2,
    flip: bool = True,
    early_stop: bool = False,
) -> MaskPlan:
    return MaskPlan(
        rounds=rounds, batches=batches, batch=batch, lr=lr, momentum=0.9, temperature=0.3,
        eps=eps, optimiser=optimiser, sparsity=sparsity, binary=binary,
        batch_statistics=batch_statistics, lr_floor=lr_floor, patience=patience, flip=flip,
        early_stop=early_stop,
    )  # fmt: skip


def planted_trigger(size: int = 8) -> Strong:
    """What the planted network answers: a 3x3 checkerboard, bottom right."""
    mask, pattern = torch.zeros(size, size), torch.zeros(3, size, size)
    mask[-3:, -3:] = 1
    pattern[:, -3:, -3:] = checkerboard(3)
    return Patch(TARGET, pattern, mask), 1.0


def some_triggers(size: int = 8) -> list[Strong]:
    """Two for class 1, at strengths of their own."""
    draws = generator(11)
    return [
        (
            Patch(1, torch.rand((3, size, size), generator=draws),
                    0.6 * torch.rand((size, size), generator=draws)),
            strength,
        )
        for strength in (1.0, 2.0)
    ]  # fmt: skip


def checkerboard_trigger() -> Trigger:
    """The planted one, as a reversal that found it exactly would give it."""
    pattern_CHW, mask_HW = torch.zeros(3, 8, 8), torch.zeros(8, 8)
    pattern_CHW[:, -3:, -3:] = checkerboard(3)
    mask_HW[-3:, -3:] = 1
    return Patch(TARGET, pattern_CHW, mask_HW)


def optimise(
    network: MaskedNetwork,
    images_BCHW: Tensor,
    triggers: Sequence[Strong],
    plan: MaskPlan,
    state: MaskState | None = None,
) -> tuple[MaskState, list[MaskState], list[dict[str, float | None]]]:
    """The end, a copy of the state after each round, and the values of every step."""
    state = state or MaskState.start(network.neurons, generator(21), plan.lr)
    originals = OriginalFeatures(network, images_BCHW, triggers, plan.flip)
    rounds, values = [], []
    for item in optimise_masks(network, originals, plan, state):
        if isinstance(item, MaskState):
            rounds.append(MaskState.restore(item.tensors()))
        else:
            values.append(item.values)
    return state, rounds, values
