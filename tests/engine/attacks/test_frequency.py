"""FIBA against NumPy's transform, smooth additions against the cosine transform written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from cnp_engine.attacks import Additive, Fourier, low_frequency


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (15, 12)])
@pytest.mark.parametrize(("beta", "ratio"), [(0.1, 0.15), (0.2, 0.5), (0.0, 1.0)])
def test_low_amplitudes_are_mixed(height: int, width: int, beta: float, ratio: float) -> None:
    images = torch.rand(2, 3, height, width, generator=generator()).double()
    pattern = torch.rand(3, height, width, generator=generator(1)).double()
    got = Fourier(0, pattern, beta, ratio).stamp(images)
    b = int(np.floor(min(height, width) * beta))
    for n in range(2):
        for c in range(3):
            source = np.fft.fft2(images[n, c].numpy())
            other = np.fft.fft2(pattern[c].numpy())
            amplitude = np.abs(source)
            for u in range(height):  # in the order of fft2: frequency u or u - height
                for v in range(width):
                    fu = u if u < (height + 1) // 2 else u - height
                    fv = v if v < (width + 1) // 2 else v - width
                    if abs(fu) <= b and abs(fv) <= b:
                        kept = (1 - ratio) * amplitude[u, v]
                        amplitude[u, v] = kept + ratio * np.abs(other[u, v])
            wanted = np.real(np.fft.ifft2(amplitude * np.exp(1j * np.angle(source)))).clip(0, 1)
            np.testing.assert_allclose(got[n, c].numpy(), wanted, atol=1e-9)


def test_without_a_share_nothing_changes() -> None:
    images = torch.rand(2, 3, 16, 16, generator=generator())
    stamped = Fourier(0, torch.zeros(3, 16, 16), ratio=0.0).stamp(images)
    torch.testing.assert_close(stamped, images, atol=1e-5, rtol=0)


def test_an_addition_is_clamped() -> None:
    pattern = torch.tensor([-0.5, 0.0, 0.5]).view(3, 1, 1).expand(3, 2, 2)
    stamped = Additive(0, pattern).stamp(torch.full((1, 3, 2, 2), 0.7))
    torch.testing.assert_close(stamped[0, :, 0, 0], torch.tensor([0.2, 0.7, 1.0]))


@pytest.mark.parametrize(("height", "width", "cut"), [(32, 32, 4), (12, 9, 3)])
def test_a_low_frequency_pattern_has_low_frequencies_only(
    height: int, width: int, cut: int
) -> None:
    pattern = low_frequency((height, width), generator(2), 0.1, cut)
    assert pattern.shape == (3, height, width)
    assert float(pattern.abs().max()) == pytest.approx(0.1, abs=1e-7)
    for channel in pattern.double():
        for u in range(height):
            for v in range(width):
                wave = torch.tensor([
                    [
                        math.cos(math.pi * u * (2 * i + 1) / (2 * height))
                        * math.cos(math.pi * v * (2 * j + 1) / (2 * width))
                        for j in range(width)
                    ]
                    for i in range(height)
                ]) if max(u, v) in (0, 1, cut - 1, cut, height - 1) else None  # fmt: skip
                if wave is None:
                    continue
                share = abs(float((channel * wave).mean()))
                low = u < cut and v < cut and (u, v) != (0, 0)
                assert low or share < 1e-6, (u, v)
                assert not low or share > 1e-6, (u, v)
    assert torch.equal(pattern, low_frequency((height, width), generator(2), 0.1, cut))
    assert not torch.equal(pattern, low_frequency((height, width), generator(3), 0.1, cut))
