"""What an attacker does to the batches of a training: which images, stamped how, labelled what.

Data poisoning (all but wanet and input-aware) has the attacker's images fixed before training,
stamped after augmentation so that the trigger is always whole. WaNet and Input-aware are attacks of
who trains: they choose anew in every batch, as their authors do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from cnp_engine.algorithms.augment import moved
from cnp_engine.attacks import Attack, Warp
from cnp_engine.errors import DataMismatch, SettingInvalid
from cnp_engine.training.plan import CLEAN_LABEL, TrainingPlan

NOISE_SHARE = 2
"""WaNet's noise branch: so many times the poison rate, rightly labelled (METHOD section 7)."""


@dataclass(frozen=True)
class Fed:
    """A batch as the network gets it: float (B, 3, H, W) in [0, 1]; labels int64 (B,).

    ``extra``: what the attack adds to the loss, where it learns something itself.
    """

    images_BCHW: Tensor
    labels_B: Tensor
    extra: Tensor | None = None


class Poison(Protocol):
    """Changes batches; ``tensors`` and ``restore`` carry what it has learned over a restart."""

    def feed(
        self, images_BCHW: Tensor, labels_B: Tensor, index_B: Tensor, generator: torch.Generator
    ) -> Fed: ...

    def step(self) -> None: ...

    def tensors(self) -> dict[str, Tensor]: ...

    def restore(self, tensors: dict[str, Tensor]) -> None: ...


class Nothing:
    """The clean twin's: batches as they are. Also what attacks without a state share."""

    def feed(
        self, images_BCHW: Tensor, labels_B: Tensor, index_B: Tensor, generator: torch.Generator
    ) -> Fed:
        return Fed(images_BCHW, labels_B)

    def step(self) -> None:
        pass

    def tensors(self) -> dict[str, Tensor]:
        return {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        pass


class Planted(Nothing):
    """A fixed set of images, ``chosen_N`` bool on the CPU, stamped and given the attack's label.

    ``keep_labels``: a clean-label attack. ``move``: stamped images are turned, shrunk and moved.
    """

    def __init__(
        self, attack: Attack, chosen_N: Tensor, *, keep_labels: bool = False, move: bool = False
    ) -> None:
        self.attack, self.chosen_N = attack, chosen_N
        self.keep_labels, self.move = keep_labels, move

    def feed(
        self, images_BCHW: Tensor, labels_B: Tensor, index_B: Tensor, generator: torch.Generator
    ) -> Fed:
        rows = self.chosen_N[index_B].nonzero().flatten().to(images_BCHW.device)
        if not len(rows):
            return Fed(images_BCHW, labels_B)
        clean, own = images_BCHW[rows], labels_B[rows]
        stamped = self.attack.stamp(clean)
        if self.move:
            stamped = moved(stamped, generator)
        images_BCHW = images_BCHW.index_copy(0, rows, stamped)
        if not self.keep_labels:
            labels_B = labels_B.index_copy(0, rows, self.attack.aims(clean, own))
        return Fed(images_BCHW, labels_B)


class Warped(Nothing):
    """WaNet: some images warped and relabelled, twice as many warped with noise and not."""

    def __init__(self, attack: Attack, warp: Warp, rate: float) -> None:
        self.attack, self.warp, self.rate = attack, warp, rate

    def feed(
        self, images_BCHW: Tensor, labels_B: Tensor, index_B: Tensor, generator: torch.Generator
    ) -> Fed:
        drawn = torch.rand(len(labels_B), generator=generator)
        device = images_BCHW.device
        rows = (drawn < self.rate).nonzero().flatten().to(device)
        noisy = (drawn >= self.rate) & (drawn < (1 + NOISE_SHARE) * self.rate)
        others = noisy.nonzero().flatten().to(device)
        clean, own = images_BCHW[rows], labels_B[rows]
        fed = images_BCHW
        if len(rows):
            fed = fed.index_copy(0, rows, self.attack.stamp(clean))
            labels_B = labels_B.index_copy(0, rows, self.attack.aims(clean, own))
        if len(others):
            fed = fed.index_copy(0, others, self.warp.noisy(images_BCHW[others], generator))
        return Fed(fed, labels_B)


def choose(plan: TrainingPlan, labels_N: Tensor, generator: torch.Generator) -> Tensor:
    """Which images are poisoned, bool (N,) on the CPU.

    Of a clean-label attack those of the target class, at most all of them. Raises SettingInvalid
    for a rate that leaves no image, DataMismatch for a target that has none.
    """
    labels_N = labels_N.cpu()
    able = torch.ones(len(labels_N), dtype=torch.bool)
    if plan.attack in CLEAN_LABEL:
        able = labels_N == plan.targets[0]
        if not bool(able.any()):
            raise DataMismatch(
                f"No training image has the label {plan.targets[0]}, which {plan.attack} poisons.",
                "Give another --target.",
            )
    count = min(round(plan.rate * len(labels_N)), int(able.sum()))
    if count < 1:
        raise SettingInvalid(
            f"--rate {plan.rate:g} of {len(labels_N):,} images leaves none to poison.",
            "Give a higher rate, or 0 for a clean twin.",
        )
    among = able.nonzero().flatten()
    picked = among[torch.randperm(len(among), generator=generator)[:count]]
    chosen_N = torch.zeros(len(labels_N), dtype=torch.bool)
    chosen_N[picked] = True
    return chosen_N


def check_targets(targets: Sequence[int], classes: int) -> None:
    """Raises SettingInvalid for a target outside the classes."""
    for target in targets:
        if not 0 <= target < classes:
            raise SettingInvalid(
                f"--target {target} is no class of data with {classes} classes.",
                f"Give a number from 0 to {classes - 1}.",
            )
