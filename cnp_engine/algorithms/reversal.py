"""Trigger reversal: the smallest change that sends every image to one class (METHOD section 3.2).

Three families, because a trigger found by reversal leans on the neurons of its own kind (METHOD
section 5):

* ``patch``: pattern and a mask per pixel, smallest mask L1 (Neural Cleanse, Wang et al. 2019,
  section IV; its dynamic weight of the L1 term is kept, as a factor a step).
* ``blend``: one pattern over the whole image, mixed in at one strength, smallest strength.
* ``warp``: a smooth field of displacements, the same for every image, smallest displacement
  (WaNet's kind of trigger, Nguyen & Tran 2021). Hardly any clean class can be reached by one.

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

Family = Literal["patch", "blend", "warp", "wave"]
"""What triggers are stamped as; waves are looked for in `waves`, not here."""

SIZES: dict[Family, str] = {
    "patch": "mask_l1", "blend": "strength", "warp": "warp", "wave": "wave",
}  # fmt: skip
"""What the size of a family's triggers is called: pixels, a share, pixels of displacement; of waves
the share of images that one moves."""

NODES = 6
"""Displacements are given on a grid of this many nodes a side, bicubic in between."""

WARP_SUCCESS = 0.75
"""Success wanted of a warp at most: a planted one need not work always (docs/log.md), and without
a backdoor no class comes near it."""

WARP_WEIGHT = 100.0
"""On a warp's size, times the weight of a mask's L1: half a pixel stands where a mask has 50."""

LOOK_EVERY = 8
"""Steps between two looks at a search that is under way."""

RAISE, RELAX = 1.06, 1 / 1.15
"""Factors a step on the weight of the mask's size above and below the wanted success."""

OVER, UNDER = 1.15, 1 / 1.15
"""The same above and below a budget."""


@dataclass(frozen=True)
class Trigger:
    """``pattern_CHW`` and ``mask_HW`` in [0, 1]; stamped = (1 - mask) x + mask pattern.

    Of a warp the mask, the same everywhere, is the largest displacement in pixels; red and green of
    the pattern say how much of it is gone to the right and down for each pixel, 1/2 being none:
    sampled at the place + mask (2 pattern - 1). Of a wave: x + mask (2 pattern - 1).
    """

    family: Family
    target: int
    pattern_CHW: Tensor
    mask_HW: Tensor

    @property
    def mask_l1(self) -> float:
        """Sum of the mask, in pixels; of a warp the sum of all displacements."""
        if self.family == "warp":
            return float(self._flow().norm(dim=0).sum())
        return float(self.mask_HW.sum())

    def _flow(self) -> Tensor:
        """Displacements right and down in pixels, (2, H, W)."""
        return (2 * self.pattern_CHW[:2] - 1) * self.mask_HW

    def stamp(self, images_BCHW: Tensor, strength: float = 1.0) -> Tensor:
        """``strength`` scales the mask, up to 1, and the displacements of a warp."""
        if self.family == "warp":
            return warped(images_BCHW, self._flow()[None] * strength)
        mask_HW = (self.mask_HW * strength).clamp(max=1.0)
        if self.family == "wave":
            return (images_BCHW + (2 * self.pattern_CHW - 1) * mask_HW).clamp(0, 1)
        return images_BCHW * (1 - mask_HW) + self.pattern_CHW * mask_HW


