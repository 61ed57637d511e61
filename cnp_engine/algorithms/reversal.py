"""Trigger reversal: the smallest change that sends every image to one class (METHOD section 3.2).

Several (class, restart) pairs are reversed in one batch; each is independent of the others. What is
searched, and how, the kinds of triggers say (``algorithms.triggers``).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from cnp_engine.aims import ANY
from cnp_engine.algorithms.augment import cropped
from cnp_engine.algorithms.overlay import MaskedNetwork, answers
from cnp_engine.algorithms.rates import share
from cnp_engine.algorithms.triggers import SEARCHES, Family, Found, ReversalPlan, Trigger
from cnp_engine.events import Event, Progress, Rate, Stage

LOOK_EVERY = 8
"""Steps between two looks at a search that is under way."""

SETTLED = 5
"""Steps before sizes are tightened."""


def reverse(
    network: MaskedNetwork,
    images_BCHW: Tensor,
    targets: Sequence[int],
    family: Family,
    plan: ReversalPlan,
    generator: torch.Generator,
    *,
    stage: Stage = "trigger",
    offset: int = 0,
    total: int | None = None,
    look: Callable[[Found], Event] | None = None,
    start: Sequence[Trigger] = (),
) -> Generator[Event, None, Found]:
    """Search one trigger for each entry of ``targets``: repeat a class for restarts, or ``ANY``,
    which stands beside no class.

    Generator of progress whose return value is :class:`Found`. Images are (B, 3, H, W) in [0, 1]
    on the network's device. ``offset`` and ``total`` place this search within its stage. What
    ``look`` makes of the best so far is yielded every few steps; it changes nothing. ``start``:
    a trigger for each entry, of the same family, to go on from.
    """
    kind = SEARCHES[family]
    plan = plan if kind.moves else replace(plan, shift=0.0)
    search = kind(targets, images_BCHW.shape[1:], plan, generator, images_BCHW.device, start)
    # short memory follows the changing weight of the L1 term; a fixed weight takes Adam's own
    betas = (0.5, 0.9) if plan.adapt else (0.9, 0.999)
    optimiser = torch.optim.Adam(search.parameters(), lr=plan.lr, betas=betas)
    labels = search.targets_T.repeat_interleave(plan.batch)
    for step in range(plan.steps):
        batch = draw(images_BCHW, plan, generator)
        logits = network(search.stamp(batch)).logits_BK
        if ANY in targets:
            labels = answers(network, batch).repeat(len(targets))
            loss, works = leaving(logits, labels), logits.argmax(1) != labels
        else:
            loss = F.cross_entropy(logits, labels, reduction="none")
            works = logits.argmax(1) == labels
        loss_T = loss.view(-1, plan.batch).mean(1)
        success_T = works.float().view(-1, plan.batch).mean(1)
        search.keep_best(success_T, step == 0)
        size_T = search.size_T()
        optimiser.zero_grad()
        cost_T = search.cost_T(loss_T, size_T)
        torch.autograd.backward(cost_T.sum(), inputs=search.parameters())
        optimiser.step()
        search.clamp()
        if step >= SETTLED:
            search.tighten()
        values: dict[str, float | None] = {
            "loss": float(loss_T.detach().mean()),
            "success": float(search.success_T.mean()),
            kind.trigger.measure: float(size_T.detach().min()),
        }
        done = offset + step + 1
        yield Progress(stage, done, total or plan.steps, values, family)
        if look is not None and (step + 1) % LOOK_EVERY == 0:
            yield look(search.result(plan.adapt, step + 1))
    return search.result(plan.adapt, plan.steps)


def leaving(logits_BK: Tensor, answers_B: Tensor) -> Tensor:
    """-log(1 - p) of the answer that is to be left, (B,), whose gradient is there for any p."""
    left = F.one_hot(answers_B, logits_BK.shape[1]).bool()
    return logits_BK.logsumexp(1) - logits_BK.masked_fill(left, -torch.inf).logsumexp(1)


def draw(images_BCHW: Tensor, plan: ReversalPlan, generator: torch.Generator) -> Tensor:
    """A batch with replacement, each image moved and mirrored as the plan has it."""
    n = plan.batch
    chosen = torch.randint(0, len(images_BCHW), (n,), generator=generator)
    batch = images_BCHW[chosen.to(images_BCHW.device)]
    if plan.shift:
        return cropped(batch, generator, flip=plan.flip, shift=plan.shift)
    if not plan.flip:
        return batch
    mirrored = torch.rand(n, generator=generator) < 0.5
    return torch.where(mirrored.to(batch.device).view(-1, 1, 1, 1), batch.flip(3), batch)


def success(
    network: MaskedNetwork,
    trigger: Trigger,
    images_BCHW: Tensor,
    original_B: Tensor,
    mask_N: Tensor | None = None,
    *,
    strength: float = 1.0,
) -> Rate | None:
    """Share of stamped images on which it works, of those the checkpoint answers otherwise."""
    others = trigger.others(original_B)
    if not bool(others.any()):
        return None
    stamped = trigger.stamp(images_BCHW[others], strength)
    return share(trigger.works(answers(network, stamped, mask_N), original_B[others]))
