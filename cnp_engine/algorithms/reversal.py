"""Trigger reversal: the smallest change that sends every image to one class (METHOD section 3.2).

Two families, because a patch found by reversal leans on other neurons than a global trigger does
(METHOD section 5):

* ``patch``: pattern and a mask per pixel, smallest mask L1 (Neural Cleanse, Wang et al. 2019,
  section IV; its dynamic weight of the L1 term is kept, as a factor a step).
* ``blend``: one pattern over the whole image, mixed in at one strength, smallest strength.

Several (class, restart) pairs are reversed in one batch; each is independent of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from cnp_engine.algorithms.overlay import MaskedNetwork, answers
from cnp_engine.algorithms.rates import share
from cnp_engine.events import Event, Progress, Rate, Stage

Family = Literal["patch", "blend"]

LOOK_EVERY = 8
"""Steps between two looks at a search that is under way."""

RAISE, RELAX = 1.06, 1 / 1.15
"""Factors a step on the weight of the mask's size above and below the wanted success."""

OVER, UNDER = 1.15, 1 / 1.15
"""The same above and below a budget."""


@dataclass(frozen=True)
class Trigger:
    """``pattern_CHW`` and ``mask_HW`` in [0, 1]; stamped = (1 - mask) x + mask pattern."""

    family: Family
    target: int
    pattern_CHW: Tensor
    mask_HW: Tensor

    @property
    def mask_l1(self) -> float:
        """Sum of the mask, in pixels."""
        return float(self.mask_HW.sum())

    def stamp(self, images_BCHW: Tensor, strength: float = 1.0) -> Tensor:
        """``strength`` scales the mask, up to 1."""
        mask_HW = (self.mask_HW * strength).clamp(max=1.0)
        return images_BCHW * (1 - mask_HW) + self.pattern_CHW * mask_HW


@dataclass(frozen=True)
class ReversalPlan:
    """How triggers are searched. ``steps`` Adam steps of ``batch`` images for each trigger.

    With a ``budget`` (mask L1 in pixels, or strength) a trigger is not made as small as works: it
    grows up to that size as long as it gets stronger by it. The last state counts, whatever its
    success.
    """

    steps: int
    batch: int
    lr: float = 0.1
    success: float = 0.95
    weight: float = 0.01
    adapt: bool = True
    flip: bool = True
    uniform_start: bool = False
    budget: float | None = None


@dataclass(frozen=True)
class Found:
    """Triggers in the order asked for; ``sizes`` are mask L1 or strength, inf where none worked."""

    triggers: tuple[Trigger, ...]
    sizes: tuple[float, ...]
    steps: int


def smallest(found: Found) -> Trigger:
    """The smallest trigger that works; a failed search has infinite size."""
    return min(zip(found.sizes, found.triggers, strict=True), key=lambda pair: pair[0])[1]


