"""The preprocessing a checkpoint was trained with: parsed from text, or inferred without labels."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Normalize:
    """``(x - mean) / std`` on [0, 1] images; mean and std in the order the network reads them.

    ``bgr``: channels are reversed first.
    """

    name: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool = False

    def __call__(self, images_BCHW: Tensor) -> Tensor:
        """Float (B, 3, H, W) in [0, 1] to what the network was trained on."""
        raise NotImplementedError


@dataclass(frozen=True)
class NormalizeGuess:
    """best: first of ``candidates`` (name, score; higher is likelier). confidence in 0..1.

    unsure: the flag must be asked for. notice: one sentence where close candidates agree anyway.
    """

    best: Normalize
    confidence: float
    candidates: tuple[tuple[str, float], ...]
    unsure: bool
    notice: str | None = None

    def require(self) -> Normalize:
        """``best``, or NormalizeUnsure where it could not be told."""
        raise NotImplementedError


def parse_normalize(text: str) -> Normalize | None:
    """A name, or ``m,m,m/s,s,s[:bgr]``; None for ``auto``. SettingInvalid for anything else."""
    raise NotImplementedError


def infer_normalize(module: nn.Module, images_BCHW: Tensor) -> NormalizeGuess:
    """Which known preprocessing fits ``module`` (eval mode, no normalisation of its own).

    images_BCHW: uint8 RGB, a few hundred clean images on the module's device. Label-free.
    """
    raise NotImplementedError
