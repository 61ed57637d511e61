"""Stamped images somebody else made and kept, looked up by the clean image they were made of."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from cnp_engine.attacks.content import content_keys
from cnp_engine.attacks.protocol import NO_AIM


@dataclass(frozen=True, eq=False)
class Recorded:
    """Only images that were recorded are stamped; the others stay as they are and aim at nothing.

    keys: int64 (n,), `content_keys` of the clean images, ascending. stamped: uint8 (n, 3, H, W).
    """

    target: int
    keys: Tensor = field(repr=False)
    stamped: Tensor = field(repr=False)
    name: str = "recorded"

    @classmethod
    def of(cls, target: int, clean_BCHW: Tensor, stamped_BCHW: Tensor, name: str) -> Recorded:
        """Of pairs, both uint8 (n, 3, H, W); of images that occur twice the first counts."""
        keys = torch.cat(
            [content_keys(part.float() / 255) for part in torch.split(clean_BCHW, 256)]
        )
        keys, order = keys.sort(stable=True)
        first = torch.ones_like(keys, dtype=torch.bool)
        first[1:] = keys[1:] != keys[:-1]
        return cls(target, keys[first], stamped_BCHW[order[first]], name)

    def stamp(self, images_BCHW: Tensor) -> Tensor:
        at_B, known_B = self._find(images_BCHW)
        kept = (self.stamped[at_B].float() / 255).to(images_BCHW)
        return torch.where(known_B.to(images_BCHW.device)[:, None, None, None], kept, images_BCHW)

    def aims(self, images_BCHW: Tensor, labels_B: Tensor) -> Tensor:
        known_B = self._find(images_BCHW)[1].to(labels_B.device)
        return torch.where(known_B, self.target, NO_AIM).to(labels_B)

    def _find(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        keys_B = content_keys(images_BCHW).cpu()
        at_B = torch.searchsorted(self.keys, keys_B).clamp(max=len(self.keys) - 1)
        return at_B, self.keys[at_B] == keys_B
