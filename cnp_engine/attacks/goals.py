"""Attacks with more than one target, made of those with one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cnp_engine.attacks.content import content_choice
from cnp_engine.attacks.protocol import NO_AIM, Attack


@dataclass(frozen=True, eq=False)
class AllToAll:
    """The trigger of ``attack``; class y is to be answered (y + 1) mod ``classes``.

    Gu et al., arXiv 1708.06733. The target of ``attack`` plays no part.
    """

    attack: Attack
    classes: int

    @property
    def target(self) -> None:
        return None

    @property
    def name(self) -> str:
        return self.attack.name

    def stamp(self, images_BCHW: Tensor) -> Tensor:
        return self.attack.stamp(images_BCHW)

    def aims(self, images_BCHW: Tensor, labels_B: Tensor) -> Tensor:
        stamped = self.attack.aims(images_BCHW, labels_B) != NO_AIM
        return torch.where(stamped, (labels_B + 1) % self.classes, NO_AIM)


@dataclass(frozen=True, eq=False)
class Several:
    """Triggers with targets of their own, an equal share of the images for each.

    Which part stamps an image depends on its content alone, so that it is the same in training,
    in any batch and in any order.
    """

    parts: tuple[Attack, ...]
    name: str = "several"

    @property
    def target(self) -> None:
        return None

    def stamp(self, images_BCHW: Tensor) -> Tensor:
        stamped = images_BCHW.clone()
        for part, chosen in self._shares(images_BCHW):
            stamped[chosen] = part.stamp(images_BCHW[chosen])
        return stamped

    def aims(self, images_BCHW: Tensor, labels_B: Tensor) -> Tensor:
        aims = torch.full_like(labels_B, NO_AIM)
        for part, chosen in self._shares(images_BCHW):
            at = chosen.to(labels_B.device)
            aims[at] = part.aims(images_BCHW[chosen], labels_B[at])
        return aims

    def _shares(self, images_BCHW: Tensor) -> list[tuple[Attack, Tensor]]:
        which_B = content_choice(images_BCHW, len(self.parts))
        shares = [(part, which_B == number) for number, part in enumerate(self.parts)]
        return [(part, chosen) for part, chosen in shares if bool(chosen.any())]