def warped(images_BCHW: Tensor, flow_B2HW: Tensor) -> Tensor:
    """Each pixel from where its displacement (right, down; in pixels) points; edges go on outside.

    One field for all images, or one each.
    """
    height, width = images_BCHW.shape[2:]
    device = images_BCHW.device
    down, right = torch.meshgrid(
        torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij"
    )
    places = torch.stack([right, down]) + flow_B2HW
    reach = places.new_tensor([max(1, width - 1), max(1, height - 1)]).view(2, 1, 1)
    grid = (2 * places / reach - 1).permute(0, 2, 3, 1).expand(len(images_BCHW), -1, -1, -1)
    return F.grid_sample(images_BCHW, grid, padding_mode="border", align_corners=True)


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
    """Triggers in the order asked for; ``sizes`` as ``SIZES`` has them, inf where none worked."""

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
        if family == "warp":
            drawn = torch.randn((count, 2, NODES, NODES), generator=generator)
            pattern, mask = 0.02 * drawn, torch.ones((count, 1, 1, 1))
        self._shape = (height, width)
        self.wanted = min(plan.success, WARP_SUCCESS) if family == "warp" else plan.success
        if start:
            assert family == "patch", "from other starts the others come to the same"
            pattern = torch.stack([trigger.pattern_CHW for trigger in start])
            mask = torch.stack([trigger.mask_HW[None] for trigger in start])
        self.pattern = pattern.to(device, copy=True).requires_grad_()  # of warps the nodes
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
        if self.family == "warp":
            many = images_BCHW.repeat(len(self.pattern), 1, 1, 1)
            return warped(many, self._flow().repeat_interleave(len(images_BCHW), 0))
        mask, pattern = self.mask[:, None], self.pattern[:, None]
        return (images_BCHW[None] * (1 - mask) + pattern * mask).flatten(0, 1)

    def size_T(self) -> Tensor:
        """Mask L1 in pixels, the strength of a blend, the root mean square displacement."""
        if self.family == "warp":
            return self._flow().square().sum(1).mean((1, 2)).add(1e-12).sqrt()
        return self.mask.flatten(1).sum(1)

    def _flow(self, nodes: Tensor | None = None) -> Tensor:
        """Displacements in pixels, (T, 2, H, W), between the nodes."""
        nodes = self.pattern if nodes is None else nodes
        return F.interpolate(nodes, self._shape, mode="bicubic", align_corners=True)

    @torch.no_grad()
    def keep_best(self, success_T: Tensor, first: bool) -> None:
        """Remember the smallest trigger whose running success is as wanted."""
        self.success_T = success_T if first else 0.8 * self.success_T + 0.2 * success_T
        size_T = self.size_T()
        better_T = (self.success_T >= self.wanted) & (size_T < self.best_T)
        if self.family == "warp":  # a little less and it fails at once: what worked does not count
            better_T &= success_T >= self.wanted
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
            self.success_T > self.wanted + 0.4 * (1 - self.wanted),
            self.success_T < self.wanted - 0.05,
        )
        if self.family == "blend":
            factor = torch.where(works_T, 0.97, torch.where(fails_T, 1.02, 1.0))
            self.mask.mul_(factor.view(-1, 1, 1, 1)).clamp_(0.005, 0.6)
        elif plan.adapt:
            factor = torch.where(works_T, RAISE, torch.where(fails_T, RELAX, 1.0))
            self.weight_T = (self.weight_T * factor).clamp(1e-4, 0.5)

    @torch.no_grad()
    def clamp(self) -> None:
        if self.family != "warp":
            self.pattern.clamp_(0, 1)
        self.mask.clamp_(0, 1)

    def result(self, adapt: bool, steps: int) -> Found:
        """The smallest successful trigger of each pair; the last state where none succeeded."""
        never_T = torch.isinf(self.best_T)
        use_last = (never_T if adapt else torch.ones_like(never_T)).view(-1, 1, 1, 1)
        pattern = torch.where(use_last, self.pattern, self.best_pattern).detach()
        mask = torch.where(use_last, self.mask, self.best_mask).detach()
        sizes = self.best_T if adapt else self.size_T().detach()
        if self.family == "warp":
            flow = self._flow(pattern)
            mask = flow.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-6)
            pattern = 0.5 + 0.5 * F.pad(flow / mask, (0, 0, 0, 0, 0, 1))
        shape = pattern.shape[-2:]
        triggers = tuple(
            Trigger(self.family, int(t), p.clone(), m.expand(1, *shape)[0].clone())
            for t, p, m in zip(self.targets_T, pattern, mask, strict=True)
        )
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
        search.keep_best(success_T, step == 0)
        size_T = search.size_T()
        cost = loss_T
        if family != "blend":  # whose strength is set, not learned
            cost = loss_T + (WARP_WEIGHT if family == "warp" else 1) * search.weight_T * size_T
        optimiser.zero_grad()
        torch.autograd.backward(cost.sum(), inputs=search.parameters())
        optimiser.step()
        search.clamp()
        if step >= 5:
            search.tighten(plan)
        values: dict[str, float | None] = {
            "loss": float(loss_T.detach().mean()),
            "success": float(search.success_T.mean()),
            SIZES[family]: float(size_T.detach().min()),
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
