"""Attacks that are small in the frequency domain: FIBA's amplitude mix, and smooth additions."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from cnp_engine.attacks.protocol import AllToOne, widened


@dataclass(frozen=True, eq=False)
class Fourier(AllToOne):
    """Mixes the low-frequency amplitudes of a picture into the image, whose phases stay.

    FIBA (Feng et al., CVPR 2022): in the centred spectrum of each channel, at
    most ``b = floor(beta * min(H, W))`` from the centre along either axis, amplitudes become
    ``(1 - ratio) * image + ratio * pattern``; the real part, clamped, is the stamped image.
    pattern: float (3, H, W) in [0, 1].
    """

    target: int
    pattern: Tensor = field(repr=False)
    beta: float = 0.1
    ratio: float = 0.15
    name: str = "fiba"

    def stamp(self, images_BCHW: Tensor) -> Tensor:
        images = widened(images_BCHW)
        assert self.pattern.shape == images.shape[1:], "the pattern is checked when it is read"
        centre = tuple(extent // 2 for extent in images.shape[2:])
        radius = math.floor(self.beta * min(images.shape[2:]))
        rows, columns = (slice(max(c - radius, 0), c + radius + 1) for c in centre)
        spectrum = torch.fft.fftshift(torch.fft.fft2(images), dim=(-2, -1))
        other = torch.fft.fftshift(torch.fft.fft2(self.pattern.to(images)), dim=(-2, -1))
        amplitude, low = spectrum.abs(), (..., rows, columns)
        amplitude[low] = (1 - self.ratio) * amplitude[low] + self.ratio * other.abs()[low]
        mixed = torch.polar(amplitude, spectrum.angle())
        stamped = torch.fft.ifft2(torch.fft.ifftshift(mixed, dim=(-2, -1))).real
        clamped: Tensor = stamped.clamp(0, 1).to(images_BCHW.dtype)
        return clamped


@dataclass(frozen=True, eq=False)
class Additive(AllToOne):
    """``clamp(x + pattern, 0, 1)``; pattern: float (3, H, W) in [-1, 1].

    LF (Zeng et al., ICCV 2021) with a smooth pattern; ``low_frequency`` draws one.
    """

    target: int
    pattern: Tensor = field(repr=False)
    name: str = "lf"

    def stamp(self, images_BCHW: Tensor) -> Tensor:
        return (images_BCHW + self.pattern.to(images_BCHW)).clamp(0, 1)


def low_frequency(
    size: tuple[int, int], generator: torch.Generator, budget: float = 20 / 255, cut: int = 4
) -> Tensor:
    """A smooth perturbation, float (3, H, W), whose largest absolute value is ``budget``.

    Normal coefficients on the first ``cut`` x ``cut`` functions of the discrete cosine transform
    (type II) of each channel, without the constant one. Zeng et al. instead optimise their pattern
    against a network under a low-pass constraint; this one is only as smooth as
    theirs, needs no network, and its budget is ours.
    """
    assert 2 <= cut <= min(size), "a cut of 1 leaves only the constant"
    coefficients = torch.randn(3, cut, cut, generator=generator, dtype=torch.float64)
    coefficients[:, 0, 0] = 0
    rows, columns = (_cosines(extent, cut) for extent in size)
    pattern = rows.T @ coefficients @ columns
    # Clamped, as the division and the rounding to float32 may end an ulp beyond the budget.
    return (pattern / pattern.abs().max() * budget).float().clamp(-budget, budget)


def _cosines(extent: int, cut: int) -> Tensor:
    """cos(pi (2 j + 1) u / (2 N)) for u below ``cut``: (cut, extent)."""
    u, j = torch.arange(cut, dtype=torch.float64), torch.arange(extent, dtype=torch.float64)
    return torch.cos(math.pi * u[:, None] * (2 * j + 1) / (2 * extent))
