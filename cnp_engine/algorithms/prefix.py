"""Answers of a network under one pruning after another, each from where it differs from the last.

Images stay the same, masks change: the activations before the first layer that a mask changes are
those of an earlier mask. A few states are kept for each batch, within a limit of memory; they share
what they have in common. No network is forked for it, and answers are those of a full call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cnp_engine.algorithms.cuts import Cut, Plan, plan_cuts
from cnp_engine.algorithms.execution import catching, replaying
from cnp_engine.algorithms.overlay import MaskedNetwork, answers


@dataclass(frozen=True, eq=False)
class Batch:
    """``make`` gives its ``size`` images, (B, 3, H, W) in [0, 1], which are not held as floats."""

    size: int
    make: Callable[[], Tensor]


@dataclass(frozen=True, eq=False)
class _State:
    """Activations of one batch under ``mask_N`` (on the CPU), by module."""

    mask_N: Tensor
    outputs: dict[str, Tensor]


class Prefix:
    """Asks ``network`` about the same batches under many masks."""

    def __init__(
        self, network: MaskedNetwork, batches: Sequence[Batch], limit_bytes: float
    ) -> None:
        self._network = network
        self._batches = list(batches)
        images = sum(batch.size for batch in self._batches)
        self._share = limit_bytes / max(1, images)
        self._states: list[list[_State]] = [[] for _ in self._batches]
        # half of it for one state: another shares what it has in common with the first
        self.plan = (
            plan_cuts(network, self._batches[0].make(), self._share / 2) if self._batches else None
        )

    def batch(self, number: int, mask_N: Tensor) -> Tensor:
        """Predicted classes of one batch, int64 (B,)."""
        images = self._batches[number].make()
        if self.plan is not None:
            try:
                return self.logits(number, images, mask_N).argmax(1)
            except torch.OutOfMemoryError:
                self._states, self.plan = [[] for _ in self._batches], None
        return answers(self._network, images, mask_N, batch=len(images))

    def answers(self, mask_N: Tensor) -> Iterator[Tensor]:
        """Predicted classes, batch by batch."""
        return (self.batch(number, mask_N) for number in range(len(self._batches)))

    @property
    def held_bytes(self) -> int:
        """Memory of all activations that are kept."""
        return sum(_held(states) for states in self._states)

    @torch.no_grad()
    def logits(self, number: int, images_BCHW: Tensor, mask_N: Tensor) -> Tensor:
        """Of batch ``number``, whose images these are: from the nearest state, and kept as one."""
        plan = self.plan
        assert plan is not None
        states, mask = self._states[number], mask_N.cpu()
        state, cut = _nearest(plan, states, mask)
        values: dict[str, Tensor] = {}
        if state is not None and cut is not None:
            values = {
                name: value.clone() if name in plan.fragile else value
                for name, value in state.outputs.items()
                if name in cut.needed
            }
            values |= {name: plan.nothing(name, len(images_BCHW)) for name in cut.idle}
        with (
            replaying(plan.modules, values),
            catching(plan.modules, [n for n in plan.kept if n not in values], plan.fragile) as new,
        ):
            logits = self._network(images_BCHW, mask_N).logits_BK
        old = {} if state is None else state.outputs
        self._keep(number, state, _State(mask, {**old, **new}), len(images_BCHW))
        return logits

    def _keep(self, number: int, used: _State | None, state: _State, images: int) -> None:
        """The newest first; the one it came from next, and what does not fit goes."""
        others = [s for s in self._states[number] if s is not used]
        kept = [state, *([used] if used is not None else []), *others]
        while len(kept) > 1 and _held(kept) > self._share * images:
            kept.pop()
        self._states[number] = kept


def _nearest(
    plan: Plan, states: Sequence[_State], mask_N: Tensor
) -> tuple[_State | None, Cut | None]:
    """The state that the mask has most in common with, and the deepest cut that it serves."""
    best: tuple[_State | None, Cut | None] = (None, None)
    for state in states:
        first = plan.first_change(state.mask_N, mask_N)
        cut = next((cut for cut in reversed(plan.cuts) if cut.position <= first), None)
        if cut is not None and (best[1] is None or cut.position > best[1].position):
            best = (state, cut)
    return best


def _held(states: Sequence[_State]) -> int:
    """Bytes of the tensors of some states, what they share counted once."""
    tensors = {id(value): value for state in states for value in state.outputs.values()}
    return sum(value.numel() * value.element_size() for value in tensors.values())
