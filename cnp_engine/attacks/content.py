"""A number that depends on an image's pixels alone, the same in any batch and on any device.

Attacks with several triggers choose by it, so that an image always gets the same one; recorded
stamped images are found by it.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

_ODD = 0x9E3779B97F4A7C15
"""2^64 over the golden ratio: multiples of it are spread evenly (Knuth, TAOCP 3, section 6.4)."""


def content_keys(images_BCHW: Tensor) -> Tensor:
    """int64 (B,) of float images in [0, 1], by their 8-bit pixels.

    Sums of pixels times fixed odd 64-bit weights: integers that wrap, so neither the order of
    summation nor the device can change them.
    """
    pixels = (images_BCHW.float() * 255).round().to(torch.int64).flatten(1)
    return ((pixels + 1) * _weights(pixels.shape[1]).to(pixels.device)).sum(1)


def content_choice(images_BCHW: Tensor, count: int) -> Tensor:
    """Which of ``count`` possibilities each image gets, int64 (B,) from 0, evenly spread."""
    # The upper bits: the lowest one of a sum of odd multiples is the parity of the pixels.
    return ((content_keys(images_BCHW) >> 33) & 0x3FFFFFFF) % count


@functools.lru_cache(maxsize=8)
def _weights(length: int) -> Tensor:
    """Odd, and mixed by the finaliser of splitmix64 (Steele et al., OOPSLA 2014)."""
    z = torch.arange(1, length + 1) * _signed(_ODD)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ ((z >> shift) & ((1 << (64 - shift)) - 1))) * _signed(factor)
    return (z ^ ((z >> 31) & ((1 << 33) - 1))) | 1


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