class _Search:
    """Parameters and best results of one batched search over T (class, restart) pairs."""

    def __init__(
        self,
        family: Family,
        targets: Sequence[int],
        shape: torch.Size,
        plan: ReversalPlan,
        generator: torch.Generator,
        device: torch.device,
        start: Sequence[Trigger] = (),
    ) -> None:
        channels, height, width = shape
        count = len(targets)
        self.family: Family = family
        self.targets_T = torch.tensor(list(targets), device=device)
        noise = torch.rand((count, channels, height, width), generator=generator)
        pattern = noise if plan.uniform_start else 0.5 + 0.2 * (noise - 0.5)
        if family == "blend":
            mask = torch.full((count, 1, 1, 1), plan.budget or 0.2)
        elif plan.uniform_start:
            mask = torch.rand((count, 1, height, width), generator=generator)
        else:
            mask = torch.full((count, 1, height, width), 0.1)
        if start:
            pattern = torch.stack([trigger.pattern_CHW for trigger in start])
            mask = torch.stack([trigger.mask_HW[None] for trigger in start])
        self.pattern = pattern.to(device, copy=True).requires_grad_()
        self.mask = mask.to(device, copy=True).requires_grad_(family == "patch")
        self.weight_T = torch.full((count,), plan.weight, device=device)
        self.success_T = torch.zeros(count, device=device)
        self.best_T = torch.full((count,), float("inf"), device=device)
        self.best_pattern = pattern.to(device)
        self.best_mask = mask.to(device)

    def parameters(self) -> list[Tensor]:
        return [self.pattern, self.mask] if self.family == "patch" else [self.pattern]

    def stamp(self, images_BCHW: Tensor) -> Tensor:
        """(T * B, C, H, W), trigger by trigger."""
        mask, pattern = self.mask[:, None], self.pattern[:, None]
        return (images_BCHW[None] * (1 - mask) + pattern * mask).flatten(0, 1)

    def size_T(self) -> Tensor:
        """Mask L1 in pixels, or the strength of a blend."""
        return self.mask.flatten(1).sum(1)

    @torch.no_grad()
    def keep_best(self, success_T: Tensor, first: bool, wanted: float) -> None:
        """Remember the smallest trigger whose running success is as wanted."""
        self.success_T = success_T if first else 0.8 * self.success_T + 0.2 * success_T
        size_T = self.size_T()
        better_T = (self.success_T >= wanted) & (size_T < self.best_T)
        self.best_T = torch.where(better_T, size_T, self.best_T)
        where = better_T.view(-1, 1, 1, 1)
        self.best_pattern = torch.where(where, self.pattern, self.best_pattern)
        self.best_mask = torch.where(where, self.mask, self.best_mask)

    @torch.no_grad()
    def tighten(self, plan: ReversalPlan) -> None:
        """Ask for a smaller trigger where it works too well, allow a larger one where it fails.

        With a budget: a smaller one where it is over the budget, a larger one where it is under.
        """
        if plan.budget is not None:
            factor = torch.where(self.size_T() > plan.budget, OVER, UNDER)
            self.weight_T = (self.weight_T * factor).clamp(1e-5, 0.5)
            return
        works_T, fails_T = (
            self.success_T > plan.success + 0.4 * (1 - plan.success),
            self.success_T < plan.success - 0.05,
        )
        if self.family == "blend":
            factor = torch.where(works_T, 0.97, torch.where(fails_T, 1.02, 1.0))
            self.mask.mul_(factor.view(-1, 1, 1, 1)).clamp_(0.005, 0.6)
        elif plan.adapt:
            factor = torch.where(works_T, RAISE, torch.where(fails_T, RELAX, 1.0))
            self.weight_T = (self.weight_T * factor).clamp(1e-4, 0.5)

    @torch.no_grad()
    def clamp(self) -> None:
        self.pattern.clamp_(0, 1)
        self.mask.clamp_(0, 1)

    def result(self, adapt: bool, steps: int) -> Found:
        """The smallest successful trigger of each pair; the last state where none succeeded."""
        never_T = torch.isinf(self.best_T)
        use_last = (never_T if adapt else torch.ones_like(never_T)).view(-1, 1, 1, 1)
        pattern = torch.where(use_last, self.pattern, self.best_pattern).detach()
        mask = torch.where(use_last, self.mask, self.best_mask).detach()
        shape = pattern.shape[-2:]
        triggers = tuple(
            Trigger(self.family, int(t), p.clone(), m.expand(1, *shape)[0].clone())
            for t, p, m in zip(self.targets_T, pattern, mask, strict=True)
        )
        sizes = self.best_T if adapt else mask.flatten(1).sum(1)
        return Found(triggers, tuple(sizes.tolist()), steps)


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
    """Search one trigger for each entry of ``targets`` (repeat a class for restarts).

    Generator of progress whose return value is :class:`Found`. Images are (B, 3, H, W) in [0, 1]
    on the network's device. ``offset`` and ``total`` place this search within its stage. What
    ``look`` makes of the best so far is yielded every few steps; it changes nothing. ``start``:
    a trigger for each entry, of the same family, to go on from.
    """
    search = _Search(
        family, targets, images_BCHW.shape[1:], plan, generator, images_BCHW.device, start
    )
    # short memory follows the changing weight of the L1 term; a fixed weight takes Adam's own
    betas = (0.5, 0.9) if plan.adapt else (0.9, 0.999)
    optimiser = torch.optim.Adam(search.parameters(), lr=plan.lr, betas=betas)
    labels = search.targets_T.repeat_interleave(plan.batch)
    for step in range(plan.steps):
        batch = draw(images_BCHW, plan.batch, plan.flip, generator)
        logits = network(search.stamp(batch)).logits_BK
        loss_T = F.cross_entropy(logits, labels, reduction="none").view(-1, plan.batch).mean(1)
        success_T = (logits.argmax(1) == labels).float().view(-1, plan.batch).mean(1)
        search.keep_best(success_T, step == 0, plan.success)
        size_T = search.size_T()
        cost = loss_T + (search.weight_T * size_T if family == "patch" else 0.0)
        optimiser.zero_grad()
        torch.autograd.backward(cost.sum(), inputs=search.parameters())
        optimiser.step()
        search.clamp()
        if step >= 5:
            search.tighten(plan)
        values: dict[str, float | None] = {
            "loss": float(loss_T.detach().mean()),
            "success": float(search.success_T.mean()),
            "mask_l1" if family == "patch" else "strength": float(size_T.detach().min()),
        }
        done = offset + step + 1
        yield Progress(stage, done, total or plan.steps, values, family)
        if look is not None and (step + 1) % LOOK_EVERY == 0:
            yield look(search.result(plan.adapt, step + 1))
    return search.result(plan.adapt and plan.budget is None, plan.steps)


def draw(images_BCHW: Tensor, n: int, flip: bool, generator: torch.Generator) -> Tensor:
    """``n`` images with replacement, each mirrored with probability one half when ``flip``."""
    chosen = torch.randint(0, len(images_BCHW), (n,), generator=generator)
    batch = images_BCHW[chosen.to(images_BCHW.device)]
    if not flip:
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
    """Share of stamped images answered as the target, of those the checkpoint answers otherwise."""
    others = original_B != trigger.target
    if not bool(others.any()):
        return None
    stamped = trigger.stamp(images_BCHW[others], strength)
    return share(answers(network, stamped, mask_N) == trigger.target)
