"""What an attack is to everything that measures or trains: a stamp, and what it is to achieve."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

NO_AIM = -1
"""Aim of an image that the attack does not stamp: it counts in no rate (only `Recorded` has it)."""


class Attack(Protocol):
    """Both methods look at one image at a time: the rest of the batch never matters."""

    @property
    def name(self) -> str: ...

    @property
    def target(self) -> int | None:
        """The class every stamped image is to be answered; None where there is no single one."""
        ...

    def stamp(self, images_BCHW: Tensor) -> Tensor:
        """Float (B, 3, H, W) in [0, 1] to the same with the trigger; the input is not changed."""
        ...

    def aims(self, images_BCHW: Tensor, labels_B: Tensor) -> Tensor:
        """The class each image is to be answered once stamped, int64 (B,); `NO_AIM` for none.

        images_BCHW: the clean images, as `stamp` takes them. labels_B: int64, their true classes.
        """
        ...


class AllToOne:
    """``aims`` of an attack with one target."""

    target: int

    def aims(self, images_BCHW: Tensor, labels_B: Tensor) -> Tensor:
        return torch.full_like(labels_B, self.target)


def widened(images_BCHW: Tensor) -> Tensor:
    """At least float32: Fourier transforms and sampling know no half precision on a processor."""
    return images_BCHW.to(torch.promote_types(images_BCHW.dtype, torch.float32))
